//! Instructions per decision, and the record that they are compared with.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Write as _,
    fs, thread,
};

use libcors_benches::Workload;
use toml::Table;

use super::{
    VALGRIND, peers,
    runners::{self, Program},
};
use libcors_tools::{
    fail, packages,
    run::{self, Context as _, Result},
};

/// The contenders whose instructions are recorded.
const RECORDED: [&str; 2] = ["rust", "c-shared"];
const RECORD: &str = "benches/instructions.toml";
/// How far a count may rise above the record: in percent, and at least so many.
const PERCENT: f64 = 3.0;
const AT_LEAST: f64 = 2.0;

/// One number.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) contender: String,
    pub(super) workload: String,
    pub(super) instructions: f64,
}

/// What a request costs: the difference of two runs, so that what comes before
/// and after does not count.
pub(super) fn count(
    program: &Program,
    contender: &str,
    workload: &str,
) -> Result<f64> {
    const FEW: u64 = 100;
    const MANY: u64 = 1100;
    let (few, many) = thread::scope(|scope| {
        let few = scope.spawn(|| program.count(contender, workload, FEW));
        let many = program.count(contender, workload, MANY);
        (few.join(), many)
    });
    let Ok(few) = few else {
        fail!("a run under callgrind panicked");
    };
    Ok(many?.saturating_sub(few?) as f64 / (MANY - FEW) as f64)
}

/// The floor of W1, from the same C program.
const FLOOR: [(&str, &str); 6] = [
    ("loop", "the empty loop"),
    ("floor-call", "a call that does nothing"),
    ("floor-compare", "memcmp of the origin"),
    ("floor-write", "writing 2 headers"),
    ("floor", "both: the floor"),
    ("floor-words", "both, comparing by words"),
];

/// Counts the engine in Rust and through the C ABI, and prints a table: of what
/// is recorded, or of the static library and the floor as well.
pub(super) fn table(workloads: &[Workload], all: bool) -> Result<Vec<Count>> {
    packages::ensure(&[VALGRIND])?;
    let folder = runners::write_workloads(workloads)?;
    let mut programs = vec![("rust", runners::rust()?)];
    for (link, program) in runners::c(&folder)? {
        if all || link == runners::Link::Shared {
            programs.push((link.contender(), program));
        }
    }
    let mut counts = Vec::new();
    let mut row = |what: &str, workload: &str, contenders: &[&str]| {
        let mut line = format!("{what:<44}");
        for ((own, program), contender) in programs.iter().zip(contenders) {
            if contender.is_empty() {
                let _ = write!(line, "{:>11}", "");
                continue;
            }
            let instructions = count(program, contender, workload)?;
            let _ = write!(line, "{instructions:>11.0}");
            let contender = match own == contender {
                true => (*contender).to_owned(),
                false => format!("{own}/{contender}"),
            };
            counts.push(Count {
                contender,
                workload: workload.to_owned(),
                instructions,
            });
        }
        run::say(line);
        Ok(())
    };
    let names: Vec<&str> = programs.iter().map(|(name, _)| *name).collect();
    let heading = names.iter().map(|name| format!("{name:>11}"));
    run::say(format_args!(
        "{:<44}{}",
        "instructions per decision",
        heading.collect::<String>()
    ));
    for workload in workloads {
        let what = format!("{:<12}{}", workload.id(), workload.what());
        row(&what, workload.id(), &names)?;
    }
    for (contender, what) in FLOOR.into_iter().filter(|_| all) {
        row(&format!("w1          {what}"), "w1", &["", contender, contender])?;
    }
    Ok(counts)
}

