//! `cargo xtask test`: everything that is tested, from a clean checkout.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    abi, envoy, fail,
    library::Variant,
    nginx,
    packages::{self, Need},
    panics, python,
    run::{self, Context as _, Error, Result},
    totals::{Totals, number_before},
    venv,
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

/// What tests need beyond what the modules need.
const NEEDS: [Need; 7] = [
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
    Need::Program("objdump", "binutils"),
    // The bench harness.
    Need::Program("strace", "strace"),
    Need::Program("valgrind", "valgrind"),
];

/// Runs all tests; the last line says how many passed.
pub fn command(arguments: &Arguments) -> Result {
    fetch(arguments.quick)?;
    let mut totals = Totals::default();
    for (name, cargo, warnings) in [
        ("format", "fmt --all --check", ""),
        (
            "lints",
            "clippy --quiet --workspace --all-targets --locked -- -D warnings",
            "",
        ),
        ("documentation", "doc --quiet --workspace --no-deps", "-D warnings"),
    ] {
        totals.step(name, || {
            let mut command = run::cargo();
            command.args(cargo.split(' ')).env("RUSTDOCFLAGS", warnings);
            run::run(&mut command).map(|()| 1)
        });
    }
    let nginx = totals.make("the library and the nginx module", || {
        let shipped = nginx::build(None, &Variant::default())?;
        Ok((shipped, nginx::build(None, &Variant::test_panic())?))
    });
    let envoys = totals.make("the Envoy module", Envoys::prepare);
    if let (Some((shipped, panicking)), Some(envoys)) = (nginx, envoys) {
        totals.step("no path of a decision to a panic", || {
            let nginx = shipped.module.with_file_name("objs");
            let envoy = envoys.module.with_file_name("objs");
            Ok(panics::check(&nginx.join("ngx_http_cors_module.so"))?
                + panics::check(&envoy.join("libcors_envoy.so"))?)
        });
        let library = run::target().join("release/libcors.so");
        let environment = [
            ("CORS_SO", &library),
            ("CORS_NGINX", &shipped.nginx),
            ("CORS_NGINX_MODULE", &shipped.module),
            ("CORS_NGINX_PANIC_MODULE", &panicking.module),
        ];
        let environment =
            [&environment[..], &envoys.environment(&envoys.program)].concat();
        totals.cargo_test(&["--workspace", "--locked"], &environment);
        totals.step("the C ABI", abi::check);
        // Other Pythons, and the source distribution, take as long again:
        // `cargo xtask python` has them.
        totals.step("the Python package", || python::check(true));
        if !arguments.quick {
            totals.step("instructions", instructions);
            test_newer_nginx(&mut totals);
            test_older_envoys(&mut totals, &envoys);
        }
    }
    totals.finish()
}

/// Installs and fetches all that is needed, or says what is missing: not after
/// ten minutes.
fn fetch(quick: bool) -> Result {
    let mut needs = [
        &NEEDS[..],
        &abi::NEEDS,
        &envoy::NEEDS,
        &nginx::DEBIAN_NEEDS,
        &python::NEEDS,
        &venv::NEEDS,
    ]
    .concat();
    if !quick {
        needs.extend(nginx::SOURCE_NEEDS);
    }
    packages::ensure(&needs)?;
    let versions = if quick { 1 } else { envoy::VERSIONS.len() };
    for version in &envoy::VERSIONS[..versions] {
        envoy::server(version)?;
    }
    envoy::xds_python()?;
    python::fetch()
}

/// The guard on what decisions and requests cost; returns the number of checks.
fn instructions() -> Result<usize> {
    let mut harness = run::program("libcors-bench-harness");
    let text = run::read(packages::pass_on(harness.arg("check")))?;
    print!("{text}");
    let summary = text.lines().last().unwrap_or_default();
    match number_before(summary, " checks passed") {
        0 => fail!("the bench harness checked nothing"),
        count => Ok(count),
    }
}

/// The suite, and the tests of the host, through a newer nginx.
fn test_newer_nginx(totals: &mut Totals) {
    let Some(nginx) = totals.make("a newer nginx", || {
        nginx::build(Some(&nginx_source()?), &Variant::default())
    }) else {
        return;
    };
    run::say(format_args!("   nginx {}", nginx.version));
    let environment =
        [("CORS_NGINX", &nginx.nginx), ("CORS_NGINX_MODULE", &nginx.module)];
    let tests = [
        "--package=libcors-tests",
        "--test=nginx_suite",
        "--test=nginx_build",
        "--test=nginx_host",
        "--test=nginx_matrix",
        "--test=nginx_names",
        "--test=nginx_redirects",
        "--",
        // No second build of that nginx's module panics, and there are no
        // packages of other modules for it.
        "--skip=a_panic_of_the_library",
        "--skip=headers_more",
        "--skip=lua_in",
    ];
    totals.cargo_test(&tests, &environment);
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

    fn environment<'a>(
        &'a self,
        program: &'a PathBuf,
    ) -> [(&'static str, &'a PathBuf); 4] {
        [
            ("CORS_ENVOY", program),
            ("CORS_ENVOY_MODULE", &self.module),
            ("CORS_ENVOY_PANIC_MODULE", &self.panics),
            ("CORS_XDS_PYTHON", &self.python),
        ]
    }
}

/// The same file of the module, through the other Envoys.
fn test_older_envoys(totals: &mut Totals, envoys: &Envoys) {
    const TESTS: [&str; 5] = [
        "--package=libcors-tests",
        "--test=envoy_suite",
        "--test=envoy_host",
        "--test=envoy_matrix",
        "--test=envoy_reload",
    ];
    for version in &envoy::VERSIONS[1..] {
        let name = format!("Envoy {version}");
        if let Some(program) = totals.make(&name, || envoy::server(version)) {
            totals.cargo_test(&TESTS, &envoys.environment(&program));
        }
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
