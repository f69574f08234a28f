//! `cargo bench-libcors engine`: decisions of the engine, and of others.

use std::fmt::Write as _;

use libcors_benches::{Workload, workloads};
use libcors_testkit::{browser::Response, check, naive::Answer};
use serde_json::{Value, json};

use super::{
    bounds, chart,
    instructions::{self, Count},
    machine::Noise,
    peers, quiet, results,
    runners::{self, Link, Runner},
    statistics::Samples,
};
use libcors_tools::run::{self, Result};

/// What `cargo bench-libcors engine` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Count instructions, and nothing else
    #[arg(long)]
    instructions: bool,
    /// Fail if a decision allocates, makes a system call, or takes more
    /// instructions than benches/instructions.toml has
    #[arg(long, conflicts_with = "instructions")]
    check: bool,
    /// Write benches/instructions.toml, with a reason for what has changed
    #[arg(long, value_name = "REASON", conflicts_with = "check")]
    record: Option<String>,
    /// Leave other libraries out
    #[arg(long)]
    alone: bool,
    /// How often each contender takes its turn
    #[arg(long, default_value_t = 40)]
    rounds: usize,
}

impl Default for Arguments {
    fn default() -> Self {
        Arguments {
            instructions: false,
            check: false,
            record: None,
            alone: false,
            rounds: 40,
        }
    }
}

/// Runs `cargo bench-libcors engine`.
pub(super) fn command(arguments: &Arguments) -> Result {
    let workloads = workloads();
    if let Some(reason) = &arguments.record {
        return instructions::record(&workloads, reason);
    }
    if arguments.check {
        return check().map(drop);
    }
    if arguments.instructions {
        return instructions::table(&workloads, true).map(drop);
    }
    let mut counts = instructions::table(&workloads, true)?;
    let measured = measure(&workloads, arguments)?;
    if !arguments.alone {
        counts.extend(instructions::of_peers(&workloads)?);
    }
    for (title, names) in TABLES {
        measured.print(title, names, &workloads);
    }
    measured.print_ratios(&workloads);
    measured.print_remarks();
    let noise = measured.noise.report();
    results::write("engine", measured.json(&workloads, &counts, noise))?;
    chart::draw()?;
    bounds::report()
}

/// Fails if a decision allocates or makes a system call, or takes more
/// instructions than are recorded; returns how many checks were made.
pub(super) fn check() -> Result<usize> {
    let workloads = workloads();
    Ok(quiet::check(&workloads)? + instructions::check(&workloads)?)
}

/// What a contender is called in tables, what it writes its answer into, and
/// which contender does the same without CORS, to be subtracted.
struct Known {
    name: &'static str,
    title: &'static str,
    baseline: Option<&'static str>,
    /// Nanoseconds of a batch: an interpreter needs longer to get warm.
    batch: u64,
}

const fn known(
    name: &'static str,
    title: &'static str,
    baseline: Option<&'static str>,
    batch: u64,
) -> Known {
    Known { name, title, baseline, batch }
}

const NATIVE: u64 = 60_000;
const INTERPRETED: u64 = 1_000_000;

const KNOWN: [Known; 18] = [
    known("floor", "the floor (C)", None, NATIVE),
    known("rust", "libcors, Rust", None, NATIVE),
    known("c-shared", "libcors, C, shared", None, NATIVE),
    known("c-static", "libcors, C, static", None, NATIVE),
    known("cors-core", "cors-core", None, NATIVE),
    known("tower-none", "", None, NATIVE),
    known("tower-libcors", "libcors in tower", Some("tower-none"), NATIVE),
    known("tower-http", "tower-http", Some("tower-none"), NATIVE),
    known("actix-none", "", None, NATIVE),
    known("actix-cors", "actix-cors", Some("actix-none"), NATIVE),
    known("go-none", "", None, NATIVE),
    known("jub0bs-cors", "jub0bs/cors", Some("go-none"), NATIVE),
    known("rs-cors", "rs/cors", Some("go-none"), NATIVE),
    known("express-none", "", None, INTERPRETED),
    known("express-cors", "express cors", Some("express-none"), INTERPRETED),
    known("asgi-none", "", None, INTERPRETED),
    known("starlette", "Starlette", Some("asgi-none"), INTERPRETED),
    known("django-none", "", None, INTERPRETED),
];
const DJANGO: Known = known(
    "django-cors-headers",
    "django-cors-headers",
    Some("django-none"),
    INTERPRETED,
);

