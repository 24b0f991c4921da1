"""The journal of a plan: noted before it is done, read back as it was noted, and never sending anybody twice."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import RecordsDamagedError, RecordsError, RecordsLockedError
from training_sdk.records import chain
from training_sdk.records.events import (
    Answered,
    Closed,
    Event,
    EvidenceKept,
    Intent,
    Lost,
    Opened,
    ReadBack,
    Refused,
    RefusedInDoubt,
    Resumed,
    Sent,
    SkippedUsers,
)
from training_sdk.records.journal import KINDS, Journal, read_journal
from training_sdk.records.journal_state import (
    JournalState,
    OutOfOrderError,
    PersonState,
    RequestState,
    replay,
)
from unit.sdk.records import children

AT = datetime(2026, 3, 1, 9, 0, 0, 123_456, tzinfo=UTC)
COURSE = "course-1"


def opened(**changes: Any) -> Opened:
    facts: dict[str, Any] = {
        "at": AT,
        "nonce": "n-1",
        "applied_by": "u-admin",
        "organisation_id": "o-1",
        "base_url": "https://api.example",
        "reference_server": True,
        "token_fingerprint": "0123456789ab",
        "reason": 'yearly "forklift"\n\x1b[31m',
        "ticket": None,
        "server_side": False,
        "tolerance": 0,
        "chunk_size": 1000,
        "sdk_version": "0.1.0",
    }
    names = {attribute.name for attribute in attrs.fields(Opened)}
    return Opened(**{name: value for name, value in (facts | changes).items() if name in names})


def intent(chunk: int, *users: str) -> Intent:
    return Intent(chunk, COURSE, users, f"key-{chunk}")


def sent(chunk: int) -> Sent:
    return Sent(AT, chunk, f"sent-{chunk}")


def answered(chunk: int, count: int | None) -> Answered:
    return Answered(AT, chunk, count, "r-1")


def refused(chunk: int) -> Refused:
    return Refused(AT, chunk, "PermissionDeniedError", "REFUSED", "no", None)


def refused_in_doubt(chunk: int) -> RefusedInDoubt:
    return RefusedInDoubt(AT, chunk, 403, "PermissionDeniedError", "no", None)


def lost(chunk: int) -> Lost:
    return Lost(AT, chunk, "no answer", None)


def read_back(chunk: int, **verdicts: str) -> ReadBack:
    return ReadBack(AT, chunk, verdicts)


STORY: tuple[Event, ...] = (
    opened(),
    EvidenceKept(AT, "evidence/x", "ab" * 32),
    SkippedUsers(COURSE, {"u9": "MOVED"}),
    *(intent(0, "u1", "ü2"), sent(0), answered(0, 2)),
    Resumed(AT, "u-other"),
    *(intent(1, "u3"), sent(1), refused(1)),
    *(intent(2, "u4", "u5"), sent(2), lost(2), read_back(2, u4="applied", u5="not applied")),
    *(intent(3, "u5", "u3"), sent(3), answered(3, None), read_back(3, u5="applied", u3="applied")),
    *(intent(4, "u6", "u7"), sent(4), refused_in_doubt(4), read_back(4, u6="applied", u7="applied")),
    Closed(AT, {"reset": 7}),
)


def standings(events: Iterable[Event]) -> dict[str, str]:
    return {user_id: standing.value for (_, user_id), standing in replay(events).users.items()}


# --- on the disk -------------------------------------------------------------------------------------------------


def test_every_event_has_its_name_and_comes_back_as_it_was_noted(tmp_path: Path) -> None:
    assert set(KINDS.values()) == set(get_args(Event)) == {type(event) for event in STORY}
    for kind in KINDS.values():
        assert not {attribute.name for attribute in attrs.fields(kind)} & {*chain.RESERVED, "event"}
    with Journal.open(tmp_path) as journal:
        assert journal.events == ()
        for number, event in enumerate(STORY):
            journal.note(event)
            assert read_journal(tmp_path) == journal.events == STORY[: number + 1]
        assert journal.state() == replay(STORY)
    with Journal.open(tmp_path) as journal:
        assert journal.events == STORY
        assert journal.state() == replay(STORY)


def test_one_process_has_it_until_it_is_closed(tmp_path: Path) -> None:
    first = Journal.open(tmp_path)
    with pytest.raises(RecordsLockedError, match=f"process {os.getpid()} "):
        Journal.open(tmp_path)
    first.close()
    with Journal.open(tmp_path):
        pass
    with Journal.open(tmp_path):
        pass


def test_a_journal_that_cannot_be_read_is_not_held(tmp_path: Path) -> None:
    tmp_path.joinpath("journal.jsonl").write_bytes(b"{}\n")
    for _ in range(2):
        with pytest.raises(RecordsDamagedError, match="line 1"):
            Journal.open(tmp_path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("written")
    with Journal.open(folder) as journal:
        for event in STORY:
            journal.note(event)
    return folder, folder.joinpath("journal.jsonl").read_bytes()


@given(st.data())
def test_a_changed_byte_is_damage_or_a_torn_end(written: tuple[Path, bytes], data: st.DataObject) -> None:
    folder, content = written
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
    folder.joinpath("journal.jsonl").write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
    if place == len(content) - 1:
        assert read_journal(folder) == STORY[:-1]
        return
    with pytest.raises(RecordsDamagedError) as caught:
        read_journal(folder)
    line = content[:place].count(b"\n") + 1
    assert f"journal.jsonl, line {line}, is not what was written" in str(caught.value)


def written_by_another_version(folder: Path, facts: dict[str, Any], *events: Event) -> None:
    """A journal with these events and then a line with these facts, which this version would write otherwise."""
    with Journal.open(folder) as journal:
        for event in events:
            journal.note(event)
        line = chain.encode_line(chain.next_entry(facts, journal.heads[-1]))
    with folder.joinpath("journal.jsonl").open("ab") as file:
        file.write(line)


@pytest.mark.parametrize(
    "facts", [{"event": "teleported"}, {"event": "closed", "at": AT.isoformat(), "counts": {}, "x": 1}]
)
def test_what_a_newer_version_wrote_is_not_guessed_at(tmp_path: Path, facts: dict[str, Any]) -> None:
    written_by_another_version(tmp_path, facts, opened())
    with pytest.raises(RecordsDamagedError, match=r"line 2, .* newer version"):
        Journal.open(tmp_path)


@pytest.mark.parametrize(
    ("facts", "before", "event"),
    [
        ({"event": "sent", "at": AT.isoformat(), "chunk": 0}, [], Sent(AT, 0, None)),
        (
            {"event": "lost", "at": AT.isoformat(), "chunk": 0, "message": "no answer", "request_id": None},
            [sent(0)],
            Lost(AT, 0, "no answer", None, None),
        ),
    ],
)
def test_older_events_read(tmp_path: Path, facts: dict[str, Any], before: list[Event], event: Event) -> None:
    written_by_another_version(tmp_path, facts, opened(), intent(0, "u1"), *before)
    with Journal.open(tmp_path) as journal:
        assert journal.events[-1] == event
        assert journal.state().requests[0].cause is None


def test_a_lost_answer_names_its_cause() -> None:
    events = (opened(), intent(0, "u1"), sent(0), Lost(AT, 0, "no answer", None, "DecodingError"))
    assert replay(events).requests[0].cause == "DecodingError"


def test_a_state_that_was_given_out_stays_as_it_was_and_changes_nothing(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        for number, event in enumerate(STORY):
            before = journal.state()
            journal.note(event)
            assert before == replay(STORY[:number])
            given_out = journal.state()
            for kept in (given_out.requests, given_out.users, given_out.last, given_out.codes):
                kept.clear()
            assert journal.state() == replay(STORY[: number + 1])


def test_events_in_memory_are_not_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[Event] = []
    apply = JournalState.apply

    def counted(state: JournalState, event: Event) -> None:
        applied.append(event)
        apply(state, event)

    with Journal.open(tmp_path) as journal:
        monkeypatch.setattr(JournalState, "apply", counted)
        for event in STORY:
            journal.note(event)
            journal.state()
    assert applied == [*STORY]


def test_what_could_not_be_written_was_not_noted(tmp_path: Path) -> None:
    script = """
