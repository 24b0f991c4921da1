"""A real server in this process, real scripts as processes of their own, and what must hold whatever befalls them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock
from typing import Any, Literal, cast

from attrs import define, field

from mock_server import MockTraining, Policy
from mock_server.transports.serving import serve
from mock_server.wire.message import Request, Response
from training_sdk import ResetFormat, ResetPlan, TrainingClient
from training_sdk.evidence import packs_in, verify_pack
from training_sdk.evidence.pack import open_pack, read_manifest
from training_sdk.format_proof.proofs import ProofScope as Soil
from training_sdk.format_proof.proofs import save_proof
from training_sdk.local_plans.record_check import check_records
from training_sdk.records.audit import AuditLog, Quoted
from training_sdk.records.chain import Head
from training_sdk.records.events import EvidenceKept, Sent
from training_sdk.records.journal import read_journal
from training_sdk.records.journal_state import replay
from training_sdk.records.state import StateDirectory
from training_sdk.resets.unfinished import read_unfinished
from unit.sdk.proving import proof_of

Kind = Literal["reference", "live"]
Colour = Literal["sync", "async"]
Key = tuple[str, str]

RESET = "/training/courseprogress/v1/reset"
CHUNK = 5
LATER = timedelta(hours=4).total_seconds()
"""Beyond the 2 h that a live service may lag, the margin, and the hour for which it may work on a request."""
FOLLOWING = (
    *("record", "reset mark", "enrolment", "certificate", "notification", "audit entry", "kept answer"),
    "queued reset",
)
"""What a reset changes on the server; anything else must stand as it stood."""


@define
class Script:
    """Starts the script under test, one child after another, from one warm process."""

    _process: subprocess.Popen[str]
    pid: int = 0
    started: Event = field(factory=Event)

    @classmethod
    @contextmanager
    def ready(cls) -> Iterator[Script]:
        """A warm process, until the end of the block."""
        command, tests = [sys.executable, "-m", "faults.child"], Path(__file__).parents[1]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=tests, **pipes) as process:
            try:
                yield cls(process)
            finally:
                assert process.stdin is not None
                process.stdin.close()

    def begin(self, job: Mapping[str, Any]) -> None:
        """Start a child."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.started.clear()
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._process.stdout.readline())
        self.started.set()

    def end(self) -> dict[str, Any]:
        """Wait for it; what it said, or ``{"exit": -9}``."""
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "crash" not in said, said
        return said

    def run(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Start a child and wait for it."""
        self.begin(job)
        return self.end()

    def kill(self) -> None:
        """Kill the child that is running, and wait until it is gone."""
        self.started.wait()
        os.kill(self.pid, signal.SIGKILL)


Meddle = Callable[[Request, int, Callable[[], Response]], Response]
"""Answers a reset, given its number from 0 and the server's own way of answering."""


def _honest(request: Request, number: int, answer: Callable[[], Response]) -> Response:
    return answer()


@define
class Door:
    """What the socket leads to: a world that is changed for a new one between two tests."""

    mock: MockTraining
    meddle: Meddle = _honest
    resets: int = 0
    busy: Lock = field(factory=Lock)
    _before: tuple[int, Callable[[], None]] | None = None

    def once_before(self, number: int, do: Callable[[], None]) -> None:
        """Do something when a reset comes, before it is looked at; it may send requests of its own."""
        self._before = number, do

    def handle(self, request: Request) -> Response:
        """Answer one request; resets by way of whatever meddles with them."""
        if request.path != RESET:
            return self.mock.handle(request)
        if self._before is not None and self._before[0] == self.resets:
            (_, do), self._before = self._before, None
            do()
        with self.busy:
            number, self.resets = self.resets, self.resets + 1
            return self.meddle(request, number, lambda: self.mock.handle(request))


@define
class Field:
    """A door on a socket and a warm script, for any number of grounds one after the other."""

    door: Door
    url: str
    script: Script
    second: Script
    """For what goes on at the same time."""

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Field]:
        """Serve until the end of the block."""
        door = Door(MockTraining.generate(users=1, courses=1))
        with serve(door) as server, Script.ready() as script, Script.ready() as second:
            yield cls(door, server.url, script, second)


