"""A policy file that changes while the middleware is in use."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from hosts import call_asgi, call_wsgi, environ, http_scope

import libcors
import libcors.asgi
import libcors.wsgi
from libcors import _reload

ONE = "https://one.example"
TWO = "https://two.example"

# An age at which a file counts as settled.
OLD = 10.0


def text(origin: str, more: str = "") -> str:
    return f'[policy.api]\nallow_origins = ["{origin}"]\n{more}'


def write(path: Path, text: str, age: float = 0.0) -> None:
    """Replace a file as a whole, as one should."""
    new = path.with_suffix(".new")
    new.write_text(text)
    then = time.time() - age
    os.utime(new, (then, then))
    new.rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cors.toml"
    write(path, text(ONE), OLD)
    return path


def nothing(env: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


class Site:
    """An application under a file that is looked at for each request."""

    def __init__(self, path: Any, policy: Any = "api", **options: Any) -> None:
        options = {"reload": True, "interval": 0} | options
        self.app = libcors.wsgi.CORSMiddleware(
            nothing, path, policy, **options
        )

    def opened(self, origin: str) -> bool:
        answer = call_wsgi(self.app, environ(HTTP_ORIGIN=origin))
        return answer.values("access-control-allow-origin") == [origin]

    def is_open_to(self, *origins: str) -> bool:
        return [o for o in (ONE, TWO) if self.opened(o)] == list(origins)


class Log:
    """What was logged since the last look, but for denied requests."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "libcors")
        self._caplog = caplog

    def take(self) -> list[str]:
        lines = [
            f"{record.levelname} {record.getMessage()}"
            for record in self._caplog.records
            if not record.getMessage().startswith("denied")
        ]
        self._caplog.clear()
        return lines


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


def test_a_change_is_seen_by_the_next_request(path: Path, log: Log) -> None:
    site = Site(path)
    assert site.is_open_to(ONE)
    assert log.take() == []
    write(path, text(TWO))
    assert site.is_open_to(TWO)
    assert log.take() == [f"INFO {path}: reloaded, 1 policy"]


