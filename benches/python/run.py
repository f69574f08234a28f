"""Measures the Python package: one decision, and both middlewares beside those
of Starlette, Django and Flask.

    python run.py [--rounds N] [--table]
    python run.py --instructions

The contenders take turns in each round, so that what else the machine does
hits all alike. First each one's answers are compared with those expected.

Prints one JSON object a line: workload, contender, ns (the median of the
rounds) and p10_ns (their 10th percentile), for one request. Where there is an
application without any middleware, the contender "bare", also added_ns, what
the middleware adds (the median of the differences within a round), and
error_ns, how far off that may be. Preflights have no "bare", because a
middleware answers them by itself. ratio is how many times as much as ours one
of the others adds, or, for preflights, takes. Where ours cannot be told from
the noise of the application, it is ">28.0", at least so many times, or "?".

--table prints the same for people.
--instructions counts instructions in place of time, with valgrind, but for
Django and Flask.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import repeat
from pathlib import Path
from typing import Any

# Nothing is to be left beside the sources.
sys.dont_write_bytecode = sys.pycache_prefix is None

import contenders  # noqa: E402
from contenders import Contender  # noqa: E402

# A batch is shorter than the time that the kernel gives a process at once.
BATCH_NS = 1_000_000

# What is slow to import is not counted: valgrind makes it fifty times slower.
COUNTED = ("decide", "asgi", "wsgi")

# Loops of callgrind; what the second has more is the work.
FEW, MANY = 100, 600


def measure(contender: Contender, count: int) -> float:
    """Nanoseconds a call, of so many calls in a row.

    Time of the processor, which does not run while others have it.
    """
    call = contender.call
    start = time.thread_time_ns()
    for _ in repeat(None, count):
        call()
    return (time.thread_time_ns() - start) / count


def batch(contender: Contender) -> int:
    """How many calls make a batch."""
    contender.prepare()
    measure(contender, 50)
    return max(1, int(BATCH_NS / measure(contender, 50)))


def run(rounds: int) -> list[dict[str, Any]]:
    field = contenders.all_of_them()
    for contender in field:
        contender.check()
    counts = [batch(contender) for contender in field]
    times: list[list[float]] = [[] for _ in field]
    # What lives anyway is not to be walked over in somebody's batch.
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for contender, count, taken in zip(field, counts, times, strict=True):
            contender.prepare()
            # Its code and data are cold after the others.
            measure(contender, count // 3 + 1)
            taken.append(measure(contender, count))
    taken_by = {
        (contender.workload, contender.name): taken
        for contender, taken in zip(field, times, strict=True)
    }
    rows = [row(*key, taken_by) for key in taken_by]
    ours = {r["workload"]: r for r in rows if r["contender"] == "libcors"}
    for result in rows:
        if result["contender"] not in ("bare", "libcors"):
            result["ratio"] = ratio(result, ours[result["workload"]])
    return rows


def row(
    workload: str, name: str, taken_by: dict[tuple[str, str], list[float]]
) -> dict[str, Any]:
    taken = taken_by[workload, name]
    bare = taken_by.get((workload, "bare"))
    result = {
        "workload": workload,
        "contender": name,
        "ns": round(statistics.median(taken), 1),
        "p10_ns": round(statistics.quantiles(taken, n=10)[0], 1),
    }
    if bare is not None and name != "bare":
        pairs = list(zip(taken, bare, strict=True))
        added = statistics.median(a - b for a, b in pairs)
        spread = statistics.median(abs(a - b - added) for a, b in pairs)
        result["added_ns"] = round(added, 1)
        # Twice the standard error of the median, if noise is normal.
        result["error_ns"] = round(2 * 1.858 * spread / len(pairs) ** 0.5, 1)
    return result


def loop(name: str, count: int) -> None:
    """What callgrind runs: one contender, so many times."""
    for contender in contenders.all_of_them(name.partition(" ")[0]):
        if f"{contender.workload}/{contender.name}" == name:
            contender.check()
            for _ in repeat(None, 50):
                contender.call()
            for _ in repeat(None, count):
                contender.call()
            return
    raise SystemExit(f"no contender {name!r}")


def instructions(contender: Contender, folder: str) -> float:
    """Instructions a call: those of many calls less those of few."""
    out = Path(folder, "out")
    name = f"--loop={contender.workload}/{contender.name}"
    counting = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
    # The order of sets, and compiling, are not to be part of it.
    environment = {
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": ":".join(sys.path),
        "PYTHONPYCACHEPREFIX": folder,
        "PATH": os.environ["PATH"],
    }
    totals = []
    for tool, count in (([], 1), (counting, FEW), (counting, MANY)):
        subprocess.run(
            [*tool, sys.executable, __file__, name, f"--count={count}"],
            check=True,
            stderr=subprocess.DEVNULL if tool else None,
            env=environment,
        )
        if tool:
            summary = re.search(r"^summary: (\d+)", out.read_text(), re.M)
            assert summary is not None, "callgrind gave no summary"
            totals.append(int(summary[1]))
    return (totals[1] - totals[0]) / (MANY - FEW)


def table(rows: list[dict[str, Any]]) -> None:
    print(f"{'workload':<22}{'contender':<20}", end="")
    print(*(f"{word:>9}" for word in ("us", "p10", "added", "+-", "ratio")))
    for row in rows:
        print(f"{row['workload']:<22}{row['contender']:<20}", end="")
        for key in ("ns", "p10_ns", "added_ns", "error_ns"):
            text = f"{row[key] / 1000:.2f}" if key in row else ""
            print(f"{text:>10}", end="")
        print(f"{row.get('ratio', ''):>10}")


def ratio(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """How many times as much theirs costs: what it adds, or all of it."""
    if "added_ns" not in theirs:
        return f"{theirs['ns'] / ours['ns']:.1f}"
    added, error = ours["added_ns"], ours["error_ns"]
    if error < 0.1 * added:
        return f"{theirs['added_ns'] / added:.1f}"
    # Ours cannot be told from the noise of the application: at least so much.
    least = theirs["added_ns"] - theirs["error_ns"]
    return f">{least / (max(added, 0) + error):.1f}" if least > 0 else "?"


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Benches of libcors in Python"
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loop:
        loop(arguments.loop, arguments.count)
    elif arguments.instructions:
        with tempfile.TemporaryDirectory() as folder:
            for contender in contenders.all_of_them(*COUNTED):
                # The number of origins makes no difference to ours.
                if not contender.workload.endswith(" 1"):
                    continue
                counted = {
                    "workload": contender.workload,
                    "contender": contender.name,
                    "instructions": round(instructions(contender, folder)),
                }
                print(json.dumps(counted), flush=True)
    else:
        rows = run(arguments.rounds)
        if arguments.table:
            table(rows)
        else:
            for result in rows:
                print(json.dumps(result))


if __name__ == "__main__":
    main()
