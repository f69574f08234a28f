//! The table of the demo, at most 100 columns wide.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use libcors_policy::Policy;
use libcors_testkit::{browser::Blocked, http::Reply, suite::Line};

use super::scene::{Scene, Verdict};
use libcors_tools::{fail, run::Result};

const WIDTH: usize = 100;

/// The widths of the number and of the columns, without the gaps between them.
const COLUMNS: [usize; 4] = [2, 32, 39, 21];

const GAP: &str = "  ";

/// Prints row by row.
pub(super) struct Table {
    color: bool,
    rows: usize,
    /// What is not as it should be.
    wrong: Vec<String>,
}

#[derive(Clone, Copy)]
enum Style {
    Plain,
    Title,
    Passed,
    Blocked,
    Wrong,
}

impl Table {
    /// Prints the head.
    pub fn new() -> Table {
        let color =
            io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        let table = Table { color, rows: 0, wrong: Vec::new() };
        table.columns([
            ("", Style::Plain),
            ("asked", Style::Title),
            ("came back", Style::Title),
            ("a browser", Style::Title),
        ]);
        println!("{}", "-".repeat(WIDTH));
        table
    }

    /// Prints a row: `reply` is what came back, and `engine` what the engine says
    /// should.
    pub fn row(
        &mut self,
        scene: &Scene,
        policy: &Policy,
        reply: &Reply,
        engine: &Reply,
    ) {
        self.rows += 1;
        let verdict = scene.judge(reply);
        let (method, lines) = scene.wire();
        let mut asked = vec![format!(
            "{} {}",
            String::from_utf8_lossy(&method),
            scene.path
        )];
        asked.extend(lines.iter().map(show));

        let count = reply.values("access-control-allow-origin").len();
        let s = if count == 1 { "" } else { "s" };
        let mut came =
            vec![format!("{}, {count} A-C-Allow-Origin line{s}", reply.status)];
        came.extend(reply.lines.iter().filter(is_shown).map(show));

        let (words, style) = match verdict {
            Verdict::NoCheck => ("checks nothing".into(), Style::Passed),
            Verdict::Reads if reply.status >= 400 => (
                format!("lets the page read the {}", reply.status),
                Style::Passed,
            ),
            Verdict::Reads => ("lets the page read it".into(), Style::Passed),
            Verdict::Sends => {
                (format!("sends the {}", scene.method), Style::Passed)
            }
            Verdict::Blocked(blocked) => {
                let what = match scene.preflight {
                    true => format!("does not send the {}", scene.method),
                    false => "keeps it from the page".into(),
                };
                (format!("{what}: {}", describe(blocked)), Style::Blocked)
            }
        };

        self.columns([
            (&self.rows.to_string(), Style::Title),
            (scene.title, Style::Title),
        ]);
        let cells = [
            fold_all(&asked, COLUMNS[1]),
            fold_all(&came, COLUMNS[2]),
            fold(&words, COLUMNS[3], ""),
        ];
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for i in 0..height {
            let cell = |at: usize| cells[at].get(i).map_or("", String::as_str);
            self.columns([
                ("", Style::Plain),
                (cell(0), Style::Plain),
                (cell(1), Style::Plain),
                (cell(2), style),
            ]);
        }
        for line in fold(&why(scene, policy, reply), WIDTH - 4, "     ") {
            self.columns([("", Style::Plain), (&line, Style::Plain)]);
        }
        for problem in problems(scene, verdict, reply, engine) {
            let text = format!("NOT AS IT SHOULD BE: {problem}");
            for line in fold(&text, WIDTH - 4, "") {
                self.columns([("", Style::Plain), (&line, Style::Wrong)]);
            }
            self.wrong.push(format!("row {}: {problem}", self.rows));
        }
        println!();
    }

    /// Says whether all was as it should be.
    pub fn finish(self, from: &str) -> Result {
        if !self.wrong.is_empty() {
            fail!(
                "not all answers of {from} are what they should be\n{}",
                self.wrong.join("\n")
            );
        }
        println!(
            "All {} answers of {from} are what they should be.",
            self.rows
        );
        Ok(())
    }

    fn columns<const N: usize>(&self, cells: [(&str, Style); N]) {
        let mut line = String::new();
        for (i, (text, style)) in cells.into_iter().enumerate() {
            let last = i + 1 == N;
            if i > 0 {
                line += GAP;
            }
            let width = if last { 0 } else { COLUMNS[i] };
            let padding = width.saturating_sub(text.chars().count());
            // Numbers stand to the right.
            if i == 0 {
                line += &" ".repeat(padding);
            }
            line += &self.paint(text, style);
            if i > 0 {
                line += &" ".repeat(padding);
            }
        }
        println!("{}", line.trim_end());
    }

