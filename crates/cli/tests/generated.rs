//! What is made from the command line: completions, manual pages, the version.

mod common;

use std::fs;

use common::Folder;

const SUBCOMMANDS: [&str; 7] =
    ["check", "show", "schema", "decide", "explain", "completions", "man"];

#[test]
fn completions_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = folder.run(&["completions", shell]);
        ran.exits(0);
        for word in SUBCOMMANDS.iter().chain(&["deny-warnings"]) {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
    folder.run(&["completions", "csh"]).exits(2);
}

#[test]
fn manual_pages_for_every_subcommand() {
    let folder = Folder::new();
    let ran = folder.run(&["man"]);
    ran.exits(0);
    assert!(ran.out.contains(".TH cors 1"));

    folder.run(&["man", "--dir", "pages/man1"]).exits(0);
    let pages = folder.path().join("pages/man1");
    assert_eq!(fs::read_to_string(pages.join("cors.1")).unwrap(), ran.out);
    for name in SUBCOMMANDS {
        let page = pages.join(format!("cors-{name}.1"));
        let text = fs::read_to_string(page).unwrap();
        assert!(text.contains(&format!("cors\\-{name}")), "{name}: {text}");
    }
    assert_eq!(fs::read_dir(pages).unwrap().count(), SUBCOMMANDS.len() + 1);

    folder.file("file", "");
    let ran = folder.run(&["man", "--dir", "file"]);
    ran.exits(2);
    assert!(ran.err.contains("cannot be written to file"), "{}", ran.err);
}

#[test]
fn the_version() {
    let ran = Folder::new().run(&["--version"]);
    ran.exits(0);
    assert_eq!(ran.out, format!("cors {}\n", env!("CARGO_PKG_VERSION")));
}
