"""What the middlewares have in common: the policy of a request, log lines."""

from __future__ import annotations

import inspect
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from ._core import NO_POLICY, Decision, Policy
from ._document import Policies
from ._reload import Path, WatchedFile

logger = logging.getLogger("libcors")

Request = TypeVar("Request")

# The policies, or the path of their file.
Source: TypeAlias = Policies | Path

OFF = "off"

# Longer ones are cut in log lines.
_MOST_LOGGED = 200

# A cause is logged once in so many seconds. Clients may choose the names, so
# there is a limit to how many are logged in that time.
_LOG_INTERVAL = 60.0
_MOST_CAUSES = 20


class Choice(Generic[Request]):
    """Which policy a request gets.

    Where that never changes, it is `fixed`, and `choose` is None. Both are
    None where no request gets one.
    """

    fixed: Policy | None = None
    choose: Callable[[Request], Policy | None] | None = None

    def __init__(
        self,
        policies: Source | None,
        policy: str | Policy | Callable[[Request], str | None] | None,
        reload: bool,
        interval: float,
    ) -> None:
        if isinstance(policy, Policy):
            if policies is not None:
                raise TypeError(
                    "policies must be left out where policy is a Policy"
                )
            if reload:
                raise TypeError(_RELOAD)
            self.fixed = policy
            return

        name = policy if isinstance(policy, str) and policy != OFF else None
        document, watched = _load(policies, name, reload, interval)
        if name is not None:
            self.fixed = document[name]
            if watched is not None:
                self.fixed = None
                self.choose = _Named(watched, name)
        elif callable(policy):
            if _is_coroutine_function(policy):
                raise TypeError(
                    "policy must be a plain function, not a coroutine function"
                )
            self.choose = _Selected(watched, document, policy)
        elif policy != OFF:
            given = "missing"
            if policy is not None:
                given = f"of type {type(policy).__name__}"
            raise TypeError(
                f"policy is {given}: it must be the name of a policy "
                f"({', '.join(map(repr, document))}), 'off', a Policy, or a "
                "function that returns a name"
            )


_RELOAD = "reload=True needs policies to be the path of a file"


def _load(
    policies: Source | None, needed: str | None, reload: bool, interval: float
) -> tuple[Policies, WatchedFile | None]:
    if policies is None:
        raise TypeError(
            "policies is missing: the path of a policy file, or Policies "
            "(in Django, wrap the application in wsgi.py or asgi.py: this is "
            "not an entry of MIDDLEWARE)"
        )
    if isinstance(policies, Policies):
        if reload:
            raise TypeError(_RELOAD)
        return policies, None
    if not isinstance(policies, (str, bytes, os.PathLike)):
        raise TypeError(
            "policies must be a path or Policies, not "
            f"{type(policies).__name__}"
        )
    if not reload:
        return Policies.load(policies), None
    if not interval >= 0:
        raise ValueError(f"interval must be 0 or more, not {interval}")
    watched = WatchedFile(policies, interval, needed)
    return watched.policies, watched


def _is_coroutine_function(function: Callable[..., object]) -> bool:
    # Of an object that can be called, its class has the function.
    return inspect.iscoroutinefunction(
        function
    ) or inspect.iscoroutinefunction(type(function).__call__)


class _Named:
    """The policy of one name, in a file that may change."""

    def __init__(self, watched: WatchedFile, name: str) -> None:
        self._watched = watched
        self._name = name

    def __call__(self, request: object) -> Policy | None:
        self._watched.refresh()
        return self._watched.policies[self._name]


class _Selected(Generic[Request]):
    """The policy whose name a function returns."""

    def __init__(
        self,
        watched: WatchedFile | None,
        policies: Policies,
        select: Callable[[Request], str | None],
    ) -> None:
        self._watched = watched
        self._policies = policies
        self._select = select

    def __call__(self, request: Request) -> Policy | None:
        name = self._select(request)
        if name is None or name == OFF:
            return None
        if self._watched is not None:
            self._watched.refresh()
            policies = self._watched.policies
        else:
            policies = self._policies
        policy = policies.get(name)
        if policy is None:
            if _is_due((policies.source, name)):
                logger.error(
                    "CORS: unknown policy %s, denying cross-origin requests; "
                    "%s defines %s",
                    _shown(name),
                    policies.source,
                    ", ".join(map(repr, policies)),
                )
            return NO_POLICY
        return policy


_logged: dict[object, float] = {}
_logged_lock = threading.Lock()


def _renew_lock() -> None:
    # A thread that a fork left behind may have held it.
    global _logged_lock
    _logged_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def _is_due(cause: object) -> bool:
    """Whether a line about a cause may be logged again."""
    now = time.monotonic()
    with _logged_lock:
        if len(_logged) >= _MOST_CAUSES:
            for old in [c for c, at in _logged.items() if at <= now]:
                del _logged[old]
        if _logged.get(cause, now) > now or len(_logged) >= _MOST_CAUSES:
            return False
        _logged[cause] = now + _LOG_INTERVAL
    return True


def is_logged(decision: Decision, policy: Policy) -> bool:
    """Whether log_denied() is to be called for a request that was denied."""
    if decision.reason == "no_policy" and policy is not NO_POLICY:
        # The library denies so where it fails itself.
        if _is_due(policy.name):
            logger.error(
                "CORS: internal fault, denying requests under policy %r",
                policy.name,
            )
        return False
    return logger.isEnabledFor(logging.INFO)


def log_denied(
    decision: Decision, policy: Policy, method: Any, path: Any, origin: Any
) -> None:
    """Log a request that was denied."""
    logger.info(
        "%s %s request %s %s from %s: %s (policy %r)",
        "denied" if decision.enforced else "would deny",
        decision.kind,
        _shown(method),
        _shown(path),
        _shown(origin),
        decision.reason,
        policy.name,
    )


def _shown(text: Any) -> str:
    """Text of a client's choice, so that it cannot break a log line."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if isinstance(text, str) and len(text) > _MOST_LOGGED:
        text = text[:_MOST_LOGGED] + "..."
    return ascii(text)
