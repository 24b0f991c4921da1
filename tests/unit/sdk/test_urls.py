"""Addresses: where a client may be pointed, where a next page may lead, and the guard on the reset path."""

from __future__ import annotations

import pytest

from training_sdk import DecodingError, InvalidArgumentError, TrainingClient
from training_sdk._core.urls import (
    BaseUrl,
    checked_request_path,
    is_reset_path,
    parse_base_url,
    path,
    service_name,
    target,
)
from unit.sdk.fakes import RESET, Asker, answer, over_the_wire, refused_wire

FEED = "/training/v1/feed/training-course-progress"

DISGUISES = [
    RESET,
    RESET + "/",
    RESET + "//",
    RESET + ":preview",
    RESET + ";a=b",
    RESET + "%00",
    RESET + "%0a",
    RESET + "%20",
    RESET + "%3Fx=1",
    RESET + "%23",
    RESET.upper(),
    RESET.replace("/", "//"),
    RESET.replace("/v1", "/./v1"),
    RESET.replace("/v1", "/x/../v1"),
    RESET.replace("/v1", "/x/%2e%2e/v1"),
    RESET.replace("/v1", "/x/%252e%252e/v1"),
    RESET.replace("/v1", "/x/..;a/v1"),
    RESET.replace("/v1", ";jsessionid=1/v1"),
    RESET.replace("/v1", "%2fv1"),
    RESET.replace("/v1", "%252Fv1"),
    RESET.replace("/v1", "%5cv1"),
    RESET.replace("/v1", "\\v1"),
    RESET.replace("reset", "%72eset"),
    RESET.replace("reset", "%2572eset"),
    RESET.replace("reset", "%25252572eset"),
    RESET.replace("reset", "reſet"),
    RESET.replace("reset", "ｒｅｓｅｔ"),
    RESET.replace("reset", "％72eset"),
    RESET.replace("/v1", "／v1"),
    RESET.replace("/v1", "/x/．．/v1"),
    RESET.replace("/v1", "/x/‥/v1"),
    RESET.replace("reset", "re\tset"),
    RESET.replace("reset", "re%09set"),
    "/x/.." + RESET,
    "//evil.test" + RESET,
    "https://api.example.test" + RESET,
    "HTTPS://API.EXAMPLE.TEST" + RESET,
    RESET.removeprefix("/"),
    "." + RESET,
    "\\training\\courseprogress\\v1\\reset",
    RESET + "?x=1",
    RESET + "#x",
]
ORDINARY = [
    "/training/courses/v1",
    "/training/courseprogress/v1",
    "/training/courseprogress/v2/reset",
    "/training/v1/reset",
    "/reset",
    "/users/v1/users/list",
    "/a%20b",
    "/ä",
    "/x:y@z!$&'()*+,;=~-._",
]


@pytest.mark.parametrize("where", DISGUISES)
@pytest.mark.parametrize("method", ["POST", "get"])
def test_request_refuses_the_reset_path_in_every_disguise(ask: Asker, where: str, method: str) -> None:
    with pytest.raises(InvalidArgumentError):
        ask(refused_wire, lambda client: client.request(method, where, json={}))


@pytest.mark.parametrize(
    ("base_url", "where"),
    [
        ("https://gateway.test/training", "/courseprogress/v1/reset"),
        ("https://gateway.test/training/courseprogress", "/v1/reset"),
        ("https://gateway.test/training/courseprogress/v1", "/reset"),
        ("https://gateway.test/training/courseprogress/v1/", "/%72eset"),
        ("https://gateway.test/TRAINING/CourseProgress", "/v1/reset"),
        ("https://gateway.test/training/courseprogress/v1/reset", "/"),
    ],
)
def test_a_base_url_that_completes_the_reset_path_does_not_help(base_url: str, where: str) -> None:
    with (
        TrainingClient("t", base_url=base_url) as client,
        pytest.raises(InvalidArgumentError, match="course reset"),
    ):
        client.request("POST", where, json={})


@pytest.mark.parametrize("where", ORDINARY)
def test_other_paths_are_sent(ask: Asker, where: str) -> None:
    assert not is_reset_path(where)
    assert (
        ask(
            over_the_wire(lambda request: answer({"ok": 1})), lambda client: client.request("GET", where)
        ).status
        == 200
    )


