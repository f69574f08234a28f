"""The examples, as they are, under the servers that people use; and what
servers make of answers that are out of the ordinary."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from serving import APP, EVIL, Server, running, wait
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

EXAMPLES = Path(__file__).parents[3] / "examples" / "python"

UVICORN = ["uvicorn", "--host=127.0.0.1", "--port=PORT"]
GUNICORN = ["gunicorn", "--bind=127.0.0.1:PORT", "--no-control-socket"]
HYPERCORN = ["hypercorn", "--bind=127.0.0.1:PORT"]
GRANIAN = ["granian", "--host=127.0.0.1", "--port=PORT"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the examples, to change."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy)
    return copy


def check(server: Server) -> None:
    """What holds for each of the examples."""
    answer = server.ask("/items")
    assert answer.status == 200
    assert answer.allowed == APP
    assert answer.one("Vary") == "Origin"
    answer = server.ask("/items", origin=EVIL)
    assert answer.status == 200
    assert answer.allowed is None
    assert answer.one("Vary") == "Origin"

    answer = server.preflight("/items/spoon")
    assert answer.status == 204
    assert answer.one("Access-Control-Allow-Methods") == "PUT, DELETE"
    assert answer.one("Access-Control-Max-Age") == "600"
    assert answer.one("Content-Length") is None
    text = server.ask("/items/spoon", "PUT").text
    assert json.loads(text) == {"item": "spoon", "cors": "allowed"}

    for path, status in (("/missing", 404), ("/broken", 500)):
        answer = server.ask(path)
        assert answer.status == status, path
        assert answer.allowed == APP, path
    server.wait_for_log("RuntimeError: a page can read this 500")
    assert server.ask("/items", "HEAD").one("Vary") == "Origin"


def check_reload(server: Server, folder: Path, processes: int) -> None:
    """Each process sees the change by itself, after a second at most."""
    path = folder / "cors.toml"
    text = path.read_text()

    def replace(text: str) -> None:
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)
        time.sleep(1.1)

    def opened(origin: str) -> set[str | None]:
        return {server.ask("/items", origin=origin).allowed for _ in range(20)}

    replace(text.replace(APP, EVIL))
    # The first request to a process makes it look.
    assert opened(EVIL) == {EVIL}
    assert opened(APP) == {None}
    if processes == 1:
        replace(text.replace(APP, APP + "/"))
        # Of several, one may have had no request since the last good file, and
        # goes on with what it had before that.
        assert opened(EVIL) == {EVIL}
        server.wait_for_log("cors.toml: changed and has errors")
        server.wait_for_log(r"cors\.toml:4:42: error\[E\d+\]")
    replace(text)
    assert opened(APP) == {APP}


@pytest.mark.parametrize(
    "command",
    [
        [*UVICORN, "--http=h11", "fastapi_app:app"],
        [*UVICORN, "--http=httptools", "fastapi_app:app"],
        [
            "fastapi",
            "run",
            "--host=127.0.0.1",
            "--port=PORT",
            "fastapi_app.py",
        ],
    ],
    ids=["h11", "httptools", "fastapi"],
)
def test_fastapi(tmp_path: Path, folder: Path, command: list[str]) -> None:
    with running(command, folder, tmp_path / "log") as server:
        check(server)
        answer = server.ask("/status", origin=EVIL)
        assert answer.allowed == "*"
        if command[0] != "fastapi":
            check_reload(server, folder, processes=1)


@pytest.mark.parametrize(
    "library", ["websockets", "websockets-sansio", "wsproto"]
)
def test_websockets_under_uvicorn(
    tmp_path: Path, folder: Path, library: str
) -> None:
    command = [*UVICORN, f"--ws={library}", "fastapi_app:app"]
    with running(command, folder, tmp_path / "log") as server:
        url = f"ws://127.0.0.1:{server.port}/socket"
        with connect(url, additional_headers={"Origin": APP}) as client:
            assert client.recv() == "hello"
        with pytest.raises(InvalidStatus) as refused:
            connect(url, additional_headers={"Origin": EVIL})
        answer = refused.value.response
        assert answer.status_code == 403 and not answer.body
        assert answer.headers["Vary"] == "Origin"


def test_two_workers_of_uvicorn(tmp_path: Path, folder: Path) -> None:
    command = [*UVICORN, "--workers=2", "fastapi_app:app"]
    with running(command, folder, tmp_path / "log") as server:
        server.wait_for_log("(?s)startup complete.*startup complete")
        check_reload(server, folder, processes=2)


def test_flask_run(tmp_path: Path, folder: Path) -> None:
    command = ["flask", "--app=flask_app", "run", "--port=PORT"]
    with running(command, folder, tmp_path / "log") as server:
        check(server)


@pytest.mark.parametrize(
    ("processes", "options"),
    [(2, []), (1, ["--threads=4", "--preload"])],
    ids=["sync", "threads"],
)
@pytest.mark.parametrize("name", ["flask_app:app", "django_app:application"])
def test_gunicorn(
    tmp_path: Path,
    folder: Path,
    name: str,
    processes: int,
    options: list[str],
) -> None:
    command = [*GUNICORN, f"--workers={processes}", *options, name]
    with running(command, folder, tmp_path / "log") as server:
        check(server)
        check_reload(server, folder, processes)


POLICIES = '''
POLICIES = libcors.Policies.parse("""
    [policy.api]
    allow_origins = ["https://app.example.com"]
    websocket = "reject"

    [policy.strict]
    allow_origins = ["https://app.example.com"]
    disallowed = "reject"
    preflight_status = 200
    self_origins = ["https://api.example.com"]
