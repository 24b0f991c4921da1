"""The faults of the table: each is arranged on a ground, and the script is started until nothing more can be done.

A row is a function; its docstring is what the table says of the fault. It returns what each start of the script said.
"""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from attrs import evolve

from faults.ground import CHUNK, LATER, Ground, Key
from mock_server.wire.message import Request, Response
from mock_server.world.people import Status
from training_sdk import ResetPlan

Said: TypeAlias = dict[str, Any]
Row: TypeAlias = Callable[[Ground], list[Said]]
ROWS: dict[str, Row] = {}
NOBODY = 65534


def row(function: Row) -> Row:
    """Put a fault into the table."""
    ROWS[function.__name__] = function
    return function


def again(ground: Ground, said: Said, **job: Any) -> list[Said]:
    """What was said, and what going on says, without what made it stop."""
    return [said, ground.go_on(**job)]


@row
def nothing(ground: Ground) -> list[Said]:
    """none, for comparison"""
    return [ground.start()]


@row
def killed(ground: Ground) -> list[Said]:
    """kill −9 right after the server carried out the second request; so at every write and every act"""

    def meddle(request: Request, number: int, answer: Callable[[], Response]) -> Response:
        said = answer()
        if number == 1:
            ground.at.script.kill()
        return said

    ground.at.door.meddle = meddle
    return again(ground, ground.start())


@row
def killed_while_resuming(ground: Ground) -> list[Said]:
    """the same while it resumes after a lost answer; what `report` shows then is true"""
    ground.mock.faults.add("drop", operation="ResetCourseProgress", when="after")
    said = ground.start()
    if ground.kind == "live":
        ground.pass_time()

    def meddle(request: Request, number: int, answer: Callable[[], Response]) -> Response:
        said = answer()
        if number == 2:
            ground.at.script.kill()
        return said

    ground.at.door.meddle = meddle
    killed = ground.start()
    assert killed["exit"] != 0
    ground.known_after_a_kill()
    return [said, killed, ground.go_on()]


@row
def disk_full_for_evidence(ground: Ground) -> list[Said]:
    """the disk is full while evidence is written"""
    return again(ground, ground.start(largest_file=4096))


@row
def disk_full_for_the_journal(ground: Ground) -> list[Said]:
    """the disk is full when the journal or the log grows, between two requests"""
    said = ground.start(jump={"at": "journal: answered", "largest_file": 64})
    return again(ground, said)


@row
def evidence_read_only(ground: Ground) -> list[Said]:
    """the evidence directory is read-only"""
    evidence = ground.state / "evidence"
    evidence.mkdir(parents=True, exist_ok=True)
    own(ground, NOBODY)
    evidence.chmod(0o500)
    said = ground.start(unprivileged=True)
    evidence.chmod(0o700)
    both = again(ground, said, unprivileged=True)
    own(ground, os.geteuid())
    return both


def own(ground: Ground, user: int) -> None:
    """Give the state directory to the user who works on it next: the script's, or the one who runs the tests."""
    ground.state.chmod(0o700)
    if os.geteuid() == 0:
        for path in (ground.state, *ground.state.rglob("*")):
            os.chown(path, user, user)
        ground.plan_file.chmod(0o644)


@row
def dropped_before(ground: Ground) -> list[Said]:
    """the connection drops before the server carries out the second request"""
    ground.mock.faults.add("drop", operation="ResetCourseProgress", after=1)
    return again(ground, ground.start())


@row
def dropped_after(ground: Ground) -> list[Said]:
    """the connection drops after the server has carried out the second request"""
    ground.mock.faults.add("drop", operation="ResetCourseProgress", after=1, when="after")
    return again(ground, ground.start())


@row
def answer_cut(ground: Ground) -> list[Said]:
    """the answer to the second request breaks off in the middle"""
    ground.mock.faults.add("cut", operation="ResetCourseProgress", after=1)
    return again(ground, ground.start())


@row
def storm(ground: Ground) -> list[Said]:
    """a storm of 429 over every other request, resets too"""
    ground.mock.faults.add("rate_limited", times=None, probability=0.5, seconds=3)
    said = ground.start()
    ground.mock.faults.clear()
    ground.pass_time(600)  # more than it has waited
    return again(ground, said)


