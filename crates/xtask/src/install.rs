//! `cargo xtask install`: the library, where programs find it.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    fail,
    library::{self, Library, VERSION, Variant},
    packages::{self, Need},
    run::{self, Context, Result},
};

/// The arguments of `cargo xtask install`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where the library will live
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// For the libraries [default: PREFIX/lib]
    #[arg(long, value_name = "DIR")]
    libdir: Option<PathBuf>,
    /// For cors.h [default: PREFIX/include]
    #[arg(long, value_name = "DIR")]
    includedir: Option<PathBuf>,
    /// Put everything below this folder, for packages
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// Remove what was installed
    #[arg(long)]
    uninstall: bool,
    /// Install into a temporary folder, and build programs with that
    #[arg(long, conflicts_with_all = ["prefix", "destdir", "uninstall"])]
    check: bool,
}

/// Runs `cargo xtask install`.
pub fn command(arguments: &Arguments) -> Result {
    if arguments.check {
        let library = library::build(&Variant::default())?;
        let count = check(&stage(&library)?)?;
        run::say(format_args!("install: {count} checks passed"));
        return Ok(());
    }
    let layout = Layout {
        prefix: arguments.prefix.clone(),
        libdir: arguments
            .libdir
            .clone()
            .unwrap_or_else(|| arguments.prefix.join("lib")),
        includedir: arguments
            .includedir
            .clone()
            .unwrap_or_else(|| arguments.prefix.join("include")),
        destdir: arguments.destdir.clone().unwrap_or_default(),
    };
    for dir in [&layout.prefix, &layout.libdir, &layout.includedir] {
        if !dir.is_absolute() {
            fail!("{}: the path must start with /", dir.display());
        }
    }
    if arguments.uninstall {
        return uninstall(&layout);
    }
    // What was built is installed, and nothing is built here: the one who
    // installs is often not the one who builds.
    let library = Library::built();
    for file in [library.shared(), library.archive()] {
        if !file.is_file() {
            fail!("{}: not there; run `make` first", file.display());
        }
    }
    install(&library, &layout)?;
    for (path, _) in files(&layout)? {
        run::say(path.display());
    }
    Ok(())
}

/// Where things go.
#[derive(Debug)]
struct Layout {
    prefix: PathBuf,
    libdir: PathBuf,
    includedir: PathBuf,
    destdir: PathBuf,
}

impl Layout {
    /// Where something is put that will live at `path`.
    fn place(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        match self.destdir.as_os_str().is_empty() {
            true => path.to_path_buf(),
            false => self.destdir.join(path.strip_prefix("/").unwrap_or(path)),
        }
    }

    fn cmake(&self) -> PathBuf {
        self.libdir.join("cmake/libcors")
    }
}

