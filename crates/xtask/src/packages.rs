//! Debian packages that a command needs.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{
    fail,
    run::{self, Context, Result},
};

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

/// Installs what is missing, or says what to install.
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
    let names = missing.join(" ");
    if !run::exists("apt-get") {
        fail!(
            "missing here: what the Debian packages {names} hold; install it, \
             and try again"
        );
    }
    if !is_root() {
        fail!("missing here: {names}; run `sudo apt-get install {names}`");
    }
    run::say(format_args!("installing {names}"));
    install(&missing)?;
    if let Some(need) = needs.iter().find(|need| !need.met()) {
        fail!(
            "{} was installed, but {need:?} is still not there",
            need.package()
        );
    }
    Ok(())
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
    use std::os::unix::fs::MetadataExt as _;
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

fn apt_get() -> std::process::Command {
    let mut command = run::command("apt-get");
    // Another apt may be at work: wait for it.
    command
        .args(["-q", "-o", "DPkg::Lock::Timeout=600"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// While it lives, a package that is installed does not start its service.
struct NoServices {
    remove: Option<PathBuf>,
}

impl NoServices {
    fn new() -> Result<NoServices> {
        let path = PathBuf::from("/usr/sbin/policy-rc.d");
        if path.exists() {
            // The machine has its own rule.
            return Ok(NoServices { remove: None });
        }
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(&path)
            .and_then(|mut file| {
                use std::io::Write as _;
                // 101: the action is not allowed.
                file.write_all(b"#!/bin/sh\nexit 101\n")?;
                // The umask may have taken bits away.
                file.set_permissions(fs::Permissions::from_mode(0o755))
            })
            .context(path.display())?;
        Ok(NoServices { remove: Some(path) })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(path) = &self.remove {
            let _ = fs::remove_file(path);
        }
    }
}
