"""Breaking R06: what confirms a reset."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mock_server.api import resets
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import confirmation
from unit.sdk.contract_kit.faulty_server import (
    LISTED,
    altered,
    breaks,
    changed,
    entered,
    handler_of,
    nothing,
    replaces,
)

UNTRUE = ("R06-untrue-confirmation", "R06-untrue-confirmation-of-everyone")
MALFORMED = "R06-malformed-confirmation"
MANY = 1_000_000
ANYTHING = confirmation.Confirmation("whatever it is", -7)
"""What a header that is taken by mistake is read as."""

Fits = Callable[[str, int, str, int], bool]
"""Asked with the title and number that are said, and then with those that are true."""


@breaks("R06-no-confirmation", *UNTRUE)
def no_confirmation_is_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(confirmation, "check", nothing)


@replaces(confirmation, "check", "R06-no-confirmation")
def everyone_is_reset_without(honest: Any, given: Any, title: str, users: int) -> None:
    if given is not None or users <= LISTED:
        honest(given, title, users)


def _taken(patch: pytest.MonkeyPatch, fits: Fits) -> None:
    """An untrue confirmation is taken where it fits."""
    honest = confirmation.check

    def check(given: Any, title: str, users: int) -> None:
        if given is None or not fits(given.course_title, given.users, title, users):
            honest(given, title, users)

    patch.setattr(confirmation, "check", check)


@breaks("R06-untrue-confirmation")
def lists_need_no_true_number(patch: pytest.MonkeyPatch) -> None:
    _taken(patch, lambda said, _, title, users: said == title and users <= LISTED)


@breaks("R06-untrue-confirmation-of-everyone")
def everyone_needs_no_true_number(patch: pytest.MonkeyPatch) -> None:
    _taken(patch, lambda said, _, title, users: said == title and users > LISTED)


@breaks("R06-untrue-confirmation")
def lists_need_no_true_title(patch: pytest.MonkeyPatch) -> None:
    _taken(patch, lambda _, number, __, users: number == users <= LISTED)


@breaks("R06-untrue-confirmation-of-everyone")
def everyone_needs_no_true_title(patch: pytest.MonkeyPatch) -> None:
    _taken(patch, lambda _, number, __, users: number == users > LISTED)


TITLES: dict[str, Callable[[str, str], bool]] = {
    "letter_case_does_not_matter": lambda said, title: said.casefold() == title.casefold(),
    "space_behind_does_not_matter": lambda said, title: said.rstrip() == title,
    "space_before_does_not_matter": lambda said, title: said.lstrip() == title,
    "characters_without_width_do_not_matter": lambda said, title: said.replace("\u200b", "") == title,
    "the_width_of_characters_does_not_matter": lambda said, title: _narrow(said) == title,
    "the_last_character_does_not_matter": lambda said, title: said == title[:-1],
    "the_first_character_is_enough": lambda said, title: said == title[:1],
    "no_title_is_as_good": lambda said, _: not said,
}
NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "one_too_many_is_taken": lambda said, users: said == users + 1,
    "two_too_many_are_taken": lambda said, users: said == users + 2,
    "one_too_few_is_taken": lambda said, users: said == users - 1,
    "none_is_taken_for_any": lambda said, users: said == 0 < users,
    "a_million_is_taken_for_any": lambda said, _: said == MANY,
}


def _narrow(text: str) -> str:
    return "".join(chr(ord(each) - 0xFEE0) if "\uff01" <= each <= "\uff5e" else each for each in text)


def _enter_title(name: str, alike: Callable[[str, str], bool]) -> None:
    def fits(said: str, number: int, title: str, users: int) -> bool:
        return number == users and said != title and alike(said, title)

    entered(name, lambda patch: _taken(patch, fits), *UNTRUE)


def _enter_number(name: str, near: Callable[[int, int], bool]) -> None:
    def fits(said: str, number: int, title: str, users: int) -> bool:
        return said == title and near(number, users)

    entered(name, lambda patch: _taken(patch, fits), *UNTRUE)


for _name, _alike in TITLES.items():
    _enter_title(_name, _alike)
for _name, _near in NUMBERS.items():
    _enter_number(_name, _near)


def _refusing(patch: pytest.MonkeyPatch, says: Callable[[str, int], tuple[str, dict[str, str]]]) -> None:
    """A refusal that says something else."""
    honest = confirmation.check

    def check(given: Any, title: str, users: int) -> None:
        try:
            honest(given, title, users)
        except RefusedError as refusal:
            if refusal.reason is Reason.CONFIRMATION_MISMATCH:
                raise RefusedError(refusal.reason, *says(title, users)) from None
            raise

    patch.setattr(confirmation, "check", check)


@breaks(*UNTRUE)
def the_true_title_is_not_told(patch: pytest.MonkeyPatch) -> None:
    _refusing(patch, lambda _, users: (f"It is {users} users.", {"users": str(users)}))


@breaks("R06-untrue-confirmation")
def the_true_number_is_not_told(patch: pytest.MonkeyPatch) -> None:
    _refusing(patch, lambda title, _: (f'The course is "{title}".', {"courseTitle": title}))


FORMS: dict[str, Callable[[Sequence[str]], bool]] = {
    "a_word_confirms": lambda headers: headers == ["yes"],
    "a_list_confirms": lambda headers: headers == ["[]"],
    "true_is_a_number": lambda headers: _one(headers).get("users") is True,
    "a_text_is_a_number": lambda headers: _one(headers).get("users") == "1",
    "further_keys_are_dropped": lambda headers: "force" in _one(headers),
    "a_title_is_enough": lambda headers: _one(headers).keys() == {"courseTitle"},
    "the_last_of_two_confirms": lambda headers: len(headers) == 2 and '"users": 1' in headers[1],
    "the_first_of_two_confirms": lambda headers: len(headers) == 2 and '"users": 1' in headers[0],
}


def _one(headers: Sequence[str]) -> dict[str, Any]:
    value = json.loads(headers[0]) if len(headers) == 1 and headers[0].startswith("{") else {}
    return value if isinstance(value, dict) else {}


def _read(patch: pytest.MonkeyPatch, fits: Callable[[Sequence[str]], bool]) -> None:
    """A header that is not of its form confirms anything where it fits."""
    honest, asked = confirmation.read, confirmation.check
    patch.setattr(confirmation, "read", lambda headers: ANYTHING if fits(headers) else honest(headers))
    patch.setattr(
        confirmation, "check", lambda given, *true: None if given is ANYTHING else asked(given, *true)
    )


def _enter_malformed(name: str, fits: Callable[[Sequence[str]], bool]) -> None:
    entered(name, lambda patch: _read(patch, fits), MALFORMED)


for _name, _form in FORMS.items():
    _enter_malformed(_name, _form)


@breaks("R06-no-confirmation")
def unconfirmed_everyone_loses_their_attempts(patch: pytest.MonkeyPatch) -> None:
    """The 428 is there, and so are the rows of the feed."""
    _spoilt_by_428(patch, attempts=(), lessons=())


@breaks("R06-no-confirmation")
def unconfirmed_everyone_loses_their_posts(patch: pytest.MonkeyPatch) -> None:
    """Which nothing but the state document shows."""
    _spoilt_by_428(patch, posts=(), submissions=())


def _spoilt_by_428(patch: pytest.MonkeyPatch, **lost: Any) -> None:
    def handler(call: Any) -> Any:
        try:
            return handler_of(resets.NAME)(call)
        except RefusedError as refusal:
            if refusal.reason is Reason.CONFIRMATION_REQUIRED:
                changed(call.organisation, call.body["courseId"], **lost)
            raise

    altered(patch, resets.NAME, handler=handler)
