//! What a command needs and does not find. It is installed with
//! `--install-deps`, and otherwise the command says how, and stops.

use std::{
    env, fmt, fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
    sync::OnceLock,
};

use crate::{
    fail,
    run::{self, Context, Result},
};

/// The flag of all programs that need something of the machine.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct InstallDeps {
    /// Install what is missing: Debian packages, as root, and Python packages
    /// into the target folder
    #[arg(long, global = true)]
    install_deps: bool,
}

/// The flag, and the program that got it, as one types it.
static GIVEN: OnceLock<(bool, &str)> = OnceLock::new();

impl InstallDeps {
    /// Applies the flag to all of the process. `program` is what one types to
    /// run it.
    pub fn apply(self, program: &'static str) {
        let _ = GIVEN.set((self.install_deps, program));
    }
}

fn may_install() -> bool {
    GIVEN.get().is_some_and(|given| given.0)
}

/// Passes the flag on to a program that takes it as well.
pub fn pass_on(command: &mut Command) -> &mut Command {
    if may_install() {
        command.arg("--install-deps");
    }
    command
}

/// The command that was typed, with the flag.
fn again() -> String {
    let (_, program) = GIVEN.get().copied().unwrap_or((false, "cargo xtask"));
    let mut text = program.to_owned();
    for argument in env::args_os().skip(1) {
        text.push(' ');
        text.push_str(&run::quote(&argument.to_string_lossy()));
    }
    text + " --install-deps"
}

/// Something that must be there, and the package it is in.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A program, by its name.
    Program(&'static str, &'static str),
    /// A file.
    File(&'static str, &'static str),
    /// A module of Python.
    Python(&'static str, &'static str),
}

impl Need {
    /// Whether it is there.
    pub fn met(self) -> bool {
        match self {
            Need::Program(program, _) => run::exists(program),
            Need::File(path, _) => Path::new(path).exists(),
            Need::Python(module, _) => {
                let import = format!("import {module}");
                run::output(run::command("python3").args(["-c", &import]))
                    .is_ok_and(|output| output.status.success())
            }
        }
    }

    fn package(self) -> &'static str {
        match self {
            Need::Program(_, package)
            | Need::File(_, package)
            | Need::Python(_, package) => package,
        }
    }
}

/// Installs what is missing, or says how to.
pub fn ensure(needs: &[Need]) -> Result {
    let mut missing: Vec<_> = needs
        .iter()
        .filter(|need| !need.met())
        .map(|need| need.package())
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let machine = Machine { apt: run::exists("apt-get"), root: is_root() };
    let names = missing.join(" ");
    if let Plan::Stop(why) = plan(&names, machine, may_install(), &again()) {
        fail!("{why}");
    }
    run::say(format_args!("installing {names}"));
    install(&missing)?;
    if let Some(need) = needs.iter().find(|need| !need.met()) {
        fail!("{} was installed, but {need:?} is missing", need.package());
    }
    Ok(())
}

/// Fails unless the flag allows to fetch something that is missing into a folder.
pub fn permit(what: impl fmt::Display, folder: &Path) -> Result {
    if !may_install() {
        fail!(
            "missing: {what}; run `{}`, which fetches it into {}",
            again(),
            folder.display()
        );
    }
    run::say(format_args!("fetching {what}"));
    Ok(())
}

/// The machine, as far as it decides about packages.
#[derive(Clone, Copy, Debug)]
struct Machine {
    /// Whether there is apt-get.
    apt: bool,
    /// Whether we are root.
    root: bool,
}

/// What to do about missing packages.
#[derive(Debug, Eq, PartialEq)]
enum Plan {
    Install,
    /// With the message.
    Stop(String),
}

