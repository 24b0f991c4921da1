"""Clients of httpx as the SDK makes them: certificates and proxies of the environment, no cookies, one deadline.

The only module that imports httpx. Variables of the environment are checked first, because the errors of httpx do not
name them. httpx bounds each read by itself, so a server that sends its headers byte by byte would hold a thread for
ever; a Deadline bounds the whole exchange on a blocking socket.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - what connecting imports: a reset must import nothing half-way
import functools
import ipaddress
import os
import re
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from training_sdk._core.text import pattern, sentence
from training_sdk._core.urls import BaseUrl, is_loopback
from training_sdk.errors import InvalidArgumentError

H = TypeVar("H", bound=Any)
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""In the order in which they are read; the first that is set is the only one."""
NOT_READ = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables of other clients for the same purpose."""
_KINDS = ("http", "https", "socks5", "socks5h")
_HASHED = pattern(r"[0-9a-f]{8}\.[0-9]+")
_KEY_LOG = "SSLKEYLOGFILE"


def sync_client(base_url: BaseUrl) -> httpx.Client:
    http = httpx.Client(**_settings(base_url))
    for transport in (http._transport, *http._mounts.values()):
        _keep_deadlines(transport)
    return without_cookies(http)


def async_client(base_url: BaseUrl) -> httpx.AsyncClient:
    return without_cookies(httpx.AsyncClient(**_settings(base_url)))


def _settings(base_url: BaseUrl) -> dict[str, Any]:
    plain = base_url.origin.startswith("http:")
    host = httpx.URL(base_url.origin).host
    # A proxy named in the environment must not see requests to this machine in clear text.
    may_use_proxy = not is_loopback(host)
    if may_use_proxy:
        _check_proxies()
    return {"verify": _no_tls() if plain else tls_context(), "trust_env": may_use_proxy}


class NoCookies(CookieJar):
    """The jar of a client that keeps and sends no cookie, not even one among its default headers."""

    def __init__(self) -> None:
        super().__init__(DefaultCookiePolicy(allowed_domains=()))

    def extract_cookies(self, response: object, request: object) -> None:
        """Keep none, without reading the headers of the answer, which takes a tenth of the time of a call."""


def without_cookies(http: H) -> H:
    """Return the client without cookies: the token alone identifies the user."""
    http.cookies = NoCookies()
    return http


# --- certificates ---


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS context of the process; making it is nearly the whole cost of a client (23 ms)."""
    return _trusted()


