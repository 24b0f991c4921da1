"""schemathesis, a stranger that knows only the document, tries to make the server break it; with all its checks.

It goes over a socket, as anybody's tool would: every boundary of every schema, random requests valid and not, other
methods, no token, and chains of requests along the document's links.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from attrs import define, evolve, field

from conformity import conformity
from docs import _generate
from mock_server import MockTraining, Policy
from mock_server.api.openapi import document
from mock_server.mock import TokenName
from mock_server.transports.serving import serve
from mock_server.wire.message import Request, Response

SERVED = {
    each["operationId"]: bool(each["parameters"] or "requestBody" in each)
    for methods in document()["paths"].values()
    for each in methods.values()
    if each["x-served"]
}
"""The operations, and whether there is anything in a request that can be wrong."""
PAGE = (_generate.DOCS / "how-to" / "generate-a-client.md").read_text(encoding="utf-8")
CONFIG, HOOKS = (
    block
    for language in ("toml", "python")
    for block in re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)
"""The files that the page tells people to write."""
FAR = {
    *("GetLesson", "GetPath", "ListCoursesOfCollection", "GetRapidRefresh", "GetLeaderboardRankings"),
    *("GetWebhook", "DeleteWebhook"),
}
"""Of an id that another answer has to give first: reached by long runs only."""


@define
class Listener:
    """Counts what is answered, and holds it against the closed document besides."""

    mock: MockTraining
    seen: Counter[tuple[str, int]] = field(factory=Counter)
    wrong: list[str] = field(factory=list)

    def handle(self, request: Request) -> Response:
        response = self.mock.handle(request)
        if request.path == "/openapi.json" and self.mock.policy.confirmation == "off":
            return _without_confirmation(response)
        found = conformity().find(request.method, request.path)
        self.seen[found.name if found else "", response.status] += 1
        try:
            if request.path != "/openapi.json":
                conformity().check_answer(request, response)
        except AssertionError as fault:
            self.wrong.append(f"{request.method} {request.path}?{request.query}: {fault}")
        return response

    def answered(self, status: int) -> set[str]:
        """Operations that have answered so."""
        return {name for name, given in self.seen if given == status}

    def has_seen_nothing_wrong(self) -> None:
        """Fail unless every answer was as the document has it, and none a fault of the server."""
        assert self.wrong == []
        assert [status for _, status in self.seen if status >= 500] == []


LISTED = Request("GET", "/training/courses/v1", headers=(("user-agent", "tests/1"),))


def heard(answer: Response, monkeypatch: pytest.MonkeyPatch) -> Listener:
    """What a listener has seen of a server that answers like this."""
    listener = Listener(MockTraining.demo())
    monkeypatch.setattr(listener.mock, "handle", lambda request: answer)
    assert listener.handle(LISTED) is answer
    return listener


def test_the_listener_holds_every_answer_against_the_closed_document(monkeypatch: pytest.MonkeyPatch) -> None:
    mock = MockTraining.demo()
    token = ("authorization", f"Bearer {mock.token('admin')}")
    right = mock.handle(evolve(LISTED, headers=(*LISTED.headers, token)))
    heard(right, monkeypatch).has_seen_nothing_wrong()
    unheard_of = json.dumps({**json.loads(right.body), "unheard": 1}).encode()
    for wrong in (
        evolve(right, body=unheard_of),
        evolve(right, headers=right.headers[:1]),
        evolve(right, status=299),
    ):
        with pytest.raises(AssertionError, match="ListCourses answers"):
            heard(wrong, monkeypatch).has_seen_nothing_wrong()


def test_the_listener_takes_no_fault_of_the_server_for_an_answer() -> None:
    listener = Listener(MockTraining.demo())
    listener.seen["ListCourses", 503] += 1  # whatever the document may say of it
    with pytest.raises(AssertionError, match="503"):
        listener.has_seen_nothing_wrong()


def _without_confirmation(response: Response) -> Response:
    """The document of a world that does not know the header, and so ignores whatever it says."""
    spec = json.loads(response.body)
    reset = spec["paths"]["/training/courseprogress/v1/reset"]["post"]
    reset["parameters"] = [each for each in reset["parameters"] if each["name"] != "Reset-Confirmation"]
    return Response(200, response.headers, json.dumps(spec).encode())


def run(mock: MockTraining, who: TokenName, examples: int, where: Path, *options: str) -> Listener:
    """Let schemathesis loose on a world."""
    config, listener = where / "schemathesis.toml", Listener(mock)
    config.write_text(CONFIG, encoding="utf-8")
    (where / "hooks.py").write_text(HOOKS, encoding="utf-8")
    with serve(listener) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run"),
                *(f"{server.url}/openapi.json", "--checks", "all", "--no-color"),
                *("--header", f"Authorization: Bearer {mock.token(who)}"),
                *("--include-by", "/x-served == true", "--max-examples", str(examples)),
                *("--generation-database", "none", "--suppress-health-check", "all", *options),
            ],
            cwd=where,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(where)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
    assert "Stateful" in done.stdout
    listener.has_seen_nothing_wrong()
    return listener


def test_a_short_run_over_everything_an_administrator_can_do(tmp_path: Path) -> None:
    listener = run(MockTraining.demo(policy=Policy(confirmation="off")), "admin", 10, tmp_path, "--seed", "7")
    assert listener.answered(200) >= SERVED.keys() - FAR
    assert listener.answered(401) >= SERVED.keys() - FAR
    assert listener.answered(400) >= {name for name in SERVED.keys() - FAR if SERVED[name]}


def test_a_short_run_with_a_learners_token(tmp_path: Path) -> None:
    mock = MockTraining.demo()
    # Without the phase that tries every boundary: they are the same as an administrator's, and refused before.
    listener = run(mock, "learner", 3, tmp_path, "--seed", "7", "--phases", "fuzzing,stateful")
    assert listener.answered(403) >= {"ResetCourseProgress", "PreviewReset", "ListUsers"}
    assert "ResetCourseProgress" not in listener.answered(200)


@pytest.mark.heavy
@pytest.mark.parametrize(("confirmation", "examples"), [("required", 15), ("off", 50)])
def test_a_long_run_from_another_seed_every_time(tmp_path: Path, confirmation: str, examples: int) -> None:
    """Longer without the header, because with it nearly each random reset is refused before anything is done."""
    mock = MockTraining.demo(policy=Policy.from_pairs([f"confirmation={confirmation}"]))
    listener = run(mock, "admin", examples, tmp_path)
    reset = {"ResetCourseProgress"} if confirmation == "required" else set()
    assert listener.answered(200) >= SERVED.keys() - FAR - reset
    assert listener.answered(428) == reset


def test_it_notices_a_server_that_breaks_contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = MockTraining.handle

    def careless(mock: MockTraining, request: Request) -> Response:
        response = inner(mock, request)
        return Response(500, response.headers, response.body) if "lessons/v1" in request.path else response

    monkeypatch.setattr(MockTraining, "handle", careless)
    with pytest.raises(AssertionError, match="Server error"):
        run(MockTraining.demo(), "admin", 1, tmp_path, "--phases", "fuzzing")
