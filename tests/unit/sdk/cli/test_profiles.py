"""Profiles: what is read, where tokens come from, and what is refused."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from training_sdk.cli.output import Output
from training_sdk.cli.profiles import KEYS, Profile, find_profile
from training_sdk.cli.session import Session
from training_sdk.errors import InvalidArgumentError

TOKEN = "scapi_0123456789abcdef"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TRAINING_SDK_PROFILE", "TRAINING_SDK_PROFILES", "SAFETYCULTURE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "profiles.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_a_whole_profile(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        default = "acme"
        [profiles.acme]
        base_url = "https://api.example.org"
        token_file = "token.txt"
        protected_courses = ["c1", "c2"]
        max_users = 50
        plan_lifetime = "12h"
        processing_time = "3h"
        four_eyes = "signed"
        allowed_signers = "signers"
        state_dir = "records"
        read_only = true
        [profiles.other]
        token = "scapi_x"
        """,
    )
    profile = find_profile(None, path)
    assert profile.base_url == "https://api.example.org"
    assert profile.token_file == tmp_path / "token.txt"
    assert profile.safeguards.plan_lifetime == timedelta(hours=12)
    assert profile.safeguards.processing_time == timedelta(hours=3)
    assert profile.state_dir == tmp_path / "records"
    assert profile.read_only
    safeguards = profile.safeguards
    assert safeguards.protected_courses == {"c1", "c2"}
    assert (safeguards.max_users, safeguards.four_eyes) == (50, "signed")
    assert safeguards.allowed_signers == tmp_path / "signers"
    assert find_profile("other", path).name == "other"


def test_without_a_file_there_is_an_empty_profile_and_no_named_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_profile(None, None) == Profile()
    with pytest.raises(InvalidArgumentError, match="no profile 'acme'"):
        find_profile("acme", None)
    monkeypatch.setenv("TRAINING_SDK_PROFILE", "acme")
    with pytest.raises(InvalidArgumentError, match="no profile 'acme'"):
        find_profile(None, None)


def test_a_folder_of_profiles_that_cannot_be_entered_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refused)
    with pytest.raises(InvalidArgumentError, match=r"Permission denied.*HOME.*TRAINING_SDK_PROFILES.*none"):
        find_profile(None, None)
    assert find_profile("none", None) == Profile()


def test_a_file_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_SDK_PROFILES", str(tmp_path / "missing.toml"))
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        find_profile(None, None)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602, 0o777])
def test_what_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, "[profiles.a]\n", mode)
    with pytest.raises(InvalidArgumentError, match=r"chmod 600.*renew the token"):
        find_profile("a", path)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(mode)
    with pytest.raises(InvalidArgumentError, match="chmod 600"):
        Profile(token_file=token).find_token()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[profiles.a]\nmax_user = 5\n", "'max_user' is unknown"),
        ("[profile.a]\n", "'profile' is unknown"),
        ("profiles = 5\n", "must be tables"),
        ("[profiles.a]\nmax_users = '5'\n", "max_users must be a whole number"),
        ("[profiles.a]\nmax_users = true\n", "max_users must be a whole number"),
        ("[profiles.a]\nplan_lifetime = 12\n", "plan_lifetime must be a span of time"),
        ("[profiles.a]\nprocessing_time = '0h'\n", "processing_time must be a span of time"),
        ("[profiles.a]\nplan_lifetime = '0h'\n", "plan_lifetime must be a span of time"),
        ("[profiles.a]\nread_only = 1\n", "read_only must be true or false"),
        ("[profiles.a]\nprotected_courses = 'c1'\n", "a list of texts"),
        ("[profiles.a]\ntoken_command = 'pass show x'\n", "a list of texts"),
        ("[profiles.a]\ntoken_command = []\n", "not empty"),
        ("[profiles.a]\nbase_url = ''\n", "not empty"),
        ("[profiles.a]\ntoken = 'x'\ntoken_env = 'Y'\n", "only one source of the token"),
        ("[profiles.b]\n", "no profile 'a'"),
        ("[profiles.a\n", "not TOML"),
    ],
)
def test_whatever_cannot_be_meant_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        find_profile("a", written(tmp_path, text))


def test_every_key_is_a_field_of_the_profile() -> None:
    assert {*KEYS} == {one.name for one in Profile.__attrs_attrs__} - {"name"}


