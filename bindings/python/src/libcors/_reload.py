"""The policies of a file that may change while the program runs."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TypeAlias

from ._document import Diagnostic, Policies, PolicyError, compile_document

logger = logging.getLogger("libcors")

Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# A file that is younger than this may change again without its time of change
# telling: file systems count in ticks of up to two seconds.
_SETTLED_AFTER_NS = 2_500_000_000

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING}


class WatchedFile:
    """The policies of a file, which is looked at again as requests come.

    There is no thread of its own that a fork would lose, and nothing that an
    event loop must wait for but one stat() an interval.
    """

    policies: Policies
    """Those of the last good state of the file. It changes as a whole."""

    def __init__(
        self, path: Path, interval: float, needed: str | None
    ) -> None:
        """needed is a policy that each state of the file must have."""
        self._source = os.fsdecode(path)
        # The program may change its folder later.
        self._path = os.path.abspath(self._source)
        self._interval = interval
        self._needed = needed
        self._read()
        self.policies = Policies.parse(self._text, self._source)
        self._problem = ""
        self._next = time.monotonic() + interval
        self._lock = threading.Lock()
        self._process = os.getpid()

    def refresh(self) -> None:
        """Look at the file, if it is time to. Never raises."""
        if time.monotonic() < self._next:
            return
        if self._process != os.getpid():
            # A thread that the fork left behind may have held the lock.
            self._process = os.getpid()
            self._lock = threading.Lock()
        lock = self._lock
        # Others go on with what there is.
        if lock.acquire(blocking=False):
            try:
                self._look()
            except Exception:
                logger.exception(
                    "%s: cannot be reloaded; its policies stay as they were",
                    self._source,
                )
            finally:
                self._next = time.monotonic() + self._interval
                lock.release()

    def _read(self) -> None:
        with open(self._path, "rb") as file:
            status = os.fstat(file.fileno())
            self._text = file.read()
        self._state = _state(status)
        self._settled = time.time_ns() - status.st_mtime_ns > _SETTLED_AFTER_NS

    def _look(self) -> None:
        before = self._text
        try:
            state = _state(os.stat(self._path))
            if state == self._state and self._settled and not self._problem:
                return
            self._read()
        except OSError as error:
            # The text may come back as it was.
            if self._problem != str(error):
                self._problem = str(error)
                logger.error(
                    "%s: cannot be read, and its policies stay as they were: "
                    "%s",
                    self._source,
                    error,
                )
            return
        if self._problem:
            self._problem = ""
            logger.info("%s: can be read again", self._source)
        if self._text != before:
            self._compile()

    def _compile(self) -> None:
        try:
            policies, found = compile_document(self._text, self._source)
        except PolicyError as error:
            logger.error(
                "%s: changed and has errors; its policies stay as they were",
                self._source,
            )
            _log(error.diagnostics)
            return
        if self._needed is not None and self._needed not in policies:
            logger.error(
                "%s: changed and has no policy %r any more, but %s; "
                "its policies stay as they were",
                self._source,
                self._needed,
                ", ".join(map(repr, policies)),
            )
            return
        self.policies = policies
        count = len(policies)
        logger.info(
            "%s: reloaded, %s",
            self._source,
            "1 policy" if count == 1 else f"{count} policies",
        )
        _log(found)


def _state(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_mtime_ns,
        status.st_size,
        status.st_ino,
        status.st_dev,
        status.st_ctime_ns,
    )


def _log(diagnostics: tuple[Diagnostic, ...]) -> None:
    level = logging.ERROR
    for diagnostic in diagnostics:
        # A note belongs to what stands before it.
        level = _LEVELS.get(diagnostic.severity, level)
        logger.log(level, "%s", diagnostic)
