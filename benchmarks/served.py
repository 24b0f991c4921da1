"""One server in a process of its own, ours or a peer: ``python benchmarks/served.py KIND [ARGUMENT]``.

Prints its URL with the token that opens it and, for every line on standard input, the seconds of processor time that it
has used so far. Peers are imported by name, because they are installed in an environment of their own.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

FEED = "/training/v1/feed/training-course-progress"
PAGE = 1000


def ours(engine: str, rows: int) -> tuple[str, str]:
    """Serve a generated world, or the demo world for 0 rows, behind the guard; return URL and token."""
    from mock_server import MockTraining

    mock = MockTraining.generate(users=rows, courses=1) if rows else MockTraining.demo()
    if engine == "stdlib":
        return mock.serve().url, mock.token("admin")
    os.environ["TRAINING_MOCK_OPTIONS"] = f"--users {rows} --courses 1" if rows else ""
    from mock_server.asgi import app

    return uvicorn(app), mock.token("admin")


def hello_stdlib() -> str:
    """Serve an empty answer with our engine and no world."""
    from mock_server.transports.serving import serve
    from mock_server.wire.message import Request, Response

    class Hello:
        def handle(self, _: Request) -> Response:
            return Response(200, (("content-type", "application/json"),), b"{}")

    return serve(Hello()).url


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer {} without a framework."""
    assert scope["type"] == "http"
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def starlette_bytes(pages: Path) -> Any:
    """Return a Starlette application that answers the path and query of a page with bytes that are ready."""
    applications, responses = import_module("starlette.applications"), import_module("starlette.responses")
    routing = import_module("starlette.routing")
    ready = {int(each.stem): each.read_bytes() for each in pages.iterdir()}

    async def page(request: Any) -> Any:
        body = ready[int(request.query_params.get("offset", 0))]
        return responses.Response(body, media_type="application/json")

    return applications.Starlette(routes=[routing.Route(FEED, page)])


def uvicorn(application: Any) -> str:
    """Serve an application in a thread; return the URL."""
    library = import_module("uvicorn")
    server = library.Server(library.Config(application, port=0, log_level="error", lifespan="off"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def moto() -> str:
    """Serve moto in a thread; return the URL."""
    server = import_module("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def started(kind: str, argument: str) -> tuple[str, str]:
    """Start the server of a kind; return URL and token."""
    if kind.startswith("ours-"):
        return ours(kind.removeprefix("ours-"), int(argument or 0))
    return peer(kind, argument), "any"


def peer(kind: str, argument: str) -> str:
    """Start a peer; return the URL."""
    match kind:
        case "hello-stdlib":
            return hello_stdlib()
        case "hello-uvicorn":
            return uvicorn(hello)
        case "starlette-bytes":
            return uvicorn(starlette_bytes(Path(argument)))
        case "moto":
            return moto()
        case _:
            raise SystemExit(f"there is no kind {kind!r}")


def main() -> None:
    """Serve until standard input ends."""
    kind, argument = [*sys.argv[1:], ""][:2]
    print(json.dumps(dict(zip(("url", "token"), started(kind, argument), strict=True))), flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
    os._exit(0)  # the threads of a peer may know no end


if __name__ == "__main__":
    main()
