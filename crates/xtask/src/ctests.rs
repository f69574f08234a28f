//! The C programs of `tests/c`, and the example in the header.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    fail, header,
    install::{self, Stage},
    library::{self, Library, Variant},
    run::{self, Context, Result},
};

/// What tests are compiled with: C89, and what it lacks from POSIX.
const FLAGS: [&str; 12] = [
    "-std=c89",
    "-D_POSIX_C_SOURCE=200809L",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-pedantic",
    "-Werror",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    // test.h has more than each test needs.
    "-Wno-unused-function",
];

const POLICIES: &str = "tests/c/policies.toml";

/// Runs them all; returns the number of tests.
pub fn check(library: &Library, stage: &Stage) -> Result<usize> {
    let tests = Tests { stage, out: run::target().join("abi/c") };
    fs::create_dir_all(&tests.out).context(tests.out.display())?;
    let mut count = 0;

    let api = tests.build("api", stage, &["-pthread"])?;
    count += tests.run("api", tests.command(&api).arg(POLICIES))?;
    count += tests
        .run("api, under valgrind", tests.valgrind().arg(&api).arg(POLICIES))?;
    count += tests.sanitized(library)?;

    let allocations = tests.build("allocations", stage, &[])?;
    count +=
        tests.run("allocations", tests.command(&allocations).arg(POLICIES))?;

    let unload = tests.build("unload", stage, &["-ldl"])?;
    count += tests.run(
        "unload",
        tests
            .command(&unload)
            .arg(stage.libdir().join("libcors.so"))
            .arg(POLICIES),
    )?;

    // The same with a library that panics, which is installed apart.
    let panicking = library::build(&Variant::test_panic())?;
    let panicking = install::stage(&panicking)?;
    let panic = tests.build("panic", &panicking, &[])?;
    let quietly = |command: &mut Command| {
        command.env("LD_LIBRARY_PATH", panicking.libdir());
        command.env("RUST_BACKTRACE", "0");
    };
    let mut command = tests.command(&panic);
    quietly(&mut command);
    count += tests.run("panic", command.arg(POLICIES))?;
    let mut command = tests.valgrind();
    quietly(&mut command);
    count += tests
        .run("panic, under valgrind", command.arg(&panic).arg(POLICIES))?;
    let mut command = tests.command(&unload);
    quietly(&mut command);
    count += tests.run(
        "unload, after panics",
        command.arg(panicking.libdir().join("libcors.so")).arg(POLICIES),
    )?;

    tests.example_of_the_header()?;
    Ok(count + 1)
}

struct Tests<'a> {
    stage: &'a Stage,
    out: PathBuf,
}

impl Tests<'_> {
    /// Builds a test as a user would, with pkg-config.
    fn build(
        &self,
        name: &str,
        stage: &Stage,
        libraries: &[&str],
    ) -> Result<PathBuf> {
        let program = self.out.join(name);
        run::read(
            stage
                .command("gcc")
                .args(FLAGS)
                .arg(format!("tests/c/{name}.c"))
                .args(stage.pkg_config(&["--cflags", "--libs"])?)
                .args(libraries)
                .arg("-o")
                .arg(&program),
        )?;
        Ok(program)
    }

    fn command(&self, program: &Path) -> Command {
        self.stage.command(program)
    }

    fn valgrind(&self) -> Command {
        let mut command = self.stage.command("valgrind");
        command.args([
            "--quiet",
            "--leak-check=full",
            "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible",
            "--error-exitcode=9",
        ]);
        command
    }

    /// Runs a test, and returns how many passed.
    fn run(&self, name: &str, command: &mut Command) -> Result<usize> {
        let text = run::read(command)?;
        let passed =
            text.lines().filter(|line| line.starts_with("ok ")).count();
        if passed == 0 {
            fail!("{name}: no test was run\n{text}");
        }
        run::say(format_args!("  {name}: {passed} passed"));
        Ok(passed)
    }

    /// The API with the library linked in, and the compiler's checks of memory
    /// and of undefined behaviour. (They see all that is allocated; what Rust
    /// code does with it is checked by Rust, and by valgrind.)
    fn sanitized(&self, library: &Library) -> Result<usize> {
        let program = self.out.join("api-sanitized");
        run::read(
            run::command("gcc")
                .args(FLAGS)
                .args([
                    "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all",
                    "-Iinclude",
                    "tests/c/api.c",
                ])
                .arg(library.archive())
                .args(library.native_libraries()?)
                .arg("-pthread")
                .arg("-o")
                .arg(&program),
        )?;
        let symbols = run::read(run::command("nm").arg(&program))?;
        for symbol in ["__asan_init", "__ubsan_handle"] {
            if !symbols.contains(symbol) {
                fail!(
                    "{}: {symbol} is not there, so nothing would be checked",
                    program.display()
                );
            }
        }
        self.run(
            "api, with the compiler's sanitizers",
            run::command(&program)
                .arg(POLICIES)
                .env("ASAN_OPTIONS", "detect_leaks=1"),
        )
    }

    /// The program in the header's comment is compiled, and does what it says.
    fn example_of_the_header(&self) -> Result {
        let path = header::path();
        let text = fs::read_to_string(&path).context(path.display())?;
        let example = text
            .lines()
            .skip_while(|line| *line != " * EXAMPLE")
            .take_while(|line| !line.starts_with(" * Build it with"))
            .filter_map(|line| match line {
                " *" => Some(""),
                line => line.strip_prefix(" *     "),
            });
        let example = example.collect::<Vec<_>>().join("\n");
        let source = self.out.join("example.c");
        fs::write(&source, example).context(source.display())?;
        let program = self.out.join("example");
        run::read(
            self.stage
                .command("gcc")
                .args(FLAGS)
                .arg(&source)
                .args(self.stage.pkg_config(&["--cflags", "--libs"])?)
                .arg("-o")
                .arg(&program),
        )?;
        let policies = run::root().join("examples/policies/quickstart.toml");
        let copy = self.out.join("cors.toml");
        fs::copy(&policies, &copy).context(copy.display())?;
        let text = run::read(self.command(&program).current_dir(&self.out))?;
        let expected = "allowed\nAccess-Control-Allow-Origin: \
                        https://app.example.com\n";
        if !text.starts_with(expected) || !text.ends_with("Vary: Origin\n") {
            fail!("the example in include/cors.h prints\n{text}");
        }
        run::say("  the example in cors.h: passed");
        Ok(())
    }
}
