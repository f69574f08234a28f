//! `cargo xtask python`: the Python package, and its tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    fail,
    install::{self, Stage},
    library::{self, Library, Variant},
    packages::{self, Need},
    run::{self, Context as _, Error, Result},
    totals, venv,
};

/// The arguments of `cargo xtask python`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Build the wheel, and test nothing
    #[arg(long)]
    wheel: bool,
    /// Make a virtual environment with the package and all that its tests,
    /// examples and benches need, and test nothing
    #[arg(long, conflicts_with = "wheel")]
    venv: bool,
    /// Leave out what takes long: other Pythons, the source distribution, and
    /// some servers and frameworks
    #[arg(long, conflicts_with_all = ["wheel", "venv"])]
    quick: bool,
    /// Another Python to test with, beside those that are found
    #[arg(long, value_name = "PROGRAM")]
    python: Vec<PathBuf>,
}

/// Runs `cargo xtask python`.
pub fn command(arguments: &Arguments) -> Result {
    if arguments.wheel {
        let wheel = Package::new()?.wheel()?;
        let size = fs::metadata(&wheel).context(wheel.display())?.len();
        run::say(format_args!("{} ({size} bytes)", wheel.display()));
        return Ok(());
    }
    if arguments.venv {
        run::say(program()?.display());
        return Ok(());
    }
    let count = check_with(arguments.quick, &arguments.python)?;
    run::say(format_args!("python: {count} checks passed"));
    Ok(())
}

/// A Python that has the package, and all that its tests, examples and benches
/// need.
pub fn program() -> Result<PathBuf> {
    let package = Package::new()?;
    let venv = package.venv("main")?;
    venv.install(&package.wheel()?)?;
    Ok(venv.program())
}

/// Builds the package and tests it; returns the number of tests.
pub fn check(quick: bool) -> Result<usize> {
    check_with(quick, &[])
}

fn check_with(quick: bool, others: &[PathBuf]) -> Result<usize> {
    packages::ensure(&[
        Need::Program("gcc", "gcc"),
        Need::Program("pkg-config", "pkg-config"),
    ])?;
    let package = Package::new()?;
    let shared = library::build(&Variant::default())?;
    let mut count = package.compiles_without_warnings()?;
    let wheel = package.wheel()?;
    count += check_wheel(&wheel)?;

    let (name, tests) = match quick {
        true => ("main", Tests::Quick),
        false => ("more", Tests::All),
    };
    let venv = package.venv(name)?;
    venv.install(&wheel)?;
    venv.types(tests)?;
    count += 1;
    count += venv.pytest(tests, |_| ())?;
    count += package.refuses()?;
    count += package.system_library(&shared)?;
    if quick {
        return Ok(count);
    }
    count += package.source_distribution()?;
    for python in find_others(&package.python, others)? {
        let other = Package { python };
        let name = other.python.version.clone();
        let wheel = match other.python.limited {
            true => wheel.clone(),
            false => other.wheel()?,
        };
        let venv = other.venv(&name)?;
        venv.install(&wheel)?;
        count += venv.pytest(Tests::Core, |_| ())?;
    }
    Ok(count)
}

/// What a build needs of the machine.
pub const NEEDS: [Need; 4] = [
    Need::Program("python3", "python3"),
    Need::Program("python3-config", "python3-dev"),
    Need::Python("ensurepip", "python3-venv"),
    Need::Program("cc", "gcc"),
];

/// Fetches all that [`check`] needs of Python's registry, if it is quick.
pub fn fetch() -> Result {
    let package = Package::new()?;
    for name in ["main", "system", &package.build_venv()] {
        package.venv(name)?;
    }
    Ok(())
}

/// The folder of the package.
const FOLDER: &str = "bindings/python";

/// An interpreter.
#[derive(Clone, Debug)]
struct Python {
    program: PathBuf,
    /// Such as `3.11`, or `3.14t` if it is free-threaded.
    version: String,
    /// Whether it takes extensions of the limited API.
    limited: bool,
    /// The folder of `Python.h`.
    include: PathBuf,
}

impl Python {
    fn ask(program: PathBuf) -> Result<Python> {
        const QUESTION: &str = "\
import sys, sysconfig
free = bool(sysconfig.get_config_var('Py_GIL_DISABLED'))
version = '%d.%d' % sys.version_info[:2] + 't' * free
print(sys.executable, version, sysconfig.get_path('include'), sep='\\n')";
        let answer = run::read(run::command(&program).args(["-c", QUESTION]))?;
        let mut lines = answer.lines();
        let mut next = || lines.next().unwrap_or_default().to_owned();
        let (program, version, include) = (next(), next(), next());
        Ok(Python {
            program: program.into(),
            limited: !version.ends_with('t'),
            version,
            include: include.into(),
        })
    }

