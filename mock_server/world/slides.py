"""What lessons are made of, and what learners leave on it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from attrs import evolve, frozen


class SlideKind(StrEnum):
    """What a slide asks for; the values are the wire's ``slideType``."""

    CONTENT = "content"
    QUESTION = "question"
    SURVEY = "survey"


@frozen
class Slide:
    """One page of a lesson. ValueError for a question without two options, the right one among them."""

    id: str
    title: str
    """Of a question or a survey, what is asked."""
    kind: SlideKind = SlideKind.CONTENT
    options: tuple[str, ...] = ()
    """What there is to choose from; a survey without any takes text."""
    right: str = ""
    """The option that answers a question; shown to nobody."""

    def __attrs_post_init__(self) -> None:
        is_question = self.kind is SlideKind.QUESTION
        if is_question and (len(set(self.options)) < 2 or self.right not in self.options):
            raise ValueError(
                f"the question {self.title!r} needs two options or more, the right one among them"
            )


@frozen
class SlideProgress:
    """What somebody has seen and answered of one slide; absent for a slide never viewed."""

    slide_id: str
    viewed_at: str
    answer: str = ""
    answered_at: str = ""
    """"" where nothing was answered."""
    correct: bool | None = None
    """Of a question that was answered; a survey has no right answer."""


def worked_through(
    before: tuple[SlideProgress, ...], slides: Iterable[Slide], at: str, *, right: bool | None
) -> tuple[SlideProgress, ...]:
    """All of these slides viewed and their questions answered, rightly or not (None: not at all).

    What was right before stays; surveys are left for who has an opinion.
    """
    after = {each.slide_id: each for each in before}
    for slide in slides:
        seen = after.get(slide.id) or SlideProgress(slide.id, at)
        if slide.kind is SlideKind.QUESTION and right is not None and not seen.correct:
            answer = slide.right if right else next(each for each in slide.options if each != slide.right)
            seen = evolve(seen, answer=answer, answered_at=at, correct=right)
        after[slide.id] = seen
    return tuple(after.values())


def surveyed(
    before: tuple[SlideProgress, ...], slide: Slide, at: str, answer: str
) -> tuple[SlideProgress, ...]:
    """A survey answered, in the place of an earlier answer."""
    after = {each.slide_id: each for each in before}
    seen = after.get(slide.id) or SlideProgress(slide.id, at)
    after[slide.id] = evolve(seen, answer=answer, answered_at=at)
    return tuple(after.values())
