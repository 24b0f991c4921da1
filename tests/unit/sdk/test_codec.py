"""Decoding: strict about types, tolerant of what is new, and clear about where something does not fit."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

import training_sdk
from training_sdk import (
    Course,
    CourseStatus,
    DecodingError,
    PermissionSet,
    ProgressRow,
    ProgressState,
    User,
)
from training_sdk._core import codec
from training_sdk._core.codec import structure
from training_sdk._core.model import Extra, Model, camel
from unit.sdk.fakes import answer

HERE = answer()
ROW: dict[str, Any] = {
    "course_id": "c",
    "user_id": "u",
    "opened_at": "2026-01-01T10:00:00Z",
    "completed_at": "",
    "completed_lessons": 1,
    "progress_percent": 33.3,
}
MODELS = [
    model
    for name in training_sdk._MODULES
    if isinstance(model := getattr(training_sdk, name), type) and issubclass(model, Model)
]


def read(value: object, shape: type[Any]) -> Any:
    return structure(value, shape, HERE)


# --- spellings -------------------------------------------------------------------------------------------------------


def test_both_spellings_read_the_same() -> None:
    sent = {camel(name): value for name, value in ROW.items()}
    assert "courseId" in sent
    assert read(sent, ProgressRow) == read(ROW, ProgressRow)


def test_the_two_capital_letters_of_the_live_wire_are_read() -> None:
    live = read({"id": "c", "title": "t", "LessonCount": 4, "TranslationOriginalCourse": {"id": "o"}}, Course)
    typed = read(
        {"id": "c", "title": "t", "lessonCount": 4, "translationOriginalCourse": {"id": "o"}}, Course
    )
    assert live == typed
    assert live.lesson_count == 4
    assert live.translation_original_course.id == "o"


def test_both_spellings_at_once_must_agree() -> None:
    assert read({**ROW, "userId": "u"}, ProgressRow).user_id == "u"
    with pytest.raises(DecodingError, match="duplicate field 'user_id' with different values"):
        read({**ROW, "userId": "someone else"}, ProgressRow)


# --- unknown and missing ----------------------------------------------------------------------------------------------


def test_unknown_fields_are_kept() -> None:
    found = read({**ROW, "newField": [1, {"a": None}], "extra": "a field of this very name"}, ProgressRow)
    assert found.extra == {"newField": [1, {"a": None}], "extra": "a field of this very name"}
    assert found != read(ROW, ProgressRow)


def test_known_enum_values_are_members() -> None:
    assert read({"id": "c", "title": "t", "status": "Draft"}, Course).status is CourseStatus.DRAFT
    with pytest.raises(DecodingError, match="text expected"):
        read({"id": "c", "title": "t", "status": 7}, Course)


def test_unknown_enum_values_are_kept_as_themselves() -> None:
    status = read({"id": "c", "title": "t", "status": "Retired"}, Course).status
    assert (status, type(status), status.is_known) == ("Retired", CourseStatus, False)
    for twin in (copy.copy(status), copy.deepcopy(status), pickle.loads(pickle.dumps(status))):
        assert (twin, type(twin), hash(twin), twin.is_known) == (status, CourseStatus, hash("Retired"), False)
    assert repr(CourseStatus("a\x1b\u202e")) == r"<CourseStatus.a\x1b\u202e: 'a\x1b\u202e'>"


def test_an_unknown_value_spelled_like_the_name_of_a_member_is_still_unknown() -> None:
    assert CourseStatus.DRAFT.is_known
    assert not CourseStatus("DRAFT").is_known
    assert CourseStatus("DRAFT") != CourseStatus.DRAFT


def test_a_missing_field_is_named_by_its_path() -> None:
    body = json.dumps({"totalCount": 2, "items": [{"id": "c", "title": "t"}, {"title": "t"}]}).encode()
    decode = codec.decoder(training_sdk.api.pagination._Numbered, Course)
    with pytest.raises(DecodingError, match=r"required field 'id' is missing @ \$\.items\[1\]") as caught:
        decode(answer(body=body))
    assert (caught.value.status, caught.value.request_id) == (200, "req-1")


def test_many_complaints_are_cut_short() -> None:
    with pytest.raises(DecodingError, match=r"; and 95 more\. "):
        read([{"id": 1, "title": 1}] * 50, tuple[Course, ...])


@pytest.mark.parametrize("value", [None, [], "x", 7, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_an_object_and_nothing_else(model: type[Any], value: object) -> None:
    with pytest.raises(DecodingError, match="an object expected"):
        read(value, model)


# --- strict types -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("user_id", None, "text expected, found null"),
        ("user_id", 7, "text expected, found a number"),
        ("completed_lessons", "3 of 4", "a whole number expected, found text"),
        ("completed_lessons", True, "a whole number expected, found true/false"),
        ("completed_lessons", 1.5, "a whole number expected, found a number"),
        ("completed_lessons", "NaN", "a whole number expected, found text"),
        ("progress_percent", "33 %", "a number expected, found text"),
        ("progress_percent", "Infinity", "a number expected, found text"),
        ("time_spent_seconds", "3 h", "a number expected, found text"),
        ("progress_percent", False, "a number expected, found true/false"),
        ("progress_percent", 10**400, "int too large"),
        ("opened_at", 7, "a date expected, found a number"),
        ("opened_at", "yesterday", "'yesterday' is not an RFC 3339 date"),
        ("opened_at", "2026-02-30T00:00:00Z", "is not an RFC 3339 date"),
        ("opened_at", "20260101", "is not an RFC 3339 date"),
        ("opened_at", "2026-01-01T00:00:61Z", "is not an RFC 3339 date"),
        ("opened_at", "9999-12-31t23:59:60z", "is not an RFC 3339 date"),
        ("user_email", [], "text expected, found a list"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_path(field: str, value: object, said: str) -> None:
    with pytest.raises(DecodingError) as caught:
        read({**ROW, field: value}, ProgressRow)
    assert said in caught.value.message
    assert f"$.{field}" in caught.value.message


@pytest.mark.parametrize("value", ["true", "false", 0, 1])
def test_truth_is_not_guessed(value: object) -> None:
    with pytest.raises(DecodingError, match="true or false expected"):
        read({"id": "c", "title": "t", "isPublished": value}, Course)


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert read({**ROW, "completed_lessons": 3.0}, ProgressRow).completed_lessons == 3


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(DecodingError, match="answer must be JSON"):
        codec.loads(answer(body=b'{"progress_percent": ' + text.encode() + b"}"))


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T10:00:00Z", datetime(2026, 1, 1, 10, tzinfo=UTC)),
        ("2026-01-01T10:00:00.5Z", datetime(2026, 1, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-01T10:00:00.1234567Z", datetime(2026, 1, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-01-01T10:00:00+02:00", datetime(2026, 1, 1, 10, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_dates_are_aware(text: str, expected: datetime) -> None:
    found = read({**ROW, "opened_at": text}, ProgressRow).opened_at
    assert found == expected
    assert found.utcoffset() == expected.utcoffset()


# --- what models are --------------------------------------------------------------------------------------------------

EXAMPLES = [
    read({**ROW, "new": {"a": [1]}}, ProgressRow),
    read({"id": "c", "title": "t", "status": "Odd", "translationOriginalCourse": {"id": "o"}}, Course),
    read({"identifier": {"id": "p", "name": "n"}, "permissions": {"a": True, "b": False}}, PermissionSet),
    read({"user_id": "u", "seat_type": "SUBSCRIPTION_SEAT_TYPE_LITE"}, User),
]


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: type(model).__name__)
def test_models_compare_hash_copy_and_pickle(model: Model) -> None:
    for twin in (
        copy.copy(model),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        attrs.evolve(model),
    ):
        assert twin == model
        assert hash(twin) == hash(model)
        assert repr(twin) == repr(model)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        model.extra = Extra()  # type: ignore[misc]  # the mistake under test


@pytest.mark.parametrize("model", MODELS)
def test_models_are_frozen_slotted_and_documented(model: type[Any]) -> None:
    assert attrs.has(model)
    assert "__slots__" in vars(model)
    assert model.__setattr__ is not object.__setattr__
    assert model.__doc__


def test_extra_is_read_only() -> None:
    extra = Extra({"a": 1})
    with pytest.raises(TypeError):
        extra["a"] = 2  # type: ignore[index]  # the mistake under test
    assert extra == {"a": 1}
    assert (len(extra), list(extra)) == (1, ["a"])
    assert pickle.loads(pickle.dumps(extra)) == copy.deepcopy(extra) == extra


def test_a_permission_is_allowed_only_if_it_says_true() -> None:
    found = read(
        {"identifier": {"id": "p", "name": "n"}, "permissions": {"a": True, "b": False, "c": "true"}},
        PermissionSet,
    )
    assert [found.allows(name) for name in "abcd"] == [True, False, False, False]


# --- reading a progress row -------------------------------------------------------------------------------------------

NOTHING = {"opened_at": "", "completed_at": "", "completed_lessons": 0, "progress_percent": 0}


@pytest.mark.parametrize(
    "something",
    [
        {"opened_at": "2026-01-01T00:00:00Z"},
        {"completed_at": "2026-01-01T00:00:00Z"},
        {"completed_lessons": 1},
        {"progress_percent": 0.1},
        {"score": 1},
        {"time_spent_seconds": 1},
    ],
)
def test_R09_recorded_progress_is_any_of_six_fields(something: dict[str, object]) -> None:
    nothing = read({**ROW, **NOTHING, "score": 0, "time_spent_seconds": 0}, ProgressRow)
    assert (nothing.has_recorded_progress, nothing.state) == (False, ProgressState.NOT_STARTED)
    found = read({**ROW, **NOTHING, **something}, ProgressRow)
    done = "completed_at" in something
    assert found.has_recorded_progress
    assert found.state is (ProgressState.COMPLETED if done else ProgressState.IN_PROGRESS)


@pytest.mark.parametrize(
    ("first", "last", "name"), [("A", "B", "A B"), ("A", None, "A"), ("", "B", "B"), (None, None, "")]
)
def test_a_name_is_what_the_feed_has(first: str | None, last: str | None, name: str) -> None:
    fields = {"user_first_name": first, "user_last_name": last}
    given = {key: value for key, value in fields.items() if value is not None}
    assert read({**ROW, **given}, ProgressRow).user_name == name


def test_json_cut_anywhere_is_said_to_be_cut_short() -> None:
    whole = json.dumps(
        {"a": "x\u00e9\ud83d\ude00y", "b": [-1.5e3, True, False, None, {"c": '\\n"'}]}, indent=1
    )
    for length in range(1, len(whole)):
        with pytest.raises(DecodingError) as caught:
            codec.loads(answer(body=whole[:length].encode()))
        assert caught.value.reason == codec.CUT_SHORT, whole[:length]
        assert "ended early" in str(caught.value)
    for other in ("<html>", "tru]", '{"a": "\\uZ"}', '{"a" 1}'):
        with pytest.raises(DecodingError) as caught:
            codec.loads(answer(body=other.encode()))
        assert caught.value.reason != codec.CUT_SHORT, other
        assert "Check that the base URL" in str(caught.value)
