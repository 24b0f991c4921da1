"""Commands that are refused, in this process: the exit code, the message, and that nothing was sent."""

from __future__ import annotations

import json

from mock_server import MockTraining, Policy
from training_sdk.cli.exit_codes import ExitCode
from unit.sdk.cli.conftest import Demo

COURSE = "6908610029087ab67fa50c2e"
TITLE = "Forklift basics"
SIOBHAN = "siobhan.doyle@nordwerk.example"
HOSTILE = "\x1b]0;owned\x07\x1b[31mForklift [bold]basics[/bold] \u202egnp\u202c"


def test_without_the_phrase_nothing_is_reset_and_the_exit_code_says_so(demo: Demo) -> None:
    phrase = demo.plan("--course", COURSE, "--user", SIOBHAN)
    apply = ("apply", "plan.json", "--reason", "test")
    wrong = [
        phrase.lower(),
        phrase.replace('"', "\u201c"),
        phrase.rpartition("#")[0] + "#0000-0000-0000-0000",
        "yes",
        "",
    ]
    for typed in wrong:
        done = demo.run(*apply, "--confirm", typed)
        assert done.code == ExitCode.NOT_CONFIRMED, (typed, done)
    assert "Capital and small letters differ" in demo.run(*apply, "--confirm", phrase.upper()).err
    assert "typographic" in demo.run(*apply, "--confirm", phrase.replace('"', "\u201d")).err
    for piped in ("", f"{phrase}\n", "y\n"):
        done = demo.run(*apply, stdin=piped)
        assert done.code == ExitCode.NOT_CONFIRMED
        assert "--confirm" in done.err
    assert demo.run(*apply, "--yes").code == ExitCode.USAGE
    assert demo.run("apply", "plan.json", "--confirm", phrase).code == ExitCode.USAGE  # no reason
    assert not demo.resets
    assert not (demo.folder / "state").exists()
    assert demo.run(*apply, "--confirm", f"  {phrase}\n").code == ExitCode.DONE
    assert len(demo.resets) == 1


def test_naming_nobody_is_never_everyone(demo: Demo) -> None:
    (demo.folder / "empty.csv").write_text("email\n")
    (demo.folder / "holds.txt").write_text("# nobody\n")
    for arguments in (
        ("plan", "--course", COURSE),
        ("plan", "--course", COURSE, "--people", "empty.csv"),
        ("plan", "--course", COURSE, "--user", ""),
        ("plan", "--course", COURSE, "--everyone", "--user", SIOBHAN),
        ("plan", "--everyone"),
        ("plan", "--course", COURSE, "--user", SIOBHAN, "--completed-before", "1999-01-01", "--zone", "UTC"),
        ("plan", "--course", "", "--everyone"),
        ("due", "--course", COURSE, "--months", "9", "--zone", "UTC", "--hold", "holds.txt"),
        ("due", "--course", COURSE, "--zone", "UTC"),
        ("due", "--course", COURSE, "--zone", "UTC", "--months", "9", "--fixed-date", "03-01"),
    ):
        done = demo.run(*arguments)
        assert done.code == ExitCode.USAGE, (arguments, done)
    assert demo.run("plan", "--course", COURSE, "--everyone", "--only", "completed").code == 0


def test_an_ambiguous_title_lists_the_ids_and_an_unknown_one_what_comes_close(demo: Demo) -> None:
    done = demo.run("plan", "--course", "Brandschutz\u00fcbung", "--everyone")
    assert done.code == ExitCode.USAGE
    assert done.err.count("69") >= 2
    assert "Draft" in done.err
    near = demo.run("plan", "--course", "forklift", "--everyone")
    assert near.code == ExitCode.FAILED
    assert COURSE in near.err


def test_an_error_is_one_json_document(demo: Demo, mock: MockTraining) -> None:
    done = demo.run("progress", "--course", "nothing of the kind", "--json")
    assert done.document["error"]["class"] == "NotFoundError"
    assert done.document["error"]["exit_code"] == done.code == ExitCode.FAILED
    refused = demo.run("courses", "--json", SAFETYCULTURE_API_TOKEN="mock_wrong_token_0000").document["error"]
    assert refused["request_id"]
    assert refused["status"] == 401
    assert demo.run("plan", "--nonsense", "--json").document["error"]["exit_code"] == ExitCode.USAGE
    phrase = demo.plan("--course", COURSE, "--user", SIOBHAN)
    mock.faults.add("drop", operation="ResetCourseProgress", when="after")
    lost = demo.run("apply", "plan.json", "--reason", "test", "--confirm", phrase, "--json")
    assert lost.document["error"]["class"] == "OutcomeUnknownError"
    assert [user["outcome"] for user in lost.document["report"]["users"]] == ["unknown"]


