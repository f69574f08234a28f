"""One policy in many threads, and memory that is given back."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import libcors

DOCUMENT = """
[policy.api]
allow_origins = ["https://app.example.com", "https://*.example.org"]
allow_methods = ["*"]
allow_headers = ["*"]
allow_credentials = true
"""

THREADS = 8


def in_threads(work: Callable[[int], object]) -> None:
    """Runs it in several threads, which start at the same time."""
    barrier = threading.Barrier(THREADS)

    def run(number: int) -> None:
        barrier.wait()
        work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(run, i) for i in range(THREADS)]:
            future.result()


def test_one_policy_in_many_threads() -> None:
    # New ones, again and again: what a policy makes at its first decision is
    # what threads could make twice.
    for _ in range(200):
        policy = libcors.Policies.parse(DOCUMENT)["api"]

        def work(number: int, policy: libcors.Policy = policy) -> None:
            for i in range(50):
                origin = f"https://a{number}-{i}.example.org"
                decision = policy.decide(
                    "OPTIONS", origin, f"M{i}", [f"x-{number}", f"x-{i}"]
                )
                assert decision.headers == (
                    ("Access-Control-Allow-Origin", origin),
                    ("Access-Control-Allow-Credentials", "true"),
                    ("Access-Control-Allow-Methods", f"M{i}"),
                    ("Access-Control-Allow-Headers", f"x-{number}"),
                    ("Access-Control-Allow-Headers", f"x-{i}"),
                )

        in_threads(work)


def test_one_decision_in_many_threads() -> None:
    policy = libcors.Policies.parse(DOCUMENT)["api"]
    decision = policy.decide("GET", "https://app.example.com")
    first = decision.headers_bytes

    def work(number: int) -> None:
        for _ in range(2_000):
            assert decision.headers_bytes == first
            assert decision.apply_asgi([(b"vary", b"a")])[-1] == (
                b"vary",
                b"a, Origin",
            )

    in_threads(work)


def test_objects_are_given_back_in_other_threads() -> None:
    lists: list[list[libcors.Decision]] = [[] for _ in range(THREADS)]

    def make(number: int) -> None:
        for _ in range(20):
            policy = libcors.Policies.parse(DOCUMENT)["api"]
            for _ in range(20):
                decision = policy.decide("GET", "https://a.example.org")
                lists[number].append(decision)

    in_threads(make)
    in_threads(lambda number: lists[(number + 1) % THREADS].clear())
    gc.collect()


def test_requests_that_change_in_another_thread() -> None:
    policy = libcors.Policies.parse(DOCUMENT)["api"]
    headers: list[tuple[bytes, bytes]] = []
    scope = {"type": "http", "method": "GET", "headers": headers}
    environ: dict[str, object] = {"REQUEST_METHOD": "GET"}

    def work(number: int) -> None:
        origin = "https://" + "a" * 50 + f"{number}.example.org"
        for i in range(2_000):
            if number % 2:
                headers[:] = [
                    (b"x" * 20, b"y" * i),
                    (b"origin", origin.encode()),
                ]
                environ["HTTP_ORIGIN"] = origin + str(i)[:0]
            else:
                decision = policy.decide_asgi(scope)
                assert decision.outcome in ("allow", "none")
                decision = policy.decide_wsgi(environ)
                assert decision.outcome in ("allow", "none")

    in_threads(work)


@pytest.mark.skipif(
    not hasattr(sys, "_is_gil_enabled"), reason="before Python 3.13"
)
def test_the_lock_stays_off() -> None:
    """Importing the package does not switch the GIL on again."""
    import sysconfig

    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert sys._is_gil_enabled() == (not free)  # type: ignore[attr-defined, unused-ignore]


def test_fork() -> None:
    policy = libcors.Policies.parse(DOCUMENT)["api"]
    child = os.fork()
    if child == 0:
        decision = policy.decide("GET", "https://app.example.com")
        os._exit(0 if decision.outcome == "allow" else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert policy.decide("GET", "https://app.example.com").rule == 0


def test_no_leak() -> None:
    """A short form of tests/leaks.py, which says what is done."""
    sys.path.insert(0, str(Path(__file__).parent))
    import leaks

    report = leaks.run(decisions=100_000, loads=300)
    assert report.grown_by <= 512 * 1024, report
    assert report.blocks <= 100, report