def test_none_is_no_profile_and_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = written(tmp_path, "[profiles.a\n", 0o644)
    assert find_profile("none", broken) == Profile()
    monkeypatch.setenv("TRAINING_SDK_PROFILES", broken)
    monkeypatch.setenv("TRAINING_SDK_PROFILE", "none")
    assert find_profile(None, None) == Profile()
    taken = written(tmp_path, "default = 'none'\n[profiles.none]\n")
    taken_by_default = pytest.raises(InvalidArgumentError, match="Give the profile another name")
    monkeypatch.delenv("TRAINING_SDK_PROFILE")
    with taken_by_default:
        find_profile(None, taken)


LIVE = ("https://api.safetyculture.io", "https://API.safetyculture.com:443/", "https://api.mitti.com")


@pytest.mark.parametrize("own", [None, *LIVE])
@pytest.mark.parametrize("other", LIVE)
def test_the_vendors_hosts_are_one_service(own: str | None, other: str) -> None:
    """Two services are an error, as below."""
    Profile(name="a", base_url=own, token=TOKEN).check_service(other, "--base-url")


@pytest.mark.parametrize("own", [None, "https://api.mitti.com", "http://127.0.0.1:8765"])
@pytest.mark.parametrize(
    "other",
    [
        "http://127.0.0.1:8766",
        "http://api.safetyculture.io",
        "https://api.safetyculture.io:8443",
        "https://api.safetyculture.io/proxy",
        "https://api.safetyculture.io.example.org",
        "https://user:secret@api.example.org",
    ],
)
@pytest.mark.parametrize("source", [{"token": TOKEN}, {"token_command": ("pass",)}, {"token_env": "MINE"}])
def test_the_token_of_a_profile_is_for_its_own_service(own: str | None, other: str, source: Any) -> None:
    profile = Profile(name="a", base_url=own, **source)
    with pytest.raises(InvalidArgumentError) as refused:
        profile.check_service(other, "SAFETYCULTURE_BASE_URL")
    assert "secret" not in str(refused.value)
    if "@" not in other:
        assert refused.value.reason == "SERVICE_MISMATCH"
        for remedy in ("--profile none", "TRAINING_SDK_PROFILE=none", "Nothing was sent"):
            assert remedy in refused.value.message


@pytest.mark.parametrize("name", ["--base-url", "SAFETYCULTURE_BASE_URL", "the base URL of profile 'a'"])
def test_an_invalid_address_is_named_by_its_source(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", TOKEN)
    monkeypatch.delenv("SAFETYCULTURE_BASE_URL", raising=False)
    wrong = "ftp://example.org"
    if name == "SAFETYCULTURE_BASE_URL":
        monkeypatch.setenv(name, wrong)
    profile = Profile(name="a", base_url=wrong if name.startswith("the") else None)
    session = Session(Output(json=True), profile, wrong if name == "--base-url" else None)
    opening = name.replace("the base", "The base")
    with pytest.raises(InvalidArgumentError, match=f"^{opening} must be .*, not 'ftp://example.org'"):
        session.client()


def test_a_profile_without_a_token_source_disagrees_with_nothing() -> None:
    """With one, that is an error, as above."""
    Profile(name="a", base_url=LIVE[0], max_users=5).check_service("http://127.0.0.1:1", "--base-url")


def test_several_profiles_need_a_choice(tmp_path: Path) -> None:
    path = written(tmp_path, "[profiles.a]\n[profiles.b]\n")
    with pytest.raises(InvalidArgumentError, match="a, b"):
        find_profile(None, path)


def test_the_token_comes_from_where_the_profile_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    command = (sys.executable, "-c", f"print('{TOKEN}')")
    for profile in (
        Profile(token=TOKEN),
        Profile(token_file=file),
        Profile(token_env="MY_TOKEN"),
        Profile(token_command=command),
    ):
        assert profile.find_token().reveal() == TOKEN
        assert TOKEN not in repr(profile)
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", TOKEN)
    assert Profile().find_token().reveal() == TOKEN


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/nowhere/at/all",), "cannot be run"),
        ((sys.executable, "-c", "print('scapi_secret_half'); raise SystemExit(3)"), "ended with 3"),
        ((sys.executable, "-c", "pass"), "printed no text"),
        ((sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')"), "printed no text"),
    ],
)
def test_a_failing_token_command_is_named_and_its_output_is_not(command: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said) as caught:
        Profile(token_command=command).find_token()
    assert "scapi_secret" not in str(caught.value)


def test_without_any_token_it_says_where_one_may_come_from() -> None:
    with pytest.raises(InvalidArgumentError, match="SAFETYCULTURE_API_TOKEN") as caught:
        Profile().find_token()
    assert caught.value.reason == "NO_TOKEN"
