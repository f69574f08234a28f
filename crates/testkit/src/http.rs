//! HTTP/1.1 over a socket, byte for byte: a client for one request, and an
//! application that gets CORS wrong.
//!
//! Libraries would refuse or mend much of what the suite sends, so bytes are
//! written and read as they are.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::suite::Line;

/// A response, as it came.
#[derive(Clone, Eq, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header lines, in order.
    pub lines: Vec<Line>,
    /// What followed them.
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, value) in &self.lines {
            let (name, value) = (name.escape_ascii(), value.escape_ascii());
            write!(f, "\n    {name}: {value}")?;
        }
        let start = &self.body[..self.body.len().min(200)];
        let length = self.body.len();
        write!(f, "\n    {length} bytes: {}", start.escape_ascii())
    }
}

impl Reply {
    /// The values of all lines of this name, in any case.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.lines
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
            .collect()
    }

    /// The one value of this name, as text; empty if there is none.
    ///
    /// # Panics
    ///
    /// If there are several lines.
    pub fn value(&self, name: &str) -> String {
        let values = self.values(name);
        assert!(values.len() <= 1, "{} lines of {name}", values.len());
        let value = values.first().copied().unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    }

    /// Parses a whole response.
    pub fn parse(bytes: &[u8]) -> io::Result<Reply> {
        let bad = |what: &str| {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
            io::Error::other(format!("{what} in {shown:?}"))
        };
        let end =
            head_end(bytes).ok_or_else(|| bad("no end of the headers"))?;
        let mut lines = bytes[..end - 4].split(|&b| b == b'\n');
        let status = lines
            .next()
            .and_then(|line| line.split(|&b| b == b' ').nth(1))
            .and_then(|status| str::from_utf8(status).ok()?.trim().parse().ok())
            .ok_or_else(|| bad("no status"))?;
        let mut headers = Vec::new();
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line
                .iter()
                .position(|&b| b == b':')
                .ok_or_else(|| bad("a line without a colon"))?;
            let value = line[colon + 1..].trim_ascii().to_vec();
            headers.push((line[..colon].to_vec(), value));
        }
        let body = bytes[end..].to_vec();
        Ok(Reply { status, lines: headers, body })
    }
}

/// Where the body starts, if all of the head is there.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

/// The bytes of a request whose connection is closed behind it.
pub fn request_bytes(method: &[u8], path: &str, lines: &[Line]) -> Vec<u8> {
    let mut bytes = kept_request_bytes(method, path, lines);
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(b"Connection: close\r\n\r\n");
    bytes
}

/// The bytes of a request behind which the connection stays open.
pub fn kept_request_bytes(
    method: &[u8],
    path: &str,
    lines: &[Line],
) -> Vec<u8> {
    let mut bytes = [method, b" ", path.as_bytes(), b" HTTP/1.1\r\n"].concat();
    let host = |line: &Line| line.0.eq_ignore_ascii_case(b"host");
    if !lines.iter().any(host) {
        bytes.extend_from_slice(b"Host: host.invalid\r\n");
    }
    for (name, value) in lines {
        bytes.extend_from_slice(&[name, b": ".as_slice(), value].concat());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// A connection that may serve for several requests.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// What came behind the last reply.
    rest: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, rest: Vec::new() })
    }

    /// Sets how long a reply may take; 20 s unless set.
    pub fn set_timeout(&self, time: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(time))
    }

    /// Sends a request, and reads one reply.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<Reply> {
        self.send(request)?;
        self.reply(!request.starts_with(b"HEAD "))
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads that many bytes; less if the other side ends before.
    pub fn receive(&mut self, mut count: usize) -> io::Result<Vec<u8>> {
        while self.rest.len() < count {
            if !self.read()? {
                count = self.rest.len();
            }
        }
        Ok(self.rest.drain(..count).collect())
    }

    /// Reads one reply, whose request has been sent; one to `HEAD` has no body,
    /// whatever its head says.
    pub fn reply(&mut self, has_body: bool) -> io::Result<Reply> {
        let head = loop {
            if let Some(end) = head_end(&self.rest) {
                break self.receive(end)?;
            }
            self.need_more()?;
        };
        let mut reply = Reply::parse(&head)?;
        let bare = matches!(reply.status, 100..200 | 204 | 304);
        let length = reply.values("content-length").first().copied();
        if bare || !has_body {
            return Ok(reply);
        }
        reply.body = match length {
            Some(length) => {
                let length = number(length, 10)?;
                let body = self.receive(length)?;
                if body.len() < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                body
            }
            None if !reply.values("transfer-encoding").is_empty() => {
                self.chunks()?
            }
            None => self.receive(usize::MAX)?,
        };
        Ok(reply)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.rest.windows(2).position(|two| two == b"\r\n") {
                    Some(end) => break end,
                    None => self.need_more()?,
                }
            };
            let line = self.receive(end + 2)?;
            let length = number(line.trim_ascii(), 16)?;
            body.extend_from_slice(&self.receive(length)?);
            // The end of the chunk; behind the last there are no trailers.
            self.receive(2)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn need_more(&mut self) -> io::Result<()> {
        match self.read()? {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Whether anything came.
    fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16384];
        let count = self.stream.read(&mut chunk)?;
        self.rest.extend_from_slice(&chunk[..count]);
        Ok(count != 0)
    }
}

