"""What a live service may do beside writing answers in its own way: by name, drawn for each schedule."""

from __future__ import annotations

from random import Random

RESETS = (
    "refuses after a part",
    "ignores the course",
    "resets strangers",
    "queues resets",
    "keeps opened_at",
    "keeps the score",
    "resets completed people only",
)
"""How it carries resets out."""
ANSWERS = ("an empty answer", "a null answer", "an answer that is a list", "an answer without a count", "204")
"""What it answers to a reset; one at most."""
READS = (
    "moves opened_at",
    "caps page sizes",
    "ends feeds early",
    "lacks a lesson",
    "lacks statistics",
    "lacks rows with nothing recorded",
)
"""What its readings show."""
BEHAVIOURS = (*RESETS, *ANSWERS, *READS)
DAMAGES = frozenset({"ignores the course", "resets strangers"})
"""Those that reset somebody who is in no plan."""
COUNTLESS = frozenset({*ANSWERS, "refuses after a part"})
"""Those whose answers do not say how many people were reset, so that strangers show in a proof alone."""
REFUSALS = (404, 403, 400, 429)


def draw_behaviours(random: Random, first: str) -> frozenset[str]:
    """This one, and perhaps another that goes with it."""
    drawn = [first, *random.sample(BEHAVIOURS, random.choice([0, 0, 1]))]
    answers = [each for each in drawn if each in ANSWERS]
    return frozenset(each for each in drawn if each not in answers[1:])
