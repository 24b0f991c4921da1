"""Evidence against the reference server: what was there before a reset, kept so that the reset takes nothing of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contract.plant import Plant
from contract.stage import Stage
from mock_server.world.people import Status
from training_sdk import EvidenceError, PermissionDeniedError
from training_sdk._core.flow import Flow
from training_sdk.evidence import Pack, history, verify_pack
from training_sdk.evidence.collecting import collect
from training_sdk.plans.reading import ProvenCalls


def keep(stage: Stage, folder: Path, targets: dict[str, list[str]], who: Any = "admin") -> Pack:
    """A pack, collected by the driver of this stage's colour."""
    client: Any = stage.client(who)
    inner = getattr(client, "target", client)
    flow: Flow[Pack] = collect(
        ProvenCalls.of(inner._calls),
        targets,
        folder,
        plan_digest="ab" * 32,
        plan_document=b"{}",
        organisation_id="role_1",
        reference_server=True,
    )
    done = inner._driver.run(flow)
    pack: Pack = done if isinstance(done, Pack) else stage.runner.run(done)
    return pack


def test_a_pack_says_what_the_server_said(stage: Stage, plant: Plant, tmp_path: Path) -> None:
    people = plant.ids("anna", "ben", "cleo")
    fire = plant.courses["Fire safety"]
    pack = keep(stage, tmp_path / "pack", {plant.forklift: people, fire: people[:1]})
    client = stage.client()
    rows = {(one.course_id, one.user_id): one for one in client.progress.list()}
    assert dict(pack.rows) == {key: rows[key] for key in pack.rows}
    assert {key[1] for key in pack.rows if key[0] == plant.forklift} == set(people)
    kept = [json.loads(line) for line in (pack.folder / "attempts.jsonl").read_bytes().splitlines()]
    said = [one for one in client.analytics.attempts(course_id=plant.forklift) if one.user_id in people]
    assert {one["id"] for one in kept if one["courseId"] == plant.forklift} == {one.id for one in said}
    lessons = [json.loads(line) for line in (pack.folder / "lessons.jsonl").read_bytes().splitlines()]
    assert len(lessons) == 3 * 5 + 2
    assert verify_pack(pack.folder, manifest_sha256=pack.manifest_sha256) == ()


def test_attempts_are_those_of_the_course_and_the_user_asked_for(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    everything = list(client.analytics.attempts())
    for course_id, user_id in (
        (plant.forklift, None),
        (None, plant.id("ben")),
        (plant.forklift, plant.id("ben")),
    ):
        found = list(client.analytics.attempts(course_id=course_id, user_id=user_id))
        assert found == [
            one for one in everything if course_id in (None, one.course_id) and user_id in (None, one.user_id)
        ]
        assert found


def test_R15_after_a_reset_the_pack_knows_the_completion(stage: Stage, plant: Plant, tmp_path: Path) -> None:
    before = next(iter(stage.client().progress.list(course_id=plant.forklift, user_id=plant.id("anna"))))
    pack = keep(stage, tmp_path / "pack", {plant.forklift: plant.ids("anna")})
    body = {"courseId": plant.forklift, "userIds": plant.ids("anna")}
    said = {"Reset-Confirmation": json.dumps({"courseTitle": "Forklift basics", "users": 1})}
    assert stage.reset(body, said).status_code == 200
    (row,) = stage.client().progress.list(course_id=plant.forklift, user_id=plant.id("anna"))
    assert row.completed_at is None
    (past,) = history([pack.folder], user=plant.id("anna"), course=plant.forklift)
    assert (past.completed_at, past.score, past.user_name) == (
        before.completed_at,
        before.score,
        "Anna Müller",
    )


def test_people_who_left_the_course_are_named_without_a_pack(
    stage: Stage, plant: Plant, tmp_path: Path
) -> None:
    plant.mock.world.update_user("ben@nordwerk.example", status=Status.DEACTIVATED)
    with pytest.raises(EvidenceError) as caught:
        keep(stage, tmp_path / "pack", {plant.forklift: plant.ids("anna", "ben")})
    assert caught.value.info.metadata == (("missing", f"{plant.forklift}/{plant.id('ben')}"),)
    assert [finding.kind.value for finding in verify_pack(tmp_path / "pack")] == ["incomplete"]


def test_R05_without_the_right_to_read_there_is_no_pack(stage: Stage, plant: Plant, tmp_path: Path) -> None:
    with pytest.raises(PermissionDeniedError):
        keep(stage, tmp_path / "pack", {plant.forklift: plant.ids("anna")}, who="learner")
    assert not (tmp_path / "pack" / "manifest.json").exists()
