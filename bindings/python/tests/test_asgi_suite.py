"""Every case of the suite through the ASGI middleware, around an application
that gets CORS wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

import suite
from hosts import (
    Answer,
    call_asgi,
    http_scope,
    policies_of_the_suite,
    policy_name,
    websocket_scope,
)

from libcors.asgi import CORSMiddleware

HEADERS = [(name.encode(), value) for name, value in suite.WRONG]


async def wrong(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "headers": HEADERS})
        await send({"type": "websocket.close", "code": 1000})
    else:
        await send(
            {"type": "http.response.start", "status": 200, "headers": HEADERS}
        )
        await send({"type": "http.response.body", "body": b"ok"})


def headers(case: suite.Case) -> list[tuple[bytes, bytes]]:
    # Servers hand names over in lower case.
    return [(name.lower().encode(), value) for name, value in case.lines]


def scheme(case: suite.Case) -> str:
    return "http" if case.scheme is None else case.scheme.decode("latin-1")


def differences(case: suite.Case, scope: Any, answer: Answer) -> list[Any]:
    assert answer.error is None, (case.name, answer.error)
    decision = scope["libcors"]
    pairs = [
        (suite.verdict(case), suite.verdict(decision)),
        (suite.expected(case), answer.seen()),
    ]
    return [(case.name, *pair) for pair in pairs if pair[0] != pair[1]]


def application() -> tuple[CORSMiddleware, list[str]]:
    current = [""]
    app = CORSMiddleware(
        wrong, policies_of_the_suite(), lambda scope: current[0]
    )
    return app, current


def test_every_case_as_http() -> None:
    app, current = application()
    failures: list[Any] = []
    left_out: Counter[str] = Counter()
    for case in suite.cases():
        if case.protocol is not None:
            left_out["scopes of HTTP have no :protocol"] += 1
            continue
        current[0] = policy_name(case)
        scope = http_scope(
            case.method.decode("latin-1"), headers(case), scheme=scheme(case)
        )
        failures += differences(case, scope, call_asgi(app, scope))
    assert failures == []
    assert left_out == {"scopes of HTTP have no :protocol": 31}


def test_every_websocket_as_websocket() -> None:
    app, current = application()
    failures: list[Any] = []
    refused = accepted = 0
    left_out: Counter[str] = Counter()
    for case in suite.cases():
        if case.kind != "websocket":
            continue
        if case.method not in (b"GET", b"CONNECT"):
            left_out["servers take GET and CONNECT alone"] += 1
            continue
        current[0] = policy_name(case)
        kept = [line for line in headers(case) if line[0] != b"upgrade"]
        ws = {"http": "ws", "https": "wss"}.get(scheme(case), scheme(case))
        more = {"scheme": ws, "extensions": {"websocket.http.response": {}}}
        scope = websocket_scope(kept, **more)
        failures += differences(case, scope, call_asgi(app, scope))

        # The same where the server has no answers but a close.
        answer = call_asgi(app, websocket_scope(kept, scheme=ws))
        types = [message["type"] for message in answer.messages]
        if case.status is None:
            accepted += 1
            assert types == ["websocket.accept", "websocket.close"], case.name
        else:
            refused += 1
            assert answer.messages == [
                {"type": "websocket.close", "code": 1008, "reason": ""}
            ], case.name
    assert failures == []
    assert refused >= 10 and accepted >= 5, (refused, accepted)
    assert left_out == {"servers take GET and CONNECT alone": 2}
