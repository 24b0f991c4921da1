"""Evidence packs, and the people and courses in them, from what was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from training_sdk._core.text import mailbox
from training_sdk.cli.naming import as_seen
from training_sdk.errors import InvalidArgumentError, NotFoundError, RecordsDamagedError
from training_sdk.evidence import history
from training_sdk.evidence.files import Unseal
from training_sdk.evidence.pack import is_file_of_a_pack
from training_sdk.records.events import EvidenceKept, Sent
from training_sdk.records.journal import events_of_plan
from training_sdk.records.state import StateDirectory


def chosen(named: Sequence[Path], kept: Sequence[Path], *, most: int | None = None) -> tuple[Path, ...]:
    """The packs that were named, each by its folder, its name or the beginning of that; all that are kept if none was.

    Raises InvalidArgumentError for a name that is no pack's, and for one that is that of more than ``most``.
    """
    found: list[Path] = []
    for one in named:
        fitting = _fitting(one, kept)
        if not fitting:
            raise InvalidArgumentError(f"there is no pack {one}; see training-sdk evidence list")
        if most is not None and len(fitting) > most:
            names = "".join(f"\n  {folder.name}" for folder in fitting)
            raise InvalidArgumentError(
                f"{len(fitting)} packs begin with {one}; write more of the name:{names}"
            )
        found += fitting
    return tuple(dict.fromkeys(found)) if named else tuple(kept)


def _fitting(named: Path, kept: Sequence[Path]) -> list[Path]:
    if named.is_dir():
        inside = [path.name for path in named.iterdir()]
        is_pack = any(is_file_of_a_pack(name, sealed) for name in inside for sealed in (False, True))
        return [named] if is_pack or named.resolve() in [one.resolve() for one in kept] else []
    start = str(named).removeprefix("#")
    return [folder for folder in kept if folder.name.startswith(start)]


def followed_by_a_request(state: StateDirectory, digest: str) -> Mapping[str, bool]:
    """Whether a request was sent after each pack of a plan and before the next, by name; those of its journal alone."""
    try:
        events = events_of_plan(state, digest)
    except RecordsDamagedError:
        return {}
    found: dict[str, bool] = {}
    latest = None
    for event in events:
        if isinstance(event, EvidenceKept):
            latest, found[event.pack] = event.pack, False
        elif isinstance(event, Sent) and latest is not None:
            found[latest] = True
    return found


def person_in(folders: Sequence[Path], named: str, key: bytes | None, unseal: Unseal | None = None) -> str:
    """The id of somebody whose completion a pack holds, named by id or e-mail. Raises NotFoundError."""
    wanted = named.strip()
    ids = {
        one.user_id
        for one in history(folders, key=key, unseal=unseal)
        if not one.pseudonymised
        and (one.user_id == wanted or mailbox(one.user_email or "") == mailbox(wanted))
    }
    if len(ids) > 1:
        raise InvalidArgumentError(
            f"{len(ids)} people have {named!r}; name one by id: {', '.join(sorted(ids))}"
        )
    if ids:
        return ids.pop()
    if wanted and "@" not in wanted and history(folders, user=wanted, key=key, unseal=unseal):
        return wanted
    raise NotFoundError(
        f"none of the packs holds a completion of {named!r}. Name somebody by id or e-mail, and somebody in packs "
        "without names by id, with --key-file",
        reason="USER_NOT_FOUND",
    )


def course_in(folders: Sequence[Path], named: str, key: bytes | None, unseal: Unseal | None = None) -> str:
    """The id of a course of which a pack holds completions, named by id or title. Raises NotFoundError."""
    known = {one.course_id: one.course_title or "" for one in history(folders, key=key, unseal=unseal)}
    if named.strip() in known:
        return named.strip()
    wanted = as_seen(named)
    fitting = [course_id for course_id, title in known.items() if wanted and as_seen(title) == wanted]
    if len(fitting) > 1:
        ids = "".join(f"\n  {one}" for one in fitting)
        raise InvalidArgumentError(f"{len(fitting)} courses are called {named!r}; name one by its id:{ids}")
    if not fitting:
        listed = "".join(f"\n  {course_id}  {title}" for course_id, title in known.items())
        raise NotFoundError(
            f"none of the packs holds a completion of a course {named!r}. They hold:{listed or ' nothing'}",
            reason="COURSE_NOT_FOUND",
        )
    return fitting[0]