@define
class Ground:
    """One world, one plan over two of its courses, and one state directory."""

    at: Field
    kind: Kind
    colour: Colour
    folder: Path
    mock: MockTraining = field(init=False)
    plan: ResetPlan = field(init=False)
    before: dict[str, Any] = field(init=False)
    ahead: float = 0.0
    """Seconds by which time has passed, here and at the server."""
    excused: set[Key] = field(factory=set)
    """Whom the test itself, as a learner or an administrator, has changed on the server."""
    by_others: set[Key] = field(factory=set)
    """Whom another plan has reset."""
    verified: set[bytes] = field(factory=set)
    """Digests of the packs that verify."""

    @classmethod
    def make(cls, at: Field, kind: Kind, colour: Colour, folder: Path, *, lag: int = 0) -> Ground:
        """A fresh world with a plan for everyone in it, saved."""
        ground = cls(at, kind, colour, folder)
        plays: Any = "reference" if kind == "reference" else "live"
        ground.mock = MockTraining.generate(users=13, courses=2, policy=Policy(plays=plays))
        ground.mock.lag = timedelta(seconds=lag)
        at.door.mock, at.door.meddle, at.door.resets = ground.mock, _honest, 0
        ground.make_plan()
        if kind == "live":
            ground.prove()
        ground.before = ground.mock.state()
        return ground

    def make_plan(self) -> None:
        """Plan a reset of everyone in both courses, and save the plan."""
        with self.client() as client:
            self.plan = client.resets.plan_everyone(list(self.mock.world.main.courses))
        self.plan_file.unlink(missing_ok=True)
        self.plan.save(self.plan_file)

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.folder / "state"

    @property
    def plan_file(self) -> Path:
        """The saved plan."""
        return self.folder / "plan.json"

    @property
    def plan_folder(self) -> Path:
        """Where journal and report are."""
        return self.state / "plans" / self.plan.digest

    def emulate(self, *behaviours: str, answers: tuple[str, ...] = (), lag: timedelta = timedelta(0)) -> None:
        """Let the server do from now on what a live service may do. The plan was made, and the proof, before."""
        self.mock.world.policy = self.mock.policy.changed({"emulates": behaviours, "answers": answers})
        self.mock.lag = lag
        self.before = self.mock.state()

    def client(self) -> TrainingClient:
        """A client of the test's own."""
        return TrainingClient(
            self.mock.token("admin"), base_url=self.at.url, state_dir=self.state, pace=False
        )

    def prove(self, state: Path | None = None) -> None:
        """Let the format count as proved on this live service."""
        origin = self.plan.origin
        soil = Soil.of(origin, ResetFormat(), server_side=False)
        save_proof(StateDirectory.open(state or self.state), proof_of(soil, datetime.now(UTC)))

    def job(self, **other: Any) -> dict[str, Any]:
        """A job for the script, with what every job needs."""
        return {
            "url": self.at.url,
            "token": self.mock.token("admin"),
            "state": str(self.state),
            "plan": str(self.plan_file),
            "colour": self.colour,
            "chunk": CHUNK,
            "ahead": self.ahead,
            **other,
        }

    def start(self, **job: Any) -> dict[str, Any]:
        """Start the script and wait for its end; what the server is still busy with ends too."""
        said = self.at.script.run(self.job(**job))
        with self.at.door.busy:
            return said

    def pass_time(self, seconds: float = LATER) -> None:
        """Let time pass, here and at the server."""
        self.ahead += seconds
        self.mock.clock.advance(timedelta(seconds=seconds))

    def go_on(self, *, times: int = 3, **job: Any) -> dict[str, Any]:
        """Start the script as often as it takes, on a live service later than it lags."""
        said: dict[str, Any] = {}
        for _ in range(times):
            if self.kind == "live":
                self.pass_time()
            said = self.start(**job)
            if "error" not in said and said["exit"] == 0:
                break
        return said

    # --- what must hold ------------------------------------------------------------------------------------------

    @property
    def targets(self) -> set[Key]:
        """Whom the plan would reset."""
        return {user.key for user in self.plan.targets}

    def truth(self) -> Counter[Key]:
        """Who was reset how often, by the server's own log."""
        return Counter(
            (entry.course_id, user_id)
            for entry in self.mock.audit
            if entry.outcome == "done"
            for user_id in entry.reset_ids
        )

    def check(self, said: Mapping[str, Any]) -> dict[str, int]:
        """Hold what happened against what may happen; returns how many ended how, as the script says."""
        truth = self.truth()
        self._only_planned_and_once(truth)
        self._nothing_else_touched(truth)
        counts = self._all_accounted_for(said, truth)
        self._evidence_of(set(truth) - self.by_others)
        self._request_ids_are_known(said)
        self._records_verify()
        return counts

    def known_after_a_kill(self) -> None:
        """What the records say of an application that was cut short is true, and says what to do."""
        now = datetime.now(UTC) + timedelta(seconds=self.ahead)
        folder = self.plan_folder
        found = read_unfinished(StateDirectory.open(self.state), folder, now) if folder.exists() else None
        if found is None:
            closed = folder.exists() and replay(read_journal(folder)).closed is not None
            assert closed or not self.truth(), "people were reset, and nothing says so"
            return
        users = [[user.course_id, user.user_id, str(user.outcome), user.code] for user in found.report.users]
        said = {"users": users, "sent_ids": list(found.report.sent_ids)}
        counts = self._all_accounted_for(said, self.truth())
        self._request_ids_are_known(said)
        assert (found.requests, found.unknown) == (len(found.report.sent_ids), counts.get("unknown", 0))
        assert set(self.truth()) <= found.people_sent
        assert found.under_way is None
        assert found.advice.startswith("Resume it" if found.sent else "Nothing was sent")

    def finished(self, said: Mapping[str, Any]) -> None:
        """Everybody in the plan was reset, and is said to be."""
        counts = self.check(said)
        assert self.truth().keys() == self.targets
        assert counts.get("reset") == len(self.targets), counts
        assert said["complete"]

    def _only_planned_and_once(self, truth: Counter[Key]) -> None:
        assert truth.keys() <= self.targets, "somebody was reset who was not in the plan"
        assert set(truth.values()) <= {1}, "somebody was reset twice"
        named = {(entry.course_id, user_id) for entry in self.mock.audit for user_id in entry.user_ids}
        assert named <= self.targets, "an id was sent that is not among the plan's targets"
        assert not any(entry.everyone for entry in self.mock.audit)

    def _nothing_else_touched(self, truth: Counter[Key]) -> None:
        for change in self.mock.diff(self.before):
            assert change.kind in FOLLOWING or self.excused, change
            if change.kind == "record":
                course_id, user_id = change.key
                assert (course_id, user_id) in truth.keys() | self.excused, change

    def _all_accounted_for(self, said: Mapping[str, Any], truth: Counter[Key]) -> dict[str, int]:
        users = said.get("users")
        if users is None:
            assert not truth, f"somebody was reset, and there is no account: {said}"
            return {}
        outcomes = {(course_id, user_id): outcome for course_id, user_id, outcome, _ in users}
        assert len(outcomes) == len(users), "somebody has two outcomes"
        assert outcomes.keys() == {user.key for user in self.plan.users}, "somebody has no outcome"
        for key, outcome in outcomes.items():
            if key in self.by_others:
                continue
            if key in truth:
                assert outcome in ("reset", "unknown"), f"{key} was reset and is said to be {outcome}"
            else:
                assert outcome != "reset", f"{key} is said to be reset and was not"
        return dict(Counter(outcomes[key] for key in self.targets))

    def _evidence_of(self, reset: set[Key]) -> None:
        """Whoever was reset stands in a whole pack, as they stood, written before anything was sent."""
        events = read_journal(self.plan_folder) if reset else ()
        first_sent = next((event.at for event in events if isinstance(event, Sent)), None)
        kept = [event for event in events if isinstance(event, EvidenceKept)]
        found: set[Key] = set()
        for event in kept:
            folder = self.state / "evidence" / event.pack
            self._pack_verifies(folder, event.manifest_sha256)
            rows = open_pack(folder).rows
            found |= {key for key, row in rows.items() if row.has_recorded_progress}
        if reset:
            assert first_sent is not None
            assert read_manifest(self.state / "evidence" / kept[0].pack).read_at.last <= first_sent
        assert reset <= found, "somebody was reset without evidence"

    def _request_ids_are_known(self, said: Mapping[str, Any]) -> None:
        """The id of every request that took effect was in the journal before, and is in the report."""
        if not self.plan_folder.exists():
            return
        marked = [event.request_id for event in read_journal(self.plan_folder) if isinstance(event, Sent)]
        assert None not in marked
        assert len(set(marked)) == len(marked), "two requests have the same id"
        arrived = {
            entry.request_id
            for entry in self.mock.audit
            if {(entry.course_id, user_id) for user_id in entry.reset_ids} - self.by_others
        }
        assert arrived <= set(marked), "a request was sent whose id is not in the journal"
        if said.get("users") is not None:
            assert said["sent_ids"] == marked

    def records_agree(self) -> None:
        """What ``audit verify`` and ``evidence verify`` find is no fault, wherever a process was stopped."""
        if self.state.exists():
            found = check_records(StateDirectory.open(self.state))
            assert [str(one) for one in found if not one.is_note] == []
            packs = packs_in(self.state / "evidence") if (self.state / "evidence").exists() else ()
            known = AuditLog(self.state / "audit.jsonl").manifests()
            for pack in packs:
                self._pack_verifies(pack, known.get(pack.name))

    def _pack_verifies(self, pack: Path, manifest_sha256: str | None) -> None:
        """A pack with these names and bytes is read once, for it is looked at after each step."""
        digest = sha256(repr(manifest_sha256).encode())
        for file in sorted(pack.rglob("*")):
            content = file.read_bytes() if file.is_file() else b""
            digest.update(f"{file} {len(content)} {file.is_symlink()} ".encode() + content)
        if digest.digest() not in self.verified:
            assert verify_pack(pack, manifest_sha256=manifest_sha256) == ()
            self.verified.add(digest.digest())

    def _records_verify(self) -> None:
        """The journal is legal, the log whole and not behind what the packs quote, and all records agree."""
        self.records_agree()
        if not self.plan_folder.exists():
            return
        replay(read_journal(self.plan_folder))
        log = AuditLog(self.state / "audit.jsonl")
        folders = [path.parent for path in (self.state / "evidence").glob("*/manifest.json")]
        packs = [Quoted(each.name, cast(Head, read_manifest(each).audit_log)) for each in folders]
        assert [str(one) for one in log.verify(packs) if not one.is_note] == []
