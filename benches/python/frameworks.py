"""The middlewares of Django and Flask, and ours in their place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django
import flask
from contenders import (
    HEADERS,
    KINDS,
    MAX_AGE,
    METHODS,
    SIZES,
    Contender,
    origins,
    policy,
    wsgi_contender,
)
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path
from flask_cors import CORS

import libcors.wsgi


def items(request: Any) -> HttpResponse:
    return HttpResponse(b"ok", content_type="text/plain")


urlpatterns = [path("items", items)]


def django_wsgi() -> Iterator[Contender]:
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            CORS_ALLOW_HEADERS=HEADERS,
            CORS_ALLOW_METHODS=["GET", "HEAD", "POST", *METHODS],
            CORS_PREFLIGHT_MAX_AGE=MAX_AGE,
            INSTALLED_APPS=["corsheaders"],
            LOGGING_CONFIG=None,
            MIDDLEWARE=[],
            ROOT_URLCONF=__name__,
            SECRET_KEY="for benches alone",
        )
        django.setup()
    bare = WSGIHandler()
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware"]
    theirs = WSGIHandler()
    for size in SIZES:
        ours = libcors.wsgi.CORSMiddleware(bare, policy=policy(size))

        def prepare(size: int = size) -> None:
            settings.CORS_ALLOWED_ORIGINS = origins(size)

        for kind in KINDS:
            for name, app in (
                ("bare", bare),
                ("libcors", ours),
                ("django-cors-headers", theirs),
            ):
                yield wsgi_contender("django", kind, size, name, app, prepare)


def flask_wsgi() -> Iterator[Contender]:
    def application() -> flask.Flask:
        app = flask.Flask(__name__)
        app.route("/items")(lambda: flask.Response(b"ok"))
        return app

    for size in SIZES:
        bare, theirs = application(), application()
        CORS(
            theirs,
            origins=origins(size),
            methods=["GET", "HEAD", "POST", *METHODS],
            allow_headers=HEADERS,
            max_age=MAX_AGE,
        )
        ours = libcors.wsgi.CORSMiddleware(bare, policy=policy(size))
        for kind in KINDS:
            for name, app in (
                ("bare", bare),
                ("libcors", ours),
                ("Flask-CORS", theirs),
            ):
                yield wsgi_contender("flask", kind, size, name, app)
