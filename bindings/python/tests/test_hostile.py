"""Bad input raises an exception, or works, and never harms the process."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from typing import Any

import pytest

import libcors

POLICIES = libcors.Policies.parse(
    """
    [policy.api]
    allow_origins = ["https://app.example.com", "https://*.example.org"]
    allow_methods = ["PUT"]
    allow_headers = ["X-A"]

    [policy.echo]
    allow_origins = ["https://*.example.com"]
    allow_methods = ["*"]
    allow_headers = ["*"]
    allow_credentials = true
    """
)
API = POLICIES["api"]
APP = "https://app.example.com"

FIELDS = [
    "origin",
    "request_method",
    "request_headers",
    "request_private_network",
    "upgrade",
]
TEXTS = ["protocol", "scheme", "host", "sec_fetch_site"]


@pytest.mark.parametrize("name", [*FIELDS, *TEXTS, "method"])
@pytest.mark.parametrize("value", [7, 7.5, object(), {"a": 1}, {"a"}, ...])
def test_values_of_other_types(name: str, value: Any) -> None:
    arguments: dict[str, Any] = {"method": "GET", name: value}
    with pytest.raises(TypeError) as caught:
        API.decide(**arguments)
    words = "str, bytes or None"
    if name in FIELDS:
        words = "str, bytes, a sequence of these or None"
    elif name == "method":
        words = "str or bytes"
    assert str(caught.value) == (
        f"{name} must be {words}, not {type(value).__name__}"
    )


@pytest.mark.parametrize("name", FIELDS)
def test_lines_of_other_types(name: str) -> None:
    arguments: Any = {"method": "GET", name: ["a", b"b", None]}
    with pytest.raises(TypeError) as caught:
        API.decide(**arguments)
    assert str(caught.value) == f"{name}[2] must be str or bytes, not NoneType"
    with pytest.raises(
        TypeError, match=r"\[0\] must be str or bytes, not int"
    ):
        API.decide("GET", **{name: bytearray(b"x")})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TEXTS)
def test_texts_have_one_line(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be str, bytes or None"):
        API.decide("GET", **{name: ["a"]})  # type: ignore[arg-type]


CALLS: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((), {}, "missing required argument: 'method'"),
    ((), {"origin": APP}, "missing required argument: 'method'"),
    (("GET",) * 5, {}, "takes at most 4 positional arguments (5 given)"),
    (("GET",), {"method": "GET"}, "got multiple values for argument 'method'"),
    (("GET",), {"x": 1}, "got an unexpected keyword argument 'x'"),
    (("GET",), {"\ud800": 1}, "got an unexpected keyword argument '\ud800'"),
]


@pytest.mark.parametrize(("arguments", "keywords", "words"), CALLS)
def test_arguments(
    arguments: tuple[Any, ...], keywords: dict[str, Any], words: str
) -> None:
    for function in (API.decide, API.explain):
        with pytest.raises(TypeError) as caught:
            function(*arguments, **keywords)
        assert str(caught.value) == f"{function.__name__}() {words}"


def test_keywords_that_are_not_interned() -> None:
    name = "".join(["ori", "gin"])
    assert API.decide("GET", **{name: APP}).outcome == "allow"


# What no browser sends, as an origin, a method, or a list of headers.
TEXT = [
    "",
    " ",
    "\0",
    APP + "\0",
    APP + "\r\nX-Injected: 1",
    APP + "\n",
    "https://app.example.com, https://evil.example",
    "https://äpp.example.com",
    "https://\u0430pp.example.com",
    "https://\U0001f600.example.com",
    "\ud800",
    "\udcff",
    "https://a.example.org\udc80",
    "https://" + "a" * 1_000_000 + ".example.org",
    "é" * 1_000_000,
    "\u4e00" * 1_000_000,
    "x-a," * 250_000,
    "," * 1_000_000,
]


@pytest.mark.parametrize("text", TEXT, ids=lambda text: ascii(text[:20]))
@pytest.mark.parametrize("policy", [*POLICIES.values(), libcors.NO_POLICY])
def test_strange_text(policy: libcors.Policy, text: str) -> None:
    wire = text.encode("utf-8", "surrogatepass")
    values: list[Any] = [text, wire, [text, wire], (wire,) * 3]
    for value in values:
        one = value if isinstance(value, (str, bytes)) else "GET"
        requests: list[dict[str, Any]] = [
            {"method": one},
            {"method": "GET", "origin": value},
            {"method": "OPTIONS", "origin": APP, "request_method": value},
            {
                "method": "OPTIONS",
                "origin": "https://a.example.com",
                "request_method": "PUT",
                "request_headers": value,
            },
            {
                "method": "GET",
                "origin": APP,
                **dict.fromkeys(FIELDS[3:], value),
            },
            {"method": "GET", "origin": APP, **dict.fromkeys(TEXTS, one)},
        ]
        for request in requests:
            decision = policy.decide(**request)
            for name, content in decision.headers:
                assert name.isascii()
                assert content.isascii()
                assert content.isprintable()
            assert policy.explain(**request)
            if request.get("origin") is value:
                assert decision.headers == ()


def test_text_is_latin_1() -> None:
    """As WSGI has it: what is in no origin is malformed, however written."""
    for text in (
        "https://é.example.org",
        "https://\u4e00.example.org",
        "\ud800",
    ):
        assert API.decide("GET", text).reason == "origin_malformed"
    assert (
        API.decide("GET", "https://é.example.org").reason
        == API.decide("GET", "https://é.example.org".encode("latin-1")).reason
    )


def test_many_lines() -> None:
    lines = ["x-a"] * 100_000
    decision = API.decide("OPTIONS", APP, "PUT", lines)
    assert decision.reason == "headers_too_large"
    assert API.decide("GET", [APP] * 100_000).reason == "origin_malformed"
    assert API.decide("GET", []).reason == "not_cors"
    assert API.decide("OPTIONS", [APP], ["PUT"], ["x-a", b"x-a"]).status == 204


class Text(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise AssertionError("nothing of a subclass is called")

    __hash__ = None  # type: ignore[assignment]


class Raw(bytes):
    __slots__ = ()


def test_subclasses() -> None:
    decision = API.decide(Text("GET"), Text(APP))
    assert decision.outcome == "allow"
    assert type(decision.headers[0][1]) is str
    decision = API.decide(Raw(b"GET"), Raw(APP.encode()))
    assert decision.outcome == "allow"
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [(Raw(b"Origin"), Raw(APP.encode()))],
    }
    decision = API.decide_asgi(scope)
    assert type(decision.headers_bytes[0][1]) is bytes
    assert decision.headers[0][1] == APP


class Broken:
    """A sequence that breaks."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> str:
        if index < 3:
            return APP
        raise ZeroDivisionError


