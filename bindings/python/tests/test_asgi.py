"""The ASGI middleware: what a suite of single answers does not ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hosts import call_asgi, http_scope, websocket_scope

import libcors
from libcors.asgi import CORSMiddleware

APP = b"https://app.example.com"
EVIL = b"https://evil.example"

POLICIES = libcors.Policies.parse(
    """
    [policy.api]
    allow_origins = ["https://app.example.com"]
    allow_methods = ["PUT"]
    websocket = "reject"
    self_origins = ["https://api.example.com"]

    [policy.strict]
    allow_origins = ["https://app.example.com"]
    disallowed = "reject"
    self_origins = ["https://api.example.com"]

    [policy.forward]
    allow_origins = ["https://app.example.com"]
    allow_methods = ["PUT"]
    preflight = "forward"

    [policy.keep]
    allow_origins = ["https://app.example.com"]
    upstream_headers = "keep"
    dangerously_allow = ["upstream_cors"]

    [policy.report]
    allow_origins = ["https://app.example.com"]
    mode = "report"
    """
)

NAMES = "'api', 'strict', 'forward', 'keep', 'report'"

PREFLIGHT = [(b"origin", APP), (b"access-control-request-method", b"PUT")]

App = Callable[[Any, Any, Any], Any]


def answering(
    *messages: dict[str, Any], error: BaseException | None = None
) -> App:
    """An application that sends these messages, and then may raise."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    return app


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": list(headers),
    }


