"""Rapid refreshes as a learner may see them, and the answers to them."""

from __future__ import annotations

from mock_server.api.operation import (
    FIRST_ID,
    PAGE,
    USER,
    Call,
    Link,
    NumberedPage,
    Operation,
    numbered,
    the_one,
    users_asked,
)
from mock_server.refusal import Reason
from mock_server.rules import access
from mock_server.rules.access import Family
from mock_server.rules.rate_limits import FEW
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import DateOrNone, answer, field
from mock_server.world import clock
from mock_server.world import courses as world


@answer("A")
class RapidRefreshInList:
    """A rapid refresh in a list."""

    id: str
    title: str
    isPublished: bool
    questionCount: int
    createdDatetime: DateOrNone


@answer("A")
class RapidRefreshes(NumberedPage):
    """A page of rapid refreshes."""

    items: list[RapidRefreshInList]


@answer("A", is_component=False)
class Question:
    """A question of a rapid refresh, without the right answer."""

    id: str
    question: str
    options: list[str]


@answer("A")
class RapidRefresh(RapidRefreshInList):
    """A rapid refresh by itself."""

    questions: list[Question] = field("The right option is not shown.")


@answer("A")
class RapidRefreshAnswer:
    """An answer to a question of a rapid refresh."""

    rapidRefreshId: str
    questionId: str
    userId: str
    answer: str
    correct: bool
    answeredDateTime: DateOrNone


@answer("A")
class RapidRefreshAnswers(NumberedPage):
    """A page of answers in rapid refreshes."""

    items: list[RapidRefreshAnswer]


@Operation(
    "ListRapidRefreshes",
    "GET /training/rapid-refresh/v1",
    "A",
    Family.CATALOGUE,
    RapidRefreshes,
    per_minute=FEW,
    noun="rapid refreshes",
    parameters=PAGE,
    links=(
        Link(
            "RapidRefresh",
            "GetRapidRefresh",
            "The first rapid refresh and its questions.",
            {"rapidRefreshId": FIRST_ID},
        ),
    ),
)
def list_refreshes(call: Call) -> Response:
    """List rapid refreshes. Learners see those that are published and assigned to them."""
    found = access.visible_lists(call.actor, call.reach, call.organisation.rapid_refreshes)
    return numbered(call, RapidRefreshes, found, lambda each: RapidRefreshInList(*_shown(each)))


def _shown(refresh: world.RapidRefresh) -> tuple[str, str, bool, int, str]:
    return refresh.id, refresh.title, refresh.is_published, len(refresh.questions), refresh.created_at


@Operation(
    "GetRapidRefresh",
    "GET /training/rapid-refresh/v1/{rapidRefreshId}",
    "A",
    Family.CATALOGUE,
    RapidRefresh,
    per_minute=FEW,
    noun="rapid refreshes",
    refusals=(Reason.RAPID_REFRESH_NOT_FOUND,),
)
def get_refresh(call: Call) -> Response:
    """Show a rapid refresh and its questions."""
    seen = access.visible_lists(call.actor, call.reach, call.organisation.rapid_refreshes)
    wanted = call.path_id("rapidRefreshId")
    refresh = the_one(wanted, seen, Reason.RAPID_REFRESH_NOT_FOUND, "rapid refresh")
    questions = [Question(each.id, each.question, list(each.options)) for each in refresh.questions]
    return answers.ok(RapidRefresh(*_shown(refresh), questions))


@Operation(
    "ListRapidRefreshAnswers",
    "GET /training/analytics/v1/rapidRefresh/answers",
    "A",
    Family.ANALYTICS,
    RapidRefreshAnswers,
    parameters=(*PAGE, USER),
)
def list_answers(call: Call) -> Response:
    """List answers in rapid refreshes."""
    users, kept = users_asked(call), call.organisation.refresh_answers
    found = kept.rows if users is None else kept.of_users(sorted(call.organisation.rapid_refreshes), users)
    return numbered(call, RapidRefreshAnswers, _in_warehouse(call, found), _answer)


def _in_warehouse(call: Call, found: list[world.RefreshAnswer]) -> list[world.RefreshAnswer]:
    """Return the answers that the warehouse has; answers are added and never changed."""
    shown = call.world.warehouse_time()
    if shown is None:
        return found
    latest = clock.to_text(shown)
    return [each for each in found if each.answered_at <= latest]


def _answer(given: world.RefreshAnswer) -> RapidRefreshAnswer:
    return RapidRefreshAnswer(
        rapidRefreshId=given.refresh_id,
        questionId=given.question_id,
        userId=given.user_id,
        answer=given.answer,
        correct=given.correct,
        answeredDateTime=given.answered_at,
    )