""")

def policy(request):
    path = request.get("path") or request.get("PATH_INFO")
    return "strict" if path == "/strict" else "api"
'''

WSGI = f'''
import sys
from pathlib import Path

import libcors.wsgi
{POLICIES}
class Body:
    """Its own iterator, as that of Werkzeug is."""

    def __init__(self, parts, fails_at=None):
        self.parts = iter(parts)
        self.fails_at = fails_at
        self.read = 0
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.read == self.fails_at:
            raise RuntimeError("broken")
        self.read += 1
        return next(self.parts)

    def close(self):
        self.closed += 1
        print("closed", self.closed, file=sys.stderr, flush=True)

def lazy(start_response, fails):
    if fails:
        raise RuntimeError("broken")
    start_response("200 OK", [("Content-Length", "2")])
    yield b"12"

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raises":
        raise RuntimeError("broken")
    if path.startswith("/lazy"):
        return lazy(start_response, path == "/lazy/raises")
    headers = [
        ("Content-Type", "text/plain"),
        ("Access-Control-Allow-Origin", "*"),
    ]
    if path in ("/stream", "/late", "/middle", "/list"):
        headers.append(("Content-Length", "2"))
    write = start_response("200 OK", headers)
    if path == "/started":
        raise RuntimeError("broken")
    if path == "/list":
        return [b"12"]
    if path == "/file":
        return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))
    if path == "/write":
        write(b"1")
        return [b"2"]
    if path == "/huge":
        return Body([b"x" * 65536] * 1000)
    return Body([b"1", b"2"], {{"/late": 0, "/middle": 1}}.get(path))

app = libcors.wsgi.CORSMiddleware(application, POLICIES, policy)
'''

WERKZEUG = """
import sys
from werkzeug.serving import run_simple
from bodies import app
run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
"""

WSGIREF = """
import sys
from wsgiref.simple_server import make_server
from bodies import app
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""

# Such a server, and what it lacks.
WSGI_SERVERS = {
    "gunicorn": ([*GUNICORN, "bodies:app"], ""),
    "gunicorn-threads": (
        [*GUNICORN, "--worker-class=gthread", "bodies:app"],
        "",
    ),
    "waitress": (
        ["waitress-serve", "--listen=127.0.0.1:PORT", "bodies:app"],
        "",
    ),
    "werkzeug": (["python", "-c", WERKZEUG, "PORT"], "file"),
    "wsgiref": (["python", "-c", WSGIREF, "PORT"], ""),
}
MORE_WSGI_SERVERS = {
    "uwsgi": (
        [
            "uwsgi",
            "--http-socket=127.0.0.1:PORT",
            "--module=bodies:app",
            "--need-app",
            "--die-on-term",
        ],
        "",
    ),
    # The errors of HEAD requests are lost: it does not read their bodies.
    "granian": (
        [*GRANIAN, "--interface=wsgi", "bodies:app"],
        "file write head",
    ),
    "hypercorn": ([*HYPERCORN, "wsgi:bodies:app"], "file write"),
}


def servers(
    some: dict[str, tuple[list[str], str]],
    others: dict[str, tuple[list[str], str]],
) -> list[Any]:
    return [pytest.param(*some[name], id=name) for name in some] + [
        pytest.param(*others[name], id=name, marks=pytest.mark.more)
        for name in others
    ]


def leave(server: Server, path: str) -> None:
    """A request whose client goes in the middle of the answer."""
    with server.connect() as client:
        request = f"GET {path} HTTP/1.1\r\nHost: a\r\nOrigin: {APP}\r\n\r\n"
        client.sendall(request.encode())
        assert client.recv(1)
        # Close with a reset.
        client.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )


def check_errors(server: Server, paths: tuple[str, ...]) -> None:
    for path in paths:
        for method in ("GET", "HEAD"):
            answer = server.ask(path, method)
            assert answer.status == 500, path
            assert answer.one("Content-Length") == "21", path
            kind = answer.one("Content-Type")
            assert kind == "text/plain; charset=utf-8", path
            assert answer.allowed == APP and answer.one("Vary") == "Origin"
            assert answer.whole, path
            assert answer.text == (
                "" if method == "HEAD" else "Internal Server Error"
            )


