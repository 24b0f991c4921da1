"""The people of a reset: named by id, e-mail or external id, by group or site, from a file or a data frame.

``people_lookup`` matches them later with the rows of the progress feed. An empty list never means everyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from attrs import frozen

from training_sdk._core import argument_checks
from training_sdk.errors import InvalidArgumentError
from training_sdk.plans.people_file import (
    LONGEST_NAME,
    TEMPLATE,
    Kind,
    Named,
    Source,
    check_csv,
    checked,
    merge,
    read_csv,
    read_frame,
)


@frozen
class People:
    """The people to reset. Make them with ``of``, ``named``, ``from_csv`` or ``from_frame``; never empty.

    ``groups`` and ``sites`` are ids or exact names. ``warnings`` lists entries that were merged.
    """

    entries: tuple[Named, ...] = ()
    groups: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not (self.entries or self.groups or self.sites):
            raise InvalidArgumentError(
                "No people are named, and an empty list never means everyone. Name people by id, e-mail, external id, "
                "group or site."
            )

    @classmethod
    def of(cls, people: Iterable[str], *, name: str = "people") -> Self:
        """Name people by user id or e-mail: a text with an ``@`` is an e-mail.

        ``name`` is the name of the list in errors. Raises InvalidArgumentError for an empty list, for a string in
        place of a list, and for a text that can be neither id nor e-mail.
        """
        entries = [Named("email" if "@" in one else "user_id", one) for one in _given(people, name, _either)]
        if not entries:
            raise InvalidArgumentError(
                f"{name} must not be empty: an empty list never means everyone.", argument=name
            )
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
        """Name people by user id, e-mail or external id; groups and sites by id or exact name.

        Raises InvalidArgumentError if all lists are empty, for a string in place of a list, and for entries that
        cannot be an id, e-mail or external id.
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
        """Read people from a CSV file in UTF-8.

        The header names the columns:

        - ``user_id``, ``email``, ``external_id``: At least one of them; each row fills exactly one.
        - ``course_id``: Optional; the course in which to reset the person, filled in every row.
        - ``note``: Optional and ignored.

        The header also shows whether comma, semicolon or tab separates the cells. Empty lines and columns are skipped.
        Repeated people are merged with a warning.

        Arguments:

        - ``source``: A path, or an open file.
        - ``columns``: The names above by other headers, such as ``{"E-Mail": "email", "Site": "note"}``.

        Raises InvalidArgumentError with every problem and its line (the first 20 are shown), and for an empty file.
        """
        return cls._merging(read_csv(source, columns))

    @classmethod
    def check_csv(cls, source: Source, *, columns: Mapping[str, str] | None = None) -> list[str]:
        """Return every problem that prevents ``from_csv`` from reading a CSV file, each with its line."""
        return list(check_csv(source, columns).problems)

    @classmethod
    def csv_template(cls) -> str:
        """Return the header of a CSV file for ``from_csv``; add ``course_id`` to name a course per row."""
        return TEMPLATE

    @classmethod
    def from_frame(cls, frame: Any) -> Self:
        """Read people from a pandas or polars data frame with the columns that ``from_csv`` accepts.

        Missing values (None, NaN, NaT, NA) count as empty. Rows are counted from 1. A row without a person is a
        problem. A number is a problem too: "0012" read as a number is 12, which may be the id of another person.

        Raises InvalidArgumentError with every problem and its row (the first 20 are shown).
        """
        return cls._merging(read_frame(frame))

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


def _either(value: object, name: str) -> str:
    return checked("email" if isinstance(value, str) and "@" in value else "user_id", value, name)


def _places(values: Iterable[str], name: str) -> tuple[str, ...]:
    found = _given(values, name, lambda one, what: argument_checks.text(one, what, longest=LONGEST_NAME))
    if blank := [one for one in found if not one.strip()]:
        raise InvalidArgumentError(
            f"An entry of {name} must not be empty, as {blank[0]!r} is.", argument=name
        )
    return tuple(dict.fromkeys(found))


def _given(values: object, name: str, check: Any) -> list[str]:
    """Return a list of texts, each checked; repeated ones stay, so that a warning names them."""
    return [check(one, f"an entry of {name}") for one in argument_checks.listed(values, name)]