    fn minor(&self) -> u32 {
        let digits = self.version.trim_start_matches("3.");
        digits.trim_end_matches('t').parse().unwrap_or(0)
    }

    fn folder() -> PathBuf {
        run::target().join("python")
    }
}

/// The Pythons beside the main one that can be had here: those with a name of
/// their own, and those of pyenv.
fn find_others(main: &Python, more: &[PathBuf]) -> Result<Vec<Python>> {
    let mut programs = more.to_vec();
    for minor in 10..30 {
        for name in [format!("python3.{minor}"), format!("python3.{minor}t")] {
            programs.extend(run::find(&name));
        }
    }
    if run::exists("pyenv") {
        let root = run::read(run::command("pyenv").arg("root"))?;
        let root = Path::new(root.trim()).join("versions");
        let versions =
            run::read(run::command("pyenv").args(["versions", "--bare"]))?;
        for version in versions.lines() {
            programs.push(root.join(version).join("bin/python3"));
        }
    }
    let mut pythons = vec![main.clone()];
    for (i, program) in programs.into_iter().enumerate() {
        // One that was asked for must work. The others may be names alone.
        let python = match Python::ask(program) {
            Err(error) if i < more.len() => return Err(error),
            Err(_) => continue,
            Ok(python) => python,
        };
        let known = pythons.iter().any(|p| p.version == python.version);
        if python.minor() >= 10 && (!known || i < more.len()) {
            pythons.push(python);
        }
    }
    Ok(pythons.split_off(1))
}

/// The extension of the wheel.
pub fn extension() -> Result<PathBuf> {
    let package = Package::new()?;
    let out = Python::folder().join("extension");
    let _ = fs::remove_dir_all(&out);
    run::read(
        run::command("python3")
            .args(["-m", "zipfile", "-e"])
            .args([package.wheel()?, out.clone()]),
    )?;
    match &files(&out.join("libcors"), "so")?[..] {
        [extension] => Ok(extension.clone()),
        other => fail!("one extension was to be built, not {other:?}"),
    }
}

/// The package, built for one Python.
struct Package {
    python: Python,
}

impl Package {
    /// For the Python that is found first.
    fn new() -> Result<Package> {
        packages::ensure(&NEEDS)?;
        let python = Python::ask("python3".into())?;
        if python.minor() < 10 {
            fail!(
                "{} is Python {}; 3.10 or later is needed",
                python.program.display(),
                python.version
            );
        }
        Ok(Package { python })
    }

    /// The virtual environment of a name, with what tests need.
    fn venv(&self, name: &str) -> Result<Venv> {
        let read = |name: &str| {
            let path = format!("{FOLDER}/tests/{name}");
            fs::read_to_string(run::root().join(&path)).context(&path)
        };
        let mut needs = read("requirements.txt")?;
        if name == "more" {
            needs += &read("more-requirements.txt")?;
        } else if name != "main" {
            const CORE: [&str; 3] = ["pytest", "setuptools", "tomli"];
            needs = needs
                .lines()
                .filter(|line| CORE.iter().any(|name| line.starts_with(name)))
                .map(|line| format!("{line}\n"))
                .collect();
        }
        Venv::new(&Python::folder().join("venv").join(name), self, &needs)
    }

    /// The name of the virtual environment that builds.
    fn build_venv(&self) -> String {
        format!("build-{}", self.python.version)
    }

    /// Builds the wheel.
    fn wheel(&self) -> Result<PathBuf> {
        let root = run::root().join(FOLDER);
        self.wheel_of(&root, &Python::folder().join("wheels"))
    }

    /// Builds the wheel of a source tree, into a folder.
    fn wheel_of(&self, source: &Path, out: &Path) -> Result<PathBuf> {
        let _ = fs::remove_dir_all(out);
        let venv = self.venv(&self.build_venv())?;
        // setuptools would find what was there before.
        let _ = fs::remove_dir_all(Python::folder().join("build"));
        run::read(&mut build_command(venv.wheel(source, out)))?;
        match &files(out, "whl")?[..] {
            [wheel] => Ok(wheel.clone()),
            other => fail!("one wheel was to be built, not {other:?}"),
        }
    }

