"""Every case of the suite through the WSGI middleware, around an application
that gets CORS wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

import suite
from hosts import call_wsgi, environ, policies_of_the_suite, policy_name

from libcors.wsgi import CORSMiddleware

HEADERS = [(name, value.decode()) for name, value in suite.WRONG]

# What counts lines, or the bytes between them, cannot tell joined ones.
NEEDS_LINES = {
    "echo-lines-without-names",
    "echo-eight-lines-and-empty-ones",
    "echo-nine-lines",
    "limit-bytes-on-two-lines",
}


def wrong(env: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", list(HEADERS))
    return [b"ok"]


def as_environ(case: suite.Case) -> dict[str, Any]:
    """As servers do it: the lines of one name are joined."""
    lines: dict[str, str] = {}
    for name, value in case.lines:
        key = "HTTP_" + name.upper().replace("-", "_")
        text = value.decode("latin-1")
        lines[key] = f"{lines[key]},{text}" if key in lines else text
    scheme = b"http" if case.scheme is None else case.scheme
    method = case.method.decode("latin-1")
    more = {"wsgi.url_scheme": scheme.decode("latin-1")}
    return environ(method, **lines, **more)


def test_every_case() -> None:
    current = [""]
    app = CORSMiddleware(
        wrong, policies_of_the_suite(), lambda env: current[0]
    )
    failures: list[Any] = []
    left_out: Counter[str] = Counter()
    for case in suite.cases():
        if case.protocol is not None:
            left_out["environ has no :protocol"] += 1
            continue
        if case.name in NEEDS_LINES:
            left_out["environ has one line of each name"] += 1
            continue
        current[0] = policy_name(case)
        env = as_environ(case)
        answer = call_wsgi(app, env)
        assert answer.error is None, (case.name, answer.error)
        pairs = [
            (
                suite.verdict(case),
                suite.verdict(env["libcors.decision"]),
            ),
            (suite.expected(case), answer.seen()),
        ]
        failures += [
            (case.name, *pair) for pair in pairs if pair[0] != pair[1]
        ]
    assert failures == []
    assert left_out == {
        "environ has no :protocol": 31,
        "environ has one line of each name": 4,
    }
