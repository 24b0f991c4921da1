"""The pytest plugin, in a pytest of its own: found without an import, and a world of its own for every test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from e2e.fork_server import run_forked
from mock_server import MockTraining

pytest_plugins = ["pytester"]


def run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Run tests in a pytest of their own that has this plugin alone: the others take seconds to load."""
    pytester.makepyfile(source)
    own = ("-p", "pytest_training_sdk", "-p", "no:cacheprovider", "--strict-markers", "-W", "error")
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = run_forked("pytest", [*own, *arguments], cwd=pytester.path, env=env)
    return pytest.RunResult(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), 0)


def test_the_plugin_is_found_through_its_entry_point(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(training_client): assert training_client.users.me()")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


ISOLATED = """
import pytest

@pytest.mark.parametrize("number", range(8))
def test_reset(training_client, training_mock, number):
    (course,) = [c for c in training_client.courses.list(search="Forklift") if c.title == "Forklift basics"]
    plan = training_client.resets.plan_everyone(course.id)
    report = training_client.resets.apply(plan, confirm=plan.phrase)
    assert report.is_complete
    assert [entry.users_updated for entry in training_mock.audit] == [37]
    training_mock.calls.of("reset").once()
"""


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "xdist"])
def test_every_test_has_a_world_of_its_own(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    run(pytester, ISOLATED, *arguments).assert_outcomes(passed=8)


def test_both_clients_and_the_server_share_the_world_of_the_test(pytester: pytest.Pytester) -> None:
    source = """
    import asyncio, json
    from urllib.request import Request, urlopen

    def test_shared(training_client, async_training_client, training_server, training_mock):
        me = training_client.users.me()
        assert asyncio.run(async_training_client.users.me()) == me
        request = Request(
            f"{training_server.url}/accounts/user/v1/user:WhoAmI",
            headers={"Authorization": f"Bearer {training_mock.token('admin')}"},
        )
        with urlopen(request) as answer:
            assert json.load(answer)["user_id"] == me.user_id
        assert len(training_mock.calls) == 3
    """
    run(pytester, source).assert_outcomes(passed=1)


def test_the_environment_leads_nowhere_else(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETYCULTURE_BASE_URL", "https://elsewhere.example")
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "of-a-live-tenant")
    source = """
    def test_me(training_client, async_training_client, training_mock):
        assert training_client.base_url == async_training_client.base_url == "https://api.safetyculture.io"
        assert training_client.users.me().user_id == training_mock.tokens()[0]["user_id"]
        assert training_mock.calls[0].token == "admin"
    """
    run(pytester, source).assert_outcomes(passed=1)


def test_markers_shape_the_world_and_the_nearest_wins(pytester: pytest.Pytester) -> None:
    source = """
    from datetime import UTC, datetime, timedelta
    import pytest

    pytestmark = [
        pytest.mark.training_world("generated", users=3, courses=2, random_seed=5),
        pytest.mark.training_policy(confirmation="off", eligibility="completed"),
    ]

    def test_of_the_module(training_mock):
        assert len(training_mock.world.courses) == 2
        assert training_mock.world.main.name == "Generated organisation 5"
        assert (training_mock.policy.confirmation, training_mock.policy.eligibility) == ("off", "completed")

    @pytest.mark.training_world(now="2026-11-30T09:00:00Z")
    @pytest.mark.training_policy(eligibility="recorded")
    @pytest.mark.training_lag(timedelta(hours=1))
    def test_of_its_own(training_mock):
        assert training_mock.world.main.name == "Nordwerk Logistik"
        assert training_mock.clock.now() == datetime(2026, 11, 30, 9, tzinfo=UTC)
        assert (training_mock.policy.confirmation, training_mock.policy.eligibility) == ("off", "recorded")
        assert training_mock.lag == timedelta(hours=1)
    """
    run(pytester, source).assert_outcomes(passed=2)


def test_faults_of_markers_strike_in_the_order_in_which_they_are_written(pytester: pytest.Pytester) -> None:
    source = """
    import pytest
    from training_sdk import OutcomeUnknownError, ServerError

    pytestmark = pytest.mark.training_faults("error", operation="WhoAmI", status=500, times=1)

    @pytest.mark.training_faults("error", operation="ListCourses", times=None)
    def test_both(training_client, training_mock):
        client = training_client.with_options(max_retry_seconds=0)
        with pytest.raises(ServerError):
            client.users.me()
        for _ in range(2):
            with pytest.raises(ServerError):
                list(client.courses.list())
        assert [each.operation for each in training_mock.faults.script] == ["WhoAmI", "ListCourses"]

    def test_another_world(training_client, training_mock):
        assert [each.operation for each in training_mock.faults.script] == ["WhoAmI"]
        assert list(training_client.courses.list())
    """
    run(pytester, source).assert_outcomes(passed=2)


MISTAKEN = {
    'training_policy(eligibility="never")': "eligibility must be one of 'recorded', 'completed', not 'never'",
    'training_policy(emulates="forgets")': "emulates must be names out of refuses_partway_404",
    "training_policy(elligibility=1)": "unexpected keyword argument 'elligibility'. It accepts everyone_permission, e",
    'training_policy("eligibility=completed")': "too many positional arguments",
    'training_world("moon")': "'moon' with nothing is not valid",
    "training_world(users=5)": "'demo' with users is not valid",
    'training_world("generated", people=5)': "unexpected keyword argument 'people'. It accepts seed, now, users",
    'training_world("generated", users=0)': "A generated world needs at least 1 user and 1 course, not 0",
    'training_world("generated", users="3")': "users must be a whole number, not '3'",
    'training_world("generated", seed=7)': "multiple values for argument 'seed'. It accepts seed, now, users",
    'training_world(now="2026-11-30T09:00:00")': "now must be a datetime with a time zone",
    'training_world(now="yesterday")': "now must be a date with a time zone, such as 2026-11-30T09:00:00Z, not",
    "training_lag(60)": "lag must be ",
    "training_lag()": "missing a required argument: 'lag'",
    "training_lag(hours=1)": "'lag'. It accepts lag",
    'training_faults("eror")': "kind must be one of rate_limited, error",
    'training_faults("error", operation="ListCorses")': "There is no operation 'ListCorses'",
    'training_faults("error", often=3)': "unexpected keyword argument 'often'. It accepts kind, operation, ",
}


def test_a_marker_that_cannot_be_meant_names_itself_and_the_test(pytester: pytest.Pytester) -> None:
    tests = [
        f"@pytest.mark.{marker}\ndef test_{number}(training_mock): pass"
        for number, marker in enumerate(MISTAKEN)
    ]
    result = run(pytester, "\n".join(["import pytest", *tests]))
    result.assert_outcomes(errors=len(MISTAKEN))
    lines = result.stdout.lines
    for marker, said in MISTAKEN.items():
        name = marker.partition("(")[0]
        assert any(line.startswith(f"{name}: ") and said in line for line in lines), marker
    assert "pytest_training_sdk.py" not in result.stdout.str()  # no page of ours before the reason


@pytest.mark.parametrize("marker", ['training_faults("error")', 'training_policy(confirmation="off")'])
def test_a_marker_on_a_test_without_the_world_it_shapes_fails_it(
    pytester: pytest.Pytester, marker: str
) -> None:
    source = f"""
    import pytest
    from mock_server import MockTraining

    pytestmark = pytest.mark.training_world(now="2026-11-30T09:00:00Z")  # of a module: for those that use it

    @pytest.mark.{marker}
    def test_another_world():
        assert MockTraining.demo().faults.script == ()

    @pytest.mark.{marker}
    def test_asked_for_in_the_test(request):
        request.getfixturevalue("training_mock")

    def test_without():
        pass
    """
    shown = run(pytester, source)
    shown.assert_outcomes(passed=2, failed=1)
    shown.stdout.fnmatch_lines(
        ["The marker training_* configures training_mock, which this test does not use.*"]
    )


def test_every_client_of_a_test_keeps_its_records_with_that_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(pytester.path / "of-whoever-runs-it"))
    source = """
    import os
    import pytest
    from contextlib import nullcontext
    from pathlib import Path
    from training_sdk import OutcomeUnknownError, TrainingClient

    SEEN = set()

    @pytest.mark.parametrize("lost", [True, False, False])
    def test_reset(training_mock, training_client, lost):
        if lost:
            training_mock.faults.add("drop", operation="ResetCourseProgress", when="after")
        with training_mock.respx():
            client = TrainingClient(training_mock.token("admin"))  # the script's own
            (course,) = [c for c in client.courses.list(search="Forklift") if c.title == "Forklift basics"]
            plan = client.resets.plan_everyone(course.id)
            with pytest.raises(OutcomeUnknownError) if lost else nullcontext():
                client.resets.apply(plan, confirm=plan.phrase)
        records = Path(os.environ["TRAINING_SDK_STATE_DIR"])
        assert records.name.startswith("test_reset-")
        assert list(records.rglob("audit*"))
        assert records not in SEEN
        SEEN.add(records)

    def test_outside(tmp_path):
        assert os.environ["TRAINING_SDK_STATE_DIR"].endswith("of-whoever-runs-it")
    """
    run(pytester, source).assert_outcomes(passed=4)
    assert not (pytester.path / "of-whoever-runs-it").exists()