    fn paint(&self, text: &str, style: Style) -> String {
        let code = match style {
            _ if !self.color || text.is_empty() => return text.into(),
            Style::Plain => return text.into(),
            Style::Title => "1",
            Style::Passed => "32",
            Style::Blocked => "33",
            Style::Wrong => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The reason, as the server put it into a header, and the engine's words for it.
fn why(scene: &Scene, policy: &Policy, reply: &Reply) -> String {
    if scene.bare {
        return "why: two lines are one too many, and neither is the page's \
                origin"
            .into();
    }
    let told = scene.explain(policy);
    let failed = told.steps().iter().find(|step| step.passed() == Some(false));
    let passed = told.steps().iter().find(|step| step.passed() == Some(true));
    let text = failed
        .or(passed)
        .or(told.steps().first())
        .map_or("", |step| step.text());
    match reason(reply) {
        Some(reason) => format!("why: {reason}: {text}"),
        None => format!("why: {}: {text}", scene.reason),
    }
}

/// What the server said in a header about why.
fn reason(reply: &Reply) -> Option<String> {
    let value = reply.values("x-cors-reason");
    value.first().map(|value| String::from_utf8_lossy(value).into_owned())
}

/// All that is not as it should be.
fn problems(
    scene: &Scene,
    verdict: Verdict,
    reply: &Reply,
    engine: &Reply,
) -> Vec<String> {
    let mut problems = Vec::new();
    if reply.status != scene.status {
        problems.push(format!("status {}, not {}", reply.status, scene.status));
    }
    if verdict != scene.verdict {
        problems.push(format!(
            "for a browser it is {verdict:?}, not {:?}",
            scene.verdict
        ));
    }
    if let Some(reason) = reason(reply)
        && reason != scene.reason
    {
        problems.push(format!("reason {reason}, not {}", scene.reason));
    }
    // Servers write names as they like.
    let headers = |reply: &Reply| {
        let lower =
            |line: &Line| show(&(line.0.to_ascii_lowercase(), line.1.clone()));
        let mut lines: Vec<String> =
            reply.lines.iter().filter(is_cors).map(lower).collect();
        lines.sort();
        lines.join("; ")
    };
    let (found, wanted) = (headers(reply), headers(engine));
    if found != wanted {
        problems.push(format!("headers [{found}], not [{wanted}]"));
    }
    problems
}

fn describe(blocked: Blocked) -> &'static str {
    match blocked {
        Blocked::NotSent => "a script cannot ask for it",
        Blocked::AllowOriginMissing => "no A-C-Allow-Origin",
        Blocked::AllowOriginMultiple => "several values of A-C-Allow-Origin",
        Blocked::AllowOriginMismatch => "A-C-Allow-Origin is another",
        Blocked::AllowOriginWildcard => "A-C-Allow-Origin is *, with cookies",
        Blocked::AllowCredentials => "no A-C-Allow-Credentials",
        Blocked::PreflightStatus => "the status",
        Blocked::AllowMethodsMalformed => "A-C-Allow-Methods is no list",
        Blocked::AllowHeadersMalformed => "A-C-Allow-Headers is no list",
        Blocked::Method => "not in A-C-Allow-Methods",
        Blocked::Header => "a header that is not in A-C-Allow-Headers",
    }
}

fn is_cors(line: &&Line) -> bool {
    let name = line.0.to_ascii_lowercase();
    name.starts_with(b"access-control-") || name == b"vary"
}

fn is_shown(line: &&Line) -> bool {
    is_cors(line) || line.0.eq_ignore_ascii_case(b"x-cache")
}

fn show(line: &Line) -> String {
    let name = String::from_utf8_lossy(&line.0);
    let value = String::from_utf8_lossy(&line.1);
    let prefix = "access-control-";
    match name.get(..prefix.len()) {
        Some(front) if front.eq_ignore_ascii_case(prefix) => {
            let short = if name.starts_with('a') { "a-c" } else { "A-C" };
            format!("{short}-{}: {value}", &name[prefix.len()..])
        }
        _ => format!("{name}: {value}"),
    }
}

fn fold_all(lines: &[String], width: usize) -> Vec<String> {
    lines.iter().flat_map(|line| fold(line, width, "  ")).collect()
}

/// Folds a line at its spaces and after its commas; lines after the first are
/// indented.
fn fold(line: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_inclusive([' ', ',']) {
        let fits = current.len() + word.trim_end().len() <= width;
        if !fits && !current.trim().is_empty() {
            lines.push(current.trim_end().to_string());
            current = indent.to_string();
        }
        current += word;
    }
    lines.push(current.trim_end().to_string());
    lines
}
