"""Whether decisions and loads give all memory back.

    python tests/leaks.py [DECISIONS [LOADS]]

Decides of all kinds, and loads good and bad documents; then does the same
again, so often, and looks at the resident memory of the process, and at the
blocks that Python has allocated. Both must stay as they are.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcors

DOCUMENT = """
[policy.api]
allow_origins = [
    "https://app.example.com",
    "https://*.example.org",
    { regex = 'https://(a|b)\\.example\\.net' },
]
allow_methods = ["*"]
allow_headers = ["*"]
expose_headers = ["X-A"]
allow_credentials = true
max_age = 7201
"""

SCOPE = {
    "type": "http",
    "method": "GET",
    "scheme": "https",
    "headers": [
        (b"host", b"api.example.com"),
        (b"origin", b"https://x.example.org"),
        [b"upgrade", b"h2c"],
        (b"upgrade", b"websocket"),
    ],
}
ENVIRON = {"REQUEST_METHOD": "GET", "HTTP_ORIGIN": "https://app.example.com"}
RESPONSE = [
    ("Content-Type", "text/plain"),
    ("Vary", "Accept"),
    ("Access-Control-Allow-Origin", "*"),
    ("Vary", "\xe9"),
]


def good(policy: libcors.Policy, origin: str) -> None:
    decision = policy.decide("GET", origin)
    for _name, _value in decision.headers:
        pass


def preflight(policy: libcors.Policy, origin: str) -> None:
    decision = policy.decide("OPTIONS", origin, b"M", ["x-a", "x-b"])
    assert decision.headers_bytes and decision.vary and decision.remove


def text(policy: libcors.Policy, origin: str) -> None:
    policy.decide("\xe9", origin + "\u4e00", "\ud800", ["\xe9", "\ud800"])
    policy.explain("GET", origin)
    repr(policy.decide("GET"))


def wrong(policy: libcors.Policy, origin: str) -> None:
    mistakes: list[dict[str, Any]] = [
        {"origin": [origin, 7]},
        {"x": 1},
        {"host": []},
    ]
    for arguments in mistakes:
        with contextlib.suppress(TypeError):
            policy.decide("GET", **arguments)
    with contextlib.suppress(ValueError):
        policy.decide_asgi({"headers": [[b"origin"]]})


def hosts(policy: libcors.Policy, origin: str) -> None:
    decision = policy.decide_asgi(SCOPE)
    decision.apply_asgi([(b"vary", b"Accept"), (b"x", b"y")])
    decision.apply_wsgi(RESPONSE)
    decision = policy.decide_wsgi(ENVIRON)
    decision.apply_wsgi(RESPONSE)
    decision.merge_vary(["Accept", b"\xff"])
    with contextlib.suppress(TypeError):
        decision.apply_asgi([(b"vary", 7)])  # type: ignore[list-item]


WORK: list[Callable[[libcors.Policy, str], None]] = [
    good,
    preflight,
    text,
    wrong,
    hosts,
]


def load(number: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        policies = libcors.Policies.parse(DOCUMENT)
    preflight(policies["api"], "https://app.example.com")
    with contextlib.suppress(libcors.PolicyError):
        libcors.Policies.parse(DOCUMENT + f"x = {number}")


@dataclass(frozen=True)
class Report:
    decisions: int
    loads: int
    seconds: float
    grown_by: int
    """Bytes of resident memory."""
    blocks: int
    """Blocks of Python's allocator."""


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def run(decisions: int, loads: int) -> Report:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        policy = libcors.Policies.parse(DOCUMENT)["api"]

    def work(decisions: int, loads: int) -> None:
        for _ in range(decisions // 100):
            # Most requests are usual ones.
            for _ in range(91):
                good(policy, "https://app.example.com")
            for kind in WORK:
                kind(policy, "https://x.example.org")
        for number in range(loads):
            load(number)

    work(max(decisions // 10, 20_000), max(loads // 10, 100))
    gc.collect()
    before = resident(), sys.getallocatedblocks()
    start = time.perf_counter()
    work(decisions, loads)
    seconds = time.perf_counter() - start
    gc.collect()
    return Report(
        decisions,
        loads,
        round(seconds, 1),
        resident() - before[0],
        sys.getallocatedblocks() - before[1],
    )


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    report = run(*given, *(10_000_000, 10_000)[len(given) :])
    print(report)
    sys.exit(report.grown_by > 1024 * 1024 or report.blocks > 1_000)
