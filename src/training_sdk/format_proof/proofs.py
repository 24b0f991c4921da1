"""Proofs of the reset of a live service, stored in the state directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

import attrs
from attrs import Attribute, field, frozen

from training_sdk.errors import RecordsDamagedError, UnconfirmedFormatError
from training_sdk.plans.planned import Origin
from training_sdk.plans.reset_effect import NO_KEPT_FIELDS, KeptFields
from training_sdk.records import storage
from training_sdk.records.in_flight import processing_time_of
from training_sdk.records.state import StateDirectory
from training_sdk.reset_format import ResetFormat

Way = Literal["listed", "everyone"]

PROVABLE = (400, 403, 404)
"""The statuses of a refusal that may be about one of the people; others are about the request, or about later."""


@frozen
class ProofScope:
    """The scope of a proof: one server, organisation, format, and way (listed people, or everyone on the course)."""

    base_url: str
    organisation_id: str
    format: ResetFormat
    way: Way

    @classmethod
    def of(cls, origin: Origin, reset_format: ResetFormat, *, server_side: bool) -> ProofScope:
        """Return the scope of resets at this origin."""
        way: Way = "everyone" if server_side else "listed"
        return cls(origin.base_url, origin.organisation_id, reset_format, way)

    @property
    def name(self) -> str:
        """The name of its file: the same for the same scope, and for no other."""
        text = json.dumps(attrs.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


Ground = ProofScope
"""The earlier name of ``ProofScope``."""


def _provable(_: object, attribute: Attribute[tuple[int, ...]], value: tuple[int, ...]) -> None:
    if strange := [status for status in value if status not in PROVABLE]:
        raise ValueError(f"{attribute.name}: no proof shows {', '.join(map(str, strange))}.")


@frozen
class Proof:
    """The proof that a reset of listed people (or of everyone) reset these people and no other person.

    - ``ground``: The server, organisation, format and way that it is valid for.
    - ``proved_at``, ``proved_by``: The time in UTC, and the user id of the owner of the token.
    - ``course_id``: The test course.
    - ``person``: The user id of the person who was reset; None if everyone on the course was.
    - ``witnesses``: The user ids of the control persons, whose progress was seen to stay.
    - ``counted``: True if the answer contained the number of people who were reset.
    - ``traces``: The fields of a row that a reset keeps; in an older proof, none.
    - ``seen_after_seconds``: The time from the request until the effect was first seen; None in an older proof.
    - ``other_courses``: The other courses in which a person who was reset kept their progress; empty in a proof of an
      older version, which is not enough.
    - ``refusals_without_effect``: The statuses of refusals of several people that were seen to reset none of them;
      empty unless that was proved too.
    - ``completions_stayed``: True if completions of other people, and of the person in another course, were seen to
      stay. False if the person had not completed the course, which is enough. None in a proof of an older version,
      which is not enough.
    - ``counts_everyone``: True if the answer to the call for everyone also counted people with nothing to reset; None
      if that is not known.
    """

    ground: ProofScope
    proved_at: datetime
    proved_by: str
    course_id: str
    person: str | None
    witnesses: tuple[str, ...]
    counted: bool
    traces: KeptFields = NO_KEPT_FIELDS
    seen_after_seconds: float | None = None
    other_courses: tuple[str, ...] = ()
    refusals_without_effect: tuple[int, ...] = field(default=(), validator=_provable)
    completions_stayed: bool | None = None
    counts_everyone: bool | None = None

    @property
    def seen_after(self) -> timedelta:
        """The time from the request until its effect was first seen; zero in an older proof."""
        return processing_time_of(self.seen_after_seconds or 0.0)


def find_proof(state: StateDirectory, ground: ProofScope) -> Proof | None:
    """Return the proof for this scope on this machine, or None. Raises RecordsDamagedError if the file was changed."""
    path = state.path / "proofs" / f"{ground.name}.json"
    proof = storage.read_document(path, Proof)
    if proof is not None and proof.ground != ground:
        raise RecordsDamagedError(
            f"{path} is the proof of another scope. Nothing was sent. Prove the format again."
        )
    return proof


def kept_fields_at(
    find: Callable[[ProofScope], Proof | None], origin: Origin, reset_format: ResetFormat
) -> KeptFields:
    """Return what resets leave of a row there, by the proofs of both ways."""
    found = KeptFields()
    for server_side in (False, True):
        try:
            proof = find(ProofScope.of(origin, reset_format, server_side=server_side))
        except UnconfirmedFormatError:  # it is no longer valid, so it proves nothing
            continue
        found = found if proof is None else found.joined(proof.traces)
    return found


def save_proof(state: StateDirectory, proof: Proof) -> None:
    """Store a proof, in place of an earlier one for the same scope."""
    storage.write_document(state.proofs / f"{proof.ground.name}.json", proof)


def withdraw_proof(state: StateDirectory, ground: ProofScope) -> bool:
    """Withdraw the proof for this scope, which a later attempt has refuted; return whether there was one."""
    path = state.proofs / f"{ground.name}.json"
    with storage.writing(path):
        if not path.exists():
            return False
        path.unlink()
        storage.sync_folder(path.parent)
    return True
