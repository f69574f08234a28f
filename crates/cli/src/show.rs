//! `cors show`: a document with its defaults filled in, and what its rules cover.

use std::{fmt::Write as _, io::Write, process::ExitCode};

use libcors_config::{
    Flag, Format, NamedPolicy, OriginEntry, PolicySpec, PortPattern,
};
use serde::{Serialize, Serializer};

use crate::{
    Status,
    args::{ShowArgs, ShowFormat},
    check::pretty,
    cover::Cover,
    document::{Document, find},
    failure::Failure,
    terminal::Terminal,
};

pub(crate) fn run(args: &ShowArgs, terminal: Terminal) -> Status {
    let document = Document::read(&args.file, "<stdin>")?;
    let policies = document.into_policies(terminal)?;
    let shown: Vec<&NamedPolicy> = match &args.policy {
        Some(name) => vec![find(&policies, name, &args.file)?],
        None => policies.iter().collect(),
    };
    let mut out = std::io::stdout().lock();
    match args.format {
        ShowFormat::Toml => {
            for (at, named) in shown.iter().enumerate() {
                if at > 0 {
                    writeln!(out)?;
                }
                out.write_all(toml(named)?.as_bytes())?;
            }
        }
        ShowFormat::Json => {
            let document = DocumentJson { policy: Specs(&shown) };
            writeln!(out, "{}", pretty(&document)?)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct DocumentJson<'p> {
    policy: Specs<'p>,
}

struct Specs<'p>(&'p [&'p NamedPolicy]);

impl Serialize for Specs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|p| (p.name(), p.spec())))
    }
}

/// The table of a policy, with comments.
fn toml(named: &NamedPolicy) -> Result<String, Failure> {
    let spec = named.spec();
    let mut text = format!("[policy.{}]\n", key(named.name()));
    origins(named, &mut text);
    let mut rest = spec.clone();
    // Written above; as the only list that may hold tables, it would come last.
    rest.allow_origins.clear();
    let rest = ::toml::to_string(&rest).map_err(|error| {
        Failure::Message(format!(
            "policy `{}` cannot be shown: {error}",
            named.name()
        ))
    })?;
    for line in rest.lines() {
        match line.split_once(" = ") {
            Some(("allow_origins", _)) => continue,
            Some(("dangerously_allow", _)) => dangers(spec, &mut text),
            _ => {}
        }
        text += line;
        text += "\n";
    }
    Ok(text)
}

/// A key as TOML writes it.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match name.chars().all(bare) {
        true => name.to_owned(),
        false => value(name),
    }
}

/// A string as TOML writes it.
fn value(text: &str) -> String {
    ::toml::Value::from(text).to_string()
}

fn origins(named: &NamedPolicy, text: &mut String) {
    let entries = &named.spec().allow_origins;
    if entries.is_empty() {
        *text += "# No origin is allowed.\nallow_origins = []\n";
        return;
    }
    *text += "allow_origins = [\n";
    for (at, entry) in entries.iter().enumerate() {
        let cover = Cover::of(entry, named);
        let mut comment = |lead: &str, what: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  # {lead}{what}");
        };
        comment(&format!("[{at}] "), &cover.words);
        if !cover.covered.is_empty() {
            comment("    covers ", &cover.covered.join(", "));
        }
        if !cover.others.is_empty() {
            comment("    not    ", &cover.others.join(", "));
        }
        let written = match entry {
            OriginEntry::Plain(origin) => value(origin),
            OriginEntry::Regex { regex } => {
                format!("{{ regex = {} }}", value(regex))
            }
            OriginEntry::Network { network, scheme, port } => {
                let scheme = scheme.as_str();
                let port = match port {
                    PortPattern::Default => String::new(),
                    PortPattern::Number(port) => format!(", port = {port}"),
                    PortPattern::Any => ", port = \"*\"".to_owned(),
                };
                format!(
                    "{{ network = \"{network}\", scheme = \"{scheme}\"{port} }}"
                )
            }
        };
        let _ = writeln!(text, "  {written},");
    }
    *text += "]\n";
}

/// Comments on the danger flags: what each of them lets through here.
fn dangers(spec: &PolicySpec, text: &mut String) {
    for &flag in &spec.dangerously_allow {
        let about = flag_description(flag);
        let _ = writeln!(text, "# {}: {about}", flag.as_str());
        let let_through = refused_without(spec, flag);
        const MOST: usize = 10;
        for line in let_through.iter().take(MOST) {
            let _ = writeln!(text, "#   {line}");
        }
        if let_through.len() > MOST {
            let more = let_through.len() - MOST;
            let _ = writeln!(text, "#   and {more} more");
        }
        if let_through.is_empty() {
            *text += "#   nothing here needs it\n";
        }
    }
}

/// What a danger flag lets through.
fn flag_description(flag: Flag) -> &'static str {
    let found = Flag::ALL.iter().find(|(known, _, _)| *known == flag);
    found.map_or("", |(_, _, about)| about.trim())
}

/// The errors that the policy would have without this flag.
fn refused_without(spec: &PolicySpec, flag: Flag) -> Vec<String> {
    let mut spec = spec.clone();
    spec.dangerously_allow.retain(|other| *other != flag);
    let policy = serde_json::json!({ "p": spec });
    let document = serde_json::json!({ "policy": policy }).to_string();
    let outcome = libcors_config::parse(document.as_bytes(), "", Format::Json);
    let line = |d: &libcors_config::Diagnostic| {
        let key = d.key_path.strip_prefix("policy.p.");
        format!("{}: {}", key.unwrap_or(&d.key_path), d.message)
    };
    outcome.diagnostics.errors().map(line).collect()
}
