//! `cargo xtask abi`: everything that programs in C rely on.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use crate::{
    ctests, fail, header, install, installed,
    library::{self, Library, Variant},
    matrix,
    packages::{self, Need},
    run::{self, Context, Result},
};

/// The arguments of `cargo xtask abi`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write tests/abi anew, after the ABI has grown
    #[arg(long)]
    record: bool,
}

/// What it needs of the machine.
pub const NEEDS: [Need; 7] = [
    Need::Program("abidw", "abigail-tools"),
    Need::Program("clang", "clang"),
    Need::Program("g++", "g++"),
    Need::Program("gcc", "gcc"),
    Need::Program("pkg-config", "pkg-config"),
    Need::Program("readelf", "binutils"),
    Need::Program("valgrind", "valgrind"),
];

/// Runs `cargo xtask abi`.
pub fn command(arguments: &Arguments) -> Result {
    packages::ensure(&NEEDS)?;
    if arguments.record {
        return record();
    }
    let count = check()?;
    run::say(format_args!("abi: {count} checks passed"));
    Ok(())
}

/// All names that the library exports, one a line.
const SYMBOLS: &str = "tests/abi/cors.symbols";
/// All names that it takes from other libraries.
const IMPORTS: &str = "tests/abi/cors.imports";
/// Functions, types and layouts, as abidw writes them.
const LAYOUTS: &str = "tests/abi/libcors.abi";
/// What abidiff is to overlook.
const IGNORED: &str = "tests/abi/opaque.abignore";

/// What the library is linked to.
const NEEDED: [&str; 3] =
    ["ld-linux-x86-64.so.2", "libc.so.6", "libgcc_s.so.1"];

/// What a library without threads, signals, processes and network never calls.
const FORBIDDEN: [&str; 22] = [
    "__cxa_atexit",
    "__cxa_thread_atexit_impl",
    "atexit",
    "bind",
    "clone",
    "connect",
    "dlopen",
    "execve",
    "exit",
    "fork",
    "kill",
    "popen",
    "posix_spawn",
    "pthread_atfork",
    "pthread_create",
    "pthread_sigmask",
    "setenv",
    "sigaction",
    "signal",
    "socket",
    "system",
    "vfork",
];

/// Checks the ABI; returns the number of checks.
pub fn check() -> Result<usize> {
    header::header(true)?;
    let mut count = 1;

    count += done("the header in all compilers", matrix::check()?);

    let library = library::build(&Variant::default())?;
    let mut checks = symbols(&library)?;
    checks += imports(&library)?;
    checks += structure(&library)?;
    count += done("symbols of the library", checks);

    count += done("features", library::check_features()?);
    count += done("sizes", library::check_sizes()?);

    count += done("layouts", layouts()?);

    let stage = install::stage(&library)?;
    count += done("installed", installed::check(&stage)?);
    count += done("C programs", ctests::check(&library, &stage)?);
    Ok(count)
}

fn done(what: &str, count: usize) -> usize {
    run::say(format_args!("{what}: {count} passed"));
    count
}

/// Writes the records anew.
fn record() -> Result {
    header::header(true)?;
    let library = library::build(&Variant::default())?;
    let write = |path: &str, names: &BTreeSet<String>| {
        let text = names.iter().map(|name| format!("{name}\n"));
        fs::write(run::root().join(path), text.collect::<String>())
            .context(path)
    };
    write(SYMBOLS, &exported(&library.shared())?)?;
    write(IMPORTS, &imported(&library.shared())?)?;
    let shared = describable()?;
    describe(&shared, &run::root().join(LAYOUTS))?;
    for path in [SYMBOLS, IMPORTS, LAYOUTS] {
        run::say(format_args!("{path} is written"));
    }
    Ok(())
}

fn recorded(path: &str) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(run::root().join(path)).context(path)?;
    Ok(text.lines().map(str::to_string).collect())
}

/// The dynamic symbols of a library, without their versions.
fn dynamic(shared: &Path, which: &str) -> Result<BTreeSet<String>> {
    let text = run::read(
        run::command("nm")
            .args(["-D", which, "--format=just-symbols"])
            .arg(shared),
    )?;
    let names = text.lines().filter_map(|line| line.split('@').next());
    Ok(names.map(|name| name.trim().to_string()).collect())
}

