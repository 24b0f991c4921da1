"""What pytest prints of a failing test: frames, arguments and messages, and the token nowhere among them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e.fork_server import run_forked
from mock_server import MockTraining

SOURCE = Path(__file__).with_name("failing_with_tokens.txt")
TOKEN = "scapi_s3cret/of+the_test0123456789"


@pytest.mark.parametrize(
    "options", [(), ("--tb=long", "-vv"), ("--showlocals", "--tb=long"), ("-rA", "--tb=native")], ids=" ".join
)
def test_no_token_stands_in_a_report(tmp_path: Path, options: tuple[str, ...]) -> None:
    source = SOURCE.read_text("utf-8")
    (tmp_path / "test_failing.py").write_text(source, encoding="utf-8")
    names = ("SAFETYCULTURE_", "TRAINING_SDK_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    done = run_forked(
        "pytest",
        ["-p", "pytest_training_sdk", *options, "test_failing.py"],
        cwd=tmp_path,
        env={
            **kept,
            "SECRET_OF_THE_TEST": TOKEN,
            "TRAINING_SDK_STATE_DIR": str(tmp_path / "state"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the other plugins take a second to load
        },
    )
    output = done.stdout + done.stderr
    assert f"{source.count('def test_')} failed" in output.splitlines()[-1], output[-3000:]
    own = [token["token"] for token in MockTraining.demo().tokens()]
    for secret in (TOKEN, TOKEN.upper(), TOKEN.encode("unicode_escape").decode(), *own):
        where = output.find(secret)
        assert where < 0, output[max(0, where - 2000) : where + 200]
