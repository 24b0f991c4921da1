"""State directories that the first form of the records was written in: what is read here must stay readable.

``first_form.tar.gz`` was written by version 0.1.0 before manifests named the form of their tables: a plan for everyone
in two courses, one of them called ``Fire, urgent;=1+1``, applied with a reason and a ticket to the reference server.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

KINDS = ("closed", "halfway", "purged", "sealed", "pseudonymised")
"""Come to its end; the first answer lost; its packs purged; sealed; with a second pack without names."""
KEY = b"none of these is random, truly"
"""For packs without names that a test makes; the one in ``pseudonymised`` was made with ``bytes(range(32))``."""


def unseal(data: bytes) -> bytes:
    """The way back from how ``sealed`` was sealed."""
    return bytes(byte ^ b"\xa5\x5a\x77"[place % 3] for place, byte in enumerate(data))


def unpacked(kind: str, folder: Path) -> Path:
    """One of the state directories, as it was left."""
    with tarfile.open(Path(__file__).with_name("first_form.tar.gz")) as archive:
        members = [each for each in archive if each.name.startswith(f"./{kind}")]
        archive.extractall(folder, members, filter="data")
    state = folder / kind
    state.chmod(0o700)
    return state