def body(data: bytes = b"ok", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def never(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("the application was called")


def under(name: str, app: App, **options: Any) -> CORSMiddleware:
    return CORSMiddleware(app, POLICIES, name, **options)


def test_a_preflight_is_answered_before_the_application() -> None:
    answer = call_asgi(under("api", never), http_scope("OPTIONS", PREFLIGHT))
    assert answer.messages == [
        {
            "type": "http.response.start",
            "status": 204,
            "headers": [
                (b"access-control-allow-origin", APP),
                (b"access-control-allow-methods", b"PUT"),
                (b"vary", b"Origin"),
            ],
        },
        {"type": "http.response.body", "body": b""},
    ]


def test_a_refusal_has_no_body_and_says_so() -> None:
    scope = http_scope("POST", [(b"origin", EVIL)])
    answer = call_asgi(under("strict", never), scope)
    assert answer.messages == [
        {
            "type": "http.response.start",
            "status": 403,
            "headers": [(b"vary", b"Origin"), (b"content-length", b"0")],
        },
        {"type": "http.response.body", "body": b""},
    ]


def test_a_forwarded_preflight() -> None:
    app = under("forward", answering(start(status=207), body()))
    answer = call_asgi(app, http_scope("OPTIONS", PREFLIGHT))
    assert answer.status == 207
    assert answer.values("access-control-allow-methods") == ["PUT"]
    denied = [(b"origin", APP), (b"access-control-request-method", b"DELETE")]
    answer = call_asgi(under("forward", never), http_scope("OPTIONS", denied))
    assert answer.status == 204


def test_the_headers_of_the_application_go_in_any_case() -> None:
    app = answering(
        start(
            (b"ACCESS-CONTROL-ALLOW-ORIGIN", b"*"),
            (b"Access-Control-Allow-Credentials", b"true"),
            (b"vary", b"Accept-Encoding"),
            (b"x-kept", b"1"),
            (b"Vary", b"Cookie, origin"),
        ),
        body(),
    )
    answer = call_asgi(
        under("api", app), http_scope(headers=[(b"origin", APP)])
    )
    assert answer.headers == [
        ("x-kept", "1"),
        ("access-control-allow-origin", APP.decode()),
        ("vary", "Accept-Encoding, Cookie, origin"),
    ]


def test_what_an_application_sends_is_not_changed() -> None:
    message = start((b"vary", b"Cookie"))
    app = under("api", answering(message, body()))
    for origin in (APP, EVIL, APP):
        answer = call_asgi(app, http_scope(headers=[(b"origin", origin)]))
        opened = answer.values("access-control-allow-origin")
        assert opened == ([APP.decode()] if origin == APP else [])
    assert message == start((b"vary", b"Cookie"))


def test_a_start_without_headers() -> None:
    bare = {"type": "http.response.start", "status": 304}
    app = under("api", answering(bare, body(b"")))
    answer = call_asgi(app, http_scope(headers=[(b"origin", APP)]))
    assert answer.status == 304
    assert answer.values("access-control-allow-origin") == [APP.decode()]


def test_keep() -> None:
    own = answering(start((b"access-control-allow-origin", b"*")), body())
    scope = http_scope(headers=[(b"origin", APP)])
    answer = call_asgi(under("keep", own), scope)
    assert answer.values("access-control-allow-origin") == ["*"]
    answer = call_asgi(under("keep", answering(start(), body())), scope)
    assert answer.values("access-control-allow-origin") == [APP.decode()]


def test_report_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "libcors")
    messages = [start((b"access-control-allow-origin", b"*")), body()]
    app = under("report", answering(*messages))
    for method, headers in (
        ("GET", [(b"origin", EVIL)]),
        ("OPTIONS", PREFLIGHT),
    ):
        scope = http_scope(method, headers)
        assert call_asgi(app, scope).messages == messages
        assert not scope["libcors"].enforced
    assert caplog.messages == [
        "would deny actual request 'GET' '/items' from "
        "'https://evil.example': origin_not_allowed (policy 'report')",
        "would deny preflight request 'OPTIONS' '/items' from "
        "'https://app.example.com': method_not_allowed (policy 'report')",
    ]
    error = ValueError("broken")
    answer = call_asgi(
        under("report", answering(error=error)), http_scope(headers=PREFLIGHT)
    )
    assert answer.messages == [] and answer.error is error


def test_streaming_and_other_messages_pass_as_they_are() -> None:
    hint = {"type": "http.response.early_hint", "links": [b"</a>"]}
    trailers = {
        "type": "http.response.trailers",
        "headers": [(b"access-control-allow-origin", b"*")],
    }
    chunks = [body(b"1", True), body(b"2", True), body(b"3")]
    app = under("api", answering(hint, start(), *chunks, trailers))
    answer = call_asgi(app, http_scope(headers=[(b"origin", APP)]))
    types = [message["type"] for message in answer.messages]
    assert types[:2] == ["http.response.early_hint", "http.response.start"]
    assert answer.messages[0] is hint
    assert answer.messages[2:] == [*chunks, trailers]
    assert answer.messages[1]["headers"] == [
        (b"access-control-allow-origin", APP),
        (b"vary", b"Origin"),
    ]


def test_an_error_before_the_start_gets_a_500_and_goes_on() -> None:
    error = ValueError("broken")
    app = under("api", answering(error=error))
    answer = call_asgi(app, http_scope(headers=[(b"origin", APP)]))
    assert answer.error is error
    assert answer.status == 500
    assert answer.body == b"Internal Server Error"
    assert answer.headers == [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "21"),
        ("access-control-allow-origin", APP.decode()),
        ("vary", "Origin"),
    ]


def test_an_error_after_the_start_only_goes_on() -> None:
    error = ValueError("broken")
    app = under("api", answering(start(), body(b"half", True), error=error))
    answer = call_asgi(app, http_scope(headers=[(b"origin", APP)]))
    assert answer.error is error
    assert [m["type"] for m in answer.messages] == [
        "http.response.start",
        "http.response.body",
    ]


def test_errors_may_be_left_to_the_server() -> None:
    error = ValueError("broken")
    app = under("api", answering(error=error), server_errors=False)
    answer = call_asgi(app, http_scope(headers=[(b"origin", APP)]))
    assert answer.error is error and answer.messages == []


def test_a_client_that_left_gets_no_500() -> None:
    app = under("api", answering(error=asyncio.CancelledError()))
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(app(http_scope(headers=[(b"origin", APP)]), receive, send))
    assert sent == []


