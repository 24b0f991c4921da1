"""A pack that a reset left behind, loaded: its people stand there as before, and a real script can be rehearsed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from attrs import frozen

from mock_server import ExporterCsvError, MockTraining
from training_sdk import Safeguards, TrainingClient
from training_sdk.api.progress import ProgressRow
from training_sdk.evidence import pseudonymise
from unit.sdk.evidence.past import Told

COURSES = ("Forklift basics", "Erste Hilfe im Betrieb 🩹")
SCRIPT = """
import sys
from training_sdk import TrainingClient
with TrainingClient() as client:
    (course,) = [each for each in client.courses.list() if each.title == "Forklift basics"]
    plan = client.resets.plan_everyone(course.id)
    report = client.resets.apply(plan, confirm=plan.phrase, reason="rehearsed")
    report.raise_for_incomplete()
    print("kept in", report.packs[0])
    sys.exit(7)
"""


@frozen
class Past:
    """What stood on the wire before the reset, and the pack that was written of it."""

    pack: Path
    rows: list[ProgressRow]
    lessons: list[Any]
    attempts: list[Any]


def shift(data: bytes) -> bytes:
    """A seal that anyone could break, and that nobody reads by accident."""
    return bytes(each ^ 0x5A for each in data)


def said(mock: MockTraining, rows: list[ProgressRow] | None = None) -> tuple[list[ProgressRow], Any, Any]:
    """Rows, lessons and attempts of these people in these courses, or of all that there is."""
    with mock.serve() as server, TrainingClient(mock.token("admin"), base_url=server.url) as client:
        found = list(client.progress.list()) if rows is None else rows
        keys = {(each.course_id, each.user_id) for each in found}
        users = sorted({user for _, user in keys})
        lessons = [
            (user, each)
            for user in users
            for each in client.analytics.lesson_progress(user)
            if (each.course_id, user) in keys
        ]
        attempts = [each for each in client.analytics.attempts() if (each.course_id, each.user_id) in keys]
        return found, lessons, attempts


def kept(folder: Path, **safeguards: Any) -> Past:
    """Reset two courses of the demo organisation through the SDK, and keep what was there."""
    mock = MockTraining.demo()
    with (
        mock.serve() as server,
        TrainingClient(
            mock.token("admin"),
            base_url=server.url,
            state_dir=folder,
            safeguards=Safeguards(**safeguards),
        ) as client,
    ):
        titles = {each.title: each.id for each in client.courses.list()}
        plan = client.resets.plan_everyone([titles[each] for each in COURSES])
        keys = {(each.course_id, each.user_id) for each in plan.targets}
        rows = [each for each in client.progress.list() if (each.course_id, each.user_id) in keys]
        _, lessons, attempts = said(mock, rows)
        report = client.resets.apply(plan, confirm=plan.phrase, reason="yearly")
        report.raise_for_incomplete()
        (pack,) = report.packs
    return Past(Path(pack), rows, lessons, attempts)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return kept(tmp_path_factory.mktemp("records") / "state")


def test_the_people_of_a_pack_stand_there_as_before(past: Past) -> None:
    rows, lessons, attempts = said(MockTraining.from_evidence(past.pack))
    assert rows == past.rows
    assert len({each.course_id for each in rows}) == 2
    assert any(each.completed_at for each in rows)
    assert lessons == past.lessons != []
    assert attempts == past.attempts != []


def test_a_finished_pack_that_was_touched_is_refused(past: Past, tmp_path: Path) -> None:
    copy = shutil.copytree(past.pack, tmp_path / "pack")
    rows = copy / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"score":80', b'"score":81', 1))
    with pytest.raises(ExporterCsvError, match=r"rows\.jsonl.*: The file was changed"):
        MockTraining.from_evidence(copy)
    rows.unlink()
    with pytest.raises(ExporterCsvError, match=r"rows\.jsonl.* cannot be read"):
        MockTraining.from_evidence(copy)


def test_a_pack_that_was_never_finished_is_refused(past: Past, tmp_path: Path) -> None:
    copy = shutil.copytree(past.pack, tmp_path / "pack")
    (copy / "manifest.json").unlink()
    with pytest.raises(ExporterCsvError, match="was never finished"):
        MockTraining.from_evidence(copy)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": []}', '{"files": {"rows.jsonl": 1}}'])
def test_a_manifest_that_is_none_is_said(past: Past, tmp_path: Path, text: str) -> None:
    copy = shutil.copytree(past.pack, tmp_path / "pack")
    (copy / "manifest.json").write_text(text)
    with pytest.raises(ExporterCsvError, match=r"manifest\.json: .*Restore a copy"):
        MockTraining.from_evidence(copy)


def test_in_a_pseudonymised_pack_people_go_by_their_pseudonyms(past: Past, tmp_path: Path) -> None:
    pseudonymise(past.pack, tmp_path / "pack", b"a key that only tests ever use..", log=Told())
    rows, lessons, attempts = said(MockTraining.from_evidence(tmp_path / "pack"))
    assert not {each.user_id for each in rows} & {each.user_id for each in past.rows}
    assert not {each.user_email for each in rows} & {each.user_email for each in past.rows}
    where = sorted((each.course_id, str(each.completed_at), each.score) for each in rows)
    assert where == sorted((each.course_id, str(each.completed_at), each.score) for each in past.rows)
    assert (len(lessons), len(attempts)) == (len(past.lessons), len(past.attempts))


def test_a_sealed_pack_is_loaded_with_the_hook_that_opens_it(past: Past, tmp_path: Path) -> None:
    sealed = kept(tmp_path / "state", seal=shift)
    assert said(MockTraining.from_evidence(sealed.pack, unseal=shift))[0] == sealed.rows
    with pytest.raises(ExporterCsvError, match=r"is sealed\. .*unseal="):
        MockTraining.from_evidence(sealed.pack)
    with pytest.raises(ExporterCsvError, match=r"The unseal hook failed: no key\."):
        MockTraining.from_evidence(sealed.pack, unseal=no_key)
    with pytest.raises(ExporterCsvError, match=r"rows\.jsonl\.sealed.*: The file was changed"):
        MockTraining.from_evidence(sealed.pack, unseal=lambda data: data)
    done = rehearsed(sealed.pack, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is sealed. Load it in Python" in done.stderr
    assert "Traceback" not in done.stderr


def no_key(_: bytes) -> bytes:
    raise PermissionError("no key")


def rehearsed(pack: Path, records: Path) -> subprocess.CompletedProcess[str]:
    """The script, rehearsed by somebody whose own records are kept elsewhere."""
    command = [sys.executable, "-m", "mock_server", "rehearse", "--evidence", str(pack)]
    return subprocess.run(
        [*command, "--", sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=os.environ | {"TRAINING_SDK_STATE_DIR": str(records / "own")},
    )


def test_a_script_is_rehearsed_on_a_pack_and_leaves_no_records(past: Past, tmp_path: Path) -> None:
    done = rehearsed(past.pack, tmp_path)
    assert done.returncode == 7, done.stderr
    people = sum(each.course_title == COURSES[0] for each in past.rows)
    assert f"Loaded {len(past.rows)} rows of " in done.stderr
    assert "ResetCourseProgress -> 200: 1" in done.stdout
    assert f'"{COURSES[0]}", {people} listed: done, {people} users reset' in done.stdout
    assert f"{people} sent" in done.stdout
    where = Path(done.stdout.partition("kept in ")[2].partition("\n")[0])
    assert where.is_absolute()
    assert not where.exists()
    assert not (tmp_path / "own").exists()


def test_a_pack_is_served(past: Past) -> None:
    command = [sys.executable, "-m", "mock_server", "serve", "--port", "0", "--evidence", str(past.pack)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TRAINING_MOCK_SECRET": "open sesame"},
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with pytest.raises(HTTPError, match="403"):
            urlopen(f"{url}/_mock/tokens")
        asked = Request(f"{url}/_mock/tokens", headers={"X-Training-Mock-Secret": "open sesame"})
        listed = json.load(urlopen(asked))["tokens"]
        (token,) = [each["token"] for each in listed if each["name"] == "admin"]
        with TrainingClient(token, base_url=url) as client:
            assert list(client.progress.list()) == past.rows
    finally:
        process.terminate()
        process.communicate()
