//! Whether programs can be built with what is installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    fail,
    install::{self, Layout, Stage},
    library::{self, Library},
    packages::{self, Need},
    run::{self, Context as _, Result},
};

/// Builds the example with what is installed, in each way that is offered, and
/// runs it; returns the number of checks.
pub fn check(stage: &Stage) -> Result<usize> {
    let out = run::target().join("stage/programs");
    fs::create_dir_all(&out).context(out.display())?;
    let mut count = 0;

    let shared = out.join("decide-shared");
    run::read(
        stage
            .command("cc")
            .args(EXAMPLE_FLAGS)
            .arg("examples/c/cors-decide.c")
            .args(stage.pkg_config(&["--cflags", "--libs"])?)
            .arg("-o")
            .arg(&shared),
    )?;
    decides(stage, &shared, true)?;
    count += 1;

    // As the header says.
    let linked_in = out.join("decide-static");
    run::read(
        stage
            .command("cc")
            .args(EXAMPLE_FLAGS)
            .arg("examples/c/cors-decide.c")
            .args(stage.pkg_config(&["--cflags", "--libs-only-L"])?)
            .arg("-l:libcors.a")
            .args(stage.pkg_config(&["--variable=static_libs"])?)
            .arg("-o")
            .arg(&linked_in),
    )?;
    decides(stage, &linked_in, false)?;
    count += 1;

    if packages::offer(&[Need::Program("cmake", "cmake")]) {
        let build = out.join("cmake");
        let _ = fs::remove_dir_all(&build);
        run::read(
            stage
                .command("cmake")
                .args(["-S", "tests/c/cmake", "-B"])
                .arg(&build),
        )?;
        run::read(stage.command("cmake").arg("--build").arg(&build))?;
        decides(stage, &build.join("decide-shared"), true)?;
        decides(stage, &build.join("decide-static"), false)?;
        count += 2;
    }

    // In a package, and removed from it again.
    let destdir = out.join("package");
    let _ = fs::remove_dir_all(&destdir);
    let layout = Layout {
        prefix: "/usr".into(),
        libdir: "/usr/lib/x86_64-linux-gnu".into(),
        includedir: "/usr/include".into(),
        destdir: destdir.clone(),
    };
    install::install(&Library::built(), &layout)?;
    let installed = files_below(&destdir)?;
    let expected = install::files(&layout)?.len();
    if installed.len() != expected {
        fail!("{expected} files were to be installed, but it is {installed:?}");
    }
    for file in &installed {
        let text = fs::read(file).context(file.display())?;
        let place = destdir.display().to_string();
        if install::contains(&text, place.as_bytes()) {
            fail!("{} names the folder it was built in", file.display());
        }
    }
    install::uninstall(&layout)?;
    let left = files_below(&destdir)?;
    if !left.is_empty() {
        fail!("not removed by `make uninstall`: {left:?}");
    }
    Ok(count + 1)
}

/// What the example is built with beside pkg-config's flags.
const EXAMPLE_FLAGS: [&str; 6] =
    ["-std=gnu99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror"];

/// Whether a program that was built from the example works.
fn decides(stage: &Stage, program: &Path, shared: bool) -> Result {
    for (origin, code, words) in [
        ("https://app.example.com", 0, "set       Access-Control-Allow-Origin"),
        ("https://evil.example", 1, "reason    origin_not_allowed"),
    ] {
        let mut command = stage.command(program);
        if !shared {
            command.env_remove("LD_LIBRARY_PATH");
        }
        let output = run::output(
            command
                .args(["examples/policies/quickstart.toml", "api", "GET"])
                .arg(format!("Origin: {origin}")),
        )?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(code) || !text.contains(words) {
            let errors = String::from_utf8_lossy(&output.stderr);
            fail!(
                "{} for {origin}: {}, not {code} and \"{words}\"\n{text}{errors}",
                program.display(),
                output.status
            );
        }
    }
    let needed = run::read(run::command("readelf").arg("-d").arg(program))?;
    if needed.contains(&library::soname()?) != shared {
        fail!(
            "{} is not linked to the library that was meant\n{needed}",
            program.display()
        );
    }
    Ok(())
}

fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).context(dir.display())? {
        let path = entry.context(dir.display())?.path();
        match path.is_dir() {
            true => files.extend(files_below(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}
