"""The script under test, as a process of its own that can be killed anywhere: a program that forks one child per job.

It reads jobs as JSON lines from standard input. For each it writes a line with the child's process id, and when the
child has ended a line with what it said, or with the signal that ended it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import anyio

from training_sdk import (
    AlreadyAppliedError,
    AsyncTrainingClient,
    ResetPlan,
    ResetReport,
    TrainingClient,
    TrainingError,
)
from training_sdk._core import drivers
from training_sdk._core.flow import Moment, Request, RunLocally
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from training_sdk.reports.report import report_of
from training_sdk.resets import recorder, reset_request
from training_sdk.safeguards import Safeguards
from warm_process import warm_up

NOBODY = 65534


class Points:
    """Every place at which the process can die or be stopped, counted as it passes them."""

    def __init__(self, fatal: int | None, stop: Callable[[], None]) -> None:
        self.fatal = fatal
        self.stop = stop
        self.passed: list[str] = []

    def at(self, name: str) -> None:
        """Pass a point, or be stopped there."""
        here = len(self.passed)
        self.passed.append(name)
        if here == self.fatal:
            self.stop()


def kill() -> None:
    """End at once, and nothing is tidied."""
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    """What Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


def terminate() -> None:
    """What whoever ends services does, to a script that handles it by an orderly exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.kill(os.getpid(), signal.SIGTERM)


scopes: list[anyio.CancelScope] = []
returned: list[ResetReport] = []
"""What a reset came to that was stopped only afterwards."""


def cancel() -> None:
    """What a server does to the task whose client has gone."""
    scopes[-1].cancel()


STOPS = {"kill": kill, "SIGINT": interrupt, "SIGTERM": terminate, "cancel": cancel}


class Time:
    """This machine's clock, moved: it runs on with the real one, and a wait takes no time but on this clock."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead
        self.waited = 0.0

    def now(self) -> Moment:
        """Both clocks."""
        real = _real_now()
        passed = timedelta(seconds=self.ahead + self.waited)
        return Moment(real.monotonic + self.waited, real.utc + passed)

    def pause(self, effect: Any) -> float:
        """Let the time pass that a wait would take, at once."""
        self.waited += effect.seconds
        return 0.0


_real_now = drivers.now


def watch_effects(points: Points, jump: dict[str, Any] | None, time: Time) -> None:
    """Pass a point before and after whatever a flow does on this machine or sends."""

    def before(effect: object) -> str | None:
        if not isinstance(effect, RunLocally | Request):
            return None
        name = effect.what if isinstance(effect, RunLocally) else f"{effect.method} {effect.path}"
        if jump is not None and name.startswith(jump["at"]) and not jump.get("done"):
            time.ahead += jump.get("seconds", 0.0)
            jump["done"] = True
            limit_files(jump.get("largest_file"))
        points.at(f"before {name}")
        return name

    def after(name: str | None, answer: Any) -> Any:
        if name is not None:
            points.at(f"after {name}")
        return answer

    sync, asynchronous = drivers.SyncDriver._perform, drivers.AsyncDriver._perform

    def perform(self: Any, effect: Any) -> Any:
        name = before(effect)
        return after(name, sync(self, effect))

    async def perform_async(self: Any, effect: Any) -> Any:
        name = before(effect)
        return after(name, await asynchronous(self, effect))

    drivers.SyncDriver._perform = perform  # type: ignore[method-assign]  # a process of its own, made for this
    drivers.AsyncDriver._perform = perform_async  # type: ignore[method-assign]  # as above


