"""Running applications without a server, and with one."""

from __future__ import annotations

import asyncio
import io
import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import suite

import libcors


def policies_of_the_suite() -> libcors.Policies:
    """All policies of the suite, by the names FILE.POLICY."""
    policies = {}
    for file in suite.load():
        defaults = file.document.get("defaults", {})
        for name, keys in file.document["policy"].items():
            policies[f"{file.name}.{name}"] = defaults | keys
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", libcors.PolicyWarning)
        text = json.dumps({"policy": policies})
        return libcors.Policies.parse(text, "suite")


def policy_name(case: suite.Case) -> str:
    """For a case without a policy, a name that does not exist."""
    return "missing" if case.policy is None else f"{case.file}.{case.policy}"


@dataclass
class Answer:
    """What came out of an application."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    # The messages as they are, for ASGI.
    messages: list[dict[str, Any]] = field(default_factory=list)
    # What the application raised.
    error: BaseException | None = None

    def values(self, name: str) -> list[str]:
        return [value for n, value in self.headers if n.lower() == name]

    def seen(self) -> suite.Response:
        lines = [(n, v.encode("latin-1")) for n, v in self.headers]
        return suite.seen(self.status, lines)


def http_scope(
    method: str = "GET",
    headers: Iterable[tuple[bytes, bytes]] = (),
    **more: Any,
) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/items",
        "raw_path": b"/items",
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    } | more


def websocket_scope(
    headers: Iterable[tuple[bytes, bytes]] = (), **more: Any
) -> dict[str, Any]:
    scope = http_scope(headers=headers, type="websocket", scheme="ws")
    del scope["method"]
    return scope | {"subprotocols": []} | more


def call_asgi(
    app: Callable[..., Any],
    scope: dict[str, Any],
    received: Iterable[dict[str, Any]] | None = None,
) -> Answer:
    """Call an ASGI application once."""
    if received is None:
        received = [
            {"type": "websocket.connect"}
            if scope["type"] == "websocket"
            else {"type": "http.request", "body": b"", "more_body": False}
        ]
    waiting = list(received)
    answer = Answer()

    async def receive() -> dict[str, Any]:
        if not waiting:
            # The client stays, and says no more.
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        answer.messages.append(message)

    async def run() -> None:
        try:
            await asyncio.wait_for(app(scope, receive, send), 60)
        except Exception as error:
            answer.error = error

    asyncio.run(run())
    for message in answer.messages:
        if message["type"].endswith((".start", ".accept")):
            answer.status = message.get("status", 200)
            answer.headers = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in message.get("headers", ())
            ]
        elif message["type"].endswith("response.body"):
            answer.body += message.get("body", b"")
    return answer


def environ(
    method: str = "GET", path: str = "/items", **more: Any
) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    } | more


def call_wsgi(app: Callable[..., Any], env: dict[str, Any]) -> Answer:
    """Call a WSGI application as PEP 3333 asks a server to."""
    answer = Answer()
    head: list[Any] = []
    sent = False

    def send(data: bytes) -> None:
        nonlocal sent
        assert head, "a body without start_response()"
        assert isinstance(data, bytes)
        if data or not sent:
            sent = True
        answer.body += data

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None:
            if sent:
                raise exc_info[1].with_traceback(exc_info[2])
        elif head:
            raise AssertionError("start_response() twice")
        assert type(headers) is list
        for name, value in headers:
            assert type(name) is str and type(value) is str
        head[:] = [status, headers]
        return send

    try:
        result = app(env, start_response)
        try:
            for chunk in result:
                send(chunk)
        finally:
            if hasattr(result, "close"):
                result.close()
    except Exception as error:
        answer.error = error
    if head:
        answer.status = int(head[0].split()[0])
        answer.headers = head[1]
    return answer
