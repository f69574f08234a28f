"""Who is measured, with what, and what has to come out."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import libcors
import libcors.asgi
import libcors.wsgi

METHODS = ["PUT", "DELETE"]
HEADERS = ["Content-Type", "Authorization", "X-Request-Id"]
MAX_AGE = 600
DENIED = "https://shop-x.example.org"
ASKED_METHOD = "PUT"
ASKED_HEADERS = "authorization,content-type,x-request-id"

SIZES = (1, 1000)
KINDS = ("actual", "denied", "preflight")


def nothing() -> None:
    pass


@dataclass
class Contender:
    workload: str
    name: str
    # One request.
    call: Callable[[], object]
    # Raises if the answer is wrong.
    check: Callable[[], None]
    # What has to be set before it is called, after others were.
    prepare: Callable[[], None] = nothing


def origins(size: int) -> list[str]:
    return [f"https://shop-{i:05}.example.org" for i in range(size)]


def policy(size: int) -> libcors.Policy:
    def array(texts: list[str]) -> str:
        return "[" + ", ".join(f'"{text}"' for text in texts) + "]"

    document = f"""
        [policy.bench]
        allow_origins = {array(origins(size))}
        allow_methods = {array(METHODS)}
        allow_headers = {array(HEADERS)}
        max_age = {MAX_AGE}
    """
    return libcors.Policies.parse(document)["bench"]


def origin(kind: str, size: int) -> str:
    """The one in the middle, the mean case of a search from the start."""
    return DENIED if kind == "denied" else origins(size)[size // 2]


def expect(
    workload: str, name: str, kind: str, size: int, headers: dict[str, str]
) -> None:
    """The headers of an answer, by lower-case names."""
    found = {n: v for n, v in headers.items() if n.startswith("access-")}
    allowed = (
        {}
        if kind == "denied"
        else {"access-control-allow-origin": origin(kind, size)}
    )
    right = name == "bare" or allowed.items() <= found.items()
    if kind == "denied" or name == "bare":
        right = not found
    if name == "libcors":
        if kind == "preflight":
            allowed |= {
                "access-control-allow-methods": ", ".join(METHODS),
                "access-control-allow-headers": ", ".join(HEADERS).lower(),
                "access-control-max-age": str(MAX_AGE),
            }
        right = found == allowed and headers["vary"] == "Origin"
    elif kind == "preflight" and name != "bare":
        right = right and "PUT" in found["access-control-allow-methods"]
    if not right:
        raise SystemExit(f"{workload}: {name} answers {headers}")


def decisions() -> Iterator[Contender]:
    for size in SIZES:
        for kind in ("actual", "preflight"):
            decide = policy(size).decide
            value = origin(kind, size)
            more = (ASKED_METHOD, ASKED_HEADERS) if kind == "preflight" else ()
            method = "OPTIONS" if kind == "preflight" else "GET"
            workload = f"decide {kind} {size}"

            def call(
                decide: Any = decide,
                method: str = method,
                value: str = value,
                more: Any = more,
            ) -> None:
                for _name, _value in decide(method, value, *more).headers:
                    pass

            def check(
                decide: Any = decide,
                method: str = method,
                kind: str = kind,
                size: int = size,
                more: Any = more,
                workload: str = workload,
            ) -> None:
                decision = decide(method, origin(kind, size), *more)
                headers = {n.lower(): v for n, v in decision.headers}
                headers["vary"] = decision.merge_vary()
                expect(workload, "libcors", kind, size, headers)

            yield Contender(workload, "libcors", call, check)


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def discard(message: Any) -> None:
    pass


async def asgi_application(scope: Any, receive: Any, send: Any) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"2"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"ok"})


def drive(app: Any, scope: dict[str, Any], send: Any = discard) -> None:
    """Run it without an event loop: nothing here ever waits."""
    try:
        app(scope, receive, send).send(None)
    except StopIteration:
        return
    raise RuntimeError("the application waits for something")


def asgi() -> Iterator[Contender]:
    from starlette.middleware import cors

    for size in SIZES:
        theirs = cors.CORSMiddleware(
            asgi_application,
            allow_origins=origins(size),
            allow_methods=["GET", "HEAD", "POST", *METHODS],
            allow_headers=HEADERS,
            max_age=MAX_AGE,
        )
        ours = libcors.asgi.CORSMiddleware(
            asgi_application, policy=policy(size)
        )
        for kind in KINDS:
            for name, app in (
                ("bare", asgi_application),
                ("libcors", ours),
                ("Starlette", theirs),
            ):
                yield asgi_contender(kind, size, name, app)


def asgi_contender(kind: str, size: int, name: str, app: Any) -> Contender:
    workload = f"asgi {kind} {size}"
    headers = [
        (b"host", b"api.example.com"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
        (b"accept", b"application/json"),
        (b"accept-language", b"en"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"origin", origin(kind, size).encode()),
        (b"connection", b"keep-alive"),
    ]
    if kind == "preflight":
        headers += [
            (b"access-control-request-method", ASKED_METHOD.encode()),
            (b"access-control-request-headers", ASKED_HEADERS.encode()),
        ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "OPTIONS" if kind == "preflight" else "GET",
        "scheme": "https",
        "path": "/items",
        "raw_path": b"/items",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }

    def call() -> None:
        drive(app, scope.copy())

    def check() -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        drive(app, scope.copy(), send)
        answer = {n.decode(): v.decode() for n, v in sent[0]["headers"]}
        expect(workload, name, kind, size, answer)

    return Contender(workload, name, call, check)


def wsgi_contender(
    server: str,
    kind: str,
    size: int,
    name: str,
    app: Any,
    prepare: Callable[[], None] = nothing,
) -> Contender:
    workload = f"{server} {kind} {size}"
    environ = {
        "REQUEST_METHOD": "OPTIONS" if kind == "preflight" else "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/items",
        "QUERY_STRING": "",
        "SERVER_NAME": "api.example.com",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "api.example.com",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
        "HTTP_ACCEPT": "application/json",
        "HTTP_ACCEPT_LANGUAGE": "en",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
        "HTTP_CONNECTION": "keep-alive",
        "HTTP_ORIGIN": origin(kind, size),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if kind == "preflight":
        environ["HTTP_ACCESS_CONTROL_REQUEST_METHOD"] = ASKED_METHOD
        environ["HTTP_ACCESS_CONTROL_REQUEST_HEADERS"] = ASKED_HEADERS

    def discard(data: bytes) -> None:
        pass

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        return discard

    def call(start_response: Any = start_response) -> None:
        body = app(environ.copy(), start_response)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()

    def check() -> None:
        prepare()
        answer: dict[str, str] = {}

        def start_response(
            status: str, headers: Any, exc_info: Any = None
        ) -> Any:
            answer.update((n.lower(), v) for n, v in headers)
            return discard

        call(start_response)
        expect(workload, name, kind, size, answer)

    return Contender(workload, name, call, check, prepare)


def wsgi_application(environ: Any, start_response: Any) -> list[bytes]:
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", "2"),
        ],
    )
    return [b"ok"]


def wsgi() -> Iterator[Contender]:
    """Without a framework, where there is none but ours to measure."""
    for size in SIZES:
        ours = libcors.wsgi.CORSMiddleware(
            wsgi_application, policy=policy(size)
        )
        for kind in KINDS:
            yield wsgi_contender("wsgi", kind, size, "bare", wsgi_application)
            yield wsgi_contender("wsgi", kind, size, "libcors", ours)


def django_wsgi() -> Iterator[Contender]:
    import frameworks

    yield from frameworks.django_wsgi()


def flask_wsgi() -> Iterator[Contender]:
    import frameworks

    yield from frameworks.flask_wsgi()


# Imports of frameworks are late, for valgrind, where they take half a minute.
SERVERS = {
    "decide": decisions,
    "asgi": asgi,
    "wsgi": wsgi,
    "django": django_wsgi,
    "flask": flask_wsgi,
}


def all_of_them(*servers: str) -> list[Contender]:
    """Those of these servers, or of all."""
    logging.disable(logging.CRITICAL)
    makers = [SERVERS[server] for server in servers or SERVERS]
    return [
        contender
        for maker in makers
        for contender in maker()
        # A middleware answers preflights by itself.
        if contender.name != "bare" or " preflight " not in contender.workload
    ]
