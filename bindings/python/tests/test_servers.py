"""The examples, as they are, under the servers that people use."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

EXAMPLES = Path(__file__).parents[3] / "examples" / "python"

APP = "https://app.example.com"
EVIL = "https://evil.example"

READY = r"(?:running on|Listening at:) http://127\.0\.0\.1:([1-9]\d*)"

UVICORN = ["uvicorn", "--host=127.0.0.1", "--port=0"]
GUNICORN = ["gunicorn", "--bind=127.0.0.1:0", "--no-control-socket"]


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    text: str


class Server:
    """A server that runs, and what it said."""

    def __init__(self, log: Path) -> None:
        self._log = log
        # It picks a free one, and says which.
        self.port = 0

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def is_ready(self) -> bool:
        said = re.search(READY, self.log())
        if said is None:
            return False
        self.port = int(said[1])
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(
        self, path: str, method: str = "GET", origin: str = APP, **more: str
    ) -> Reply:
        """One request on a connection of its own; the answer is read."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30
        )
        headers = {name.replace("_", "-"): more[name] for name in more}
        try:
            connection.request(
                method, path, headers={"Origin": origin, **headers}
            )
            answer = connection.getresponse()
            text = answer.read().decode()
            return Reply(answer.status, answer.headers, text)
        finally:
            connection.close()

    def wait_for_log(self, pattern: str) -> None:
        """Servers write after they answered."""
        deadline = time.monotonic() + 20
        while not re.search(pattern, self.log()):
            assert time.monotonic() < deadline, f"{pattern}:\n{self.log()}"
            time.sleep(0.02)


@contextmanager
def running(command: list[str], folder: Path, log: Path) -> Iterator[Server]:
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(log)
    try:
        deadline = time.monotonic() + 60
        while not server.is_ready():
            assert process.poll() is None, f"it ended:\n{server.log()}"
            assert time.monotonic() < deadline, f"no answer:\n{server.log()}"
            time.sleep(0.02)
        yield server
        assert process.poll() is None, f"it ended:\n{server.log()}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    assert answer.headers.get_all("Access-Control-Allow-Origin") == [APP]
    assert answer.headers.get_all("Vary") == ["Origin"]
    answer = server.ask("/items", origin=EVIL)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert answer.headers.get_all("Vary") == ["Origin"]

    answer = server.ask(
        "/items/spoon", "OPTIONS", Access_Control_Request_Method="PUT"
    )
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "PUT, DELETE"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Content-Length"] is None
    text = server.ask("/items/spoon", "PUT").text
    assert json.loads(text) == {"item": "spoon", "cors": "allowed"}

    for path, status in (("/missing", 404), ("/broken", 500)):
        answer = server.ask(path)
        assert answer.status == status, path
        assert answer.headers["Access-Control-Allow-Origin"] == APP, path
    server.wait_for_log("RuntimeError: a page can read this 500")
    assert server.ask("/items", "HEAD").headers["Vary"] == "Origin"


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
        name = "Access-Control-Allow-Origin"
        return {
            server.ask("/items", origin=origin).headers[name]
            for _ in range(20)
        }

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


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_fastapi_under_uvicorn(
    tmp_path: Path, folder: Path, http: str
) -> None:
    command = [*UVICORN, f"--http={http}", "fastapi_app:app"]
    with running(command, folder, tmp_path / "log") as server:
        check(server)
        answer = server.ask("/status", origin=EVIL)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
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


APPLICATION = '''
from pathlib import Path

import libcors.wsgi

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raises":
        raise RuntimeError("broken")
    start = start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/file":
        wrapper = environ["wsgi.file_wrapper"]
        return wrapper(Path(__file__).open("rb"))
    if path == "/write":
        start(b"1")
        return [b"2"]
    return (part for part in stream(path))

def stream(path):
    if path == "/late":
        raise RuntimeError("broken")
    yield b"1"
    if path == "/middle":
        raise RuntimeError("broken")
    yield b"2"

policies = libcors.Policies.parse("""
    [policy.api]
    allow_origins = ["https://app.example.com"]
    disallowed = "reject"
    self_origins = ["https://api.example.com"]
""")
app = libcors.wsgi.CORSMiddleware(app, policies, "api")
'''


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_bodies_under_gunicorn(tmp_path: Path, worker: str) -> None:
    (tmp_path / "bodies.py").write_text(APPLICATION)
    command = [*GUNICORN, f"--worker-class={worker}", "bodies:app"]
    with running(command, tmp_path, tmp_path / "log") as server:

        def ask(path: str, **more: Any) -> tuple[int, str, str | None]:
            answer = server.ask(path, **more)
            allowed = answer.headers["Access-Control-Allow-Origin"]
            return answer.status, answer.text, allowed

        assert ask("/stream") == (200, "12", APP)
        assert ask("/write") == (200, "12", APP)
        assert ask("/file") == (200, APPLICATION, APP)
        for path in ("/raises", "/late"):
            assert ask(path) == (500, "Internal Server Error", APP)
            assert ask(path, method="HEAD") == (500, "", APP)
        server.wait_for_log("(?s)(RuntimeError: broken.*){4}")
        # The rest of a body that breaks off never comes.
        with pytest.raises(http.client.IncompleteRead):
            ask("/middle")
        assert ask("/stream", method="POST", origin=EVIL) == (403, "", None)
