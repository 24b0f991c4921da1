"""The container file's commands in an environment of their own, for machines on which no image can be built.

container.py CHECKOUT; needs nothing but Python and pip's registry.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Sequence
from pathlib import Path

_LOOKS = 100


def words(text: str, instruction: str) -> list[str]:
    """The words of an instruction in its JSON form, which must be there once."""
    (found,) = re.findall(rf"^(?:    )?{instruction} (\[.*\])$", text, re.MULTILINE)
    return [str(each) for each in json.loads(found)]


def copy(text: str, checkout: Path, context: Path) -> None:
    """Bring into the context what the file copies."""
    context.mkdir()
    for copied in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        *sources, target = copied.split()
        for source in sources:
            if (checkout / source).is_dir():
                shutil.copytree(checkout / source, context / target)
            else:
                shutil.copy(checkout / source, context / target)


def free_port() -> str:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def moved(command: Sequence[str], port: str) -> list[str]:
    """The command, on another port."""
    return [word.replace("8765", port) for word in command]


def status(url: str) -> int:
    """What a GET without a secret is answered with."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def run(serve: Sequence[str], health: Sequence[str], port: str, env: dict[str, str]) -> None:
    """Start the server, ask for its health as a daemon does, and stop it."""
    server = subprocess.Popen(serve, env=env)
    try:
        for _ in range(_LOOKS):
            if subprocess.run(health, env=env, stderr=subprocess.DEVNULL).returncode == 0:
                break
            if server.poll() is not None:
                raise SystemExit(f"the server ended with exit code {server.returncode}")
            time.sleep(0.2)
        else:
            raise SystemExit("the server did not become healthy")
        if (refused := status(f"http://127.0.0.1:{port}/_mock/tokens")) != 403:
            raise SystemExit(f"the control plane answered {refused} without its secret")
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(30)
    if code:
        raise SystemExit(f"the server ended with exit code {code}")


def main(checkout: Path, here: Path) -> None:
    """Install as the file installs, then run what it runs."""
    lines = (checkout / "container" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    health, rest = text.split("HEALTHCHECK", 1)[1].split("ENTRYPOINT", 1)
    serve = words(f"ENTRYPOINT{rest}", "ENTRYPOINT") + words(rest, "CMD")
    (install,) = re.findall(r"pip install --no-cache-dir '(.*?)'", text)
    copy(text, checkout, here / "context")
    venv.create(here / "venv", with_pip=True)
    scripts, port = here / "venv" / "bin", free_port()
    subprocess.run(
        [scripts / "python", "-m", "pip", "install", "-q", install], cwd=here / "context", check=True
    )
    env = os.environ | {
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "TRAINING_MOCK_SECRET": "for this run alone, and no other",
    }
    run(moved(serve, port), moved(words(health, "CMD"), port), port, env)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(sys.argv[1]).resolve(), Path(directory))
