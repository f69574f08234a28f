"""What docs/python-middleware.md says about django-cors-headers and
Flask-CORS."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import flask
import pytest
import test_wsgi_frameworks  # Sets Django up.
from corsheaders.checks import check_settings
from django.core.handlers.wsgi import WSGIHandler
from django.test.utils import override_settings
from flask_cors import CORS
from hosts import Answer, call_wsgi, environ

APP = "https://a.example"
EVIL = "https://evil.example"
LONGER = "https://app.a.example.evil.example"
UPPER = "https://A.example"

PREFLIGHT = {"method": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}
NETWORK = PREFLIGHT | {"HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK": "true"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def ask(
    app: Any,
    path: str = "/fine",
    method: str = "GET",
    origin: str | None = APP,
    **more: str,
) -> Answer:
    env = environ(method, path, **more)
    if origin is not None:
        env["HTTP_ORIGIN"] = origin
    return call_wsgi(app, env)


def opened(answer: Answer) -> list[str]:
    return answer.values("access-control-allow-origin")


def ask_django(
    options: dict[str, Any], path: str = "/fine", **more: Any
) -> Answer:
    middleware = ["corsheaders.middleware.CorsMiddleware"]
    urls = test_wsgi_frameworks.__name__
    with override_settings(
        MIDDLEWARE=middleware, ROOT_URLCONF=urls, **options
    ):
        return ask(WSGIHandler(), path, **more)


ONE = {"CORS_ALLOWED_ORIGINS": [APP]}


def test_django_cors_headers() -> None:
    every = {"CORS_ALLOW_ALL_ORIGINS": True, "CORS_ALLOW_CREDENTIALS": True}
    assert opened(ask_django(every, origin=EVIL)) == [EVIL]
    expressions = {"CORS_ALLOWED_ORIGIN_REGEXES": [r"https://\w+\.a\.example"]}
    assert opened(ask_django(expressions, origin=LONGER)) == [LONGER]
    for origin in (EVIL, UPPER):
        answer = ask_django(ONE, origin=origin)
        # The application's own.
        assert opened(answer) == ["*"]
        assert answer.values("vary") == ["Cookie, origin"]
    assert ask_django(ONE, origin=None).values("vary") == ["Cookie, origin"]
    answer = ask_django(ONE, "/raises")
    assert answer.status == 500 and opened(answer) == [APP]


def test_preflights_of_django_cors_headers() -> None:
    answer = ask_django(ONE, **PREFLIGHT)
    assert answer.status == 200
    assert answer.values("access-control-max-age") == ["86400"]
    (headers,) = answer.values("access-control-allow-headers")
    assert headers == (
        "accept, authorization, content-type, user-agent, x-csrftoken, "
        "x-requested-with"
    )
    (methods,) = answer.values("access-control-allow-methods")
    assert methods == "DELETE, GET, OPTIONS, PATCH, POST, PUT"
    answer = ask_django(ONE, origin=EVIL, **PREFLIGHT)
    assert answer.status == 200 and opened(answer) == []
    answer = ask_django(ONE, **NETWORK)
    assert answer.status == 200 and opened(answer) == [APP]
    assert answer.values("access-control-allow-private-network") == []


def test_django_cors_headers_finds_an_origin_with_a_slash() -> None:
    with override_settings(CORS_ALLOWED_ORIGINS=[APP + "/"]):
        assert [error.id for error in check_settings()] == ["corsheaders.E014"]


def flask_app(own: bool = False, **options: Any) -> flask.Flask:
    app = flask.Flask(__name__)

    @app.get("/fine")
    def fine() -> Any:
        headers = {"Access-Control-Allow-Origin": "*"} if own else {}
        return "fine", {"Vary": "Cookie", **headers}

    @app.get("/raises")
    def raises() -> Any:
        raise ValueError("broken")

    CORS(app, **options)
    return app


def test_flask_cors() -> None:
    every = flask_app(supports_credentials=True)
    answer = ask(every, origin=EVIL)
    assert opened(answer) == [EVIL]
    assert answer.values("access-control-allow-credentials") == ["true"]
    assert answer.values("vary") == ["Cookie", "Origin"]
    expressions = flask_app(origins=[r"https://\w+\.a\.example"])
    assert opened(ask(expressions, origin=LONGER)) == [LONGER]
    one = flask_app(origins=[APP])
    assert opened(ask(one, origin=UPPER)) == [UPPER]
    for origin in (EVIL, None):
        assert ask(one, origin=origin).values("vary") == ["Cookie"]
    own = flask_app(own=True, origins=[APP])
    assert opened(ask(own, origin=EVIL)) == ["*"]
    answer = ask(one, "/raises")
    assert answer.status == 500 and opened(answer) == [APP]
    slash = flask_app(origins=[APP + "/"])
    assert opened(ask(slash)) == []


def test_preflights_of_flask_cors() -> None:
    asked = {"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "x-any"}
    answer = ask(flask_app(), origin=EVIL, **PREFLIGHT, **asked)
    assert answer.status == 200 and opened(answer) == [EVIL]
    assert answer.values("access-control-allow-headers") == ["x-any"]
    assert answer.values("access-control-max-age") == []
    one = flask_app(origins=[APP])
    answer = ask(one, origin=EVIL, **PREFLIGHT)
    assert answer.status == 200 and opened(answer) == []
    answer = ask(one, **NETWORK)
    assert answer.values("access-control-allow-private-network") == ["false"]