def test_a_plan_that_was_edited_expired_or_is_of_another_server_is_refused(demo: Demo) -> None:
    phrase = demo.plan("--course", COURSE, "--user", SIOBHAN)
    text = (demo.folder / "plan.json").read_text()
    (demo.folder / "edited.json").write_text(text.replace("Siobh", "Somebody"))
    (demo.folder / "half.json").write_text(text[: len(text) // 2])
    reason = ("--reason", "test", "--confirm", phrase)
    for name in ("edited.json", "half.json", "missing.json"):
        assert demo.run("apply", name, *reason).code == ExitCode.USAGE
    other = MockTraining.demo()
    with other.serve(port=0) as there:
        token = other.token("admin")
        done = demo.run(
            "apply", "plan.json", *reason, SAFETYCULTURE_BASE_URL=there.url, SAFETYCULTURE_API_TOKEN=token
        )
        assert (done.code, [*other.calls.of("reset")]) == (ExitCode.NOTHING_SENT, []), done
        profile = demo.folder / "profiles.toml"
        profile.write_text(f"default = 'a'\n[profiles.a]\nprotected_courses = ['{COURSE}']\n")
        profile.chmod(0o600)
        held = demo.run("apply", "plan.json", *reason, "--profiles", str(profile))
        assert (held.code, held.err.count("protected")) == (ExitCode.NOTHING_SENT, 2), held
    assert not demo.resets


def test_a_live_service_is_not_reset_before_the_format_is_proved(demo: Demo) -> None:
    live = MockTraining.demo(policy=Policy(plays="live"))
    with live.serve(port=0) as server:
        there = {"SAFETYCULTURE_BASE_URL": server.url, "SAFETYCULTURE_API_TOKEN": live.token("admin")}
        phrase = demo.plan("--course", COURSE, "--user", SIOBHAN, **there)
        done = demo.run("apply", "plan.json", "--reason", "test", "--confirm", phrase, **there)
        assert done.code == ExitCode.NOTHING_SENT
        asked = demo.run("prove", "--course", COURSE, "--person", SIOBHAN, "--reason", "test", **there)
        assert asked.code == ExitCode.USAGE  # too many people are on it
    here = demo.run("prove", "--course", COURSE, "--person", SIOBHAN, "--reason", "test")
    assert here.code == ExitCode.NOTHING_SENT  # there is nothing to prove on the reference server


def test_two_people_are_needed_where_the_profile_says_so(demo: Demo, mock: MockTraining) -> None:
    profile = demo.folder / "profiles.toml"
    profile.write_text("default = 'a'\n[profiles.a]\nfour_eyes = 'procedural'\n")
    profile.chmod(0o600)
    phrase = demo.plan("--course", COURSE, "--user", SIOBHAN)
    apply = ("apply", "plan.json", "--reason", "test", "--confirm", phrase, "--profiles", str(profile))
    assert demo.run(*apply).code == ExitCode.NOTHING_SENT
    own = demo.run("sign", "plan.json", "--confirm", phrase, "--save", "own.json")
    assert own.code == 0
    assert demo.run(*apply, "--approval", "own.json").code == ExitCode.NOTHING_SENT
    second = {"SAFETYCULTURE_API_TOKEN": mock.token("manager")}
    assert demo.run("sign", "plan.json", "--confirm", phrase + "x", **second).code == ExitCode.NOT_CONFIRMED
    assert demo.run("sign", "plan.json", "--confirm", phrase, **second).code == 0
    assert demo.run(*apply, "--approval", "plan.approval.json").code == 0
    assert len(demo.resets) == 1


def test_a_hostile_title_is_text_and_nothing_else(demo: Demo, mock: MockTraining) -> None:
    text = json.dumps(mock.state()).replace(json.dumps(TITLE), json.dumps(HOSTILE))
    mock.rollback(json.loads(text))
    for arguments in (
        ["courses"],
        ["progress", "--limit", "3"],
        ["plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json"],
        ["show", "plan.json", "--all"],
        ["apply", "plan.json", "--reason", "test"],
        ["courses", "--json"],
    ):
        done = demo.run(*arguments)
        for forbidden in ("\x1b", "\x07", "\u202e"):
            assert forbidden not in done.out + done.err
    assert "[bold]" in demo.run("courses").out
