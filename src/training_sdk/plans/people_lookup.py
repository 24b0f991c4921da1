"""The lookup of named people: the user ids of a plan, with everyone found, and only those named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar

from attrs import define, field, frozen

from training_sdk._core.flow import Flow
from training_sdk._core.listing import Calls, Paginator
from training_sdk._core.model import Key
from training_sdk._core.text import mailbox, opening, same_text, widely
from training_sdk.api.groups import Group, Site, group_members, list_groups, list_sites, site_members
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import InvalidArgumentError, NotFoundError, Remedy
from training_sdk.plans.people import People
from training_sdk.plans.people_file import Kind, Named
from training_sdk.plans.wording import few, shown

Rows: TypeAlias = Mapping[str, Mapping[str, ProgressRow]]
Members: TypeAlias = Mapping[str, frozenset[str]]
"""User ids by group or site, as they were given; see ``member_key``."""
Place: TypeAlias = Literal["group", "site"]
P = TypeVar("P", Group, Site)

MOST_LISTED = 20
SKIP_UNASSIGNED = Remedy(
    "skip_unassigned", "skip_unassigned=True leaves people out of the courses that they are not in."
)

_LIKENESS = 0.8
_MANGLED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
_LIKE_AN_ID = re.compile(r"(role_|location_|site_)?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


@frozen
class Resolved:
    """The user ids found, by course: never empty, and an entry, a group or a site names each of them."""

    by_course: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = ()
    unassigned: tuple[Key, ...] = ()
    """The people named who are in another course of the plan, and so were left out of this one."""


def resolve(people: People, rows: Rows, members: Members, *, skip_unassigned: bool = False) -> Resolved:
    """Match people against the feed's rows by course and user, and groups and sites by their ``member_ids``.

    E-mails are compared without regard to the case of ASCII letters and to white space around them, everything else
    exactly. Entries without a course are for every course in ``rows``, and so are groups and sites.

    With ``skip_unassigned`` a person without a row in one of the courses is left out there, and in none is an error.

    Raises NotFoundError (``USER_NOT_IN_COURSE``) naming everyone who cannot be found, and InvalidArgumentError for a
    name that fits two people, a course that is not in ``rows``, a course for which no person is named, and a group or
    site none of whose members is in a course.
    """
    if not rows:
        raise InvalidArgumentError("There is no course to find people in.")
    if strange := [one for one in people.entries if one.course_id is not None and one.course_id not in rows]:
        named = opening(_listed(f"course {one.course_id!r} of {one}" for one in strange))
        raise InvalidArgumentError(
            f"{named}: the plan does not have this course. Add it to the plan, or remove the entry."
            if len(strange) == 1
            else f"{named}: the plan does not have these courses. Add them to the plan, or remove the entries."
        )
    search = _Search(rows, skip_unassigned)
    for one in people.entries:
        search.add_named(one)
    search.refuse_what_went_wrong()
    for label in _labels(people):
        search.add_members(label, members[label])
    if empty := [course_id for course_id, found in search.found.items() if not found]:
        raise InvalidArgumentError(f"No people are named for {_listed(f'course {one!r}' for one in empty)}.")
    by_course = {course_id: tuple(found) for course_id, found in search.found.items()}
    taken = {(course_id, user_id) for course_id, users in by_course.items() for user_id in users}
    unassigned = tuple(key for key in dict.fromkeys(search.unassigned) if key not in taken)
    return Resolved(by_course, (*people.warnings, *search.warnings), unassigned)


def member_key(kind: Place, given: str) -> str:
    """Return the key of a group's or site's members: both may have the same name."""
    return f"{kind} {given!r}"


def _labels(people: People) -> Iterator[str]:
    yield from (member_key("group", one) for one in people.groups)
    yield from (member_key("site", one) for one in people.sites)


# --- matching -----------------------------------------------------------------------------------------------------


@define
class _Search:
    """The people found so far, by course and in order, and the problems."""

    rows: Rows
    skip_unassigned: bool = False
    found: dict[str, dict[str, Named | str]] = field(init=False)
    """Users by course, each with the entry that found them first."""
    ids: dict[Kind, dict[str, set[str]]] = field(init=False)
    missing: list[tuple[Named, str]] = field(factory=list)
    unassigned: list[Key] = field(factory=list)
    ambiguous: list[str] = field(factory=list)
    warnings: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.found = {course_id: {} for course_id in self.rows}
        self.ids = {"user_id": {}, "email": {}, "external_id": {}}
        for course in self.rows.values():
            for user_id, row in course.items():
                self.ids["user_id"].setdefault(user_id, set()).add(user_id)
                if row.user_email:
                    self.ids["email"].setdefault(mailbox(row.user_email), set()).add(user_id)
                if row.user_external_id:
                    self.ids["external_id"].setdefault(row.user_external_id, set()).add(user_id)

    def add_named(self, one: Named) -> None:
        """Find a person, in the course of the entry or in every course."""
        fitting = self.ids[one.kind].get(one.key[1], set())
        if len(fitting) > 1:
            self.ambiguous.append(f"{one} ({', '.join(map(repr, sorted(fitting)))})")
            return
        for course_id in self.rows if one.course_id is None else (one.course_id,):
            user_id = next((each for each in fitting if each in self.rows[course_id]), None)
            if user_id is None and fitting and self.skip_unassigned:
                self.unassigned.append((course_id, next(iter(fitting))))
            elif user_id is None:
                self.missing.append((one, course_id))
            else:
                self._keep(course_id, user_id, one)

    def add_members(self, label: str, user_ids: frozenset[str]) -> None:
        """Add the members of a group or site who are in a course; a warning counts the others."""
        for course_id, course in self.rows.items():
            inside = [user_id for user_id in course if user_id in user_ids]
            if not inside:
                if not user_ids:
                    raise InvalidArgumentError(
                        f"{opening(label)} has no members, as far as this token sees. Nothing was planned."
                    )
                raise InvalidArgumentError(
                    f"None of the members of {label} ({len(user_ids)}) is in course {course_id!r}, as far as this "
                    "token sees. Nothing was planned."
                )
            if left := len(user_ids) - len(inside):
                be = "is" if left == 1 else "are"
                self.warnings.append(
                    f"{left} of the {len(user_ids)} members of {label} {be} not in course {course_id!r} and {be} left "
                    "out."
                )
            for user_id in inside:
                self.found[course_id].setdefault(user_id, label)

    def _keep(self, course_id: str, user_id: str, one: Named) -> None:
        first = self.found[course_id].setdefault(user_id, one)
        if first is not one:
            self.warnings.append(
                f"{opening(str(one))} is the same person as {first} in course {course_id!r}. The person counts once."
            )

    def refuse_what_went_wrong(self) -> None:
        """Raise for names that match several people, or none."""
        if self.ambiguous:
            raise InvalidArgumentError(
                f"More than one person fits {_listed(self.ambiguous)}. Nothing was planned. Name them by user id."
            )
        if not self.missing:
            return
        several = len(self.rows) > 1
        elsewhere = {one for one, _ in self.missing if self.ids[one.kind].get(one.key[1])}
        named = _listed(
            dict.fromkeys(
                f"{one}{f' in course {course!r}' if several and (one.course_id or one in elsewhere) else ''}"
                for one, course in self.missing
            )
        )
        raise NotFoundError(
            f"{opening(named)} cannot be found: unknown, deactivated, not assigned to the course, or outside the "
            f"teams that this token sees. Nothing was planned.{self._hints()}",
            reason="USER_NOT_IN_COURSE",
            metadata=tuple((one.kind, one.value) for one, _ in self.missing),
            remedy=SKIP_UNASSIGNED if elsewhere else None,
        )

    def _hints(self) -> str:
        """Return a likely cause: a similar mailbox, or a spreadsheet that changed external ids."""
        alike = {widely(address): address for address in self.ids["email"]}
        for one, _ in self.missing:
            other = alike.get(widely(one.value))
            if one.kind == "email" and other and other != mailbox(one.value):
                why = "letter case is ignored for ASCII letters only."
                if same_text(mailbox(one.value), other):
                    why = "one has composed and one decomposed letters. Copy the address from the service."
                return f" {one.value!r} is not {other!r}: {why}"
        if hint := self._hint_of_names() or self._hint_of_addresses():
            return hint
        given = [one.value for one, _ in self.missing if one.kind == "external_id"]
        known = {value.strip().lstrip("0") for value in self.ids["external_id"]}
        if mangled := next((value for value in given if _MANGLED.fullmatch(value.strip())), None):
            return f" {mangled!r} looks like a number that a spreadsheet has shortened. Format the column as text."
        if bare := next((value for value in given if value.strip().lstrip("0") in known), None):
            return (
                f" {bare!r} differs from an external id in the course by leading zeros or white space only."
            )
        return ""

    def _hint_of_names(self) -> str:
        """Return a hint if people were named by their names."""
        names = {shown(row.user_name) for course in self.rows.values() for row in course.values()}
        for one, _ in self.missing:
            if one.kind == "user_id" and (shown(one.value) in names or " " in one.value.strip()):
                return f" Names such as {one.value!r} are not accepted. Name people by user id, e-mail or external id."
        return ""

    def _hint_of_addresses(self) -> str:
        """Return the most similar e-mail in these courses; the part before the ``@`` must be similar, too."""
        from difflib import SequenceMatcher, get_close_matches  # only who has mistyped needs them

        def before_at(one: str, other: str) -> float:
            return SequenceMatcher(None, one.partition("@")[0], other.partition("@")[0]).ratio()

        for one, _ in self.missing:
            if one.kind == "email" and not self.ids["email"].get(one.key[1]):
                alike = get_close_matches(one.key[1], self.ids["email"], cutoff=_LIKENESS)
                near = [address for address in alike if before_at(one.key[1], address) >= _LIKENESS]
                if near:
                    return (
                        f" The e-mail in these courses that is most similar to {one.value!r} is {near[0]!r}."
                    )
        return ""


def _listed(parts: Iterable[str]) -> str:
    return few(parts, MOST_LISTED)


# --- groups and sites ---------------------------------------------------------------------------------------------


def member_ids(calls: Calls, people: People) -> Flow[Members]:
    """Return the user ids of every group and site named; send nothing if there is none.

    At most two feeds each are read; the one with the names only if an id alone is not enough. A site's members are
    its own, not those of its sub-sites.

    Raises NotFoundError for an unknown group or site, and InvalidArgumentError, listing the ids, for a name that
    several have.
    """
    in_groups = yield from _members(
        "group",
        people.groups,
        list_groups(calls),
        lambda ids: group_members(calls, ids),
        lambda member: (member.group_id, member.user_id),
    )
    in_sites = yield from _members(
        "site",
        people.sites,
        list_sites(calls),
        lambda ids: site_members(calls, ids),
        lambda member: (member.site_id, member.member_id),
    )
    return {**in_groups, **in_sites}


M = TypeVar("M")


def _members(
    kind: Place,
    given: Sequence[str],
    catalogue: Paginator[P],
    walk: Callable[[Sequence[str]], Paginator[M]],
    pair: Callable[[M], tuple[str, str]],
) -> Flow[dict[str, frozenset[str]]]:
    if not given:
        return {}
    plain = all(_LIKE_AN_ID.fullmatch(one) for one in given)
    known: Sequence[Group | Site] = () if plain else (yield from catalogue.gather())
    ids = {one: one for one in given} if plain else _identified(kind, given, known)
    found = _grouped(map(pair, (yield from walk(tuple(ids.values())).gather())))
    if plain and any(one not in found for one in given):
        # An id without members may be an empty group, an unknown one, or a name that looks like an id.
        known = yield from catalogue.gather()
        ids = _identified(kind, given, known)
        if any(one not in found for one in ids.values()):
            found = _grouped(map(pair, (yield from walk(tuple(ids.values())).gather())))
    _refuse_a_site_of_sites(ids, found, [one for one in known if isinstance(one, Site)])
    return {member_key(kind, one): frozenset(found.get(ids[one], ())) for one in given}


def _refuse_a_site_of_sites(
    ids: Mapping[str, str], found: Mapping[str, set[str]], catalogue: Sequence[Site]
) -> None:
    """Raise for a site without members of its own that has sub-sites, naming them."""
    for given, site_id in ids.items():
        below = [] if found.get(site_id) else _sites_below(site_id, catalogue)
        if below:
            named = _listed(f"{one.name!r} ({one.id})" for one in below)
            raise InvalidArgumentError(
                f"Site {given!r} has no members of its own, and those of its sub-sites do not count as its members. "
                f"Nothing was planned. Name the sub-sites: {named}."
            )


def _sites_below(site_id: str, catalogue: Sequence[Site]) -> list[Site]:
    """Return the sub-sites of a site and their sub-sites; a circle of parents is followed once."""
    seen, found, waiting = {site_id}, list[Site](), [site_id]
    while waiting:
        parent = waiting.pop(0)
        children = [
            one for one in catalogue if one.parent_id == parent and one.id not in seen and not one.deleted
        ]
        seen |= {one.id for one in children}
        found += children
        waiting += [one.id for one in children]
    return found


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for place, user_id in pairs:
        found.setdefault(place, set()).add(user_id)
    return found


def _alike(unknown: Iterable[str], names: Iterable[str]) -> str:
    """Return a hint with the names that are similar to the given ones."""
    from difflib import get_close_matches  # only who has mistyped needs it

    folded = {name.casefold(): name for name in names}
    near = {folded[one]: None for each in unknown for one in get_close_matches(each.casefold(), folded)}
    return f" Similar names: {_listed(map(repr, map(shown, near)))}." if near else ""


def _identified(kind: Place, given: Sequence[str], catalogue: Sequence[Group | Site]) -> dict[str, str]:
    """Return the id of each that was given by id or exact name; an id is looked up first."""
    known = {one.id for one in catalogue}
    named: dict[str, dict[str, None]] = {}
    for one in catalogue:
        if not (isinstance(one, Site) and one.deleted):  # deleted sites are found by their id only
            named.setdefault(one.name, {})[one.id] = None  # a row may come twice
    fitting = {one: [one] if one in known else [*named.get(one, ())] for one in given}
    if unknown := [one for one, ids in fitting.items() if not ids]:
        raise NotFoundError(
            f"There is no {kind} {_listed(map(repr, unknown))} in this organisation. Give an id or the exact name."
            f"{_alike(unknown, named)}",
            reason=f"{kind.upper()}_NOT_FOUND",
            metadata=tuple((kind, one) for one in unknown),
        )
    if several := {one: ids for one, ids in fitting.items() if len(ids) > 1}:
        said = "; ".join(f"{one!r} is the name of {', '.join(ids)}" for one, ids in several.items())
        raise InvalidArgumentError(f"More than one {kind} has the name: {said}. Name it by its id.")
    return {one: ids[0] for one, ids in fitting.items()}
