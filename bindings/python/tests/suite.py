"""The cases of tests/suite: policies, requests and exact answers, as data.

The form is described in crates/testkit/src/suite.rs. Names are str, values are
bytes, as they are on the wire.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parents[3] / "tests" / "suite"

Line = tuple[str, bytes]

OWNED = (
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-allow-private-network",
)
OWNED_TIMING = "timing-allow-origin"

# The headers of an application that gets CORS wrong.
WRONG: tuple[Line, ...] = (
    ("Access-Control-Allow-Origin", b"*"),
    ("Access-Control-Allow-Origin", b"https://wrong.example"),
    ("access-control-allow-credentials", b"true"),
    ("Access-Control-Allow-Methods", b"WRONG"),
    ("Access-Control-Allow-Headers", b"x-wrong"),
    ("Access-Control-Expose-Headers", b"X-Wrong"),
    ("Access-Control-Max-Age", b"1"),
    ("Access-Control-Allow-Private-Network", b"true"),
    ("Timing-Allow-Origin", b"https://wrong.example"),
    ("X-Application", b"yes"),
    ("Vary", b"Accept-Language"),
)


@dataclass(frozen=True)
class Case:
    file: str
    name: str
    # None where there is no policy at all.
    policy: str | None
    # Whether the policy says upstream_headers = "keep".
    keep: bool
    method: bytes
    # Without the pseudo headers.
    lines: tuple[Line, ...]
    scheme: bytes | None
    protocol: bytes | None
    kind: str
    outcome: str
    reason: str
    rule: int | None
    status: int | None
    enforced: bool
    headers: tuple[Line, ...]
    vary: tuple[str, ...]
    remove: tuple[str, ...]

    def values(self, name: str) -> list[bytes]:
        """The values of a header of the request."""
        return [v for n, v in self.lines if n.lower() == name]


@dataclass(frozen=True)
class File:
    name: str
    # The policies and their defaults, alone; JSON reads the same.
    document: dict[str, Any]
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Response:
    """What cases are about in a response."""

    status: int
    # The lines that are CORS's; those of one name are one, as RFC 9110 has it.
    cors: dict[str, bytes]
    vary: list[str]


@cache
def load() -> tuple[File, ...]:
    """Every file of the suite, in the order of names."""
    files = tuple(
        _file(path.stem, tomllib.loads(path.read_text("utf-8")))
        for path in sorted(FOLDER.glob("*.toml"))
    )
    names = [case.name for file in files for case in file.cases]
    assert len(names) == len(set(names)), "two cases have the same name"
    written = sum(
        path.read_text("utf-8").count("\n[[case]]\n")
        for path in FOLDER.glob("*.toml")
    )
    assert len(names) == written >= 250, f"only {len(names)} of {written}"
    return files


def cases() -> list[Case]:
    return [case for file in load() for case in file.cases]


def expected(case: Case) -> Response:
    """The response of a host with an application that answers WRONG."""
    if case.status is not None:
        return response(case.status, case.headers, list(case.vary))
    lines = [
        (name, value)
        for name, value in WRONG
        if case.keep or name.lower() not in case.remove
    ]
    if not case.keep:
        lines += case.headers
    return response(200, lines, ["Accept-Language", *case.vary])


def seen(status: int, lines: list[Line]) -> Response:
    """What came, in the same form."""
    vary = [value for name, value in lines if name.lower() == "vary"]
    assert len(vary) <= 1, f"several Vary lines: {vary}"
    names = vary[0].decode("ascii").split(",") if vary else []
    return response(status, lines, [name.strip() for name in names])


def response(
    status: int, lines: list[Line] | tuple[Line, ...], vary: list[str]
) -> Response:
    cors: dict[str, bytes] = {}
    for name, value in lines:
        name = name.lower()
        if name in OWNED or name == OWNED_TIMING:
            cors[name] = cors[name] + b"," + value if name in cors else value
    return Response(status, cors, vary)


def verdict(decision: Any) -> tuple[str, str, str, int | None, bool]:
    """What a decision and a case say alike."""
    return (
        decision.kind,
        decision.outcome,
        decision.reason,
        decision.rule,
        decision.enforced,
    )


def _file(name: str, raw: dict[str, Any]) -> File:
    written = raw.pop("case")
    return File(name, raw, tuple(_case(name, raw, case) for case in written))


def _case(file: str, document: dict[str, Any], raw: dict[str, Any]) -> Case:
    raw = dict(raw)
    raw.pop("why", None)
    # Only a browser can tell.
    raw.pop("browser", None)
    method, *texts = raw.pop("request")
    lines = [_line(text) for text in texts]
    pseudo = {name: value for name, value in lines if name.startswith(":")}
    unknown = pseudo.keys() - {":scheme", ":protocol"}
    assert not unknown, unknown
    policy = raw.pop("policy", None)
    keys = {}
    if policy is not None:
        keys = document.get("defaults", {}) | document["policy"][policy]
    enforced = raw.pop("enforced", True)
    case = Case(
        file=file,
        name=raw.pop("name"),
        policy=policy,
        keep=keys.get("upstream_headers") == "keep",
        method=_bytes(method),
        lines=tuple(line for line in lines if not line[0].startswith(":")),
        scheme=pseudo.get(":scheme"),
        protocol=pseudo.get(":protocol"),
        kind=raw.pop("kind"),
        outcome=raw.pop("outcome"),
        reason=raw.pop("reason"),
        rule=raw.pop("rule", None),
        status=raw.pop("status", None),
        enforced=enforced,
        headers=tuple(_line(text) for text in raw.pop("headers", ())),
        vary=tuple(raw.pop("vary", ())),
        remove=tuple(raw.pop("remove", OWNED if enforced else ())),
    )
    assert not raw, f"{case.name}: unknown keys {list(raw)}"
    return case


def _line(text: str) -> Line:
    colon = text.index(":", 1)
    value = text[colon + 1 :].removeprefix(" ")
    value = re.sub(
        r"\{repeat:([^}]*):(\d+)\}",
        lambda match: match[1] * int(match[2]),
        value,
    )
    return text[:colon], _bytes(value)


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")
