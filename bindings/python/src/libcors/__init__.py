"""CORS policies, read from a file and applied to requests.

A policy file, in TOML or JSON, defines named policies::

    import libcors

    policies = libcors.Policies.load("cors.toml")
    policy = policies["api"]

A request is passed as it was received, and the decision says what to do with
the response::

    decision = policy.decide("GET", origin="https://app.example.com")
    for name, value in decision.headers:
        ...
"""

from ._core import (
    NO_POLICY,
    Decision,
    Policy,
    __version__,
    abi_version,
    library_version,
)
from ._document import Diagnostic, Policies, PolicyError, PolicyWarning

__all__ = [
    "NO_POLICY",
    "Decision",
    "Diagnostic",
    "Policies",
    "Policy",
    "PolicyError",
    "PolicyWarning",
    "__version__",
    "abi_version",
    "library_version",
]
