"""Lessons that a service does not list although rows say they are completed: refused, or accepted and written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, evolve

from training_sdk import EvidenceError, OutcomeUnknownError
from training_sdk._core.flow import NoAnswerError, Request, Response
from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.evidence import packs_in, read_manifest, verify_pack
from training_sdk.plans.plan import ResetPlan
from training_sdk.reports import report_file
from unit.sdk.fakes import COURSE, Asker, Organisation, answer, marks_for, over_the_wire, row, user_id
from unit.sdk.resetting import just_planned

GAP = (COURSE, user_id(2))


@define
class WithoutLessons(Organisation):
    """Lists no lessons of person 2, whose completion was imported."""

    def _lessons(self, request: Request) -> Response:
        if user_id(2) in request.path:
            return answer({"totalCount": 0, "items": []})
        return super()._lessons(request)


def organisation() -> WithoutLessons:
    return WithoutLessons([row(1), row(2)])


def test_apply_names_people_with_missing_lessons_and_sends_nothing(ask: Asker, tmp_path: Path) -> None:
    service = organisation()
    plan = just_planned(service)
    with pytest.raises(EvidenceError, match=r"lists fewer lessons.*\(0 of 3\)") as caught:
        ask(
            over_the_wire(service),
            lambda client: client.resets.apply(plan, confirm=plan.phrase),
            state_dir=tmp_path,
        )
    assert caught.value.info.metadata == (("missing", f"{COURSE}/{user_id(2)}"),)
    assert service.resets == []
    assert packs_in(tmp_path / "evidence") == ()


def test_a_gap_that_is_accepted_is_in_manifest_log_and_report(ask: Asker, tmp_path: Path) -> None:
    service = organisation()
    plan = just_planned(service)
    report = ask(
        over_the_wire(service),
        lambda client: client.resets.apply(plan, confirm=plan.phrase, accept_missing_lessons=True),
        state_dir=tmp_path,
    )
    assert report.is_complete
    assert report.missing_lessons == (GAP,)
    said = "evidence lacks completed lessons (accepted) of: Zoë No. 2"
    assert said in str(report)
    assert said in report._repr_html_()
    (folder,) = packs_in(tmp_path / "evidence")
    assert read_manifest(folder).missing_lessons == 1
    assert verify_pack(folder) == ()
    assert '"missing_lessons":1' in (tmp_path / "audit.jsonl").read_text()
    where = tmp_path / "plans" / plan.digest
    assert report_file.load(where) == report
    older = json.loads(report_file.dumps(report))
    assert older.pop("missing_lessons") == [list(GAP)]
    (where / report_file.REPORT).write_text(json.dumps(older))
    assert report_file.load(where) == evolve(report, missing_lessons=())


def test_resume_goes_on_as_apply_was_told(ask: Asker, tmp_path: Path) -> None:
    service = organisation()
    plan = just_planned(service)

    def lose(_: Request) -> Response:
        raise NoAnswerError("reset by peer")

    service.on_reset = lose
    with pytest.raises(OutcomeUnknownError) as caught:
        ask(
            dropping(service),
            lambda client: client.resets.apply(plan, confirm=plan.phrase, accept_missing_lessons=True),
            state_dir=tmp_path,
        )
    assert caught.value.report is not None
    assert caught.value.report.missing_lessons == (GAP,)
    service.on_reset = None
    report = ask(
        over_the_wire(service),
        lambda client: client.resets.resume(plan, confirm=plan.phrase),
        state_dir=tmp_path,
    )
    assert report.is_complete
    assert report.missing_lessons == (GAP,)


def dropping(service: Organisation) -> Any:
    """A wire on which a reset is never answered."""
    handle = over_the_wire(service)

    def handler(request: httpx.Request) -> httpx.Response:
        try:
            return handle(request)
        except NoAnswerError as error:
            raise httpx.ReadError(str(error)) from None

    return handler


@pytest.mark.parametrize("wrong", ["yes", 1, None])
def test_accept_missing_lessons_is_true_or_false(ask: Asker, tmp_path: Path, wrong: Any) -> None:
    service = organisation()
    plan = just_planned(service)
    with pytest.raises(ValueError, match="accept_missing_lessons"):
        ask(
            over_the_wire(service),
            lambda client: client.resets.apply(plan, confirm=plan.phrase, accept_missing_lessons=wrong),
            state_dir=tmp_path,
        )


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def service() -> WithoutLessons:
    return organisation()


@pytest.fixture
def url(service: WithoutLessons) -> Iterator[str]:
    """The address of the organisation, which identifies itself as the reference server."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            said = service(Request(self.command, self.path, self.rfile.read(length)))
            asked = httpx.Request(self.command, f"http://x{self.path}", headers=dict(self.headers))
            self.send_response(said.status)
            for name, value in {**marks_for(asked), "content-length": str(len(said.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_option_of_apply_accepts_the_gap(
    service: WithoutLessons,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "SAFETYCULTURE_API_TOKEN": "scapi_0123456789abcdef",
        "SAFETYCULTURE_BASE_URL": url,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "TRAINING_SDK_STATE_DIR": str(tmp_path / "state"),
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["plan", "--course", COURSE, "--everyone", "--save", "plan.json"]) == 0
    phrase = ResetPlan.load(tmp_path / "plan.json").phrase
    capsys.readouterr()
    apply = ["apply", "plan.json", "--confirm", phrase, "--reason", "yearly"]
    assert main(apply) == ExitCode.RECORDS
    said = " ".join(capsys.readouterr().err.split())
    assert "accept the gap with --accept-missing-lessons" in said
    assert service.resets == []
    assert main([*apply, "--accept-missing-lessons", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["report"]
    assert report["missing_lessons"] == [{"course_id": GAP[0], "user_id": GAP[1]}]
