"""``doctor``: every difference between a service and what the SDK expects is found and named."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from mock_server import MockTraining, Policy
from training_sdk import TrainingClient
from training_sdk._core.flow import Response
from training_sdk.cli import main
from training_sdk.cli.commands.doctor import Wire, check_wire, rights
from training_sdk.cli.commands.doctor_checks import (
    CheckResult,
    Severity,
    check_address,
    check_clock,
    check_identity,
    check_machine,
    check_rights,
)
from training_sdk.errors import OutcomeUnknownError
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory
from unit.sdk.test_read_only import operations

Change = Callable[[Any], None]
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


def wire(
    *, token: Any = "admin", path: str = "", change: Change | None = None, policy: Policy | None = None
) -> Wire:
    """The demo organisation, with the answers of one path changed on their way."""
    mock = MockTraining.demo() if policy is None else MockTraining.demo(policy=policy)
    inner = mock.transport()

    def handle(request: httpx.Request) -> httpx.Response:
        answer = inner.handle_request(request)
        answer.read()
        if change is None or request.url.path != path:
            return answer
        document = json.loads(answer.content)
        change(document)
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        return httpx.Response(answer.status_code, headers=headers, content=json.dumps(document).encode())

    http = httpx.Client(transport=httpx.MockTransport(handle))
    return Wire(TrainingClient(mock.token(token), http_client=http, read_only=True))


def found(of: Wire) -> dict[str, CheckResult]:
    me = of.identity().me
    return {check.subject: check for check in check_wire(of, me.user_id)}


def test_the_reference_server_differs_in_nothing() -> None:
    checks = found(wire())
    assert {check.standing for check in checks.values()} <= {Severity.OK, Severity.NOTE}
    assert checks["courses"].standing is checks["progress feed"].standing is Severity.OK
    assert checks["lessons of a course"].standing is Severity.OK


def test_every_listing_that_takes_no_more_than_oneself_is_asked_for() -> None:
    asked = wire()
    me = asked.identity().me.user_id
    listings = [
        call(**{name: me for name in inspect.signature(call).parameters if name == "user_id"})
        for name, call in operations(asked.client)
        if name not in ("webhooks.list", "collections.courses")
        and str(inspect.signature(call).return_annotation).startswith("Listing[")
    ]
    assert len(listings) > 20
    list(check_wire(asked, me))
    paths = {name.partition(" ")[2] for name, _ in asked.answers}
    assert {listing._walk.first.request.path for listing in listings} - paths == set()


def each(name: str, value: Any, *, of: str = "items") -> Change:
    def change(document: Any) -> None:
        for item in document[of]:
            item[name] = value

    return change


def without(name: str, *, of: str = "items") -> Change:
    def change(document: Any) -> None:
        for item in document[of]:
            del item[name]

    return change


FEED = "/training/v1/feed/training-course-progress"


@pytest.mark.parametrize(
    ("path", "change", "subject", "standing", "said"),
    [
        (
            "/training/courses/v1",
            each("colour", "red"),
            "courses",
            Severity.WARNING,
            "unknown fields: colour",
        ),
        ("/training/courses/v1", each("status", "Frozen"), "courses", Severity.WARNING, "status = 'Frozen'"),
        (
            "/training/courses/v1",
            without("locale"),
            "courses",
            Severity.WARNING,
            "are always missing: locale",
        ),
        (
            "/training/courses/v1",
            lambda it: it.update(hint=1),
            "courses",
            Severity.WARNING,
            "around the items: hint",
        ),
        ("/training/courses/v1", without("id"), "courses", Severity.ERROR, "'id' is missing"),
        (FEED, each("score", "high", of="data"), "progress feed", Severity.ERROR, "not what the SDK expects"),
        (FEED, each("mood", 1, of="data"), "progress feed", Severity.WARNING, "unknown fields: mood"),
        (FEED, lambda it: it["data"].clear(), "progress feed", Severity.NOTE, "readable and empty"),
        (
            "/training/courses/v1",
            each("TranslationOriginalCourse", {"id": "x", "externalId": "y", "tone": 1}),
            "courses",
            Severity.WARNING,
            "translation_original_course.tone",
        ),
    ],
)
def test_names_differences(path: str, change: Change, subject: str, standing: Severity, said: str) -> None:
    check = found(wire(path=path, change=change))[subject]
    assert check.standing is standing, check
    assert said in check.detail


def test_what_the_token_may_not_read_is_no_fault_of_the_wire() -> None:
    of = wire(token="learner")
    checks = found(of)
    assert checks["users"].standing is Severity.NOTE
    assert "may not read" in checks["users"].detail
    (told,) = check_rights(*rights(of))
    assert told.standing is Severity.WARNING
    assert "cannot plan" in told.detail
    assert [check.standing for check in check_rights(*rights(wire()))] == [Severity.OK]


def test_doctor_only_reads() -> None:
    mock = MockTraining.demo()
    before = mock.state()
    of = Wire(TrainingClient(mock.token("admin"), http_client=httpx.Client(transport=mock.transport())))
    found(of)
    [*check_rights(*rights(of))]
    assert mock.state() == before


def test_it_says_whether_a_service_is_real() -> None:
    for policy, said in ((None, "reference server"), (Policy(plays="live"), "live service")):
        seen = wire(policy=policy).identity()
        assert said in [*check_identity(seen.me, seen.response)][1].detail


@pytest.mark.parametrize(
    ("apart", "standing"),
    [
        (0, Severity.OK),
        (-20, Severity.OK),
        (45, Severity.WARNING),
        (-299, Severity.WARNING),
        (300, Severity.ERROR),
    ],
)
def test_the_clock_is_held_against_the_servers(apart: int, standing: Severity) -> None:
    date = format_datetime(NOW - timedelta(seconds=apart), usegmt=True)
    check = check_clock(Response(200, (("date", date),), b""), NOW)
    assert check.standing is standing
    assert (
        standing is Severity.OK or f"{abs(apart)} s {'ahead of' if apart > 0 else 'behind'}" in check.detail
    )


def test_a_server_that_names_no_time_is_told() -> None:
    assert check_clock(Response(200, (), b""), NOW).standing is Severity.WARNING


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        f"Mon, 01 Jan 2026 00:00:00 +{'9' * 20}",
        f"Mon, 01 Jan {'9' * 11} 00:00:00 GMT",
        f"Mon, 01 Jan {'9' * 5000} 00:00:00 GMT",
        f"Mon, 01 Jan 2026 {'9' * 20}:00:00 GMT",
    ],
    ids=lambda date: date[:40],
)
def test_a_date_that_cannot_be_read_is_no_time(date: str) -> None:
    answer = Response(200, (("date", date),), b"")
    assert answer.date is None
    assert check_clock(answer, NOW).standing is Severity.WARNING


def test_the_address_is_told_for_what_it_is() -> None:
    standings = {
        "https://api.safetyculture.io": Severity.OK,
        "http://127.0.0.1:8765": Severity.OK,
        "http://mock.internal": Severity.WARNING,
    }
    assert {address: next(iter(check_address(address))).standing for address in standings} == standings


@pytest.mark.parametrize("kind", ["file", "folder that cannot be written"])
def test_a_bad_state_directory_is_found(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    if kind == "file":
        home.write_text("")
    else:
        home.mkdir()
        monkeypatch.setattr(os, "access", lambda path, mode: path != home)  # whoever runs this may be root
    (check,) = check_machine(home / "state" / "training-sdk")
    assert check.standing is Severity.ERROR
    for needed in (
        str(home),
        "nothing can be reset",
        "--state-dir or TRAINING_SDK_STATE_DIR",
        "Not below /tmp",
    ):
        assert needed in check.detail


def test_this_machine_without_records_and_with_damaged_ones(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    assert [check.standing for check in check_machine(folder)] == [Severity.NOTE]
    assert not folder.exists()
    state = StateDirectory.open(folder)
    AuditLog(state.audit).append("test")
    (folder / "audit.holder").write_text("process 999999999 on nowhere")
    checks = {check.subject: check for check in check_machine(folder)}
    assert checks["audit log"].standing is checks["state directory"].standing is Severity.OK
    assert checks["lock"].standing is Severity.NOTE
    assert checks["lock"].detail.startswith("audit is or was locked")
    (folder / "audit.holder").unlink()
    (state.plan_folder("0" * 64) / "journal.holder").write_text("process 999999999 on nowhere")
    (lock,) = (check for check in check_machine(folder) if check.subject == "lock")
    assert lock.detail.startswith("journal of plan #0000-0000-0000-0000 is or was locked")
    state.audit.write_text(state.audit.read_text().replace("test", "best"))
    assert {check.subject: check for check in check_machine(folder)}["audit log"].standing is Severity.ERROR
    journal = state.plan_folder("0" * 64) / "journal.jsonl"
    journal.write_text("{}\n")
    assert {check.subject: check for check in check_machine(folder)}["journal"].standing is Severity.ERROR


def test_a_plan_that_was_interrupted_is_named_with_the_command(tmp_path: Path) -> None:
    mock = MockTraining.demo()
    mock.faults.add("drop", operation="ResetCourseProgress", when="after")
    http = httpx.Client(transport=mock.transport())
    client = TrainingClient(mock.token("admin"), http_client=http, state_dir=tmp_path / "state")
    plan = client.resets.plan(mock.world.course("Forklift basics").id, ["siobhan.doyle@nordwerk.example"])
    with pytest.raises(OutcomeUnknownError):
        client.resets.apply(plan, confirm=plan.phrase, reason="test")
    checks = {check.subject: check for check in check_machine(tmp_path / "state")}
    assert checks["plans"].standing is Severity.WARNING
    assert checks["plans"].detail == (
        f"These plans are not finished: {plan.phrase.split()[-1]}. Continue each with training-sdk resume PLAN."
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_records_that_others_can_enter_are_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (check,) = check_machine(tmp_path)
    assert (check.standing, "chmod" in check.detail) == (Severity.ERROR, True)


def test_what_was_found_is_counted_in_words(demo_site: None, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    counted = re.findall(r"(\d+) (note|warning|ERROR)(s?)\b", capsys.readouterr().err)
    assert {word for _, word, _ in counted} == {"note", "warning", "ERROR"}
    assert all((count != "1") is bool(plural) for count, _, plural in counted)
