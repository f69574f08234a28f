//! `cargo xtask nginx`: the nginx module.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    fail,
    library::{self, Variant},
    packages::{self, Need},
    run::{self, Context, Result},
};

/// The arguments of `cargo xtask nginx`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Sources of another nginx than the one that is installed; that nginx is
    /// built as well
    #[arg(long, value_name = "DIR")]
    nginx_src: Option<PathBuf>,
    /// Features of crates/capi; the module then goes to a folder of its own
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

/// Runs `cargo xtask nginx`.
pub fn command(arguments: &Arguments) -> Result {
    let variant =
        Variant { features: arguments.features.clone(), ..Variant::default() };
    let built = build(arguments.nginx_src.as_deref(), &variant)?;
    let size = fs::metadata(&built.module).context("the module")?.len();
    let module = built.module.display();
    run::say(format_args!("{module} ({size} bytes)"));
    run::say(format_args!(
        "for nginx {}, {}; in its nginx.conf:\n\n    load_module {module};\n\n    \
         http {{ cors_policies FILE; ... }}\n",
        built.version,
        built.nginx.display()
    ));
    Ok(())
}

/// A module that was built.
#[derive(Clone, Debug)]
pub struct Nginx {
    /// The module.
    pub module: PathBuf,
    /// The server that loads it.
    pub nginx: PathBuf,
    /// Its version, such as `1.22.1`.
    pub version: String,
}

/// All that the module may export.
const EXPORTS: [&str; 5] = [
    "ngx_http_cors_filter_module",
    "ngx_http_cors_module",
    "ngx_module_names",
    "ngx_module_order",
    "ngx_modules",
];

const MODULE: &str = "ngx_http_cors_module.so";

/// Where Debian keeps what modules are built against.
const DEBIAN: &str = "/usr/share/nginx/src";

/// What a build for Debian's nginx needs.
pub const DEBIAN_NEEDS: [Need; 4] = [
    Need::Program("nginx", "nginx"),
    Need::File("/usr/share/nginx/src/configure", "nginx-dev"),
    Need::Program("gcc", "gcc"),
    Need::Program("make", "make"),
];

/// What a build of nginx itself needs.
pub const SOURCE_NEEDS: [Need; 5] = [
    Need::Program("gcc", "gcc"),
    Need::Program("make", "make"),
    Need::File("/usr/include/pcre2.h", "libpcre2-dev"),
    Need::File("/usr/include/zlib.h", "zlib1g-dev"),
    Need::File("/usr/include/openssl/ssl.h", "libssl-dev"),
];

/// Builds the module for the nginx that is installed, or for that of a source
/// tree.
pub fn build(source: Option<&Path>, variant: &Variant) -> Result<Nginx> {
    let library = library::build(variant)?;
    let suffix =
        variant.name().map_or(String::new(), |name| format!("-{name}"));
    let build = match source {
        None => debian(&suffix)?,
        Some(source) => upstream(source, &suffix)?,
    };
    build.configure(&library.archive())?;
    build.make(&library.archive())?;

    let module = build.out.join(MODULE);
    // Copied, and then renamed: a server that runs has the old file open.
    let new = build.out.join("new.so");
    fs::copy(build.objects.join(MODULE), &new).context(new.display())?;
    run::read(run::command("strip").arg(&new))?;
    check_exports(&new)?;
    fs::rename(&new, &module).context(module.display())?;

    let nginx = match &build.server {
        Some(path) => path.clone(),
        None => build.objects.join("nginx"),
    };
    Ok(Nginx { module, nginx, version: build.version })
}

/// A build of nginx.
struct Build {
    /// Where `configure` and `make` run.
    dir: PathBuf,
    /// The script, relative to `dir`.
    script: &'static str,
    arguments: Vec<String>,
    /// Where objects go.
    objects: PathBuf,
    /// Where the module goes.
    out: PathBuf,
    version: String,
    /// The server that is there; without one it is built too.
    server: Option<PathBuf>,
}

fn debian(suffix: &str) -> Result<Build> {
    packages::ensure(&DEBIAN_NEEDS)?;
    let dir = PathBuf::from(DEBIAN);
    // A list of bash: how Debian configured nginx itself.
    let flags = run::read(
        run::command("bash")
            .args([
                "-c",
                ". ./conf_flags && printf '%s\\n' \"${NGX_CONF_FLAGS[@]}\"",
            ])
            .current_dir(&dir),
    )?;
    let mut arguments: Vec<_> = flags.lines().map(str::to_string).collect();
    arguments.push(
        "--with-cc-opt=-g -O2 -fstack-protector-strong -Wformat \
         -Werror=format-security -fPIC -D_FORTIFY_SOURCE=2"
            .into(),
    );
    arguments.push("--with-ld-opt=-Wl,-z,relro -Wl,-z,now -fPIC".into());
    let out = run::target().join(format!("nginx{suffix}"));
    Ok(Build {
        version: version(&dir)?,
        script: "./configure",
        arguments,
        objects: out.join("objs"),
        out,
        dir,
        server: run::find("nginx"),
    })
}

