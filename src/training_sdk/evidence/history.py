"""Earlier completions, rebuilt from packs: the service does not show them after a reset."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from attrs import evolve, frozen

from training_sdk._core import argument_checks, codec
from training_sdk._core.codec import common_fields
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import EvidenceError, Remedy
from training_sdk.evidence.files import Unseal
from training_sdk.evidence.pack import StoredPack
from training_sdk.evidence.pseudonyms import Pseudonyms
from training_sdk.frames.methods import Rows

EVIDENCE_KEY = Remedy(
    "evidence_key", "To search it for a user, pass its key with key=…, or leave the pack out."
)


@frozen
class PastCompletion:
    """The completion of a course by a user, with the packages that prove it.

    If ``pseudonymised`` is True, ``user_id`` and the other fields about the user are pseudonyms.
    """

    course_id: str
    user_id: str
    completed_at: datetime
    course_title: str | None
    user_name: str
    user_email: str | None
    user_external_id: str | None
    score: int | float | None
    completion_expiry_date: datetime | None
    packs: tuple[str, ...]
    """The folders of the packs, in the order in which they were given."""
    pseudonymised: bool = False


def history(
    folders: Iterable[str | os.PathLike[str]],
    *,
    user: str | None = None,
    course: str | None = None,
    as_of: datetime | None = None,
    key: bytes | None = None,
    unseal: Unseal | None = None,
) -> Rows[PastCompletion]:
    """Return the completions in evidence packages, each once, in order of course, user and time.

    The result is a tuple that converts to a frame: ``history(packs).to_pandas()``.

    Arguments:

    - ``folders``: The folders of the packages.
    - ``user``: The id of a user: list only their completions.
    - ``course``: The id of a course: list only its completions.
    - ``as_of``: A datetime with a time zone: leave out later completions.
    - ``key``: The key of pseudonymised packages. It is required if ``user`` is given. With the key, or if the original
      is among the packages, a completion in the original and in its pseudonymised copy is listed once.
    - ``unseal``: A function that decrypts encrypted packages.

    Raises EvidenceError if a package is incomplete, was changed, or cannot be searched for ``user``. No package is
    skipped.
    """
    wanted, at = argument_checks.optional_id(user, "user"), argument_checks.optional_id(course, "course")
    until = None if as_of is None else argument_checks.moment(as_of, "as_of")
    names = None if key is None else Pseudonyms.of(key)
    found: dict[tuple[str, str, datetime], PastCompletion] = {}
    for source in _sources([Path(folder) for folder in folders], wanted, names, unseal):
        without_names = source.manifest.pseudonymised is not None
        asked = names.make("user", wanted) if names and wanted and without_names else wanted
        for one in _completions(source):
            if asked not in (None, one.user_id) or at not in (None, one.course_id):
                continue
            if until is not None and one.completed_at > until:
                continue
            _merge(found, one, names)
    return Rows(
        PastCompletion,
        sorted(found.values(), key=lambda one: (one.course_id, one.user_id, one.completed_at)),
    )


def _sources(
    folders: list[Path], user: str | None, names: Pseudonyms | None, unseal: Unseal | None
) -> Iterator[StoredPack]:
    sources = [StoredPack.open(folder, unseal) for folder in dict.fromkeys(folders)]
    originals = {source.manifest_sha256 for source in sources}
    for source in sources:
        made = source.manifest.pseudonymised
        if made and names is None and made.original_manifest_sha256 in originals:
            continue  # a copy, without names, of one that is read as well
        if made and names and made.key_check != names.check:
            raise EvidenceError(f"{source.folder} was pseudonymised with a different key.")
        if made and user is not None and names is None:
            raise EvidenceError(f"{source.folder} is pseudonymised.", remedy=EVIDENCE_KEY)
        yield source


def _completions(source: StoredPack) -> Iterator[PastCompletion]:
    for item in source.lines("rows.jsonl"):
        row = codec.structure_kept(item, ProgressRow)
        if row.completed_at is not None:
            found = common_fields(row, PastCompletion)
            found["completed_at"] = argument_checks.in_utc(row.completed_at)
            is_pseudonymised = source.manifest.pseudonymised is not None
            yield PastCompletion(**found, packs=(str(source.folder),), pseudonymised=is_pseudonymised)


def _merge(
    found: dict[tuple[str, str, datetime], PastCompletion], one: PastCompletion, names: Pseudonyms | None
) -> None:
    """Add a completion, or a further proof of one; the proof with names is returned for both."""
    person = names.make("user", one.user_id) if names and not one.pseudonymised else one.user_id
    where = (one.course_id, person, one.completed_at)
    known = found.get(where)
    if known is None:
        found[where] = one
        return
    better = one if known.pseudonymised and not one.pseudonymised else known
    found[where] = evolve(better, packs=(*known.packs, *one.packs))
