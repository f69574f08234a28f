"""What docs/python-middleware.md says about Starlette's own middleware."""

from __future__ import annotations

from typing import Any

from hosts import Answer, call_asgi, http_scope
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

APP = "https://a.example"
EVIL = "https://evil.example"


def ask(
    options: dict[str, Any],
    path: str = "/fine",
    method: str = "GET",
    origin: str | None = APP,
    **more: str,
) -> Answer:
    async def fine(request: Any) -> Any:
        headers = {"Access-Control-Allow-Origin": "*", "Vary": "Cookie"}
        return PlainTextResponse("fine", headers=headers)

    async def raises(request: Any) -> Any:
        raise ValueError("broken")

    app = Starlette(
        routes=[Route("/fine", fine), Route("/raises", raises)],
        middleware=[Middleware(CORSMiddleware, **options)],
    )
    lines = {"origin": origin, **more} if origin is not None else more
    headers = [
        (name.replace("_", "-").encode(), value.encode())
        for name, value in lines.items()
    ]
    return call_asgi(app, http_scope(method, headers, path=path))


def opened(answer: Answer) -> list[str]:
    return answer.values("access-control-allow-origin")


ONE: dict[str, Any] = {
    "allow_origins": [APP],
    "allow_credentials": True,
    "expose_headers": ["X-Total"],
}


def test_any_origin_with_credentials_is_reflected() -> None:
    answer = ask({**ONE, "allow_origins": ["*"]}, origin=EVIL)
    assert opened(answer) == [EVIL]
    assert answer.values("access-control-allow-credentials") == ["true"]


def test_expressions_match_the_whole_origin() -> None:
    options = {"allow_origin_regex": r"https://\w+\.a\.example"}
    preflight = {"method": "OPTIONS", "access_control_request_method": "GET"}
    for origin, found in (
        ("https://app.a.example", ["https://app.a.example"]),
        ("https://app.a.example.evil.example", []),
    ):
        assert opened(ask(options, origin=origin, **preflight)) == found


def test_a_denied_origin() -> None:
    for origin in (EVIL, "https://A.example"):
        answer = ask(ONE, origin=origin)
        # The application's own.
        assert opened(answer) == ["*"]
        assert answer.values("access-control-allow-credentials") == ["true"]
        assert answer.values("access-control-expose-headers") == ["X-Total"]
        assert answer.values("vary") == ["Cookie, Origin"]
    assert ask(ONE, origin=None).values("vary") == ["Cookie, Origin"]


def test_an_origin_with_a_slash_never_matches() -> None:
    options = {**ONE, "allow_origins": [APP + "/"]}
    assert opened(ask(options)) == ["*"]


def test_preflights() -> None:
    asked = {"access_control_request_method": "GET"}
    answer = ask(ONE, "/fine", "OPTIONS", **asked)
    assert answer.status == 200
    assert answer.values("access-control-max-age") == ["600"]
    (headers,) = answer.values("access-control-allow-headers")
    assert "Content-Type" in headers
    answer = ask(ONE, "/fine", "OPTIONS", EVIL, **asked)
    assert answer.status == 400 and b"origin" in answer.body
    post = {"access_control_request_method": "POST"}
    assert ask(ONE, "/fine", "OPTIONS", **post).status == 400
    network = {**asked, "access_control_request_private_network": "true"}
    assert ask(ONE, "/fine", "OPTIONS", **network).status == 400


def test_a_view_that_raises() -> None:
    answer = ask(ONE, "/raises")
    assert answer.status == 500 and opened(answer) == []
