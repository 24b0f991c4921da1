"""History: every completion that packs prove, once, and nothing passed over in silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training_sdk import EvidenceError, InvalidArgumentError
from training_sdk.evidence import history, packs_in, pseudonym, pseudonymise
from unit.sdk.evidence.past import FIRE, Told, keep, past, seal, targets
from unit.sdk.fakes import COURSE, user_id

KEY = b"a key that only tests ever use.."
FIRST = datetime(2026, 1, 2, tzinfo=UTC)
"""When everyone completed the first course."""
AGAIN = datetime(2026, 2, 2, 10, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two packs of the same people, and a third from after they completed the course again."""
    keep(past(), targets(1, 2, also=[2]), tmp_path / "a")
    keep(past(), targets(2, 3), tmp_path / "b")
    later = past()
    later.rows[2]["completed_at"] = "2026-02-02T11:00:00+01:00"
    keep(later, targets(2, 4), tmp_path / "c")
    return tmp_path


def test_every_completion_is_there_once_with_all_its_proofs(root: Path) -> None:
    found = history(packs_in(root))
    assert [
        (one.course_id, one.user_id, one.completed_at, [Path(each).name for each in one.packs])
        for one in found
    ] == [
        (COURSE, user_id(1), FIRST, ["a"]),
        (COURSE, user_id(2), FIRST, ["a", "b"]),
        (COURSE, user_id(2), AGAIN, ["c"]),
        (COURSE, user_id(3), FIRST, ["b"]),
        (FIRE, user_id(2), datetime(2025, 5, 5, 5, 5, 5, 500_000, tzinfo=UTC), ["a"]),
    ]
    assert (found[1].user_name, found[1].score, found[1].user_email) == (
        "Zoë No. 2",
        90,
        "user2@example.test",
    )


def test_of_one_person_one_course_and_as_of_a_day(root: Path) -> None:
    packs = packs_in(root)
    assert {one.user_id for one in history(packs, user=user_id(2))} == {user_id(2)}
    assert [one.course_id for one in history(packs, user=user_id(2), course=FIRE)] == [FIRE]
    assert [one.completed_at for one in history(packs, user=user_id(2), course=COURSE, as_of=AGAIN)] == [
        FIRST,
        AGAIN,
    ]
    before = AGAIN - timedelta(microseconds=1)
    assert [one.completed_at for one in history(packs, user=user_id(2), course=COURSE, as_of=before)] == [
        FIRST
    ]
    assert history(packs, user="user_nobody") == ()


@settings(deadline=None, max_examples=20)
@given(st.permutations(["a", "b", "c", "a", "b"]))
def test_the_order_of_packs_changes_only_the_order_of_proofs(made: Path, order: list[str]) -> None:
    found = history([made / name for name in order])
    expected = history(packs_in(made))
    assert [(one.course_id, one.user_id, one.completed_at, sorted(one.packs)) for one in found] == [
        (one.course_id, one.user_id, one.completed_at, sorted(one.packs)) for one in expected
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packs")
    for name in ("a", "b", "c"):
        keep(past(), targets(1, 2, also=[2]), root / name)
    return root


def test_an_unfinished_pack_is_no_proof_and_is_not_passed_over(root: Path) -> None:
    (root / "b" / "manifest.json").unlink()
    assert [path.name for path in packs_in(root)] == ["a", "c"]
    with pytest.raises(EvidenceError, match="never finished"):
        history([root / "a", root / "b"])


def test_sealed_packs_are_read_with_their_hook(root: Path) -> None:
    keep(past(), targets(1), root / "d", seal=seal)
    with pytest.raises(EvidenceError, match="Pass unseal="):
        history(packs_in(root))
    (one,) = history(packs_in(root), user=user_id(1), unseal=seal)
    assert [Path(each).name for each in one.packs] == ["a", "d"]


def test_a_copy_without_names_beside_its_original_proves_nothing_more(root: Path) -> None:
    expected = history(packs_in(root))
    pseudonymise(root / "a", root / "a-copy", KEY, log=Told())
    assert history(packs_in(root)) == expected
    assert history([root / "a", root / "a-copy"], user=user_id(1))[0].packs == (str(root / "a"),)


def test_with_the_key_packs_with_and_without_names_are_one(root: Path) -> None:
    pseudonymise(root / "a", root / "a-copy", KEY, log=Told())
    found = history([root / "a-copy", root / "b"], key=KEY, user=user_id(2), course=COURSE)
    assert [(one.user_id, one.user_name, one.pseudonymised) for one in found] == [
        (user_id(2), "Zoë No. 2", False)
    ]
    assert [Path(each).name for each in found[0].packs] == ["a-copy", "b"]
    (alone,) = history([root / "a-copy"], key=KEY, user=user_id(1))
    assert (alone.user_id, alone.pseudonymised) == (pseudonym(user_id(1), KEY), True)
    assert alone.completed_at == FIRST


def test_without_the_key_a_person_cannot_be_found_and_that_is_said(root: Path) -> None:
    pseudonymise(root / "a", root / "a-copy", KEY, log=Told())
    with pytest.raises(EvidenceError, match="pass its key with key="):
        history([root / "a-copy", root / "b"], user=user_id(2))
    with pytest.raises(EvidenceError, match="a different key"):
        history([root / "a-copy"], user=user_id(2), key=b"x" * 32)
    assert len(history([root / "a-copy"])) == 3


def test_a_time_must_name_its_zone(root: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="time zone"):
        history([root / "a"], as_of=datetime(2026, 1, 1))


@pytest.mark.parametrize("when", ["0002-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_completion_at_the_end_of_the_calendar_ends_no_other_one(tmp_path: Path, when: str) -> None:
    organisation = past()
    organisation.rows[1]["completed_at"] = when
    keep(organisation, targets(1, 2), tmp_path / "a")
    keep(past(), targets(3), tmp_path / "b")
    found = history(packs_in(tmp_path))
    assert [one.user_id for one in found] == [user_id(1), user_id(2), user_id(3)]
    assert found[0].completed_at == datetime.fromisoformat(when)
    assert history(packs_in(tmp_path), as_of=FIRST)[-1].user_id == user_id(3)
