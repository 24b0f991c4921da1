"""What authors of tests hand in by mistake is refused where it comes in, by name, and changes nothing."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mock_server import MockTraining, cli
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import ANNA, WHO, Speaker

Slip = Callable[[Any], object]
UNTYPED: Any = MockTraining


WRONG_TYPES: list[tuple[Slip, str]] = [
    (lambda mock: setattr(mock, "lag", 3600), r"lag must be a timedelta, such as .*hours=1\), not 3600"),
    (lambda mock: mock.clock.advance(3600), "by must be a timedelta, .*, not 3600"),
    (
        lambda mock: mock.clock.freeze("2026-01-01"),
        "at must be a datetime with a time zone, .*, not '2026-01-01'",
    ),
    (lambda mock: mock.clock.freeze(date(2026, 1, 1)), r"at must be .*, not datetime.date\(2026, 1, 1\)"),
    (lambda _: UNTYPED.demo(now="2026"), "now must be a datetime .*, not '2026'"),
    (lambda _: UNTYPED.generate(users=1, courses=1, now="2026"), "now must be"),
    (lambda _: UNTYPED.demo(policy={"a": 1}), r"policy must be a Policy, .*, not \{'a': 1\}"),
    (lambda _: UNTYPED.generate(users="3", courses=1), "users must be a whole number, not '3'"),
    (lambda _: UNTYPED.generate(users=True, courses=1), "users must be a whole number, not True"),
    (lambda _: UNTYPED.generate(users=1, courses=2.0), "courses must be a whole number"),
    (lambda _: UNTYPED.generate(users=1, courses=1, seed="x"), "seed must be"),
    (lambda _: UNTYPED.load(7), "document must be a state document, or the path of a file .*, not 7"),
    (lambda _: UNTYPED.from_exporter_csv(7), "path must be a path, as text or a Path, not 7"),
    (lambda _: UNTYPED.from_evidence(None), "folder must be a path"),
    (lambda mock: mock.save(None), "path must be a path"),
    (
        lambda mock: mock.diff("st.json"),
        r"before must be a state document that mock.state\(\) returned, not 'st.json'",
    ),
    (lambda mock: mock.rollback(None), "before must be a state document"),
    (lambda mock: mock.token(["admin"]), "name must be the name of a token"),
    (lambda mock: mock.world.user(7), "user must be an id or an e-mail address, not 7"),
    (lambda mock: mock.world.course(["x"]), "course must be an id or a title"),
    (lambda mock: mock.world.rapid_refresh(["x"]), "rapid refresh must be an id or a title"),
    (lambda mock: mock.world.open("Forklift basics", ANNA, made_at="2026"), "moment must be a datetime"),
    (lambda mock: mock.faults.replay("7"), "seed must be a whole number, such as 7, not '7'"),
    (
        lambda mock: mock.faults.add("error", statsu=500),
        r"A fault has no field 'statsu'. Did you mean status\?",
    ),
    (lambda mock: mock.webhooks.pause(3), "between must be a timedelta, .*, not 3"),
    (lambda mock: mock.webhooks.allow(None), "host must be a host name, such as localhost, not None"),
    (lambda mock: mock.respx(hosts=7), "hosts must be a host name"),
    (lambda mock: mock.responses(hosts=[7]), "hosts must be a host name"),
    (lambda mock: mock.serve(port="8080"), "port must be a whole number, .*, not '8080'"),
]
WRONG_VALUES: list[tuple[Slip, str]] = [
    (
        lambda mock: setattr(mock, "lag", timedelta(seconds=-5)),
        "lag must be whole seconds from 0 to 2 hours, not -5 s",
    ),
    (
        lambda mock: mock.clock.advance(timedelta(hours=-1)),
        r"by must be at least 0 s, not -3600 s. Set an earlier moment with freeze",
    ),
    (
        lambda mock: mock.clock.freeze(datetime(2026, 1, 1)),
        r"at must be a datetime with a time zone, .*tzinfo=UTC\)",
    ),
    (
        lambda mock: mock.diff({}),
        r"before is not a state document .*\. It lacks clock, ids, main, organisations",
    ),
    (lambda mock: mock.rollback({}), "before is not a state document"),
    (lambda _: UNTYPED.load({}), "document is not a state document"),
    (lambda mock: mock.webhooks.pause(timedelta(-1)), "between must be at least 0 s, not -86400 s"),
    *[
        (
            lambda mock, host=host: mock.webhooks.allow(host),
            "host must be a host name without scheme and port",
        )
        for host in ("https://hooks.example/", "host:8080", "", "a b")
    ],
    (
        lambda mock: mock.serve(allow_hosts=("http://x",)),
        "allow_hosts must be a host name without scheme and port, .*, not 'http://x'",
    ),
]


@pytest.mark.parametrize(("slip", "said"), WRONG_TYPES)
def test_a_wrong_type_is_named_with_value_and_remedy(mock: MockTraining, slip: Slip, said: str) -> None:
    before = mock.state()
    with pytest.raises(TypeError, match=said):
        slip(mock)
    assert mock.state() == before


@pytest.mark.parametrize(("slip", "said"), WRONG_VALUES)
def test_a_value_that_means_nothing_is_refused(mock: MockTraining, slip: Slip, said: str) -> None:
    before, allowed = mock.state(), set(mock.world.webhook_hosts)
    with pytest.raises(ValueError, match=said):
        slip(mock)
    assert mock.state() == before
    assert mock.world.webhook_hosts == allowed


def test_a_long_thing_is_not_repeated_at_length(mock: MockTraining) -> None:
    with pytest.raises(TypeError) as caught:
        UNTYPED.load(mock.state()).diff([mock.state()])
    assert len(str(caught.value)) < 250
    assert str(caught.value).endswith("... (list).")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"freeze": "yesterday"},
            "freeze must be true or a date with time and zone, such as 2026-11-30T09:00:00Z",
        ),
        ({"advance": -1}, "advance must be at least 0, not -1. Set an earlier moment with freeze"),
        ({"lag": -5}, "lag must be whole seconds from 0 to 2 hours, not -5 s"),
        ({"advance": "1"}, "'advance' with this value is not a change of the clock. Send one of freeze"),
    ],
)
def test_the_wire_says_it_in_its_own_words(mock: MockTraining, body: dict[str, object], said: str) -> None:
    answer = Speaker(mock, None).post("/_mock/clock", body)
    assert (answer.status, answer.metadata) == (400, {"field": next(iter(body))})
    assert answer.message.startswith(said)
    assert mock.clock.now() == NOW


def test_a_server_is_not_started_under_an_unusable_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["serve", "--allow-host", "http://x"])
    assert "--allow-host: The value must be a host name without scheme and port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("anna", "Did you mean anna.oezdemir@nordwerk.example"),
        ("anna.oezdemir@nordwerk.exampel", r"Did you mean anna.oezdemir@nordwerk.example\?"),
        ("~", r"in this world\.$"),
        ("", r"in this world\.$"),
    ],
)
def test_somebody_misspelt_is_looked_for(mock: MockTraining, asked: str, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        mock.world.user(asked)


def test_a_course_misspelt_is_looked_for(mock: MockTraining) -> None:
    with pytest.raises(
        LookupError, match=r"no course 'Forklift basic' in this world. Did you mean Forklift "
    ):
        mock.world.course("Forklift basic")


# --- worlds that tests share --------------------------------------------------------------------------------------


def test_a_rollback_leaves_no_trouble_for_the_next_test(mock: MockTraining) -> None:
    before = mock.state()
    mock.faults.add("error", after=1)
    mock.faults.add("slow", seconds=0)
    mock.lag = timedelta(hours=1)
    mock.clock.advance(timedelta(days=1))
    Speaker(mock).get(WHO)
    mock.rollback(before)
    assert (mock.faults.script, mock.faults.struck, mock.lag, mock.clock.now()) == ((), (), timedelta(0), NOW)
    assert [Speaker(mock).get(WHO).status for _ in range(3)] == [200] * 3
    assert mock.world.warehouse_time() is None
    assert len(mock.calls) == 4


@pytest.mark.parametrize("way", ["mark", "state"])
def test_nor_does_the_way_back_over_the_wire(mock: MockTraining, way: str) -> None:
    control = Speaker(mock, None)
    control.post("/_mock/marks", {"name": "start"})
    document = control.get("/_mock/state").json
    control.post("/_mock/faults", {"kind": "error", "times": None})
    control.post("/_mock/clock", {"lag": 3600})
    if way == "mark":
        assert control.send("POST", "/_mock/marks/start").status == 200
    else:
        assert control.send("PUT", "/_mock/state", body=document).status == 200
    assert control.get("/_mock/faults").json["faults"] == []
    assert control.get("/_mock/clock").json["lag"] == 0
    assert Speaker(mock).get(WHO).status == 200


def test_a_state_of_another_organisation_is_no_way_back(mock: MockTraining) -> None:
    other = MockTraining.generate(users=2, courses=1).state()
    before = mock.state()
    mock.faults.add("error")
    with pytest.raises(
        ValueError,
        match=r"\$.main: This is the state of another organisation .*MockTraining.load, which makes",
    ):
        mock.rollback(other)
    assert (mock.diff(before), len(mock.faults.script)) == ((), 1)
    mock.become(other)
    assert mock.world.main.id == other["main"]


def test_a_mark_leads_back_from_another_organisation_too(mock: MockTraining) -> None:
    control, home = Speaker(mock, None), mock.world.main.id
    control.post("/_mock/marks", {"name": "start"})
    mock.become(MockTraining.generate(users=2, courses=1).state())
    assert mock.world.main.id != home
    assert control.send("POST", "/_mock/marks/start").status == 200
    assert mock.world.main.id == home


def test_a_mark_whose_tokens_open_another_world_now_is_refused_in_words(mock: MockTraining) -> None:
    control = Speaker(mock, None)
    control.post("/_mock/marks", {"name": "start"})
    start = mock.state()
    mock.become(MockTraining.generate(users=2, courses=1).state())
    made = control.send("POST", "/_mock/worlds").json
    theirs = next(each["token"] for each in made["tokens"] if each["name"] == "admin")
    assert Speaker(mock, theirs).send("PUT", "/_mock/state", body=start).status == 200
    answer = control.send("POST", "/_mock/marks/start")
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")
    assert "opens another world of this server" in answer.message


def test_a_saved_state_is_closed_to_others(mock: MockTraining, tmp_path: Path) -> None:
    new, open_to_all = tmp_path / "new.json", tmp_path / "old.json"
    open_to_all.write_text("")
    open_to_all.chmod(0o644)
    for file in (new, open_to_all):
        mock.save(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert MockTraining.load(file).state() == mock.state()
