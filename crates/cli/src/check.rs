//! `cors check`: the problems of documents.

use std::{io::Write, path::Path, process::ExitCode};

use libcors_config::{Diagnostic, Related};
use serde::Serialize;

use crate::{
    Status,
    args::{CheckArgs, CheckFormat},
    document::Document,
    failure::Failure,
    problems::{self, Counts},
    sarif,
    terminal::Terminal,
};

pub(crate) fn run(args: &CheckArgs, terminal: Terminal) -> Status {
    let is_stdin = |file: &&std::path::PathBuf| *file == Path::new("-");
    if args.files.iter().filter(is_stdin).count() > 1 {
        return Err(Failure::Message(
            "`-` stands twice, and standard input can be read once".to_owned(),
        ));
    }
    let documents = args
        .files
        .iter()
        .map(|file| Document::read(file, &args.stdin_name))
        .collect::<Result<Vec<Document>, Failure>>()?;
    let documents: Vec<&Document> = documents.iter().collect();
    let counts = Counts::of(&documents);
    let status = if documents.iter().any(|d| d.outcome.unreadable) {
        2
    } else if counts.errors > 0 || args.deny_warnings && counts.warnings > 0 {
        1
    } else {
        0
    };

    let mut out = terminal.stdout();
    match args.format {
        CheckFormat::Human => {
            for document in &documents {
                out.write_all(problems::render(document).as_bytes())?;
            }
            out.write_all(problems::summary(&documents).as_bytes())?;
            if status == 1 && counts.errors == 0 {
                writeln!(out, "warnings count as errors (--deny-warnings)")?;
            }
        }
        CheckFormat::Json => {
            let report = Report::new(&documents, counts);
            writeln!(out, "{}", pretty(&report)?)?;
        }
        CheckFormat::Sarif => {
            let log = sarif::log(&documents, status);
            writeln!(out, "{}", pretty(&log)?)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::from(status))
}

pub(crate) fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Output(error.into()))
}

/// The problems as JSON.
#[derive(Serialize)]
struct Report<'d> {
    files: Vec<&'d str>,
    diagnostics: Vec<Problem<'d>>,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct Problem<'d> {
    severity: &'static str,
    code: &'static str,
    file: &'d str,
    line: u32,
    column: u32,
    offset: usize,
    length: usize,
    key_path: &'d str,
    message: &'d str,
    hint: Option<&'d str>,
    related: Vec<Note<'d>>,
}

#[derive(Serialize)]
struct Note<'d> {
    file: &'d str,
    line: u32,
    column: u32,
    offset: usize,
    length: usize,
    key_path: &'d str,
    message: &'d str,
}

impl<'d> Report<'d> {
    fn new(documents: &[&'d Document], counts: Counts) -> Report<'d> {
        Report {
            files: documents.iter().map(|d| d.name.as_str()).collect(),
            diagnostics: documents
                .iter()
                .flat_map(|document| {
                    let all = document.outcome.diagnostics.iter();
                    all.map(|d| Problem::new(d, &document.name))
                })
                .collect(),
            errors: counts.errors,
            warnings: counts.warnings,
        }
    }
}

impl<'d> Problem<'d> {
    fn new(diagnostic: &'d Diagnostic, file: &'d str) -> Problem<'d> {
        let note = |related: &'d Related| Note {
            file,
            line: related.line,
            column: related.column,
            offset: related.offset,
            length: related.len,
            key_path: &related.key_path,
            message: &related.message,
        };
        Problem {
            severity: diagnostic.severity.as_str(),
            code: diagnostic.code,
            file,
            line: diagnostic.line,
            column: diagnostic.column,
            offset: diagnostic.offset,
            length: diagnostic.len,
            key_path: &diagnostic.key_path,
            message: &diagnostic.message,
            hint: diagnostic.hint.as_deref(),
            related: diagnostic.related.iter().map(note).collect(),
        }
    }
}
