"""Legal forms of an answer: ``Policy(answers=…)``. The recorded answers have each form as it is sent."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from mock_server import MockTraining, Policy
from mock_server.policy import AnswerForm
from training_sdk import TrainingClient
from unit.mock_server.core.speaker import COURSES, Speaker, course_id

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


def test_in_the_form_nulls_an_empty_list_is_null() -> None:
    admin = Speaker(MockTraining.demo(now=NOW, policy=Policy(answers="nulls")))
    assert admin.get(COURSES, "courseIds=nowhere").json == {"totalCount": None, "items": None}


@pytest.mark.parametrize("form", list(AnswerForm))
def test_the_sdk_reads_every_form_as_the_same(form: AnswerForm) -> None:
    """But for the form that writes other scores."""

    def read(policy: Policy) -> object:
        mock = MockTraining.demo(now=NOW, policy=policy)
        with (
            httpx.Client(transport=mock.transport()) as http,
            TrainingClient(mock.token("admin"), http_client=http) as client,
        ):
            course = course_id(mock)
            rows = client.progress.list(course_id=course)
            lessons = [client.analytics.lesson_progress(row.user_id, course_id=course) for row in rows]
            scoreless = form is AnswerForm.FRACTIONAL_SCORES
            return [
                (
                    row.course_id,
                    row.user_id,
                    row.opened_at,
                    row.completed_at,
                    row.due_at,
                    scoreless or row.score or 0,
                )
                for row in rows
            ], [
                (each.lesson_id, each.completed, each.completed_date_time)
                for several in lessons
                for each in several
            ]

    assert read(Policy(answers=form)) == read(Policy())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("xml", "answers must be names out of proto3, .*untitled_drafts, not 'xml'\\.$"),
        ("proto3,nulls", "only one of proto3 and nulls"),
        ("no_date_1970,no_date_year_1", "only one of no_date_year_1 and no_date_1970"),
    ],
)
def test_an_unknown_form_is_an_error_that_lists_the_known_ones(given: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"{message}"):
        Policy(answers=given)


def test_a_reference_server_stays_one_in_every_form() -> None:
    mock = MockTraining.demo(policy=Policy(answers="proto3"))
    assert mock.policy.is_reference
    assert "x-training-mock" in Speaker(mock).get(COURSES).headers
