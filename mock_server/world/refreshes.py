"""Rapid refreshes: short quizzes of the organisation, which belong to no course, and what was answered in them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from mock_server.world.courses import Assigned


@frozen
class RefreshQuestion:
    """One question. ValueError without two options, the right one among them."""

    id: str
    question: str
    options: tuple[str, ...]
    right: str
    """Shown to nobody."""

    def __attrs_post_init__(self) -> None:
        if len(set(self.options)) < 2 or self.right not in self.options:
            raise ValueError(f"{self.question!r} needs two options or more, the right one among them")


@frozen
class RapidRefresh:
    """A quiz; learners see it once it is published and assigned to them."""

    id: str
    title: str
    created_at: str
    questions: tuple[RefreshQuestion, ...] = ()
    is_published: bool = True
    assigned: Assigned = field(factory=Assigned.nobody)

    def question(self, wanted: str | None) -> RefreshQuestion:
        """The question with this id or text, or else the first one; LookupError if there is none."""
        for each in self.questions:
            if wanted is None or wanted in {each.id, each.question}:
                return each
        raise LookupError(f"the rapid refresh {self.title!r} has no question {wanted or ''}".rstrip())


@frozen
class RefreshAnswer:
    """One answer of somebody; a question may be answered again later."""

    refresh_id: str
    question_id: str
    user_id: str
    answer: str
    correct: bool
    answered_at: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from all others, and puts it in its place."""
        return self.refresh_id, self.user_id, self.answered_at, self.question_id


@define(eq=False)
class RefreshAnswers:
    """All answers of an organisation, by refresh and user, the oldest first."""

    rows: list[RefreshAnswer] = field(factory=list)

    @classmethod
    def of(cls, answers: Iterable[RefreshAnswer]) -> RefreshAnswers:
        """Put them in order."""
        return cls(sorted(answers, key=lambda each: each.key))

    def add(self, answer: RefreshAnswer) -> None:
        """Take an answer in; another to the same question at the same moment is replaced."""
        at = bisect_left(self.rows, answer.key, key=lambda each: each.key)
        is_there = at < len(self.rows) and self.rows[at].key == answer.key
        self.rows[at : at + is_there] = [answer]

    def of_users(self, refreshes: Iterable[str], users: Sequence[str]) -> list[RefreshAnswer]:
        """Those of some users, who must be in order, in these refreshes, which must be too."""
        return [each for refresh in refreshes for user in users for each in self._of(refresh, user)]

    def _of(self, refresh_id: str, user_id: str) -> list[RefreshAnswer]:
        whose = (refresh_id, user_id)
        first = bisect_left(self.rows, whose, key=lambda each: each.key[:2])
        return self.rows[first : bisect_right(self.rows, whose, lo=first, key=lambda each: each.key[:2])]
