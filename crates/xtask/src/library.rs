//! `cargo xtask build`: the shared and the static library.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    fail,
    run::{self, Context, Error, Result},
};

/// The arguments of `cargo xtask build`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Features of crates/capi; the library then goes to a folder of its own
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Leave out the features that it has by default: international names,
    /// public suffixes and regular expressions
    #[arg(long)]
    no_default_features: bool,
    /// Build a shared library with debug information, for abidiff, and nothing
    /// else
    #[arg(long, conflicts_with_all = ["features", "no_default_features"])]
    debug_info: bool,
}

/// Runs `cargo xtask build`.
pub fn command(arguments: &Arguments) -> Result {
    let files = match arguments.debug_info {
        true => vec![debug_info()?],
        false => {
            let library = build(&Variant {
                features: arguments.features.clone(),
                no_default_features: arguments.no_default_features,
            })?;
            vec![library.shared(), library.archive()]
        }
    };
    for file in files {
        let size = fs::metadata(&file).context(file.display())?.len();
        run::say(format_args!("{} ({size} bytes)", file.display()));
    }
    Ok(())
}

/// Which library to build. The default is the one that is shipped.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// Features of crates/capi.
    pub features: Vec<String>,
    /// Whether it has those alone.
    pub no_default_features: bool,
}

impl Variant {
    /// The library that panics on demand, for tests.
    pub fn test_panic() -> Variant {
        Variant { features: vec!["test-panic".into()], ..Variant::default() }
    }

    /// The smallest library.
    pub fn small() -> Variant {
        Variant::of(&[])
    }

    /// The library with these features alone.
    pub fn of(features: &[&str]) -> Variant {
        Variant {
            features: features.iter().map(|name| name.to_string()).collect(),
            no_default_features: true,
        }
    }

    /// A name for all but the library that is shipped, so that no test build is
    /// ever taken for it.
    pub fn name(&self) -> Option<String> {
        let small = self.no_default_features.then_some("small");
        let names: Vec<&str> = small
            .into_iter()
            .chain(self.features.iter().map(String::as_str))
            .collect();
        (!names.is_empty()).then(|| names.join("-"))
    }

    fn target_dir(&self) -> PathBuf {
        match self.name() {
            None => run::target(),
            Some(name) => run::target().join("library").join(name),
        }
    }
}

/// A library that was built.
#[derive(Clone, Debug)]
pub struct Library {
    dir: PathBuf,
}

impl Library {
    /// The library that is shipped, if it is built.
    pub fn built() -> Library {
        Library { dir: Variant::default().target_dir().join("release") }
    }

    /// The folder of both files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `libcors.so`.
    pub fn shared(&self) -> PathBuf {
        self.dir.join("libcors.so")
    }

    /// `libcors.a`.
    pub fn archive(&self) -> PathBuf {
        self.dir.join("libcors.a")
    }

    /// What a program needs beside `libcors.a`, as arguments of a linker.
    pub fn native_libraries(&self) -> Result<Vec<String>> {
        let path = self.dir.join(NATIVE_LIBRARIES);
        let text = fs::read_to_string(&path).context(path.display())?;
        Ok(text.split_whitespace().map(str::to_string).collect())
    }
}

/// Where rustc writes what the archive needs.
const NATIVE_LIBRARIES: &str = "libcors.native-libraries";

/// Builds both libraries.
pub fn build(variant: &Variant) -> Result<Library> {
    let target_dir = variant.target_dir();
    let library = Library { dir: target_dir.join("release") };
    fs::create_dir_all(&library.dir).context(library.dir.display())?;

    // One type at a time: cargo builds a library of several without fat LTO.
    let mut cdylib = rustc("cdylib", &target_dir, variant)?;
    cdylib.arg("--").args(link_arguments()?).args(["-C", "strip=symbols"]);
    run::read(&mut cdylib)?;

    let list = library.dir.join(NATIVE_LIBRARIES);
    // The list is written by the compiler, which cargo does not run when the
    // archive is up to date.
    if !list.exists() {
        let _ = fs::remove_file(library.archive());
    }
    let mut staticlib = rustc("staticlib", &target_dir, variant)?;
    staticlib
        .arg("--")
        .arg(format!("--print=native-static-libs={}", list.display()));
    run::read(&mut staticlib)?;

    for file in [library.shared(), library.archive(), list] {
        if !file.is_file() {
            fail!(
                "cargo did not make {}; run `cargo clean` and try again",
                file.display()
            );
        }
    }
    Ok(library)
}

/// The most bytes of `libcors.so`, with all features and with none. A library
/// that does no more than to catch a panic has 277,000: that is Rust's own.
pub const LARGEST: u64 = 1_560_000;
const LARGEST_SMALL: u64 = 890_000;

