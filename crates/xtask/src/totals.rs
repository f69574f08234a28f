//! The steps of `cargo xtask test`, and how many checks passed.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    fail,
    run::{self, Context as _, Result},
};

/// What passed and what failed.
#[derive(Debug, Default)]
pub struct Totals {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
}

impl Totals {
    /// One step, which says how many checks it made.
    pub fn step(&mut self, name: &str, body: impl FnOnce() -> Result<usize>) {
        run::say(format_args!("== {name}"));
        let start = Instant::now();
        match body() {
            Ok(count) => {
                self.passed += count;
                let seconds = start.elapsed().as_secs();
                run::say(format_args!("   {count} passed, {seconds} s"));
            }
            Err(error) => {
                self.failed += 1;
                self.failures.push(name.to_owned());
                run::say(format_args!("   FAILED: {error}"));
            }
        }
    }

    /// One step, which makes something that later ones need.
    pub fn make<T>(
        &mut self,
        name: &str,
        body: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        let mut made = None;
        self.step(name, || {
            made = Some(body()?);
            Ok(1)
        });
        made
    }

    /// Runs `cargo test`, and adds up what it says.
    pub fn cargo_test(&mut self, arguments: &[&str], env: &[(&str, &PathBuf)]) {
        run::say(format_args!("== cargo test {}", arguments.join(" ")));
        let mut command = run::cargo();
        command.args(["test", "--no-fail-fast"]).args(arguments);
        command.envs(env.iter().copied());
        let before = (self.passed, self.failed);
        let start = Instant::now();
        let result = self.count(&mut command);
        let counted = (self.passed - before.0, self.failed - before.1);
        if let Err(error) = result {
            self.failed += usize::from(counted.1 == 0);
            self.failures.push(error.to_string());
        }
        let seconds = start.elapsed().as_secs();
        run::say(format_args!("   {} passed, {seconds} s", counted.0));
    }

    fn count(&mut self, command: &mut Command) -> Result {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cargo test")?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line.context("cargo test")?;
                if let Some(rest) = line.strip_prefix("test result: ") {
                    self.passed += number_before(rest, " passed");
                    self.failed += number_before(rest, " failed");
                }
                // What passed need not be read.
                if !line.ends_with(" ... ok") && !line.trim().is_empty() {
                    println!("{line}");
                }
            }
        }
        let status = child.wait().context("cargo test")?;
        if !status.success() {
            fail!("cargo test failed");
        }
        Ok(())
    }

    /// Prints the last line, with what passed and what failed.
    pub fn finish(self) -> Result {
        for failure in &self.failures {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed != 0 {
            fail!("not everything passed");
        }
        Ok(())
    }
}

/// The number before a word, in the summary of a test by cargo or pytest.
pub fn number_before(text: &str, word: &str) -> usize {
    text.split(word)
        .next()
        .and_then(|front| front.rsplit([' ', ';']).next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}