@row
def endless_storm(ground: Ground) -> list[Said]:
    """429 to every reset, for longer than the client tries"""
    ground.mock.faults.add("rate_limited", operation="ResetCourseProgress", times=None, after=1, seconds=30)
    said = ground.start()
    ground.mock.faults.clear()
    return again(ground, said)


@row
def error_on_reading(ground: Ground) -> list[Said]:
    """503 on one reading in three"""
    for operation in ("ListTrainingCourseProgress", "GetUserLessonProgress", "ListCourses"):
        ground.mock.faults.add("error", operation=operation, times=None, probability=0.33)
    said = ground.start()
    ground.mock.faults.clear()
    return again(ground, said)


@row
def error_on_who_am_i(ground: Ground) -> list[Said]:
    """503 to every other request that asks whose token it is"""
    ground.mock.faults.add("error", operation="WhoAmI", times=None, probability=0.5)
    said = ground.start()
    ground.mock.faults.clear()
    return again(ground, said)


@row
def error_before(ground: Ground) -> list[Said]:
    """500 to the second request, which was not carried out"""
    ground.mock.faults.add("error", operation="ResetCourseProgress", after=1, status=500)
    return again(ground, ground.start())


@row
def error_after(ground: Ground) -> list[Said]:
    """502 to the second request, which was carried out"""
    ground.mock.faults.add("error", operation="ResetCourseProgress", after=1, status=502, when="after")
    return again(ground, ground.start())


@row
def refused_by_a_gateway(ground: Ground) -> list[Said]:
    """a gateway answers 403 to the second request, which was carried out"""

    def meddle(request: Request, number: int, answer: Callable[[], Response]) -> Response:
        said = answer()
        return Response(403, (), b'{"message": "not from here"}') if number == 1 else said

    ground.at.door.meddle = meddle
    return again(ground, ground.start())


@row
def refused_after_a_part(ground: Ground) -> list[Said]:
    """429 to the second request, of whose people two were reset"""

    def meddle(request: Request, number: int, answer: Callable[[], Response]) -> Response:
        if number != 1:
            return answer()
        document = json.loads(request.body)
        document["userIds"] = document["userIds"][:2]
        said = ground.mock.handle(
            evolve(request, body=json.dumps(document).encode(), headers=_for_two(request))
        )
        assert said.status == 200
        return Response(429, (("retry-after", "1"),), b'{"message": "later"}')

    ground.at.door.meddle = meddle
    said = ground.start()
    ground.pass_time()  # the reference server is read back at once, and knows no part of a request
    return again(ground, said)


def _for_two(request: Request) -> tuple[tuple[str, str], ...]:
    """The headers of a reset, as they would be for two people."""
    return tuple(
        (
            name,
            json.dumps({**json.loads(value), "users": 2}) if name.lower() == "reset-confirmation" else value,
        )
        for name, value in request.headers
    )


@row
def token_revoked(ground: Ground) -> list[Said]:
    """the token is revoked half-way, and a new one given afterwards"""
    before = ground.mock.state()["tokens"]
    ground.mock.faults.add("token_revoked", operation="ResetCourseProgress", after=1)
    said = ground.start()
    document = ground.mock.state()
    document["tokens"] = before
    ground.mock.rollback(document)
    ground.excused |= {("", "")}
    return again(ground, said)


@row
def users_deactivated(ground: Ground) -> list[Said]:
    """two people are deactivated between the first and the second request"""
    gone = [user.user_id for user in ground.plan.targets_in(ground.plan.courses[0].id)[-2:]]

    def meddle(request: Request, number: int, answer: Callable[[], Response]) -> Response:
        said = answer()
        if number == 0:
            for user_id in gone:
                ground.mock.world.update_user(user_id, status=Status.DEACTIVATED)
                ground.excused |= {user.key for user in ground.plan.users if user.user_id == user_id}
        return said

    ground.at.door.meddle = meddle
    return again(ground, ground.start())


def _let_somebody_complete(ground: Ground) -> None:
    """Once the first request has been answered."""
    learner = _in_the_middle(ground)

    def meddle(request: Request, number: int, answer: Callable[[], Response]) -> Response:
        said = answer()
        if number == 0:
            ground.mock.world.complete_course(*learner)
            ground.excused.add(learner)
        return said

    ground.at.door.meddle = meddle


@row
def learner_completes(ground: Ground) -> list[Said]:
    """a learner completes a course while it is being reset, before their turn"""
    _let_somebody_complete(ground)
    return again(ground, ground.start())