def test_the_same_in_asgi(path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    site = libcors.asgi.CORSMiddleware(
        app, path, "api", reload=True, interval=0
    )

    def values(origin: str) -> list[str]:
        scope = http_scope(headers=[(b"origin", origin.encode())])
        return call_asgi(site, scope).values("access-control-allow-origin")

    assert values(ONE) == [ONE]
    write(path, text(TWO))
    assert values(TWO) == [TWO]
    assert values(ONE) == []


def test_without_reload_nothing_changes(path: Path) -> None:
    site = Site(path, reload=False)
    write(path, text(TWO))
    assert site.is_open_to(ONE)


def test_errors_keep_the_old_policies_and_are_logged_once(
    path: Path, log: Log
) -> None:
    site = Site(path)
    write(path, text(TWO + "/", 'allow_methods = ["TRACE"]\n'), OLD)
    for _ in range(3):
        assert site.is_open_to(ONE)
    first, *rest = log.take()
    assert first == (
        f"ERROR {path}: changed and has errors; its policies stay as they were"
    )
    assert [line.split(": ")[0] for line in rest] == [
        f"ERROR {path}:2:38",
        f"ERROR {path}:3:18",
    ]
    assert "https://two.example/" in rest[0] and "TRACE" in rest[1]
    # Another change, which is no better.
    write(path, "", OLD)
    assert site.is_open_to(ONE)
    assert len(log.take()) == 2
    # And back to what it was.
    write(path, text(TWO))
    assert site.is_open_to(TWO)
    assert log.take() == [f"INFO {path}: reloaded, 1 policy"]


def test_warnings_are_logged_and_not_warned_of(path: Path, log: Log) -> None:
    site = Site(path)
    twice = text(ONE, 'allow_methods = ["PUT", "PUT"]\n')
    write(path, twice)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert site.is_open_to(ONE)
    first, *rest = log.take()
    assert first == f"INFO {path}: reloaded, 1 policy"
    assert [line.split(": ")[0] for line in rest] == [
        f"WARNING {path}:3:25",
        # The other place, which the warning is about.
        f"WARNING {path}:3:18",
    ]
    # When it is read first, warnings are those of the caller.
    with pytest.warns(libcors.PolicyWarning) as caught:
        Site(path)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_policy_that_is_needed_may_not_go(path: Path, log: Log) -> None:
    site = Site(path)
    write(path, text(TWO).replace("api", "app"), OLD)
    assert site.is_open_to(ONE)
    assert site.is_open_to(ONE)
    assert log.take() == [
        f"ERROR {path}: changed and has no policy 'api' any more, but 'app'; "
        "its policies stay as they were"
    ]


def test_a_policy_that_is_selected_may_go(path: Path, log: Log) -> None:
    site = Site(path, lambda env: "api")
    assert site.is_open_to(ONE)
    write(path, text(TWO).replace("api", "app"))
    assert site.is_open_to()
    assert log.take() == [
        f"INFO {path}: reloaded, 1 policy",
        f"ERROR CORS: unknown policy 'api', denying cross-origin requests; "
        f"{path} defines 'app'",
    ]


def test_a_file_that_goes_and_comes_back(path: Path, log: Log) -> None:
    site = Site(path)
    path.rename(path.with_suffix(".old"))
    for _ in range(3):
        assert site.is_open_to(ONE)
    (line,) = log.take()
    assert line.startswith(
        f"ERROR {path}: cannot be read, and its policies stay as they were: "
    )
    assert "No such file" in line
    path.with_suffix(".old").rename(path)
    assert site.is_open_to(ONE)
    assert log.take() == [f"INFO {path}: can be read again"]
    path.unlink()
    assert site.is_open_to(ONE)
    write(path, text(TWO))
    assert site.is_open_to(TWO)
    assert log.take()[1:] == [
        f"INFO {path}: can be read again",
        f"INFO {path}: reloaded, 1 policy",
    ]


def test_a_folder_that_goes_and_comes_back(tmp_path: Path, log: Log) -> None:
    """The file is the same then, to the last of its times."""
    folder, away = tmp_path / "etc", tmp_path / "away"
    folder.mkdir()
    path = folder / "cors.toml"
    write(path, text(ONE), OLD)
    site = Site(path)
    folder.rename(away)
    assert site.is_open_to(ONE)
    away.rename(folder)
    assert site.is_open_to(ONE)
    assert log.take()[1:] == [f"INFO {path}: can be read again"]


def test_a_touch_is_no_change(path: Path, log: Log) -> None:
    site = Site(path)
    os.utime(path)
    assert site.is_open_to(ONE)
    assert log.take() == []


def test_two_changes_within_one_tick_of_the_clock(path: Path) -> None:
    """The second has the size, the inode and the times of the first."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))
    site = Site(path)
    watched = site.app._choose._watched  # type: ignore[union-attr]
    assert site.is_open_to(ONE)
    path.write_text(text(TWO))
    os.utime(path, ns=(now, now))
    # As if nothing but the text had changed.
    watched._state = _reload._state(path.stat())
    assert site.is_open_to(TWO)


def test_a_settled_file_is_not_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(path)
    monkeypatch.setattr(
        _reload.WatchedFile, "_read", lambda self: pytest.fail("read")
    )
    assert site.is_open_to(ONE)


def test_the_file_is_left_alone_within_the_interval(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    site = Site(path, interval=5)
    write(path, text(TWO))
    now += 4.9
    assert site.is_open_to(ONE)
    now += 0.2
    assert site.is_open_to(TWO)
    write(path, text(ONE))
    now += 4.9
    assert site.is_open_to(TWO)
    now += 0.2
    assert site.is_open_to(ONE)


def test_the_folder_may_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    site = Site("cors.toml")
    monkeypatch.chdir("/")
    write(path, text(TWO))
    assert site.is_open_to(TWO)


def test_a_symbolic_link_that_is_swapped(tmp_path: Path) -> None:
    """As Kubernetes does with a ConfigMap."""
    for name, origin in (("a", ONE), ("b", TWO)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "cors.toml", text(origin), OLD)
    link = tmp_path / "data"
    link.symlink_to("a")
    site = Site(link / "cors.toml")
    assert site.is_open_to(ONE)
    (tmp_path / "new").symlink_to("b")
    (tmp_path / "new").rename(link)
    assert site.is_open_to(TWO)


def test_what_nobody_expects_is_logged_and_harmless(
    path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(path)
    write(path, text(TWO))

    def broken(*arguments: Any) -> Any:
        raise MemoryError("none left")

    with monkeypatch.context() as context:
        context.setattr(_reload, "compile_document", broken)
        assert site.opened(ONE)
    assert log.take()[0] == (
        f"ERROR {path}: cannot be reloaded; its policies stay as they were"
    )


def test_a_fork_while_another_thread_looks(path: Path) -> None:
    site = Site(path)
    watched = site.app._choose._watched  # type: ignore[union-attr]
    write(path, text(TWO))
    with watched._lock:
        assert site.is_open_to(ONE)
        child = os.fork()
        if child == 0:
            # Nobody is left to release the lock.
            os._exit(0 if site.is_open_to(TWO) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_no_answer_mixes_two_policies(path: Path) -> None:
    """Each policy has a method of its own, and both know both origins."""
    names = ("PUT", "PATCH")

    def version(i: int) -> str:
        return (
            f'[policy.api]\nallow_origins = ["{ONE}", "{TWO}"]\n'
            f'allow_methods = ["{names[i]}"]\nmax_age = {100 + i}\n'
        )

    write(path, version(0))
    site = Site(path)
    asked = {
        "HTTP_ORIGIN": ONE,
        "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "DELETE",
    }
    seen: set[tuple[str, ...]] = set()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = call_wsgi(site.app, environ("OPTIONS", **asked))
            values = answer.values("access-control-allow-methods")
            seen.add((*values, *answer.values("access-control-max-age")))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(40):
        write(path, version(i % 2))
        time.sleep(0.002)
    stop.set()
    for thread in threads:
        thread.join()
    assert seen == {("PUT", "100"), ("PATCH", "101")}