@pytest.mark.parametrize(
    "where",
    ["", "x", "//x", "/x//y", "/./x", "/x/..", "/%2e%2e/x", "/x?y", "/x#y", "/x y", "/x\ny", "/x\\y", "/%ff"],
)
def test_paths_that_are_not_plain_are_refused(where: str) -> None:
    with pytest.raises(InvalidArgumentError, match="path"):
        checked_request_path(where)


@pytest.mark.parametrize("where", [None, 7, b"/x", "/\ud800", "/" + "x" * 20_000])
def test_paths_that_are_no_paths_are_refused_in_words(where: object) -> None:
    with pytest.raises(InvalidArgumentError, match="path"):
        checked_request_path(where)


def test_ids_are_quoted_whole() -> None:
    assert path("/a/{id}/b", id="x?y#z%2e ü") == "/a/x%3Fy%23z%252e%20%C3%BC/b"
    assert target("/a", [("q", "a&b=c d"), ("none", None)]) == "/a?q=a%26b%3Dc+d"


# --- base URLs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://api.example.test", "https://api.example.test"),
        ("https://API.Example.test/", "https://api.example.test"),
        ("https://api.example.test:8443/a/b/", "https://api.example.test:8443/a/b"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://127.8.8.8", "http://127.8.8.8"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
    ],
)
def test_base_urls(text: str, expected: str) -> None:
    assert str(parse_base_url(text, allow_insecure_http=False)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "api.example.test", "ftp://x", "https://", "https:///x", "https://x:0", "https://x:99999"),
        *(
            "https://x:y",
            "https://u:p@x",
            "https://u@x",
            "https://x?y",
            "https://x#y",
            "https://x/..",
            "https://x/%2e",
        ),
        *(
            "https://x//y",
            "https://x/a b",
            "https://x\n",
            " https://x",
            "https://x\\y",
            "https://[",
            "https://x/\x9f",
        ),
        *("http://example.test", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.example.test"),
        *("http://127.0.0.1.example.test", "http://localhost@example.test"),
    ],
)
def test_base_urls_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        TrainingClient("t", base_url=text)


@pytest.mark.parametrize("value", [7, b"https://x", object()])
def test_a_base_url_that_is_no_text_is_refused_in_words(value: object) -> None:
    with pytest.raises(InvalidArgumentError):
        TrainingClient("t", base_url=value)  # type: ignore[arg-type]  # the mistake under test


def test_plain_http_elsewhere_can_be_allowed() -> None:
    with TrainingClient("t", base_url="http://mirror.test", allow_insecure_http=True) as client:
        assert client.base_url == "http://mirror.test"


# --- next pages ------------------------------------------------------------------------------------------------------

PLAIN = BaseUrl("https://api.example.test")
PREFIXED = BaseUrl("https://api.example.test", "/gate/way")
AMBIGUOUS = BaseUrl("https://api.example.test", "/training")


@pytest.mark.parametrize(
    ("base", "next_page", "expected"),
    [
        (PLAIN, FEED + "?offset=2", FEED + "?offset=2"),
        (PLAIN, FEED, FEED),
        (PLAIN, "https://api.example.test" + FEED, FEED),
        (PREFIXED, FEED + "?a=%2F", FEED + "?a=%2F"),
        (PREFIXED, "/gate/way" + FEED + "?x", FEED + "?x"),
        (PREFIXED, "/gate/wayward", "/gate/wayward"),
        (PREFIXED, "https://api.example.test/gate/way" + FEED, FEED),
        (AMBIGUOUS, FEED + "?offset=2", FEED + "?offset=2"),
        (AMBIGUOUS, "/training" + FEED, FEED),
        (PLAIN, "?offset=2&limit=1000", FEED + "?offset=2&limit=1000"),
        (PREFIXED, "offset=2&after=https%3A%2F%2Fa", FEED + "?offset=2&after=https%3A%2F%2Fa"),
        (PREFIXED, "next=https://evil.test/x", FEED + "?next=https://evil.test/x"),
    ],
)
def test_next_pages_with_and_without_the_prefix(base: BaseUrl, next_page: str, expected: str) -> None:
    assert base.next_target(next_page, FEED) == expected


