"""libcors without a package: by ctypes, and by cffi in ABI mode.

    python ffi.py ctypes|cffi FILE POLICY METHOD [ORIGIN]

such as

    python ffi.py ctypes cors.toml api GET https://app.example.com

It prints the reason of the decision and the headers to set. Both ways need
the shared library; LIBCORS names it, unless it is installed. cffi reads the
header as well, which LIBCORS_H names, unless it is in /usr/include or
/usr/local/include. The package libcors is much faster than both.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import re
import sys
from pathlib import Path
from typing import Any

ABI_VERSION = 1


def library_path() -> str:
    """The shared library: the name that programs are bound to."""
    return os.environ.get("LIBCORS") or f"libcors.so.{ABI_VERSION}"


class Problem(Exception):
    """A document has errors, or the library does not fit."""


# By ctypes, every struct is written out. size comes first, and is set to the
# size of the struct, by which the library knows which version of it we have.


class Str(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("len", ctypes.c_size_t)]

    @classmethod
    def of(cls, text: bytes) -> Str:
        return cls(text, len(text))


class Slice(ctypes.Structure):
    """As Str, for what is not ours: c_char_p would copy up to a NUL."""

    _fields_ = [("data", ctypes.c_void_p), ("len", ctypes.c_size_t)]

    def text(self) -> str:
        return ctypes.string_at(self.data or 0, self.len).decode()


class Lines(ctypes.Structure):
    _fields_ = [("lines", ctypes.POINTER(Str)), ("count", ctypes.c_size_t)]


class Request(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("method", Str),
        ("origin", Lines),
        ("request_method", Lines),
        ("request_headers", Lines),
        ("request_private_network", Lines),
        ("upgrade", Lines),
        ("protocol", Str),
        ("scheme", Str),
        ("host", Str),
        ("sec_fetch_site", Str),
    ]


class Header(ctypes.Structure):
    _fields_ = [
        ("id", ctypes.c_uint32),
        ("source", ctypes.c_uint32),
        ("name", Slice),
        ("lower_name", Slice),
        ("value", Slice),
    ]


class Decision(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("kind", ctypes.c_uint32),
        ("outcome", ctypes.c_uint32),
        ("reason", ctypes.c_uint32),
        ("rule", ctypes.c_uint32),
        ("status", ctypes.c_uint32),
        ("enforced", ctypes.c_uint32),
        ("variant", ctypes.c_uint32),
        ("vary", ctypes.c_uint32),
        ("upstream", ctypes.c_uint32),
        ("owned", ctypes.c_uint32),
        ("header_count", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 9),
        ("vary_value", Slice),
        ("headers", Header * 16),
    ]


class Diagnostic(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("severity", ctypes.c_uint32),
        ("line", ctypes.c_uint32),
        ("column", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("offset", ctypes.c_size_t),
        ("length", ctypes.c_size_t),
        ("code", Slice),
        ("source", Slice),
        ("key_path", Slice),
        ("message", Slice),
        ("hint", Slice),
    ]


def by_ctypes(
    file: bytes, policy: bytes, method: bytes, origin: bytes | None
) -> list[str]:
    lib = ctypes.CDLL(library_path())

    def declare(name: str, result: Any, *arguments: Any) -> Any:
        # Without this ctypes takes everything for an int, and cuts pointers.
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
        return function

    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    chars, number = ctypes.c_char_p, ctypes.c_uint32
    by_reference = ctypes.POINTER
    abi_version = declare("cors_abi_version", number)
    load = declare(
        "cors_policies_load",
        ctypes.c_int32,
        *(chars, size, number, by_reference(pointer), by_reference(pointer)),
    )
    get = declare("cors_policies_get", pointer, pointer, chars, size)
    unref = declare("cors_policies_unref", None, pointer)
    count = declare("cors_diagnostics_count", size, pointer)
    diagnostic = declare(
        "cors_diagnostics_get",
        ctypes.c_int32,
        *(pointer, size, by_reference(Diagnostic)),
    )
    free = declare("cors_diagnostics_free", None, pointer)
    decide = declare(
        "cors_decide",
        ctypes.c_int32,
        *(pointer, by_reference(Request), by_reference(Decision)),
    )
    reason = declare("cors_reason_str", chars, number)

    if abi_version() != ABI_VERSION:
        raise Problem(f"ABI version {abi_version()}, not {ABI_VERSION}")

    policies, problems = pointer(), pointer()
    status = load(
        file,
        len(file),
        0,
        ctypes.byref(policies),
        ctypes.byref(problems),
    )
    texts = []
    for i in range(count(problems)):
        found = Diagnostic(size=ctypes.sizeof(Diagnostic))
        diagnostic(problems, i, ctypes.byref(found))
        texts.append(
            f"{found.source.text()}:{found.line}:{found.column}: "
            f"{found.message.text()}"
        )
    free(problems)
    if status != 0:
        raise Problem("\n".join(texts))
    try:
        request = Request(size=ctypes.sizeof(Request), method=Str.of(method))
        if origin is not None:
            request.origin = Lines((Str * 1)(Str.of(origin)), 1)
        decision = Decision(size=ctypes.sizeof(Decision))
        # A name that is not there gives NULL, which closes.
        decide(
            get(policies, policy, len(policy)),
            ctypes.byref(request),
            ctypes.byref(decision),
        )
        # What a decision borrows lives as long as the document.
        return [
            *texts,
            reason(decision.reason).decode(),
            *(
                f"{header.name.text()}: {header.value.text()}"
                for header in decision.headers[: decision.header_count]
            ),
            *(
                [f"Vary: {decision.vary_value.text()}"]
                if decision.vary
                else []
            ),
        ]
    finally:
        unref(policies)


# By cffi, the header declares everything.


def header_text() -> str:
    """cors.h as cffi takes it: without the preprocessor's lines."""
    name = os.environ.get("LIBCORS_H")
    paths = (
        [name]
        if name
        else ["/usr/include/cors.h", "/usr/local/include/cors.h"]
    )
    for path in paths:
        if Path(path).is_file():
            text = Path(path).read_text("utf-8")
            break
    else:
        raise Problem("cors.h was not found; set LIBCORS_H to its path")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"#ifdef __cplusplus.*?#endif", "", text, flags=re.DOTALL)
    # cffi knows #define with a plain number, and nothing else.
    numbers = re.findall(r"^#define \w+ \w+$", text, flags=re.MULTILINE)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    return "\n".join([*numbers, text.replace("CORS_API", "")]).replace(
        "0xffffffffu", "0xffffffff"
    )


