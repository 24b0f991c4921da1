"""Naming people in a call: by id, e-mail, external id, group and site; nobody is never everyone."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from training_sdk import InvalidArgumentError, Named, People


def test_an_at_sign_makes_an_email() -> None:
    people = People.of(["user_1", "Zoë@example.test"])
    assert people.entries == (Named("user_id", "user_1"), Named("email", "Zoë@example.test"))
    assert (people.groups, people.sites, people.warnings) == ((), (), ())


def test_people_are_named_by_what_each_list_says() -> None:
    people = People.named(
        user_ids=["u"], emails=["a@b.test"], external_ids=["0012 "], groups=["Crew", "Crew"], sites={"s"}
    )
    assert [(one.kind, one.value) for one in people.entries] == [
        ("user_id", "u"),
        ("email", "a@b.test"),
        ("external_id", "0012 "),
    ]
    assert (people.groups, people.sites) == (("Crew",), ("s",))
    assert People.named(groups=["Crew"]).entries == ()


def test_somebody_named_twice_counts_once_and_is_told_of() -> None:
    people = People.of(["a@b.test", "A@B.test ", "u", "u"])
    assert [one.value for one in people.entries] == ["a@b.test", "u"]
    assert len(people.warnings) == 2
    assert "'A@B.test '" in people.warnings[0]
    # External ids are compared exactly: these are two people.
    assert len(People.named(external_ids=["nw-1", "NW-1"]).entries) == 2


NOBODY: list[Callable[[], object]] = [
    People,
    lambda: People.of([]),
    lambda: People.of(iter(())),
    People.named,
    lambda: People.named(user_ids=[], emails=(), groups=[]),
]


@pytest.mark.parametrize("name", NOBODY)
def test_naming_nobody_is_refused(name: Callable[[], object]) -> None:
    with pytest.raises(InvalidArgumentError, match="never means everyone"):
        name()


@pytest.mark.parametrize(
    "wrong",
    [
        "user_1",
        b"user_1",
        None,
        7,
        [None],
        [7],
        [""],
        [" "],
        [".."],
        ["a/b"],
        ["a b@c.test"],
        ["a@b@c"],
        ["\n"],
    ],
)
def test_what_can_be_nobody_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="people"):
        People.of(wrong)


@pytest.mark.parametrize("name", ["user_ids", "emails", "external_ids", "groups", "sites"])
@pytest.mark.parametrize(
    "wrong", ["bare", b"bare", None, 7, [None], [True], [""], ["  "], ["x" * 400], ["a\nb"]]
)
def test_every_list_is_checked(name: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        People.named(**{name: wrong})


def test_an_email_without_an_at_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"emails must be an e-mail address, not 'user_1'"):
        People.named(emails=["user_1"])


def test_people_are_plain_frozen_data() -> None:
    people = People.named(emails=["a@b.test"], groups=["Crew"])
    assert pickle.loads(pickle.dumps(people)) == copy.deepcopy(people) == people
    assert hash(people) == hash(copy.copy(people))
    assert str(Named("external_id", "NW-1", place="line 3")) == "external id 'NW-1' (line 3)"
