//! The examples of docs/cli.md are what the command prints.

mod common;

use std::fs;

use common::{Folder, workspace};

/// The fenced blocks: the word behind the fence, and the lines.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(word) = line.strip_prefix("```") {
            let inner = lines.by_ref().take_while(|line| *line != "```");
            blocks.push((word, inner.collect()));
        }
    }
    blocks
}

/// The words of a command, of which some may stand in quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (at, part) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        for (at, piece) in part.split(' ').enumerate() {
            if at > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(piece);
        }
    }
    words
}

#[test]
fn examples_are_what_is_printed() {
    let page = fs::read_to_string(workspace("docs/cli.md")).unwrap();
    let folder = Folder::new();
    let mut commands = 0;
    for (word, lines) in blocks(&page) {
        // The first line of a file's text is its name.
        let name = lines.first().and_then(|line| line.strip_prefix("# "));
        if let (Some(name), true) = (name, word != "console") {
            // JSON lines have no comments.
            let skip = usize::from(name.ends_with(".jsonl"));
            folder.file(name, lines[skip..].join("\n") + "\n");
        }
        if word != "console" {
            continue;
        }
        let mut rest = lines.as_slice();
        while let [command, after @ ..] = rest {
            let end = after.iter().position(|line| line.starts_with("$ "));
            let (expected, next) = after.split_at(end.unwrap_or(after.len()));
            rest = next;
            let mut words = words(command.strip_prefix("$ cors ").unwrap());
            commands += 1;
            let mut redirected = |sign: &str| {
                let at = words.iter().position(|word| word == sign)?;
                words.drain(at..).nth(1)
            };
            let output = redirected(">");
            let input = redirected("<")
                .map(|name| fs::read(folder.path().join(name)).unwrap());
            let args: Vec<&str> = words.iter().map(String::as_str).collect();
            let ran = folder.run_with(&args, input.unwrap_or_default());
            assert_eq!(ran.err, "", "{command}");
            if output.is_some() {
                assert!(!ran.out.is_empty(), "{command}");
                continue;
            }
            assert_eq!(ran.out.trim_end(), expected.join("\n").trim_end());
        }
    }
    assert!(commands > 8, "{commands}");
}
