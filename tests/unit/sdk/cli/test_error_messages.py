"""Messages of errors on the command line, and refusals before the phrase is typed."""

from __future__ import annotations

import ast
import inspect
import io
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from attrs import evolve

import training_sdk
from mock_server import MockTraining
from training_sdk import APIConnectionError, InvalidArgumentError, Remedy, TrainingError
from training_sdk._core import argument_checks
from training_sdk.cli import main
from training_sdk.cli.error_messages import REMEDIES, message_of, notes_of, option_of, options_of
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.group import COMMANDS, program
from training_sdk.cli.layout import LONGEST_RULE
from training_sdk.cli.output import Output
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import GO_ON, ShellCommands
from training_sdk.plans.wording import RESUME as RESUME_REMEDY
from training_sdk.reports.report import STOPPED, STOPPED_AND_OTHERS

SDK = Path(training_sdk.__file__).parent
COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"
PYTHON = re.compile(r"client\.[a-z]|\(…\)|\w+=[\w'…]|\.strip\(\)")


def calls_of_the_sdk() -> Iterator[ast.Call]:
    """Every call in the SDK outside of its command line."""
    for path in SDK.rglob("*.py"):
        if path.relative_to(SDK).parts[0] not in ("cli", "testing"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def texts(nodes: Iterable[ast.expr]) -> set[str]:
    return {one.value for one in nodes if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def arguments_of_errors() -> set[str]:
    """The parameters that errors name, and those that calls of the argument checks name for them."""
    checks = {name for name, one in vars(argument_checks).items() if inspect.isfunction(one)}
    named = (word.value for call in calls_of_the_sdk() for word in call.keywords if word.arg == "argument")
    checked = (
        one
        for call in calls_of_the_sdk()
        if isinstance(call.func, ast.Attribute) and call.func.attr in checks
        for one in (call.args[:1] if call.func.attr == "refusal" else call.args[1:2])
    )
    return texts([*named, *checked])


def every_option() -> dict[str, str]:
    context = click.Context(program)
    commands = [program.get_command(context, name) for name in COMMANDS]
    groups = [
        each for one in commands for each in (one.commands.values() if isinstance(one, click.Group) else [])
    ]
    return {
        name: option
        for one in (*commands, *groups)
        if one is not None
        for name, option in options_of(one).items()
    }


PYTHON_ONLY = frozenset(
    {
        *("begun_at", "clear_all_groups", "clear_all_sites", "clear_all_users"),
        *("date_triggered", "due", "event", "events", "format", "headers", "http_client", "interactive"),
        *("params", "signature", "token", "waves", "where"),
        *("modified_after", "now", "at", "of", "pace", "path", "plan"),
        *("read_only", "report", "reset_format", "rows", "rule", "safeguards"),
        *("timeout", "universal_access", "url", "usernames", "allow_insecure_http"),
        *("collection_id", "course_id", "group_ids", "ids", "leaderboard_id"),
        *("lesson_id", "path_id", "rapid_refresh_id", "site_ids", "user_id", "webhook_id"),
        "targets",
        "a course in targets",
        *("where", "due", "waves"),
        "signature",
        "http_client",
    }
)
"""Parameters whose values the command line makes itself or never gives; ids are read from listings and files there."""

PROFILE = frozenset(
    {
        *("allowed_signers", "four_eyes", "max_users", "plan_lifetime", "processing_time"),
        *("signed_plans", "protected_courses"),
    }
)
"""Parameters that a profile has by the same name."""


def test_every_argument_of_an_error_has_an_option() -> None:
    found, options = arguments_of_errors(), every_option()
    assert {"score_below", "per_request", "every", "zone"} <= found
    assert {name for name in found if option_of(name, options) is None} <= PROFILE | PYTHON_ONLY


def test_every_remedy_has_a_sentence_for_the_command_line() -> None:
    made = [call for call in calls_of_the_sdk() if getattr(call.func, "id", "") == "Remedy"]
    assert {ast.literal_eval(one.args[0]) for one in made} == REMEDIES.keys()
    for said in REMEDIES.values():
        assert not PYTHON.search(said), said
        assert said.endswith(".")


def test_no_message_names_python() -> None:
    """Only a remedy may: the command line has a sentence of its own for each."""
    found = set[str]()
    for path in SDK.rglob("*.py"):
        if path.relative_to(SDK).parts[0] not in ("cli", "testing"):
            found |= {
                one for one in messages_in(ast.parse(path.read_text(encoding="utf-8"))) if PYTHON.search(one)
            }
    assert {one for one in found if not any(part in one for part in FOR_PROGRAMS)} == set()


def messages_in(tree: ast.AST) -> Iterator[str]:
    """The texts in the code, without docstrings and remedies."""
    for node in ast.iter_child_nodes(tree):
        is_remedy = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Remedy"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value
        elif not is_remedy and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield from messages_in(node)


FOR_PROGRAMS = (
    *(
        "must be a ",
        "is the path of a course reset",
        "FromCompletion must",
        "must be progress rows",
        "dtype=str",
    ),
    *("With the async client", STOPPED, "client.resets.resume(plan, confirm=…)"),
)
"""Messages about values that the command line never gives, and texts for which it has its own commands."""


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (
            InvalidArgumentError("x", remedy=RESUME_REMEDY),
            "Continue with training-sdk resume --profile a 'my plan.json', which",
        ),
        (InvalidArgumentError("score_below is low", argument="score_below"), "--score-below is low"),
        (InvalidArgumentError("an id in users is", argument="an id in users"), "an id in --user is"),
        (InvalidArgumentError("every must be longer", argument="every"), "--waves-every must be longer"),
        (InvalidArgumentError("rows must be some", argument="rows"), "rows must be some"),
        (InvalidArgumentError("key must be random", argument="key"), "--key-file must be random"),
        (APIConnectionError("x", remedy=Remedy("retry_longer", "")), "x. Raise --max-retry to wait longer."),
    ],
)
def test_an_error_names_options_and_commands(error: TrainingError, command: str) -> None:
    options = {"score_below": "--score-below", "users": "--user", "every": "--waves-every"}
    assert command in message_of(error, options, COMMAND)


