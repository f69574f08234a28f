//! `cargo xtask test`: everything that is tested, from a clean checkout.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    abi, envoy, fail,
    library::Variant,
    nginx,
    packages::{self, Need},
    python,
    run::{self, Context as _, Error, Result},
};

/// The arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Leave out what takes long: the newer nginx, the older Envoys, and the
    /// instruction counts
    #[arg(long)]
    quick: bool,
}

/// The crate that ships the sources of a newer nginx.
const NGINX_SRC: &str = "=1.28.5";

const NEEDS: [Need; 9] = [
    Need::Program("nginx", "nginx"),
    Need::File("/usr/share/nginx/src/configure", "nginx-dev"),
    Need::File(
        "/usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so",
        "libnginx-mod-http-headers-more-filter",
    ),
    Need::File(
        "/usr/lib/nginx/modules/ngx_http_lua_module.so",
        "libnginx-mod-http-lua",
    ),
    Need::Program("openssl", "openssl"),
    Need::Program("curl", "curl"),
    Need::Program("valgrind", "valgrind"),
    Need::Program("cc", "gcc"),
    Need::Program("make", "make"),
];

/// Runs all tests; the last line says how many.
pub fn command(arguments: &Arguments) -> Result {
    packages::ensure(&NEEDS)?;
    let mut totals = Totals::default();
    totals.step("format", || {
        run::run(run::cargo().args(["fmt", "--all", "--check"]))?;
        Ok(1)
    });
    totals.step("lints", || {
        run::run(run::cargo().args([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ]))?;
        Ok(1)
    });
    totals.step("documentation", || {
        run::run(
            run::cargo()
                .args(["doc", "--quiet", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )?;
        Ok(1)
    });

    let mut built = None;
    totals.step("the library and the nginx module", || {
        let shipped = nginx::build(None, &Variant::default())?;
        let panics = nginx::build(None, &Variant::test_panic())?;
        built = Some((shipped, panics));
        Ok(1)
    });
    let mut envoys = None;
    totals.step("the Envoy module, and Envoy", || {
        envoys = Some(Envoys::prepare()?);
        Ok(1)
    });
    if let (Some((shipped, panics)), Some(envoys)) = (&built, &envoys) {
        totals.step("no path of a decision to a panic", || {
            let nginx = shipped.module.with_file_name("objs");
            let envoy = envoys.module.with_file_name("objs");
            Ok(no_panic(&nginx.join("ngx_http_cors_module.so"))?
                + no_panic(&envoy.join("libcors_envoy.so"))?)
        });
        let library = run::target().join("release/libcors.so");
        let environment = [
            ("CORS_SO", &library),
            ("CORS_NGINX", &shipped.nginx),
            ("CORS_NGINX_MODULE", &shipped.module),
            ("CORS_NGINX_PANIC_MODULE", &panics.module),
        ];
        let environment = [&environment[..], &envoys.environment()].concat();
        totals.cargo_test(&["--workspace", "--locked"], &environment);
        totals.step("the C ABI", abi::check);
        // Other Pythons, and the source distribution, take as long again:
        // `cargo xtask python` has them.
        totals.step("the Python package", || python::check(true));
        if !arguments.quick {
            totals.step("instructions", instructions);
            test_newer_nginx(&mut totals);
            test_older_envoys(&mut totals, envoys);
        }
    }
    totals.finish()
}

/// Looks at the machine code of the functions that decide, in a module that is
/// not stripped and linked as it is shipped: none may call what panics. Returns
/// how many there are.
fn no_panic(module: &Path) -> Result<usize> {
    // Those that only build, print or explain policies may.
    const DECIDING: [&str; 8] = [
        "cors::decision::decide_any",
        "libcors_policy::answers::",
        "libcors_policy::policy::",
        "libcors_policy::origin::",
        "libcors_policy::origins::",
        "libcors_policy::table::",
        "libcors_policy::tokens::",
        " <cors_decide>",
    ];
    const OTHERS: [&str; 8] = [
        "drop_in_place",
        "fmt",
        "::new",
        "::explain",
        "::Teller",
        "::fill",
        "::text",
        "::key_of",
    ];
    let code = run::read(
        run::command("objdump")
            .args(["--disassemble", "--demangle", "--no-show-raw-insn"])
            .arg(module),
    )?;
    let mut function = None;
    let mut count = 0;
    for line in code.lines() {
        if line.ends_with(">:") {
            let deciding = DECIDING.iter().any(|name| line.contains(name))
                && !OTHERS.iter().any(|name| line.contains(name));
            count += usize::from(deciding);
            function = deciding.then_some(line);
        } else if let Some(function) = function
            && (line.contains("core::panicking::") || line.contains("_fail"))
        {
            fail!("{function} may panic: {line}");
        }
    }
    if count < 5 {
        fail!("only {count} functions that decide in {}", module.display());
    }
    Ok(count)
}

/// The guard on what decisions and requests cost; returns the number of checks.
fn instructions() -> Result<usize> {
    let mut harness = run::program("libcors-bench-harness");
    let text = run::read(harness.arg("check"))?;
    print!("{text}");
    let summary = text.lines().last().unwrap_or_default();
    match number_before(summary, " checks passed") {
        0 => fail!("the bench harness checked nothing"),
        count => Ok(count),
    }
}

/// The suite, and the tests of the host, through a newer nginx.
fn test_newer_nginx(totals: &mut Totals) {
    let mut built = None;
    totals.step("a newer nginx", || {
        let source = nginx_source()?;
        let nginx = nginx::build(Some(&source), &Variant::default())?;
        run::say(format_args!("  nginx {}", nginx.version));
        built = Some(nginx);
        Ok(1)
    });
    let Some(nginx) = built else {
        return;
    };
    let environment =
        [("CORS_NGINX", &nginx.nginx), ("CORS_NGINX_MODULE", &nginx.module)];
    // There is no second build of that nginx's module that panics, and there
    // are no packages of other modules for it.
    totals.cargo_test(
        &[
            "--package",
            "libcors-tests",
            "--test",
            "nginx_suite",
            "--test",
            "nginx_build",
            "--test",
            "nginx_host",
            "--test",
            "nginx_matrix",
            "--test",
            "nginx_names",
            "--test",
            "nginx_redirects",
            "--",
            "--skip",
            "a_panic_of_the_library",
            "--skip",
            "headers_more",
            "--skip",
            "lua_in",
        ],
        &environment,
    );
}

/// An Envoy, and what its tests need.
struct Envoys {
    program: PathBuf,
    module: PathBuf,
    panics: PathBuf,
    python: PathBuf,
}

impl Envoys {
    fn prepare() -> Result<Envoys> {
        Ok(Envoys {
            program: envoy::server(envoy::VERSIONS[0])?,
            module: envoy::build(&Variant::default())?,
            panics: envoy::build(&Variant::test_panic())?,
            python: envoy::xds_python()?,
        })
    }

    fn environment(&self) -> [(&'static str, &PathBuf); 4] {
        [
            ("CORS_ENVOY", &self.program),
            ("CORS_ENVOY_MODULE", &self.module),
            ("CORS_ENVOY_PANIC_MODULE", &self.panics),
            ("CORS_XDS_PYTHON", &self.python),
        ]
    }
}

/// The same file of the module, through the other Envoys.
fn test_older_envoys(totals: &mut Totals, envoys: &Envoys) {
    for version in &envoy::VERSIONS[1..] {
        let mut program = None;
        totals.step(&format!("Envoy {version}"), || {
            program = Some(envoy::server(version)?);
            Ok(1)
        });
        let Some(program) = program else {
            continue;
        };
        let mut environment = envoys.environment();
        environment[0].1 = &program;
        totals.cargo_test(
            &[
                "--package",
                "libcors-tests",
                "--test",
                "envoy_suite",
                "--test",
                "envoy_host",
                "--test",
                "envoy_matrix",
                "--test",
                "envoy_reload",
            ],
            &environment,
        );
    }
}

/// The sources of nginx in the crate that ships them. It is fetched as a
/// dependency of a package that is never built.
fn nginx_source() -> Result<PathBuf> {
    let dir = run::target().join("nginx-src-fetch");
    fs::create_dir_all(dir.join("src")).context(dir.display())?;
    let manifest = dir.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"nginx-src-fetch\"\nversion = \"0.0.0\"\n\
         edition = \"2024\"\n\n[dependencies]\nnginx-src = \"{NGINX_SRC}\"\n\n\
         [workspace]\n"
    );
    fs::write(&manifest, text).context(manifest.display())?;
    let lib = dir.join("src/lib.rs");
    fs::write(&lib, "").context(lib.display())?;
    let metadata = run::read(
        run::cargo()
            .args(["metadata", "--format-version=1", "--manifest-path"])
            .arg(&manifest),
    )?;
    metadata
        .split("\"manifest_path\":\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|path| path.contains("/nginx-src-"))
        .and_then(|path| Some(Path::new(path).parent()?.join("nginx")))
        .filter(|source| source.join("auto/configure").exists())
        .ok_or_else(|| Error::new("the crate nginx-src has no sources"))
}

#[derive(Debug, Default)]
struct Totals {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
}

impl Totals {
    /// One step, which says how many checks it made.
    fn step(&mut self, name: &str, body: impl FnOnce() -> Result<usize>) {
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

    /// Runs `cargo test`, and adds up what it says.
    fn cargo_test(&mut self, arguments: &[&str], env: &[(&str, &PathBuf)]) {
        run::say(format_args!("== cargo test {}", arguments.join(" ")));
        let mut command = run::cargo();
        command.args(["test", "--no-fail-fast"]).args(arguments);
        command.envs(env.iter().copied());
        let before = (self.passed, self.failed);
        let result = self.count(&mut command);
        let counted = (self.passed - before.0, self.failed - before.1);
        if let Err(error) = result {
            self.failed += usize::from(counted.1 == 0);
            self.failures.push(error.to_string());
        }
        run::say(format_args!("   {} passed", counted.0));
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

    fn finish(self) -> Result {
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