def by_cffi(
    file: bytes, policy: bytes, method: bytes, origin: bytes | None
) -> list[str]:
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(header_text())
    lib: Any = ffi.dlopen(library_path())

    if lib.cors_abi_version() != lib.CORS_ABI_VERSION:
        raise Problem(
            f"ABI version {lib.cors_abi_version()}, not {lib.CORS_ABI_VERSION}"
        )

    # What is made by new() and from_buffer() lives as long as its object.
    keep = []

    def string(text: bytes) -> Any:
        keep.append(ffi.from_buffer(text))
        return (keep[-1], len(text))

    def text(string: Any) -> str:
        if string.len == 0:
            return ""
        return bytes(ffi.buffer(string.data, string.len)).decode()

    policies = ffi.new("const cors_policies **")
    problems = ffi.new("cors_diagnostics **")
    status = lib.cors_policies_load(
        file, len(file), lib.CORS_FORMAT_AUTO, policies, problems
    )
    texts = []
    found = ffi.new(
        "cors_diagnostic *", {"size": ffi.sizeof("cors_diagnostic")}
    )
    for i in range(lib.cors_diagnostics_count(problems[0])):
        lib.cors_diagnostics_get(problems[0], i, found)
        texts.append(
            f"{text(found.source)}:{found.line}:{found.column}: "
            f"{text(found.message)}"
        )
    lib.cors_diagnostics_free(problems[0])
    if status != lib.CORS_OK:
        raise Problem("\n".join(texts))
    document = ffi.gc(policies[0], lib.cors_policies_unref)

    request = ffi.new("cors_request *", {"size": ffi.sizeof("cors_request")})
    request.method = string(method)
    if origin is not None:
        lines = ffi.new("cors_str[]", [string(origin)])
        request.origin = (lines, 1)
    decision = ffi.new(
        "cors_decision *", {"size": ffi.sizeof("cors_decision")}
    )
    # A name that is not there gives NULL, which closes.
    chosen = lib.cors_policies_get(document, policy, len(policy))
    lib.cors_decide(chosen, request, decision)
    return [
        *texts,
        ffi.string(lib.cors_reason_str(decision.reason)).decode(),
        *(
            f"{text(header.name)}: {text(header.value)}"
            for header in decision.headers[0 : decision.header_count]
        ),
        *([f"Vary: {text(decision.vary_value)}"] if decision.vary else []),
    ]


def main() -> int:
    ways = {"ctypes": by_ctypes, "cffi": by_cffi}
    if len(sys.argv) not in (5, 6) or sys.argv[1] not in ways:
        print(
            f"usage: {sys.argv[0]} ctypes|cffi FILE POLICY METHOD [ORIGIN]",
            file=sys.stderr,
        )
        return 2
    way, *rest = sys.argv[1:]
    file, policy, method = (os.fsencode(argument) for argument in rest[:3])
    origin = os.fsencode(rest[3]) if len(rest) == 4 else None
    try:
        lines = ways[way](file, policy, method, origin)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