fn exported(shared: &Path) -> Result<BTreeSet<String>> {
    dynamic(shared, "--defined-only")
}

fn imported(shared: &Path) -> Result<BTreeSet<String>> {
    dynamic(shared, "--undefined-only")
}

/// The functions that the header declares.
fn declared() -> Result<BTreeSet<String>> {
    let path = header::path();
    let text = fs::read_to_string(&path).context(path.display())?;
    // Each has CORS_API before it, on a line of its own or not.
    let names = text.split("\nCORS_API").skip(1).filter_map(|rest| {
        let before = rest.split_once('(')?.0;
        before.rsplit([' ', '*', '\n']).next().map(str::to_string)
    });
    Ok(names.filter(|name| name.starts_with("cors_")).collect())
}

/// The library exports what the header declares, and what is recorded.
fn symbols(library: &Library) -> Result<usize> {
    let (recorded, exported) =
        (recorded(SYMBOLS)?, exported(&library.shared())?);
    for (what, names) in [
        ("include/cors.h declares", declared()?),
        ("libcors.so exports", exported),
    ] {
        if names != recorded {
            let more: Vec<_> = names.difference(&recorded).collect();
            let fewer: Vec<_> = recorded.difference(&names).collect();
            fail!(
                "{what} other functions than {SYMBOLS}: new are {more:?}, and \
                 {fewer:?} are gone. What was released never goes; for what is \
                 new run `cargo xtask abi --record`"
            );
        }
    }
    Ok(2)
}

fn imports(library: &Library) -> Result<usize> {
    let imported = imported(&library.shared())?;
    for name in FORBIDDEN {
        if imported.contains(name) {
            fail!(
                "libcors.so calls {name}: the header promises that it starts no \
                 thread or process, and changes nothing of the process"
            );
        }
    }
    let recorded = recorded(IMPORTS)?;
    let new: Vec<_> = imported.difference(&recorded).collect();
    if !new.is_empty() {
        fail!(
            "libcors.so calls what it did not call before: {new:?}. If the \
             header's promises about the process still hold, run `cargo xtask \
             abi --record`"
        );
    }
    Ok(2)
}

/// What the dynamic linker is told about the library.
fn structure(library: &Library) -> Result<usize> {
    let shared = library.shared();
    let dynamic =
        run::read(run::command("readelf").args(["-dW"]).arg(&shared))?;
    let bracketed = |tag: &str| -> BTreeSet<String> {
        let lines = dynamic.lines().filter(|line| line.contains(tag));
        let names =
            lines.filter_map(|line| line.split_once('[')?.1.split(']').next());
        names.map(str::to_string).collect()
    };
    let soname = library::soname()?;
    if bracketed("(SONAME)") != BTreeSet::from([soname.clone()]) {
        fail!("the SONAME of libcors.so is not {soname}:\n{dynamic}");
    }
    let needed = bracketed("(NEEDED)");
    if !needed.iter().all(|name| NEEDED.contains(&name.as_str())) {
        fail!("libcors.so needs {needed:?}, and may need {NEEDED:?}");
    }
    for (tag, wanted) in [
        ("TEXTREL", false),
        ("BIND_NOW", true),
        ("RPATH", false),
        ("RUNPATH", false),
    ] {
        if dynamic.contains(tag) != wanted {
            fail!("libcors.so: {tag} is not as it should be:\n{dynamic}");
        }
    }
    let headers =
        run::read(run::command("readelf").args(["-lW"]).arg(&shared))?;
    let stack = headers.lines().find(|line| line.contains("GNU_STACK"));
    if !headers.contains("GNU_RELRO")
        || stack.is_none_or(|line| line.contains("RWE"))
    {
        fail!("libcors.so is not hardened:\n{headers}");
    }
    let mut count = 7;
    for file in [shared, library.archive()] {
        let bytes = fs::read(&file).context(file.display())?;
        for path in install::local_paths() {
            if install::contains(&bytes, path.as_bytes()) {
                fail!(
                    "{} names {path}, a folder of this machine",
                    file.display()
                );
            }
        }
        count += 1;
    }
    Ok(count)
}

