"""Naming the people of a reset: by id, e-mail or external id, by group or site, from a file or a data frame.

Whoever is named is matched later, against the rows of the progress feed (``resolving``). Nobody named is never
everyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import IO, Any, Literal, Self, TypeAlias

from attrs import frozen

from training_sdk._core import argument_checks
from training_sdk._core.text import mailbox
from training_sdk.errors import InvalidArgumentError

Kind: TypeAlias = Literal["user_id", "email", "external_id"]
Source: TypeAlias = str | PathLike[str] | IO[str] | IO[bytes]

LONGEST_NAME = 320
"""Of an e-mail address or an external id, in characters."""


@frozen
class Named:
    """One person as they were named, for one course or (``course_id`` None) for every course of the plan."""

    kind: Kind
    value: str
    course_id: str | None = None
    place: str = ""
    """Where it stands, for errors: ``line 3`` of a file, ``row 3`` of a data frame."""

    @property
    def key(self) -> tuple[Kind, str, str | None]:
        """What two entries that name the same person in the same way have in common."""
        return self.kind, _folded(self.kind, self.value), self.course_id

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place else ""
        return f"{self.kind.replace('_', ' ')} {self.value!r}{place}"


@frozen
class People:
    """Whom a reset is for. Made by ``of``, ``named``, ``from_csv`` or ``from_frame``; naming nobody is refused.

    ``groups`` and ``sites`` are ids or exact names. ``warnings`` tells of entries that were merged.
    """

    entries: tuple[Named, ...] = ()
    groups: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not (self.entries or self.groups or self.sites):
            raise InvalidArgumentError("nobody is named, and naming nobody never means everyone")

    @classmethod
    def of(cls, people: Iterable[str], *, name: str = "people") -> Self:
        """Name people by user id or e-mail: whatever holds an ``@`` is an e-mail.

        ``name`` is how errors call the list. Raises InvalidArgumentError for an empty list, a bare string, or what can
        be neither.
        """
        entries = [Named("email" if "@" in one else "user_id", one) for one in _given(people, name, _either)]
        if not entries:
            raise InvalidArgumentError(f"{name} is empty, and an empty list never means everyone")
        return cls._merging(entries)

    @classmethod
    def named(
        cls,
        *,
        user_ids: Iterable[str] = (),
        emails: Iterable[str] = (),
        external_ids: Iterable[str] = (),
        groups: Iterable[str] = (),
        sites: Iterable[str] = (),
    ) -> Self:
        """Name people by what each list says; groups and sites by id or exact name.

        Raises InvalidArgumentError if all of it is empty, for a bare string where a list belongs, and for entries
        that cannot be what they are said to be.
        """
        ways: tuple[tuple[Kind, Iterable[str]], ...] = (
            ("user_id", user_ids),
            ("email", emails),
            ("external_id", external_ids),
        )
        entries = [
            Named(kind, value)
            for kind, values in ways
            for value in _given(values, f"{kind}s", lambda one, name, kind=kind: checked(kind, one, name))
        ]
        return cls._merging(entries, _places(groups, "groups"), _places(sites, "sites"))

    @classmethod
    def from_csv(cls, source: Source, *, columns: Mapping[str, str] | None = None) -> Self:
        """Read people from a CSV file in UTF-8: a path, or a file that is open already.

        The header names the columns: one or more of ``user_id``, ``email`` and ``external_id``, of which every row
        fills exactly one; ``course_id``, if it is there, filled in every row; ``note``, which is ignored. ``columns``
        maps other headers to these names, as in ``{"E-Mail": "email", "Site": "note"}``. Comma, semicolon or tab is
        found by the header. Empty lines and columns are skipped, repeated people are merged with a warning.

        Raises InvalidArgumentError with every problem and its line (the first 20 are shown); an empty file is one.
        """
        from training_sdk.plans import people_file

        return cls._merging(people_file.read_csv(source, columns))

    @classmethod
    def check_csv(cls, source: Source, *, columns: Mapping[str, str] | None = None) -> list[str]:
        """Everything that keeps a CSV file from being read by ``from_csv``, each with its line; empty if nothing."""
        from training_sdk.plans import people_file

        return list(people_file.check_csv(source, columns).problems)

    @classmethod
    def csv_template(cls) -> str:
        """The header of a CSV file for ``from_csv``, to be filled in; add ``course_id`` to name a course per row."""
        from training_sdk.plans import people_file

        return people_file.TEMPLATE

    @classmethod
    def from_frame(cls, frame: Any) -> Self:
        """Read people from a pandas or polars data frame with the columns that ``from_csv`` takes.

        Missing values (None, NaN, NaT, NA) count as empty; a row that then names nobody is a problem. So is a number:
        "0012" read as one is 12, and may be somebody else. Rows are counted from 1.

        Raises InvalidArgumentError with every problem and its row (the first 20 are shown).
        """
        from training_sdk.plans import people_file

        return cls._merging(people_file.read_frame(frame))

    @classmethod
    def _merging(
        cls, named: Iterable[Named], groups: tuple[str, ...] = (), sites: tuple[str, ...] = ()
    ) -> Self:
        entries, warnings = merge(named)
        return cls(entries, groups, sites, warnings)

    @property
    def course_ids(self) -> tuple[str, ...]:
        """The courses that entries name, each once, in order."""
        return tuple(dict.fromkeys(one.course_id for one in self.entries if one.course_id is not None))


def merge(named: Iterable[Named]) -> tuple[tuple[Named, ...], tuple[str, ...]]:
    """Every entry once, and a warning for each that was repeated."""
    kept: dict[tuple[Kind, str, str | None], Named] = {}
    warnings = []
    for one in named:
        first = kept.setdefault(one.key, one)
        if first is not one:
            again = f", first in {first.place}" if first.place else ""
            warnings.append(f"{one} is named more than once{again}; counted once")
    return tuple(kept.values()), tuple(warnings)


def checked(kind: Kind, value: object, name: str) -> str:
    """What can be an id, e-mail or external id. Raises InvalidArgumentError saying why it cannot."""
    if kind == "user_id":
        return argument_checks.one_id(value, name)
    text = argument_checks.text(value, name, longest=LONGEST_NAME)
    if not text.strip():
        raise InvalidArgumentError(f"{name} is empty")
    if kind == "email" and (text.strip().count("@") != 1 or any(letter.isspace() for letter in text.strip())):
        raise InvalidArgumentError(f"{name} {text!r} is not an e-mail address")
    return text


def _folded(kind: Kind, value: str) -> str:
    return mailbox(value) if kind == "email" else value


def _either(value: object, name: str) -> str:
    return checked("email" if isinstance(value, str) and "@" in value else "user_id", value, name)


def _places(values: Iterable[str], name: str) -> tuple[str, ...]:
    found = _given(values, name, lambda one, what: argument_checks.text(one, what, longest=LONGEST_NAME))
    if blank := [one for one in found if not one.strip()]:
        raise InvalidArgumentError(f"an entry of {name} is empty: {blank[0]!r}")
    return tuple(dict.fromkeys(found))


def _given(values: object, name: str, check: Any) -> list[str]:
    """A list of texts, each checked; repeated ones stay, to be told of."""
    return [check(one, f"an entry of {name}") for one in argument_checks.listed(values, name)]