from training_sdk import RecordsUnwritableError
from training_sdk.records.journal import Journal
from unit.sdk.records.test_journal import STORY
journal = Journal.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
for event in STORY:
    try:
        journal.note(event)
    except RecordsUnwritableError as error:
        print(len(journal.events), len(journal.state().chunks), journal._state == journal.state(), len(STORY))
        break
"""
    tests = Path(__file__).parents[3]
    done = children.run(f"sys.path.insert(0, {str(tests)!r})\n{script}", tmp_path)
    kept = read_journal(tmp_path)
    assert done.stdout == f"{len(kept)} {len(replay(kept).requests)} True {len(STORY)}\n", done.stderr
    assert 1 < len(kept) < len(STORY)
    assert kept == STORY[: len(kept)]


@pytest.mark.parametrize(("call", "how"), [("write", "before"), ("write", "half"), ("fsync", "before")])
def test_killed_at_any_write_it_holds_acknowledged_events(tmp_path: Path, call: str, how: str) -> None:
    work = f"""
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from training_sdk.records.journal import Journal
from unit.sdk.records.test_journal import STORY

def work(place, acknowledge):
    with Journal.open(place) as journal:
        for event in STORY:
            journal.note(event)
            acknowledge()
"""
    places = children.killed_at_each_call(work, call, how, tmp_path)
    assert {acknowledged for _, acknowledged in places} == {*range(len(STORY) + 1)}
    for place, acknowledged in places:
        with Journal.open(place) as journal:
            kept = len(journal.events)
            assert kept == acknowledged or (call == "fsync" and kept == acknowledged + 1)
            assert journal.events == STORY[:kept]
            for event in STORY[kept : kept + 1]:
                journal.note(event)
        assert read_journal(place) == STORY[: kept + 1]


# --- what it amounts to ------------------------------------------------------------------------------------------


def test_a_story_and_its_end() -> None:
    state = replay(STORY)
    assert standings(STORY) == {
        "u9": "skipped",
        **dict.fromkeys(("u1", "ü2", "u3", "u4", "u5", "u6", "u7"), "reset"),
    }
    assert {number: chunk.state for number, chunk in state.requests.items()} == {
        0: RequestState.ANSWERED,
        1: RequestState.REFUSED,
        2: RequestState.READ_BACK,
        3: RequestState.READ_BACK,
        4: RequestState.READ_BACK,
    }
    assert (state.request_state(5), state.person_state(COURSE, "nobody")) == (
        RequestState.PLANNED,
        PersonState.UNSENT,
    )
    assert (state.codes, [pack.pack for pack in state.packs]) == ({(COURSE, "u9"): "MOVED"}, ["evidence/x"])
    assert state.closed is not None


@pytest.mark.parametrize(
    ("events", "standing", "open_chunks"),
    [
        ([intent(0, "u1")], "unsent", []),
        ([intent(0, "u1"), sent(0)], "unknown", [0]),
        ([intent(0, "u1"), sent(0), answered(0, 1)], "reset", []),
        ([intent(0, "u1"), sent(0), answered(0, None)], "unknown", [0]),
        ([intent(0, "u1"), sent(0), answered(0, 2)], "unknown", [0]),
        ([intent(0, "u1"), sent(0), answered(0, 0)], "unknown", [0]),
        ([intent(0, "u1"), sent(0), refused(0)], "refused", []),
        ([intent(0, "u1"), sent(0), lost(0)], "unknown", [0]),
        ([intent(0, "u1"), sent(0), refused_in_doubt(0)], "unknown", [0]),
        ([intent(0, "u1"), sent(0), read_back(0, u1="applied")], "reset", []),
        ([intent(0, "u1"), sent(0), lost(0), read_back(0, u1="not applied")], "unsent", []),
        ([intent(0, "u1"), sent(0), lost(0), read_back(0, u1="unknown")], "unknown", [0]),
        ([intent(0, "u1"), sent(0), lost(0), read_back(0)], "unknown", [0]),
    ],
)
def test_how_a_person_stands_after(events: list[Event], standing: str, open_chunks: list[int]) -> None:
    story: list[Event] = [opened(), *events]
    assert standings(story) == {"u1": standing}
    assert [chunk.number for chunk in replay(story).to_read_back] == open_chunks


@pytest.mark.parametrize("first", [[refused(0)], [lost(0), read_back(0, u1="not applied", u2="not applied")]])
def test_only_the_latest_request_that_named_somebody_is_read_back(first: list[Event]) -> None:
    """What became of the earlier one is settled; by its time the later one would be judged too early."""
    story: list[Event] = [opened(), intent(0, "u1", "u2"), sent(0), *first, intent(1, "u1"), sent(1), lost(1)]
    state = replay(story)
    assert [chunk.number for chunk in state.to_read_back] == [1]
    assert [state.is_open(chunk, "u1") for chunk in state.requests.values()] == [False, True]
    with pytest.raises(OutOfOrderError, match=r"sent again later|request 0 is refused"):
        state.apply(read_back(0, u1="not applied"))
    assert replay([*story, read_back(1, u1="not applied")]).to_read_back == ()


def test_one_call_for_everyone_is_believed_only_when_read_back() -> None:
    events: list[Event] = [opened(server_side=True), intent(0, "u1"), sent(0), answered(0, 1)]
    assert standings(events) == {"u1": "unknown"}
    assert standings([*events, read_back(0, u1="applied")]) == {"u1": "reset"}


def test_an_application_may_begin_anew_until_something_was_sent() -> None:
    again = replay([opened(), SkippedUsers(COURSE, {"u1": "MOVED"}), intent(0, "u2"), opened(nonce="n-2")])
    assert (again.users, again.codes, again.requests) == ({}, {}, {})
    assert again.opened == opened(nonce="n-2")


BY_HAND = Closed(AT, {}, "she has left")
BAD: list[tuple[list[Event], str]] = [
    ([opened(), intent(0, "u1"), sent(0), BY_HAND], "people are unknown"),
    ([opened(), intent(0, "u1"), sent(0), lost(0), BY_HAND], "people are unknown"),
    ([opened(), intent(0, "u1"), sent(0), answered(0, None), BY_HAND], "people are unknown"),
    (
        [opened(), intent(0, "u1"), sent(0), lost(0), read_back(0, u1="unknown"), Closed(AT, {})],
        "people are unknown",
    ),
    ([intent(0, "u1")], "must begin with 'opened'"),
    ([opened(), sent(0)], "request 0 is planned, not intended"),
    ([opened(), intent(0, "u1"), answered(0, 1)], "request 0 is intended, not sent"),
    ([opened(), intent(0, "u1"), sent(0), sent(0)], "request 0 is sent, not intended"),
    ([opened(), intent(0, "u1"), sent(0), intent(0, "u1")], "result of request 0 is not known"),
    ([opened(), intent(0, "u1"), sent(0), lost(0), intent(0, "u2")], "result of request 0 is not known"),
    ([opened(), intent(0, "u1"), sent(0), lost(0), intent(1, "u1")], "user u1 in course course-1 is unknown"),
    ([opened(), intent(0, "u1"), sent(0), lost(0), answered(0, 1)], "request 0 is lost, not sent"),
    (
        [opened(), intent(0, "u1"), sent(0), answered(0, 1), intent(1, "u1")],
        "user u1 in course course-1 is reset",
    ),
    (
        [opened(), intent(0, "u1"), sent(0), answered(0, None), intent(0, "u1")],
        "user u1 in course course-1 is unknown",
    ),
    ([opened(), intent(0, "u1"), sent(0), answered(0, 1), read_back(0, u1="not applied")], "already reset"),
    (
        [opened(), intent(0, "u1"), sent(0), lost(0), read_back(0, u2="applied")],
        "did not name all of these people",
    ),
    (
        [opened(), intent(0, "u1"), sent(0), lost(0), read_back(0, u1="perhaps")],
        "'perhaps' is not a valid result",
    ),
    (
        [opened(), SkippedUsers(COURSE, {"u1": "MOVED"}), intent(0, "u1")],
        "user u1 in course course-1 is skipped",
    ),
    ([opened(), intent(0, "u1"), sent(0), SkippedUsers(COURSE, {"u1": "MOVED"})], "is unknown"),
    ([opened(), intent(0)], "names no person"),
    ([opened(), intent(0, "u1", "u1")], "one person twice"),
    ([opened(), intent(0, "u1"), sent(0), opened()], "resumed, but not started again"),
    ([opened(), intent(0, "u1"), sent(0), Closed(AT, {})], "people are unknown"),
    ([opened(), Closed(AT, {}), opened()], "closed"),
]


@pytest.mark.parametrize(("events", "why"), BAD)
def test_an_illegal_event_is_refused_without_effect(tmp_path: Path, events: list[Event], why: str) -> None:
    with pytest.raises(OutOfOrderError, match=why):
        replay(events)
    with Journal.open(tmp_path) as journal:
        for event in events[:-1]:
            journal.note(event)
        with pytest.raises(RecordsError, match=why):
            journal.note(events[-1])
        assert journal.events == read_journal(tmp_path) == tuple(events[:-1])
        assert journal._state == replay(events[:-1])


users = st.sampled_from(["u1", "u2", "u3", "u4"])
chunks = st.integers(0, 2)
steps: st.SearchStrategy[Event] = st.one_of(
    st.builds(lambda chunk, who: intent(chunk, *who), chunks, st.lists(users, max_size=3)),
    st.builds(sent, chunks),
    st.builds(sent, chunks),
    st.builds(answered, chunks, st.none() | st.integers(0, 3)),
    st.builds(refused, chunks),
    st.builds(lost, chunks),
    st.builds(refused_in_doubt, chunks),
    st.builds(
        lambda chunk, verdicts: read_back(chunk, **verdicts),
        chunks,
        st.dictionaries(users, st.sampled_from(["applied", "not applied", "unknown"]), max_size=3),
    ),
    st.builds(lambda who: SkippedUsers(COURSE, dict.fromkeys(who, "MOVED")), st.lists(users, max_size=2)),
    st.just(opened()),
)


def legal(tried: Iterable[Event]) -> list[Event]:
    """Those of the events tried that can follow one another."""
    events: list[Event] = [opened()]
    for event in tried:
        try:
            replay([*events, event])
        except OutOfOrderError:
            continue
        events.append(event)
    return events


def may_have_been_reset(events: Iterable[Event], user: str) -> int:
    """How many requests may have reset this person, counted from the events alone."""
    members: dict[int, tuple[str, ...]] = {}
    on_the_way: list[int] = []
    for event in events:
        if isinstance(event, Intent):
            members[event.chunk] = event.user_ids
        elif isinstance(event, Sent) and user in members[event.chunk]:
            on_the_way.append(event.chunk)
        elif isinstance(event, Refused) or (
            isinstance(event, ReadBack) and event.verdicts.get(user) == "not applied"
        ):
            on_the_way = [chunk for chunk in on_the_way if chunk != event.chunk]
    return len(on_the_way)


@given(st.lists(steps, max_size=40))
def test_at_every_moment_everybody_stands_somewhere_and_nobody_is_sent_twice(tried: list[Event]) -> None:
    events = legal(tried)
    for end in range(1, len(events) + 1):
        state = replay(events[:end])
        for user in ("u1", "u2", "u3", "u4"):
            standing = state.person_state(COURSE, user)
            possible = may_have_been_reset(events[:end], user)
            assert possible <= 1
            assert (standing in (PersonState.RESET, PersonState.UNKNOWN)) == (possible == 1)
        for chunk in state.requests.values():
            if chunk.state in (RequestState.SENT, RequestState.LOST):
                assert {state.users[key] for key in chunk.people} == {PersonState.UNKNOWN}
                assert chunk in state.to_read_back


def test_a_person_may_close_what_was_read_back_and_stays_unknown() -> None:
    told: list[Event] = [opened(), intent(0, "u1"), sent(0), lost(0), read_back(0, u1="unknown")]
    assert replay([*told, BY_HAND]).closed == BY_HAND