FAILING = """
import httpx

def test_fails(training_client, training_mock):
    course = training_mock.world.course("Forklift basics").id
    training_client.users.me()
    httpx.Client(transport=training_mock.transport()).post(
        "https://api.safetyculture.io/training/courseprogress/v1/reset",
        json={"courseId": course, "allUsers": True},
        headers={
            "Authorization": f"Bearer {training_mock.token('manager')}",
            "Reset-Confirmation": '{"courseTitle": "Forklift basics", "users": 37}',
        },
    )
    assert "the token" == training_mock.token("admin")[:0]

def test_passes(training_client):
    training_client.users.me()

def test_fails_without_a_world():
    assert not 1
"""


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "xdist"])
def test_a_failure_shows_the_requests_of_that_test_without_tokens(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    shown = run(pytester, FAILING, "-rA", *arguments)
    shown.assert_outcomes(passed=1, failed=2)
    shown.stdout.fnmatch_lines(
        [
            "*Requests to training_mock*",
            "#1 GET /accounts/user/v1/user:WhoAmI as admin -> 200",
            "#2 POST /training/courseprogress/v1/reset as manager -> 403",
            '*confirmed {"courseTitle": "Forklift basics", "users": 37}',
            '*sent {"courseId":"*","allUsers":true}',
            "*PERMISSION_DENIED*",
        ]
    )
    text = shown.stdout.str()
    assert text.count("Requests to training_mock") == 1
    assert "mock_" not in text.replace("training_mock", "").replace("mock_server", "")


def test_the_requests_shown_are_bounded(pytester: pytest.Pytester) -> None:
    source = """
    def test_fails(training_client):
        for _ in range(50):
            training_client.users.me()
        assert not 1
    """
    shown = run(pytester, source).stdout.str()
    assert "... and 20 before these" in shown
    assert shown.count("WhoAmI as admin -> 200") == 30


CHANGED = """
import pytest

@pytest.mark.training_world({world})
@pytest.mark.training_policy(eligibility="completed")
def test_fails(training_client, training_mock):
    course = training_mock.world.courses[0]
    for row in training_client.progress.list(course_id=course.id):
        training_mock.world.complete_course(course.id, row.user_id){more}
    assert not 1

@pytest.mark.training_world({world})
def test_fails_and_has_changed_nothing(training_client):
    training_client.users.me()
    assert not 1
"""


@pytest.mark.parametrize("world", ["", '"generated", users=40, courses=2, random_seed=3'])
def test_a_failure_shows_what_changed_in_the_world(pytester: pytest.Pytester, world: str) -> None:
    more = "\n        training_mock.world.update_user(row.user_id, notifications=False)"
    shown = run(pytester, CHANGED.format(world=world, more=more))
    shown.assert_outcomes(failed=2)
    _, of_the_first, of_the_second = shown.stdout.str().split("Changes in training_mock since the test began")
    lines = [
        line
        for line in of_the_first.splitlines()[1:]
        if line.startswith(("changed", "added", "removed", "..."))
    ]
    assert any(line.startswith("changed person ") and line.endswith("(notifications)") for line in lines)
    assert not [line for line in lines if "policy" in line]
    assert len(lines) <= 45
    assert max(map(len, lines)) < 400
    assert of_the_second.splitlines()[1] == "none"


def test_the_changes_shown_are_bounded(pytester: pytest.Pytester) -> None:
    shown = run(pytester, CHANGED.format(world='"generated", users=90, courses=1', more="")).stdout
    shown.fnmatch_lines(
        [
            "*Changes in training_mock since the test began*",
            "* × changed record*",
            "... and * more: changed record",
        ]
    )


def test_a_plugin_that_is_merely_installed_loads_nothing() -> None:
    code = (
        "import pytest_training_sdk, sys; print({'training_sdk', 'mock_server', 'httpx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MockTraining, str]]:
    """A server on a socket, and its administrator's token where the plugin looks for it."""
    mock = MockTraining.demo()
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("admin"))
    with mock.serve() as server:
        yield mock, server.url


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "xdist"])
def test_a_service_is_checked_by_reading_alone(
    pytester: pytest.Pytester, service: tuple[MockTraining, str], arguments: tuple[str, ...]
) -> None:
    mock, url = service
    before = mock.state()
    result = run(pytester, "def test_own(): pass", "--training-base-url", url, "-v", "-rs", *arguments)
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] >= 6
    assert outcomes["skipped"] == 3  # those that take a learner's token, a leader's and a manager's
    assert set(outcomes) == {"passed", "skipped"}
    assert "R14-figures-equal-the-feed" in result.stdout.str()
    assert "There is no token of the kind 'learner'" in result.stdout.str()
    assert mock.diff(before) == ()
    assert {each.method for each in mock.calls} == {"GET", "POST"}
    assert {each.path for each in mock.calls if each.method == "POST"} == {"/users/v1/users/list"}
    assert mock.token("admin") not in result.stdout.str()


