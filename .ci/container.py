"""Copy what container/Dockerfile copies, and print its commands for bash, on a free port.

container.py CHECKOUT CONTEXT
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import sys
from pathlib import Path


def arguments(text: str, instruction: str) -> list[str]:
    """The words of an instruction in its JSON form, which must be there once."""
    (found,) = re.findall(rf"^(?:    )?{instruction} (\[.*\])$", text, re.MULTILINE)
    words: list[str] = json.loads(found)
    return words


def main(checkout: Path, context: Path) -> None:
    """Make the context, print the commands."""
    lines = (checkout / "container" / "Dockerfile").read_text(encoding="utf-8")
    text = "\n".join(line for line in lines.splitlines() if not line.startswith("#"))
    health, rest = text.split("HEALTHCHECK", 1)[1].split("ENTRYPOINT", 1)
    context.mkdir()
    for copied in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        *sources, target = copied.split()
        for source in sources:
            if (checkout / source).is_dir():
                shutil.copytree(checkout / source, context / target)
            else:
                shutil.copy(checkout / source, context / target)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (install,) = re.findall(r"pip install --no-cache-dir '(.*?)'", text)
    commands = {
        "health": arguments(health, "CMD"),
        "serve": arguments(f"ENTRYPOINT{rest}", "ENTRYPOINT") + arguments(rest, "CMD"),
    }
    print(f"port={port} install={shlex.quote(install)}")
    for name, words in commands.items():
        print(f"{name}=({shlex.join(word.replace('8765', port) for word in words)})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