/// Counts other libraries in Rust, and libcors in tower, each less the same
/// service without CORS, and prints a table.
pub(super) fn of_peers(workloads: &[Workload]) -> Result<Vec<Count>> {
    const PEERS: [(&str, Option<&str>); 4] = [
        ("tower-libcors", Some("tower-none")),
        ("tower-http", Some("tower-none")),
        ("actix-cors", Some("actix-none")),
        ("cors-core", None),
    ];
    let program = peers::rust()?;
    let mut heading = format!("{:<16}", "instructions");
    for (name, _) in PEERS {
        let _ = write!(heading, "{name:>15}");
    }
    run::say(heading);
    let mut counts = Vec::new();
    for workload in workloads {
        let mut line = format!("{:<16}", workload.id());
        let mut bases = HashMap::new();
        for (contender, base) in PEERS {
            let mut instructions = count(&program, contender, workload.id())?;
            if let Some(base) = base {
                instructions -= match bases.entry(base) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(entry) => {
                        *entry.insert(count(&program, base, workload.id())?)
                    }
                };
            }
            let _ = write!(line, "{instructions:>15.0}");
            counts.push(Count {
                contender: contender.to_owned(),
                workload: workload.id().to_owned(),
                instructions,
            });
        }
        run::say(line);
    }
    Ok(counts)
}

/// The compiler that counts are recorded for: another one makes other code.
fn compiler() -> Result<String> {
    let text = run::read(run::command("rustc").arg("-vV"))?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(format!("{} {}", field("release:"), field("host:")))
}

fn recorded() -> Result<Table> {
    let path = run::root().join(RECORD);
    let text = fs::read_to_string(&path).context(RECORD)?;
    text.parse().context(RECORD)
}

/// Fails if a count has risen above the record; returns how many were compared.
pub(super) fn check(workloads: &[Workload]) -> Result<usize> {
    let record = recorded()?;
    let wanted = record.get("rustc").and_then(toml::Value::as_str);
    let found = compiler()?;
    if wanted != Some(&found) {
        run::say(format_args!(
            "  not compared: {RECORD} is of rustc {}, and this is {found}",
            wanted.unwrap_or("nothing")
        ));
        return Ok(0);
    }
    let counts = table(workloads, false)?;
    let mut compared = 0;
    let mut problems = Vec::new();
    for count in counts.iter().filter(|count| is_recorded(count)) {
        let Count { contender, workload, instructions } = count;
        let Some((before, _)) = entry(&record, contender, workload) else {
            problems.push(format!("{contender} {workload} is not recorded"));
            continue;
        };
        compared += 1;
        let before = before as f64;
        if *instructions > before + (before * PERCENT / 100.0).max(AT_LEAST) {
            problems.push(format!(
                "{contender} {workload}: {instructions:.0} instructions, \
                 {before} are recorded"
            ));
        }
    }
    if !problems.is_empty() {
        fail!(
            "{}\nif that is meant, say why: cargo bench-libcors engine --record \
             'the reason'",
            problems.join("\n")
        );
    }
    Ok(compared)
}

fn is_recorded(count: &Count) -> bool {
    RECORDED.contains(&count.contender.as_str())
}

fn entry<'t>(
    record: &'t Table,
    contender: &str,
    workload: &str,
) -> Option<(i64, &'t str)> {
    let entry = record.get(contender)?.get(workload)?;
    let instructions = entry.get("instructions")?.as_integer()?;
    Some((instructions, entry.get("reason")?.as_str()?))
}

/// Writes the record: counts that are as before keep their reason, the others
/// get this one.
pub(super) fn record(workloads: &[Workload], reason: &str) -> Result {
    let old = match run::root().join(RECORD).exists() {
        true => recorded()?,
        false => Table::new(),
    };
    let counts = table(workloads, false)?;
    let mut text = format!(
        "# Instructions per decision. `cargo xtask test` fails if one rises by \
         more\n# than {PERCENT} %; `cargo bench-libcors engine --record REASON` \
         writes this file.\n\nrustc = {:?}\n",
        compiler()?
    );
    for contender in RECORDED {
        let _ = write!(text, "\n[{contender}]\n");
        for count in counts.iter().filter(|c| c.contender == contender) {
            let instructions = count.instructions.round() as i64;
            let reason = match entry(&old, contender, &count.workload) {
                Some((same, reason)) if same == instructions => reason,
                _ => reason,
            };
            let reason = toml::Value::String(reason.to_owned());
            let _ = writeln!(
                text,
                "{} = {{ instructions = {instructions}, reason = {reason} }}",
                count.workload
            );
        }
    }
    let path = run::root().join(RECORD);
    fs::write(&path, text).context(RECORD)?;
    run::say(format_args!("wrote {RECORD}"));
    Ok(())
}