def test_nothing_can_be_changed_through_the_plugins_connection(
    pytester: pytest.Pytester, service: tuple[MockTraining, str]
) -> None:
    pytester.makeconftest("""
        import pytest
        import pytest_training_sdk
        from training_sdk import InvalidArgumentError, ReadOnlyError

        WIRES = []

        def pytest_collection_finish(session):
            wire = session.config.stash[pytest_training_sdk._WIRE]
            WIRES.append(wire)
            for method, path in [("POST", "/training/courseprogress/v1/reset"), ("PUT", "/x"), ("DELETE", "/x")]:
                with pytest.raises(ReadOnlyError):
                    wire.send(method, path, "a token", body={})

        @pytest.hookimpl(trylast=True)
        def pytest_unconfigure():
            with pytest.raises(InvalidArgumentError, match="closed"):
                WIRES[0].send("GET", "/accounts/user/v1/user:WhoAmI")
            print("hung up")
    """)
    mock, url = service
    result = run(pytester, "", "--training-base-url", url, "-k", "R14", "-s")
    result.assert_outcomes(passed=1, deselected=7)
    assert "hung up" in result.stdout.str()
    assert {each.method for each in mock.calls} <= {"GET", "POST"}
    assert not mock.calls.of("ResetCourseProgress").seen


