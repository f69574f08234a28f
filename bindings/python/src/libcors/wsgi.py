"""CORS for WSGI applications: Flask, Django, and all others.

::

    from libcors.wsgi import CORSMiddleware

    app = CORSMiddleware(app, policies="cors.toml", policy="api")

In Flask it is app.wsgi_app that is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

from ._core import Decision, Policy
from ._middleware import Choice, Source, is_logged, log_denied

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

__all__ = ["CORSMiddleware"]

Environ: TypeAlias = dict[str, Any]

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
        if decision.outcome == "deny" and is_logged(decision, policy):
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

        if not self._server_errors:
            return self.app(environ, _apply(decision, start_response))

        start = _Start(decision, start_response)
        try:
            body = self.app(environ, start)
        except Exception as error:
            if start.passed or _errors_are_awaited(environ):
                raise
            return _fail(error, start, environ)
        # Lists cannot raise, and servers measure them.
        if isinstance(body, (list, tuple)):
            start.pass_on()
            return body
        # What the server wraps itself, it may send without reading it.
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            start.pass_on()
            return body
        return _begin(body, start, environ)


def _apply(decision: Decision, start_response: StartResponse) -> StartResponse:
    """start_response() with the headers of a decision."""

    def start(
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Any = None,
        /,
    ) -> Callable[[bytes], object]:
        all_headers = decision.apply_wsgi(headers)
        if exc_info is None:
            return start_response(status, all_headers)
        return start_response(status, all_headers, exc_info)

    return start


class _Start:
    """start_response(), held back until the first part of the body is there.

    Servers differ in what a second call does, so it is called once. Some read
    what it was given when the application returns, and not later.
    """

    __slots__ = ("_decision", "_held", "_start_response", "_write", "passed")

    passed: bool
    """Whether the server was given the status and the headers."""

    def __init__(
        self, decision: Decision, start_response: StartResponse
    ) -> None:
        self._decision = decision
        self._start_response = start_response
        self._held: tuple[str, list[tuple[str, str]]] | None = None
        self._write: Callable[[bytes], object] | None = None
        self.passed = False

    def __call__(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Any = None,
        /,
    ) -> Callable[[bytes], object]:
        if self.passed:
            # The server says what is wrong with that.
            start = _apply(self._decision, self._start_response)
            return start(status, headers, exc_info)
        if self._held is not None and exc_info is None:
            raise AssertionError(
                "start_response() was called twice, without exc_info"
            )
        self._held = (status, self._decision.apply_wsgi(headers))
        return self._write_first

    def pass_on(self) -> None:
        if self._held is not None:
            # Before the call: what the server refuses is not tried again.
            self.passed = True
            head, self._held = self._held, None
            self._write = self._start_response(*head)

    def fail(self, send: bool) -> None:
        """Start the answer to an error in place of what was held back."""
        headers = self._decision.apply_wsgi(_ERROR_HEADERS)
        self._held = ("500 Internal Server Error", headers)
        self.pass_on()
        # Not all servers have write().
        if send and self._write is not None:
            self._write(b"")

    def _write_first(self, data: bytes) -> None:
        self.pass_on()
        if self._write is None:
            raise TypeError("the server has no write()")
        self._write(data)


def _begin(
    body: Iterable[bytes], start: _Start, environ: Environ
) -> Iterable[bytes]:
    """Read the first part of a body, so that a 500 may come in its place."""
    try:
        parts = iter(body)
        first = list(islice(parts, 1))
        start.pass_on()
    except BaseException as error:
        if (
            isinstance(error, Exception)
            and not start.passed
            and not _errors_are_awaited(environ)
        ):
            return _Body(_fail(error, start, environ), body)
        _close(body)
        raise
    return _Body(chain(first, parts), body)


class _Body:
    """A body that has begun."""

    __slots__ = ("_body", "_parts")

    def __init__(self, parts: Iterator[bytes], body: Iterable[bytes]) -> None:
        self._parts = parts
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None:
        _close(self._body)


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _fail(
    error: Exception, start: _Start, environ: Environ
) -> Iterator[bytes]:
    """Answer with a 500. The error goes on when its body was read."""
    # Without a part the server may not have sent the headers by then.
    head = environ.get("REQUEST_METHOD") == "HEAD"
    start.fail(send=head)
    return _raise_after(b"" if head else _ERROR, error)


def _raise_after(body: bytes, error: Exception) -> Iterator[bytes]:
    yield body
    try:
        # Now that the answer is out, the server may log it.
        raise error
    finally:
        # Its traceback refers to this frame.
        del error


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
        # wsgiref.validate wants a type even where there is no content.
        headers.append(("Content-Type", "text/plain; charset=utf-8"))
        headers.append(("Content-Length", "0"))
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Success"
    start_response(f"{status} {phrase}", headers)
    # Not empty: hypercorn sends no headers before the first part.
    return [b""]
