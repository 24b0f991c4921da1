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
    """The scope of a proof: one server, one organisation, one format, one way of naming people."""

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
        raise ValueError(f"{attribute.name}: no proof shows {', '.join(map(str, strange))}")


@frozen
class Proof:
    """That a reset of listed people (or of everyone) was seen to reset them and nobody else.

    ``person`` is who was reset, None where everyone of the course was; ``witnesses`` are those of whom something was
    seen to stay. ``counted`` is whether the answer said how many people it reset. ``traces`` is what it left of the row
    of the person reset; an older proof saw a row with nothing recorded. ``seen_after_seconds`` is how
    long after the request its effect was seen first; older proofs do not hold it. ``other_courses`` are those in which
    somebody who was reset was seen to keep their progress: none in a proof of an older version, which is not enough.
    ``refusals_without_effect`` are the statuses with which a request that named several people was refused, and seen to
    have reset none of them; none unless that was proved as well.
    ``completions_stayed`` is whether completions of others on the course, and of the person reset in another course,
    were seen to stay: False where nobody who was reset had completed the course, which then shows enough; None in a
    proof of an older version, which is not enough.
    ``counts_everyone`` is whether the answer to the call for everyone counted also people with nothing to reset: None
    in an older proof, where it counted nobody, or where everyone on the course had something.
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
        raise RecordsDamagedError(f"{path} is the proof of something else. Prove the format again")
    return proof


def kept_fields_at(
    find: Callable[[ProofScope], Proof | None], origin: Origin, reset_format: ResetFormat
) -> KeptFields:
    """Return what resets leave of a row there, by the proofs of both ways."""
    found = KeptFields()
    for server_side in (False, True):
        try:
            proof = find(ProofScope.of(origin, reset_format, server_side=server_side))
        except UnconfirmedFormatError:  # it does not hold any more, so it says nothing
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