def check_answers(server: Server) -> None:
    """Those that the middleware gives itself."""
    denied = server.ask("/strict", "POST", EVIL)
    assert (denied.status, denied.body, denied.whole) == (403, b"", True)
    assert denied.one("Content-Length") == "0"
    assert denied.one("Vary") == "Origin" and denied.allowed is None
    for path, status in (("/stream", 204), ("/strict", 200)):
        answer = server.preflight(path, "GET")
        assert answer.status == status
        assert answer.body == b"" and answer.whole
        assert answer.allowed == APP and answer.one("Vary") == "Origin"


@pytest.mark.parametrize(
    ("command", "lacks"), servers(WSGI_SERVERS, MORE_WSGI_SERVERS)
)
def test_wsgi(tmp_path: Path, command: list[str], lacks: str) -> None:
    (tmp_path / "bodies.py").write_text(WSGI)
    with running(command, tmp_path, tmp_path / "log", tmp_path) as server:
        bodies = ["/stream", "/list", "/lazy"]
        if "write" not in lacks:
            bodies.append("/write")
        for body in bodies:
            answer = server.ask(body)
            assert (answer.status, answer.text) == (200, "12"), body
            assert answer.whole and answer.allowed == APP, body
            denied = server.ask(body, origin=EVIL)
            assert denied.status == 200 and denied.allowed is None, body
            assert denied.one("Vary") == "Origin", body
        if "file" not in lacks:
            answer = server.ask("/file")
            assert (answer.status, answer.text) == (200, WSGI)
            assert answer.allowed == APP and answer.whole

        check_answers(server)
        check_errors(server, ("/raises", "/started", "/late", "/lazy/raises"))
        logged = 4 if "head" in lacks else 8
        server.wait_for_log(f"(?s)(RuntimeError: broken.*){{{logged}}}")
        # The rest of a body that breaks off never comes, and nothing else.
        try:
            answer = server.ask("/middle")
        except (AssertionError, ConnectionError):
            # Not even its beginning did.
            pass
        else:
            assert not answer.whole and answer.text in ("", "1")

        before = server.log().count("closed 1")
        leave(server, "/huge")
        wait(lambda: server.log().count("closed 1") > before, server.log)
        assert "closed 2" not in server.log()


ASGI = f"""
import libcors.asgi
{POLICIES}
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({{"type": kind + ".complete"}})
            if kind == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({{"type": "websocket.accept"}})
        await send({{"type": "websocket.send", "text": "hello"}})
        await send({{"type": "websocket.close"}})
        return
    path = scope["path"]
    if path == "/raises":
        raise RuntimeError("broken")
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", b"2"),
        (b"access-control-allow-origin", b"*"),
    ]
    await send(
        {{"type": "http.response.start", "status": 200, "headers": headers}}
    )
    for part in (b"1", b"2"):
        await send(
            {{
                "type": "http.response.body",
                "body": part,
                "more_body": part == b"1",
            }}
        )
        if path == "/middle":
            raise RuntimeError("broken")

app = libcors.asgi.CORSMiddleware(application, POLICIES, policy)
"""

ASGI_SERVERS = {
    "uvicorn-h11": ([*UVICORN, "--http=h11", "bodies:app"], ""),
    "uvicorn-httptools": ([*UVICORN, "--http=httptools", "bodies:app"], ""),
    # It does not log what is raised when the answer is complete.
    "gunicorn": ([*GUNICORN, "--worker-class=asgi", "bodies:app"], "log"),
}
MORE_ASGI_SERVERS = {
    "hypercorn": ([*HYPERCORN, "bodies:app"], ""),
    "daphne": (
        ["daphne", "--bind=127.0.0.1", "--port=PORT", "bodies:app"],
        "",
    ),
    "granian": ([*GRANIAN, "--interface=asgi", "bodies:app"], ""),
}


@pytest.mark.parametrize(
    ("command", "lacks"), servers(ASGI_SERVERS, MORE_ASGI_SERVERS)
)
def test_asgi(tmp_path: Path, command: list[str], lacks: str) -> None:
    (tmp_path / "bodies.py").write_text(ASGI)
    with running(command, tmp_path, tmp_path / "log", tmp_path) as server:
        answer = server.ask("/stream")
        assert (answer.status, answer.text) == (200, "12")
        assert answer.whole and answer.allowed == APP
        check_answers(server)
        check_errors(server, ("/raises",))
        if "log" not in lacks:
            server.wait_for_log("(?s)(RuntimeError: broken.*){2}")

        url = f"ws://127.0.0.1:{server.port}/socket"
        with connect(url, additional_headers={"Origin": APP}) as client:
            assert client.recv() == "hello"
        with pytest.raises(InvalidStatus) as refused:
            connect(url, additional_headers={"Origin": EVIL})
        assert refused.value.response.status_code == 403
