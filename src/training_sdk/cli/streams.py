"""Standard output and standard error whose writes never fail: the first failure is stored and reported at the end."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class StreamFile(FileIO):
    """File of a standard stream. After a failed write, nothing more is written."""

    failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, and wait if the pipe is non-blocking and its reader is slow."""
        written = None
        while written is None and self.failure is None:
            try:
                written = super().write(data)
                if written is None:
                    select.select([], [self], [])
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes if written is None else written


@contextmanager
def standard_streams(*, logs: bool = True) -> Iterator[None]:
    """Replace the standard streams.

    A stream that fails, or a name that its encoding cannot represent, does not end a command. Log lines send no
    control characters to a terminal; without ``logs``, for what logs nothing, the package of logging is not imported.
    """
    if logs:
        from training_sdk._core.text import show_logs

        show_logs()
    _open_closed_streams()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_never_failing, before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def failure_of(stream: Any) -> OSError | None:
    """Return the error of the first failed write to a stream; None if no output was lost."""
    stream.flush()
    buffer = getattr(stream, "buffer", None)
    file = getattr(buffer, "raw", buffer)
    return file.failure if isinstance(file, StreamFile) else None


def run_with_streams(run: Callable[[], int], name: str, lost: int, *, logs: bool = True) -> int:
    """Run a program and return its exit code; return ``lost`` instead of 0 if its output could not be written.

    A reader that closed the pipe, as in ``| head``, is no error.
    """
    with standard_streams(logs=logs):
        code = run()
        failure = failure_of(sys.stdout) or failure_of(sys.stderr)
        if failure is None or isinstance(failure, BrokenPipeError):
            return code
        print(f"{name}: The output could not be written: {failure.strerror}.", file=sys.stderr)
        return code or lost


def _open_closed_streams() -> None:
    """Open each standard stream that is closed. Otherwise the next file that is opened gets its number and its output.

    Reading from such a stream returns the end of the file; writing fails as on a closed stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDONLY)
            os.set_inheritable(number, number <= 2)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _never_failing(stream: TextIO) -> TextIO:
    """Return the same stream with a file that stores its failure.

    A stream without a file, as in tests, is unchanged.
    """
    if not isinstance(stream, TextIOWrapper):
        return stream
    stream.reconfigure(errors="replace")
    file = getattr(stream.buffer, "raw", stream.buffer)
    if not isinstance(file, FileIO) or isinstance(file, StreamFile):  # such as a console of Windows
        return stream
    stream.flush()
    return TextIOWrapper(
        BufferedWriter(StreamFile(file.fileno(), "w", closefd=False)),
        stream.encoding,
        "replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