@pytest.mark.parametrize(
    "next_page",
    [
        *(
            "https://evil.test" + FEED,
            "//evil.test" + FEED,
            "http://api.example.test" + FEED,
            "///evil.test/x",
        ),
        *(
            "https://api.example.test.evil.test/x",
            "https://api.example.test@evil.test/x",
            "https://api.example.test:1/x",
        ),
        *(
            "\\\\evil.test\\x",
            "/\\evil.test",
            "/x\ny",
            "/x y",
            "/x\x00",
            "/\x9f",
            "/\ud800",
            "x",
            "?offset=\n2",
            "a=\\\\evil.test",
            "javascript:x",
        ),
        *("//[", "https://[::1", "/../x", "/%2e%2e/x", "/x/..", "/" + "x" * 20_000, "/%" + "25" * 20_000),
        *(RESET, RESET + "?x=1", RESET.replace("reset", "%72eset")),
    ],
)
@pytest.mark.parametrize("base", [PLAIN, PREFIXED])
def test_next_pages_that_lead_elsewhere_are_not_followed(base: BaseUrl, next_page: str) -> None:
    with pytest.raises(DecodingError, match="not followed"):
        base.next_target(next_page, FEED)


@pytest.mark.parametrize(
    ("spellings", "name"),
    [
        (
            (
                *(
                    "https://gw.example",
                    "https://gw.example:443",
                    "https://gw.example.",
                    "https://GW.example/",
                ),
                *("https://gw.example:0443", "https://gw.example:"),
            ),
            "https://gw.example",
        ),
        (("http://gw.example:80/a/", "http://gw.example./a"), "http://gw.example/a"),
        (("https://gw.example.:8443", "https://gw.example:8443"), "https://gw.example:8443"),
        (("http://[::1]:80", "http://[0:0:0:0:0:0:0:1]"), "http://[::1]"),
        (
            (
                "https://api.mitti.com:443",
                "https://api.safetyculture\u3002io",
                "https://api.safetyculture.io.",
            ),
            "https://api.safetyculture.io",
        ),
        (("no address",), "no address"),
        (("https://x:port",), "https://x:port"),
    ],
)
def test_all_spellings_of_an_address_are_one_service(spellings: tuple[str, ...], name: str) -> None:
    assert {service_name(one) for one in spellings} == {name}


@pytest.mark.parametrize(
    "host",
    ["api.safetyculture\u3002io", "\uff41pi.safetyculture.io", "api\u00ad.mitti.com", "m\u00fcller.test"],
)
def test_a_host_that_is_not_ascii_is_refused(host: str) -> None:
    with pytest.raises(InvalidArgumentError, match="punycode"):
        parse_base_url(f"https://{host}/x", allow_insecure_http=False)
    parse_base_url("https://xn--mller-kva.test", allow_insecure_http=False)


@pytest.mark.parametrize(
    "text",
    [
        "https://ann:hunter2@api.example.test",
        "https://ann:hunter2@api.example.test/a//b",
        "http://ann:hunter2@api.example.test",
        "ftp://ann:hunter2@api.example.test",
        "ann:hunter2@api.example.test",
        "//ann:hunter2@api.example.test",
        "https:ann:hunter2@api.example.test",
        "https://ann:hunt@er2@api.example.test",
        "https://ann:hunter2@api.example.test:port",
        "https://ann:hun/ter2@api.example.test",
        "https://ann:hun#ter2@api.example.test",
        "https://ann:hunter2@[::1",
        "https://hunter2@api.example.test",
        "ftp://api.example.test/?key=hunter2",
        "api.example.test#hunter2",
        "https://api.example.test:port/?key=hunter2",
        "http://api.example.test/%2e?key=hunter2",
    ],
)
def test_no_error_about_an_address_shows_user_password_or_query(text: str) -> None:
    for insecure in (False, True):
        with pytest.raises(InvalidArgumentError) as refused:
            parse_base_url(text, allow_insecure_http=insecure)
        for secret in ("hunter2", "hunt", "er2", "ann", "key="):
            assert secret not in str(refused.value)
