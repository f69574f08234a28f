"""Builds libcors._core, the extension, and the library that is in it.

The library is built by cargo and linked in, so that a wheel needs nothing
else. With LIBCORS_SYSTEM=1 in the environment the extension is linked to the
libcors.so that is installed, which pkg-config has to know.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
# A source distribution carries the Rust code along.
BUNDLED = HERE / "rust"
ROOT = BUNDLED if BUNDLED.is_dir() else HERE.parents[1]
# The crates that the library is made of.
CRATES = ["capi", "config", "policy"]

# Free-threaded Pythons have no limited API.
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")


def workspace() -> str:
    path = ROOT / "Cargo.toml"
    if not path.is_file():
        raise SystemExit(
            f"error: {path} is not there: build the package from the "
            "repository of libcors, or from its source distribution"
        )
    return path.read_text(encoding="utf-8")


def version() -> str:
    found = re.search(r'^version = "(.+)"$', workspace(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"error: {ROOT / 'Cargo.toml'} has no version")
    return found[1]


def read(*command: str | Path, **options: object) -> str:
    try:
        result = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=False, **options
        )
    except OSError as error:
        raise SystemExit(
            f"error: cannot run {command[0]}: {error.strerror}"
        ) from None
    if result.returncode != 0:
        words = " ".join(map(str, command))
        raise SystemExit(f"error: `{words}` failed; see what it says above")
    return result.stdout


def cargo() -> str:
    path = os.environ.get("CARGO") or shutil.which("cargo")
    if path is None:
        raise SystemExit(
            "error: cargo is not there, which builds the library: install "
            "Rust 1.95 or later (see https://rustup.rs), or install libcors "
            "and set LIBCORS_SYSTEM=1"
        )
    return path


def rustc() -> str:
    path = os.environ.get("RUSTC") or shutil.which("rustc")
    if path is None:
        raise SystemExit(
            "error: rustc is not in PATH, and cargo needs it: add the folder "
            "of rustc to PATH, or set RUSTC to its path"
        )
    return path


def rustflags() -> str:
    """Flags for all crates: no path of the machine that builds gets in."""
    encoded = os.environ.get("CARGO_ENCODED_RUSTFLAGS")
    if encoded is None:
        flags = os.environ.get("RUSTFLAGS", "").split()
    else:
        flags = [flag for flag in encoded.split("\x1f") if flag]
    home = os.environ.get("CARGO_HOME") or Path.home() / ".cargo"
    rust = read(rustc(), "--print", "sysroot", cwd=ROOT).strip()
    # The last that fits wins, so the more special come later.
    for path, name in [(home, "/cargo"), (rust, "/rust"), (ROOT, "/libcors")]:
        flags.append(f"--remap-path-prefix={path}={name}")
    return "\x1f".join(flags)


def target_dir() -> Path:
    # Cargo takes it as relative to where it is started.
    return ROOT / (os.environ.get("CARGO_TARGET_DIR") or "target")


def build_library() -> tuple[Path, list[str]]:
    """Builds libcors.a; returns it, and what is to be linked with it."""
    program = cargo()
    target = target_dir() / "library" / "python"
    archive = target / "release" / "libcors.a"
    needs = target / "release" / "libcors.native-libraries"
    # The list is written by the compiler, which cargo does not run when the
    # archive is up to date.
    if not needs.is_file():
        archive.unlink(missing_ok=True)
    needs.parent.mkdir(parents=True, exist_ok=True)
    read(
        *(program, "rustc", "--locked", "--release"),
        *("--package", "libcors-capi", "--lib", "--crate-type", "staticlib"),
        *("--target-dir", target, "--", f"--print=native-static-libs={needs}"),
        cwd=ROOT,
        env={**os.environ, "CARGO_ENCODED_RUSTFLAGS": rustflags()},
    )
    return archive, needs.read_text(encoding="utf-8").split()


def pkg_config(what: str) -> list[str]:
    program = os.environ.get("PKG_CONFIG") or shutil.which("pkg-config")
    if program is None:
        raise SystemExit(
            "error: LIBCORS_SYSTEM is set, and pkg-config, which finds the "
            "library, is not there: install it"
        )
    known = subprocess.run([program, "--exists", "libcors"], check=False)
    if known.returncode != 0:
        raise SystemExit(
            "error: LIBCORS_SYSTEM is set, and pkg-config knows no libcors: "
            "install it with its header, set PKG_CONFIG_PATH to the folder of "
            "libcors.pc, or unset LIBCORS_SYSTEM to build the library too"
        )
    return read(program, what, "libcors").split()


class BuildExt(build_ext):
    """Builds the library first."""

    def build_extension(self, extension: Extension) -> None:
        # setuptools looks at the sources alone, and not at the library.
        self.force = True
        if os.environ.get("LIBCORS_SYSTEM", "0") not in ("", "0"):
            extension.extra_compile_args += pkg_config("--cflags")
            extension.extra_link_args += pkg_config("--libs")
        else:
            archive, needs = build_library()
            extension.include_dirs += [str(ROOT / "include")]
            extension.extra_link_args += [str(archive), *hidden(), *needs]
        # What this Python was linked with is of no use to others.
        self.compiler.linker_so = [
            argument
            for argument in self.compiler.linker_so
            if not argument.startswith("-Wl,-rpath")
        ]
        super().build_extension(extension)


def hidden() -> list[str]:
    """Flags of the linker: nothing but the extension's own symbol gets out."""
    if sys.platform == "darwin":
        return ["-Wl,-exported_symbol,_PyInit__core", "-Wl,-dead_strip"]
    return ["-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,--strip-all"]


