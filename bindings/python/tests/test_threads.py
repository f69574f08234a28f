"""One policy in many threads, and memory that is given back."""

from __future__ import annotations

import gc
import os
import subprocess
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


INTERPRETERS = """
import sys, threading

if sys.version_info >= (3, 13):
    import _interpreters as interpreters

    def create(own_gil):
        return interpreters.create("isolated" if own_gil else "legacy")

    def run(interpreter, code):
        error = interpreters.exec(interpreter, code)
        assert error is None, error
else:
    import _xxsubinterpreters as interpreters

    def create(own_gil):
        # Before 3.12 all of them share one.
        return interpreters.create(isolated=own_gil)

    run = interpreters.run_string

WORK = '''
import sys
sys.path[:] = {path!r}
import libcors
policies = libcors.Policies.parse({document!r})
for number in range(1000):
    origin = "https://a%d.example.org" % number
    decision = policies["api"].decide("GET", origin)
    assert decision.reason == "allowed"
    assert decision.headers[0] == ("Access-Control-Allow-Origin", origin)
try:
    libcors.Policies.parse("x = 1")
except libcors.PolicyError:
    pass
else:
    raise AssertionError
'''

for own_gil in (True, False):
    some = [create(own_gil) for _ in range(3)]
    done = []

    def work(interpreter):
        run(interpreter, WORK.format(path=sys.path, document=DOCUMENT))
        done.append(interpreter)

    threads = [threading.Thread(target=work, args=[i]) for i in some]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == len(some)
    for interpreter in some:
        interpreters.destroy(interpreter)
"""


def test_interpreters_with_a_gil_of_their_own() -> None:
    code = f"DOCUMENT = {DOCUMENT!r}\n{INTERPRETERS}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


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
