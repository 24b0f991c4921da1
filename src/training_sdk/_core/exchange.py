"""One request and its answer, without sending: the request as the library has it, the body within its bounds, failures.

Pure preparation and reading that both drivers share. An error of the library becomes a TransportError, which says
whether the request can have reached the server.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import time
from typing import Any

from attrs import define, field, frozen

from training_sdk._core import flow, network, urls
from training_sdk._core.argument_checks import is_own, is_refused
from training_sdk._core.connections import CLOSED, library_of, of_other_loop
from training_sdk._core.flow import (
    InterruptedSendError,
    NoAnswerError,
    NotDeliveredError,
    Request,
    Response,
    TransportError,
    new_request_id,
)
from training_sdk._core.network import Deadline, NoCookies
from training_sdk._core.text import Secret, inline, masked, masked_body, pattern, sentence
from training_sdk._core.urls import BaseUrl, is_loopback
from training_sdk._version import __version__
from training_sdk.errors import InvalidArgumentError, ReadOnlyError, Remedy
from training_sdk.records.tokens import looks_secret

USER_AGENT = f"training-sdk/{__version__} python/{sys.version.split()[0]}"
LONGEST_CONNECT = 10.0
LARGEST_ANSWER = 256 * 1024 * 1024
LONGEST_SAID = 200
LONGEST_REQUEST_ID = 200
HOPELESS = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "Name or service not known")
"""Signs in an error that trying again would not help."""
READ_ONLY = "{what} would change something, and this client is read-only. Nothing was sent"
WRITABLE = Remedy(
    "read_only",
    "The client was made with read_only=True, or SAFETYCULTURE_READ_ONLY is set. Use a client that can write, if that "
    "is what you mean.",
)

_QUOTED = pattern(r"""[\s:=,(\[]*(?:\bbytearray\(|\bb["']|(?<!\w)["']).*""", re.DOTALL)
_PLAIN = pattern(r"[\x21-\x7e]{1,200}")


@define
class Reached:
    """Memory of whether any answer has come from the server; shared by clients on the same connections."""

    is_so: bool = False


@frozen
class Connection:
    """The server that a driver sends to, the token, the timeout of one attempt in seconds, and whether it may write."""

    base_url: BaseUrl
    token: Secret
    timeout: float
    read_only: bool = False
    waits_for_server: bool = False
    """True if the caller has said how long to try, so that a server may still be starting."""
    reached: Reached = field(factory=Reached, eq=False, repr=False)


# --- the request ---


def refuse_to_write(connection: Connection, request: Request) -> None:
    """Raise ReadOnlyError for a request that does not only read, on a client that cannot write; the last check."""
    if connection.read_only and not request.reads:
        raise ReadOnlyError(READ_ONLY.format(what=f"{request.method} {request.path}"), remedy=WRITABLE)


def build_request(http: Any, connection: Connection, request: Request, token: Secret) -> Any:
    """Return the request as the library sends it, made without ``http.build_request``.

    So no params, auth or base URL of a client from outside are in it: what was checked is what is sent. Its headers
    are, but for those that only the SDK may set, and so are its cookies.
    """
    library = library_of(http)
    if http.is_closed:
        raise InvalidArgumentError(CLOSED)
    own = {
        "accept": "application/json",
        "user-agent": f"{USER_AGENT} {library.__name__}/{library.__version__}",
        "x-request-id": request.request_id or new_request_id(),
    }
    if request.reads:
        own["cache-control"] = "no-cache, no-store"
    if request.body is not None:
        own["content-type"] = "application/json"
    url = _parsed(str(connection.base_url) + request.target, library)
    last = {"host": url.netloc.decode("ascii")}
    if request.body is not None:
        last["content-length"] = str(len(request.body))
    named = {name for name, _ in request.headers}
    # A list, because the contract kit sends a header twice. An empty authorization is not sent: no user asks.
    sent = [(name, own[name]) for name in sorted(own.keys() - named)]
    sent += [header for header in request.headers if _is_sent(header) and header[0].lower() not in last]
    if "authorization" not in named:
        sent.append(("authorization", f"Bearer {token.reveal()}"))
    sent += last.items()
    is_removed = is_refused if isinstance(http.cookies.jar, NoCookies) else is_own
    taken = {name.lower() for name, _ in sent}
    given = [each for each in http.headers.multi_items() if each[0] not in taken and not is_removed(each[0])]
    deadline = Deadline(connection.timeout)
    limits = {"connect": min(connection.timeout, LONGEST_CONNECT)}
    limits |= dict.fromkeys(("read", "write", "pool"), deadline)
    # Given as a stream, because the library looks for missing headers of any other body, and none is missing.
    stream = library.ByteStream(request.body or b"")
    extensions = {"timeout": limits}
    built = library.Request(
        request.method, url, headers=given + sent, cookies=http.cookies, stream=stream, extensions=extensions
    )
    built.read()  # as of any other body, for hooks of a client from outside
    return built


def _is_sent(header: tuple[str, str]) -> bool:
    return header != ("authorization", "")


@functools.lru_cache(maxsize=256)
def _parsed(address: str, library: Any) -> Any:
    with contextlib.suppress(library.InvalidURL):
        return library.URL(address)
    raise InvalidArgumentError(f"The address {address[:200]!r} is too long, or not an address.")


# --- the answer ---


class ResponseBody:
    """Collects an answer within its time and size; a client from outside may bound each read only."""

    def __init__(self, deadline: float, request_id: str) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._deadline = deadline
        self._request_id = request_id
        self.status: int | None = None
        """That of the answer, once its head is in."""

    def begin(self, encoding: str, status: int) -> None:
        """Refuse an answer compressed more than once: a small piece of it could fill the memory."""
        self.status = status
        if "," in encoding:
            raise NoAnswerError("the answer is encoded more than once", request_id=self._request_id)

    def add(self, chunk: bytes) -> None:
        """Add to it. Raises NoAnswerError once it is too much or too late."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > LARGEST_ANSWER:
            raise NoAnswerError(f"the answer exceeds {LARGEST_ANSWER} bytes", request_id=self._request_id)
        if time.monotonic() > self._deadline:
            raise NoAnswerError(
                "the time ran out while the answer was being received",
                timeout=True,
                request_id=self._request_id,
            )

    def whole(self) -> bytes:
        """Return the whole body."""
        return b"".join(self._chunks)


def read_response(answer: Any, body: bytes, prepared: Any, connection: Connection) -> Response:
    headers = tuple(answer.headers.multi_items())  # names in lower case
    is_reference = _is_reference(answer, headers, prepared, connection.base_url)
    sent = prepared.headers["x-request-id"]
    given = next((value for name, value in headers if name == "x-request-id"), None)
    request_id = sent
    if given != sent or not answer.is_success:
        token = _sent_token(prepared)
        if not answer.is_success:  # what it says ends in a message; some servers repeat what they were sent
            body = masked_body(body, token)
            headers = tuple((name, masked(value, token)) for name, value in headers)
            given = None if given is None else masked(given, token)
        request_id = shown_request_id(given, sent, token.reveal())
    connection.reached.is_so = True
    return Response(
        answer.status_code, headers, body, request_id, is_reference, base_url=str(connection.base_url)
    )


def _sent_token(prepared: Any) -> Secret:
    return Secret(prepared.headers.get("authorization", "").removeprefix("Bearer "))


def _is_reference(
    answer: Any, headers: tuple[tuple[str, str], ...], prepared: Any, base_url: BaseUrl
) -> bool:
    """Return whether the reference server gave this answer; never over a network from a host of the vendor."""
    marks = [value for name, value in headers if name == flow.HEADER]
    if not marks or ("network_stream" in answer.extensions and urls.is_vendors(prepared.url.host)):
        return False
    target = prepared.url.raw_path.decode("ascii").removeprefix(base_url.prefix)
    return marks == [flow.identity(prepared.method, target, prepared.headers["x-request-id"])]


def shown_request_id(given: str | None, sent: str, token: str) -> str:
    """Return the id under which support finds a request: the service's if it is plain, else ours with it in brackets.

    Plain is visible ASCII of at most 200 characters. Another id is escaped and cut, because support needs it; one that
    holds this client's ``token``, or looks like a secret, is not shown.
    """
    if not given:
        return sent
    if (token and token in given) or looks_secret(given):
        return f"{sent} (the service's own id looks like a secret and is not shown)"
    if _PLAIN().fullmatch(given):
        return given
    escaped = given[:LONGEST_REQUEST_ID].encode("unicode_escape").decode("ascii")
    cut = "..." if len(given) > LONGEST_REQUEST_ID or len(escaped) > LONGEST_REQUEST_ID else ""
    return f"{sent} (the service's own id: '{escaped[:LONGEST_REQUEST_ID]}{cut}')"


# --- failures ---


def answer_or_raise(problem: Any, prepared: Any, connection: Connection, status: int | None) -> Any:
    """Return the answer that a client from outside raised as an error; raise a TransportError for anything else.

    ``status`` is that of the answer, where its head came before the problem.

    What is about another request, such as one that a hook has made, says nothing about the result of ours.
    """
    own = _is_about(problem, prepared)
    if (
        isinstance(problem, library_of(prepared).HTTPStatusError)
        and own
        and problem.response.request is prepared
    ):
        return problem.response
    broken = _translate(problem, prepared, connection, own=own)
    broken.status = status
    raise broken from None


def _is_about(problem: Any, prepared: Any) -> bool:
    try:
        return isinstance(problem, library_of(prepared).HTTPError) and problem.request is prepared
    except RuntimeError:  # how httpx says that an error is about no request
        return False


def _translate(error: BaseException, prepared: Any, connection: Connection, *, own: bool) -> TransportError:
    """Return the TransportError for a broken exchange; Ctrl-C, cancellation and foreign errors are interruptions."""
    library, request_id = library_of(prepared), prepared.headers["x-request-id"]
    if isinstance(error, TransportError):
        return error
    if type(error).__module__.startswith("socksio."):  # httpcore passes it on as it is
        return NoAnswerError(
            f"the proxy does not answer as a SOCKS proxy: {bounded(str(error))}", request_id=request_id
        )
    if not isinstance(error, TimeoutError) and not (isinstance(error, library.HTTPError) and own):
        return InterruptedSendError(of_other_loop(error), request_id)
    said = unquoted(masked(str(error), _sent_token(prepared))) or type(error).__name__
    timeout = isinstance(error, library.TimeoutException | TimeoutError)
    nobody_yet = not (connection.reached.is_so or connection.waits_for_server)
    if isinstance(
        error, library.ConnectError | library.ConnectTimeout | library.PoolTimeout | library.ProxyError
    ):
        # Only an error of a proxy may quote an answer; the others name our host in quotes.
        shown = unquoted if isinstance(error, library.ProxyError) else bounded
        said = shown(masked(root_of(error), _sent_token(prepared))) or said
        hopeless = any(sign in said for sign in HOPELESS)
        said = f"{sentence(said)} {_advice(said, prepared.url)}"
        where = f"{prepared.url.scheme}://{prepared.url.netloc.decode('ascii')}"
        return NotDeliveredError(
            f"could not connect to {where}: {said}",
            timeout=timeout,
            hopeless=hopeless,
            request_id=request_id,
            nobody_yet=nobody_yet,
        )
    what = "no answer in time" if timeout else "the connection broke before the whole answer was in"
    if isinstance(error, library.DecodingError):
        what = "the answer cannot be decompressed"
    # A slow server may be the right one; one that closes each connection without an answer is not.
    nobody_yet &= isinstance(error, library.NetworkError | library.RemoteProtocolError)
    return NoAnswerError(f"{what}: {said}", timeout=timeout, request_id=request_id, nobody_yet=nobody_yet)


def _advice(said: str, url: Any) -> str:
    """Return what to check if no connection was made."""
    if "CERTIFICATE_VERIFY_FAILED" in said:
        ignored = " and ".join(name for name in network.NOT_READ if os.environ.get(name))
        return (
            "If your organisation signs certificates itself, name the file of its authority in SSL_CERT_FILE"
            f"{f' ({ignored} is not read)' if ignored else ''}. Check that {_BASE_URL} is right."
        )
    proxy = None if is_loopback(url.host) else network.proxy_of(url.scheme, url.host)
    if "WRONG_VERSION_NUMBER" in said and not proxy:
        return "The server there does not speak TLS. Check the base URL: its port, and whether it must begin with http://."
    if proxy:
        return f"Check that the proxy that {proxy[0]} names is running, and that {_BASE_URL} is right."
    return f"Check that the server is running, and that {_BASE_URL} is right."


_BASE_URL = "the base URL (SAFETYCULTURE_BASE_URL, --base-url)"


def bounded(text: str) -> str:
    """Return the first part of a library's message, on one line."""
    return inline(text[:LONGEST_SAID])


def unquoted(text: str) -> str:
    """Return a library's message up to the place where it quotes the answer, which may contain personal data."""
    return bounded(_QUOTED().sub("", text))


def root_of(error: BaseException) -> str:
    """Return the message of the deepest cause of an error; under trio httpx's own error has none."""
    said = ""
    cause: BaseException | None = error
    while cause is not None:
        said = str(cause) or said
        cause = cause.__cause__ or cause.__context__
    return said
