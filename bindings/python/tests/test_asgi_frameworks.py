"""The ASGI middleware where the documentation says to put it, in frameworks
that people use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import httpx
import litestar
import pytest
import quart
from hosts import call_asgi, http_scope, websocket_scope
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

import libcors
from libcors.asgi import CORSMiddleware

APP = "https://app.example.com"
EVIL = "https://evil.example"

POLICIES = libcors.Policies.parse(
    """
    [policy.api]
    allow_origins = ["https://app.example.com"]
    allow_methods = ["PUT"]
    websocket = "reject"
    self_origins = ["https://api.example.com"]

    [policy.public]
    allow_origins = ["*"]
    """
)


def ask(
    app: Any, path: str, method: str = "GET", origin: str = APP, **headers: str
) -> httpx.Response:
    """One request; what the application raises is left to the server."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://api.example.com"
        ) as client:
            names = {n.replace("_", "-"): v for n, v in headers.items()}
            return await client.request(
                method, path, headers={"Origin": origin, **names}
            )

    return asyncio.run(run())


def check(app: Any, error_text: str | None = "Internal Server Error") -> None:
    """What has to hold wherever the middleware is outermost."""
    answer = ask(app, "/fine", "OPTIONS", access_control_request_method="PUT")
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-methods"] == "PUT"
    for path, status in (("/fine", 200), ("/missing", 404), ("/raises", 500)):
        answer = ask(app, path)
        assert answer.status_code == status, path
        assert answer.headers["access-control-allow-origin"] == APP, path
        assert "Origin" in answer.headers["vary"], path
        denied = ask(app, path, origin=EVIL)
        assert denied.status_code == status, path
        assert "access-control-allow-origin" not in denied.headers, path
        assert "Origin" in denied.headers["vary"], path
    if error_text is not None:
        assert error_text in ask(app, "/raises").text
    answer = ask(app, "/fine")
    assert "Cookie" in answer.headers["vary"]


