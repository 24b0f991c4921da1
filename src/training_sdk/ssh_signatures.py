"""SSH signatures, made and verified by ssh-keygen, which supports agents, passphrases and security keys.

All input and output is in files in a private directory: no shell, no pipe that could fill or never close, and no
prompt unless ``interactive``. Paths are absolute, so none can be read as an option.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from attrs import field, frozen

from training_sdk._core.text import sentence
from training_sdk.errors import ApprovalError
from training_sdk.records import storage

LONGEST_CHECK = 20.0
LONGEST_SIGNING = 60.0
LONGEST_PROMPT = 300.0
"""Seconds for a check, for a signature without prompts, and for one where a person may have to type or touch a key."""

LARGEST_SIGNATURE = 16 * 1024
LARGEST_SIGNERS = 1024 * 1024
LONGEST_COMPLAINT = 600

BEGIN = "-----BEGIN SSH SIGNATURE-----"
END = "-----END SSH SIGNATURE-----"


@frozen
class Signers:
    """A file of allowed signers, read once, so that all checks of one signature see the same."""

    path: Path
    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Signers:
        """Raise ApprovalError if the file is missing, no plain file, too large, or if other users may change it."""
        try:
            content, status = storage.read_regular(path, LARGEST_SIGNERS)
            if os.name == "posix":
                _refuse_changeable(path, status)
        except (OSError, ValueError, TypeError) as error:
            raise _signers_problem(path, getattr(error, "strerror", None) or str(error)) from None
        if len(content) > LARGEST_SIGNERS:
            raise _signers_problem(path, f"it is larger than {LARGEST_SIGNERS} bytes")
        return cls(path, content)


def _refuse_changeable(path: Path, found: os.stat_result) -> None:
    """Raise if a user other than this one and root may change the file, or put another one in its place."""
    if why := _changeable(found):
        raise _signers_problem(path, why.format(path=shlex.quote(str(path))))
    literal = path.absolute()
    for one in dict.fromkeys((literal, *literal.parents, *literal.resolve().parents)):
        at = one.lstat()
        is_sticky = stat.S_ISDIR(at.st_mode) and bool(at.st_mode & stat.S_ISVTX)
        is_link = stat.S_ISLNK(at.st_mode)  # whose mode says nothing
        if why := _changeable(at, modes=not (is_sticky or is_link)):
            raise _signers_problem(
                path, f"{str(one)!r} on the way to it: " + why.format(path=shlex.quote(str(one)))
            )


def _changeable(found: os.stat_result, *, modes: bool = True) -> str | None:
    if found.st_uid not in (os.geteuid(), 0):
        return f"it belongs to another user (uid {found.st_uid}), who may change it. Use a copy of your own"
    if modes and found.st_mode & stat.S_IWOTH:
        return "all users of this machine can write to it, so it proves nothing. Close it: chmod go-w {path}"
    if modes and found.st_mode & stat.S_IWGRP:
        return "its group can write to it, so it proves nothing. Close it: chmod g-w {path}"
    return None


def _signers_problem(path: Path, why: str) -> ApprovalError:
    return ApprovalError(
        sentence(f"The file of allowed signers {str(path)!r} cannot be used: {why}"),
        reason="SIGNERS_UNUSABLE",
    )


def sign(message: bytes, key: Path, *, namespace: str, interactive: bool) -> str:
    """Return an armoured signature by a private key, or by the public key of one in an agent.

    ``interactive`` lets ssh-keygen ask for a passphrase or a touch on this terminal; without it, there is no prompt.
    """
    path = _absolute(key)
    if Path(path).exists() and not Path(path).is_file():
        raise ApprovalError(
            f"The key {path!r} cannot be used: it is not a regular file.", reason="SIGNING_FAILED"
        )
    with _KeygenFolder() as bench:
        text = bench.put("message", message)
        arguments = ["-Y", "sign", "-f", path, "-n", namespace, text]
        limit = LONGEST_PROMPT if interactive else LONGEST_SIGNING
        ran = bench.run(arguments, limit=limit, interactive=interactive)
        made = Path(f"{text}.sig")
        if ran.code or not made.exists():
            hint = "" if interactive else _hint(ran.complaint)
            raise ApprovalError(
                sentence(f"The program ssh-keygen could not sign with {path!r}{_said(ran.complaint)}") + hint,
                reason="SIGNING_FAILED",
            )
        return made.read_text(encoding="ascii")


def _hint(complaint: str) -> str:
    if "passphrase" not in complaint:
        return ""
    return " Load the key into an agent (ssh-add) and name its .pub file."


def principals(signature: str, signers: Signers, *, at: datetime) -> tuple[str, ...]:
    """Return the principals of the first line with the key of a signature, patterns included.

    Raises ApprovalError if the key is not listed, or not for this time.
    """
    with _KeygenFolder() as bench:
        listed = bench.put("signers", signers.content)
        signed = bench.put("signature", signature.encode("ascii"))
        ran = bench.run(["-Y", "find-principals", "-f", listed, "-s", signed, _verify_time(at)])
        found = tuple(line for line in ran.output.splitlines() if line)
        if ran.code or not found:
            complaint = ran.complaint.replace(listed, str(signers.path))
            raise ApprovalError(
                sentence(
                    f"The key that signed, {fingerprint(signature)}, is not an allowed signer in "
                    f"{str(signers.path)!r} at this time{_said(complaint)}"
                ),
                reason="SIGNER_NOT_ALLOWED",
            )
        return found


def principals_of_key(signature: str, signers: Signers) -> tuple[str, ...]:
    """Return the principals of all lines with the key of a signature, also of lines that ssh-keygen does not reach."""
    key = _key(signature)
    found: list[str] = []
    for line in signers.content.decode("utf-8", "replace").split("\n"):
        words = line.split()
        if words and not words[0].startswith("#") and any(_decoded(word) == key for word in words[1:]):
            found += words[0].strip('"').split(",")
    return tuple(dict.fromkeys(found))


def _decoded(word: str) -> bytes | None:
    try:
        return binascii.a2b_base64(word)
    except ValueError:
        return None


def verify(
    message: bytes, signature: str, signers: Signers, *, principal: str, namespace: str, at: datetime
) -> None:
    """Raise ApprovalError unless the principal's key signed exactly this message, in this namespace."""
    with _KeygenFolder() as bench:
        listed = bench.put("signers", signers.content)
        signed = bench.put("signature", signature.encode("ascii"))
        bench.put("message", message)
        arguments = ["-Y", "verify", "-f", listed, "-I", principal, "-n", namespace, "-s", signed]
        ran = bench.run([*arguments, _verify_time(at)], stdin="message")
        if ran.code:
            complaint = ran.complaint.replace(listed, str(signers.path))
            raise ApprovalError(
                sentence(
                    f"The signature is not a signature of {principal} over this content{_said(complaint)}"
                ),
                reason="SIGNATURE_INVALID",
            )


