"""Running a server, and reading what it answers, to the last byte."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

APP = "https://app.example.com"
EVIL = "https://evil.example"


@dataclass
class Reply:
    """A response as it came over the connection."""

    status: int
    # Every line, in the order of the response.
    headers: list[tuple[str, str]]
    # Without the framing of chunks.
    body: bytes
    # Whether all of the body came that was announced, and nothing else.
    whole: bool

    @property
    def text(self) -> str:
        return self.body.decode()

    def lines(self, name: str) -> list[str]:
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        """The value of the only line of this name."""
        found = self.lines(name)
        assert len(found) <= 1, self.headers
        return found[0] if found else None

    @property
    def allowed(self) -> str | None:
        return self.one("Access-Control-Allow-Origin")


def parse(data: bytes, method: str) -> Reply:
    head, end, body = data.partition(b"\r\n\r\n")
    assert end, f"not a response: {data!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, line
        headers.append((name, value.strip()))
    reply = Reply(int(first.split()[1]), headers, body, True)
    length = reply.one("Content-Length")
    if method == "HEAD" or reply.status in (204, 304):
        reply.whole = not body
    elif reply.one("Transfer-Encoding") is not None:
        assert length is None, headers
        reply.body, reply.whole = without_chunks(body)
    elif length is not None:
        reply.whole = len(body) == int(length)
    return reply


def without_chunks(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return body, False
        size = int(line, 16)
        if size == 0:
            return body, rest == b"\r\n"
        body += rest[:size]
        rest = rest[size + 2 :]


class Server:
    """A server that runs, and what it said."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, log: Path
    ) -> None:
        self.process = process
        self.port = port
        self._log = log

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(
        self,
        path: str,
        method: str = "GET",
        origin: str | None = APP,
        **more: str,
    ) -> Reply:
        """One request on a connection of its own; all of it is read."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Connection: close",
            *(f"{name.replace('_', '-')}: {more[name]}" for name in more),
        ]
        if origin is not None:
            lines.append(f"Origin: {origin}")
        if method == "POST":
            lines.append("Content-Length: 0")
        data = b""
        with self.connect() as client:
            client.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            while received := client.recv(65536):
                data += received
        return parse(data, method)

    def preflight(
        self, path: str, method: str = "PUT", origin: str = APP
    ) -> Reply:
        return self.ask(
            path, "OPTIONS", origin, Access_Control_Request_Method=method
        )

    def wait_for_log(self, pattern: str) -> None:
        """Servers write after they answered."""
        wait(
            lambda: re.search(pattern, self.log()) is not None,
            lambda: f"{pattern}:\n{self.log()}",
        )


def wait(
    is_done: Callable[[], bool],
    explain: Callable[[], str],
    seconds: float = 30,
) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)


def free_port() -> int:
    """A port of the kernel's choice, for servers that cannot choose one."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def environment(modules: Path | None = None) -> dict[str, str]:
    """That of a shell in which the virtual environment is active.

    Modules of the folder can be imported, also where the server does not look
    into the current one.
    """
    programs = str(Path(sys.executable).parent)
    path = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])
    folders = [str(modules)] if modules is not None else []
    if "PYTHONPATH" in os.environ:
        folders.append(os.environ["PYTHONPATH"])
    # Colours would come between the words that are searched for.
    return os.environ | {
        "PATH": path,
        "PYTHONPATH": os.pathsep.join(folders),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


@contextmanager
def running(
    command: list[str],
    folder: Path,
    log: Path,
    modules: Path | None = None,
) -> Iterator[Server]:
    """Run a command, in which PORT stands for a port."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [word.replace("PORT", str(port)) for word in command],
            cwd=folder,
            env=environment(modules),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own, for its workers and reloaders.
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        wait(
            lambda: process.poll() is not None or server.listens(),
            lambda: f"no answer:\n{server.log()}",
            seconds=90,
        )
        assert process.poll() is None, f"it ended:\n{server.log()}"
        yield server
        assert process.poll() is None, f"it ended:\n{server.log()}"
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
