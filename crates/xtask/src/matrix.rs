//! The header in all compilers and standards that are promised, and the constants
//! of the ABI.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    fail, header,
    packages::{self, Need},
    run::{self, Context, Result},
};

const C: [&str; 6] = ["c89", "gnu89", "c99", "c11", "c17", "c2x"];
const CXX: [&str; 6] = ["c++98", "c++03", "c++11", "c++14", "c++17", "c++20"];

const FLAGS: [&str; 7] = [
    "-Wall",
    "-Wextra",
    "-pedantic",
    "-Werror",
    "-Wundef",
    "-fsyntax-only",
    "-Iinclude",
];
const C_FLAGS: [&str; 5] = [
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wc++-compat",
    "-Wshadow",
    "-Wconversion",
];
const CXX_FLAGS: [&str; 3] = ["-Wold-style-cast", "-Wshadow", "-Wconversion"];

/// Compiles the header in every way; returns the number of them.
pub fn check() -> Result<usize> {
    let dir = run::target().join("abi");
    fs::create_dir_all(&dir).context(dir.display())?;
    // Twice, and with nothing before it.
    let text = "#include <cors.h>\n#include <cors.h>\n";
    let (c, cxx) = (dir.join("twice.c"), dir.join("twice.cc"));
    fs::write(&c, text).context(c.display())?;
    fs::write(&cxx, text).context(cxx.display())?;
    let constants = run::root().join("tests/c/constants.c");

    let mut count = 0;
    for standard in C {
        for compiler in ["gcc", "clang"] {
            compile(compiler, standard, &C_FLAGS, &c)?;
            count += 1;
        }
    }
    for standard in CXX {
        for compiler in ["g++", "clang++"] {
            compile(compiler, standard, &CXX_FLAGS, &cxx)?;
            count += 1;
        }
    }
    compile("clang", "c99", &["-Wdocumentation"], &c)?;
    count += 1;
    // A compiler that knows little more than the standard.
    if packages::offer(&[Need::Program("tcc", "tcc")]) {
        run::read(
            run::command("tcc")
                .args(["-Wall", "-Werror", "-Iinclude", "-c"])
                .arg(&c)
                .arg("-o")
                .arg(dir.join("twice.o")),
        )?;
        count += 1;
    }

    // The values are the compiler's to compute. Freestanding, so that the other
    // size of pointers needs no C library.
    for compiler in ["gcc", "clang"] {
        for bits in ["-m64", "-m32"] {
            for standard in ["c89", "c99"] {
                let flags = [bits, "-ffreestanding"];
                compile(compiler, standard, &flags, &constants)?;
                count += 1;
            }
        }
    }
    complete(&constants)?;
    Ok(count + 1)
}

fn compile(
    compiler: &str,
    standard: &str,
    flags: &[&str],
    file: &Path,
) -> Result {
    run::read(
        run::command(compiler)
            .arg(format!("-std={standard}"))
            .args(FLAGS)
            .args(flags)
            .arg(file),
    )
    .map(drop)
}

/// Whether all constants and members of the header are frozen.
fn complete(constants: &Path) -> Result {
    let path = header::path();
    let text = fs::read_to_string(&path).context(path.display())?;
    let mut declared = BTreeSet::new();
    let mut inside = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("#define"), Some(name), Some(_)) => {
                declared.insert(format!("VALUE({name},"));
            }
            (Some("typedef"), Some("struct"), Some(name))
                if line.ends_with('{') =>
            {
                declared.insert(format!("SIZE({name},"));
                inside = Some(name.to_string());
            }
            (Some("}"), ..) => inside = None,
            _ => {}
        }
        if let (Some(name), Some(member)) = (&inside, line.strip_suffix(';')) {
            let member = member.split('[').next().unwrap_or_default();
            let member = member.rsplit([' ', '*']).next().unwrap_or_default();
            declared.insert(format!("OFFSET({name}, {member},"));
        }
    }
    if declared.len() < 100 {
        fail!("include/cors.h could not be read: {declared:?}");
    }
    let frozen = fs::read_to_string(constants).context(constants.display())?;
    let missing: Vec<_> =
        declared.iter().filter(|line| !frozen.contains(*line)).collect();
    if !missing.is_empty() {
        fail!(
            "tests/c/constants.c does not freeze all of the header; add \
             {missing:?}"
        );
    }
    Ok(())
}
