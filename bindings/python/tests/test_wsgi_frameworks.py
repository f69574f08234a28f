"""The WSGI middleware where the documentation says to put it, in frameworks
that people use; Django in ASGI too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import django
import flask
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path as route
from hosts import Answer, call_asgi, call_wsgi, environ, http_scope
from werkzeug.debug import DebuggedApplication

import libcors
import libcors.asgi
from libcors.wsgi import CORSMiddleware

APP = "https://app.example.com"
EVIL = "https://evil.example"

POLICIES = libcors.Policies.parse(
    """
    [policy.api]
    allow_origins = ["https://app.example.com"]
    allow_methods = ["PUT"]
    """
)

settings.configure(
    ALLOWED_HOSTS=["*"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests alone",
)
django.setup()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The frameworks log what is raised here on purpose."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def django_fine(request: Any) -> HttpResponse:
    headers = {"Vary": "Cookie", "Access-Control-Allow-Origin": "*"}
    return HttpResponse("fine", headers=headers)


def django_raises(request: Any) -> HttpResponse:
    raise ValueError("broken")


def django_stream(request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"1", b"2"]))


urlpatterns = [
    route("fine", django_fine),
    route("raises", django_raises),
    route("stream", django_stream),
]


def flask_app() -> flask.Flask:
    app = flask.Flask(__name__)

    @app.get("/fine")
    def fine() -> Any:
        headers = {"Vary": "Cookie", "Access-Control-Allow-Origin": "*"}
        return "fine", headers

    @app.get("/raises")
    def raises() -> Any:
        raise ValueError("broken")

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(iter([b"1", b"2"]))

    @app.get("/broken-stream")
    def broken_stream() -> Any:
        def parts() -> Iterator[bytes]:
            if app.name:
                raise ValueError("broken")
            yield b""

        return flask.Response(parts())

    return app


def cover(app: flask.Flask) -> None:
    covered = CORSMiddleware(app.wsgi_app, POLICIES, "api")
    app.wsgi_app = covered  # type: ignore[method-assign]


def ask(
    app: Any, path: str, method: str = "GET", origin: str = APP, **more: Any
) -> Answer:
    return call_wsgi(app, environ(method, path, HTTP_ORIGIN=origin, **more))


def check(app: Any) -> None:
    answer = ask(
        app, "/fine", "OPTIONS", HTTP_ACCESS_CONTROL_REQUEST_METHOD="PUT"
    )
    assert answer.status == 204
    assert answer.values("access-control-allow-methods") == ["PUT"]
    for path, status in (
        ("/fine", 200),
        ("/stream", 200),
        ("/missing", 404),
        ("/raises", 500),
    ):
        answer = ask(app, path)
        assert answer.error is None and answer.status == status, path
        assert answer.values("access-control-allow-origin") == [APP], path
        assert "Origin" in answer.values("vary")[0], path
        denied = ask(app, path, origin=EVIL)
        assert denied.values("access-control-allow-origin") == [], path
        assert "Origin" in denied.values("vary")[0], path
    assert ask(app, "/fine").values("vary") == ["Cookie, Origin"]
    assert ask(app, "/stream").body == b"12"


def test_flask() -> None:
    app = flask_app()
    cover(app)
    check(app)
    answer = ask(app, "/broken-stream")
    assert isinstance(answer.error, ValueError)
    assert answer.status == 500
    assert answer.values("access-control-allow-origin") == [APP]


def test_flask_closes_once() -> None:
    app = flask_app()
    closed = []

    @app.get("/closes")
    def closes() -> Any:
        response = flask.Response(iter([b"1", b"2"]))
        response.call_on_close(lambda: closed.append(1))
        return response

    cover(app)
    assert ask(app, "/closes").body == b"12" and closed == [1]
    # A client that leaves.
    env = environ(path="/closes", HTTP_ORIGIN=APP)
    body = app.wsgi_app(env, lambda *a: print)
    parts = iter(body)
    next(parts)
    body.close()  # type: ignore[attr-defined]
    del parts, body
    assert closed == [1, 1]


def test_flask_that_leaves_errors_to_the_server() -> None:
    app = flask_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    cover(app)
    answer = ask(app, "/raises")
    assert isinstance(answer.error, ValueError)
    assert answer.status == 500
    assert answer.values("access-control-allow-origin") == [APP]


def test_the_debugger_of_flask_keeps_its_page() -> None:
    app = flask_app()
    app.debug = True
    cover(app)
    answer = ask(DebuggedApplication(app, evalex=True), "/raises")
    assert answer.status == 500
    assert b"ValueError: broken" in answer.body


def test_django() -> None:
    check(CORSMiddleware(get_wsgi_application(), POLICIES, "api"))


def test_django_in_asgi() -> None:
    app = libcors.asgi.CORSMiddleware(get_asgi_application(), POLICIES, "api")

    def ask(path: str, method: str = "GET", *more: Any) -> Answer:
        headers = [(b"origin", APP.encode()), *more]
        return call_asgi(app, http_scope(method, headers, path=path))

    for path, status in (("/fine", 200), ("/missing", 404), ("/raises", 500)):
        answer = ask(path)
        assert answer.status == status, path
        assert answer.values("access-control-allow-origin") == [APP], path
    asked = (b"access-control-request-method", b"PUT")
    assert ask("/fine", "OPTIONS", asked).status == 204