fn number(digits: &[u8], radix: u32) -> io::Result<usize> {
    str::from_utf8(digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, radix).ok())
        .ok_or_else(|| io::Error::other(format!("no length: {digits:?}")))
}

/// Sends bytes to a port of this machine and reads the answer to its end.
pub fn exchange(port: u16, request: &[u8]) -> io::Result<Reply> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // A server that did not read all of a request resets the connection.
        Err(_) if !bytes.is_empty() => {}
        result => {
            result?;
        }
    }
    Reply::parse(&bytes)
}

/// [`exchange`] over TLS, by the `openssl` command; certificates are not looked
/// at.
pub fn exchange_tls(port: u16, request: &[u8]) -> io::Result<Reply> {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect"])
        .arg(format!("127.0.0.1:{port}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // The pipe stays open until the answer is there: at its end openssl would
    // close the connection.
    let mut stdin = child.stdin.take();
    if let Some(stdin) = &mut stdin {
        stdin.write_all(request)?;
        stdin.flush()?;
    }
    let mut bytes = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut bytes)?;
    }
    drop(stdin);
    child.wait()?;
    Reply::parse(&bytes)
}

/// A port of this machine that was free a moment ago.
pub fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The header lines by which [`Application`] gets CORS wrong.
pub const WRONG: [(&str, &str); 10] = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Origin", "https://wrong.example"),
    ("access-control-allow-credentials", "true"),
    ("Access-Control-Allow-Methods", "WRONG"),
    ("Access-Control-Allow-Headers", "x-wrong"),
    ("Access-Control-Expose-Headers", "X-Wrong"),
    ("Access-Control-Max-Age", "1"),
    ("Access-Control-Allow-Private-Network", "true"),
    ("Timing-Allow-Origin", "https://wrong.example"),
    ("X-Application", "yes"),
];

/// A small application behind a server under test. It answers everything with
/// 200 and [`WRONG`] CORS headers; `/status/404` with that status;
/// `/vary/NAME/NAME` with a `Vary` line for each name; `/accel/PATH` with an
/// `X-Accel-Redirect` to that path; `/slow/50` after so many milliseconds. An upgrade of `/socket` is taken, and bytes come back as they
/// are.
#[derive(Debug)]
pub struct Application {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Application {
    /// Starts it on a free port of the loopback interface.
    pub fn start() -> io::Result<Application> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A client that goes away is no reason to stop.
                if let Ok(stream) = stream {
                    thread::spawn(move || drop(serve(stream)));
                }
            }
        });
        Ok(Application { port, stop, thread: Some(thread) })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        // Wakes the thread up, which then sees that it should stop.
        drop(TcpStream::connect(address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        let seen = bytes.len().saturating_sub(3);
        bytes.extend_from_slice(&chunk[..read]);
        if let Some(end) = head_end(&bytes[seen..]) {
            break seen + end;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length: usize = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    while bytes.len() < end + length {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
    let mut words = head.split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    let mut parts = path.trim_start_matches('/').split('/');
    let (mut status, mut vary) = (200, vec!["Accept-Language"]);
    let mut redirect = String::new();
    match parts.next() {
        Some("status") => {
            status = parts.next().and_then(|s| s.parse().ok()).unwrap_or(500);
        }
        Some("vary") => vary = parts.collect(),
        Some("accel") => {
            redirect = parts.map(|part| format!("/{part}")).collect()
        }
        Some("slow") => {
            let time = parts.next().and_then(|time| time.parse().ok());
            thread::sleep(Duration::from_millis(time.unwrap_or(0)));
        }
        Some("socket") if has_upgrade(&head) => return echo(stream),
        _ => {}
    }
    let mut reply = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in WRONG {
        reply += &format!("{name}: {value}\r\n");
    }
    for name in vary {
        reply += &format!("Vary: {name}\r\n");
    }
    if !redirect.is_empty() {
        reply += &format!("X-Accel-Redirect: {redirect}\r\n");
    }
    let body = match (method, status) {
        ("HEAD", _) | (_, 204 | 304) => "",
        _ => "application\n",
    };
    if status != 204 && status != 304 {
        reply += &format!("Content-Length: {}\r\n", "application\n".len());
    }
    reply += &format!("Connection: close\r\n\r\n{body}");
    stream.write_all(reply.as_bytes())
}

fn has_upgrade(head: &str) -> bool {
    head.to_ascii_lowercase().contains("\r\nupgrade: websocket\r\n")
}

/// Takes an upgrade, and sends back what comes, until the other side ends.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut reply = "HTTP/1.1 101 Switching Protocols\r\n\
                     Connection: Upgrade\r\nUpgrade: websocket\r\n"
        .to_owned();
    for (name, value) in WRONG {
        reply += &format!("{name}: {value}\r\n");
    }
    reply += "\r\n";
    stream.write_all(reply.as_bytes())?;
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => stream.write_all(&chunk[..count])?,
        }
    }
}
