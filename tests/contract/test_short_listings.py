"""Services that cap their pages, end feeds early or leave things out: read whole by the SDK, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.conftest import NewStage, Pair
from contract.hours import quick_hours
from mock_server import MockTraining, Policy
from training_sdk import DecodingError, EvidenceError, TrainingClient
from training_sdk.evidence import verify_pack
from training_sdk.evidence.collecting import collect
from training_sdk.evidence.pack import Pack
from training_sdk.plans.people import People


@pytest.fixture
def behaviours() -> str:
    return ""


@pytest.fixture
def mock(behaviours: str) -> MockTraining:
    return MockTraining.generate(users=40, courses=3, policy=Policy(emulates=behaviours))


@pytest.fixture
def client(mock: MockTraining) -> Iterator[TrainingClient]:
    with httpx.Client(transport=mock.transport()) as http:
        yield TrainingClient(mock.token("admin"), http_client=http, pace=False)


def first_course(client: TrainingClient) -> str:
    return next(iter(client.courses.list())).id


def gather(client: TrainingClient, folder: Path, **options: Any) -> Pack:
    """Evidence of everyone in the first course."""
    course = first_course(client)
    people = [row.user_id for row in client.progress.list(course_id=course)]
    flow = collect(
        client.resets._calls,
        {course: people},
        folder,
        plan_digest="ab" * 32,
        plan_document=b"{}",
        organisation_id="role_1",
        reference_server=False,
        **options,
    )
    pack: Pack = client.resets._driver.run(flow)
    return pack


@pytest.mark.parametrize("behaviours", ["caps_page_size"])
def test_pages_of_25_are_read_whole(mock: MockTraining, client: TrainingClient, tmp_path: Path) -> None:
    pack = gather(client, tmp_path / "pack")
    course = mock.world.main.courses[first_course(client)]
    records = mock.world.main.progress[course.id].records.values()
    attempts = sum(len(record.attempts) for record in records)
    assert pack.manifest.counts["attempts"] == attempts > 25
    assert verify_pack(tmp_path / "pack") == ()
    assert len(client.resets.plan_everyone(course.id).users) == pack.manifest.counts["rows"]


@pytest.mark.parametrize("behaviours", ["ends_feeds_early"])
def test_members_of_a_group_that_are_left_out_are_no_plan(client: TrainingClient) -> None:
    with pytest.raises(DecodingError, match="1 remaining record") as caught:
        client.resets.plan(first_course(client), People(groups=("Everyone", "nobody")))
    assert caught.value.reason == "LISTING_INCOMPLETE"


@pytest.mark.parametrize("behaviours", ["omits_completed_lessons"])
def test_missing_completed_lessons_have_to_be_accepted(client: TrainingClient, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="lists fewer lessons") as caught:
        gather(client, tmp_path / "refused")
    missing = {value.partition("/")[2] for _, value in caught.value.info.metadata}
    pack = gather(client, tmp_path / "accepted", accept_missing_lessons=True)
    assert {user_id for _, user_id in pack.missing_lessons} == missing
    assert missing == {row.user_id for row in pack.rows.values() if row.completed_lessons}
    assert pack.manifest.missing_lessons == len(missing) > 0
    assert verify_pack(tmp_path / "accepted") == ()


@pytest.mark.parametrize("behaviours", ["omits_course_statistics"])
def test_statistics_without_the_course_make_no_plan_for_all(client: TrainingClient, tmp_path: Path) -> None:
    with pytest.raises(DecodingError, match="The statistics lack course"):
        client.resets.plan_everyone(first_course(client))
    with pytest.raises(EvidenceError, match="the statistics lack course"):
        gather(client, tmp_path / "pack")


@pytest.mark.parametrize(
    "behaviours",
    [
        "last_page_names_itself,bare_query_next_page,caps_page_size",
        "begins_with_empty_page,repeats_border_rows,bare_query_next_page",
    ],
)
def test_legal_pages_are_read_whole(client: TrainingClient, tmp_path: Path) -> None:
    pack = gather(client, tmp_path / "pack")
    assert pack.manifest.counts["rows"] == pack.manifest.counts["targets"] > 25


PAIRS: list[Pair] = [("sync", "in-process"), ("async", "in-process")]
"""One transport is enough: what is left out is not the transport's."""


@pytest.mark.parametrize("behaviours", ["omits_completed_lessons"])
def test_a_proof_may_accept_missing_lessons_too(
    mock: MockTraining, new_stage: NewStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = MockTraining.generate(users=5, courses=3, policy=mock.policy)
    quick_hours(monkeypatch).on_wait.append(small.clock.advance)
    stage = new_stage(small)
    client = stage.client()
    plan = client.resets.plan_proof(first_course(client), "user1@generated.example")
    how: dict[str, Any] = {"confirm": plan.phrase, "reason": "first reset here"}
    with pytest.raises(EvidenceError, match="accept_missing_lessons=True"):
        client.resets.prove_format(plan, **how)
    assert stage.tap.resets == []
    proof = client.resets.prove_format(plan, accept_missing_lessons=True, **how)
    assert proof.person == plan.reset.users[0].user_id
