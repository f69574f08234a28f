"""What the package promises beside the answers."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import traceback
import weakref
from collections import UserDict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

import pytest

import libcors

DOCUMENT = """
[policy.api]
allow_origins = ["https://app.example.com", "https://*.example.org"]
allow_methods = ["PUT"]
allow_headers = ["Content-Type"]
expose_headers = ["X-Total-Count"]
allow_credentials = true
max_age = 600

[policy.any]
allow_origins = ["*"]

[policy.echo]
allow_origins = ["https://*.example.com"]
allow_methods = ["*"]
allow_headers = ["*", "Authorization"]
allow_credentials = true

[policy.report]
allow_origins = ["https://app.example.com"]
mode = "report"

[policy.keep]
allow_origins = ["https://app.example.com"]
upstream_headers = "keep"
dangerously_allow = ["upstream_cors"]
"""

APP = "https://app.example.com"

Format: TypeAlias = Literal["toml", "json"]


@pytest.fixture(scope="module")
def policies() -> libcors.Policies:
    return libcors.Policies.parse(DOCUMENT, source="test.toml")


@pytest.fixture(scope="module")
def api(policies: libcors.Policies) -> libcors.Policy:
    return policies["api"]


def test_versions() -> None:
    manifest = Path(__file__).parents[3] / "Cargo.toml"
    assert f'version = "{libcors.__version__}"' in manifest.read_text("utf-8")
    assert libcors.library_version == libcors.__version__
    assert libcors.abi_version == 1
    assert set(libcors.__all__) <= set(dir(libcors))


def test_policies_are_a_mapping(policies: libcors.Policies) -> None:
    names = ["api", "any", "echo", "report", "keep"]
    assert isinstance(policies, Mapping)
    assert list(policies) == names
    assert len(policies) == 5
    assert "api" in policies
    assert "Api" not in policies
    assert 7 not in policies  # type: ignore[comparison-overlap]
    assert policies["api"] is policies["api"]
    assert policies["api"].name == "api"
    assert [p.name for p in policies.values()] == names
    assert policies.get("none") is None
    assert policies.get("none", libcors.NO_POLICY) is libcors.NO_POLICY
    assert repr(policies) == (
        "<libcors.Policies of 'test.toml': "
        "'api', 'any', 'echo', 'report', 'keep'>"
    )
    assert repr(policies["api"]) == "<libcors.Policy 'api'>"


def test_a_name_that_is_not_there(policies: libcors.Policies) -> None:
    with pytest.raises(KeyError) as caught:
        policies["apii"]
    assert caught.value.args == (
        "test.toml has no policy 'apii'; "
        "it has 'api', 'any', 'echo', 'report', 'keep'",
    )


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "pölicies.toml"
    path.write_text(DOCUMENT, "utf-8")
    for name in (path, str(path), str(path).encode()):
        assert "api" in libcors.Policies.load(name)


def test_formats() -> None:
    json = '{"policy": {"a": {"allow_origins": ["https://a.example"]}}}'
    toml = '[policy.a]\nallow_origins = ["https://a.example"]'
    formats: tuple[tuple[str, Format, Format], ...] = (
        (json, "json", "toml"),
        (toml, "toml", "json"),
    )
    for text, right, wrong in formats:
        assert list(libcors.Policies.parse(text)) == ["a"]
        assert list(libcors.Policies.parse(text.encode())) == ["a"]
        assert list(libcors.Policies.parse(text, "x", right)) == ["a"]
        with pytest.raises(libcors.PolicyError):
            libcors.Policies.parse(text, format=wrong)
    with pytest.raises(ValueError, match=r'"toml" or "json", not .yaml.'):
        libcors.Policies.parse(toml, format="yaml")  # type: ignore[arg-type]


def test_an_actual_request(api: libcors.Policy) -> None:
    decision = api.decide("GET", origin=APP)
    assert decision.kind == "actual"
    assert decision.outcome == "allow"
    assert decision.reason == "allowed"
    assert decision.rule == 0
    assert decision.status is None
    assert decision.enforced is True
    assert decision.upstream == "replace"
    assert decision.headers == (
        ("Access-Control-Allow-Origin", APP),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "x-total-count"),
    )
    assert decision.headers_bytes == (
        (b"access-control-allow-origin", APP.encode()),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"x-total-count"),
    )
    assert decision.vary == ("Origin",)
    assert decision.remove[0] == "access-control-allow-origin"
    assert len(decision.remove) == 7
    assert repr(decision) == (
        "<libcors.Decision kind=actual outcome=allow reason=allowed status=0 "
        f"headers={decision.headers!r} vary=Origin>"
    )


def test_a_preflight(api: libcors.Policy) -> None:
    decision = api.decide("OPTIONS", APP, "PUT", "content-type")
    assert (decision.kind, decision.status) == ("preflight", 204)
    assert dict(decision.headers)["Access-Control-Allow-Methods"] == "PUT"
    same = api.decide(
        method=b"OPTIONS",
        request_headers=[b"content-type"],
        request_method=("PUT",),
        origin=APP.encode(),
    )
    assert same.headers == decision.headers


def test_what_is_echoed(policies: libcors.Policies) -> None:
    origin = "https://a.example.com"
    decision = policies["echo"].decide(
        "OPTIONS", origin, "PROPFIND", ["x-a, x-b", "x-c"]
    )
    assert decision.headers == (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Methods", "PROPFIND"),
        ("Access-Control-Allow-Headers", "x-a, x-b"),
        ("Access-Control-Allow-Headers", "x-c"),
    )
    assert decision.headers_bytes[3:] == (
        (b"access-control-allow-headers", b"x-a, x-b"),
        (b"access-control-allow-headers", b"x-c"),
    )
    assert decision.vary == (
        "Origin",
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
    )
    # The request's own object serves again.
    assert decision.headers[0][1] is origin


def test_lists_that_are_fixed_are_made_once(
    policies: libcors.Policies,
) -> None:
    policy = policies["any"]
    first = policy.decide("GET", APP).headers
    assert first == (("Access-Control-Allow-Origin", "*"),)
    assert policy.decide("GET", "https://other.example").headers is first


def test_no_policy_closes() -> None:
    policy = libcors.NO_POLICY
    assert policy.name == ""
    assert repr(policy) == "<libcors.NO_POLICY>"
    decision = policy.decide("GET", APP)
    assert (decision.reason, decision.headers) == ("no_policy", ())
    assert decision.vary == ("Origin",)
    assert decision.owns("Access-Control-Allow-Origin")
    websocket = policy.decide("GET", APP, upgrade="websocket")
    assert (websocket.kind, websocket.status) == ("websocket", 403)
    assert "no policy" in policy.explain("GET", APP)


def test_report_mode_changes_nothing(policies: libcors.Policies) -> None:
    decision = policies["report"].decide("GET", APP)
    assert (decision.outcome, decision.enforced) == ("allow", False)
    assert (decision.headers, decision.vary, decision.remove) == ((), (), ())
    given = [(b"access-control-allow-origin", b"*"), (b"vary", b"x, x")]
    applied = decision.apply_asgi(given)
    assert applied == given
    assert applied is not given


def test_same_origin(api: libcors.Policy) -> None:
    decision = api.decide(
        "POST",
        "https://api.example.com",
        scheme="https",
        host=b"api.example.com",
    )
    assert decision.reason == "same_origin"
    decision = api.decide(
        "POST", "https://api.example.com", sec_fetch_site="same-origin"
    )
    assert decision.reason == "same_origin"


def test_explain(api: libcors.Policy) -> None:
    text = api.explain("GET", origin="https://evil.example")
    assert "no entry of allow_origins covers https://evil.example" in text
    assert text.endswith("\n")
    assert "header" in api.explain("OPTIONS", APP, "PUT", "x-a")


def test_merge_vary(api: libcors.Policy) -> None:
    decision = api.decide("GET", APP)
    assert decision.merge_vary() == "Origin"
    assert decision.merge_vary(None) == "Origin"
    assert decision.merge_vary("Accept") == "Accept, Origin"
    assert decision.merge_vary([b"Accept", "origin"]) == "Accept, origin"
    assert decision.merge_vary("*") == "*"
    long = ["x" * 1000, "y" * 1000]
    assert decision.merge_vary(long) == ", ".join([*long, "Origin"])


def test_owns(api: libcors.Policy) -> None:
    decision = api.decide("GET")
    assert decision.owns("ACCESS-CONTROL-ALLOW-ORIGIN") is True
    assert decision.owns(b"access-control-max-age") is True
    assert decision.owns("Timing-Allow-Origin") is False
    assert decision.owns("") is False


WRONG = [
    ("Content-Type", "text/plain"),
    ("Access-Control-Allow-Origin", "*"),
    ("access-control-max-age", "1"),
    ("vary", "Accept"),
    ("X-Other", "1"),
    ("Vary", "Accept-Language, Origin"),
]


def raw(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(n.encode(), v.encode()) for n, v in headers]


def test_apply(api: libcors.Policy) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [(b"origin", APP.encode())],
    }
    environ = {"REQUEST_METHOD": "GET", "HTTP_ORIGIN": APP}
    for decision in (
        api.decide("GET", APP),
        api.decide_asgi(scope),
        api.decide_wsgi(environ),
    ):
        assert decision.apply_wsgi(WRONG) == [
            ("Content-Type", "text/plain"),
            ("X-Other", "1"),
            *decision.headers,
            ("Vary", "Accept, Accept-Language, Origin"),
        ]
        assert decision.apply_asgi(raw(WRONG)) == [
            (b"Content-Type", b"text/plain"),
            (b"X-Other", b"1"),
            *decision.headers_bytes,
            (b"vary", b"Accept, Accept-Language, Origin"),
        ]
        assert decision.apply_wsgi([])[-1] == ("Vary", "Origin")
        # Any iterable of pairs will do, and pairs come out as tuples.
        assert decision.apply_asgi(iter([[b"a", b"b"]]))[0] == (b"a", b"b")
    assert WRONG[1] == ("Access-Control-Allow-Origin", "*")


def test_apply_where_the_application_is_kept(
    policies: libcors.Policies,
) -> None:
    decision = policies["keep"].decide("GET", APP)
    assert decision.upstream == "keep"
    assert decision.apply_wsgi(WRONG) == [
        *(header for header in WRONG if header[0].lower() != "vary"),
        ("Vary", "Accept, Accept-Language, Origin"),
    ]
    mute = [header for header in WRONG if "Origin" not in header[0]]
    assert decision.apply_wsgi(mute) == [
        ("Content-Type", "text/plain"),
        ("X-Other", "1"),
        ("Access-Control-Allow-Origin", APP),
        ("Vary", "Accept, Accept-Language, Origin"),
    ]


def test_vary_stays_where_the_decision_has_none(
    policies: libcors.Policies,
) -> None:
    decision = policies["any"].decide("GET", APP)
    given = [("Vary", "a"), ("Vary", "a")]
    assert decision.vary == ()
    assert decision.apply_wsgi(given) == [*given, *decision.headers]


def test_websocket_scope(api: libcors.Policy) -> None:
    scope = {
        "type": "websocket",
        "scheme": "wss",
        "headers": [
            (b"host", b"api.example.com"),
            (b"origin", b"https://api.example.com"),
        ],
    }
    decision = api.decide_asgi(scope)
    assert (decision.kind, decision.reason) == ("websocket", "same_origin")
    decision = api.decide_asgi({**scope, "scheme": "ws"})
    assert decision.reason == "origin_not_allowed"


def test_decisions_outlive_everything() -> None:
    document = libcors.Policies.parse(DOCUMENT)
    policy = document["api"]
    origin = "".join(["https://", "x.example.org"])
    decision = policy.decide("GET", origin)
    alive = weakref.ref(policy), weakref.ref(document)
    del policy, document, origin
    gc.collect()
    assert alive[1]() is None
    # A decision keeps its policy, which keeps what it is of.
    assert alive[0]() is not None
    assert decision.headers[0][1] == "https://x.example.org"
    assert decision.headers_bytes[0][1] == b"https://x.example.org"
    assert decision.vary == ("Origin",)
    del decision
    assert alive[0]() is None


def test_a_policy_outlives_its_document() -> None:
    policy = libcors.Policies.parse(DOCUMENT)["api"]
    gc.collect()
    assert policy.decide("GET", APP).outcome == "allow"


def test_copies_are_the_same(
    policies: libcors.Policies, api: libcors.Policy
) -> None:
    decision = api.decide("GET", APP)
    for thing in (policies, api, decision, libcors.NO_POLICY):
        assert copy.copy(thing) is thing
        assert copy.deepcopy({"a": [thing]})["a"][0] is thing
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(thing)


def test_nothing_can_be_changed_or_made(api: libcors.Policy) -> None:
    decision = api.decide("GET", APP)
    for thing, name in ((decision, "kind"), (api, "name")):
        with pytest.raises(AttributeError):
            setattr(thing, name, "other")
        with pytest.raises(AttributeError):
            setattr(thing, "new", "other")
        with pytest.raises(TypeError):
            setattr(type(thing), "new", "other")
        for make in (type(thing), lambda: object.__new__(type(thing))):
            with pytest.raises(TypeError):
                make()
        with pytest.raises(TypeError, match="not an acceptable base type"):
            type("Sub", (type(thing),), {})
    with pytest.raises(TypeError, match=r"use Policies\.load"):
        libcors.Policies()


def test_signatures() -> None:
    for function in (libcors.Policy.decide, libcors.Policy.explain):
        parameters = inspect.signature(function).parameters
        assert list(parameters) == [
            "self",
            "method",
            "origin",
            "request_method",
            "request_headers",
            "request_private_network",
            "upgrade",
            "protocol",
            "scheme",
            "host",
            "sec_fetch_site",
        ]
        assert parameters["host"].kind is inspect.Parameter.KEYWORD_ONLY
    for kind in (libcors.Policy, libcors.Decision):
        assert kind.__module__ == "libcors"
        for name, member in vars(kind).items():
            if not name.startswith("_"):
                assert member.__doc__, name


def test_a_scope_is_any_mapping() -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [(b"origin", b"https://app.example.com")],
    }
    policies = libcors.Policies.parse(
        '[policy.p]\nallow_origins = ["https://app.example.com"]'
    )
    for mapping in (scope, MappingProxyType(scope), UserDict(scope)):
        assert policies["p"].decide_asgi(mapping).reason == "allowed"


def test_public_names_are_those_that_are_imported() -> None:
    for name in libcors.__all__:
        thing = getattr(libcors, name)
        if isinstance(thing, type):
            assert (thing.__module__, thing.__qualname__) == ("libcors", name)
    with pytest.raises(libcors.PolicyError) as caught:
        libcors.Policies.parse("x = 1")
    (last, *_) = traceback.format_exception_only(caught.value)
    assert last.startswith("libcors.PolicyError: 1 error in <policies>")


def test_policies_know_their_source() -> None:
    text = '[policy.p]\nallow_origins = ["*"]'
    assert libcors.Policies.parse(text).source == "<policies>"
    assert libcors.Policies.parse(text, "cors.toml").source == "cors.toml"