    /// Compiles the extension with all warnings that matter.
    fn compiles_without_warnings(&self) -> Result<usize> {
        const FLAGS: [&str; 8] = [
            "-std=c11",
            "-O2",
            "-fsyntax-only",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wshadow",
            "-Wstrict-prototypes",
        ];
        let mut kinds = vec![vec!["-DPy_LIMITED_API=0x030A0000"], vec![]];
        if self.python.minor() >= 13 {
            kinds.push(vec!["-DPy_GIL_DISABLED=1"]);
        }
        let mut compilers = vec!["gcc"];
        if packages::offer(&[Need::Program("clang", "clang")]) {
            compilers.push("clang");
        }
        let mut count = 0;
        for compiler in compilers {
            for kind in &kinds {
                run::read(
                    run::command(compiler)
                        .args(FLAGS)
                        .args(kind)
                        .arg("-isystem")
                        .arg(&self.python.include)
                        .arg("-Iinclude")
                        .arg(format!("{FOLDER}/src/libcors/_core.c")),
                )?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// What is missing is said clearly.
    fn refuses(&self) -> Result<usize> {
        let venv = self.venv(&self.build_venv())?;
        let out = Python::folder().join("refused");
        let empty = out.join("empty");
        fs::create_dir_all(&empty).context(empty.display())?;
        let root = run::root().join(FOLDER);
        let build = || build_command(venv.wheel(&root, &out));

        let mut no_cargo = build();
        no_cargo.env("PATH", &empty).env_remove("CARGO");
        fails(&mut no_cargo, &["cargo is not there", "install Rust 1.95"])?;

        // cargo is found by its path here, and rustc is not.
        let mut no_rustc = build();
        no_rustc.env("PATH", &empty).env_remove("RUSTC");
        fails(&mut no_rustc, &["rustc is not in PATH", "set RUSTC"])?;

        let mut wrong_cargo = build();
        wrong_cargo.env("CARGO", empty.join("cargo"));
        fails(&mut wrong_cargo, &["cannot run", "No such file"])?;

        let mut no_pkg_config = build();
        no_pkg_config
            .env("PATH", &empty)
            .env_remove("PKG_CONFIG")
            .env("LIBCORS_SYSTEM", "1");
        fails(&mut no_pkg_config, &["pkg-config", "is not there"])?;

        let mut no_library = build();
        no_library
            .env("PKG_CONFIG_LIBDIR", &empty)
            .env_remove("PKG_CONFIG_PATH")
            .env("LIBCORS_SYSTEM", "1");
        fails(&mut no_library, &["pkg-config knows no libcors"])?;
        Ok(5)
    }

    /// The package with the library that is installed.
    fn system_library(&self, library: &Library) -> Result<usize> {
        let stage = install::stage(library)?;
        let staged = |command: &mut Command| {
            for (name, value) in stage.command("").get_envs() {
                if let Some(value) = value {
                    command.env(name, value);
                }
            }
            command.env("LIBCORS_SYSTEM", "1");
        };
        let venv = self.venv("system")?;
        let out = Python::folder().join("system");
        let _ = fs::remove_dir_all(&out);
        let mut build =
            build_command(venv.wheel(&run::root().join(FOLDER), &out));
        staged(&mut build);
        run::read(&mut build)?;
        let [wheel] = &files(&out, "whl")?[..] else {
            fail!("no wheel for the library of the system was built");
        };
        venv.install(wheel)?;

        let extension = extension_of(wheel)?;
        let needed =
            run::read(run::command("readelf").arg("-d").arg(&extension))?;
        if !needed.contains(&library::soname()?) {
            fail!("the extension is not linked to the library\n{needed}");
        }

        // Another ABI is refused, with both numbers.
        let other = out.join("other-abi.so");
        let source = out.join("other-abi.c");
        fs::write(&source, "unsigned cors_abi_version(void) { return 99; }\n")
            .context(source.display())?;
        run::read(
            run::command("cc")
                .args(["-shared", "-fPIC", "-o"])
                .args([&other, &source]),
        )?;
        let mut import = venv.python();
        staged(&mut import);
        import.env("LD_PRELOAD", &other).args(["-c", "import libcors"]);
        let ours = library::abi_version()?;
        let built_for = format!("built for version {ours}");
        fails(&mut import, &["ImportError", "ABI version 99", &built_for])?;

        let count = venv.pytest(Tests::Core, staged)?;
        Ok(2 + count + self.sanitized(&venv, &stage)?)
    }

    /// The same tests, with the compiler's address and undefined-behaviour
    /// sanitizers in the extension.
    fn sanitized(&self, venv: &Venv, stage: &Stage) -> Result<usize> {
        let where_is = "import libcors._core; print(libcors._core.__file__)";
        let extension =
            run::read(stage.command(venv.program()).args(["-c", where_is]))?;
        let version = format!("\"{}\"", library::VERSION);
        run::read(
            run::command("gcc")
                .args(["-std=c11", "-O1", "-g", "-shared", "-fPIC"])
                .arg("-fsanitize=address,undefined")
                .arg("-fno-sanitize-recover=undefined")
                .arg("-DPy_LIMITED_API=0x030A0000")
                .arg(format!("-DLIBCORS_PYTHON_VERSION={version}"))
                .arg("-isystem")
                .arg(&self.python.include)
                .arg("-Iinclude")
                .arg(format!("{FOLDER}/src/libcors/_core.c"))
                .arg("-L")
                .arg(stage.libdir())
                .args(["-lcors", "-o", extension.trim()]),
        )?;
        let mut preload = String::new();
        for name in ["libasan.so", "libubsan.so"] {
            let name = format!("-print-file-name={name}");
            let path = run::read(run::command("gcc").arg(name))?;
            preload.push_str(path.trim());
            preload.push(' ');
        }
        run::say("  with sanitizers:");
        venv.pytest(Tests::Core, |command| {
            command
                .env("LD_LIBRARY_PATH", stage.libdir())
                .env("LD_PRELOAD", &preload)
                // Python itself keeps memory till the end; what leaks is found
                // by counting. Its own allocator would hide mistakes.
                .env("ASAN_OPTIONS", "detect_leaks=0")
                .env("PYTHONMALLOC", "malloc")
                .arg("--deselect=tests/test_threads.py::test_no_leak");
        })
    }

    /// A wheel that is built from the source distribution, elsewhere.
    fn source_distribution(&self) -> Result<usize> {
        const BUILD: &str = "\
import sys, setuptools.build_meta
setuptools.build_meta.build_sdist(sys.argv[1])";
        let venv = self.venv(&self.build_venv())?;
        let out = Python::folder().join("sdist");
        let _ = fs::remove_dir_all(&out);
        let mut build = venv.python();
        build
            .current_dir(run::root().join(FOLDER))
            .args(["-c", BUILD])
            .arg(&out);
        run::read(&mut build_command(build))?;
        let [archive] = &files(&out, "gz")?[..] else {
            fail!("no source distribution was built");
        };
        // Not in a temporary folder, so that what is built is kept.
        let tree = Python::folder().join("sdist-tree");
        let _ = fs::remove_dir_all(&tree);
        fs::create_dir_all(&tree).context(tree.display())?;
        run::read(
            run::command("tar")
                .args(["--strip-components=1", "-xzf"])
                .arg(archive)
                .arg("-C")
                .arg(&tree),
        )?;
        let wheels = out.join("wheels");
        let mut build = build_command(venv.wheel(&tree, &wheels));
        build.env("CARGO_TARGET_DIR", Python::folder().join("sdist-target"));
        run::read(&mut build)?;
        let [wheel] = &files(&wheels, "whl")?[..] else {
            fail!("no wheel was built from the source distribution");
        };
        let count = check_wheel(wheel)?;
        let venv = self.venv("sdist")?;
        venv.install(wheel)?;
        Ok(count + venv.pytest(Tests::Core, |_| ())?)
    }
}

/// What the wheel must be like.
fn check_wheel(wheel: &Path) -> Result<usize> {
    let extension = extension_of(wheel)?;
    let nm = |what: &str| {
        let mut command = run::command("nm");
        run::read(command.args(["--dynamic", what]).arg(&extension))
    };
    let defined = nm("--defined-only")?;
    let exported: Vec<_> = defined
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    if exported != ["PyInit__core"] {
        fail!("the extension exports {exported:?}");
    }
    if nm("--undefined-only")?.contains("cors_") {
        fail!("the library is not in the extension");
    }
    let bytes = fs::read(&extension).context(extension.display())?;
    for path in install::local_paths() {
        if install::contains(&bytes, path.as_bytes()) {
            fail!("the extension names {path}");
        }
    }
    for name in ["__init__.py", "_core.pyi", "py.typed"] {
        let path = extension.with_file_name(name);
        if !path.is_file() {
            fail!("{} has no {name}", wheel.display());
        }
    }
    Ok(4)
}

/// Unpacks a wheel, and finds its extension.
fn extension_of(wheel: &Path) -> Result<PathBuf> {
    let dir = wheel.with_extension("unpacked");
    let _ = fs::remove_dir_all(&dir);
    run::read(
        run::command("python3")
            .args(["-m", "zipfile", "-e"])
            .args([wheel, &dir]),
    )?;
    match &files(&dir.join("libcors"), "so")?[..] {
        [extension] => Ok(extension.clone()),
        other => {
            fail!("{} has not one extension, but {other:?}", wheel.display())
        }
    }
}

/// The files of a folder with this ending.
fn files(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).context(dir.display())? {
        let path = entry.context(dir.display())?.path();
        if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
    Ok(files)
}

/// A command that builds the package: it gets our cargo and target folder.
fn build_command(mut command: Command) -> Command {
    let cargo = run::cargo();
    for (name, value) in cargo.get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    command
        .env("CARGO", cargo.get_program())
        .env("CARGO_TARGET_DIR", run::target());
    command
}

/// Runs a command that must fail, and say these things.
fn fails(command: &mut Command, words: &[&str]) -> Result {
    let output = run::output(command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let missing: Vec<_> =
        words.iter().filter(|word| !text.contains(**word)).collect();
    if output.status.success() || !missing.is_empty() {
        fail!(
            "this was to fail, and to say {words:?}: {}\n{text}",
            output.status
        );
    }
    Ok(())
}

/// Which tests to run.
#[derive(Clone, Copy)]
enum Tests {
    /// All, those with servers and frameworks included.
    All,
    /// All but those that need more servers and frameworks, or take long.
    Quick,
    /// Those that need nothing but pytest.
    Core,
}

impl Tests {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Tests::All => &["tests"],
            Tests::Quick => &["tests", "-m", "not more"],
            Tests::Core => &[
                "tests/test_api.py",
                "tests/test_errors.py",
                "tests/test_hostile.py",
                "tests/test_suite.py",
                "tests/test_threads.py",
            ],
        }
    }
}

/// A virtual environment of Python.
struct Venv {
    dir: PathBuf,
    version: String,
}

impl Venv {
    /// Makes it, unless it is there with these requirements.
    fn new(dir: &Path, package: &Package, needs: &str) -> Result<Venv> {
        let venv = Venv {
            dir: dir.to_owned(),
            version: package.python.version.clone(),
        };
        let what = "the Python packages to build and test with";
        venv::ensure(&package.python.program, dir, what, needs)?;
        Ok(venv)
    }

    fn program(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    fn python(&self) -> Command {
        let mut command = run::command(self.program());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn pip(&self, what: &str) -> Command {
        let mut command = self.python();
        command.args(["-m", "pip", what, "--quiet", "--no-input"]);
        command.arg("--disable-pip-version-check");
        command
    }

    /// The command that builds the wheel of a source tree, into a folder.
    fn wheel(&self, source: &Path, out: &Path) -> Command {
        let mut command = self.pip("wheel");
        command
            .args(["--no-deps", "--no-build-isolation", "--wheel-dir"])
            .args([out, source]);
        command
    }

    fn install(&self, wheel: &Path) -> Result {
        run::read(
            self.pip("install")
                .args(["--no-deps", "--force-reinstall"])
                .arg(wheel),
        )?;
        Ok(())
    }

    /// Checks the types, also of what the documentation shows, and that those
    /// of the extension are told rightly.
    fn types(&self, tests: Tests) -> Result {
        run::say("  mypy");
        let shown = Python::folder().join("documents");
        let folder = run::root().join(FOLDER);
        let mut write = self.python();
        write.current_dir(&folder).arg("tests/documents.py").arg(&shown);
        if matches!(tests, Tests::All) {
            write.arg("more");
        }
        run::read(&mut write)?;
        run::read(
            self.python()
                .current_dir(&folder)
                .args(["-m", "mypy", "--cache-dir=/dev/null", "src", "tests"])
                .arg("../../examples/python")
                .arg(&shown),
        )?;
        run::read(self.python().args([
            "-m",
            "mypy.stubtest",
            "libcors._core",
        ]))?;
        Ok(())
    }

    /// Runs tests; returns how many passed.
    fn pytest(
        &self,
        tests: Tests,
        prepare: impl Fn(&mut Command),
    ) -> Result<usize> {
        let name = self.dir.file_name().unwrap_or_default().display();
        run::say(format_args!("  pytest, Python {} ({name})", self.version));
        let mut command = self.python();
        command
            .current_dir(run::root().join(FOLDER))
            .env("CORS_SO", Library::built().shared())
            .args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"])
            .args(tests.arguments());
        prepare(&mut command);
        let text = run::read(&mut command)?;
        let summary = text.lines().last().unwrap_or_default();
        run::say(format_args!("    {summary}"));
        match totals::number_before(summary, " passed") {
            0 => Err(Error::new(format!("pytest ran no test\n{text}"))),
            count => Ok(count),
        }
    }
}
