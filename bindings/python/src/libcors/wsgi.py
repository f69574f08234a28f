"""CORS for WSGI applications: Flask, Django, and all others.

::

    from libcors.wsgi import CORSMiddleware

    app = CORSMiddleware(app, policies="cors.toml", policy="api")

In Flask it is app.wsgi_app that is wrapped.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from ._core import Decision, Policy
from ._middleware import Choice, Source, log_denied, logger

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

__all__ = ["CORSMiddleware"]

Environ: TypeAlias = dict[str, Any]

_INFO = logging.INFO

_ERROR = b"Internal Server Error"
_ERROR_HEADERS = (
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Length", str(len(_ERROR))),
)


class CORSMiddleware:
    """Answers preflights and sets CORS headers, as a policy file says.

    policies is the path of a policy file, or Policies. policy is the name of
    one of them, or a function that is called with the environ of each request
    and returns a name, or None or "off" for requests to be left alone. Where
    policy is a Policy itself, policies is left out.

    reload looks at the file again when it has changed, at most every interval
    seconds. A file with errors changes nothing; the logger "libcors" says why.

    server_errors answers with a 500 where the application raises before its
    response starts; the exception then goes on to the server all the same.

    The decision of a request is environ["libcors.decision"].
    """

    app: WSGIApplication
    """The application inside."""

    def __init__(
        self,
        app: WSGIApplication,
        policies: Source | None = None,
        policy: str | Policy | Callable[[Environ], str | None] | None = None,
        *,
        reload: bool = False,
        interval: float = 1.0,
        server_errors: bool = True,
    ) -> None:
        choice: Choice[Environ] = Choice(policies, policy, reload, interval)
        self.app = app
        self._fixed = choice.fixed
        self._choose = choice.choose
        self._server_errors = server_errors

    def __call__(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        policy = self._fixed
        if policy is None and self._choose is not None:
            policy = self._choose(environ)
        if policy is None:
            return self.app(environ, start_response)

        decision = policy.decide_wsgi(environ)
        environ["libcors.decision"] = decision
        if decision.outcome == "deny" and logger.isEnabledFor(_INFO):
            log_denied(
                decision,
                policy,
                environ.get("REQUEST_METHOD"),
                environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
                environ.get("HTTP_ORIGIN"),
            )
        if decision.status is not None:
            return _answer(decision, decision.status, start_response)
        if not decision.enforced:
            return self.app(environ, start_response)

        def start_with_headers(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: Any = None,
            /,
        ) -> Callable[[bytes], object]:
            all_headers = decision.apply_wsgi(headers)
            if exc_info is None:
                return start_response(status, all_headers)
            return start_response(status, all_headers, exc_info)

        if not self._server_errors:
            return self.app(environ, start_with_headers)
        try:
            body = self.app(environ, start_with_headers)
        except Exception as error:
            failing = map(_raise, [error])
            return _Body(failing, environ, start_with_headers)
        # Lists cannot raise, and servers measure them.
        if isinstance(body, (list, tuple)):
            return body
        # What the server wraps itself, it may send without reading it.
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            return body
        return _Body(body, environ, start_with_headers)


class _Body:
    """A body that becomes a 500 if it fails before any of it was sent."""

    __slots__ = ("_body", "_environ", "_start_response")

    def __init__(
        self,
        body: Iterable[bytes],
        environ: Environ,
        start_response: StartResponse,
    ) -> None:
        self._body = body
        self._environ = environ
        self._start_response = start_response

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except Exception:
            if _errors_are_awaited(self._environ):
                raise
            # Raises the exception again if headers were sent.
            self._start_response(
                "500 Internal Server Error",
                list(_ERROR_HEADERS),
                sys.exc_info(),
            )
            head = self._environ.get("REQUEST_METHOD") == "HEAD"
            yield b"" if head else _ERROR
            # Now that the answer is out, the server may log it.
            raise

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _raise(error: Exception) -> bytes:
    raise error


def _errors_are_awaited(environ: Environ) -> bool:
    """Whether something outside shows errors itself: Werkzeug's debugger."""
    return "werkzeug.debug.preserve_context" in environ or bool(
        environ.get("x-wsgiorg.throw_errors")
    )


def _answer(
    decision: Decision, status: int, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer in place of the application: a preflight, or a refusal."""
    headers = decision.apply_wsgi(())
    if status != 204:
        headers.append(("Content-Length", "0"))
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Success"
    start_response(f"{status} {phrase}", headers)
    return []
