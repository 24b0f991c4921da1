"""``training-sdk`` as a process, beside a ``training-mock`` that is one too."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from attrs import frozen

from e2e.fork_server import run_forked, starts_alike, warm

PATIENCE = 60.0
"""Seconds after which a process is taken for stuck; none of them comes near."""
SDK = [sys.executable, "-m", "training_sdk.cli"]


@frozen
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@frozen
class Server:
    """A running reference server."""

    url: str
    tokens: Mapping[str, str]

    def control(self, method: str, path: str, document: Any = None) -> Any:
        answer = httpx.request(method, f"{self.url}/_mock/{path}", json=document)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def resets(self) -> int:
        """How many resets have reached it."""
        calls = self.control("GET", "calls")["calls"]
        return sum(call["path"].endswith("courseprogress/v1/reset") for call in calls)


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    command = [*warm("mock_server"), "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        match = re.search(r"http://\S+", process.stdout.readline())
        assert match
        server = Server(match[0], {})
        named = {one["name"]: one["token"] for one in server.control("GET", "tokens")["tokens"]}
        yield Server(match[0], named)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@frozen
class Desk:
    """Somebody's working directory, state directory and settings."""

    folder: Path
    server: Server
    token: str = "admin"

    def environment(self, **others: str) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SAFETYCULTURE_", "TRAINING_SDK_", "COV_", "PYTHONIO"))
        }
        own = {
            "SAFETYCULTURE_BASE_URL": self.server.url,
            "SAFETYCULTURE_API_TOKEN": self.server.tokens[self.token],
            "TRAINING_SDK_STATE_DIR": str(self.folder / "state"),
            "TRAINING_SDK_PROFILES": "",
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }
        return {**inherited, **own, **others}

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run a command to its end: forked, unless it has to start otherwise than this process did."""
        env = self.environment(**environment)
        if starts_alike(env):
            done = run_forked("training_sdk.cli", arguments, cwd=self.folder, env=env, stdin=stdin)
        else:
            done = subprocess.run(
                [*SDK, *arguments],
                input=stdin,
                capture_output=True,
                encoding="utf-8",
                cwd=self.folder,
                env=env,
                timeout=PATIENCE,
                check=False,
            )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def plan(self, *arguments: str, name: str = "plan.json") -> str:
        """Make and save a plan; its phrase."""
        done = self.run("plan", *arguments, "--save", name, "--json")
        assert done.code == 0, done
        return str(done.document["phrase"])