@functools.cache
def _no_tls() -> ssl.SSLContext:
    """Return a context that trusts nobody, for plain http to this machine."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def certificates_named() -> str | None:
    """Return the variable that names the trusted certificates; None if the usual ones are trusted."""
    return next((name for name in CERTIFICATES if os.environ.get(name)), None)


def _trusted() -> ssl.SSLContext:
    """Return a TLS context with the certificates that the environment names, else with the usual ones.

    Raises InvalidArgumentError, naming the variable, where they cannot be loaded.
    """
    name = certificates_named()
    value = os.environ[name] if name else ""
    try:
        if name == "SSL_CERT_FILE":
            return ssl.create_default_context(cafile=value)
        if name == "SSL_CERT_DIR":
            _check_folders(value)
            return ssl.create_default_context(capath=value)
        return httpx.create_ssl_context()
    except OSError as problem:  # an SSLError is one
        key_log = os.environ.get(_KEY_LOG)
        if key_log and problem.filename == key_log:
            name, value = _KEY_LOG, key_log
        raise _unloadable(name, value, problem) from None


def _unloadable(name: str | None, value: str, problem: OSError) -> InvalidArgumentError:
    why = problem.strerror or str(problem)
    if "NO_CERTIFICATE" in str(problem):
        why = "it contains no certificate in PEM form"
    said, remedy = (
        f"{name} is {value[:200]!r}, which cannot be used: {why}",
        "Name another file or folder, or unset the variable.",
    )
    if name is None:
        said, remedy = f"The default certificates cannot be loaded: {why}", "Reinstall the package certifi."
    return InvalidArgumentError(
        f"{sentence(said)} Nothing was sent. {remedy}", reason="CERTIFICATES_UNUSABLE"
    )


def _check_folders(value: str) -> None:
    """Raise OSError unless one of the folders holds a certificate: OpenSSL itself passes over what is missing."""
    folders = [folder for folder in map(Path, value.split(os.pathsep)) if folder.is_dir()]
    if not folders:
        raise NotADirectoryError("the folder does not exist")
    if not any(_HASHED().fullmatch(file.name) for folder in folders for file in folder.iterdir()):
        raise OSError(f"no file in it has a name for which OpenSSL looks. Run: openssl rehash {value}")


# --- proxies ---


def proxy_of(scheme: str, host: str) -> tuple[str, str] | None:
    """Return the variable that names a proxy for such requests, and its value; None if they go straight to the host."""
    found = getproxies()
    for kind in (scheme, "all"):
        if kind in found and not proxy_bypass(host):
            return _variable(kind), found[kind]
    return None


def _check_proxies() -> None:
    """Raise InvalidArgumentError for a variable of proxies that httpx cannot use."""
    found = getproxies()
    spared = [entry.strip() for entry in found.get("no", "").split(",")]
    if "*" in spared:  # no proxy is used at all
        return
    for kind in ("http", "https", "all"):
        if value := found.get(kind):
            _check_proxy(_variable(kind), value)
    for entry in filter(None, spared):
        if not _is_address(_pattern(entry)):
            raise InvalidArgumentError(
                f"{_variable('no')} lists {entry[:200]!r}, which is not a host. Nothing was sent. Write names and IPv4 "
                "addresses as they are, and IPv6 addresses without brackets, port or length (::1).",
                reason="PROXY_UNUSABLE",
            )


def _check_proxy(variable: str, value: str) -> None:
    address = value if "://" in value else f"http://{value}"
    scheme = address.partition("://")[0].lower()
    why = None
    if scheme not in _KINDS:
        why = f"{scheme}:// must be one of {', '.join(_KINDS)}"
    elif not _leads_somewhere(address):
        why = (
            "it is not an address such as http://proxy.example:3128. In a user name or password write @ as %40, / as "
            "%2F and : as %3A"
        )
    elif scheme.startswith("socks") and not _has_socks():
        why = "a SOCKS proxy needs the package socksio, which is not installed: pip install 'httpx[socks]'"
    if why:  # the value itself is not shown: it may hold a password
        raise InvalidArgumentError(
            f"{variable} names a proxy that cannot be used: {why}. Nothing was sent. Correct the variable, or unset it "
            "to connect without a proxy.",
            reason="PROXY_UNUSABLE",
        )


def _has_socks() -> bool:
    from importlib.util import find_spec

    return find_spec("socksio") is not None


def _leads_somewhere(address: str) -> bool:
    with suppress(ValueError):  # from a port that is no number up to 65535, or a bracket that is not closed
        parts = urlsplit(address)
        is_plain = parts.netloc.count("@") <= 1 and not re.search(r"\s", address)
        return bool(parts.hostname) and parts.port != 0 and is_plain and _is_address(address)
    return False


def _is_address(text: str) -> bool:
    try:
        return bool(httpx.URL(text))
    except httpx.InvalidURL:
        return False


def _variable(kind: str) -> str:
    """Return the variable that names a proxy; the lower-case spelling goes first, as in curl."""
    spellings = (f"{kind}_proxy", f"{kind}_proxy".upper())
    return next((name for name in spellings if os.environ.get(name)), f"the system's {kind} proxy setting")


def _pattern(entry: str) -> str:
    """Return the pattern that httpx makes of an entry in NO_PROXY."""
    if "://" in entry:
        return entry
    with suppress(ValueError):
        ipaddress.IPv6Address(entry.partition("/")[0])
        return f"all://[{entry}]"
    return f"all://*{entry}"


# --- deadlines ---


class Deadline(float):
    """A timeout in seconds that runs out once, for all the reads and writes that share it."""

    def __new__(cls, seconds: float) -> Deadline:
        self = super().__new__(cls, seconds)
        self.at = time.monotonic() + seconds
        return self

    at: float


def _keep_deadlines(transport: Any) -> None:
    """Make a transport of httpx's own heed deadlines; leave any other as it is."""
    pool = getattr(transport, "_pool", None)
    if isinstance(pool, httpcore.ConnectionPool):
        pool._network_backend = _Backend(pool._network_backend)


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    if not isinstance(timeout, Deadline):
        return timeout
    left = timeout.at - time.monotonic()
    if left <= 0:
        raise late(f"{timeout:g} s had passed")
    return left


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, opening: float | None = None) -> None:
        self._inner = inner
        # For what names no timeout: httpcore's own exchange with a SOCKS proxy, right after connecting.
        self._opening = None if opening is None else Deadline(opening)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        limit = self._opening if timeout is None else timeout
        return self._inner.read(max_bytes, _left(limit, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        limit = self._opening if timeout is None else timeout
        self._inner.write(buffer, _left(limit, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options), timeout)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)
