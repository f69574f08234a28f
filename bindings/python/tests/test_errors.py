"""What is wrong in documents, and how it is told."""

from __future__ import annotations

import dataclasses
import pickle
import warnings
from pathlib import Path

import pytest

import libcors

WRONG = """\
# ä
[policy.api]
allow_origins = ["https://app.example.com/", "https://*.com"]
allow_orgins = []
max_age = "4h"
"""


def test_all_errors_at_once() -> None:
    with pytest.raises(libcors.PolicyError) as caught:
        libcors.Policies.parse(WRONG, source="wrong.toml")
    error = caught.value
    assert isinstance(error, ValueError)
    assert [(d.severity, d.code) for d in error.diagnostics] == [
        ("error", "E0209"),
        ("error", "E0504"),
        ("error", "E0108"),
        ("warning", "W0401"),
    ]
    first = error.diagnostics[0]
    assert (first.source, first.line, first.column) == ("wrong.toml", 3, 42)
    assert first.key_path == "policy.api.allow_origins[0]"
    # In bytes of UTF-8, of which ä has two.
    text = WRONG.encode()
    assert text[first.offset : first.offset + first.length] == b"/"
    assert first.hint == 'write "https://app.example.com"'
    lines = str(error).splitlines()
    assert lines[0] == "3 errors in wrong.toml"
    assert lines[1] == (
        "wrong.toml:3:42: error[E0209]: invalid origin "
        "`https://app.example.com/`: an origin has no slash at its end "
        '(write "https://app.example.com")'
    )
    assert len(lines) == 1 + len(error.diagnostics)


def test_diagnostics_are_frozen_and_pickled() -> None:
    with pytest.raises(libcors.PolicyError) as caught:
        libcors.Policies.parse("x = 1")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.diagnostics == caught.value.diagnostics
    assert str(again) == str(caught.value)
    assert str(again).startswith("1 error in <policies>\n") or (
        len(again.diagnostics) > 1
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        again.diagnostics[0].line = 7


WARNS = """
[policy.api]
allow_origins = ["https://app.example.com", "https://app.example.com"]
allow_methods = ["GET"]
"""


def test_warnings_have_the_callers_line(tmp_path: Path) -> None:
    path = tmp_path / "warns.toml"
    path.write_text(WARNS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        libcors.Policies.load(path)
        line = 1 + test_warnings_have_the_callers_line.__code__.co_firstlineno
    assert len(caught) == 2
    for warning in caught:
        assert warning.category is libcors.PolicyWarning
        assert warning.filename == __file__
        source = Path(__file__).read_text("utf-8").splitlines()
        assert "Policies.load(path)" in source[warning.lineno - 1]
        assert warning.lineno > line
        message = warning.message
        assert isinstance(message, libcors.PolicyWarning)
        assert str(message).startswith(f"{path}:")
        assert message.diagnostics[0].severity == "warning"
        # A place that belongs to it comes with it.
        assert {d.severity for d in message.diagnostics[1:]} <= {"note"}


def test_warnings_may_be_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(libcors.PolicyWarning, match=r"warning\[W"):
            libcors.Policies.parse(WARNS)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(FileNotFoundError) as caught:
        libcors.Policies.load(path)
    assert str(path) in str(caught.value)
    with pytest.raises(IsADirectoryError):
        libcors.Policies.load(tmp_path)
    with pytest.raises(TypeError):
        libcors.Policies.load(7.5)  # type: ignore[arg-type]


def test_files_with_errors_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(WRONG, "utf-8")
    with pytest.raises(libcors.PolicyError) as caught:
        libcors.Policies.load(path)
    assert {d.source for d in caught.value.diagnostics} == {str(path)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "\0",
        "[policy.a\n",
        "[policy.\ud800]",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        "{" * 100_000,
        "[policy.a]\nallow_origins = [" + '"https://a.example",' * 3 + "7]",
    ],
    ids=repr,
)
def test_nonsense(text: str | bytes) -> None:
    with pytest.raises(libcors.PolicyError) as caught:
        libcors.Policies.parse(text)
    for diagnostic in caught.value.diagnostics:
        assert diagnostic.message
        assert str(diagnostic).isprintable()


def test_sources_are_shown_harmlessly() -> None:
    for source in ("", "\ud800", "a\nb", "a\0b", "é" * 10_000):
        with pytest.raises(libcors.PolicyError) as caught:
            libcors.Policies.parse("x = 1", source=source)
        assert len(str(caught.value).splitlines()) == 1 + len(
            caught.value.diagnostics
        )


@pytest.mark.parametrize("text", [None, 7, bytearray(b"x"), ["x"]])
def test_texts_of_other_types(text: object) -> None:
    with pytest.raises(TypeError, match="text must be str or bytes, not"):
        libcors.Policies.parse(text)  # type: ignore[arg-type]
