"""Addresses: the base URL, quoted paths, next pages, and the check that keeps the reset path to ``resets.apply``."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from attrs import frozen

from training_sdk._core.text import opening, pattern
from training_sdk.errors import DecodingError, InvalidArgumentError, Remedy

LIVE = "https://api.safetyculture.io"
VENDOR_HOSTS = ("api.safetyculture.io", "api.safetyculture.com", "api.mitti.com")
"""The names of the one live API (published)."""
_VENDOR_DOMAINS = ("safetyculture.io", "safetyculture.com", "mitti.com")
RESET_PATH = "/training/courseprogress/v1/reset"
_RESET_MARK = "courseprogress/v1/reset"

_DEFAULT_PORTS = {"https": 443, "http": 80}

LONGEST_ADDRESS = 16_000

_AFTER_PATH = pattern(r"([?#]).*", re.DOTALL)
_QUERY_ALONE = pattern(r"\?|[A-Za-z_][A-Za-z0-9_]*=")
_CONTROL = pattern(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")


@frozen
class BaseUrl:
    """The address of the API: ``scheme://host[:port]`` and a path prefix, which may be empty."""

    origin: str
    prefix: str = ""

    def __str__(self) -> str:
        return self.origin + self.prefix

    def next_target(self, next_page: str, current: str) -> str:
        """Return the target of a ``next_page``: relative, with or without the prefix, or no more than a query.

        ``current`` is the path that is being listed. Raises DecodingError for one that leads to another host:
        the token goes to the configured host only.
        """
        is_query = _QUERY_ALONE().match(next_page) is not None
        parts = self._own(f"{current}?{next_page.removeprefix('?')}" if is_query else next_page)
        if parts is None:
            raise DecodingError(
                f"The next_page {next_page[:200]!r} of an answer does not stay on {self}. It was not followed, because "
                "the token is sent to the configured host only."
            )
        path = parts.path
        if path != current and path.startswith(self.prefix + "/"):
            path = path.removeprefix(self.prefix)
        if is_reset_path(self.prefix + path):
            raise DecodingError(
                "The next_page of an answer is the path of a course reset. It was not followed."
            )
        return f"{path}?{parts.query}" if parts.query else path

    def _own(self, address: str) -> SplitResult | None:
        """Return the parts of an address on this host and in plain form; None for any other."""
        if len(address) > LONGEST_ADDRESS or _CONTROL().search(address) or "\\" in address:
            return None
        try:
            parts = urlsplit(address)
        except ValueError:
            return None
        own_host = not (parts.scheme or parts.netloc) or f"{parts.scheme}://{parts.netloc}" == self.origin
        plain = parts.path.startswith("/") and not address.startswith("//")
        return parts if own_host and plain and not _has_dot_segment(parts.path) else None


def parse_base_url(text: str, *, allow_insecure_http: bool, name: str = "base_url") -> BaseUrl:
    """Check a base URL. Raises InvalidArgumentError with the remedy, and with the ``name`` of what holds the URL."""
    parts = _split(text, name)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise InvalidArgumentError(
            f"{opening(name)} must be an http(s) address such as {LIVE!r}, not {without_secrets(text)!r}.",
            argument=name,
        )
    if parts.username is not None or parts.query or parts.fragment or _CONTROL().search(text) or "\\" in text:
        raise InvalidArgumentError(
            f"{opening(name)} must have scheme, host, port and path only: no user, query or fragment.",
            argument=name,
        )
    if not parts.netloc.isascii():
        raise InvalidArgumentError(
            f"The host of {name} {without_secrets(text)!r} is not ASCII, so it may be a different host than it seems. "
            "Nothing was sent. Write it in ASCII (punycode, as in 'xn--…').",
            argument=name,
        )
    prefix = parts.path.rstrip("/")
    if _has_dot_segment(prefix) or "//" in prefix or "%" in prefix:
        raise InvalidArgumentError(
            f"The path of {name} {without_secrets(text)!r} must not contain '.', '..', '//' or '%'.",
            argument=name,
        )
    if parts.scheme == "http" and not (allow_insecure_http or is_loopback(parts.hostname)):
        raise InvalidArgumentError(
            f"{opening(name)} {without_secrets(text)!r} would send the token unencrypted. Nothing was sent.",
            argument=name,
            remedy=Remedy("https", "Use https, or pass allow_insecure_http=True."),
        )
    return BaseUrl(f"{parts.scheme}://{parts.netloc.lower()}", quote(prefix, safe="/~-._"))


def _split(text: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        port_is_fit = parts.port != 0  # reading the port raises if it is not a number up to 65535
    except (ValueError, AttributeError, TypeError):
        port_is_fit = False
    if not port_is_fit:
        raise InvalidArgumentError(
            f"{opening(name)} must be an address such as {LIVE!r}, not {without_secrets(text)!r}.",
            argument=name,
        )
    return parts


def without_secrets(text: object) -> object:
    """Return the address for an error message: without user, password, query and fragment, whatever form it has."""
    if not isinstance(text, str):
        return text
    plain = _AFTER_PATH().sub(r"\1***", text.rpartition("@")[2])
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text)
    return f"{scheme[0] if scheme else ''}***@{plain}" if "@" in text else plain


