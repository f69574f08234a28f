//! `cargo bench-libcors growth`: how cost grows with the number of origins and of
//! policies.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{VALGRIND, machine::Noise, results, runners};
use libcors_tools::{
    fail, packages,
    run::{self, Context as _, Error, Result},
};
use xtask::library::{self, Variant};

/// Numbers of origins, and of policies.
const ORIGINS: [usize; 7] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];
const POLICIES: [usize; 4] = [1, 100, 1000, 10_000];
/// A larger document takes minutes under callgrind.
const COUNTED: usize = 100_000;

/// Runs `cargo bench-libcors growth`.
pub(super) fn command() -> Result {
    packages::ensure(&[VALGRIND])?;
    let library = library::build(&Variant::default())?;
    let program = runners::build_c(&library, runners::Link::Shared, "growth")?;
    let mut noise = Noise::default();
    run::say(
        "a policy of so many origins, through the C ABI: milliseconds to \
         compile, kB that it keeps,\nbytes per origin beyond its text; \
         nanoseconds to decide about the same origin, all in random order, \
         one not listed;\ninstructions and first-level cache misses of the \
         same, and of random order",
    );
    run::say(format_args!(
        "{:>9}{:>10}{:>9}{:>7}{:>8}{:>8}{:>8}{:>8}{:>7}{:>8}{:>7}",
        "origins",
        "compile",
        "kB",
        "bytes",
        "same",
        "random",
        "denied",
        "instr.",
        "miss",
        "instr.",
        "miss"
    ));
    let mut origins = Vec::new();
    for count in ORIGINS {
        noise.samples(50);
        origins.push(of_origins(&program, count)?);
    }
    run::say(
        "\na document of so many policies of one origin: milliseconds to \
         compile, kB that it keeps,\nnanoseconds to find one by its name",
    );
    let mut policies = Vec::new();
    for count in POLICIES {
        noise.samples(50);
        let document = write(&format!("{count}-policies"), count, 1)?;
        let measured = measure(&program, &document, 1)?;
        let Measured { compile, bytes, name, .. } = measured;
        run::say(format_args!(
            "{count:>9}{compile:>10.2}{:>9}{name:>8.1}",
            bytes / 1000
        ));
        policies.push(json!({
            "policies": count,
            "compile_ms": compile,
            "bytes": bytes,
            "name_ns": name,
        }));
    }
    let noise = noise.report();
    results::write(
        "growth",
        json!({
            "noise": noise,
            "origins": origins,
            "policies": policies,
        }),
    )
}

fn of_origins(program: &Path, count: usize) -> Result<Value> {
    let document = write(&format!("{count}-origins"), 1, count)?;
    let measured = measure(program, &document, count)?;
    // Text of an origin: as `growth.c` writes it.
    let text = count * "https://shop-0000000.example.org".len();
    let over = measured.bytes.saturating_sub(text as u64) / count as u64;
    let mut line = format!(
        "{count:>9}{:>10.2}{:>9}{over:>7}{:>8.1}{:>8.1}{:>8.1}",
        measured.compile,
        measured.bytes / 1000,
        measured.same,
        measured.random,
        measured.denied,
    );
    let mut row = json!({
        "origins": count,
        "compile_ms": measured.compile,
        "bytes": measured.bytes,
        "bytes_over_text": over,
        "same_ns": measured.same,
        "random_ns": measured.random,
        "denied_ns": measured.denied,
    });
    if count <= COUNTED {
        let touched = count_one(program, &document, count, "touched")?.1;
        for order in ["fixed", "random"] {
            let (instructions, mut misses) =
                count_one(program, &document, count, order)?;
            if order == "random" {
                // Those of the request's own bytes are no decision's.
                misses -= touched;
            }
            let _ = write!(line, "{instructions:>8.0}{misses:>7.1}");
            row[order] = json!({
                "instructions": instructions.round(),
                "first_level_misses": (misses * 10.0).round() / 10.0,
            });
        }
    }
    run::say(line);
    Ok(row)
}

/// Writes a document of so many policies of so many origins.
fn write(name: &str, policies: usize, origins: usize) -> Result<PathBuf> {
    let folder = run::target().join("bench/growth");
    fs::create_dir_all(&folder).context(folder.display())?;
    let mut text = String::new();
    for policy in 0..policies {
        let _ = write!(text, "[policy.p{policy}]\nallow_origins = [\n");
        for origin in 0..origins {
            let _ = writeln!(text, "\"https://shop-{origin:07}.example.org\",");
        }
        text.push_str("]\n");
    }
    let path = folder.join(format!("{name}.toml"));
    fs::write(&path, text).context(path.display())?;
    Ok(path)
}

struct Measured {
    compile: f64,
    bytes: u64,
    name: f64,
    same: f64,
    random: f64,
    denied: f64,
}

fn measure(program: &Path, document: &Path, count: usize) -> Result<Measured> {
    let text =
        run::read(run::command(program).arg(document).arg(count.to_string()))?;
    let numbers: Vec<f64> =
        text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [compile, bytes, name, same, random, denied] = numbers[..] else {
        fail!("{} said {text:?}", program.display());
    };
    let bytes = bytes as u64;
    Ok(Measured { compile, bytes, name, same, random, denied })
}

/// Instructions and first-level cache misses of a decision.
fn count_one(
    program: &Path,
    document: &Path,
    origins: usize,
    order: &str,
) -> Result<(f64, f64)> {
    const FEW: usize = 1000;
    const MANY: usize = 3000;
    let run_of = |times: usize| -> Result<[f64; 2]> {
        let mut command = super::callgrind();
        command
            .args(["--cache-sim=yes", "--toggle-collect=*measured*"])
            .arg(program)
            .arg(document)
            .args([&origins.to_string(), order, &times.to_string()]);
        let output = run::output(&mut command)?;
        cache_counts(&String::from_utf8_lossy(&output.stderr))
    };
    let (few, many) = (run_of(FEW)?, run_of(MANY)?);
    let each = |at: usize| (many[at] - few[at]) / (MANY - FEW) as f64;
    Ok((each(0), each(1)))
}

/// Instructions, and misses of the first level when data is read or written,
/// from callgrind's line `Collected : Ir Dr Dw I1mr D1mr D1mw …`.
fn cache_counts(text: &str) -> Result<[f64; 2]> {
    let line = text.lines().find_map(|l| l.split("Collected :").nth(1));
    let numbers: Vec<f64> = line
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers[..] {
        [instructions, _, _, _, read, write, ..] => {
            Ok([instructions, read + write])
        }
        _ => Err(Error::new(format!("callgrind counted nothing: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_counts_of_callgrind() {
        let text = "==1== Events    : Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw\n\
                    ==1== Collected : 100 20 10 1 3 4 0 0 0\n";
        assert_eq!(cache_counts(text).unwrap(), [100.0, 7.0]);
        assert!(cache_counts("==1== Collected : 100\n").is_err());
    }
}
