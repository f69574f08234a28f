from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, final

_Text: TypeAlias = str | bytes
# Absent, one line, or several lines.
_Lines: TypeAlias = _Text | Sequence[_Text] | None

__version__: Final[str]
abi_version: Final[int]
library_version: Final[str]
NO_POLICY: Final[Policy]

@final
class Policy:
    @property
    def name(self) -> str: ...
    def decide(
        self,
        method: _Text,
        origin: _Lines = None,
        request_method: _Lines = None,
        request_headers: _Lines = None,
        *,
        request_private_network: _Lines = None,
        upgrade: _Lines = None,
        protocol: _Text | None = None,
        scheme: _Text | None = None,
        host: _Text | None = None,
        sec_fetch_site: _Text | None = None,
    ) -> Decision: ...
    def explain(
        self,
        method: _Text,
        origin: _Lines = None,
        request_method: _Lines = None,
        request_headers: _Lines = None,
        *,
        request_private_network: _Lines = None,
        upgrade: _Lines = None,
        protocol: _Text | None = None,
        scheme: _Text | None = None,
        host: _Text | None = None,
        sec_fetch_site: _Text | None = None,
    ) -> str: ...
    def decide_asgi(self, scope: Mapping[str, Any], /) -> Decision: ...
    def decide_wsgi(self, environ: dict[str, Any], /) -> Decision: ...
    def __copy__(self) -> Policy: ...
    def __deepcopy__(self, memo: Any, /) -> Policy: ...

@final
class Decision:
    @property
    def kind(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def rule(self) -> int | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def enforced(self) -> bool: ...
    @property
    def upstream(self) -> Literal["replace", "keep"]: ...
    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def headers_bytes(self) -> tuple[tuple[bytes, bytes], ...]: ...
    @property
    def remove(self) -> tuple[str, ...]: ...
    @property
    def vary(self) -> tuple[str, ...]: ...
    def owns(self, name: _Text, /) -> bool: ...
    def merge_vary(self, existing: _Lines = (), /) -> str: ...
    def apply_asgi(
        self, headers: Iterable[Sequence[bytes]], /
    ) -> list[tuple[bytes, bytes]]: ...
    def apply_wsgi(
        self, headers: Iterable[tuple[str, str]], /
    ) -> list[tuple[str, str]]: ...
    def __copy__(self) -> Decision: ...
    def __deepcopy__(self, memo: Any, /) -> Decision: ...

def compile(
    text: bytes, source: bytes, format: int, /
) -> tuple[dict[str, Policy] | None, list[tuple[Any, ...]]]: ...