@pytest.mark.parametrize(
    ("fault", "said", "times"),
    [("KeyError('boom')", "A fault of the contract tests", 8), ("HangingError('it hangs')", "it hangs", 1)],
)
def test_what_cannot_be_checked_is_no_pass_and_who_hangs_is_asked_once(
    pytester: pytest.Pytester, service: tuple[MockTraining, str], fault: str, said: str, times: int
) -> None:
    pytester.makeconftest(f"""
        from attrs import evolve
        from training_sdk.testing.contract import runner
        from training_sdk.testing.contract.findings import HangingError

        ASKED = []

        def body(world):
            ASKED.append(world)
            raise {fault}

        def spoilt(**known):
            return [evolve(each, body=body) for each in genuine(**known)]

        genuine, runner.all_checks = runner.all_checks, spoilt

        def pytest_unconfigure():
            print("asked", len(ASKED))
    """)
    result = run(pytester, "", "--training-base-url", service[1], "-s")
    result.assert_outcomes(failed=8)
    text = result.stdout.str()
    assert text.count(said) >= 8
    assert f"asked {times}" in text
    assert "Traceback" not in text
    assert "During handling" not in text


def test_a_service_that_breaks_a_rule_fails_its_test_and_says_how(
    pytester: pytest.Pytester, service: tuple[MockTraining, str]
) -> None:
    mock, url = service
    mock.world.main.progress[mock.world.course("Forklift basics").id].tally.completed += 1
    result = run(pytester, "", "--training-base-url", url, "-k", "R14")
    result.assert_outcomes(failed=1, deselected=7)
    result.stdout.fnmatch_lines(
        ["*R14 (article): Course statistics equal*", "*expected {'completedCount': 2*"]
    )
    assert "Traceback" not in result.stdout.str()


def test_a_service_that_cannot_be_read_breaks_no_rule_and_is_asked_once(
    pytester: pytest.Pytester, service: tuple[MockTraining, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mock, url = service
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "of-another-tenant")
    result = run(pytester, "def test_own(): pass", "--training-base-url", url)
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 1
    assert set(outcomes) == {"passed", "failed"}
    said = "Nothing was checked: the service does not accept the administrator's token"
    assert result.stdout.str().count(said) >= outcomes["failed"]
    assert len(mock.calls) == 1


def test_without_a_token_or_an_address_nothing_is_collected(
    pytester: pytest.Pytester, service: tuple[MockTraining, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = run(pytester, "", "--training-base-url", "elsewhere")
    assert bad.ret is pytest.ExitCode.USAGE_ERROR
    bad.stderr.fnmatch_lines(["*--training-base-url: base_url must be an http(s) address*"])
    monkeypatch.delenv("SAFETYCULTURE_API_TOKEN")
    missing = run(pytester, "", "--training-base-url", service[1])
    assert missing.ret is pytest.ExitCode.USAGE_ERROR
    missing.stderr.fnmatch_lines(["*needs a token. Set SAFETYCULTURE_API_TOKEN*"])


def test_markers_and_fixtures_are_documented(pytester: pytest.Pytester) -> None:
    markers = run(pytester, "", "--markers").stdout.str()
    fixtures = run(pytester, "", "--fixtures").stdout.str()
    assert all(f"@pytest.mark.training_{name}(" in markers for name in ("world", "policy", "lag", "faults"))
    _, _, ours = fixtures.partition("fixtures defined from pytest_training_sdk")
    for name in ("training_mock", "training_client", "async_training_client", "training_server"):
        assert f"\n{name} " in ours
    assert "no docstring available" not in ours
