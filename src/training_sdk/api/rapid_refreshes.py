"""Rapid refreshes: short sets of questions that belong to no course. All shapes are assumed."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from training_sdk._core import argument_checks, codec, urls
from training_sdk._core.flow import Flow, Request
from training_sdk._core.listing import Paginator
from training_sdk._core.model import Model, has_other_lists, may_omit
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.api import pagination


@frozen
class RapidRefresh(Model):
    """A rapid refresh in a list (shape assumed)."""

    id: str
    title: str = field(metadata=may_omit(""))
    is_published: bool | None = None
    question_count: int | None = None
    created_datetime: datetime | None = None


@frozen
class RapidRefreshQuestion(Model):
    """A question with its possible answers (shape assumed). The service does not show which answer is correct."""

    id: str
    question: str = field(metadata=may_omit(""))
    options: tuple[str, ...] = ()


@frozen
class RapidRefreshDetail(Model):
    """A rapid refresh with its questions, in order (shape assumed)."""

    id: str
    title: str = field(metadata=may_omit(""))
    questions: tuple[RapidRefreshQuestion, ...] = field(metadata=may_omit([], unless=has_other_lists))
    is_published: bool | None = None
    question_count: int | None = None
    created_datetime: datetime | None = None


@frozen
class RapidRefreshAnswer(Model):
    """The answer of one user to one question (shape assumed). A course reset does not change it (assumed)."""

    rapid_refresh_id: str
    question_id: str
    user_id: str
    answer: str | None = None
    correct: bool | None = None
    answered_date_time: datetime | None = None


class RapidRefreshes(Bound[D]):
    """``client.rapid_refreshes``. For the answers see ``client.analytics.rapid_refresh_answers``."""

    @listing
    def list(self) -> Paginator[RapidRefresh]:
        """List rapid refreshes. Learners see only published ones that are assigned to them.

        REST: ``GET /training/rapid-refresh/v1`` (path published, shape assumed).
        """
        return pagination.numbered_pages(
            self._calls, "/training/rapid-refresh/v1", RapidRefresh, limit="catalogue"
        )

    @operation
    def get(self, rapid_refresh_id: str) -> Flow[RapidRefreshDetail]:
        """Return one rapid refresh with its questions, in order, without the correct answers.

        REST: ``GET /training/rapid-refresh/v1/{rapidRefreshId}`` (path published, shape assumed).
        """
        path = urls.path(
            "/training/rapid-refresh/v1/{id}", id=argument_checks.one_id(rapid_refresh_id, "rapid_refresh_id")
        )
        return self._calls.call(Request("GET", path, limit="catalogue"), codec.decoder(RapidRefreshDetail))