def test_sequences_that_break() -> None:
    with pytest.raises(ZeroDivisionError):
        API.decide("GET", Broken())  # type: ignore[arg-type]
    decision = API.decide("GET", APP)
    with pytest.raises(ZeroDivisionError):
        decision.merge_vary(Broken())  # type: ignore[arg-type]


def broken() -> Iterator[tuple[bytes, bytes]]:
    yield (b"a", b"b")
    raise ZeroDivisionError("broken")


@pytest.mark.parametrize(
    ("headers", "error", "words"),
    [
        (7, TypeError, "not iterable"),
        ([7], TypeError, "not iterable"),
        ([()], ValueError, "a pair of name and value, not 0 items"),
        ([(b"a", b"b", b"c")], ValueError, "not 3 items"),
        ([("a", b"b")], TypeError, "name of a header must be bytes, not str"),
        ([(None, b"b")], TypeError, "must be bytes, not NoneType"),
        (broken(), ZeroDivisionError, "broken"),
    ],
)
def test_headers_of_other_types(
    headers: Any, error: type[Exception], words: str
) -> None:
    decision = API.decide("GET", APP)
    with pytest.raises(error, match=words):
        decision.apply_asgi(headers)
    if not isinstance(headers, Iterator):
        with pytest.raises(error, match=words):
            API.decide_asgi({"method": "GET", "headers": headers})


