//! A real nginx with the module, on loopback, in a folder of its own.

use std::{
    env, fs, io,
    marker::PhantomData,
    net::{Ipv4Addr, TcpStream},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::process::{self, Process};

/// Which nginx, and which module it loads.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The server's program.
    pub nginx: PathBuf,
    /// `ngx_http_cors_module.so` for that program; none to run without it.
    pub module: Option<PathBuf>,
}

impl Installation {
    /// The nginx of the system with the module that `cargo xtask nginx` built, or
    /// those that `CORS_NGINX` and `CORS_NGINX_MODULE` name.
    ///
    /// # Errors
    ///
    /// If either is not there; the message says what to do.
    pub fn find() -> Result<Installation, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let nginx = env::var_os("CORS_NGINX")
            .map_or_else(|| PathBuf::from("/usr/sbin/nginx"), PathBuf::from);
        let module = env::var_os("CORS_NGINX_MODULE").map_or_else(
            || root.join("target/nginx/ngx_http_cors_module.so"),
            PathBuf::from,
        );
        for (file, advice) in
            [(&nginx, "install nginx"), (&module, "run `cargo xtask nginx`")]
        {
            if !file.exists() {
                return Err(format!("{} is missing: {advice}", file.display()));
            }
        }
        let module = module.canonicalize().map_err(|e| e.to_string())?;
        Ok(Installation { nginx, module: Some(module) })
    }

    /// A folder for a configuration and its logs; `files` are put into it.
    pub fn prepare(&self, files: &[(&str, &str)]) -> io::Result<Folder> {
        let own = process::Folder::new("nginx")?;
        let folder = Folder { files: own, installation: self.clone() };
        fs::create_dir_all(folder.path().join("logs"))?;
        for (name, text) in files {
            folder.write(name, text)?;
        }
        Ok(folder)
    }
}

/// The folder of one nginx. It is removed when it is dropped.
#[derive(Debug)]
pub struct Folder {
    files: process::Folder,
    installation: Installation,
}

impl Deref for Folder {
    type Target = process::Folder;

    fn deref(&self) -> &process::Folder {
        &self.files
    }
}

impl Folder {
    /// What stands before the `http` block of every configuration: `main` is
    /// added to it.
    pub fn preamble(&self, main: &str) -> String {
        let module = match &self.installation.module {
            Some(module) => format!("load_module {};\n", module.display()),
            None => String::new(),
        };
        // nginx that is started by root gives its workers to another user, who
        // might not be let into the folder.
        let user = match env::var("USER").as_deref() {
            Ok("root") | Err(_) => "user root;\n",
            _ => "",
        };
        format!(
            "{module}{user}{main}\npid nginx.pid;\n\
             error_log logs/error.log info;\nevents {{}}\n"
        )
    }

    /// nginx with this folder as its prefix.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.installation.nginx);
        command
            .arg("-p")
            .arg(self.path())
            .args(["-c", "nginx.conf", "-e", "logs/error.log"])
            .args(arguments);
        command
    }

    /// `nginx -t`: whether the configuration is fine, and what was printed.
    pub fn check(&self) -> io::Result<(bool, String)> {
        let output = self.command(&["-t"]).output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.success(), text))
    }

    /// Starts nginx and waits until it listens on `port`.
    pub fn start(&self, port: u16) -> io::Result<Server<'_>> {
        self.start_under(&[], port)
    }

    /// Starts nginx under another program, such as valgrind.
    pub fn start_under(
        &self,
        wrapper: &[&str],
        port: u16,
    ) -> io::Result<Server<'_>> {
        let plain = self.command(&["-g", "daemon off;"]);
        let mut command = match wrapper {
            [] => plain,
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments);
                command.arg(plain.get_program()).args(plain.get_args());
                command
            }
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(&mut command)?;
        let id = process.id();
        process.wait_for(
            "nginx",
            || self.read("logs/error.log"),
            || {
                // The master listens before it starts workers.
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
                (!children(id).is_empty()).then_some(())
            },
        )?;
        Ok(Server { process, folder: PhantomData })
    }
}

/// A running nginx. It is stopped when it is dropped.
#[derive(Debug)]
pub struct Server<'f> {
    process: Process,
    /// The folder is there as long as the server.
    folder: PhantomData<&'f Folder>,
}

impl Server<'_> {
    /// The process id of the master.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The process ids of the workers.
    pub fn workers(&self) -> Vec<u32> {
        children(self.id())
    }

    /// Sends a signal, such as `HUP`, to the master.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        self.process.signal(signal)
    }

    /// Reloads the configuration, and waits until only new workers are left.
    pub fn reload(&self) -> io::Result<()> {
        let before = self.workers();
        self.signal("HUP")?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let now = self.workers();
            if !now.is_empty() && !now.iter().any(|id| before.contains(id)) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other("nginx did not replace its workers"))
    }
}

/// The process ids of what a process started.
fn children(id: u32) -> Vec<u32> {
    let path = format!("/proc/{id}/task/{id}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
