"""A client that openapi-python-client generates from the document, against a server on a socket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mock_server import MockTraining
from mock_server.contract.document import document_bytes

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


def run(*command: str | Path, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=where, capture_output=True, text=True, check=False)


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
