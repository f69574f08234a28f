"""The WSGI middleware: what a suite of single answers does not ask."""

from __future__ import annotations

import gc
import io
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from hosts import call_wsgi, environ

import libcors
from libcors import _middleware
from libcors.wsgi import CORSMiddleware

APP = "https://app.example.com"
EVIL = "https://evil.example"

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

    [policy.s200]
    allow_origins = ["https://app.example.com"]
    preflight_status = 200

    [policy.s299]
    allow_origins = ["https://app.example.com"]
    preflight_status = 299

    [policy.keep]
    allow_origins = ["https://app.example.com"]
    upstream_headers = "keep"
    dangerously_allow = ["upstream_cors"]

    [policy.report]
    allow_origins = ["https://app.example.com"]
    mode = "report"
    """
)

PREFLIGHT = {"HTTP_ORIGIN": APP, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}
ALLOWED = [("Access-Control-Allow-Origin", APP), ("Vary", "Origin")]

EMPTY = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Length", "0"),
]

App = Callable[[Any, Any], Iterable[bytes]]


def answering(
    *headers: tuple[str, str], result: Any = None, status: str = "200 OK"
) -> App:
    def app(env: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return [b"ok"] if result is None else result

    return app


def never(env: Any, start_response: Any) -> Iterable[bytes]:
    raise AssertionError("the application was called")


class Stream:
    closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"1"
        yield b"2"

    def close(self) -> None:
        self.closed += 1


class OwnIterator:
    """A body that is its own iterator, as Werkzeug's is."""

    def __init__(
        self, *parts: bytes, error: BaseException | None = None
    ) -> None:
        self.parts = list(parts if parts or error else (b"1", b"2"))
        self.error = error
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.parts:
            return self.parts.pop(0)
        raise self.error or StopIteration

    def close(self) -> None:
        self.closed += 1


def under(name: str, app: App, **options: Any) -> CORSMiddleware:
    return CORSMiddleware(app, POLICIES, name, **options)


@pytest.mark.parametrize(
    ("name", "status", "more"),
    [
        ("api", "204 No Content", []),
        ("s200", "200 OK", EMPTY),
        ("s299", "299 Success", EMPTY),
    ],
)
def test_a_preflight_is_answered_before_the_application(
    name: str, status: str, more: Any
) -> None:
    env = environ("OPTIONS", **PREFLIGHT)
    started: list[Any] = []
    app = under(name, never)
    result = app(env, lambda *a: started.append(a))  # type: ignore[arg-type]
    assert list(result) == [b""]
    methods = [("Access-Control-Allow-Methods", "PUT")]
    headers = ALLOWED[:1] + methods * (name == "api") + ALLOWED[1:]
    assert started == [(status, headers + more)]


def test_a_refusal_has_no_body_and_says_so() -> None:
    env = environ("POST", HTTP_ORIGIN=EVIL)
    answer = call_wsgi(under("strict", never), env)
    assert answer.status == 403 and answer.body == b""
    assert answer.headers == [("Vary", "Origin"), *EMPTY]


def test_the_guard_of_websockets() -> None:
    env = environ(HTTP_ORIGIN=EVIL, HTTP_UPGRADE="websocket")
    assert call_wsgi(under("api", never), env).status == 403


def test_a_forwarded_preflight() -> None:
    app = under("forward", answering(status="207 Multi-Status"))
    answer = call_wsgi(app, environ("OPTIONS", **PREFLIGHT))
    assert answer.status == 207
    assert answer.values("access-control-allow-methods") == ["PUT"]
    denied = PREFLIGHT | {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "DELETE"}
    answer = call_wsgi(under("forward", never), environ("OPTIONS", **denied))
    assert answer.status == 204


def test_the_headers_of_the_application_go_in_any_case() -> None:
    app = answering(
        ("ACCESS-CONTROL-ALLOW-ORIGIN", "*"),
        ("access-control-allow-credentials", "true"),
        ("vary", "Accept-Encoding"),
        ("X-Kept", "1"),
        ("Vary", "Cookie, origin"),
    )
    answer = call_wsgi(under("api", app), environ(HTTP_ORIGIN=APP))
    assert answer.headers == [
        ("X-Kept", "1"),
        ("Access-Control-Allow-Origin", APP),
        ("Vary", "Accept-Encoding, Cookie, origin"),
    ]