fn all_known() -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().chain([&DJANGO])
}

/// Contenders that write into the same thing are in one table.
const TABLES: [(&str, &[&str]); 4] = [
    (
        "a list of headers, nothing subtracted",
        &["floor", "c-shared", "c-static", "rust", "cors-core"],
    ),
    (
        "a tower service, http::HeaderMap; less the service without CORS",
        &["tower-libcors", "tower-http"],
    ),
    (
        "other frameworks in Rust and Go, each less itself without CORS",
        &["actix-cors", "jub0bs-cors", "rs-cors"],
    ),
    (
        "interpreters, each less itself without CORS",
        &["express-cors", "starlette", "django-cors-headers"],
    ),
];

/// Ours, and who does the same work with the same sink.
const RATIOS: [(&str, &str); 2] =
    [("tower-libcors", "tower-http"), ("rust", "cors-core")];

struct Cell {
    known: &'static Known,
    workload: String,
    samples: Samples,
    /// How the answer differs from what is expected.
    differs: Option<String>,
}

struct Measured {
    cells: Vec<Cell>,
    noise: Noise,
}

fn measure(workloads: &[Workload], arguments: &Arguments) -> Result<Measured> {
    let folder = runners::write_workloads(workloads)?;
    let mut programs = vec![runners::rust()?];
    for (link, program) in runners::c(&folder)? {
        // One floor is enough; the shared one has the calls of the shared one.
        if link == Link::Shared {
            programs.insert(0, program);
        } else {
            programs.push(program);
        }
    }
    if !arguments.alone {
        programs.extend(peers::programs(&folder));
    }
    let mut running = Vec::new();
    for program in &programs {
        let mut runner = Runner::start(program)?;
        let names = runner.contenders()?;
        running.push((runner, names));
    }
    let mut measured = Measured { cells: Vec::new(), noise: Noise::default() };
    for workload in workloads {
        run::say(format_args!(
            "measuring {}: {}",
            workload.id(),
            workload.what()
        ));
        measured.workload(workload, &mut running, arguments.rounds)?;
    }
    Ok(measured)
}

impl Measured {
    fn workload(
        &mut self,
        workload: &Workload,
        running: &mut [(Runner, Vec<String>)],
        rounds: usize,
    ) -> Result {
        let id = workload.id();
        let mut turns = Vec::new();
        for known in all_known() {
            let place = running
                .iter()
                .position(|(_, names)| names.iter().any(|n| n == known.name));
            let Some(place) = place else {
                continue;
            };
            let answer = running[place].0.answer(known.name, id)?;
            let Some(answer) = answer else {
                continue;
            };
            let bare = known.title.is_empty();
            turns.push((place, self.cells.len()));
            self.cells.push(Cell {
                known,
                workload: id.to_owned(),
                samples: Samples::default(),
                differs: match bare {
                    true => None,
                    false => difference(workload, &answer),
                },
            });
        }
        for _ in 0..rounds {
            for (place, cell) in &turns {
                self.noise.sample();
                let cell = &mut self.cells[*cell];
                cell.samples.extend(running[*place].0.time(
                    cell.known.name,
                    id,
                    3,
                    cell.known.batch,
                )?);
            }
        }
        Ok(())
    }

    fn cell(&self, name: &str, workload: &str) -> Option<&Cell> {
        self.cells
            .iter()
            .find(|c| c.known.name == name && c.workload == workload)
    }

    /// The median and the tenth percentile, less those of the baseline.
    fn net(&self, cell: &Cell) -> (f64, f64) {
        let base = cell.known.baseline;
        let base = base.and_then(|name| self.cell(name, &cell.workload));
        let net = |percent| {
            let base = base.map_or(0.0, |b| b.samples.percentile(percent));
            cell.samples.percentile(percent) - base
        };
        (net(50.0), net(10.0))
    }

    fn print(&self, title: &str, names: &[&str], workloads: &[Workload]) {
        let present = |name: &&&str| {
            self.cells.iter().any(|cell| cell.known.name == **name)
        };
        let names: Vec<&&str> = names.iter().filter(present).collect();
        if names.is_empty() {
            return;
        }
        run::say(format_args!("\nnanoseconds per request, median: {title}"));
        let mut line = format!("{:<12}", "");
        for name in &names {
            let title = all_known()
                .find(|known| known.name == **name)
                .map_or("", |known| known.title);
            let _ = write!(line, "{title:>21}");
        }
        run::say(line);
        for workload in workloads {
            let mut line = format!("{:<12}", workload.id());
            for name in &names {
                let text = match self.cell(name, workload.id()) {
                    Some(cell) => self.text(cell),
                    None => "-".into(),
                };
                let _ = write!(line, "{text:>21}");
            }
            run::say(line);
        }
    }