class Sdist(sdist):
    """Takes the Rust code along."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        rust = Path(base_dir) / "rust"
        if ROOT == BUNDLED:
            shutil.copytree(
                BUNDLED, rust, ignore=shutil.ignore_patterns("target")
            )
            return
        (rust / "include").mkdir(parents=True)
        shutil.copy(ROOT / "include" / "cors.h", rust / "include")
        shutil.copy(ROOT / "Cargo.lock", rust)
        members = ", ".join(f'"crates/{name}"' for name in CRATES)
        manifest, count = re.subn(
            r"^members = .*$",
            f"members = [{members}]",
            workspace(),
            flags=re.MULTILINE,
        )
        if count != 1:
            raise SystemExit("error: Cargo.toml has no line `members = ...`")
        (rust / "Cargo.toml").write_text(manifest, encoding="utf-8")
        for name in CRATES:
            crate = rust / "crates" / name
            shutil.copytree(ROOT / "crates" / name / "src", crate / "src")
            manifest = ROOT / "crates" / name / "Cargo.toml"
            # What tests depend on is left behind.
            text = re.sub(
                r"(?ms)^\[dev-dependencies\]\n.*?(?=^\[|\Z)",
                "",
                manifest.read_text(encoding="utf-8"),
            )
            (crate / "Cargo.toml").write_text(text, encoding="utf-8")
        # Takes out of Cargo.lock what is not there any more.
        read(
            *(cargo(), "metadata", "--format-version=1", "--offline"),
            cwd=rust,
        )


macros: list[tuple[str, str | None]] = [
    ("LIBCORS_PYTHON_VERSION", f'"{version()}"')
]
if LIMITED:
    macros.append(("Py_LIMITED_API", "0x030A0000"))

options: dict[str, dict[str, str]] = {
    # Not here, so that the folder stays as it is.
    "build": {"build_base": str(target_dir() / "python" / "build")},
}
if LIMITED:
    options["bdist_wheel"] = {"py_limited_api": "cp310"}

setup(
    version=version(),
    ext_modules=[
        Extension(
            "libcors._core",
            ["src/libcors/_core.c"],
            define_macros=macros,
            extra_compile_args=["-std=c11", "-fvisibility=hidden"],
            py_limited_api=LIMITED,
        )
    ],
    cmdclass={"build_ext": BuildExt, "sdist": Sdist},
    options=options,
)