/// What a file is made of.
enum Content {
    Shared,
    Archive,
    Header,
    Link(String),
    Template(&'static str),
}

/// All files, where they are put.
fn files(layout: &Layout) -> Result<Vec<(PathBuf, Content)>> {
    let library = |name: &str| layout.place(layout.libdir.join(name));
    let cmake = |name: &str| layout.place(layout.cmake().join(name));
    let (soname, real_name) = (library::soname()?, library::real_name()?);
    Ok(vec![
        (library(&real_name), Content::Shared),
        (library(&soname), Content::Link(real_name)),
        (library("libcors.so"), Content::Link(soname)),
        (library("libcors.a"), Content::Archive),
        (layout.place(layout.includedir.join("cors.h")), Content::Header),
        (library("pkgconfig/libcors.pc"), Content::Template("libcors.pc.in")),
        (
            cmake("libcorsConfig.cmake"),
            Content::Template("libcorsConfig.cmake.in"),
        ),
        (
            cmake("libcorsConfigVersion.cmake"),
            Content::Template("libcorsConfigVersion.cmake.in"),
        ),
    ])
}

fn install(library: &Library, layout: &Layout) -> Result {
    for (path, content) in files(layout)? {
        let place = path.display();
        let dir = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(dir).context(dir.display())?;
        // Replaced, not overwritten: a program may run with the old file.
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let source = match content {
            Content::Link(to) => {
                symlink(to, &new).context(&place)?;
                None
            }
            Content::Template(name) => {
                let text = fill(name, library, layout)?;
                fs::write(&new, text).context(&place)?;
                None
            }
            Content::Shared => Some(library.shared()),
            Content::Archive => Some(library.archive()),
            Content::Header => Some(run::root().join("include/cors.h")),
        };
        if let Some(source) = source {
            fs::copy(&source, &new).context(&place)?;
        }
        if !new.is_symlink() {
            let mode = fs::Permissions::from_mode(0o644);
            fs::set_permissions(&new, mode).context(&place)?;
        }
        fs::rename(&new, &path).context(&place)?;
    }
    Ok(())
}

/// A template of `packaging/`, filled in.
fn fill(name: &str, library: &Library, layout: &Layout) -> Result<String> {
    let path = run::root().join("packaging").join(name);
    let text = fs::read_to_string(&path).context(path.display())?;
    let path = |path: &Path| path.display().to_string();
    let (includedir, static_libs) = match name.ends_with(".cmake.in") {
        true => (
            path(&relative(&layout.cmake(), &layout.includedir)),
            library.native_libraries()?.join(";"),
        ),
        false => {
            (path(&layout.includedir), library.native_libraries()?.join(" "))
        }
    };
    let text = text
        .replace("@PREFIX@", &path(&layout.prefix))
        .replace("@LIBDIR@", &path(&layout.libdir))
        .replace("@INCLUDEDIR@", &includedir)
        .replace("@STATIC_LIBS@", &static_libs)
        .replace("@VERSION@", VERSION)
        .replace("@VERSION_MAJOR@", env!("CARGO_PKG_VERSION_MAJOR"))
        .replace("@POINTER_SIZE@", &size_of::<usize>().to_string())
        .replace("@SONAME@", &library::soname()?)
        .replace("@REAL_NAME@", &library::real_name()?);
    Ok(text)
}

/// The way from one folder to another.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common =
        from.components().zip(to.components()).take_while(|(a, b)| a == b);
    let common = common.count();
    let up = from.components().skip(common).map(|_| "..");
    up.collect::<PathBuf>()
        .join(to.components().skip(common).collect::<PathBuf>())
}

fn uninstall(layout: &Layout) -> Result {
    for (path, _) in files(layout)? {
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).context(path.display())?;
        }
    }
    // It holds nothing but what is ours; if it does, it stays.
    let _ = fs::remove_dir(layout.place(layout.cmake()));
    Ok(())
}

/// The library, installed in a folder of its own.
#[derive(Debug)]
pub struct Stage {
    prefix: PathBuf,
}

impl Stage {
    /// The folder of the libraries.
    pub fn libdir(&self) -> PathBuf {
        self.prefix.join("lib")
    }

    /// A command for which the library is installed.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = run::command(program);
        command
            .env("PKG_CONFIG_PATH", self.libdir().join("pkgconfig"))
            .env("CMAKE_PREFIX_PATH", &self.prefix)
            .env("LD_LIBRARY_PATH", self.libdir());
        command
    }

    /// What pkg-config says.
    pub fn pkg_config(&self, arguments: &[&str]) -> Result<Vec<String>> {
        let text = run::read(
            self.command("pkg-config").args(arguments).arg("libcors"),
        )?;
        Ok(text.split_whitespace().map(str::to_string).collect())
    }
}

/// Installs a library into a temporary folder.
pub fn stage(library: &Library) -> Result<Stage> {
    let name = library
        .dir()
        .strip_prefix(run::target())
        .unwrap_or(Path::new(""))
        .display()
        .to_string()
        .replace('/', "-");
    let base = run::target().join("stage").join(name);
    let _ = fs::remove_dir_all(&base);
    // As a package is made, and then unpacked.
    let prefix = base.join("usr");
    let layout = Layout {
        libdir: prefix.join("lib"),
        includedir: prefix.join("include"),
        prefix,
        destdir: PathBuf::new(),
    };
    install(library, &layout)?;
    Ok(Stage { prefix: layout.prefix })
}