def test_keep() -> None:
    own = answering(("access-control-allow-origin", "*"))
    answer = call_wsgi(under("keep", own), environ(HTTP_ORIGIN=APP))
    assert answer.values("access-control-allow-origin") == ["*"]
    answer = call_wsgi(under("keep", answering()), environ(HTTP_ORIGIN=APP))
    assert answer.values("access-control-allow-origin") == [APP]


def test_report_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "libcors")
    result = object()
    app = under(
        "report",
        answering(("Access-Control-Allow-Origin", "*"), result=result),
    )
    env = environ(HTTP_ORIGIN=EVIL)
    started: list[Any] = []

    def start(*arguments: Any) -> Any:
        started.append(arguments)

    assert app(env, start) is result
    assert started == [("200 OK", [("Access-Control-Allow-Origin", "*")])]
    assert not env["libcors.decision"].enforced
    assert caplog.messages == [
        "would deny actual request 'GET' '/items' from "
        "'https://evil.example': origin_not_allowed (policy 'report')"
    ]


def test_lists_and_files_pass_as_they_are() -> None:
    wrapped = FileWrapper(io.BytesIO(b"file"))
    for result in ([b"a"], (b"a", b"b"), wrapped):
        env = environ(HTTP_ORIGIN=APP) | {"wsgi.file_wrapper": FileWrapper}
        body = under("api", answering(result=result))(env, lambda *a: print)
        assert body is result


def test_streaming_and_closing() -> None:
    for stream in (Stream(), OwnIterator()):
        app = under("api", answering(result=stream))
        answer = call_wsgi(app, environ(HTTP_ORIGIN=APP))
        assert answer.body == b"12" and answer.headers == ALLOWED
        assert stream.closed == 1
    # A client that leaves after the first chunk.
    for stream in (Stream(), OwnIterator()):
        app = under("api", answering(result=stream))
        body = app(environ(HTTP_ORIGIN=APP), lambda *a: print)
        parts = iter(body)
        assert next(parts) == b"1"
        body.close()  # type: ignore[attr-defined]
        del parts, body
        assert stream.closed == 1


@pytest.mark.parametrize(
    "error", [ValueError("broken"), SystemExit(), KeyboardInterrupt()]
)
def test_a_body_that_fails_is_closed_once(error: BaseException) -> None:
    for more in ((), (b"1",)):
        stream = OwnIterator(*more, error=error)
        app = under("api", answering(result=stream))
        try:
            call_wsgi(app, environ(HTTP_ORIGIN=APP))
        except BaseException as raised:
            assert raised is error
        assert stream.closed == 1


