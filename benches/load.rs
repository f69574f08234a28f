//! A client that asks a server at a constant rate, for `cargo bench-libcors`.
//!
//!     load PORT CONNECTIONS RATE SECONDS < REQUEST
//!
//! prints how many requests were answered in a second, and how long the median,
//! 99 and 99.9 percent of them waited, in microseconds. A rate of 0 is as fast as
//! the connections allow.
//!
//! Waiting starts when a request was due, not when it was sent: if the server
//! stalls, all requests that were due in the meantime count, as they would to
//! users. (A client that waits for the answer before it sends the next request
//! leaves them out, which is called coordinated omission.)

use std::{
    env,
    error::Error,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

use libcors_testkit::http::Client;

struct Connection {
    stream: TcpStream,
    /// When the request was due that it waits for.
    due: Option<Instant>,
    missing: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<u64> = env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<_, _>>()?;
    let [port, connections, rate, seconds] = arguments[..] else {
        return Err("usage: load PORT CONNECTIONS RATE SECONDS".into());
    };
    let port = u16::try_from(port)?;
    let mut request = Vec::new();
    io::stdin().read_to_end(&mut request)?;

    // All answers are as long as the first.
    let length = answer_length(port, &request)?;
    let mut connections = (0..connections)
        .map(|_| Connection::open(port))
        .collect::<io::Result<Vec<_>>>()?;
    let mut waits = Vec::new();
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let mut sent = 0u64;
    let mut buffer = vec![0; length];
    loop {
        let now = Instant::now();
        let open = connections.iter().any(|c| c.due.is_some());
        if now > end && !open {
            break;
        }
        for connection in &mut connections {
            if connection.due.is_none() && now < end {
                let due = match rate {
                    0 => Instant::now(),
                    rate => {
                        let nanoseconds = sent * 1_000_000_000 / rate;
                        start + Duration::from_nanos(nanoseconds)
                    }
                };
                if due <= now || rate == 0 {
                    sent += 1;
                    connection.stream.write_all(&request)?;
                    connection.due = Some(due);
                    connection.missing = length;
                }
            }
            if let Some(wait) = connection.poll(&mut buffer)? {
                waits.push(wait);
            }
        }
    }
    let took = start.elapsed();
    waits.sort_unstable();
    let percentile = |percent: f64| {
        let rank = (percent / 100.0 * waits.len() as f64).ceil() as usize;
        let wait = waits.get(rank.saturating_sub(1));
        wait.map_or(0.0, |wait| wait.as_secs_f64() * 1e6)
    };
    println!(
        "{:.0} {:.1} {:.1} {:.1}",
        waits.len() as f64 / took.as_secs_f64(),
        percentile(50.0),
        percentile(99.0),
        percentile(99.9)
    );
    Ok(())
}

fn answer_length(port: u16, request: &[u8]) -> io::Result<usize> {
    let mut client = Client::connect(port)?;
    client.ask(request)?;
    // The bytes themselves, of a second answer: those of the first were parsed.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.write_all(request)?;
    let mut length = 0;
    let mut buffer = [0; 16384];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

impl Connection {
    fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, due: None, missing: 0 })
    }

    /// How long the request waited, if the answer is complete.
    fn poll(&mut self, buffer: &mut [u8]) -> io::Result<Option<Duration>> {
        let Some(due) = self.due else {
            return Ok(None);
        };
        match self.stream.read(buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.missing = self.missing.saturating_sub(count);
                if self.missing != 0 {
                    return Ok(None);
                }
                self.due = None;
                Ok(Some(due.elapsed()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
