"""The same schedules by command line: each step is a process of ``training-sdk``, and some are killed in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from attrs import define, field

from e2e.training_sdk_process import Done
from opponent.network import Fault
from opponent.schedule import LATER, TOKEN, Account, Schedule
from opponent.service import RESET
from training_sdk import Outcome, TrainingClient

COMMAND = Path(__file__).with_name("command.py")
NOTHING_SENT = (2, 3, 4, 8, 130)
"""The exit codes that say that this command has sent nothing, or that nothing could be sent."""
OUTSIDE = 10
"""The exit code that says that somebody outside the plan may have been reset."""
PATIENCE = 120


@define
class ByCommand(Schedule):
    """A schedule whose plans are applied, resumed, reported and verified by command line."""

    most_plans: int = 1
    _process: subprocess.Popen[str] | None = field(default=None)

    def choose_fault(self, method: str, path: str) -> Fault:
        """Draw what befalls a request; at some resets the process that sends them is killed."""
        is_killed = path == RESET and "resets strangers" not in self.does and self.random.random() < 0.3
        if is_killed and not self.quiet and self._process is not None:
            self._process.kill()
            self._process.wait()
            self.story.append("killed at a reset")
            return Fault(self.random.choice(["lost before", "lost after"]))
        return super().choose_fault(method, path)

    def file(self, name: str) -> Path:
        """Where a plan is saved."""
        return self.folder.parent / f"{name.replace(' ', '-')}.json"

    def run(self, *arguments: str) -> Done:
        """Run a command to its end, or until it is killed; what it has waited passes for the service too."""
        waited = self.folder.parent / "waited"
        waited.write_text("0")
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SAFETYCULTURE_", "TRAINING_"))
        }
        self._process = subprocess.Popen(
            [
                *(sys.executable, str(COMMAND), str(self.hours.passed.total_seconds()), *arguments),
                *("--profile", "none", "--base-url", self.url, "--state-dir", str(self.folder)),
            ],
            env={**clean, "SAFETYCULTURE_API_TOKEN": TOKEN, "WAITED": str(waited)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = self._process.communicate(timeout=PATIENCE)
        finally:
            self._process.kill()
        done = Done(self._process.returncode, out, err)
        self._process = None
        self.hours.wait(timedelta(seconds=float(waited.read_text())))
        self.story.append(f"{' '.join(arguments[:2])}: {done.code}, {err.strip()[-300:]}")
        return done

    def begin(self, client: TrainingClient, name: str, tolerance: int, per_request: int | None) -> None:
        """Apply a plan."""
        plan = self.plans[name]
        plan.save(self.file(name))
        more = ["--per-request", str(per_request)] if per_request else []
        self.send("apply", name, "--reason", "yearly", "--tolerance", str(tolerance), *more)

    def resume(self, client: TrainingClient, name: str) -> None:
        """Resume a plan, where there is anything to resume."""
        self.service.run = name
        self.send("resume", name)

    def send(self, command: str, name: str, *options: str) -> None:
        """Apply or resume, and hold exit code and report against what the service has done."""
        before = self.service.resets
        done = self.run(
            command, str(self.file(name)), "--confirm", self.plans[name].phrase, "--json", *options
        )
        if done.code in NOTHING_SENT:
            assert self.service.resets == before, (done, "a request was sent")
        self.check_strangers(name, done)
        if done.code < 0:
            self.report(name)

    def check_strangers(self, name: str, done: Done) -> None:
        """Every command about a plan that has reached others ends with 10."""
        outside = any(effect.run == name and not effect.is_listed for effect in self.service.ledger)
        assert (done.code == OUTSIDE) is outside, done

    def report(self, name: str) -> None:
        """Read what became of everyone."""
        done = self.run("report", str(self.file(name)), "--json")
        if done.code == 2:
            assert not any(effect.run == name for effect in self.service.ledger), (name, done)
            return
        self.check_strangers(name, done)
        document = done.document
        self.accounts[name] = Account(
            {(one["course_id"], one["user_id"]): Outcome(one["outcome"]) for one in document["users"]},
            document["complete"],
            document["reached_others"],
        )
        if done.code == 0 and document["complete"]:
            reset = {key for key, outcome in self.accounts[name].outcomes.items() if outcome is Outcome.RESET}
            assert reset == {user.key for user in self.plans[name].targets}
        self.check_everybody_is_accounted_for()

    def settle(self, client: TrainingClient, name: str) -> None:
        """Resume without faults, hours later; then verify, and read the report."""
        self.hours.wait(LATER)
        self.resume(client, name)
        self.hours.wait(LATER)
        self.report(name)
        done = self.run("verify", str(self.file(name)), "--json", "--deadline", "1m")
        self.check_strangers(name, done)
        account = self.accounts.get(name)
        if done.code == 0:
            assert account is not None
            assert {account.outcomes[user.key] for user in self.plans[name].targets} == {Outcome.RESET}
            cleared = {effect.key for effect in self.service.ledger if effect.run == name}
            assert cleared >= {user.key for user in self.plans[name].targets}, (name, done)
