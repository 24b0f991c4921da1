"""Proxies and certificates that the environment names: what cannot be used is an error that names the variable."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import httpcore
import httpx
import pytest
import trustme

from training_sdk import APIConnectionError, AsyncTrainingClient, InvalidArgumentError, TrainingClient
from training_sdk._core import network
from training_sdk.cli import main
from unit.sdk.wire import GOOD, never_answers, says, wire

LIVE = "https://api.safetyculture.example"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", *network.CERTIFICATES, *network.NOT_READ)


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*VARIABLES, "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "t")
    network.tls_context.cache_clear()
    yield
    network.tls_context.cache_clear()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080", "socksio"),
        ("ALL_PROXY", "socks4://127.0.0.1:1080", "socks4:// must be one of"),
        ("all_proxy", "ftp://127.0.0.1", "ftp:// must be one of"),
        ("HTTPS_PROXY", "http://user:s3cret@proxy.example:bad", "not an address"),
        ("HTTPS_PROXY", "http://user:s3cret@x@proxy.example:80", "%40"),
        ("HTTPS_PROXY", "http://proxy.example:99999", "not an address"),
        ("HTTPS_PROXY", "http://proxy.example:0", "not an address"),
        ("HTTPS_PROXY", "http://", "not an address"),
        ("HTTPS_PROXY", "http://[::1", "not an address"),
        ("http_proxy", "proxy example:80", "not an address"),
        ("NO_PROXY", "localhost,[::1]", r"'\[::1\]'.*without brackets"),
        ("no_proxy", "localhost:80:90", "without brackets"),
        ("NO_PROXY", "fe80::/10", "length"),
        ("SSL_CERT_FILE", "/does/not/exist", "No such file"),
        ("SSL_CERT_FILE", __file__, "PEM"),
        ("SSL_CERT_DIR", "/does/not/exist", "the folder does not exist"),
        ("SSL_CERT_DIR", str(Path(__file__).parent), "openssl rehash"),
        ("SSLKEYLOGFILE", "/does/not/exist/keys", "No such file"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    variable: str,
    value: str,
    said: str,
) -> None:
    if "socksio" in said:
        monkeypatch.setattr(network, "_has_socks", lambda: False)
    monkeypatch.setenv(variable, value)
    for kind in (TrainingClient, AsyncTrainingClient):
        with pytest.raises(InvalidArgumentError, match=f"(?s)^{variable}.*{said}") as raised:
            kind(base_url=LIVE)
        assert "s3cret" not in str(raised.value)
    assert raised.value.reason in ("PROXY_UNUSABLE", "CERTIFICATES_UNUSABLE")
    monkeypatch.setenv("SAFETYCULTURE_BASE_URL", LIVE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(tmp_path / "state"))
    assert main(["whoami"]) == 2
    assert variable in capsys.readouterr().err
    assert main(["doctor", "--json"]) == 1
    (found,) = (one for one in json.loads(capsys.readouterr().out)["checks"] if one["standing"] == "ERROR")
    assert found["subject"] in ("proxy", "certificates")
    assert variable in found["detail"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "proxy.example:3128"),
        ("HTTPS_PROXY", "http://user:p%40ss@proxy.example:3128"),
        ("ALL_PROXY", "http://[::1]:3128"),
        ("NO_PROXY", "localhost, ::1,.example.com,10.0.0.0/8,example.com:8080,"),
        ("NO_PROXY", "*,[::1]"),
        *((name, "/does/not/exist") for name in network.NOT_READ),
        *((name, "") for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "NO_PROXY")),
    ],
)
def test_what_can_be_used_is_used(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """What cannot is an error when a client is made, as above."""
    monkeypatch.setenv(variable, value)
    TrainingClient(base_url=LIVE).close()


@pytest.mark.parametrize("variable", ["ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"])
def test_no_authorities_are_read_for_this_machine(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Read, it would be an error, as above."""
    with httpx.Client() as http:
        monkeypatch.setenv(variable, "socks4://[::1")
        TrainingClient(base_url="http://127.0.0.1:1").close()
        TrainingClient(base_url=LIVE, http_client=http).close()


def test_authorities_by_file_or_folder_are_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    file, folder = tmp_path / "ca.pem", tmp_path / "folder"
    authority.cert_pem.write_to_path(str(file))
    folder.mkdir()
    hashed = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(file)], capture_output=True, text=True, check=True
    )
    authority.cert_pem.write_to_path(str(folder / f"{hashed.stdout.strip()}.0"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with wire(says(GOOD), tls=server) as at:
        with (
            TrainingClient(base_url=at.url, max_retry_seconds=0) as client,
            pytest.raises(APIConnectionError, match=r"SSL_CERT_FILE \(REQUESTS_CA_BUNDLE is not read\)"),
        ):
            client.users.me()
        for name, value in (("SSL_CERT_DIR", folder), ("SSL_CERT_FILE", file)):  # the later goes first
            monkeypatch.setenv(name, str(value))
            network.tls_context.cache_clear()
            with TrainingClient(base_url=at.url, max_retry_seconds=0) as client:
                assert client.users.me().user_id == "u"


def test_a_refusing_proxy_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    with wire(says(refusal)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with (
            TrainingClient(base_url=LIVE, max_retry_seconds=0) as client,
            pytest.raises(APIConnectionError, match=r"407.*the proxy that HTTPS_PROXY names is running"),
        ):
            client.users.me()
        url = proxy.url
        assert main(["doctor", "--base-url", LIVE, "--max-retry", "0", "--json"]) == 1
    checks = {one["subject"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert (checks["proxy"]["standing"], url in checks["proxy"]["detail"]) == ("note", True)


def test_a_socks_proxy_that_says_nothing_does_not_hold_a_thread() -> None:
    """httpcore reads the answers of a SOCKS proxy without a timeout."""
    with wire(never_answers) as proxy, httpx.HTTPTransport() as transport:
        network._keep_deadlines(transport)
        stream = transport._pool._network_backend.connect_tcp("127.0.0.1", proxy.port, timeout=0.2)
        with pytest.raises(httpcore.ReadTimeout):
            stream.read(4096)
        stream.close()


def test_what_is_no_socks_proxy_is_an_error_of_ours() -> None:
    malformed = type("ProtocolError", (Exception,), {"__module__": "socksio.exceptions"})

    def handle(request: httpx.Request) -> httpx.Response:
        raise malformed("Malformed reply")

    with httpx.Client(transport=httpx.MockTransport(handle)) as http:
        client = TrainingClient(base_url=LIVE, http_client=http, max_retry_seconds=0)
        with pytest.raises(APIConnectionError, match="does not answer as a SOCKS proxy: Malformed reply"):
            client.users.me()


def test_a_deadline_that_has_passed_is_no_failed_connection_once_there_is_one() -> None:
    """R11: it would be said that nothing was sent, while the request may be carried out."""
    stream, passed = network._Stream(Mock(spec=httpcore.NetworkStream)), network.Deadline(0.0)
    with pytest.raises(httpcore.ReadTimeout, match="0 s had passed"):
        stream.read(1, passed)
    with pytest.raises(httpcore.WriteTimeout, match="0 s had passed"):
        stream.write(b"x", passed)
