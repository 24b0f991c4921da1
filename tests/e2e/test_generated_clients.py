"""Clients that generators make of the document, in Python and TypeScript, against a server on a socket."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docs import _generate
from mock_server import MockTraining, Policy
from mock_server.api.openapi import document_bytes

PACKAGE = "safety_culture_training_unofficial_client"
SCRIPT = f"""
import json, sys
from {PACKAGE} import AuthenticatedClient
from {PACKAGE}.api.courses import list_courses
from {PACKAGE}.api.progress import list_training_course_progress
from {PACKAGE}.api.users import feed_users, who_am_i

url, admin, learner = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=admin)
people = feed_users.sync(client=client, limit=1000)
row = list_training_course_progress.sync(client=client, limit=1).data[0]
refused = feed_users.sync_detailed(client=AuthenticatedClient(base_url=url, token=learner))
print(json.dumps({{
    "user": who_am_i.sync(client=client).user_id,
    "courses": list_courses.sync(client=client, page_size=3).total_count,
    "people": len(people.data),
    "next_page": people.metadata.next_page,
    "opened": type(row.opened_at).__name__,
    "refused": [int(refused.status_code), refused.parsed.details[0].reason],
}}))
"""


def run(*command: str | Path, where: Path, **env: str) -> subprocess.CompletedProcess[str]:
    around = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | env
    return subprocess.run(
        [*map(str, command)], cwd=where, env=around, capture_output=True, text=True, check=False
    )


def test_a_generated_client_reads_and_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_bytes(document_bytes())
    (tmp_path / "settings.json").write_text(json.dumps({"post_hooks": []}), encoding="utf-8")
    generated = run(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--path", "training.json"),
        *("--config", "settings.json", "--output-path", "client"),
        where=tmp_path,
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    assert "WARNING" not in generated.stdout + generated.stderr
    mock = MockTraining.demo()
    with mock.serve() as server:
        said = run(
            *(sys.executable, "-c", SCRIPT, server.url, mock.token("admin"), mock.token("learner")),
            where=tmp_path / "client",
        )
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    assert found == {
        "user": mock.world.user("katrin.sorensen@nordwerk.example").id,
        "courses": len(mock.world.courses),
        "people": len(mock.world.users),
        "next_page": None,
        "opened": "datetime",
        "refused": [403, "PERMISSION_DENIED"],
    }


# --- TypeScript --------------------------------------------------------------------------------------------------

PINNED = Path(__file__).with_name("typescript")
PAGE = (_generate.DOCS / "how-to" / "generate-a-client.md").read_text(encoding="utf-8")


def packages() -> Path:
    """The generator and what it needs, as the lock file has them; installed once in a checkout."""
    lock = (PINNED / "package-lock.json").read_bytes()
    folder = _generate.ROOT / ".npm" / hashlib.sha256(lock).hexdigest()[:16]
    if not (folder / "node_modules" / ".package-lock.json").exists():  # which npm writes last
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINNED / name, folder)
        done = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", where=folder)
        assert done.returncode == 0, done.stderr
    return folder / "node_modules"


@pytest.mark.heavy
@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="node or npm is not installed")
def test_a_generated_client_in_typescript_compiles_reads_and_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(packages())
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (tmp_path / "training.json").write_bytes(document_bytes())
    for name in ("tsconfig.json", "node.d.ts", "reading.ts"):
        shutil.copy(PINNED / name, tmp_path)
    (shown,) = re.findall(r"^```typescript\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "client.ts").write_text(shown, encoding="utf-8")
    tools = tmp_path / "node_modules" / ".bin"
    generated = run(tools / "openapi-typescript", "training.json", "-o", "training.d.ts", where=tmp_path)
    assert generated.returncode == 0, generated.stderr
    compiled = run(tools / "tsc", "--project", ".", where=tmp_path)
    assert compiled.returncode == 0, compiled.stdout

    mock = MockTraining.demo(policy=Policy(default_page_size=5))
    admin, course = mock.token("admin"), mock.world.course("Forklift basics")
    with mock.serve() as server:
        said = run("node", "js/reading.js", server.url, admin, mock.token("learner"), where=tmp_path)
        of_the_page = run(
            *("node", "js/client.js"),
            where=tmp_path,
            SAFETYCULTURE_BASE_URL=server.url,
            SAFETYCULTURE_API_TOKEN=admin,
        )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == {
        "user": mock.world.user("katrin.sorensen@nordwerk.example").id,
        "courses": len(mock.world.courses),
        "people": len(mock.world.users),
        "next_page": None,
        "opened": "string",
        "lessons": len(course.lessons),
        "reset": 37,
        "inspections": 501,
        "misspelt": 400,
        "nobody": 1,
        "refused": [403, "PERMISSION_DENIED"],
    }
    assert of_the_page.returncode == 0, of_the_page.stderr
    assert "Forklift basics: 17 have not completed it\n" in of_the_page.stdout
