"""What the command line understands and prints, without any process."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from unicodedata import normalize
from unittest import mock

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import errors
from training_sdk.approval.approvals import check_phrase
from training_sdk.cli import main
from training_sdk.cli.arguments import a_duration, a_moment, hours, people_from
from training_sdk.cli.commands.due import read_hold
from training_sdk.cli.exit_codes import ExitCode, code_for
from training_sdk.cli.group import COMMANDS, program
from training_sdk.cli.interaction import confirmed
from training_sdk.cli.output import Output, safe, write_new
from training_sdk.cli.streams import StreamFile
from training_sdk.errors import ConfirmationError, InvalidArgumentError, TrainingError
from training_sdk.records import storage

PHRASE = 'reset "Forklift basics" for 37 users #a1b2-c3d4-e5f6-0718'


def output(*, as_json: bool = False) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Output(as_json, out, err), out, err


@given(st.text())
def test_nothing_that_is_printed_acts_on_a_terminal(text: str) -> None:
    printer, out, err = output()
    printer.say(text)
    printer.note(text)
    printer.table(("one", "two"), [(text, text)])
    letters = set(out.getvalue() + err.getvalue())
    assert not letters & {"\x1b", "\x07", "\x08", "\r", "\u202e", "\u2066", "\x9b", "\x00"}
    assert safe(text).count("\n") == text.count("\n")


def test_markup_in_a_title_is_text() -> None:
    printer, out, _ = output()
    printer.table(("title",), [("[red]x[/red] :warning: [link=https://evil.example]y[/link]",)])
    assert "[red]x[/red] :warning: [link=https://evil.example]y[/link]" in out.getvalue()


def test_a_row_is_a_line_where_nobody_watches() -> None:
    printer, out, _ = output()
    printer.table(("a", "b"), [("x" * 500, "y y " * 100)] * 3)
    assert len(out.getvalue().splitlines()) == 4


def test_with_json_only_the_document_is_on_standard_output() -> None:
    printer, out, err = output(as_json=True)
    printer.say("for people")
    printer.note("for people")
    printer.table(("a",), [("b",)])
    printer.warn("a problem")
    printer.document({"at": datetime(2026, 12, 1, tzinfo=UTC), "name": "\x1bÖ"})
    assert json.loads(out.getvalue()) == {"at": "2026-12-01T00:00:00+00:00", "name": "\x1bÖ"}
    assert out.getvalue().isascii()
    assert err.getvalue() == "a problem\n"


@pytest.mark.parametrize("typed", [PHRASE, f" {PHRASE}\n", f"\t{PHRASE}\r\n"])
def test_white_space_around_the_phrase_does_not_count(typed: str) -> None:
    assert confirmed(output()[0], PHRASE, typed) == PHRASE


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (PHRASE.replace('"', "\u201c"), "The quotation marks of your input are typographic"),
        (PHRASE.replace('"', "\u201e"), "U+201E (DOUBLE LOW-9 QUOTATION MARK) instead of U+0022"),
        (
            PHRASE.replace("lift", "l\u200bift"),
            "Character 13 is U+200B (ZERO WIDTH SPACE, invisible) instead",
        ),
        (PHRASE.replace("F", "\u0424"), "U+0424 (CYRILLIC CAPITAL LETTER EF) instead of U+0046"),
        (PHRASE.replace(" f", "\u00a0f"), "U+00A0 (NO-BREAK SPACE, invisible) instead of U+0020"),
        (PHRASE[:-1], f"It ends after {len(PHRASE) - 1} characters; U+0038 (DIGIT EIGHT) is missing"),
        (PHRASE + "\u202c", f"After {len(PHRASE)} characters it continues with U+202C"),
        (PHRASE.replace("b", "\udcff"), "the byte 0xFF, which is not text"),
        (PHRASE.upper(), "Capital and small"),
        (PHRASE.replace(" for", "  for"), "white space"),
        (PHRASE.replace("a1b2", "d4e5"), "#a1b2-c3d4-e5f6-0718"),
        (PHRASE.replace("37", "36"), PHRASE),
        ("", PHRASE),
    ],
)
def test_any_other_phrase_is_refused_with_a_hint(typed: str, hint: str) -> None:
    with pytest.raises(ConfirmationError) as caught:
        confirmed(output()[0], PHRASE, typed)
    assert hint in caught.value.message
    assert "othing was sent" in caught.value.message


@given(st.text().filter(lambda text: text.strip() != PHRASE))
def test_no_other_text_confirms(text: str) -> None:
    with pytest.raises(ConfirmationError):
        confirmed(output()[0], PHRASE, text)


@pytest.mark.parametrize("problem", [OSError(errno.EIO, "gone"), None])
def test_a_closed_terminal_confirms_nothing(monkeypatch: pytest.MonkeyPatch, problem: OSError | None) -> None:
    terminal = mock.Mock(closed=False, **{"isatty.return_value": True, "readline.return_value": ""})
    terminal.readline.side_effect = problem
    monkeypatch.setattr("sys.stdin", terminal)
    with pytest.raises(ConfirmationError, match="Nothing was sent"):
        confirmed(Output(False, io.StringIO(), terminal), PHRASE, None)
    assert terminal.readline.call_count == 1


def test_nobody_confirms_what_could_not_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """R05: the phrase is asked for only beside what it is about."""
    terminal = mock.Mock(closed=False, **{"isatty.return_value": True, "readline.return_value": PHRASE})
    monkeypatch.setattr("sys.stdin", terminal)
    with StreamFile(os.open(os.devnull, os.O_RDONLY)) as file:
        file.failure = OSError(errno.EIO, "Input/output error")
        terminal.buffer.raw = file
        with pytest.raises(ConfirmationError, match=r"could not be shown \(Input/output error\)"):
            confirmed(Output(False, io.StringIO(), terminal), PHRASE, None)


TITLES = st.text(st.sampled_from('aA u\u0308\u00fce\u0301"\u201c\u201dx\u200d\u212b'), max_size=8)


@given(TITLES, TITLES)
def test_a_phrase_is_compared_composed_without_blaming_quotes(title: str, other: str) -> None:
    phrase, typed = (f'reset "{text}" for 1 user #a1b2c3' for text in (title, other))
    if normalize("NFC", title) == normalize("NFC", other):
        assert confirmed(output()[0], phrase, typed) == phrase
        return
    with pytest.raises(ConfirmationError) as caught:
        confirmed(output()[0], phrase, typed)
    assert "U+" in caught.value.message or phrase in caught.value.message
    if not any(mark in title + other for mark in "\u201c\u201d"):
        assert "uotation marks are" not in caught.value.message


@pytest.mark.parametrize("given", ["Stra\u00dfe \u00fcben", "Stra\u00dfe u\u0308ben"])
@pytest.mark.parametrize("title", ["Stra\u00dfe \u00fcben", "Stra\u00dfe u\u0308ben"])
def test_a_decomposed_title_confirms_as_it_is_typed_and_keeps_its_code_points(given: str, title: str) -> None:
    assert confirmed(output()[0], title, given) == title


@pytest.mark.parametrize("letter", ["\u200c", "\u200d", "\ufe0f", "\u2800", "\U000e0041", "\x1b"])
def test_an_invisible_character_is_typed_as_it_is_shown(letter: str) -> None:
    """R06: what is on the screen can be typed; the phrase keeps its code points."""
    phrase = PHRASE.replace("lift", f"l{letter}ift")
    printer, out, _ = output()
    printer.say(phrase)
    shown = out.getvalue().strip()
    assert shown.isascii()
    assert "\\" in shown
    assert confirmed(printer, phrase, shown) == phrase
    check_phrase(shown, phrase, "plan")
    for wrong in (PHRASE, shown.replace("l\\", "l\\\\"), shown.upper()):
        with pytest.raises(ConfirmationError):
            confirmed(printer, phrase, wrong)
        with pytest.raises(ConfirmationError):
            check_phrase(wrong, phrase, "plan")


def all_errors(of: type[TrainingError] = TrainingError) -> list[type[TrainingError]]:
    return [of, *(each for one in of.__subclasses__() for each in all_errors(one))]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code_that_is_not_done(kind: type[TrainingError]) -> None:
    code = code_for(pickle.loads(pickle.dumps(kind("something"))))
    assert code not in (ExitCode.DONE,)
    unspecific = {
        *("TrainingError", "APIStatusError", "BadRequestError", "NotFoundError", "ConflictError"),
        *("RateLimitError", "NotSupportedError", "ServerError", "DecodingError"),
    }
    assert (code is ExitCode.FAILED) is (kind.__name__ in unspecific)


def test_every_exit_code_is_documented_and_distinct() -> None:
    assert len({code.meaning for code in ExitCode}) == len(ExitCode)


@pytest.mark.parametrize(
    "refusal",
    [
        errors.InvalidArgumentError("x", reason="COURSE_PROTECTED"),
        errors.APIConnectionError("x", reason="CACHED_ANSWER"),
        errors.APITimeoutError("x", reason="NO_QUIET_MOMENT"),
    ],
    ids=lambda error: str(error.reason),
)
def test_what_was_refused_before_anything_was_sent_ends_with_4(refusal: TrainingError) -> None:
    assert code_for(refusal) is ExitCode.NOTHING_SENT


def test_every_command_is_there_and_has_help() -> None:
    context = click.Context(program)
    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None
        assert command.name == name
        if name != "contract":
            assert command.help


@pytest.mark.parametrize("name", ["plan", "evidence", "audit"])
def test_no_line_of_a_list_of_commands_is_cut(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert isinstance(command, click.Group)
    text = command.get_help(click.Context(command, info_name=f"training-sdk {name}", terminal_width=80))
    listed = text.partition("\nCommands:\n")[2].splitlines()
    assert len(listed) == len(command.commands)
    assert [line for line in listed if not line.endswith(".")] == []


def test_no_command_takes_a_token_or_a_yes() -> None:
    context = click.Context(program)
    options = {
        option
        for name in COMMANDS
        for each in commands_of(program.get_command(context, name))
        for parameter in each.params
        for option in parameter.opts
    }
    assert "--confirm" in options
    assert not {option for option in options if "token" in option or option in ("--yes", "-y", "--force")}


@pytest.mark.parametrize("path", ["report", "verify", "resume", "plan close"])
def test_help_says_which_digest_is_meant(path: str) -> None:
    command: click.Command = program
    for name in path.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    said = " ".join(str(command.help).split())
    assert "DIGEST is the end of the phrase, such as a1b2-c3d4-e5f6-0718, or the whole digest" in said


def test_help_says_how_to_work_without_a_profile() -> None:
    command = program.get_command(click.Context(program), "courses")
    assert command is not None
    assert '"none" works without a profile' in " ".join(command.get_help(click.Context(command)).split())


def commands_of(command: click.Command | None) -> list[click.Command]:
    assert command is not None
    return [*command.commands.values()] if isinstance(command, click.Group) else [command]


def test_dates_times_and_spans_are_read_as_they_are_written() -> None:
    assert a_moment("2026-12-31") == date(2026, 12, 31)
    assert a_moment("2026-12-31T09:00:00+01:00") == datetime(2026, 12, 31, 8, tzinfo=UTC)
    assert a_duration("90s") == timedelta(seconds=90)
    assert a_duration("2h") == timedelta(hours=2)
    assert hours("08:00-17:30") == (time(8), time(17, 30))
    for wrong in ("31.12.2026", "2026-13-01", "2026-12-31T09:00:00", "", "yesterday"):
        with pytest.raises(click.BadParameter) as refused:
            a_moment(wrong)
        assert "isoformat" not in refused.value.message
    for wrong in ("", "h", "2", "-1h", "1.5h", "\u0662h", "9999999d"):
        with pytest.raises(click.BadParameter):
            a_duration(wrong)
    for wrong in ("", "8-17", "08:00", "08:00-25:00"):
        with pytest.raises(click.BadParameter):
            hours(wrong)


def test_people_of_all_kinds_are_one_list_and_nobody_is_none(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\nann@example.org\nbob@example.org\n")
    people = people_from(["ann@example.org", "user_1"], ["E-1"], ["Drivers"], [], [file])
    assert people is not None
    assert sorted(one.value for one in people.entries) == [
        "E-1",
        "ann@example.org",
        "bob@example.org",
        "user_1",
    ]
    assert people.groups == ("Drivers",)
    assert people_from([], [], [], [], []) is None


def test_a_hold_list_is_read_and_one_that_holds_nobody_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "hold.txt"
    file.write_text("\ufeff# on leave\nann@example.org  # until June\n\ncourse_1, user_2\n", encoding="utf-8")
    assert read_hold(file) == ("ann@example.org", "course_1, user_2")
    for text in ("", "# nobody\n", "\n\n"):
        file.write_text(text)
        with pytest.raises(InvalidArgumentError, match="contains no people"):
            read_hold(file)
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        read_hold(tmp_path / "missing")


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("ann_contoso.example#EXT#@nordwerk.example", "ann_contoso.example#EXT#@nordwerk.example"),
        ("ann_contoso.example#EXT#@nordwerk.example # a guest", "ann_contoso.example#EXT#@nordwerk.example"),
        ("E-7#2\t# twice # over", "E-7#2"),
        ("E-7\u00a0# on leave", "E-7"),
        ("E-7\u2028x", "E-7\u2028x"),
        ("E-7#", "E-7#"),
        ("  ann@example.org\r\n", "ann@example.org"),
    ],
)
def test_a_hash_within_an_entry_is_part_of_it(tmp_path: Path, line: str, entry: str) -> None:
    file = tmp_path / "hold.txt"
    file.write_text(f"  # all\n{line}\n#last", encoding="utf-8")
    assert read_hold(file) == (entry,)


def test_what_is_written_is_private_and_never_over_something(tmp_path: Path) -> None:
    path = tmp_path / "card.html"
    write_new(path, "first", "a card")
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(InvalidArgumentError, match="never written over"):
        write_new(path, "second", "a card")
    assert path.read_text() == "first"
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "elsewhere.html")
    with pytest.raises(InvalidArgumentError, match="never written over"):
        write_new(link, "third", "a card")
    with pytest.raises(InvalidArgumentError, match="never written over"):
        storage.write_new(link, b"third", "a card")
    assert sorted(tmp_path.iterdir()) == [path, link]


def test_a_new_file_needs_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", refused)
    write_new(tmp_path / "card.html", "first", "a card")
    with pytest.raises(InvalidArgumentError, match="never written over"):
        storage.write_new(tmp_path / "card.html", b"second", "a card")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("card.html", b"first")]


@pytest.mark.parametrize("fails", ["replace", "sync_folder"])
def test_no_unfinished_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "not here")

    if fails == "replace":
        monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(Path if fails == "replace" else storage, fails, refused)
    with pytest.raises(InvalidArgumentError, match="Nothing is left of it"):
        storage.write_new(tmp_path / "card.html", b"first", "a card")
    assert list(tmp_path.iterdir()) == []


def test_a_phrase_in_a_hint_is_on_a_line_of_its_own() -> None:
    for typed in ("", PHRASE.replace("37", "36")):
        with pytest.raises(ConfirmationError) as caught:
            confirmed(output()[0], PHRASE, typed)
        assert f"\n  {PHRASE}" in caught.value.message


@pytest.mark.parametrize("words", [[], ["audit"], ["evidence"], ["courses", "--foo"], ["bogus"], ["apply"]])
def test_misuse_ends_with_2(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(click.exceptions, "NoArgsIsHelpError", raising=False)
    assert main(words) == ExitCode.USAGE
    said = capsys.readouterr()
    assert (said.out, "Usage: " in said.err or "For help: training-sdk" in said.err) == ("", True)