def limit_files(most: int | None) -> None:
    """Let the system refuse to let any file grow beyond so many bytes, as a full disk does."""
    if most is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def watch_calls(points: Points) -> None:
    """Pass points around whatever changes the disk; a write also half-way through."""
    write = os.write

    def halting(file: int, data: Any) -> int:
        whole = bytes(data)
        done = write(file, whole[: len(whole) // 2])
        points.at("half a write")
        return done + write(file, whole[done:])

    os.write = halting
    for name in ("fsync", "replace", "mkdir", "unlink", "ftruncate"):
        setattr(os, name, _around(points, name, getattr(os, name)))


def _around(points: Points, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def watched(*arguments: Any, **options: Any) -> Any:
        points.at(f"before {name}")
        found = call(*arguments, **options)
        points.at(f"after {name}")
        return found

    return watched


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do what a careful script does: apply; if it was begun, go on; if it came to its end, look at the report."""
    plan = ResetPlan.load(job["plan"])
    points, time = Points(job.get("die"), STOPS[job.get("by", "kill")]), Time(job.get("ahead", 0.0))
    reset_request.MOST_PER_REQUEST = recorder.MOST_PER_REQUEST = job["chunk"]  # type: ignore[attr-defined]  # what this module has imported
    drivers.now, drivers.pause = time.now, time.pause
    watch_effects(points, job.get("jump"), time)
    if job.get("watch_calls"):
        watch_calls(points)
    limit_files(job.get("largest_file"))
    if job.get("unprivileged") and os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    steps: list[str] = []
    try:
        said = _told(run(job, plan, steps))
    except TrainingError as error:
        said = {
            **_told(error.report),
            "error": type(error).__name__,
            "message": str(error),
            "reason": error.reason,
        }
    except (KeyboardInterrupt, SystemExit, CancelledError) as stop:
        said = {**_told(_account(stop) or (returned[0] if returned else None)), "error": type(stop).__name__}
    return {**said, "steps": steps, "points": points.passed}


def run(job: dict[str, Any], plan: ResetPlan, steps: list[str]) -> ResetReport:
    """Apply, or go on."""
    settings: dict[str, Any] = {
        "base_url": job["url"],
        "pace": False,
        "state_dir": job["state"],
        "max_retry_seconds": job.get("max_retry_seconds", 60),
        "timeout": job.get("timeout", 30),
        "safeguards": _safeguards(job),
    }
    order = {"confirm": plan.phrase}
    begun = {**order, "reason": "the yearly renewal", **job.get("order", {})}
    resumed = {**order, **job.get("resume", {})}
    stages: list[tuple[str, dict[str, Any]]] = [("apply", begun), ("resume", resumed)]
    for name, arguments in stages[job.get("first_stage", 0) :]:
        steps.append(name)
        with contextlib.suppress(AlreadyAppliedError):
            report: ResetReport = ask(job, settings, partial(_start, name, plan, arguments))
            return report
    steps.append("report")
    return report_file.load(StateDirectory.open(job["state"]).plan_folder(plan.digest))


def _start(name: str, plan: ResetPlan, arguments: dict[str, Any], client: Any) -> Any:
    return getattr(client.resets, name)(plan, **arguments)


def _safeguards(job: dict[str, Any]) -> Safeguards:
    lifetimes: dict[str, Any] = {name: timedelta(hours=hours) for name, hours in job.get("hours", {}).items()}
    return Safeguards(**lifetimes)


def ask(job: dict[str, Any], settings: dict[str, Any], use: Callable[[Any], Any]) -> Any:
    """Ask a client of the colour that the job names."""
    if job["colour"] == "sync":
        with TrainingClient(job["token"], **settings) as client:
            return use(client)

    async def asking() -> Any:
        async with AsyncTrainingClient(job["token"], **settings) as client:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                try:
                    returned.append(await use(client))
                    return returned[-1]
                except anyio.get_cancelled_exc_class() as stop:
                    seen.append(stop)
                    raise
            raise CancelledError from seen[
                -1
            ]  # the scope has taken the cancellation, as asyncio.timeout would

    seen: list[BaseException] = []
    return anyio.run(asking, backend=job.get("backend", "asyncio"))


class CancelledError(Exception):
    """The scope around a reset was cancelled, and what the reset raised has ended there."""


def _account(stop: BaseException | None) -> ResetReport | None:
    """The account that came with what stopped a reset, whatever that was turned into on its way here."""
    while stop is not None and report_of(stop) is None:
        stop = stop.__cause__ or stop.__context__
    return None if stop is None else report_of(stop)


def _told(report: ResetReport | None) -> dict[str, Any]:
    if report is None:
        return {"users": None}
    return {
        "users": [[user.course_id, user.user_id, str(user.outcome), user.code] for user in report.users],
        "packs": list(report.packs),
        "sent_ids": list(report.sent_ids),
        "complete": report.is_complete,
    }


def child(job: dict[str, Any], answer: int) -> NoReturn:
    """Work, say what came of it, and leave without any of the parent's affairs."""
    try:
        said = json.dumps(work(job))
    except BaseException as problem:
        said = json.dumps({"crash": f"{type(problem).__name__}: {problem}"})
    with os.fdopen(answer, "w") as out:
        out.write(said)
    os._exit(0)


def serve() -> None:
    """One child after another, until nobody asks any more; ``+`` runs several at once."""
    for line in sys.stdin:
        job = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            child(job, writing)
        os.close(writing)
        print(pid, flush=True)
        with os.fdopen(reading) as said:
            text = said.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"exit": code, **(json.loads(text) if text else {})}), flush=True)


if __name__ == "__main__":
    warm_up(("anyio._backends._asyncio", "anyio._backends._trio", "encodings.idna"))
    serve()