def test_an_error_after_write_closes_the_body() -> None:
    stream = OwnIterator(error=ValueError("broken"))

    def app(env: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(b"half")
        return stream

    answer = call_wsgi(under("api", app), environ(HTTP_ORIGIN=APP))
    assert isinstance(answer.error, ValueError)
    assert answer.status == 200 and answer.body == b"half"
    assert stream.closed == 1


def test_the_server_is_called_once() -> None:
    """Servers differ in what a second call of start_response() does, and some
    read what they got as soon as the application returns."""
    for app in (*BROKEN, answering(result=Stream()), lazy, restarting):
        calls: list[Any] = []

        def start(*arguments: Any, calls: list[Any] = calls) -> Any:
            calls.append(arguments)

        body = under("api", app)(environ(HTTP_ORIGIN=APP), start)
        assert len(calls) == 1 and len(calls[0]) == 2
        with suppress(ValueError):
            list(body)
        assert len(calls) == 1


def test_what_the_server_refuses_is_not_tried_again() -> None:
    calls: list[Any] = []

    def start(*arguments: Any) -> Any:
        calls.append(arguments)
        raise ValueError("refused")

    stream = OwnIterator()
    for result in ([b"ok"], stream):
        app = under("api", answering(result=result))
        with pytest.raises(ValueError, match="refused"):
            app(environ(HTTP_ORIGIN=APP), start)
        assert len(calls) == 1
        calls.clear()
    assert stream.closed == 1


def test_a_second_start_without_an_error_is_refused() -> None:
    def app(env: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        start_response("201 Created", [])
        return []

    answer = call_wsgi(under("api", app), environ(HTTP_ORIGIN=APP))
    assert isinstance(answer.error, AssertionError)
    assert answer.status == 500


def test_chunks_come_as_they_are_made() -> None:
    made: list[int] = []

    def stream() -> Iterator[bytes]:
        for i in range(3):
            made.append(i)
            yield b"%d" % i

    app = under("api", answering(result=stream()))
    body = iter(app(environ(HTTP_ORIGIN=APP), lambda *a: print))
    # Only the first, which shows whether there will be a body.
    assert made == [0]
    assert next(body) == b"0"
    assert made == [0]
    assert next(body) == b"1"
    assert made == [0, 1]


def test_the_write_callable() -> None:
    def app(env: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Vary", "Cookie")])
        write(b"written, ")
        return [b"returned"]

    answer = call_wsgi(under("api", app), environ(HTTP_ORIGIN=APP))
    assert answer.body == b"written, returned"
    assert answer.values("vary") == ["Cookie, Origin"]


def test_start_response_again_after_an_error() -> None:
    def app(env: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-First", "1")])
        try:
            raise ValueError("broken")
        except ValueError:
            start_response(
                "503 Service Unavailable",
                [("X-Second", "1"), ("access-control-allow-origin", "*")],
                sys.exc_info(),
            )
        return [b"sorry"]

    answer = call_wsgi(under("api", app), environ(HTTP_ORIGIN=APP))
    assert answer.error is None and answer.status == 503
    assert answer.headers == [("X-Second", "1"), *ALLOWED]


def lazy(env: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"1"


def restarting(env: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    try:
        raise ValueError("broken")
    except ValueError:
        start_response("503 Service Unavailable", [], sys.exc_info())
    return [b"sorry"]


def broken_at_once(env: Any, start_response: Any) -> Any:
    raise ValueError("broken")


def broken_after_start(env: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Access-Control-Allow-Origin", "*")])
    raise ValueError("broken")


def broken_generator(env: Any, start_response: Any) -> Iterator[bytes]:
    if env["REQUEST_METHOD"]:
        raise ValueError("broken")
    yield b""


def broken_stream(env: Any, start_response: Any) -> Any:
    def stream() -> Iterator[bytes]:
        if env["REQUEST_METHOD"]:
            raise ValueError("broken")
        yield b""

    start_response("200 OK", [])
    return stream()


BROKEN = [broken_at_once, broken_after_start, broken_generator, broken_stream]


@pytest.mark.parametrize("app", BROKEN)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_error_before_the_body_gets_a_500_and_goes_on(
    app: App, method: str
) -> None:
    env = environ(method, HTTP_ORIGIN=APP)
    answer = call_wsgi(under("api", app), env)
    assert isinstance(answer.error, ValueError)
    assert answer.status == 500
    assert answer.body == (
        b"" if method == "HEAD" else b"Internal Server Error"
    )
    assert answer.headers == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "21"),
        *ALLOWED,
    ]


@pytest.mark.parametrize("app", BROKEN)
def test_the_traceback_leads_to_the_application(app: App) -> None:
    answer = call_wsgi(under("api", app), environ(HTTP_ORIGIN=APP))
    assert answer.error is not None
    frames = traceback.extract_tb(answer.error.__traceback__)
    code = "stream" if app is broken_stream else app.__name__
    assert code in [frame.name for frame in frames]


@pytest.mark.parametrize("app", BROKEN)
def test_an_error_leaves_nothing_behind(app: App) -> None:
    covered = under("api", app)

    def objects() -> int:
        with suppress(ValueError):
            list(covered(environ(HTTP_ORIGIN=APP), lambda *a: print))
        return len(gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = [objects() for _ in range(10)][-1]
        assert [objects() for _ in range(10)][-1] < before + 10
    finally:
        gc.enable()


@pytest.mark.parametrize("app", BROKEN)
def test_errors_may_be_left_to_what_is_outside(app: App) -> None:
    debugged: dict[str, Any] = {"werkzeug.debug.preserve_context": print}
    for more, options in (
        ({}, {"server_errors": False}),
        (debugged, {}),
        ({"x-wsgiorg.throw_errors": True}, {}),
    ):
        env = environ(HTTP_ORIGIN=APP) | more
        answer = call_wsgi(under("api", app, **options), env)
        assert isinstance(answer.error, ValueError)
        assert answer.status in (0, 200) and answer.body == b""


def test_an_error_in_the_middle_only_goes_on() -> None:
    def stream() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("broken")

    app = under("api", answering(result=stream()))
    answer = call_wsgi(app, environ(HTTP_ORIGIN=APP))
    assert isinstance(answer.error, ValueError)
    assert answer.status == 200 and answer.body == b"half"


def test_an_error_after_write_only_goes_on() -> None:
    def app(env: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(b"half")
        raise ValueError("broken")

    answer = call_wsgi(under("api", app), environ(HTTP_ORIGIN=APP))
    assert isinstance(answer.error, ValueError)
    assert answer.status == 200 and answer.body == b"half"


def test_the_policy_may_depend_on_the_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = {"/api": "api", "/off": "off", "/none": None, "/empty": ""}
    wrong = answering(("Access-Control-Allow-Origin", "*"))
    app = CORSMiddleware(
        wrong, POLICIES, lambda env: names.get(env["PATH_INFO"], "no\nsuch")
    )

    def opened(path: str) -> tuple[list[str], list[str], Any]:
        env = environ(path=path, HTTP_ORIGIN=EVIL)
        answer = call_wsgi(app, env)
        return (
            answer.values("access-control-allow-origin"),
            answer.values("vary"),
            "libcors.decision" in env and env["libcors.decision"].reason,
        )

    assert opened("/api") == ([], ["Origin"], "origin_not_allowed")
    assert opened("/off") == (["*"], [], False)
    assert opened("/none") == (["*"], [], False)
    assert caplog.messages == []
    assert opened("/empty") == ([], ["Origin"], "no_policy")
    assert opened("/other") == ([], ["Origin"], "no_policy")
    denying = (
        "denying cross-origin requests; <policies> defines 'api', 'strict'"
    )
    for message, name in zip(
        caplog.messages, ("''", "'no\\nsuch'"), strict=True
    ):
        assert message.startswith(f"CORS: unknown policy {name}, {denying}")


def test_a_denied_request_is_one_line_whatever_it_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "libcors")
    app = under("api", answering())
    env = environ(path="/\xff\n", HTTP_ORIGIN="https://a\x1b[31m" + "x" * 1000)
    call_wsgi(app, env | {"SCRIPT_NAME": "/mounted"})
    (message,) = caplog.messages
    assert message.isascii() and message.isprintable() and len(message) < 500
    assert "'/mounted/\\xff\\n'" in message and "origin_malformed" in message


def test_servers_and_applications_keep_to_the_rules() -> None:
    """wsgiref's validator on both sides, which raises where PEP 3333 is
    broken."""

    def app(env: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"ok"])

    for name, method, status, more in (
        ("api", "GET", 200, {}),
        ("api", "OPTIONS", 200, {}),
        ("api", "OPTIONS", 204, PREFLIGHT),
        ("s200", "OPTIONS", 200, PREFLIGHT),
        ("s299", "OPTIONS", 299, PREFLIGHT),
        ("strict", "POST", 403, {"HTTP_ORIGIN": EVIL}),
    ):
        wrapped = validator(under(name, validator(app)))
        env = environ(method, HTTP_ORIGIN=APP) | more
        env["wsgi.errors"] = sys.stderr
        answer = call_wsgi(wrapped, env)
        assert answer.error is None and answer.status == status
        expected = [] if status == 403 else [APP]
        assert answer.values("access-control-allow-origin") == expected

    for broken in BROKEN:
        for method in ("GET", "HEAD"):
            env = environ(method, HTTP_ORIGIN=APP)
            env["wsgi.errors"] = sys.stderr
            answer = call_wsgi(validator(under("api", broken)), env)
            assert isinstance(answer.error, ValueError)
            assert answer.status == 500


def test_an_unknown_policy_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("libcors._middleware.time.monotonic", lambda: now)
    app = CORSMiddleware(answering(), POLICIES, lambda env: env["PATH_INFO"])

    def logged(*paths: str) -> int:
        caplog.clear()
        for path in paths:
            call_wsgi(app, environ(path=path, HTTP_ORIGIN=APP))
        return len(caplog.messages)

    assert logged("a", "b", "a", "b") == 2
    now += 59
    assert logged("a", "b") == 0
    now += 1
    assert logged("a", "a") == 1
    # Clients may choose the name.
    many = [str(number) for number in range(1000)]
    assert logged(*many) < 20
    assert logged(*many) == 0
    now += 60
    assert logged("a", "a") == 1
    assert len(_middleware._logged) <= 20


def test_a_fault_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    decision = libcors.NO_POLICY.decide("GET", APP)
    assert not _middleware.is_logged(decision, libcors.NO_POLICY)
    assert caplog.messages == []
    for _ in range(2):
        assert not _middleware.is_logged(decision, POLICIES["api"])
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == (
        "CORS: internal fault, denying requests under policy 'api'"
    )
