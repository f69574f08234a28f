//! `cargo xtask header`: writes `include/cors.h`.
//!
//! cbindgen prints all constants, then all types, then all functions. A manual
//! page goes by subjects, so its items are sorted into chapters here.

use std::{fs, path::PathBuf};

use crate::{
    fail,
    run::{self, Context, Result},
};

/// The arguments of `cargo xtask header`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; fail, and show the difference, if it is out of date
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask header`.
pub fn command(arguments: &Arguments) -> Result {
    header(arguments.check)
}

/// The files of `crates/capi/src` that export something. Items of one chapter
/// and one pattern stand in this order.
const FILES: [&str; 9] = [
    "version.rs",
    "status.rs",
    "types.rs",
    "policies.rs",
    "diagnostics.rs",
    "request.rs",
    "decision.rs",
    "edits.rs",
    "explain.rs",
];

/// The chapters, in the order in which a user meets them. A `*` at the end of a
/// name stands for the rest of it.
const CHAPTERS: [(&str, &[&str]); 8] = [
    ("Versions", &["CORS_ABI_VERSION", "cors_abi_version", "cors_version"]),
    (
        "Strings and status codes",
        &["cors_str", "CORS_OK", "CORS_ERR_*", "cors_status_str"],
    ),
    (
        "Documents",
        &[
            "cors_policies",
            "cors_policy",
            "cors_diagnostics",
            "CORS_FORMAT_*",
            "CORS_CHOICE_*",
            "CORS_UNKNOWN_SIZE",
            "cors_policies_*",
        ],
    ),
    (
        "Diagnostics",
        &["CORS_SEVERITY_*", "cors_diagnostic", "cors_diagnostics_*"],
    ),
    (
        "Requests",
        &[
            "cors_lines",
            "cors_request",
            "cors_field",
            "CORS_REQUEST_*",
            "cors_request_builder",
            "cors_request_builder_*",
        ],
    ),
    (
        "Decisions",
        &[
            "CORS_KIND_*",
            "CORS_OUTCOME_*",
            "CORS_REASON_*",
            "CORS_KINDS",
            "CORS_REASONS",
            "CORS_RULE_NONE",
            "CORS_VARY_ORIGIN",
            "CORS_VARY_REQUEST_*",
            "CORS_UPSTREAM_*",
            "CORS_HEADER_*",
            "CORS_SOURCE_*",
            "cors_header",
            "CORS_HEADERS_MAX",
            "cors_decision",
            "cors_decide",
        ],
    ),
    (
        "Applying a decision",
        &[
            "CORS_LINE_*",
            "CORS_RESPONSE_LENGTHS",
            "CORS_VARY_LINES_MAX",
            "cors_edits",
            "cors_edits_*",
            "CORS_OWNED_MIN",
            "cors_header_owned",
            "CORS_OWNED_MIN",
            "CORS_VARY_EXTRA",
            "cors_vary_merge",
            "cors_decision_detach",
            "cors_variant_*",
        ],
    ),
    (
        "Human-readable strings",
        &[
            "cors_kind_str",
            "cors_outcome_str",
            "cors_reason_str",
            "cors_reason_outcome",
            "cors_header_str",
            "cors_explain",
        ],
    ),
];

/// Where the header is.
pub fn path() -> PathBuf {
    run::root().join("include/cors.h")
}

/// Writes the header, or, if `check`, only compares.
pub fn header(check: bool) -> Result {
    let path = path();
    let expected = generate()?;
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        run::say("include/cors.h is up to date");
        return Ok(());
    }
    if check {
        fail!(
            "include/cors.h is not what crates/capi says; run `cargo xtask \
             header`\n{}",
            difference(&expected)?
        );
    }
    fs::write(&path, expected).context("include/cors.h")?;
    run::say("include/cors.h is written");
    Ok(())
}

/// The header as it should be.
fn generate() -> Result<String> {
    let crate_dir = run::root().join("crates/capi");
    let config = crate_dir.join("cbindgen.toml");
    let mut config = cbindgen::Config::from_file(&config)
        .map_err(run::Error::new)
        .context("crates/capi/cbindgen.toml")?;
    let trailer = config.trailer.take().unwrap_or_default();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in FILES {
        builder = builder.with_src(crate_dir.join("src").join(file));
    }
    let mut text = Vec::new();
    builder.generate().context("cbindgen")?.write(&mut text);
    let text = String::from_utf8(text).context("cbindgen")?;
    arrange(text.trim_start(), trailer.trim())
}

/// Sorts what cbindgen wrote into chapters.
fn arrange(text: &str, trailer: &str) -> Result<String> {
    // Every item has a comment, and nothing else opens one of this kind.
    let mut blocks = text.split("\n/**\n");
    let mut result = blocks.next().unwrap_or_default().trim_end().to_string();
    let mut items = Vec::new();
    for block in blocks {
        let block = format!("/**\n{}", block.trim_end());
        let block = mark_unsigned(&join_short_comments(&block));
        let Some(name) = name_of(&block) else {
            fail!(
                "cannot tell what this part of the header declares:\n{block}"
            );
        };
        let Some(place) = place_of(&name) else {
            fail!(
                "no chapter of the header has a place for {name}: add it to \
                 CHAPTERS in crates/xtask/src/header.rs"
            );
        };
        items.push((place, block));
    }
    // Items of one place keep their order.
    items.sort_by_key(|(place, _)| *place);

    let mut last = None;
    for (place, block) in items {
        let (chapter, pattern) = place;
        if last.is_none_or(|(last, _)| last != chapter) {
            let title = CHAPTERS[chapter].0;
            result.push_str(&format!(
                "\n\n\n/*\n * {title}\n * {}\n */\n",
                "=".repeat(title.len())
            ));
        }
        // Numbers of one kind stand together.
        let together = last == Some(place)
            && CHAPTERS[chapter].1[pattern].starts_with("CORS_");
        result.push_str(if together { "\n" } else { "\n\n" });
        result.push_str(&block);
        last = Some(place);
    }
    result.push_str("\n\n\n");
    result.push_str(trailer);
    result.push('\n');
    // The blank line after a chapter's title is one, not two.
    Ok(result.replace("\n\n\n\n", "\n\n\n").replace(" */\n\n\n", " */\n\n"))
}

/// Writes a comment of one line on one line.
fn join_short_comments(block: &str) -> String {
    let lines: Vec<_> = block.lines().collect();
    let mut result = Vec::new();
    let mut rest = &lines[..];
    while let [first, tail @ ..] = rest {
        if let ["/**", middle, "*/", ..] =
            [first, tail.first().unwrap_or(&""), tail.get(1).unwrap_or(&"")]
                .map(|line| line.trim())
        {
            let indent = first.len() - first.trim_start().len();
            let text = middle.trim_start_matches("* ");
            let joined = format!("{}/** {text} */", " ".repeat(indent));
            if joined.len() < 80 {
                result.push(joined);
                rest = &tail[2..];
                continue;
            }
        }
        result.push((*first).to_string());
        rest = tail;
    }
    result.join("\n")
}

/// Gives a constant that is no `int` a suffix: C89 and C99 do not agree on its
/// type otherwise.
fn mark_unsigned(block: &str) -> String {
    match block.rsplit_once(' ') {
        Some((start, value)) if start.contains("\n#define ") => {
            match value.parse::<u32>() {
                Ok(value) if i32::try_from(value).is_err() => {
                    format!("{start} {value:#x}u")
                }
                _ => block.to_string(),
            }
        }
        _ => block.to_string(),
    }
}

/// The name of what a block declares.
fn name_of(block: &str) -> Option<String> {
    let declaration = block.split_once("*/")?.1.trim_start();
    let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let name = if let Some(rest) = declaration.strip_prefix("#define ") {
        rest.split(end).next()
    } else if let Some(rest) = declaration.strip_prefix("typedef struct ") {
        rest.split(end).next()
    } else {
        declaration.split_once('(')?.0.trim_end().rsplit(end).next()
    };
    name.filter(|name| !name.is_empty()).map(str::to_string)
}

/// The chapter and the pattern that an item belongs to: that of its full name, or
/// the longest that it starts with.
fn place_of(name: &str) -> Option<(usize, usize)> {
    let mut best = None;
    for (chapter, (_, patterns)) in CHAPTERS.iter().enumerate() {
        for (index, pattern) in patterns.iter().enumerate() {
            let score = match pattern.strip_suffix('*') {
                Some(prefix) if name.starts_with(prefix) => prefix.len(),
                None if name == *pattern => usize::MAX,
                _ => continue,
            };
            if best.is_none_or(|(other, _)| score > other) {
                best = Some((score, (chapter, index)));
            }
        }
    }
    best.map(|(_, place)| place)
}

/// The lines in which the header differs from what it should be.
fn difference(expected: &str) -> Result<String> {
    let new = run::target().join("cors.h.expected");
    fs::write(&new, expected).context(new.display())?;
    let output =
        run::output(run::command("diff").arg("-u").args([path(), new]))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
