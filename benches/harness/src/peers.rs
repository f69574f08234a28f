//! The runners of other libraries: what is needed is fetched, and what cannot be
//! had is left out with a message.

use std::{
    env, fs,
    path::{self, Path, PathBuf},
};

use super::runners::Program;
use libcors_tools::{
    fail, packages,
    run::{self, Context as _, Result},
    venv,
};

const FOLDER: &str = "benches/peers";

/// All that can be had here.
pub(super) fn programs(workloads: &Path) -> Vec<Program> {
    type Make = fn(&Path) -> Result<Program>;
    let makers: [(&str, Make); 4] = [
        ("libraries in Rust", |_| rust()),
        ("Starlette and Django", python),
        ("express", node),
        ("libraries in Go", go),
    ];
    let mut programs = Vec::new();
    for (what, make) in makers {
        match make(workloads) {
            Ok(program) => programs.push(program),
            Err(error) => {
                run::say(format_args!("left out: {what}: {error}"));
            }
        }
    }
    programs
}

/// A folder for what is fetched.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = run::target().join("bench/peers").join(name);
    fs::create_dir_all(&folder).context(folder.display())?;
    Ok(folder)
}

/// Tower, actix-web and the like, and libcors in tower.
pub(super) fn rust() -> Result<Program> {
    let target = folder("rust")?;
    let mut command = run::cargo();
    command
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(run::root().join(FOLDER).join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target);
    run::run(&mut command)?;
    Ok(Program::new(target.join("release/libcors-peers"), &[]))
}

fn python(workloads: &Path) -> Result<Program> {
    let folder = run::target().join("bench/peers/python");
    let source = run::root().join(FOLDER).join("python");
    let list = source.join("requirements.txt");
    let needs = fs::read_to_string(&list).context(list.display())?;
    let what = "Starlette and Django";
    venv::ensure("python3".as_ref(), &folder, what, &needs)?;
    let python = folder.join("bin/python");
    Ok(Program::new(python, &[&source.join("runner.py"), workloads]))
}

fn node(workloads: &Path) -> Result<Program> {
    for program in ["node", "npm"] {
        if !run::exists(program) {
            fail!("no {program} here");
        }
    }
    let folder = folder("node")?;
    let source = run::root().join(FOLDER).join("node");
    let manifest = folder.join("package.json");
    fs::copy(source.join("package.json"), &manifest)
        .context(manifest.display())?;
    if !folder.join("node_modules").exists() {
        packages::permit("express and cors", &folder)?;
    }
    run::read(
        run::command("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&folder),
    )?;
    let runner = source.join("runner.js");
    Ok(Program::new("node", &[&runner, workloads, &folder]))
}

fn go(workloads: &Path) -> Result<Program> {
    let program = match env::var_os("CORS_GO") {
        // It is run in another folder than this.
        Some(program) => path::absolute(&program).context("CORS_GO")?,
        None => "go".into(),
    };
    if !run::exists(&program) {
        fail!("no {} here; CORS_GO may say where one is", program.display());
    }
    let folder = folder("go")?;
    for name in ["go.mod", "runner.go"] {
        let from = run::root().join(FOLDER).join("go").join(name);
        fs::copy(&from, folder.join(name)).context(from.display())?;
    }
    // Fetches the modules, and writes what they sum up to.
    for arguments in [&["mod", "tidy"][..], &["build", "-o", "runner", "."]] {
        run::read(run::command(&program).args(arguments).current_dir(&folder))?;
    }
    Ok(Program::new(folder.join("runner"), &[workloads]))
}
