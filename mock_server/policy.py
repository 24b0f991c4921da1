"""The decisions that the article and the API reference leave open, as switches of a world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import Attribute, evolve, field, fields, frozen

from mock_server.behaviours import AnswerForm, Behaviour, read

_CHOICES: dict[str, tuple[str, ...]] = {
    "everyone_permission": ("Platform management: Users", "Training: Administration", "both"),
    "eligibility": ("recorded", "completed"),
    "old_certificate": ("hidden", "kept"),
    "late_writes": ("refused", "accepted"),
    "confirmation": ("required", "off"),
    "rate_limits": ("off", "published", "silent"),
    "plays": ("reference", "live", "treacherous"),
    "requests": ("strict", "lenient"),
    "absent": ("kept", "cleared"),
    "unpublished_notifications": ("none", "sent"),
    "other_feeds": ("refused", "empty"),
    "errors": ("detailed", "brief"),
}
_LARGEST_RESET = 1_000_000
_LONGEST_LAG = 7200
_LARGEST_PAGE = 1000
_NAMED: dict[str, type[Behaviour | AnswerForm]] = {"emulates": Behaviour, "answers": AnswerForm}
_NUMBERS = ("max_users_per_reset", "lag_seconds", "refresh_seconds", "default_page_size")


def _one_of_its_choices(_: object, attribute: Attribute[str], value: str) -> None:
    allowed = _CHOICES[attribute.name]
    if value not in allowed:
        raise ValueError(f"policy {attribute.name}: {value!r} is not one of {', '.join(map(repr, allowed))}")


def _a_size(_: object, attribute: Attribute[int], value: int) -> None:
    if type(value) is not int or not 1 <= value <= _LARGEST_RESET:
        raise ValueError(
            f"policy {attribute.name}: {value!r} is not a whole number from 1 to {_LARGEST_RESET}"
        )


def _a_lag(_: object, attribute: Attribute[int], value: int) -> None:
    if type(value) is not int or not 0 <= value <= _LONGEST_LAG:
        raise ValueError(f"policy {attribute.name}: {value!r} is not a whole number from 0 to {_LONGEST_LAG}")


def _a_page(_: object, attribute: Attribute[int], value: int) -> None:
    if type(value) is not int or not 1 <= value <= _LARGEST_PAGE:
        raise ValueError(
            f"policy {attribute.name}: {value!r} is not a whole number from 1 to {_LARGEST_PAGE}"
        )


def _behaviours(given: str | Iterable[str]) -> tuple[Behaviour, ...]:
    return read("emulates", Behaviour, given)


def _answer_forms(given: str | Iterable[str]) -> tuple[AnswerForm, ...]:
    return read("answers", AnswerForm, given)


@frozen
class Policy:
    """How this world decides where the sources are silent or disagree. ValueError for a value not listed."""

    everyone_permission: Literal["Platform management: Users", "Training: Administration", "both"] = field(
        default="Platform management: Users", validator=_one_of_its_choices
    )
    """R02: the permission that a reset of everyone in a course needs, or both of them."""
    eligibility: Literal["recorded", "completed"] = field(default="recorded", validator=_one_of_its_choices)
    """R09: whether any recorded progress is reset, or only completions (the API reference's wording)."""
    old_certificate: Literal["hidden", "kept"] = field(default="hidden", validator=_one_of_its_choices)
    """R19: what becomes of the certificate of a completion that is reset."""
    late_writes: Literal["refused", "accepted"] = field(default="refused", validator=_one_of_its_choices)
    """R22: a learner's write that was made before a reset and arrives after it."""
    confirmation: Literal["required", "off"] = field(default="required", validator=_one_of_its_choices)
    """R06: "off" behaves as the vendor's API is documented, for scripts written against it."""
    max_users_per_reset: int = field(default=1000, validator=_a_size)
    """R08: ids accepted in one reset, counted as sent."""
    lag_seconds: int = field(default=0, validator=_a_lag)
    """How old feed and analytics are at least, 0 to 7200 s; everything else shows the present."""
    refresh_seconds: int = field(default=0, validator=_a_lag)
    """How often feed and analytics are refreshed, 0 to 7200 s; 0 for always."""
    rate_limits: Literal["off", "published", "silent"] = field(default="off", validator=_one_of_its_choices)
    """Requests per user and minute: no limit; 200 or 800 by operation, with headers; or, as seen live, without."""
    plays: Literal["reference", "live", "treacherous"] = field(
        default="reference", validator=_one_of_its_choices
    )
    """Itself, or a live one without mark, confirmation, preview. "treacherous" is live with `ignores_user_list`."""
    requests: Literal["strict", "lenient"] = field(default="strict", validator=_one_of_its_choices)
    """Lenient: unknown fields and parameters, other content types, no User-Agent; never what a reset names (R07)."""
    absent: Literal["kept", "cleared"] = field(default="kept", validator=_one_of_its_choices)
    """R10: progress of users who are not assigned when a course is reset: it returns with them, or is cleared."""
    unpublished_notifications: Literal["none", "sent"] = field(default="none", validator=_one_of_its_choices)
    """R18: whether a reset in a course that learners cannot open (draft, archived) sends "course assigned"."""
    default_page_size: int = field(default=1000, validator=_a_page)
    """Rows on a page when the request names no size: of feeds; of the list of users at most 200, other lists 25."""
    other_feeds: Literal["refused", "empty"] = field(default="refused", validator=_one_of_its_choices)
    """The vendor's feeds that are no part of Training: refused with 501, or empty, for programs that read them all."""
    errors: Literal["detailed", "brief"] = field(default="detailed", validator=_one_of_its_choices)
    """Brief: a 403 is "Permission Denied" and names no permission; a 400 names the first field and nothing else."""
    emulates: tuple[Behaviour, ...] = field(default=(), converter=_behaviours)
    """Behaviours of a live service, named below, separated by commas; any of them implies `plays="live"`."""
    answers: tuple[AnswerForm, ...] = field(default=(), converter=_answer_forms)
    """Legal forms in which answers are written, named below, separated by commas; none for the usual form."""

    def __attrs_post_init__(self) -> None:
        if self.plays == "treacherous":
            object.__setattr__(self, "emulates", _behaviours((*self.emulates, Behaviour.IGNORES_USER_LIST)))
        if self.emulates:
            object.__setattr__(self, "plays", "live")
        if Behaviour.RESETS_COMPLETED_ONLY in self.emulates:
            object.__setattr__(self, "eligibility", "completed")

    @property
    def is_reference(self) -> bool:
        """Whether the server says what it is and offers what only it has."""
        return self.plays == "reference"

    @property
    def is_lenient(self) -> bool:
        """Whether what a request has too much, or lacks in its headers, is passed over."""
        return self.requests == "lenient"

    @property
    def asks_confirmation(self) -> bool:
        """R06: whether a reset must be confirmed."""
        return self.is_reference and self.confirmation == "required"

    @classmethod
    def choices(cls) -> str:
        """Every policy with its values, the default first, as a command line tells of them."""
        return "; ".join(f"{each.name}={_values(each)}" for each in fields(cls))

    @classmethod
    def from_pairs(cls, pairs: Iterable[str]) -> Policy:
        """Read ``name=value`` pairs, as a command line gives them. ValueError names what is allowed."""
        values: dict[str, Any] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise ValueError(f"policy {pair!r} is not of the form name=value")
            if name not in _NAMES:
                raise ValueError(f"there is no policy {name!r}; the policies are {', '.join(_NAMES)}")
            if name in values:
                raise ValueError(f"policy {name} is given twice")
            values[name] = _number(value) if name in _NUMBERS else value
        return cls().changed(values)

    def changed(self, switches: Mapping[str, Any]) -> Policy:
        """The same policy with other switches. ValueError also where they contradict what ``emulates`` implies."""
        made = evolve(self, **switches)
        for name in ("plays", "eligibility"):
            wanted, implied = switches.get(name), getattr(made, name)
            if wanted not in (None, implied, "treacherous"):
                named = ",".join(made.emulates)
                raise ValueError(
                    f"policy {name}: {wanted!r} contradicts emulates={named}, which implies {implied!r}"
                )
        return made


def _values(policy: Attribute[Any]) -> str:
    if policy.name in _NAMED:
        return f"any of {', '.join(_NAMED[policy.name])}"
    listed = _CHOICES.get(policy.name)
    if listed is None:
        return f"N (default {policy.default})"
    return "|".join(sorted(listed, key=lambda value: value != policy.default))


def _number(text: str) -> int | str:
    """A whole number where the text is one; else the text, which the field then refuses by name."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_LARGEST_RESET)) else text


_NAMES = tuple(attribute.name for attribute in fields(Policy))
