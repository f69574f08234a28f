"""CORS for ASGI applications: Starlette, FastAPI, Quart, Litestar, Django.

::

    from libcors.asgi import CORSMiddleware

    app = FastAPI()
    app.add_middleware(CORSMiddleware, policies="cors.toml", policy="api")

Where there is no add_middleware(), it wraps an application.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import FrameType
from typing import Any, TypeAlias

from ._core import Decision, Policy
from ._middleware import Choice, Source, is_logged, log_denied

__all__ = ["CORSMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

# The messages that carry the headers of a response.
_STARTS = frozenset(
    {
        "http.response.start",
        "websocket.accept",
        "websocket.http.response.start",
    }
)

_ERROR = b"Internal Server Error"
_ERROR_HEADERS = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_ERROR)).encode()),
)


class CORSMiddleware:
    """Answers preflights and sets CORS headers, as a policy file says.

    policies is the path of a policy file, or Policies. policy is the name of
    one of them, or a function that is called with the scope of each request
    and returns a name, or None or "off" for requests to be left alone. Where
    policy is a Policy itself, policies is left out.

    reload looks at the file again when it has changed, at most every interval
    seconds. A file with errors changes nothing; the logger "libcors" says why.

    server_errors answers with a 500 where the application raises before its
    response starts; the exception then goes on to the server all the same.

    Where it is made while the application starts, as add_middleware() does, an
    error in its arguments or in the file makes the startup fail.

    The decision of a request is scope["libcors"].
    """

    app: Application
    """The application inside."""

    def __init__(
        self,
        app: Application,
        policies: Source | None = None,
        policy: str | Policy | Callable[[Any], str | None] | None = None,
        *,
        reload: bool = False,
        interval: float = 1.0,
        server_errors: bool = True,
    ) -> None:
        self.app = app
        self._server_errors = server_errors
        self._failure: Exception | None = None
        try:
            choice: Choice[Any] = Choice(policies, policy, reload, interval)
        except Exception as error:
            if not _in_lifespan(sys._getframe(1)):
                raise
            # Servers would go on as if the application had no lifespan.
            self._failure = error
            self._fixed = None
            self._choose: Callable[[Any], Policy | None] | None = self._raise
        else:
            self._fixed = choice.fixed
            self._choose = choice.choose

    def _raise(self, scope: object) -> Policy | None:
        assert self._failure is not None
        raise self._failure.with_traceback(None)

    # Frameworks have types of their own for these.
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = scope["type"]
        policy = self._fixed
        if kind != "http" and kind != "websocket":
            if kind == "lifespan" and self._failure is not None:
                await _fail_startup(self._failure, receive, send)
                return
            policy = None
        elif policy is None and self._choose is not None:
            policy = self._choose(scope)
        if policy is None:
            await self.app(scope, receive, send)
            return

        decision = policy.decide_asgi(scope)
        scope["libcors"] = decision
        if decision.outcome == "deny" and is_logged(decision, policy):
            _log(decision, policy, scope)
        if decision.status is not None:
            await _answer(decision, decision.status, scope, send)
            return
        if not decision.enforced:
            await self.app(scope, receive, send)
            return

        started = False

        def send_with_headers(message: Message) -> Awaitable[None]:
            nonlocal started
            if not started and message["type"] in _STARTS:
                started = True
                # The application may send one and the same message again.
                message = {**message}
                headers = message.get("headers", ())
                message["headers"] = decision.apply_asgi(headers)
            sent: Awaitable[None] = send(message)
            return sent

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            if not started and kind == "http" and self._server_errors:
                headers = decision.apply_asgi(_ERROR_HEADERS)
                body = b"" if scope.get("method") == "HEAD" else _ERROR
                await _respond(send, "http.", 500, headers, body)
            raise


def _in_lifespan(frame: FrameType | None) -> bool:
    """Whether an application is being started, and so its middleware made.

    Starlette does that for add_middleware().
    """
    while frame is not None:
        scope = frame.f_locals.get("scope")
        if isinstance(scope, Mapping) and scope.get("type") == "lifespan":
            return True
        frame = frame.f_back
    return False


async def _fail_startup(
    error: Exception, receive: Receive, send: Send
) -> None:
    await receive()
    await send(
        {
            "type": "lifespan.startup.failed",
            "message": f"{type(error).__name__}: {error}",
        }
    )


async def _answer(
    decision: Decision, status: int, scope: Scope, send: Send
) -> None:
    """Answer in place of the application: a preflight, or a refusal."""
    headers = decision.apply_asgi(())
    if status != 204:
        headers.append((b"content-length", b"0"))
    if scope["type"] == "http":
        await _respond(send, "http.", status, headers, b"")
    elif "websocket.http.response" in (scope.get("extensions") or ()):
        await _respond(send, "websocket.http.", status, headers, b"")
    else:
        # Before it is accepted, the server makes a 403 of it.
        await send({"type": "websocket.close", "code": 1008, "reason": ""})


async def _respond(
    send: Send,
    protocol: str,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    await send(
        {
            "type": protocol + "response.start",
            "status": status,
            "headers": headers,
        }
    )
    await send({"type": protocol + "response.body", "body": body})


def _log(decision: Decision, policy: Policy, scope: Scope) -> None:
    origins = [
        value for name, value in scope["headers"] if name.lower() == b"origin"
    ]
    log_denied(
        decision,
        policy,
        scope.get("method", "GET"),
        scope.get("path", ""),
        b", ".join(origins),
    )