COMMAND = ShellCommands("--profile a", "'my plan.json'")


PROOF = "This was a proof. Continue with training-sdk prove and the same course and person. Nothing is sent again."
RESUME = "It was interrupted:\n  training-sdk resume 'my plan.json'"


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ([STOPPED.format(counts="2 unknown"), STOPPED.format(counts="1 unknown"), RESUME], [RESUME]),
        ([STOPPED.format(counts="1 unknown"), GO_ON], [PROOF]),
        (["the report says this", "it does not say this", RESUME], ["it does not say this", RESUME]),
        ([GO_ON, GO_ON], [PROOF]),
        (
            [STOPPED.format(counts="2 unknown"), STOPPED.format(counts="1 unknown")],
            [
                "A reset was stopped by this: 1 unknown. The result for each person is shown above. Continue "
                "with training-sdk resume --profile a 'my plan.json', which first reads back what may "
                "have arrived and resets no person twice."
            ],
        ),
        ([], []),
    ],
)
def test_what_to_do_is_said_once(notes: list[str], told: list[str]) -> None:
    stop = KeyboardInterrupt()
    for note in notes:
        stop.add_note(note)
    assert notes_of(stop, COMMAND, "… the report says this …") == told


def test_an_interruption_that_only_its_notes_tell_of_may_have_reset_somebody(
    demo_site: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A proof whose report cannot be read says what to do in a note alone."""
    for notes, code in (((GO_ON,), ExitCode.INCOMPLETE), ((), ExitCode.INTERRUPTED)):

        def interrupted(*_: object, notes: tuple[str, ...] = notes, **__: object) -> None:
            stop = KeyboardInterrupt()
            for note in notes:
                stop.add_note(note)
            raise stop

        monkeypatch.setattr("training_sdk.cli.commands.listing.courses.callback", interrupted)
        assert main(["courses"]) == code
        said = capsys.readouterr().err
        assert ("Nothing was sent" in said) is (not notes)
        assert ("training-sdk prove" in said) is bool(notes)


def test_real_errors_speak_of_options(
    demo_site: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("no.json").write_text("{}")
    plan = ("plan", "--course", COURSE, "--everyone")
    for arguments, remedy in (
        (("show", "no.json"), "is not a saved plan"),
        ((*plan, "--completed-before", "2026-01-01"), "--zone UTC"),
        (("courses", "--base-url", "http://training.example.org"), "allow_insecure_http = true"),
    ):
        capsys.readouterr()
        assert main(arguments) == ExitCode.USAGE
        said = capsys.readouterr().err
        assert remedy in said
        assert not PYTHON.search(said), said
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "mock token")
    assert main(["courses"]) == ExitCode.USAGE
    assert "set it again" in capsys.readouterr().err


def test_a_phrase_or_id_to_copy_has_no_full_stop(
    demo_site: None, mock: MockTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    def last_line(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) in (ExitCode.NOT_CONFIRMED, ExitCode.USAGE)
        return capsys.readouterr().err.rstrip("\n").rpartition("\n")[2]

    assert main(["plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json"]) == 0
    phrase = ResetPlan.load("plan.json").phrase
    for wrong in ("wrong", ""):
        shown = last_line("apply", "plan.json", "--reason", "test", "--confirm", wrong)
        assert shown == f"  {phrase}"
    title = next(iter(mock.world.main.courses.values())).title
    for course in [*mock.world.main.courses.values()][:2]:
        mock.world.main.put_course(evolve(course, title=title))
    assert re.fullmatch(r"  [0-9a-f]+ +\w+", last_line("plan", "--course", title, "--everyone"))


def test_an_unusable_plan_is_refused_unshown(demo_site: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json"]) == 0
    plan = ResetPlan.load("plan.json")
    past = datetime.now(UTC) - timedelta(days=9)
    evolve(plan, read_at=past, expires_at=past + timedelta(hours=1)).save("old.json")
    apply = ("apply", "plan.json", "--reason", "test", "--confirm", plan.phrase)

    def refused(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code, told = main(arguments), capsys.readouterr()
        assert told.out == ""
        return code, told.err

    code, said = refused("resume", "plan.json")
    assert (code, "do not contain this plan" in said) == (ExitCode.USAGE, True)
    code, said = refused("apply", "old.json", "--reason", "test")
    assert (code, "expired" in said) == (ExitCode.NOTHING_SENT, True)
    assert main(apply) == 0
    for again in (apply[:-2], ("resume", "plan.json")):
        code, said = refused(*again)
        assert (code, "applied once" in said) == (ExitCode.NOTHING_SENT, True)


def test_groups_are_listed(demo_site: None, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("groups", "sites", "paths"):
        assert main([command]) == 0
        told = capsys.readouterr()
        rows = len(told.out.splitlines()) - 2
        assert rows > 0
        assert told.err.startswith(f"{rows} ")


def test_nobody_due_has_a_code_of_its_own_where_a_file_was_asked_for(demo_site: None, tmp_path: Path) -> None:
    due = ("due", "--course", COURSE, "--years", "90", "--zone", "UTC")
    assert main(due) == ExitCode.DONE
    assert main([*due, "--save", "due.json"]) == ExitCode.NOBODY_DUE
    assert not (tmp_path / "due.json").exists()


def test_the_planner_who_signs_is_warned(
    demo_site: None, mock: MockTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json"]) == 0
    sign = ("sign", "plan.json", "--confirm", ResetPlan.load("plan.json").phrase, "--save")
    capsys.readouterr()
    assert main([*sign, "own.json"]) == 0
    assert "Warning: This token" in capsys.readouterr().err
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("manager"))
    assert main([*sign, "other.json"]) == 0
    assert "Warning: This token" not in capsys.readouterr().err


def test_the_rule_of_a_table_in_a_pipe_is_bounded_and_no_row_is() -> None:
    out = io.StringIO()
    Output(False, out, io.StringIO()).table(("a", "b"), [("x" * 500, "y")])
    header, *rest = out.getvalue().splitlines()
    assert header.startswith("a")
    assert "x" * 500 in rest[-1]
    assert all(len(line) <= LONGEST_RULE for line in rest[:-1])


def test_the_card_names_the_planner_and_counts_in_english(demo_site: None, tmp_path: Path) -> None:
    plan = ("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json", "--card", "card.html")
    assert main(plan) == 0
    card = (tmp_path / "card.html").read_text()
    who = re.search(r"Planned by</th><td>([^<]+)<br>", card)
    assert who is not None
    assert "&lt;" in who[1]
    assert "@" in who[1]
    assert "<li>1 completion with" in card
    assert "1 completions" not in card


@pytest.mark.parametrize("key", ["close_again", "close_lost"])
def test_the_command_that_closes_a_plan_has_the_options_that_were_given(key: str) -> None:
    values = (("digest", "a1b2-c3d4-e5f6-0718"), ("folder", "a1b2"))
    error = TrainingError("It was lost", remedy=Remedy(key, "Close it.", values))
    said = message_of(error, {}, ShellCommands("--profile prod --state-dir /srv/records"))
    assert (
        "training-sdk plan close --profile prod --state-dir /srv/records a1b2-c3d4-e5f6-0718 --reason" in said
    )


@pytest.mark.parametrize(
    ("message", "argument", "shown"),
    [
        ("Hours of waves need a time zone.", "zone", "Hours of waves need a time zone."),
        ("zone must be a name", "zone", "--zone must be a name."),
        ("An id in users is empty, users.", "users", "An id in --user is empty, users."),
        ("It would exceed max_users.", "max_users", "It would exceed --max-users."),
    ],
)
def test_a_word_in_a_sentence_is_no_parameter(message: str, argument: str, shown: str) -> None:
    options = {"zone": "--zone", "users": "--user", "max_users": "--max-users"}
    assert message_of(InvalidArgumentError(message, argument=argument), options, ShellCommands()) == shown


def test_after_a_stop_that_reached_others_nothing_advises_to_resume() -> None:
    stop = KeyboardInterrupt()
    stop.add_note(
        STOPPED_AND_OTHERS.format(counts="2 reset", others="3 people outside the plan may have been reset")
    )
    (note,) = notes_of(stop, ShellCommands(), "")
    assert "3 people outside the plan" in note
    assert "The result for each person is shown above." in note
    assert "resume" not in note
