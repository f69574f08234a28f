//! A real nginx with the module, on loopback, in a folder of its own.

use std::{
    env, fs, io,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

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
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cors-nginx-{}-{number}", process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(path.join("logs"))?;
        let folder = Folder { path, installation: self.clone() };
        for (name, text) in files {
            folder.write(name, text)?;
        }
        Ok(folder)
    }
}

/// The folder of one nginx. It is removed when it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    installation: Installation,
}

impl Folder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let file = self.path.join(name);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, text)
    }

    /// Reads a file of it.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

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
            .arg(&self.path)
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
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Server { folder: self, child };
        server.wait_for(port)?;
        Ok(server)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if env::var_os("CORS_KEEP").is_none() {
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// A running nginx. It is stopped when it is dropped.
#[derive(Debug)]
pub struct Server<'f> {
    folder: &'f Folder,
    child: Child,
}

impl Server<'_> {
    /// The process id of the master.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process ids of the workers.
    pub fn workers(&self) -> Vec<u32> {
        let id = self.id();
        let children = format!("/proc/{id}/task/{id}/children");
        let text = fs::read_to_string(children).unwrap_or_default();
        text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    }

    /// Sends a signal, such as `HUP`, to the master.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        let id = self.id().to_string();
        let signal = format!("-{signal}");
        Command::new("kill").args([signal, id]).status().map(drop)
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

    fn wait_for(&mut self, port: u16) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let log = self.folder.read("logs/error.log");
                let text = format!("nginx ended with {status}:\n{log}");
                return Err(io::Error::other(text));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other("nginx does not listen"))
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // The master must have the time to end its workers; killed at once it
        // would leave them behind.
        drop(self.signal("TERM"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
