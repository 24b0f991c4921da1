"""Inputs of ``due`` other than the progress feed: earlier resets and completions, and input files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from training_sdk._core.text import sentence
from training_sdk.cli.session import Session
from training_sdk.client import TrainingClient
from training_sdk.errors import EvidenceError, InvalidArgumentError
from training_sdk.evidence import history, read_manifest
from training_sdk.evidence.files import Unseal
from training_sdk.local_plans.plan_records import resets_begun
from training_sdk.plans.planned import Origin
from training_sdk.plans.reading import read_origin
from training_sdk.plans.wording import number
from training_sdk.records.state import StateDirectory
from training_sdk.records.storage import read_input

Dated: TypeAlias = tuple[str, str, datetime]
"""Course id, user id, and time."""


@frozen
class Past:
    """Resets and completions of one organisation, and the records that could not be read."""

    resets: tuple[Dated, ...] = ()
    in_doubt: tuple[Dated, ...] = ()
    """Requests that may have had no effect."""
    completions: tuple[Dated, ...] = ()
    about_resets: tuple[str, ...] = ()
    """One warning for each report and journal that was skipped."""
    unread_packs: tuple[str, ...] = ()
    """One reason for each pack that was skipped."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about data that may be missing in a list made with this."""
        return (*self.about_resets, *_about_unread(self.unread_packs))


def time_at(client: TrainingClient) -> datetime:
    """Return the time of the service, or of this machine's clock if the service names none."""
    return client._driver.run(read_origin(client._calls)).time


def past_of(session: Session, client: TrainingClient) -> Past:
    """Return the records of this machine about the organisation of a client.

    A pack, report or journal that cannot be read is skipped and named in the warnings.
    """
    state = StateDirectory.existing(session.state_dir)
    if state is None:
        return Past()
    me = client.users.me()
    origin = Origin(client.base_url, me.organisation_id, me.user_id, reference_server=False)
    resets, in_doubt = resets_begun(state, origin)
    completions: list[Dated] = []
    unread: list[str] = []
    for folder in session.packs():
        try:
            completions += _completions(folder, origin, session.profile.unseal)
        except EvidenceError as error:
            unread.append(session.invocation.message_of(error))
    return Past(
        tuple((*key, when) for key, when in resets.items()),
        tuple((*key, when) for key, when in in_doubt.items()),
        tuple(completions),
        resets.warnings,
        tuple(unread),
    )


def _about_unread(reasons: Sequence[str]) -> Iterator[str]:
    """Yield one warning for all packs: there can be hundreds of encrypted ones."""
    if reasons:
        yield (
            f"{number(len(reasons), 'evidence pack')} cannot be read, so people whose earlier completion nothing else "
            f"shows may be counted as not due. The first: {reasons[0]}"
        )


def _completions(folder: Path, origin: Origin, unseal: Unseal | None) -> Iterator[Dated]:
    manifest = read_manifest(folder)
    if manifest.organisation_id == origin.organisation_id and manifest.pseudonymised is None:
        for one in history([folder], unseal=unseal):
            yield one.course_id, one.user_id, one.completed_at


LARGEST = 64 * 1024 * 1024


def read_lines(path: Path, what: str) -> list[str]:
    """Return the lines of a UTF-8 input file of limited size; a pipe such as ``<(…)`` is accepted and read once.

    Raises InvalidArgumentError if it cannot be read; ``what`` names the file in the message.
    """
    try:
        content = read_input(path, LARGEST)
        if len(content) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST // 1024**2} MiB")
        return [*StringIO(content.decode("utf-8-sig"), newline=None)]
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"{what} {path} cannot be read: it is not UTF-8 text.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidArgumentError(sentence(f"{what} {path} cannot be read: {why}")) from None