    /// A number, marked if the answer differs.
    fn text(&self, cell: &Cell) -> String {
        let nanoseconds = self.net(cell).0;
        let number = match nanoseconds {
            ..100.0 => format!("{nanoseconds:.1}"),
            _ => format!("{nanoseconds:.0}"),
        };
        match self.remark(cell) {
            Some(number_of) => format!("{number} [{number_of}]"),
            None => number,
        }
    }

    fn remarks(&self) -> Vec<&str> {
        let mut remarks: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if let Some(text) = &cell.differs
                && !remarks.contains(&text.as_str())
            {
                remarks.push(text);
            }
        }
        remarks
    }

    fn remark(&self, cell: &Cell) -> Option<usize> {
        let text = cell.differs.as_deref()?;
        self.remarks().iter().position(|r| *r == text).map(|at| at + 1)
    }

    fn print_remarks(&self) {
        run::say("");
        for (at, text) in self.remarks().iter().enumerate() {
            run::say(format_args!("[{}] {text}", at + 1));
        }
    }

    fn print_ratios(&self, workloads: &[Workload]) {
        for (ours, theirs) in RATIOS {
            let mut line = String::new();
            for workload in workloads {
                let pair = (
                    self.cell(ours, workload.id()),
                    self.cell(theirs, workload.id()),
                );
                if let (Some(ours), Some(theirs)) = pair {
                    let ratio = self.net(theirs).0 / self.net(ours).0;
                    let _ = write!(line, "  {} {ratio:.1}", workload.id());
                }
            }
            if !line.is_empty() {
                run::say(format_args!("\n{theirs} / {ours}:{line}"));
            }
        }
    }

    fn json(
        &self,
        workloads: &[Workload],
        counts: &[Count],
        noise: Value,
    ) -> Value {
        let about = workloads
            .iter()
            .map(|w| json!({ "id": w.id(), "what": w.what() }))
            .collect::<Vec<_>>();
        let instructions = counts
            .iter()
            .map(|count| {
                json!({
                    "workload": count.workload,
                    "contender": count.contender,
                    "instructions": count.instructions.round(),
                })
            })
            .collect::<Vec<_>>();
        let cells = self
            .cells
            .iter()
            .filter(|cell| !cell.known.title.is_empty())
            .map(|cell| {
                let (median, p10) = self.net(cell);
                json!({
                    "workload": cell.workload,
                    "contender": cell.known.name,
                    "title": cell.known.title,
                    "ns": tenths(median),
                    "p10_ns": tenths(p10),
                    "without": cell.known.baseline,
                    "differs": cell.differs,
                })
            })
            .collect::<Vec<_>>();
        json!({
            "noise": noise,
            "workloads": about,
            "instructions": instructions,
            "times": cells,
        })
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// How an answer differs from the expected one, as far as a browser or a cache
/// can tell: libraries need not send the same headers.
fn difference(workload: &Workload, response: &Response) -> Option<String> {
    let case = &workload.case;
    let answer = Answer {
        status: Some(response.status),
        headers: response
            .headers
            .iter()
            .map(|(name, value)| {
                (String::from_utf8_lossy(name).into_owned(), value.clone())
            })
            .collect(),
        ..case.answer.clone()
    };
    let found = check::browser_verdict(case, &answer);
    let mut differences = Vec::new();
    if found != case.browser {
        differences.push(match (case.browser.is_empty(), found.is_empty()) {
            (true, false) => "allows what is to be refused".to_owned(),
            (false, true) => "refuses what is to be allowed".to_owned(),
            _ => format!("allows with credentials: {}", found.join(", ")),
        });
    }
    let varies = answer.headers.iter().any(|(name, value)| {
        let value = String::from_utf8_lossy(value).to_ascii_lowercase();
        name.eq_ignore_ascii_case("vary")
            && value.split(',').any(|name| name.trim() == "origin")
    });
    if !varies && case.answer.vary.contains(&"Origin") {
        differences
            .push("no Vary: Origin, so caches mix answers up".to_owned());
    }
    (!differences.is_empty()).then(|| differences.join("; "))
}