fn upstream(source: &Path, suffix: &str) -> Result<Build> {
    packages::ensure(&SOURCE_NEEDS)?;
    if !source.join("src/core/nginx.h").is_file() {
        fail!(
            "{}: no sources of nginx; name the folder that holds auto/ and src/",
            source.display()
        );
    }
    // Commands run elsewhere.
    let source = &source.canonicalize().context(source.display())?;
    let version = version(source)?;
    let base = run::target().join("nginx-src").join(&version);
    // Building writes into the tree, so it is done in a copy.
    let dir = base.join("src");
    if !dir.is_dir() {
        let new = base.join("new");
        let _ = fs::remove_dir_all(&new);
        fs::create_dir_all(&base).context(base.display())?;
        run::read(run::command("cp").arg("-R").arg(source).arg(&new))?;
        run::read(run::command("chmod").args(["-R", "u+w"]).arg(&new))?;
        fs::rename(&new, &dir).context(dir.display())?;
    }
    let script = match dir.join("configure").is_file() {
        true => "./configure",
        false => "./auto/configure",
    };
    let arguments = [
        "--with-compat",
        "--with-debug",
        "--with-pcre-jit",
        "--with-threads",
        "--with-http_auth_request_module",
        "--with-http_dav_module",
        "--with-http_realip_module",
        "--with-http_slice_module",
        "--with-http_ssl_module",
        "--with-http_stub_status_module",
        "--with-http_v2_module",
        "--with-ld-opt=-Wl,-z,relro -Wl,-z,now",
    ];
    let mut arguments = arguments.map(str::to_string).to_vec();
    arguments.push(format!("--prefix={}", base.join("prefix").display()));
    Ok(Build {
        version,
        dir,
        script,
        arguments,
        objects: base.join(format!("objs{suffix}")),
        out: base.join(format!("module{suffix}")),
        server: None,
    })
}

/// The version of a source tree.
fn version(dir: &Path) -> Result<String> {
    let path = dir.join("src/core/nginx.h");
    let text = fs::read_to_string(&path).context(path.display())?;
    let line = text.lines().find(|line| line.contains("define NGINX_VERSION"));
    match line.and_then(|line| line.split('"').nth(1)) {
        Some(version) => Ok(version.to_string()),
        None => fail!("{}: NGINX_VERSION is not found", path.display()),
    }
}

impl Build {
    /// Runs `configure`, unless it would write the same again.
    fn configure(&self, archive: &Path) -> Result {
        let module = run::root().join("bindings/nginx");
        let mut arguments = self.arguments.clone();
        arguments.push(format!("--add-dynamic-module={}", module.display()));
        arguments.push(format!("--builddir={}", self.objects.display()));

        let config = module.join("config");
        let config = fs::read_to_string(&config).context(config.display())?;
        let stamp = self.out.join("configured");
        let wanted = format!(
            "{}\n{}\n{}\n{config}",
            self.version,
            archive.display(),
            arguments.join("\n")
        );
        let makefile = self.objects.join("Makefile");
        if makefile.is_file()
            && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted)
        {
            return Ok(());
        }
        let _ = fs::remove_file(&stamp);
        let _ = fs::remove_dir_all(&self.objects);
        fs::create_dir_all(&self.out).context(self.out.display())?;
        fs::create_dir_all(&self.objects).context(self.objects.display())?;
        run::read(
            run::command(self.script)
                .args(&arguments)
                .current_dir(&self.dir)
                .env("CORS_INC", run::root().join("include"))
                .env("CORS_LIB", archive),
        )
        .context("nginx's configure")?;
        fs::write(&stamp, wanted).context(stamp.display())
    }

    fn make(&self, archive: &Path) -> Result {
        let mut make = run::command("make");
        make.arg("-f")
            .arg(self.objects.join("Makefile"))
            .arg(format!("-j{}", parallel()))
            .current_dir(&self.dir)
            .env("CORS_INC", run::root().join("include"))
            .env("CORS_LIB", archive);
        if self.server.is_none() {
            make.arg("binary");
        }
        run::read(make.arg("modules")).map(drop)
    }
}

fn parallel() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// nginx loads all modules into one name space, so that none may show more than
/// itself.
fn check_exports(module: &Path) -> Result {
    let symbols = run::read(
        run::command("nm")
            .args(["-D", "--defined-only", "--format=just-symbols"])
            .arg(module),
    )?;
    let mut symbols: Vec<_> = symbols.lines().collect();
    symbols.sort_unstable();
    if symbols != EXPORTS {
        fail!(
            "{} exports [{}], and may export [{}] alone",
            module.display(),
            symbols.join(" "),
            EXPORTS.join(" ")
        );
    }
    Ok(())
}
