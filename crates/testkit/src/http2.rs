//! HTTP/2 in clear text: a client for what HTTP/1.1 cannot carry.
//!
//! Field values are bytes as they are, but no control characters: a client of
//! HTTP/2 may not send them.

use std::{future::Future, io, net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{self, SendRequest},
    ext::Protocol,
};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    time,
};

use crate::{http::Reply, suite::Line};

/// A connection, which serves for any number of requests.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    requests: SendRequest<Bytes>,
}

/// A request, as far as HTTP/2 has it beside its header lines.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// `:method`.
    pub method: &'r [u8],
    /// `:path`.
    pub path: &'r str,
    /// `:protocol`, which makes a `CONNECT` an extended one.
    pub protocol: Option<&'r str>,
    /// The header lines; `Host` becomes `:authority`.
    pub lines: &'r [Line],
}

/// A WebSocket over a stream that was opened.
#[derive(Debug)]
pub struct Tunnel<'c> {
    runtime: &'c Runtime,
    send: SendStream<Bytes>,
    receive: RecvStream,
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

/// Runs a future to its end, for twenty seconds at most.
fn wait<T>(
    runtime: &Runtime,
    what: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    runtime.block_on(async {
        match time::timeout(Duration::from_secs(20), what).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    })
}

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> io::Result<Client> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let requests = wait(&runtime, async {
            let stream =
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            let (requests, connection) =
                client::handshake(stream).await.map_err(other)?;
            tokio::spawn(connection);
            Ok(requests)
        })?;
        Ok(Client { runtime, requests })
    }

    /// Sends a request without a body, and reads the reply.
    pub fn ask(&mut self, request: &Request<'_>) -> io::Result<Reply> {
        let message = message(request)?;
        let requests = &mut self.requests;
        wait(&self.runtime, async {
            let (response, _) = send(requests, message, true).await?;
            let (mut reply, mut body) = head(response.await.map_err(other)?);
            while let Some(bytes) = body.data().await {
                let bytes = bytes.map_err(other)?;
                reply.body.extend_from_slice(&bytes);
                let flow = body.flow_control();
                flow.release_capacity(bytes.len()).map_err(other)?;
            }
            Ok(reply)
        })
    }

    /// Sends a request, and does not wait for the reply: who drops the client
    /// then breaks it off.
    pub fn send_and_forget(&mut self, request: &Request<'_>) -> io::Result<()> {
        let message = message(request)?;
        let requests = &mut self.requests;
        wait(&self.runtime, async {
            drop(send(requests, message, true).await?);
            // The connection's own task does the writing.
            time::sleep(Duration::from_millis(5)).await;
            Ok(())
        })
    }

    /// Sends an extended `CONNECT`. Where it is accepted the stream is open.
    pub fn open(
        &mut self,
        request: &Request<'_>,
    ) -> io::Result<(Reply, Tunnel<'_>)> {
        let message = message(request)?;
        let requests = &mut self.requests;
        let (reply, send, receive) = wait(&self.runtime, async {
            let (response, stream) = send(requests, message, false).await?;
            let (reply, body) = head(response.await.map_err(other)?);
            Ok((reply, stream, body))
        })?;
        Ok((reply, Tunnel { runtime: &self.runtime, send, receive }))
    }
}

impl Tunnel<'_> {
    /// Sends bytes, and reads the next that come.
    pub fn ask(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let bytes = Bytes::copy_from_slice(bytes);
        wait(self.runtime, async {
            self.send.send_data(bytes, false).map_err(other)?;
            match self.receive.data().await {
                Some(answer) => Ok(answer.map_err(other)?.to_vec()),
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        })
    }
}

async fn send(
    requests: &mut SendRequest<Bytes>,
    message: http::Request<()>,
    ends: bool,
) -> io::Result<(client::ResponseFuture, SendStream<Bytes>)> {
    if message.extensions().get::<Protocol>().is_some() {
        // The server's settings say whether it knows extended CONNECT.
        while !requests.is_extended_connect_protocol_enabled() {
            time::sleep(Duration::from_millis(1)).await;
        }
    }
    std::future::poll_fn(|context| requests.poll_ready(context))
        .await
        .map_err(other)?;
    requests.send_request(message, ends).map_err(other)
}

fn message(request: &Request<'_>) -> io::Result<http::Request<()>> {
    let is_host = |line: &&Line| line.0.eq_ignore_ascii_case(b"host");
    let host = request.lines.iter().find(is_host);
    let host = host.map_or(&b"host.invalid"[..], |line| &line.1);
    let uri = http::Uri::builder()
        .scheme("http")
        .authority(host)
        .path_and_query(request.path)
        .build()
        .map_err(other)?;
    let mut message = http::Request::builder()
        .method(request.method)
        .version(http::Version::HTTP_2)
        .uri(uri);
    for (name, value) in request.lines.iter().filter(|line| !is_host(line)) {
        message = message.header(name.as_slice(), value.as_slice());
    }
    let mut message = message.body(()).map_err(other)?;
    if let Some(protocol) = request.protocol {
        message.extensions_mut().insert(Protocol::from(protocol));
    }
    Ok(message)
}

fn head(response: http::Response<RecvStream>) -> (Reply, RecvStream) {
    let lines = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())
        })
        .collect();
    let status = response.status().as_u16();
    (Reply { status, lines, body: Vec::new() }, response.into_body())
}
