//! The programs that are measured: they are built, spoken to, and stopped here.
//!
//! `benches/src/runner.rs` says how a runner is spoken to.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use libcors_benches::{Workload, request_text};
use libcors_testkit::browser::Response;

use libcors_tools::{
    fail,
    packages::{self, Need},
    run::{self, Context as _, Error, Result},
};
use xtask::library::{self, Library, Variant};

/// A program, with the arguments that are always given.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<PathBuf>,
}

impl Program {
    pub(super) fn new(
        path: impl Into<PathBuf>,
        arguments: &[&Path],
    ) -> Program {
        let arguments = arguments.iter().map(|a| a.to_path_buf()).collect();
        Program { path: path.into(), arguments }
    }

    fn command(&self) -> Command {
        let mut command = run::command(&self.path);
        command.args(&self.arguments);
        command
    }

    /// Runs it with numbers as arguments, and bytes as its input; returns what it
    /// prints.
    pub(super) fn feed(&self, numbers: &[u64], input: &[u8]) -> Result<String> {
        let mut command = self.command();
        command.args(numbers.iter().map(u64::to_string));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(self.path.display())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).context(self.path.display())?;
        }
        let output = child.wait_with_output().context(self.path.display())?;
        if !output.status.success() {
            fail!("{} failed: {}", self.path.display(), output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A run under another program: a contender with all workloads, so many times.
    pub(super) fn under(
        &self,
        wrapper: &[&str],
        contender: &str,
        times: u64,
    ) -> Result<String> {
        let (program, arguments) =
            wrapper.split_first().ok_or_else(|| Error::new("no wrapper"))?;
        let output = run::output(
            run::command(program)
                .args(arguments)
                .arg(&self.path)
                .args(&self.arguments)
                .args(["count", contender, "all", &times.to_string()]),
        )?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            fail!("{program}: {}\n{text}", output.status);
        }
        Ok(text)
    }

    /// A run under callgrind: what a contender takes for so many requests.
    pub(super) fn count(
        &self,
        contender: &str,
        workload: &str,
        times: u64,
    ) -> Result<u64> {
        let mut command = super::callgrind();
        let output = run::output(
            command
                .arg("--toggle-collect=*measured*")
                .arg(&self.path)
                .args(&self.arguments)
                .args(["count", contender, workload, &times.to_string()]),
        )?;
        super::collected(&String::from_utf8_lossy(&output.stderr))
    }
}

/// A runner that waits for commands. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Runner {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    name: String,
}

impl Drop for Runner {
    fn drop(&mut self) {
        // The end of its input ends it; the rest is for one that hangs.
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Runner {
    pub(super) fn start(program: &Program) -> Result<Runner> {
        let name = program.path.display().to_string();
        let mut child = program
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(&name)?;
        let input = child.stdin.take();
        let output = child.stdout.take().map(BufReader::new);
        let output = output.ok_or_else(|| Error::new("no output"))?;
        Ok(Runner { child, input, output, name })
    }

    fn ask(&mut self, command: &str) -> Result {
        let input =
            self.input.as_mut().ok_or_else(|| Error::new("no input"))?;
        writeln!(input, "{command}")
            .and_then(|()| input.flush())
            .context(format!("{}, asked {command:?}", self.name))
    }

    fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        self.output.read_until(b'\n', &mut line).context(&self.name)?;
        if line.pop() != Some(b'\n') {
            fail!("{} ended before it answered", self.name);
        }
        Ok(line)
    }

    fn text(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.line()?).into_owned())
    }

    /// The contenders that it has.
    pub(super) fn contenders(&mut self) -> Result<Vec<String>> {
        self.ask("contenders")?;
        Ok(self.text()?.split_whitespace().map(str::to_owned).collect())
    }

    /// What a contender answers; `None` if it cannot express the workload.
    pub(super) fn answer(
        &mut self,
        contender: &str,
        workload: &str,
    ) -> Result<Option<Response>> {
        self.ask(&format!("answer {contender} {workload}"))?;
        let status = self.text()?;
        if status == "none" {
            return Ok(None);
        }
        let wrong = || Error::new(format!("{} said {status:?}", self.name));
        let status: u16 = status.parse().map_err(|_| wrong())?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Some(Response::new(status, &headers)));
            }
            let colon = line.windows(2).position(|pair| pair == b": ");
            let Some(colon) = colon else {
                let line = line.escape_ascii();
                fail!("{}: no header: {line}", self.name);
            };
            headers.push((line[..colon].to_vec(), line[colon + 2..].to_vec()));
        }
    }

    /// Nanoseconds per request, of each batch.
    pub(super) fn time(
        &mut self,
        contender: &str,
        workload: &str,
        batches: usize,
        nanoseconds: u64,
    ) -> Result<Vec<f64>> {
        self.ask(&format!(
            "time {contender} {workload} {batches} {nanoseconds}"
        ))?;
        let text = self.text()?;
        let samples: Vec<f64> =
            text.split(' ').filter_map(|word| word.parse().ok()).collect();
        if samples.len() != batches {
            fail!("{} measured {text:?}", self.name);
        }
        Ok(samples)
    }
}