def fingerprint(signature: str) -> str:
    """Return the SHA-256 of the key (or certificate) in a signature, as ssh-keygen prints it.

    Raises ApprovalError if the text is not an SSH signature.
    """
    digest = base64.b64encode(hashlib.sha256(_key(signature)).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


def _key(signature: str) -> bytes:
    blob = _blob(signature)
    size = int.from_bytes(blob[10:14], "big")
    key = blob[14 : 14 + size]
    if not blob.startswith(b"SSHSIG\x00\x00\x00\x01") or not key or len(key) != size:
        raise _no_signature("it has no key")
    return key


def _blob(signature: str) -> bytes:
    if len(signature) > LARGEST_SIGNATURE:
        raise _no_signature(f"it is longer than {LARGEST_SIGNATURE} characters")
    lines = signature.split("\n")
    if not signature.isascii() or lines[0] != BEGIN or lines[-2:] != [END, ""]:
        raise _no_signature(f"it does not begin with {BEGIN}, or end with {END}")
    try:
        return base64.b64decode("".join(lines[1:-2]), validate=True)
    except binascii.Error:
        raise _no_signature("it is not Base64") from None


def _no_signature(why: str) -> ApprovalError:
    return ApprovalError(f"The signature is not an SSH signature: {why}.", reason="SIGNATURE_INVALID")


def _absolute(key: Path) -> str:
    path = os.path.abspath(key)  # noqa: PTH100  # Path.absolute() keeps "..", and resolve() follows links, for nothing
    if "\x00" in path:
        raise ApprovalError("The path of the key must not have a null character.", reason="SIGNING_FAILED")
    return path


def _verify_time(at: datetime) -> str:
    """In local time, as the dates in the file of signers are meant; a trailing Z is unknown before OpenSSH 9.1."""
    return f"-Overify-time={at.astimezone():%Y%m%d%H%M%S}"


def _said(complaint: str) -> str:
    words = " ".join(complaint.replace("@", " ").split())
    printable = "".join(letter for letter in words if letter.isprintable())
    return f": {printable[:LONGEST_COMPLAINT]}" if printable else ""


@frozen
class _Ran:
    """The exit code and output of ssh-keygen."""

    code: int
    output: str
    complaint: str


class _KeygenFolder:
    """A private directory in which ssh-keygen works, removed afterwards."""

    def __enter__(self) -> _KeygenFolder:
        self._made = tempfile.TemporaryDirectory(prefix="training-sdk-")
        self.folder = Path(self._made.name)
        return self

    def __exit__(self, *_: object) -> None:
        self._made.cleanup()

    def put(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: str = os.devnull,
        limit: float = LONGEST_CHECK,
        interactive: bool = False,
    ) -> _Ran:
        """Run ssh-keygen to its end, or kill it and its children after ``limit`` seconds."""
        _refuse_nameless_user()
        out, err = self.folder / "output", self.folder / "complaint"
        with (self.folder / stdin).open("rb") as given, out.open("wb") as said, err.open("wb") as complained:
            process = subprocess.Popen(  # noqa: S603  # no shell, an absolute program, and arguments of our making
                [_program(), *arguments],
                stdin=None if interactive else given,
                stdout=said,
                stderr=None if interactive else complained,
                env=_environment(interactive=interactive),
                start_new_session=not interactive,  # without a terminal to prompt on
            )
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                raise ApprovalError(
                    f"The program ssh-keygen did not end within {limit:g} s and was stopped. Nothing was signed or "
                    "verified. Check whether it waits for a prompt, an agent or a security key.",
                    reason="SSH_KEYGEN_STUCK",
                ) from None
            finally:
                _end(process, group=not interactive)
        return _Ran(code, _read(out, LARGEST_SIGNERS), _read(err, 16 * LONGEST_COMPLAINT))


def _program() -> str:
    found = shutil.which("ssh-keygen")
    # A program found relative to the working directory could be another user's.
    if found is None or not Path(found).is_absolute():
        raise ApprovalError(
            "The program ssh-keygen is not on the PATH of this machine. Nothing was signed or verified. Install "
            "OpenSSH 8.9 or later: apt-get install openssh-client, or the optional feature OpenSSH Client on Windows.",
            reason="SSH_KEYGEN_MISSING",
        )
    return found


def _refuse_nameless_user() -> None:
    """Raise ApprovalError for a user without an entry in /etc/passwd: ssh-keygen exits at once for such a user."""
    if sys.platform == "win32":
        return
    import pwd

    uid = os.getuid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise ApprovalError(
            f"The program ssh-keygen does not run for this user: uid {uid} has no entry in /etc/passwd. Nothing was "
            f"signed or verified. Add an entry, such as app:x:{uid}:0::/nonexistent:/usr/sbin/nologin.",
            reason="SSH_KEYGEN_NO_USER",
        ) from None


def _environment(*, interactive: bool) -> dict[str, str]:
    own = {**os.environ, "LC_ALL": "C"}
    if not interactive:
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            own.pop(name, None)
        own["SSH_ASKPASS_REQUIRE"] = "never"
    return own


def _end(process: subprocess.Popen[bytes], *, group: bool) -> None:
    if process.poll() is None:
        if group and os.name == "posix":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


def _read(path: Path, most: int) -> str:
    with path.open("rb") as file:
        return file.read(most).decode("utf-8", "replace")
