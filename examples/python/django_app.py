"""Django behind libcors, in one file. Run it with

    gunicorn django_app:application

and ask it with

    curl -i -H 'Origin: https://app.example.com' http://127.0.0.1:8000/items

In a project of your own, only the end of this file matters: it goes into
wsgi.py. In asgi.py it is the same, with get_asgi_application() and the
middleware of libcors.asgi.
"""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from libcors.wsgi import CORSMiddleware

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "INFO"},
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="an example has no secrets",
)


def items(request: HttpRequest) -> JsonResponse:
    return JsonResponse(["spoon", "fork"], safe=False)


def put(request: HttpRequest, item: str) -> JsonResponse:
    # What was decided is there for the application too.
    reason = request.META["libcors.decision"].reason
    return JsonResponse({"item": item, "cors": reason})


def broken(request: HttpRequest) -> JsonResponse:
    raise RuntimeError("a page can read this 500, and that it is one")


urlpatterns = [
    path("items", items),
    path("items/<item>", put),
    path("broken", broken),
]

# Around the whole application, so that Django's pages of errors have headers
# too. It is not an entry of MIDDLEWARE.
application = CORSMiddleware(
    get_wsgi_application(),
    policies=Path(__file__).with_name("cors.toml"),
    policy="api",
    # Look at the file again when it changes.
    reload=True,
)
