//! What every server under test has: a folder of its own, and a process that is
//! stopped when the test ends, however it ends.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A folder for one server. It is removed when it is dropped, unless `CORS_KEEP`
/// is set.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new folder, with the name of the server in its own.
    pub fn new(server: &str) -> io::Result<Folder> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cors-{server}-{}-{number}", process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Folder { path })
    }

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

    /// Writes a file beside the one of this name, and puts it in its place: who
    /// reads it at the same time sees the old text or the new.
    pub fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let new = format!("{name}.new");
        self.write(&new, text)?;
        fs::rename(self.path.join(new), self.path.join(name))
    }

    /// Makes `cert.pem` and `key.pem`, by the `openssl` command.
    pub fn make_certificate(&self) -> io::Result<()> {
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(&self.path)
            .output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("openssl: {output:?}"))),
        }
    }

    /// Reads a file of it; what cannot be read is empty.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if env::var_os("CORS_KEEP").is_none() {
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// A program that runs. It is told to end when this is dropped, and killed if it
/// does not.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a command that reads nothing.
    pub fn start(command: &mut Command) -> io::Result<Process> {
        let child = command.stdin(Stdio::null()).spawn()?;
        Ok(Process { child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `HUP`.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        let id = self.id().to_string();
        let signal = format!("-{signal}");
        Command::new("kill").args([signal, id]).status().map(drop)
    }

    /// How it ended, in words; nothing while it runs.
    pub fn ended(&mut self) -> io::Result<Option<String>> {
        Ok(self.child.try_wait()?.map(|status| status.to_string()))
    }

    /// Waits until `ready` gives something. If the program ends before, that is
    /// an error with what `log` holds.
    pub fn wait_for<T>(
        &mut self,
        name: &str,
        log: impl Fn() -> String,
        mut ready: impl FnMut() -> Option<T>,
    ) -> io::Result<T> {
        // Under valgrind servers take their time.
        let deadline = Instant::now() + Duration::from_secs(300);
        while Instant::now() < deadline {
            if let Some(found) = ready() {
                return Ok(found);
            }
            if let Some(status) = self.ended()? {
                let text = format!("{name} ended with {status}:\n{}", log());
                return Err(io::Error::other(text));
            }
            thread::sleep(Duration::from_millis(10));
        }
        let text = format!("{name} is not ready after 300 s:\n{}", log());
        Err(io::Error::other(text))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // A server must have the time to end its workers; killed at once it
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
