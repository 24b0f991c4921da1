"""The main job as a story: it ends well as a real process, and badly as soon as a rule is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from mock_server import MockTraining
from mock_server.rules import access, audit, completion, confirmation, reset
from mock_server.rules.access import Reach
from mock_server.world import progress
from training_sdk.testing import demo

PATIENCE = 120
"""Seconds after which a hanging process is given up; nothing waits for it when all is well."""

PHASES = (
    "courses of the organisation",
    "Progress in 'Forklift basics'",
    "without 'Platform management: Users'",
    "no confirmation, and one for the wrong course",
    "One learner",
    "Reading back: 0 %",
    "only the people whose completion is due",
    "completes the course again",
    "audit log",
)
CHECK = re.compile(r"^ +(ok|FAIL) +(.*?)(?: +\[(R\d\d)\])?$", re.MULTILINE)


def _told(text: str) -> list[tuple[str, str]]:
    """Every check of a story: how it ended, and its rule."""
    return [(ended, rule) for ended, _, rule in CHECK.findall(text)]


@pytest.fixture(scope="module")
def story() -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAFETYCULTURE_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "training_sdk.testing.demo"],
        capture_output=True,
        encoding="utf-8",
        env=environment | {"PYTHONUTF8": "1"},
        timeout=PATIENCE,
        check=False,
    )


def test_the_demo_ends_well_and_says_nothing_on_stderr(story: subprocess.CompletedProcess[str]) -> None:
    assert (story.returncode, story.stderr) == (0, "")
    checks = _told(story.stdout)
    assert {ended for ended, _ in checks} == {"ok"}
    assert f"All {len(checks)} checks hold" in story.stdout


def test_the_demo_tells_every_phase_in_order(story: subprocess.CompletedProcess[str]) -> None:
    headings = re.findall(r"^\d\. (.*)$", story.stdout, re.MULTILINE)
    assert len(headings) == len(PHASES)
    for heading, phase in zip(headings, PHASES, strict=True):
        assert phase in heading
    assert {"R01", "R03", "R06", "R12", "R14", "R16", "R17", "R18", "R19", "R23"} <= {
        rule for _, rule in _told(story.stdout)
    }


def test_the_demo_shows_the_phrase_the_refusals_and_the_report(
    story: subprocess.CompletedProcess[str],
) -> None:
    assert re.search(r'> reset "Forklift basics" for 1 user #[0-9a-f-]+\n', story.stdout)
    assert re.search(r'> reset "Forklift basics" for 12 users #[0-9a-f-]+\n', story.stdout)
    for said in ("PermissionDeniedError", "ConfirmationError", "428", "412", "Report: 12 reset"):
        assert said in story.stdout


def test_the_demo_resets_only_what_is_due(story: subprocess.CompletedProcess[str]) -> None:
    assert "12 due, 0 in grace" in story.stdout
    assert re.search(r"Plan to reset 12 people in .*?:\s+12\s+completed\.\n", story.stdout, re.DOTALL)
    assert "the 12 are listed as lapsed until they complete again" in story.stdout


def test_the_demo_prints_no_token(story: subprocess.CompletedProcess[str]) -> None:
    mock = MockTraining.demo()
    tokens = [str(each["token"]) for each in mock.tokens()]
    assert len(tokens) > 5
    assert not [token for token in tokens if token in story.stdout]
    assert "mock_" not in story.stdout


def _nothing(*_: Any, **__: Any) -> None:
    """What a rule does that has been forgotten."""


def _whoever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "reach", lambda *_: Reach.ALL)


def _unconfirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmation, "check", _nothing)


def _no_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other organisation sees what was listed before, of whichever organisation it was."""
    honest = access.visible_courses
    listed: list[Any] = []

    def courses(actor: Any, reach: Reach) -> list[Any]:
        for course in honest(actor, reach):
            if course not in listed:
                listed.append(course)
        return listed

    monkeypatch.setattr(access, "visible_courses", courses)


def _count_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset, "reset", _nothing)


def _tallies_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = progress.CourseProgress.restart

    def restart(self: progress.CourseProgress, *of: Any) -> None:
        kept = progress.Tally(
            self.tally.opened, self.tally.completed, self.tally.recorded, self.tally.score_sum
        )
        honest(self, *of)
        self.tally = kept

    monkeypatch.setattr(progress.CourseProgress, "restart", restart)


def _too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = reset.reset

    def thorough(world: Any, organisation: Any, course: Any, user_ids: Any, *rest: Any) -> None:
        for each in organisation.courses.values():
            table = organisation.progress[each.id]
            honest(world, organisation, each, [user for user in user_ids if user in table.records], *rest)

    monkeypatch.setattr(reset, "reset", thorough)


def _unassigning(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = reset.reset

    def and_out(world: Any, organisation: Any, course: Any, user_ids: Any, *rest: Any) -> None:
        honest(world, organisation, course, user_ids, *rest)
        if len(user_ids) > 1:
            for user_id in user_ids[1:]:
                organisation.progress[course.id].leave(user_id)

    monkeypatch.setattr(reset, "reset", and_out)


def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset, "notifications_of", lambda *_: [])


def _old_certificates_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "withdraw_certificates", _nothing)


def _no_new_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "issue_certificate", _nothing)


def _unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "done", _nothing)


def _refusals_unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "refused", _nothing)


@pytest.mark.parametrize(
    ("sabotage", "rule"),
    [
        (_whoever, "R01"),
        (_no_walls, "R03"),
        (_unconfirmed, "R06"),
        (_count_only, "R12"),
        (_tallies_stand_still, "R14"),
        (_too_much, "R16"),
        (_unassigning, "R16"),
        (_silent, "R18"),
        (_old_certificates_stay, "R19"),
        (_no_new_certificates, "R19"),
        (_unrecorded, "R23"),
        (_refusals_unrecorded, "R23"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_demo_ends_badly_when_the_server_breaks_a_rule(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sabotage: Callable[[pytest.MonkeyPatch], None],
    rule: str,
) -> None:
    sabotage(monkeypatch)
    assert demo.main() == 1
    told = capsys.readouterr().out
    assert rule in {broken for ended, broken in _told(told) if ended == "FAIL"}
    assert "checks FAILED" in told


def test_the_demo_fits_a_screen(story: subprocess.CompletedProcess[str]) -> None:
    assert max(map(len, story.stdout.splitlines())) <= 100
