"""The blocks of code in the documentation."""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


@dataclass(frozen=True)
class Block:
    file: str
    line: int
    # Of the heading above.
    section: str
    # Such as "python".
    kind: str
    text: str

    @property
    def name(self) -> str | None:
        """The name of the file that the first line gives."""
        found = re.match(r"# (\S+\.(?:py|toml))\n", self.text)
        return found[1] if found else None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def blocks(file: str) -> list[Block]:
    found = []
    section = ""
    start, kind, lines = 0, "", list[str]()
    text = (DOCS / file).read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.strip().startswith("```")
        if not start and fence:
            start, kind, lines = number, line.strip()[3:], []
        elif fence:
            block = textwrap.dedent("\n".join([*lines, ""]))
            found.append(Block(file, start, section, kind, block))
            start = 0
        elif start:
            lines.append(line)
        elif line.startswith("#"):
            section = line.lstrip("# ")
    assert not start, f"{file}:{start} does not end"
    return found


MIDDLEWARE = blocks("python-middleware.md")
PACKAGE = blocks("python.md")


@dataclass(frozen=True)
class Application:
    """Files that are shown, and the commands that serve them."""

    section: str
    files: dict[str, str]
    commands: list[str]


def applications() -> list[Application]:
    found = []
    files: dict[str, str] = {}
    for block in MIDDLEWARE:
        if block.kind == "python" and block.name is not None:
            files[block.name] = block.text
        elif block.kind == "sh" and files:
            commands = block.text.splitlines()
            found.append(Application(block.section, files, commands))
            files = {}
    assert not files, f"{files} have no command"
    return found


# The one that the others are shown with.
POLICY_FILE = next(block.text for block in MIDDLEWARE if block.kind == "toml")
APPLICATIONS = applications()

# What is not in requirements.txt, but in more-requirements.txt.
MORE_PROGRAMS = ("daphne", "granian", "uwsgi")
MORE_SECTIONS = ("Falcon", "Bottle", "aiohttp", "Tornado", "Sanic")
# Frameworks without types, or with such that do not fit their documentation.
UNTYPED_SECTIONS = ("Bottle", "Sanic")


def write_for_mypy(folder: Path, with_more: bool) -> None:
    """Write the files that are shown, each with a name of its own."""
    left_out = UNTYPED_SECTIONS + (() if with_more else MORE_SECTIONS)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.py"):
        old.unlink()
    for number, application in enumerate(APPLICATIONS):
        if application.section in left_out:
            continue
        for name, text in application.files.items():
            (folder / f"s{number}_{name.replace('/', '_')}").write_text(text)


if __name__ == "__main__":
    write_for_mypy(Path(sys.argv[1]), with_more="more" in sys.argv[2:])