def starlette_app(**options: Any) -> Any:
    async def fine(request: Any) -> Any:
        headers = {"Vary": "Cookie", "Access-Control-Allow-Origin": "*"}
        return PlainTextResponse("fine", headers=headers)

    async def raises(request: Any) -> Any:
        raise ValueError("broken")

    async def stream(request: Any) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            for part in (b"1", b"2", b"3"):
                yield part

        return StreamingResponse(parts())

    async def socket(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    routes = [
        Route("/fine", fine, methods=["GET"]),
        Route("/raises", raises),
        Route("/stream", stream),
        WebSocketRoute("/socket", socket),
    ]
    return Starlette(routes=routes, **options)


async def sorry(request: Any, error: Exception) -> Any:
    return PlainTextResponse("so sorry", 500)


def test_starlette() -> None:
    check(CORSMiddleware(starlette_app(), POLICIES, "api"))
    app = starlette_app(exception_handlers={500: sorry})
    check(CORSMiddleware(app, POLICIES, "api"), "so sorry")
    app = starlette_app(debug=True)
    check(CORSMiddleware(app, POLICIES, "api"), "ValueError: broken")
    answer = ask(CORSMiddleware(starlette_app(), POLICIES, "api"), "/stream")
    assert answer.text == "123"


def test_starlette_with_add_middleware() -> None:
    app = starlette_app()
    app.add_middleware(CORSMiddleware, policies=POLICIES, policy="api")
    check(app)
    # There, Starlette's own page of errors is outside, and comes too late ...
    app = starlette_app(exception_handlers={500: sorry})
    app.add_middleware(CORSMiddleware, policies=POLICIES, policy="api")
    check(app)
    # ... unless it is asked for, without headers.
    app = starlette_app(exception_handlers={500: sorry})
    app.add_middleware(
        CORSMiddleware, policies=POLICIES, policy="api", server_errors=False
    )
    answer = ask(app, "/raises")
    assert answer.text == "so sorry"
    assert "access-control-allow-origin" not in answer.headers


def test_starlette_under_one_route() -> None:
    inner = CORSMiddleware(starlette_app(), POLICIES, "public")
    mounted = Starlette(routes=[Mount("/public", inner)])
    answer = ask(mounted, "/public/fine", origin=EVIL)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in ask(mounted, "/x").headers
    # Of two, the outer one has the last word.
    both = CORSMiddleware(mounted, POLICIES, "api")
    answer = ask(both, "/public/fine")
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["vary"] == "Cookie, Origin"
    # So let it leave alone what is not its own.
    other = CORSMiddleware(
        mounted,
        POLICIES,
        lambda s: "off" if s["path"].startswith("/public/") else "api",
    )
    answer = ask(other, "/public/fine", origin=EVIL)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert ask(other, "/x").headers["access-control-allow-origin"] == APP


def test_starlette_websockets() -> None:
    app = CORSMiddleware(starlette_app(), POLICIES, "api")

    def types(origin: str) -> list[str]:
        headers = [(b"origin", origin.encode())]
        scope = websocket_scope(headers, path="/socket")
        return [m["type"] for m in call_asgi(app, scope).messages]

    assert types(APP) == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert types(EVIL) == ["websocket.close"]


def test_starlette_lifespan() -> None:
    seen = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        seen.append("up")
        yield
        seen.append("down")

    app = CORSMiddleware(starlette_app(lifespan=lifespan), POLICIES, "api")
    steps = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answer = call_asgi(app, {"type": "lifespan", "state": {}}, steps)
    assert seen == ["up", "down"]
    assert [m["type"] for m in answer.messages] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"policies": "missing.toml", "policy": "api"}, FileNotFoundError),
        ({"policies": POLICIES, "policy": "apj"}, KeyError),
        ({"policies": POLICIES}, TypeError),
    ],
)
def test_starlette_does_not_start_with_an_error(
    options: dict[str, Any], error: type[Exception]
) -> None:
    app = starlette_app()
    app.add_middleware(CORSMiddleware, **options)
    steps = [{"type": "lifespan.startup"}]
    answer = call_asgi(app, {"type": "lifespan", "state": {}}, steps)
    assert answer.error is None
    (message,) = answer.messages
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith(f"{error.__name__}: ")
    # A server that goes on all the same serves nothing.
    for scope in (http_scope(path="/fine"), websocket_scope(path="/socket")):
        assert isinstance(call_asgi(app, scope).error, error)
    # Without a startup.
    app = starlette_app()
    app.add_middleware(CORSMiddleware, **options)
    answer = call_asgi(app, http_scope(path="/fine"))
    assert isinstance(answer.error, error) and answer.messages == []


def fastapi_app() -> Any:
    app = fastapi.FastAPI()

    @app.get("/fine")
    async def fine(response: fastapi.Response) -> str:
        response.headers["Vary"] = "Cookie"
        response.headers["Access-Control-Allow-Origin"] = "*"
        return "fine"

    @app.get("/raises")
    def raises() -> None:
        raise ValueError("broken")

    @app.get("/checked")
    def checked(number: int) -> int:
        return number

    return app


def test_fastapi() -> None:
    app = CORSMiddleware(fastapi_app(), POLICIES, "api")
    check(app)
    answer = ask(app, "/checked?number=x")
    assert answer.status_code == 422
    assert answer.headers["access-control-allow-origin"] == APP
    app = fastapi_app()
    app.add_middleware(CORSMiddleware, policies=POLICIES, policy="api")
    check(app)


def test_quart() -> None:
    app = quart.Quart(__name__)

    @app.get("/fine")
    async def fine() -> Any:
        return quart.Response("fine", headers={"Vary": "Cookie"})

    @app.get("/raises")
    async def raises() -> Any:
        raise ValueError("broken")

    covered = CORSMiddleware(app.asgi_app, POLICIES, "api")
    app.asgi_app = covered  # type: ignore
    check(app)


@pytest.mark.filterwarnings("default")
def test_litestar() -> None:
    @litestar.get("/fine")
    async def fine() -> litestar.Response[str]:
        return litestar.Response("fine", headers={"Vary": "Cookie"})

    @litestar.get("/raises")
    async def raises() -> str:
        raise ValueError("broken")

    app = litestar.Litestar([fine, raises], logging_config=None)
    app.asgi_handler = CORSMiddleware(app.asgi_handler, POLICIES, "api")
    check(app)
    app = litestar.Litestar([fine, raises], logging_config=None)
    check(CORSMiddleware(app, POLICIES, "api"))