@row
def learner_completes_tolerated(ground: Ground) -> list[Said]:
    """the same, where the order tolerates one who moves"""
    _let_somebody_complete(ground)
    return [ground.start(order={"tolerance": 1})]


def _in_the_middle(ground: Ground) -> Key:
    """Somebody of the second request and the first course who has not completed."""
    users = ground.plan.targets_in(ground.plan.courses[0].id)[CHUNK:]
    return next(user.key for user in users if user.completed_at is None)


@row
def learner_begins_again(ground: Ground) -> list[Said]:
    """a learner begins anew after their reset, whose answer was lost"""
    first = ground.plan.targets[0].key
    ground.mock.faults.add("drop", operation="ResetCourseProgress", when="after")
    said = ground.start()
    ground.pass_time(600)  # within five minutes of the request the clocks of both sides may differ
    ground.mock.world.complete_course(*first)
    ground.excused.add(first)
    return again(ground, said)


@row
def lagging(ground: Ground) -> list[Said]:
    """the feed lags by two hours, and the answer to the second request is lost"""
    ground.mock.lag = timedelta(hours=2)
    ground.before = ground.mock.state()
    ground.mock.faults.add("drop", operation="ResetCourseProgress", after=1, when="after")
    said = ground.start()
    ground.pass_time(60)
    if ground.kind == "reference":  # which knows what it was sent before, however late its feed
        return again(ground, said)
    early = ground.start()
    assert not early["complete"], "nobody can know this early"
    ground.check(early)
    return [said, early, ground.go_on()]


@row
def two_runs(ground: Ground) -> list[Said]:
    """a second run of the plan on the same machine while the first is at work"""
    others: list[Said] = []
    ground.at.door.once_before(1, lambda: others.append(ground.at.second.run(ground.job())))
    said = ground.start()
    return [*others, said]


@row
def run_elsewhere(ground: Ground) -> list[Said]:
    """the plan is applied once more on another machine, which knows nothing of the first time"""
    said = ground.start()
    elsewhere = ground.folder / "elsewhere"
    if ground.kind == "live":
        ground.prove(elsewhere)
    return [ground.start(state=str(elsewhere)), said]


@row
def two_plans(ground: Ground) -> list[Said]:
    """another plan over the same people is to be carried out here before the second request"""
    path = _other_plan(ground)

    def meanwhile() -> None:
        said = ground.at.second.run(ground.job(plan=str(path), order={"tolerance": CHUNK}))
        assert said["error"] == "OverlappingPlanError"

    ground.at.door.once_before(1, meanwhile)
    return again(ground, ground.start())


@row
def two_plans_on_two_machines(ground: Ground) -> list[Said]:
    """another plan over the same people, tolerating that some have moved, is carried out elsewhere before the second
    request"""
    path = _other_plan(ground)
    elsewhere = ground.folder / "elsewhere"
    if ground.kind == "live":
        ground.prove(elsewhere)

    def meanwhile() -> None:
        before = ground.truth()
        said = ground.at.second.run(
            ground.job(plan=str(path), order={"tolerance": CHUNK}, state=str(elsewhere))
        )
        assert said["complete"] is False
        ground.by_others |= (ground.truth() - before).keys()
        assert len(ground.by_others) > 0

    ground.at.door.once_before(1, meanwhile)
    return again(ground, ground.start())


def _other_plan(ground: Ground) -> Path:
    with ground.client() as client:
        other: ResetPlan = client.resets.plan_everyone(ground.plan.courses[0].id)
    path = ground.folder / "other.json"
    other.save(path)
    return path


@row
def clock_ahead(ground: Ground) -> list[Said]:
    """this machine's clock jumps four hours ahead while the result of a request is unknown"""
    ground.mock.faults.add("drop", operation="ResetCourseProgress", after=1, when="after")
    said = ground.start()
    jumped = ground.start(ahead=ground.ahead + LATER)
    return [said, jumped, ground.go_on()]


@row
def clock_back(ground: Ground) -> list[Said]:
    """this machine's clock jumps a day back between two requests"""
    said = ground.start(jump={"at": "journal: answered", "seconds": -86_400.0})
    return again(ground, said)


@row
def clock_forward(ground: Ground) -> list[Said]:
    """this machine's clock jumps five hours ahead between two requests"""
    said = ground.start(jump={"at": "journal: answered", "seconds": 18_000.0})
    return again(ground, said)