@pytest.mark.parametrize("kind", ["lifespan", "something.else"])
def test_other_scopes_are_untouched(kind: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend((scope, receive, send))

    async def nothing(*arguments: Any) -> None:
        pass

    scope = {"type": kind}
    covered: Any = under("api", app)
    asyncio.run(covered(scope, nothing, nothing))
    assert seen[0] is scope and scope == {"type": kind}
    assert seen[1] is nothing and seen[2] is nothing


def test_an_application_may_send_in_a_task() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.create_task(send(start()))
        await asyncio.gather(send(body(b"1", True)), send(body(b"2")))

    answer = call_asgi(
        under("api", app), http_scope(headers=[(b"origin", APP)])
    )
    assert answer.error is None and answer.body == b"12"
    assert answer.values("access-control-allow-origin") == [APP.decode()]


WS_DENIAL: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}


def test_a_websocket_is_refused_before_it_is_accepted() -> None:
    scope = websocket_scope([(b"origin", EVIL)])
    answer = call_asgi(under("api", never), scope)
    assert answer.messages == [
        {"type": "websocket.close", "code": 1008, "reason": ""}
    ]
    assert scope["libcors"].kind == "websocket"


def test_a_websocket_is_refused_with_a_403_where_the_server_can() -> None:
    scope = websocket_scope([(b"origin", EVIL)], **WS_DENIAL)
    answer = call_asgi(under("api", never), scope)
    assert answer.messages == [
        {
            "type": "websocket.http.response.start",
            "status": 403,
            "headers": [(b"vary", b"Origin"), (b"content-length", b"0")],
        },
        {"type": "websocket.http.response.body", "body": b""},
    ]


def test_an_allowed_websocket_and_its_messages() -> None:
    sent: list[dict[str, Any]] = [
        {"type": "websocket.accept", "subprotocol": "chat"},
        {"type": "websocket.send", "text": "hello"},
        {"type": "websocket.close", "code": 1000},
    ]
    app = under("api", answering(*sent))
    answer = call_asgi(app, websocket_scope([(b"origin", APP)]))
    assert answer.messages[0] == sent[0] | {
        "headers": [
            (b"access-control-allow-origin", APP),
            (b"vary", b"Origin"),
        ]
    }
    assert answer.messages[1:] == sent[1:]


def test_an_error_in_a_websocket_only_goes_on() -> None:
    error = ValueError("broken")
    app = under("api", answering(error=error))
    answer = call_asgi(app, websocket_scope([(b"origin", APP)]))
    assert answer.error is error and answer.messages == []


def test_the_decision_is_in_the_scope_of_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["libcors"].reason == "allowed"
        await answering(start(), body())(scope, receive, send)

    scope = http_scope(headers=[(b"origin", APP)])
    assert call_asgi(under("api", app), scope).error is None
    assert scope["libcors"].rule == 0


def by_path(scope: Any) -> str | None:
    names = {"/api": "api", "/off": "off", "/none": None, "/empty": ""}
    return names.get(scope["path"], "no\nsuch")


def test_the_policy_may_depend_on_the_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong = answering(start((b"access-control-allow-origin", b"*")), body())
    app = CORSMiddleware(wrong, POLICIES, by_path)

    def opened(path: str) -> tuple[list[str], list[str], Any]:
        scope = http_scope(headers=[(b"origin", EVIL)], path=path)
        answer = call_asgi(app, scope)
        return (
            answer.values("access-control-allow-origin"),
            answer.values("vary"),
            scope.get("libcors") and scope["libcors"].reason,
        )

    assert opened("/api") == ([], ["Origin"], "origin_not_allowed")
    assert opened("/off") == (["*"], [], None)
    assert opened("/none") == (["*"], [], None)
    assert caplog.messages == []
    assert opened("/empty") == ([], ["Origin"], "no_policy")
    assert opened("/other") == ([], ["Origin"], "no_policy")
    for _ in range(3):
        opened("/other")
    denying = "denying cross-origin requests; <policies> defines"
    assert caplog.messages == [
        f"CORS: unknown policy '', {denying} {NAMES}",
        f"CORS: unknown policy 'no\\nsuch', {denying} {NAMES}",
    ]
    assert {record.levelname for record in caplog.records} == {"ERROR"}


