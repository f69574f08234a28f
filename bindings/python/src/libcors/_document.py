"""Documents of policies, and what is found wrong in them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

from . import _core
from ._core import Policy

_FORMATS = {"auto": 0, "toml": 1, "json": 2}


@dataclass(frozen=True)
class Diagnostic:
    """One thing that was found wrong in a document.

    As a string it is one line: source, line, column, severity, code, message
    and hint.
    """

    severity: Literal["error", "warning", "note"]
    """An error, a warning, or a second place of the problem before it."""
    code: str
    """The stable code, such as "E0201"."""
    source: str
    """The name of the document."""
    line: int
    """The line, counted from 1."""
    column: int
    """The column in characters, counted from 1."""
    offset: int
    """Where the text starts, in bytes of UTF-8 from the document's start."""
    length: int
    """How long the text is, in bytes of UTF-8."""
    key_path: str
    """The key, such as "policy.api.allow_origins[2]"; may be empty."""
    message: str
    """What is wrong, in one sentence."""
    hint: str
    """What to do about it; may be empty."""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}"
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.severity}[{self.code}]: {self.message}{hint}"


class PolicyError(ValueError):
    """A document has errors. As a string it lists them, one on a line."""

    diagnostics: tuple[Diagnostic, ...]
    """All that was found, warnings included, in the order of the document."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        count = sum(d.severity == "error" for d in self.diagnostics)
        errors = "1 error" if count == 1 else f"{count} errors"
        source = self.diagnostics[0].source if self.diagnostics else "?"
        lines = [f"{errors} in {source}", *map(str, self.diagnostics)]
        return "\n".join(lines)


class PolicyWarning(UserWarning):
    """A document can be used, and probably does not say what was meant."""

    diagnostics: tuple[Diagnostic, ...]
    """The warning, and the notes that belong to it."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


@final
class Policies(Mapping[str, Policy]):
    """The policies of a document, by name, in the order of the document.

    It never changes, and any number of threads may use it at the same time.
    """

    __slots__ = ("__weakref__", "_policies", "_source")

    _policies: dict[str, Policy]
    _source: str

    @property
    def source(self) -> str:
        """The name of the document, such as the path of the file."""
        return self._source

    def __init__(self) -> None:
        raise TypeError("use Policies.load(path) or Policies.parse(text)")

    @classmethod
    def load(
        cls, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]
    ) -> Policies:
        """Read a file and compile it.

        Raises OSError if the file cannot be read, and PolicyError if it has
        errors. Warnings go to the warnings module, as PolicyWarning.
        """
        with open(path, "rb") as file:
            text = file.read()
        return cls.parse(text, source=os.fsdecode(path))

    @classmethod
    def parse(
        cls,
        text: str | bytes,
        source: str = "<policies>",
        format: Literal["auto", "toml", "json"] = "auto",
    ) -> Policies:
        """Compile a document.

        source is its name in diagnostics. "auto" takes it for JSON if its
        first character is "{", and else for TOML.

        Raises PolicyError if the document has errors. Warnings go to the
        warnings module, as PolicyWarning.
        """
        if format not in _FORMATS:
            raise ValueError(
                f'format must be "auto", "toml" or "json", not {format!r}'
            )
        if isinstance(text, str):
            # What is no Unicode gets a diagnostic of its own.
            text = text.encode("utf-8", "surrogatepass")
        elif not isinstance(text, bytes):
            raise TypeError(
                f"text must be str or bytes, not {type(text).__name__}"
            )
        policies, diagnostics = compile_document(
            text, source, _FORMATS[format]
        )
        for warning in _with_notes(diagnostics):
            warnings.warn(PolicyWarning(warning), stacklevel=_stacklevel())
        return policies

    def __getitem__(self, name: str) -> Policy:
        try:
            return self._policies[name]
        except KeyError:
            names = ", ".join(map(repr, self._policies))
            raise KeyError(
                f"{self._source} has no policy {name!r}; it has {names}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)

    def __contains__(self, name: object) -> bool:
        return name in self._policies

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self._policies))
        return f"<libcors.Policies of {self._source!r}: {names}>"

    # Two documents are the same if they are one.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __copy__(self) -> Policies:
        return self

    def __deepcopy__(self, memo: Any) -> Policies:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(
            "cannot pickle Policies; load the document in each process"
        )


for _public in (Diagnostic, Policies, PolicyError, PolicyWarning):
    # Where they are imported from, and so what tracebacks name.
    _public.__module__ = "libcors"
del _public


def compile_document(
    text: bytes, source: str, format: int = 0
) -> tuple[Policies, tuple[Diagnostic, ...]]:
    """Compile a document; its warnings come back, and are not sent out."""
    compiled, found = _core.compile(
        text, source.encode("utf-8", "backslashreplace"), format
    )
    diagnostics = tuple(Diagnostic(*fields) for fields in found)
    if compiled is None:
        raise PolicyError(diagnostics)
    policies = Policies.__new__(Policies)
    policies._policies = compiled
    policies._source = source
    return policies, diagnostics


def _with_notes(
    diagnostics: tuple[Diagnostic, ...],
) -> Iterator[tuple[Diagnostic, ...]]:
    group: list[Diagnostic] = []
    for diagnostic in diagnostics:
        if group and diagnostic.severity != "note":
            yield tuple(group)
            group = []
        group.append(diagnostic)
    if group:
        yield tuple(group)


def _stacklevel() -> int:
    """How far up the first caller outside of this package is."""
    level = 1
    frame = sys._getframe(1)
    while (
        frame.f_back is not None
        and frame.f_globals.get("__name__", "").partition(".")[0] == "libcors"
    ):
        frame = frame.f_back
        level += 1
    return level