/// `again` is the same command with `--install-deps`.
fn plan(
    missing: &str,
    machine: Machine,
    may_install: bool,
    again: &str,
) -> Plan {
    let apt = format!("apt-get install --no-install-recommends {missing}");
    Plan::Stop(match (machine, may_install) {
        (Machine { apt: true, root: true }, true) => return Plan::Install,
        (Machine { apt: true, root: true }, false) => {
            format!("missing: {missing}; run `{apt}` or `{again}`")
        }
        (Machine { apt: true, root: false }, false) => {
            format!("missing: {missing}; run `sudo {apt}`")
        }
        (Machine { apt: true, root: false }, true) => format!(
            "missing: {missing}; --install-deps requires root for Debian \
             packages: run `sudo {apt}`"
        ),
        (Machine { apt: false, .. }, _) => format!(
            "missing: what the Debian packages {missing} contain; without \
             apt-get, install it in the way of this system"
        ),
    })
}

/// As [`ensure`], for what one can do without; returns whether all is there.
pub fn offer(needs: &[Need]) -> bool {
    match ensure(needs) {
        Ok(()) => true,
        Err(error) => {
            run::say(format_args!("  {error}"));
            false
        }
    }
}

fn is_root() -> bool {
    // /proc/self belongs to whom the process runs as.
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn install(packages: &[&str]) -> Result {
    static UPDATED: OnceLock<()> = OnceLock::new();
    let _quiet = NoServices::new()?;
    if UPDATED.set(()).is_ok() {
        run::read(apt_get().arg("update")).context("the package lists")?;
    }
    run::read(
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )?;
    Ok(())
}

fn apt_get() -> Command {
    let mut command = run::command("apt-get");
    // Another apt may be at work: wait for it.
    command
        .args(["-q", "-o", "DPkg::Lock::Timeout=600"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// While it lives, a package that is installed does not start its service.
struct NoServices {
    remove: bool,
}

impl NoServices {
    const FILE: &str = "/usr/sbin/policy-rc.d";

    fn new() -> Result<NoServices> {
        // The machine may have its own rule.
        let remove = !Path::new(Self::FILE).exists();
        if remove {
            // 101: the action is not allowed.
            fs::write(Self::FILE, "#!/bin/sh\nexit 101\n")
                .and_then(|()| {
                    let mode = fs::Permissions::from_mode(0o755);
                    fs::set_permissions(Self::FILE, mode)
                })
                .context(Self::FILE)?;
        }
        Ok(NoServices { remove })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.remove {
            let _ = fs::remove_file(Self::FILE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: &str = "cargo xtask test --install-deps";

    fn planned(apt: bool, root: bool, may_install: bool) -> Plan {
        plan("clang tcc", Machine { apt, root }, may_install, AGAIN)
    }

    #[test]
    fn nothing_is_installed_unasked() {
        for apt in [false, true] {
            for root in [false, true] {
                assert_ne!(planned(apt, root, false), Plan::Install);
            }
        }
        assert_eq!(planned(true, true, true), Plan::Install);
        // What cannot be done is not tried.
        assert_ne!(planned(true, false, true), Plan::Install);
        assert_ne!(planned(false, true, true), Plan::Install);
    }

    #[test]
    fn a_refusal_says_what_to_run() {
        let apt = "apt-get install --no-install-recommends clang tcc`";
        for (root, command) in
            [(true, format!("`{apt}")), (false, format!("`sudo {apt}"))]
        {
            let Plan::Stop(message) = planned(true, root, false) else {
                panic!("installed unasked");
            };
            assert!(message.contains(&command), "{message}");
            // Root alone may let the command do it.
            assert_eq!(message.contains(AGAIN), root, "{message}");
        }
        let Plan::Stop(message) = planned(false, true, true) else {
            panic!("installed without apt-get");
        };
        assert!(message.contains("clang tcc"), "{message}");
    }

    #[test]
    fn nothing_is_fetched_unasked() {
        // No flag was given to this process.
        let error = permit("Envoy 1.0.0", Path::new("target/envoy"));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("--install-deps"), "{message}");
        assert!(message.contains("target/envoy"), "{message}");
    }
}