/// Writes what runners in other languages read: for each workload a policy, a
/// request, and both in JSON.
pub(super) fn write_workloads(workloads: &[Workload]) -> Result<PathBuf> {
    let folder = run::target().join("bench/workloads");
    fs::create_dir_all(&folder).context(folder.display())?;
    for workload in workloads {
        let write = |ending: &str, text: &[u8]| {
            let path = folder.join(format!("{}.{ending}", workload.id()));
            fs::write(&path, text).context(path.display())
        };
        write("toml", workload.document().as_bytes())?;
        write("request", &request_text(&workload.case))?;
        write("json", workload.json().to_string().as_bytes())?;
    }
    let names = workloads.iter().map(|w| format!("{}\n", w.id()));
    let all = folder.join("all");
    fs::write(&all, names.collect::<String>()).context(all.display())?;
    Ok(folder)
}

/// Builds the runner of the engine in Rust.
pub(super) fn rust() -> Result<Program> {
    example("runner")
}

/// Builds a program of `benches`.
pub(super) fn example(name: &str) -> Result<Program> {
    run::run(
        run::cargo()
            .args(["build", "--quiet", "--release", "--locked"])
            .args(["--package", "libcors-benches", "--example", name]),
    )?;
    let path = run::target().join("release/examples").join(name);
    Ok(Program::new(path, &[]))
}

/// How a C program gets the library.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Link {
    Shared,
    Static,
}

impl Link {
    pub(super) fn contender(self) -> &'static str {
        match self {
            Link::Shared => "c-shared",
            Link::Static => "c-static",
        }
    }
}

/// Builds the runners in C, of the shared and of the static library.
pub(super) fn c(workloads: &Path) -> Result<Vec<(Link, Program)>> {
    packages::ensure(&[Need::Program("gcc", "gcc")])?;
    let library = library::build(&Variant::default())?;
    [Link::Shared, Link::Static]
        .into_iter()
        .map(|link| {
            Ok((
                link,
                Program::new(build_c(&library, link, "runner")?, &[workloads]),
            ))
        })
        .collect()
}

fn gcc() -> Command {
    let mut command = run::command("gcc");
    command.args([
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Iinclude",
    ]);
    command
}

/// Builds a program of `benches/c`.
pub(super) fn build_c(
    library: &Library,
    link: Link,
    name: &str,
) -> Result<PathBuf> {
    let folder = run::target().join("bench").join(link.contender());
    fs::create_dir_all(&folder).context(folder.display())?;
    let program = folder.join(name);
    let mut command = gcc();
    command
        .arg(format!("-DCONTENDER=\"{}\"", link.contender()))
        .arg(format!("benches/c/{name}.c"));
    match link {
        Link::Shared => {
            let floor = folder.join("libfloor.so");
            run::read(
                gcc()
                    .args(["-shared", "-fPIC", "benches/c/floor.c", "-o"])
                    .arg(&floor),
            )?;
            // The name that the library is known by.
            let shared = folder.join(library::soname()?);
            fs::copy(library.shared(), &shared).context(shared.display())?;
            command
                .args([&shared, &floor])
                .args(["-Wl,-rpath,$ORIGIN", "-Wl,-z,now"]);
        }
        Link::Static => {
            let floor = folder.join("floor.o");
            run::read(
                gcc().args(["-c", "benches/c/floor.c", "-o"]).arg(&floor),
            )?;
            command
                .arg(&floor)
                .arg(library.archive())
                .args(library.native_libraries()?);
        }
    }
    run::read(command.arg("-o").arg(&program))?;
    Ok(program)
}
