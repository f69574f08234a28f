//! `cargo xtask install`: the library, where programs find it.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    fail,
    library::{self, Library, VERSION},
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
}

/// Runs `cargo xtask install`.
pub fn command(arguments: &Arguments) -> Result {
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
pub(crate) struct Layout {
    pub(crate) prefix: PathBuf,
    pub(crate) libdir: PathBuf,
    pub(crate) includedir: PathBuf,
    pub(crate) destdir: PathBuf,
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
pub(crate) enum Content {
    Shared,
    Archive,
    Header,
    Link(String),
    Template(&'static str),
}

/// All files, where they are put.
pub(crate) fn files(layout: &Layout) -> Result<Vec<(PathBuf, Content)>> {
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

/// Installs all files.
pub(crate) fn install(library: &Library, layout: &Layout) -> Result {
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

/// Removes what was installed.
pub(crate) fn uninstall(layout: &Layout) -> Result {
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
