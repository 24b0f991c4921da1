"""What can be told of the rules by reading alone: safe on a live service."""

from __future__ import annotations

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.rules.assigned import can_learn
from training_sdk.testing.contract.rules.figures import figures_fit
from training_sdk.testing.contract.world import FEED, World, is_recorded


@check(
    "R09",
    "Whatever is recorded, the date of opening is set, so that eligibility can be read off the feed.",
    "decided",
    reads_only=True,
)
def whoever_began_has_opened(world: World) -> None:
    """Every row of the feed."""
    rows = world.rows()
    if not any(map(is_recorded, rows)):
        raise NotCheckedError("nothing is recorded of anybody")
    without = [row for row in rows if is_recorded(row) and not row["opened_at"]]
    if without:
        raise BrokenRuleError(
            f"GET {FEED}", "opened_at where anything is recorded", f"{len(without)} rows without"
        )
    world.noted = f"GET {FEED} → {len(rows)} rows, {sum(map(is_recorded, rows))} with recorded progress"


@check("R10", "Deactivated users and guests have no rows.", "reference, decided", reads_only=True)
def rows_of_learners_alone(world: World) -> None:
    """The feed beside the list of users."""
    others = {person["user_id"] for person in world.people() if not can_learn(person)}
    if not others:
        raise NotCheckedError("there is neither a guest nor anybody deactivated")
    shown = {row["user_id"] for row in world.rows()}
    if others & shown:
        raise BrokenRuleError(
            f"GET {FEED}", f"no rows of {len(others)} guests and deactivated", str(sorted(others & shown))
        )


@check("R14", "Course statistics equal what counting the rows of the feed gives.", "article", reads_only=True)
def figures_equal_the_feed(world: World) -> None:
    """Every course's."""
    figures_fit(world)


@check("R29", "Who it is comes first: 401 before any fault of the request.", "decided", reads_only=True)
def rights_come_first(world: World) -> None:
    """A feed request with a limit that is none, with a token and without."""
    fault = {"limit": "none"}
    if world.send("GET", FEED, query=fault).status != 400 or world.send("GET", FEED, "").status != 401:
        raise NotCheckedError(
            "a bad limit, or nobody, is not refused even alone, so that no order can be told"
        )
    world.send("GET", FEED, "", query=fault).expect(401)


CHECKS = (whoever_began_has_opened, rows_of_learners_alone, figures_equal_the_feed, rights_come_first)