def service_of(base_url: BaseUrl) -> tuple[str, str, int | None, str]:
    """Return scheme, host, port and path of an address for comparison. The vendor's hosts lead to one service."""
    parts = urlsplit(base_url.origin)
    host = _plain_host(parts.hostname or "")
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, VENDOR_HOSTS[0] if host in VENDOR_HOSTS else host, port, base_url.prefix


def service_name(address: str) -> str:
    """Return a base URL or an origin for comparing services, so that all spellings of one address are one name.

    It has no default port and no dot at the end of the host; the vendor's hosts are one name. What is no address is
    itself: it may come from a record.
    """
    try:
        parts = urlsplit(address)
        scheme, host, port, prefix = service_of(
            BaseUrl(f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/"))
        )
    except ValueError:
        return address
    if not host:
        return address
    plain = f"[{host}]" if ":" in host else host
    return f"{scheme}://{plain}{'' if port == _DEFAULT_PORTS.get(scheme) else f':{port}'}{prefix}"


def _plain_host(host: str) -> str:
    """Return a host as it is sent on the wire; records of earlier versions may contain one that is not ASCII."""
    name = host.lower().rstrip(".")
    if not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("idna").decode("ascii").lower().rstrip(".")
    with suppress(ValueError):
        return ipaddress.ip_address(name).compressed
    return name


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_vendors(host: str) -> bool:
    """Return whether a host name belongs to the vendor."""
    name = host.lower().rstrip(".")
    return any(name == domain or name.endswith(f".{domain}") for domain in _VENDOR_DOMAINS)


def path(template: str, **ids: str) -> str:
    """Return a path with its ids quoted; the ids have been checked before."""
    return template.format(**{name: quote(value, safe="") for name, value in ids.items()})


def target(where: str, query: Iterable[tuple[str, object | None]] = ()) -> str:
    """Path and query; parameters that are None are left out."""
    pairs = [(name, str(value)) for name, value in query if value is not None]
    return f"{where}?{urlencode(pairs)}" if pairs else where


def page_asked_for(target: str) -> tuple[str, list[tuple[str, str]]]:
    """Return a path and its sorted parameters without an offset of 0: equal for requests for the same page."""
    where, _, query = target.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    return where, sorted(pair for pair in pairs if pair != ("offset", "0"))


def refuse_reset_path(full_path: str) -> None:
    """Raise InvalidArgumentError if a path is, or a lenient server could take it for, the reset of a course."""
    if is_reset_path(full_path):
        raise InvalidArgumentError(
            "This is the path of a course reset, which cannot be undone. Nothing was sent. Use client.resets.plan(…) "
            "and client.resets.apply(…).",
            argument="path",
        )


def is_reset_path(full_path: str) -> bool:
    """Return whether a path is, or a lenient server could take it for, the reset of a course.

    Everything that a router may do to a path is done here first: decoding once or often, folding case and
    look-alike letters, merging slashes, dropping parameters and dot segments.
    """
    return _RESET_MARK in _as_the_most_lenient_router_reads_it(full_path)


def checked_request_path(text: object) -> str:
    """Return a path for ``client.request``: relative to the base URL, without a query, in plain form."""
    if not isinstance(text, str) or not text.startswith("/") or text.startswith("//"):
        raise InvalidArgumentError(
            f"path must start with a single '/' and is relative to base_url, not {text!r}. Full addresses are refused, "
            "because the token is sent to the configured host only.",
            argument="path",
        )
    if _CONTROL().search(text) or any(mark in text for mark in "\\?#"):
        raise InvalidArgumentError(
            f"path must not contain spaces, control characters, '\\', '?' or '#', as in {text!r}. Use params for "
            "a query.",
            argument="path",
        )
    if len(text) > LONGEST_ADDRESS:
        raise InvalidArgumentError(
            f"path must be at most {LONGEST_ADDRESS} characters long, not {len(text)}.", argument="path"
        )
    if "//" in text or _has_dot_segment(text):
        raise InvalidArgumentError(
            f"path must not contain '//', '.' or '..' segments, as in {text!r}.", argument="path"
        )
    try:
        unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidArgumentError(
            f"path must not contain percent escapes that are not UTF-8, as in {text!r}.", argument="path"
        ) from None
    return quote(text, safe="/%:@!$&'()*+,;=~-._")


def _has_dot_segment(where: str) -> bool:
    return any(segment in (".", "..") for segment in _decoded(where).split("/"))


def _decoded(text: str) -> str:
    """Percent-decoded until nothing changes: ``%252e`` is a dot to a server that decodes twice."""
    while (plain := unquote(text)) != text:
        text = plain
    return text


def _as_the_most_lenient_router_reads_it(full_path: str) -> str:
    text = full_path
    while (folded := unicodedata.normalize("NFKC", _decoded(text)).casefold()) != text:
        text = folded  # until nothing changes: a full-width percent sign folds into one that can be decoded
    text = text.replace("\\", "/").partition("?")[0].partition("#")[0]
    segments: list[str] = []
    for raw in text.split("/"):
        segment = _CONTROL().sub("", raw.partition(";")[0])
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment)
    return "/".join(segments)
