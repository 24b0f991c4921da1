"""Documents that do not fit: refused in words of the document, with the place, and nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining
from mock_server.world.codec import StateError
from mock_server.world.ledger import IdempotencyKeys

NOW = datetime(2026, 11, 30, 9, 0, 0, 123456, tzinfo=UTC)
NO_DATES = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00", "2026-01-01T00:00:00", "soon", 1, True)
TWICE = (
    *("people", "groups", "sites", "permission_sets", "courses", "paths", "collections", "rapid_refreshes"),
    *("refresh_answers", "leaderboards"),
)


def _first(document: dict[str, Any], name: str) -> list[Any]:
    found: list[Any] = document["organisations"][0][name]
    return found


def _slides(document: dict[str, Any]) -> list[Any]:
    """The slides of the first lesson that has any."""
    lessons = (lesson for each in _first(document, "courses") for lesson in each["course"]["lessons"])
    return next(lesson["slides"] for lesson in lessons if lesson["slides"])


def _webhook(organisation_id: str) -> dict[str, Any]:
    hook = {"id": "w", "url": "http://127.0.0.1:9/", "trigger_events": [], "created_at": ""}
    return {**hook, "organisation_id": organisation_id}


Damage = Callable[[dict[str, Any]], object]
DAMAGES: list[tuple[Damage, str]] = [
    (lambda d: d.update(format="other"), r"\$\.format must be one of training-mock-state, not 'other'"),
    (lambda d: d.update(version=2), r"\$\.version"),
    (lambda d: d.update(version=True), r"\$\.version must be one of 1, not True"),
    (lambda d: d.update(version=1.0), r"\$\.version must be one of 1, not 1\.0"),
    (lambda d: d.update(colour="red"), r"\$: There is no field colour in a state document"),
    (lambda d: d.pop("organisations"), r"\$.* lacks organisations"),
    (lambda d: d.update(main="role_0"), r"\$\.main: There is no organisation role_0"),
    (
        lambda d: d["organisations"][0].update(people={}),
        r"\$\.organisations\[0\]\.people must be a list",
    ),
    (
        lambda d: d["organisations"][0]["people"][3].update(seat="THRONE"),
        r"\.people\[3\]\.seat must be one of SUB",
    ),
    (
        lambda d: d["organisations"][0]["people"][3].update(notifications=1),
        r"notifications must be true or false",
    ),
    (lambda d: d["organisations"][0]["people"][3].update(permission_sets=["x"]), "no permission set x"),
    (lambda d: d["organisations"][0]["people"][3].update(organisation_id="x"), r"people\[3\] belongs to x"),
    (
        lambda d: d["organisations"][0]["courses"][0]["records"].update(x={"modified_at": "?"}),
        "must be a date with time and zone",
    ),
    (
        lambda d: d["organisations"][0]["courses"][0]["reset_at"].update(x="2026-01-01T00:00:00Z"),
        r"courses\[0\]: There is no user x",
    ),
    (lambda d: d["organisations"][0]["courses"][0]["enrolments"].clear(), r"enrolments lacks user_"),
    (lambda d: d["policy"].update(eligibility="all"), r"\$\.policy\.eligibility"),
    (lambda d: d["policy"].update(max_users_per_reset=0), r"\$\.policy: max_users_per_reset"),
    (
        lambda d: next(iter(d["tokens"].values())).update(user_id="x"),
        "There is no user x in its organisation",
    ),
    (lambda d: d["clock"].update(ahead_seconds="1"), r"\$\.clock\.ahead_seconds must be a number, not '1'"),
    (
        lambda d: d["clock"].update(ahead_seconds=1e12),
        r"\$\.clock: The clock must be in the years 1970 to 8999",
    ),
    (
        lambda d: d["clock"].update(ahead_seconds=1e300),
        r"\$\.clock: ahead_seconds sets the clock to a year after 9999",
    ),
    (
        lambda d: d["clock"].update(frozen_at="9999-12-31T00:00:00Z"),
        r"\$\.clock: The clock must be in the years 1970 to 8999",
    ),
    *(
        (lambda d, at=at: d["clock"].update(frozen_at=at), r"\$\.clock\.frozen_at must be a date")
        for at in NO_DATES
    ),
    (lambda d: d["clock"].update(ahead_seconds=float("nan")), r"\$\.clock\.ahead_seconds must be a number"),
    (lambda d: d["clock"].update(ahead_seconds=10**400), r"\$\.clock\.ahead_seconds must be a number"),
    (lambda d: _first(d, "people")[3].update(first_name="\ud800"), r"people\[3\]\.first_name must be text"),
    (lambda d: d["token_names"].update({"\ud800": "x"}), r"\$\.token_names\.\\ud800 must be text"),
    (lambda d: d.update(organisations=[{}]), r"\$\.organisations\[0\] lacks id, name"),
    (lambda d: d["organisations"][0].update(users=[]), "There is no field users in an organisation"),
    (lambda d: d["organisations"].append(d["organisations"][0]), r"\$\.organisations has role_.* twice"),
    *(
        (lambda d, name=name: _first(d, name).append(_first(d, name)[0]), rf"{name} has .* twice")
        for name in TWICE
    ),
    *(
        (
            lambda d, name=name: _first(d, "people")[3].update({name: ["x"]}),
            rf"people\[3\]: There is no {kind} x",
        )
        for kind in ("group", "site")
        for name in (f"{kind}s", f"managed_{kind}s")
    ),
    *(
        (
            lambda d, name=name: _first(d, name)[0].update(course_ids=["x"]),
            rf"{name}\[0\]: There is no course x",
        )
        for name in ("paths", "collections", "leaderboards")
    ),
    *(
        (
            lambda d, name=name: _first(d, "refresh_answers")[1].update({name: "x"}),
            r"refresh_answers\[1\]: There is no such question, or no such user",
        )
        for name in ("refresh_id", "question_id", "user_id")
    ),
    (lambda d: _slides(d)[1].update(kind="riddle"), r"slides\[1\]\.kind"),
    (lambda d: _slides(d)[1].update(right="Nobody"), r"slides\[1\]: .*two options"),
    (lambda d: _slides(d)[1].update(id=_slides(d)[0]["id"]), "slides.* twice"),
    (lambda d: d["token_names"].update(admin="other"), r"\$\.token_names\.admin: This token is not in"),
    (lambda d: d["webhooks"].append(_webhook("x")), r"\$\.webhooks\[0\]: There is no organisation x"),
    (lambda d: d["webhooks"].extend([_webhook(d["main"])] * 2), r"\$\.webhooks has w twice"),
    (lambda d: d["ids"].update(key="00"), r"\$\.ids: 'key' must match"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_a_faulty_document_is_refused_by_place_and_changes_nothing(damage: Damage, said: str) -> None:
    mock = MockTraining.demo(now=NOW)
    mark = mock.state()
    faulty = deepcopy(mark)
    damage(faulty)
    with pytest.raises(StateError, match=said):
        MockTraining.load(faulty)
    with pytest.raises(StateError, match=said):
        mock.rollback(faulty)
    assert mock.state() == mark


def test_what_is_no_document_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{]")
    with pytest.raises(StateError, match=r"x\.json is not JSON"):
        MockTraining.load(tmp_path / "x.json")
    (tmp_path / "y.json").write_text("[1]")
    with pytest.raises(StateError, match=r"\$ must be an object"):
        MockTraining.load(tmp_path / "y.json")


def test_a_document_refused_at_the_last_moment_has_changed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mock = MockTraining.demo(now=NOW)
    mark = mock.state()
    other = {**mark, "clock": {"frozen_at": "2030-01-01T00:00:00Z"}, "ids": {"key": "00" * 32}}

    def fail(*_: object) -> None:
        raise RuntimeError("late")

    monkeypatch.setattr(IdempotencyKeys, "__init__", fail)
    with pytest.raises(RuntimeError, match="late"):
        mock.rollback(other)
    monkeypatch.undo()
    assert mock.state() == mark


ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**400, 1e308, float("inf"), "", "x", "0" * 5000),
    *NO_DATES,
    *([], [[]], {}, {"x": {}}, [{}]),
)
SMALL = json.dumps(MockTraining.generate(users=1, courses=1, now=NOW).state())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_stands_anywhere_in_a_document_it_is_loaded_or_refused_in_words(data: st.DataObject) -> None:
    document = where = json.loads(SMALL)
    while True:
        key = data.draw(st.sampled_from(list(where) if isinstance(where, dict) else range(len(where))))
        if not (isinstance(where[key], dict | list) and where[key] and data.draw(st.booleans())):
            break
        where = where[key]
    where[key] = data.draw(st.sampled_from(ODD))
    said = _refusal(document)
    assert "__init__" not in said
    assert "\n" not in said


def _refusal(document: dict[str, Any]) -> str:
    try:
        MockTraining.load(document).world.snapshot()
    except StateError as refused:
        return str(refused)
    return ""
