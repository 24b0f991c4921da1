"""The tail of a phrase: 64 bits, read as it is shown, and of no other plan."""

from __future__ import annotations

import attrs
import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import InvalidArgumentError, ResetPlan
from training_sdk.plans.wording import short_digest, typed_digest
from unit.sdk.approving import some_plan

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(DIGESTS, st.sampled_from(["", "#"]))
def test_what_is_shown_is_read_back_as_the_beginning_of_the_digest(digest: str, mark: str) -> None:
    assert typed_digest(mark + short_digest(digest)) == digest[:16]
    assert typed_digest(mark + digest) == digest


@given(DIGESTS)
def test_letter_case_counts(digest: str) -> None:
    if (shown := short_digest(digest)).isdecimal() or shown.upper() == shown:
        return
    with pytest.raises(InvalidArgumentError, match="capital letters"):
        typed_digest(shown.upper())


@pytest.mark.parametrize(
    "text", ["", "#", "a1b2c", "plan.json", "a1b2-", "a1b2-c3", "../a1b2c3", "a1b2*c3d4"]
)
def test_what_is_no_digest_is_none(text: str) -> None:
    assert typed_digest(text) is None


def test_two_plans_with_the_same_24_bits_have_different_phrases() -> None:
    first, second = _with_the_same_beginning(6)
    assert first.digest[:4] == second.digest[:4]
    assert first.phrase != second.phrase
    assert (
        evolve(first, form=2).phrase
        == f'reset "Forklift basics" for 1 user #{evolve(first, form=2).digest[:6]}'
    )


def _with_the_same_beginning(most: int) -> tuple[ResetPlan, ResetPlan]:
    """Two plans that differ in one external id, with digests that begin with the same 16 bits."""
    seen: dict[str, ResetPlan] = {}
    for number in range(16**most):
        plan = some_plan(selection=str(number))
        if (found := seen.setdefault(plan.digest[:4], plan)) is not plan:
            return found, plan
    raise AssertionError


@frozen(repr=False)
class LaterPlan(ResetPlan):
    """A plan of a later version, with a field that earlier forms do not hold."""

    note: str = attrs.field(default="", metadata={"since": 4})


def test_a_later_field_changes_no_digest_of_an_earlier_form() -> None:
    plan = some_plan()
    fields = {one.name: getattr(plan, one.name) for one in attrs.fields(ResetPlan)}
    for form in (2, 3):
        earlier = LaterPlan(**{**fields, "form": form}, note="x")
        assert earlier.digest == evolve(plan, form=form).digest
        assert "note" not in earlier.document()
    later = LaterPlan(**{**fields, "form": 4}, note="x")
    assert later.document()["note"] == "x"
    assert later.digest != LaterPlan(**{**fields, "form": 4}, note="y").digest
