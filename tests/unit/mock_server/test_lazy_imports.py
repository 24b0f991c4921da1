"""The reference server itself needs the standard library and attrs; the rest is loaded by the door that needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mock_server
from mock_server import _moved


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import mock_server, mock_server.cli", set()),
        ("import mock_server; mock_server.MockTraining.demo().serve().stop()", set()),
        ("import mock_server; mock_server.MockTraining.demo().transport()", {"httpx"}),
        ("import mock_server; mock_server.MockTraining.demo().asgi", set()),
        ("import mock_server; mock_server.MockTraining.demo().respx()", {"httpx", "respx"}),
        ("import mock_server; mock_server.MockTraining.demo().responses()", {"requests"}),
        ("import mock_server; mock_server.MockTraining.demo().serve(engine='uvicorn').stop()", {"uvicorn"}),
    ],
)
def test_a_door_is_paid_for_by_those_who_use_it(code: str, loaded: set[str]) -> None:
    heavy = {"httpx", "respx", "requests", "uvicorn", "cattrs", "training_sdk"}
    report = f"; import sys; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == loaded


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "used",
    [
        "policy.Policy",
        "world.clock.Clock",
        "world.seeds.evidence_pack.build_evidence",
        "rules.reset.reset",
        "control.journal.Journal",
        "api.routes.OPERATIONS",
        "wire.message.Request",
        "transports.guard.Guard",
        "openapi.document",
    ],
)
def test_one_import_is_enough_to_use_what_is_in_the_package(used: str) -> None:
    run(f"import mock_server; mock_server.{used}")
    run(f"import mock_server; mock_server.LateWriteError; mock_server.MockTraining; mock_server.{used}")


def test_threads_may_use_the_package_at_once() -> None:
    run(
        "import mock_server\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "uses = [lambda: mock_server.MockTraining, lambda: mock_server.world.clock.Clock,\n"
        "        lambda: mock_server.rules.reset.reset, lambda: mock_server.Policy] * 2\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print([each.result() for each in [pool.submit(use) for use in uses]])"
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(mock_server, "nothing")
    assert not hasattr(mock_server.world, "nothing")


@pytest.mark.parametrize("old", ["argument_checks", "control_client", "openapi"])
def test_a_module_is_imported_by_its_old_name(old: str) -> None:
    assert (
        run(f"import mock_server.{old} as m; print(m.__spec__.name)").strip()
        == (_moved.MOVED[f"mock_server.{old}"])
    )


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_command_line_leaves_the_garbage_collector_as_it_was(collects: bool, fails: bool) -> None:
    code = (
        f"import gc, sys\ngc.{'enable' if collects else 'disable'}()\n"
        f"if {fails}: sys.modules['mock_server.cli'] = None\n"
        "try:\n    import mock_server.__main__\n"
        "except ImportError:\n    print('failed')\n"
        "print(gc.isenabled())"
    )
    assert run(code).split() == [*(["failed"] if fails else []), str(collects)]