def test_no_policy_refuses_websockets() -> None:
    app = CORSMiddleware(never, POLICIES, lambda scope: "missing")
    scope = websocket_scope([(b"origin", APP)], **WS_DENIAL)
    assert call_asgi(app, scope).status == 403


def test_off_leaves_everything_alone() -> None:
    messages = [start((b"access-control-allow-origin", b"*")), body()]
    app = under("off", answering(*messages))
    assert (
        call_asgi(app, http_scope("OPTIONS", PREFLIGHT)).messages == messages
    )


def test_a_denied_request_is_one_line_whatever_it_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = under("api", answering(start(), body()))
    hostile = b"https://a\n\x1b[31m\xff" + b"x" * 1000
    scope = http_scope(headers=[(b"Origin", hostile)], path="/\u2028\n")
    call_asgi(app, scope)
    assert caplog.messages == []
    caplog.set_level(logging.INFO, "libcors")
    call_asgi(app, scope)
    (message,) = caplog.messages
    assert message.isascii() and message.isprintable() and len(message) < 500
    assert "origin_malformed" in message and "x..." in message
    call_asgi(app, http_scope(headers=[(b"origin", APP)]))
    assert len(caplog.messages) == 1


def test_what_cannot_be_constructed(tmp_path: Any) -> None:
    api = POLICIES["api"]
    path = tmp_path / "cors.toml"
    path.write_text('[policy.p]\nallow_origins = ["*"]\n')

    async def choose(scope: Any) -> str:
        return "api"

    class Choose:
        async def __call__(self, scope: Any) -> str:
            return "api"

    wrong: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (KeyError, "no policy 'apj'.*'api', 'strict'", {"policy": "apj"}),
        (KeyError, "no policy ''", {"policy": ""}),
        (TypeError, "policy is missing.*'api'", {}),
        (TypeError, "int", {"policy": 3}),
        (
            TypeError,
            "policies is missing",
            {"policies": None, "policy": "api"},
        ),
        (TypeError, "path or Policies, not dict", {"policies": {}}),
        (TypeError, "left out", {"policy": api}),
        (TypeError, "path", {"policy": "api", "reload": True}),
        (
            TypeError,
            "path",
            {"policies": None, "policy": api, "reload": True},
        ),
        (TypeError, "coroutine", {"policy": choose}),
        (TypeError, "coroutine", {"policy": Choose()}),
        (FileNotFoundError, "x.toml", {"policies": "x.toml", "policy": "p"}),
        (FileNotFoundError, "x.toml", {"policies": "x.toml", "policy": "off"}),
        (KeyError, "no policy 'q'", {"policies": path, "policy": "q"}),
        (
            ValueError,
            "interval",
            {"policies": path, "policy": "p", "reload": True, "interval": -1},
        ),
        (
            ValueError,
            "interval",
            {
                "policies": path,
                "policy": "p",
                "reload": True,
                "interval": float("nan"),
            },
        ),
    ]
    for error, message, options in wrong:
        with pytest.raises(error, match=message):
            CORSMiddleware(never, **({"policies": POLICIES} | options))


def test_all_ways_to_say_which_policy(tmp_path: Any) -> None:
    path = tmp_path / "cors.toml"
    path.write_text(
        '[policy.p]\nallow_origins = ["https://app.example.com"]\n'
    )
    app = answering(start(), body())
    policies = libcors.Policies.load(path)
    for middleware in (
        CORSMiddleware(app, path, "p"),
        CORSMiddleware(app, str(path), "p"),
        CORSMiddleware(app, bytes(path), "p"),
        CORSMiddleware(app, policies, policy="p"),
        CORSMiddleware(app, policies=path, policy="p", reload=True),
        CORSMiddleware(app, policies=path, policy=lambda scope: "p"),
        CORSMiddleware(app, policy=policies["p"]),
    ):
        answer = call_asgi(middleware, http_scope(headers=[(b"origin", APP)]))
        assert answer.values("access-control-allow-origin") == [APP.decode()]
