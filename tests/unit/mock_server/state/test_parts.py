"""The registry of an organisation's parts: each is saved, loaded, copied and compared."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from mock_server import MockTraining
from mock_server.world import parts
from mock_server.world.codec import encode
from mock_server.world.organisation import Organisation
from unit.mock_server.core.speaker import FORKLIFT, Speaker, recorded

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
NO_PARTS = {"id", "name", "clock", "people_changes", "_order", "_pairs"}
ATTRIBUTES = [each.name for each in attrs.fields(Organisation) if each.name not in NO_PARTS]


def filled() -> MockTraining:
    """A world whose main organisation has something in every part."""
    mock = MockTraining.demo(now=NOW)
    course = mock.world.course(FORKLIFT).id
    assert Speaker(mock).reset(course, recorded(mock)[:1], (FORKLIFT, 1)).status == 200
    return mock


def held(organisation: Organisation, attribute: str) -> Any:
    value = getattr(organisation, attribute)
    if attribute == "progress":  # without its caches
        value = {
            key: [each.roster, each.enrolments, each.records, each.reset_at, each.tally]
            for key, each in value.courses.items()
        }
    return encode(value)


def empty(organisation: Organisation, attribute: str) -> None:
    """Take everything out of one attribute of an organisation."""
    if attribute == "progress":
        for each in organisation.progress.courses.values():
            each.records.clear()
    elif attribute == "assigned":
        organisation.assigned.update(
            {key: type(each).nobody() for key, each in organisation.assigned.items()}
        )
    elif attribute == "refresh_answers":
        organisation.refresh_answers.rows.clear()
    else:
        getattr(organisation, attribute).clear()


def test_every_attribute_of_an_organisation_is_in_exactly_one_part() -> None:
    assert sorted(name for part in parts.PARTS for name in part.attributes) == sorted(ATTRIBUTES)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_part_is_saved_loaded_copied_and_compared(attribute: str) -> None:
    mock = filled()
    document = json.loads(json.dumps(mock.state()))
    organisation = mock.world.main
    before = held(organisation, attribute)
    loaded = MockTraining.load(document).world.main
    copied = parts.copy(organisation, organisation.clock)
    assert before
    assert (held(loaded, attribute), held(copied, attribute)) == (before, before)
    empty(organisation, attribute)
    assert held(organisation, attribute) != before
    assert (held(loaded, attribute), held(copied, attribute)) == (before, before), "shared with the original"
    assert mock.diff(document) != ()
    assert parts.snapshot(organisation) != parts.snapshot(loaded)
    mock.rollback(document)
    assert held(mock.world.main, attribute) == before


@pytest.mark.parametrize(
    "names",
    [
        ("certificates",),
        ("paths",),
        ("collections",),
        ("rapid_refreshes", "refresh_answers"),
        ("leaderboards",),
    ],
)
def test_a_document_from_before_there_was_a_part_is_loaded_without_it(names: tuple[str, ...]) -> None:
    mock = MockTraining.demo(now=NOW)
    document = mock.state()
    for organisation in document["organisations"]:
        for name in names:
            del organisation[name]
    saved = attrs.asdict(parts.save(MockTraining.load(document).world.main), recurse=False)
    assert [saved[name] for name in names] == [()] * len(names)
    kinds = {part.kind for part in parts.PARTS if part.name in names}
    assert {(each.what, each.kind) for each in mock.diff(document)} == {("added", kind) for kind in kinds}