def test_values_of_headers_of_other_types() -> None:
    decision = API.decide("GET", APP)
    with pytest.raises(TypeError, match="value of a header must be bytes"):
        API.decide_asgi({"method": "GET", "headers": [(b"origin", APP)]})
    with pytest.raises(
        TypeError, match="value of Vary must be bytes, not int"
    ):
        decision.apply_asgi([(b"vary", 7)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="must be str, not bytes"):
        decision.apply_wsgi([(b"a", "b")])  # type: ignore[list-item]
    # Other headers are the server's business.
    assert decision.apply_asgi([(b"x", 7)])[0] == (b"x", 7)  # type: ignore[list-item, comparison-overlap]
    for wrong in (None, 7, "x"):
        with pytest.raises(TypeError, match="scope must be a mapping"):
            API.decide_asgi(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="environ must be a dict"):
            API.decide_wsgi(wrong)  # type: ignore[arg-type]
        if isinstance(wrong, str):
            continue
        with pytest.raises(TypeError, match="name must be str or bytes"):
            decision.owns(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="origin must be str"):
        API.decide_wsgi({"REQUEST_METHOD": "GET", "HTTP_ORIGIN": 7})
    with pytest.raises(TypeError, match="at most 1 argument"):
        decision.merge_vary("a", "b")  # type: ignore[call-arg]


def test_empty_scopes() -> None:
    assert API.decide_asgi({}).reason == "not_cors"
    assert API.decide_wsgi({}).reason == "not_cors"
    assert API.decide_asgi({"headers": ()}).reason == "not_cors"


def test_strange_vary() -> None:
    decision = API.decide("GET", APP)
    assert decision.merge_vary(["a\r\nb: c"]).isprintable()
    # A str is Latin-1, and comes back as it was.
    assert decision.merge_vary("caf\xe9") == "caf\xe9, Origin"
    assert decision.merge_vary("caf\xe9") == decision.merge_vary(b"caf\xe9")
    for text in (*TEXT, "*"):
        wire = text.encode("utf-8", "surrogatepass")
        value = decision.merge_vary([text, wire])
        assert "\n" not in value
        assert "\0" not in value
        given: list[tuple[str, str]] = [("Vary", text)] * 3
        applied = decision.apply_wsgi(given)
        assert [name for name, _ in applied].count("Vary") == 1
        decision.owns(text)
        decision.apply_wsgi([(text, text)])


def test_a_list_that_changes_meanwhile() -> None:
    headers: list[Any] = []

    class Pair:
        """Empties the list while it is read."""

        def __iter__(self) -> Iterator[bytes]:
            headers.clear()
            gc.collect()
            return iter((b"origin", APP.encode()))

    headers += [Pair(), (b"x" * 100, b"y" * 100), Pair()]
    decision = API.decide_asgi({"method": "GET", "headers": headers})
    assert decision.reason == "origin_malformed"
    headers += [Pair(), (b"vary", b"y" * 100), Pair()]
    applied = decision.apply_asgi(headers)
    assert applied[-1] == (b"vary", b"y" * 100 + b", Origin")


def test_anything_at_all() -> None:
    """Arguments at random: an exception of the right type, or a decision."""
    chance = random.Random(7)
    values: list[Any] = [
        *TEXT[:12],
        *(text.encode("utf-8", "surrogatepass") for text in TEXT[:12]),
        None,
        7,
        [],
        (),
        [APP, b"x"],
        [7],
        {},
        APP,
        "OPTIONS",
        "PUT",
        "x-a",
    ]
    names = ["method", *FIELDS, *TEXTS]
    decided = 0
    for _ in range(20_000):
        some = chance.sample(names, chance.randrange(len(names) + 1))
        arguments: Any = {name: chance.choice(values) for name in some}
        policy = chance.choice([*POLICIES.values(), libcors.NO_POLICY])
        try:
            decision = policy.decide(**arguments)
        except TypeError:
            continue
        decided += 1
        assert decision.apply_wsgi([("Vary", "a")])
    assert decided > 1_000