/// Builds the example with what is installed, in each way that is offered, and
/// runs it; returns the number of checks.
pub fn check(stage: &Stage) -> Result<usize> {
    packages::ensure(&[
        Need::Program("cc", "gcc"),
        Need::Program("pkg-config", "pkg-config"),
    ])?;
    let out = run::target().join("stage/programs");
    fs::create_dir_all(&out).context(out.display())?;
    let mut count = 0;

    let shared = out.join("decide-shared");
    run::read(
        stage
            .command("cc")
            .args(EXAMPLE_FLAGS)
            .arg("examples/c/cors-decide.c")
            .args(stage.pkg_config(&["--cflags", "--libs"])?)
            .arg("-o")
            .arg(&shared),
    )?;
    decides(stage, &shared, true)?;
    count += 1;

    // As the header says.
    let linked_in = out.join("decide-static");
    run::read(
        stage
            .command("cc")
            .args(EXAMPLE_FLAGS)
            .arg("examples/c/cors-decide.c")
            .args(stage.pkg_config(&["--cflags", "--libs-only-L"])?)
            .arg("-l:libcors.a")
            .args(stage.pkg_config(&["--variable=static_libs"])?)
            .arg("-o")
            .arg(&linked_in),
    )?;
    decides(stage, &linked_in, false)?;
    count += 1;

    if packages::offer(&[Need::Program("cmake", "cmake")]) {
        let build = out.join("cmake");
        let _ = fs::remove_dir_all(&build);
        run::read(
            stage
                .command("cmake")
                .args(["-S", "tests/c/cmake", "-B"])
                .arg(&build),
        )?;
        run::read(stage.command("cmake").arg("--build").arg(&build))?;
        decides(stage, &build.join("decide-shared"), true)?;
        decides(stage, &build.join("decide-static"), false)?;
        count += 2;
    }

    // In a package, and removed from it again.
    let destdir = out.join("package");
    let _ = fs::remove_dir_all(&destdir);
    let layout = Layout {
        prefix: "/usr".into(),
        libdir: "/usr/lib/x86_64-linux-gnu".into(),
        includedir: "/usr/include".into(),
        destdir: destdir.clone(),
    };
    install(&Library::built(), &layout)?;
    let installed = files_below(&destdir)?;
    let expected = files(&layout)?.len();
    if installed.len() != expected {
        fail!("{expected} files were to be installed, but it is {installed:?}");
    }
    for file in &installed {
        let text = fs::read(file).context(file.display())?;
        let place = destdir.display().to_string();
        if contains(&text, place.as_bytes()) {
            fail!("{} names the folder it was built in", file.display());
        }
    }
    uninstall(&layout)?;
    let left = files_below(&destdir)?;
    if !left.is_empty() {
        fail!("not removed by `make uninstall`: {left:?}");
    }
    Ok(count + 1)
}

/// What the example is built with beside pkg-config's flags.
const EXAMPLE_FLAGS: [&str; 6] =
    ["-std=gnu99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror"];

/// Whether a program that was built from the example works.
fn decides(stage: &Stage, program: &Path, shared: bool) -> Result {
    for (origin, code, words) in [
        ("https://app.example.com", 0, "set       Access-Control-Allow-Origin"),
        ("https://evil.example", 1, "reason    origin_not_allowed"),
    ] {
        let mut command = stage.command(program);
        if !shared {
            command.env_remove("LD_LIBRARY_PATH");
        }
        let output = run::output(
            command
                .args(["examples/policies/quickstart.toml", "api", "GET"])
                .arg(format!("Origin: {origin}")),
        )?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(code) || !text.contains(words) {
            let errors = String::from_utf8_lossy(&output.stderr);
            fail!(
                "{} for {origin}: {}, not {code} and \"{words}\"\n{text}{errors}",
                program.display(),
                output.status
            );
        }
    }
    let needed = run::read(run::command("readelf").arg("-d").arg(program))?;
    if needed.contains(&library::soname()?) != shared {
        fail!(
            "{} is not linked to the library that was meant\n{needed}",
            program.display()
        );
    }
    Ok(())
}

fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).context(dir.display())? {
        let path = entry.context(dir.display())?.path();
        match path.is_dir() {
            true => files.extend(files_below(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

/// Whether bytes stand in a file.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

/// The paths of this machine that nothing that is shipped may name.
pub fn local_paths() -> Vec<String> {
    let mut paths = vec![run::root().display().to_string()];
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME"] {
        if let Ok(path) = env::var(name) {
            // A short one, such as "/", stands everywhere.
            if path.len() > 4 {
                paths.push(format!("{}/", path.trim_end_matches('/')));
            }
        }
    }
    paths
}