/// Whether a server's memory has room for the library, with all features and
/// with none; returns the number of checks.
pub fn check_sizes() -> Result<usize> {
    for (variant, largest) in
        [(Variant::default(), LARGEST), (Variant::small(), LARGEST_SMALL)]
    {
        let shared = build(&variant)?.shared();
        let size = fs::metadata(&shared).context(shared.display())?.len();
        if size > largest {
            fail!(
                "{} has {size} bytes, and may have {largest}",
                shared.display()
            );
        }
    }
    Ok(2)
}

/// Whether the library can be built with each of its features alone and with
/// none, and says then what it does not find; returns the number of checks.
pub fn check_features() -> Result<usize> {
    for feature in ["", "idna", "public-suffixes", "regex"] {
        run::read(run::cargo().args([
            "clippy",
            "--quiet",
            "--package=libcors-capi",
            "--no-default-features",
            &format!("--features={feature}"),
            "--",
            "--deny=warnings",
        ]))?;
        run::read(run::cargo().args([
            "test",
            "--quiet",
            "--package=libcors-config",
            "--no-default-features",
            &format!("--features={feature}"),
            "--test=codes",
        ]))?;
    }
    Ok(8)
}

/// Builds a shared library with debug information of crates/capi and nothing
/// else, for abidiff, which finds no function of ours after fat LTO, and would
/// record the types of all other crates.
pub fn debug_info() -> Result<PathBuf> {
    let target_dir = run::target().join("library/debug-info");
    let mut cdylib = rustc("cdylib", &target_dir, &Variant::default())?;
    cdylib
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .arg("--")
        .args(link_arguments()?)
        .args(["-C", "debuginfo=2"]);
    run::read(&mut cdylib)?;
    Ok(target_dir.join("release/libcors.so"))
}

/// `cargo rustc` for one type of library; what follows `--` is rustc's.
fn rustc(
    crate_type: &str,
    target_dir: &Path,
    variant: &Variant,
) -> Result<Command> {
    let mut cargo = run::cargo();
    cargo
        .args(["rustc", "--quiet", "--package", "libcors-capi", "--lib"])
        .args(["--release", "--crate-type", crate_type, "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags()?);
    if !variant.features.is_empty() {
        cargo.arg("--features").arg(variant.features.join(","));
    }
    if variant.no_default_features {
        cargo.arg("--no-default-features");
    }
    Ok(cargo)
}

fn link_arguments() -> Result<[String; 4]> {
    Ok([
        "-C".into(),
        format!("link-arg=-Wl,-soname,{}", soname()?),
        "-C".into(),
        "link-arg=-Wl,-z,relro,-z,now,-z,defs".into(),
    ])
}

/// Flags for all crates: no path of the machine that builds gets in.
fn rustflags() -> Result<String> {
    let mut flags = Vec::new();
    if let Ok(encoded) = env::var("CARGO_ENCODED_RUSTFLAGS") {
        flags.extend(encoded.split('\x1f').map(str::to_string));
    } else if let Ok(plain) = env::var("RUSTFLAGS") {
        flags.extend(plain.split_whitespace().map(str::to_string));
    }
    flags.retain(|flag| !flag.is_empty());
    let sysroot =
        run::read(run::command("rustc").args(["--print", "sysroot"]))?;
    let cargo_home =
        env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
            env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"))
        });
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    // The last that fits wins, so the more special come later.
    if let Some(cargo_home) = cargo_home {
        remap(&cargo_home, "/cargo");
    }
    remap(Path::new(sysroot.trim()), "/rust");
    remap(&run::root(), "/libcors");
    Ok(flags.join("\x1f"))
}

/// The number that `cors_abi_version()` returns: the one place of it.
pub fn abi_version() -> Result<u32> {
    let path = "crates/capi/src/version.rs";
    let text = fs::read_to_string(run::root().join(path)).context(path)?;
    text.split_once("CORS_ABI_VERSION: u32 = ")
        .and_then(|(_, rest)| rest.split_once(';'))
        .and_then(|(number, _)| number.trim().parse().ok())
        .ok_or_else(|| {
            Error::new(format!("{path}: CORS_ABI_VERSION is not found"))
        })
}

/// The name that programs are bound to.
pub fn soname() -> Result<String> {
    Ok(format!("libcors.so.{}", abi_version()?))
}

/// The file that [`soname`] leads to: it has the version of the library as well.
pub fn real_name() -> Result<String> {
    Ok(format!("{}.{VERSION}", soname()?))
}

/// The version of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
