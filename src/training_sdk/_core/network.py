"""Proxies and certificates that the environment names, checked first: the errors of httpx do not name the variable."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from training_sdk._core.text import sentence
from training_sdk.errors import InvalidArgumentError

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""In the order in which they are read; the first that is set is the only one."""
NOT_READ = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables of other clients for the same purpose."""
_KINDS = ("http", "https", "socks5", "socks5h")
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_KEY_LOG = "SSLKEYLOGFILE"


def proxy_of(scheme: str, host: str) -> tuple[str, str] | None:
    """The variable that names a proxy for such requests, and its value; None if they go straight to the host."""
    found = getproxies()
    for kind in (scheme, "all"):
        if kind in found and not proxy_bypass(host):
            return _variable(kind), found[kind]
    return None


def certificates_named() -> str | None:
    """The variable that names the trusted certificates; None if the usual ones are trusted."""
    return next((name for name in CERTIFICATES if os.environ.get(name)), None)


def check_proxies(is_address: Callable[[str], bool]) -> None:
    """Raise InvalidArgumentError for a variable of proxies that httpx cannot use."""
    found = getproxies()
    spared = [entry.strip() for entry in found.get("no", "").split(",")]
    if "*" in spared:  # no proxy is used at all
        return
    for kind in ("http", "https", "all"):
        if value := found.get(kind):
            _check_proxy(_variable(kind), value, is_address)
    for entry in filter(None, spared):
        if not is_address(_pattern(entry)):
            raise InvalidArgumentError(
                f"{_variable('no')} lists {entry[:200]!r}, which is no host. Nothing was sent. Write names and "
                "IPv4 addresses as they are, and IPv6 addresses without brackets, port or length (::1)",
                reason="PROXY_UNUSABLE",
            )


def trusted(usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """A TLS context with the certificates that the environment names, else with the usual ones.

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
        return usual()
    except OSError as problem:  # an SSLError is one
        key_log = os.environ.get(_KEY_LOG)
        if key_log and problem.filename == key_log:
            name, value = _KEY_LOG, key_log
        raise _unloadable(name, value, problem) from None


def _unloadable(name: str | None, value: str, problem: OSError) -> InvalidArgumentError:
    why = problem.strerror or str(problem)
    if "NO_CERTIFICATE" in str(problem):
        why = "it holds no certificate in PEM form"
    said, remedy = (
        f"{name} is {value[:200]!r}, which cannot be used: {why}",
        "Name another, or unset the variable",
    )
    if name is None:
        said, remedy = f"the usual certificates cannot be loaded: {why}", "Install the package certifi again"
    return InvalidArgumentError(
        f"{sentence(said)} Nothing was sent. {remedy}", reason="CERTIFICATES_UNUSABLE"
    )


def _check_folders(value: str) -> None:
    """Raise OSError unless one of the folders holds a certificate: OpenSSL itself passes over what is missing."""
    folders = [folder for folder in map(Path, value.split(os.pathsep)) if folder.is_dir()]
    if not folders:
        raise NotADirectoryError("there is no such folder")
    if not any(_HASHED.fullmatch(file.name) for folder in folders for file in folder.iterdir()):
        raise OSError(f"no file in it has the name that OpenSSL looks for; run: openssl rehash {value}")


def _check_proxy(variable: str, value: str, is_address: Callable[[str], bool]) -> None:
    address = value if "://" in value else f"http://{value}"
    scheme = address.partition("://")[0].lower()
    why = None
    if scheme not in _KINDS:
        why = f"{scheme}:// is unknown; known are {', '.join(_KINDS)}"
    elif not _leads_somewhere(address, is_address):
        why = (
            "it is no address such as http://proxy.example:3128. In a user name or password write @ as %40, / as "
            "%2F and : as %3A"
        )
    elif scheme.startswith("socks") and find_spec("socksio") is None:
        why = "a SOCKS proxy needs the package socksio, which is not installed: pip install 'httpx[socks]'"
    if why:  # the value itself is not shown: it may hold a password
        raise InvalidArgumentError(
            f"{variable} names a proxy that cannot be used: {why}. Nothing was sent. Correct it, or unset it to "
            "connect without a proxy",
            reason="PROXY_UNUSABLE",
        )


def _leads_somewhere(address: str, is_address: Callable[[str], bool]) -> bool:
    with suppress(ValueError):  # from a port that is no number up to 65535, or a bracket that is not closed
        parts = urlsplit(address)
        is_plain = parts.netloc.count("@") <= 1 and not re.search(r"\s", address)
        return bool(parts.hostname) and parts.port != 0 and is_plain and is_address(address)
    return False


def _variable(kind: str) -> str:
    """The variable that says it; the lower-case spelling goes first, as in curl."""
    spellings = (f"{kind}_proxy", f"{kind}_proxy".upper())
    return next((name for name in spellings if os.environ.get(name)), f"the system's {kind} proxy setting")


def _pattern(entry: str) -> str:
    """What httpx makes of an entry in NO_PROXY."""
    if "://" in entry:
        return entry
    with suppress(ValueError):
        ipaddress.IPv6Address(entry.partition("/")[0])
        return f"all://[{entry}]"
    return f"all://*{entry}"
