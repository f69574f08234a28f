"""The example that calls the shared library without the package.

CORS_SO names the library; `cargo xtask python` sets it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "python" / "ffi.py"
POLICIES = "examples/policies/quickstart.toml"

WAYS = pytest.mark.parametrize("way", ["ctypes", "cffi"])


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    library = os.environ.get("CORS_SO")
    assert library, "CORS_SO must name libcors.so; run `cargo xtask python`"
    return subprocess.run(
        [sys.executable, EXAMPLE, *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "LIBCORS": library,
            "LIBCORS_H": str(ROOT / "include" / "cors.h"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@WAYS
def test_decisions(way: str) -> None:
    result = run(way, POLICIES, "api", "GET", "https://app.example.com")
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "allowed",
        "Access-Control-Allow-Origin: https://app.example.com",
        "Access-Control-Allow-Credentials: true",
        "Access-Control-Expose-Headers: x-request-id, x-total-count",
        "Vary: Origin",
    ]
    result = run(way, POLICIES, "api", "GET")
    assert result.stdout == "not_cors\nVary: Origin\n"
    result = run(way, POLICIES, "none", "GET", "https://app.example.com")
    assert result.stdout == "no_policy\nVary: Origin\n"


@WAYS
def test_documents_with_errors(way: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("x = 1\n")
    result = run(way, str(path), "api", "GET")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"{path}:1:1: unknown key `x`")
    result = run(way, str(tmp_path / "none.toml"), "api", "GET")
    assert result.returncode == 1
    assert "No such file" in result.stderr


def test_usage() -> None:
    assert run("pyo3", POLICIES, "api", "GET").returncode == 2
    assert "usage:" in run().stderr
