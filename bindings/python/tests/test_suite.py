"""Every case of tests/suite through the package."""

from __future__ import annotations

import json
import warnings
from functools import cache
from typing import Any

import pytest
import suite

import libcors


@cache
def policies(file: str) -> libcors.Policies:
    (document,) = (f.document for f in suite.load() if f.name == file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", libcors.PolicyWarning)
        return libcors.Policies.parse(json.dumps(document), file, "json")


def policy_of(case: suite.Case) -> libcors.Policy:
    if case.policy is None:
        return libcors.NO_POLICY
    return policies(case.file)[case.policy]


def decide(case: suite.Case, text: Any = bytes) -> libcors.Decision:
    """Decides a case whose values are given as bytes, or decoded."""

    def one(value: bytes | None) -> Any:
        return None if value is None else text(value)

    def lines(name: str) -> list[Any]:
        return [text(value) for value in case.values(name)]

    def first(name: str) -> Any:
        return next(iter(lines(name)), None)

    return policy_of(case).decide(
        text(case.method),
        lines("origin"),
        lines("access-control-request-method"),
        lines("access-control-request-headers"),
        request_private_network=lines(
            "access-control-request-private-network"
        ),
        upgrade=lines("upgrade"),
        protocol=one(case.protocol),
        scheme=one(case.scheme),
        host=first("host"),
        sec_fetch_site=first("sec-fetch-site"),
    )


def answer(decision: libcors.Decision) -> dict[str, Any]:
    return {
        "kind": decision.kind,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "rule": decision.rule,
        "status": decision.status,
        "enforced": decision.enforced,
        "headers": tuple(
            (name, value.encode("latin-1")) for name, value in decision.headers
        ),
        "vary": decision.vary,
        "remove": decision.remove,
    }


@pytest.mark.parametrize("case", suite.cases(), ids=lambda case: case.name)
def test_case(case: suite.Case) -> None:
    expected = {
        "kind": case.kind,
        "outcome": case.outcome,
        "reason": case.reason,
        "rule": case.rule,
        "status": case.status,
        "enforced": case.enforced,
        "headers": case.headers,
        "vary": case.vary,
        "remove": case.remove,
    }
    decision = decide(case)
    assert answer(decision) == expected
    assert answer(decide(case, lambda value: value.decode("latin-1"))) == (
        expected
    )

    assert decision.upstream == ("keep" if case.keep else "replace")
    assert decision.headers_bytes == tuple(
        (name.lower().encode("ascii"), value) for name, value in case.headers
    )
    assert decision.merge_vary() == ", ".join(case.vary)
    for name in (*suite.OWNED, suite.OWNED_TIMING, "vary", "x-other"):
        assert decision.owns(name.title()) == (name in case.remove)


@pytest.mark.parametrize("case", suite.cases(), ids=lambda case: case.name)
def test_scope_and_environ(case: suite.Case) -> None:
    """What hosts hand over gives the same answer as the plain arguments."""
    expected = answer(decide(case))
    policy = policy_of(case)
    scope: dict[str, Any] = {
        "type": "http",
        "method": case.method.decode("latin-1"),
        "headers": [
            (name.lower().encode("ascii"), value) for name, value in case.lines
        ],
    }
    if case.scheme is not None:
        scope["scheme"] = case.scheme.decode("latin-1")
    if case.protocol is not None:
        if case.protocol != b"websocket":
            # No scope can say this.
            return
        scope["type"] = "websocket"
    assert answer(policy.decide_asgi(scope)) == expected

    environ: dict[str, Any] = {"REQUEST_METHOD": scope["method"]}
    if "scheme" in scope:
        environ["wsgi.url_scheme"] = scope["scheme"]
    for name, value in case.lines:
        key = "HTTP_" + name.upper().replace("-", "_")
        if key in environ:
            # An environment has one value, so servers join lines. That may
            # well be another request.
            return
        environ[key] = value.decode("latin-1")
    if case.protocol is None:
        assert answer(policy.decide_wsgi(environ)) == expected


def test_all_cases_are_there() -> None:
    """suite.load() has counted them in the text of the files."""
    files = {path.stem for path in suite.FOLDER.glob("*.toml")}
    assert files == {file.name for file in suite.load()}
    assert len(files) >= 30
    assert len(suite.cases()) >= 250