/// A library that abidw can describe.
fn describable() -> Result<PathBuf> {
    let shared = library::debug_info()?;
    // Without this both tools find nothing, and say that nothing has changed.
    let sections =
        run::read(run::command("readelf").args(["-SW"]).arg(&shared))?;
    if !sections.contains(".debug_info") {
        fail!("{} has no debug information", shared.display());
    }
    Ok(shared)
}

fn describe(shared: &Path, to: &Path) -> Result {
    run::read(
        run::command("abidw")
            .args([
                "--no-corpus-path",
                "--no-comp-dir-path",
                "--no-show-locs",
                "--out-file",
            ])
            .arg(to)
            .arg(shared),
    )?;
    // Nor would they say that they did not find our functions.
    let text = fs::read_to_string(to).context(to.display())?;
    for name in declared()? {
        if !text.contains(&format!("<function-decl name='{name}'")) {
            fail!("{}: {name} is not described", to.display());
        }
    }
    Ok(())
}

/// The layouts and signatures are those that are recorded.
fn layouts() -> Result<usize> {
    let shared = describable()?;
    let dir = run::target().join("abi");
    fs::create_dir_all(&dir).context(dir.display())?;
    describe(&shared, &dir.join("libcors.abi"))?;

    let output = compare(&run::root().join(LAYOUTS), &shared)?;
    if !output.status.success() {
        fail!(
            "the ABI is not the one that is recorded in {LAYOUTS}; if it only \
             grew, run `cargo xtask abi --record`\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    // That changes are seen is checked with records that differ.
    let path = run::root().join(LAYOUTS);
    let text = fs::read_to_string(&path).context(path.display())?;
    let other = dir.join("other.abi");
    let mut count = 2;
    for (what, changed) in changes(&text) {
        if changed == text || changed.is_empty() {
            fail!("cannot make a record in which {what}");
        }
        fs::write(&other, changed).context(other.display())?;
        let output = compare(&other, &shared)?;
        // 4 and 8 are bits for changes, 1 and 2 for failures of its own.
        match output.status.code() {
            Some(code) if code & 3 == 0 && code & 12 != 0 => count += 1,
            _ => fail!(
                "abidiff does not see that {what}: {}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }
    Ok(count)
}

fn compare(old: &Path, new: &Path) -> Result<Output> {
    run::output(
        run::command("abidiff")
            .arg("--suppressions")
            .arg(run::root().join(IGNORED))
            .arg("--no-added-syms")
            .arg(old)
            .arg(new),
    )
}

/// Records of ABIs that differ from a record.
fn changes(text: &str) -> [(&'static str, String); 4] {
    // What the record says of a struct: up to its size, its size, the rest.
    let split = |name: &str| {
        let start = format!("<class-decl name='{name}' size-in-bits='");
        let (before, rest) = text.split_once(&start)?;
        let (bits, rest) = rest.split_once('\'')?;
        let bits = bits.parse::<u64>().ok()?;
        Some((format!("{before}{start}"), bits, rest))
    };
    let smaller = |name: &str| {
        let (before, bits, rest) = split(name)?;
        Some(format!("{before}{}'{rest}", bits.saturating_sub(64)))
    };
    let moved = |name: &str| {
        let (before, bits, rest) = split(name)?;
        let offset = |bits| format!("layout-offset-in-bits='{bits}'");
        let rest = rest.replacen(&offset(64), &offset(32), 1);
        Some(format!("{before}{bits}'{rest}"))
    };
    let symbol = "<elf-symbol name='cors_decide' ";
    let gone = text.replacen(
        symbol,
        &format!(
            "<elf-symbol name='cors_gone' type='func-type' \
             binding='global-binding' visibility='default-visibility' \
             is-defined='yes'/>\n    {symbol}"
        ),
        1,
    );
    [
        ("a struct has grown", smaller("cors_decision").unwrap_or_default()),
        ("an input has changed", moved("cors_request").unwrap_or_default()),
        ("an output has changed", moved("cors_header").unwrap_or_default()),
        ("a function is gone", gone),
    ]
}
