//! The HTTP/1.1 server behind [`super::TestAgent`] and [`super::AgentFarm`]: small, and wrong on demand.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many request instants are kept.
const KEPT: usize = 10_000;
/// How long a request's head may be.
const HEAD_LIMIT: usize = 1 << 20;
/// How long the body of [`Behaviour::HugeBody`] is said to be.
const HUGE: usize = 1 << 30;
const ERRORS: [u16; 6] = [500, 502, 503, 404, 429, 401];

/// How an agent answers; it can be changed at any time and holds from the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// 200 with `{"status":"healthy"}`.
    Ok,
    /// This status with a small JSON body.
    Status(u16),
    /// 200 with this JSON body.
    Body(String),
    /// 200 with a healthy body that is never the same twice.
    ChangingBody,
    /// Another error status every time.
    ChangingError,
    /// Accepts and reads, and never answers.
    Hang,
    /// Healthy, this much later.
    Slow(Duration),
    /// Healthy, one byte every 100 ms.
    Drip,
    /// A body of 1 GiB, sent until the reader goes away.
    HugeBody,
    /// Two MiB of header lines.
    HugeHeaders,
    /// Bytes that are not HTTP.
    Garbage,
    /// 302 to this location.
    Redirect(String),
    /// 200 with an HTML page.
    Html,
    /// Closes each connection without a word.
    CloseAtOnce,
}

/// What one local address has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The first connection.
    pub first: Instant,
    /// The last connection or request.
    pub last: Instant,
    /// Connections so far.
    pub connections: u64,
    /// Requests so far.
    pub requests: u64,
}

/// The state all connections of one server share.
#[derive(Debug)]
pub(super) struct Engine {
    behaviour: Mutex<Behaviour>,
    by_address: Mutex<HashMap<IpAddr, Behaviour>>,
    seen: Mutex<HashMap<IpAddr, Seen>>,
    instants: Mutex<VecDeque<Instant>>,
    last_head: Mutex<Vec<u8>>,
    pub(super) connections: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
}

impl Engine {
    pub(super) fn new(behaviour: Behaviour) -> Engine {
        Engine {
            behaviour: Mutex::new(behaviour),
            by_address: Mutex::default(),
            seen: Mutex::default(),
            instants: Mutex::default(),
            last_head: Mutex::default(),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
        }
    }

    pub(super) fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(super) fn set_for(&self, address: IpAddr, behaviour: Option<Behaviour>) {
        let mut table = self.by_address.lock().unwrap();
        match behaviour {
            Some(behaviour) => table.insert(address, behaviour),
            None => table.remove(&address),
        };
    }

    pub(super) fn seen(&self) -> HashMap<IpAddr, Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn instants(&self) -> Vec<Instant> {
        self.instants.lock().unwrap().iter().copied().collect()
    }

    pub(super) fn last_head(&self) -> Vec<u8> {
        self.last_head.lock().unwrap().clone()
    }

    fn behaviour(&self, address: IpAddr) -> Behaviour {
        let own = self.by_address.lock().unwrap().get(&address).cloned();
        own.unwrap_or_else(|| self.behaviour.lock().unwrap().clone())
    }

    /// Notes what came; answers how many requests this address has had before.
    fn note(&self, address: IpAddr, connections: u64, requests: u64) -> u64 {
        let now = Instant::now();
        let mut table = self.seen.lock().unwrap();
        let seen =
            table.entry(address).or_insert(Seen { first: now, last: now, connections: 0, requests: 0 });
        seen.last = now;
        let before = seen.requests;
        seen.connections += connections;
        seen.requests += requests;
        if requests > 0 {
            let mut instants = self.instants.lock().unwrap();
            if instants.len() == KEPT {
                instants.pop_front();
            }
            instants.push_back(now);
        }
        before
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(&self, mut stream: TcpStream) {
        let Ok(local) = stream.local_addr().as_ref().map(SocketAddr::ip) else {
            return;
        };
        self.connections.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        let _open = Decrement(&self.open);
        self.note(local, 1, 0);
        let _ = stream.set_nodelay(true);
        if self.behaviour(local) == Behaviour::CloseAtOnce {
            return;
        }
        let mut buffer = Vec::new();
        while let Some(head) = read_head(&mut stream, &mut buffer).await {
            let close = String::from_utf8_lossy(&head).to_ascii_lowercase().contains("connection: close");
            self.requests.fetch_add(1, Relaxed);
            *self.last_head.lock().unwrap() = head;
            // Counted for each address, so that every agent of a farm goes through all of a cycle.
            let number = self.note(local, 0, 1);
            let behaviour = self.behaviour(local);
            if self.answer(&mut stream, &behaviour, number).await.is_err() || close {
                return;
            }
        }
    }

    async fn answer(
        &self,
        stream: &mut TcpStream,
        behaviour: &Behaviour,
        number: u64,
    ) -> std::io::Result<()> {
        const HEALTHY: &str = r#"{"status":"healthy"}"#;
        let reply = match behaviour {
            Behaviour::Ok | Behaviour::Slow(_) | Behaviour::Drip => response(200, "", HEALTHY),
            Behaviour::Status(code) => response(*code, "", r#"{"status":"as asked"}"#),
            Behaviour::Body(body) => response(200, "", body),
            Behaviour::ChangingBody => {
                response(200, "", &format!(r#"{{"status":"healthy","requests":{number}}}"#))
            }
            Behaviour::ChangingError => {
                let turn = usize::try_from(number).unwrap_or_default() % ERRORS.len();
                response(ERRORS[turn], "", &format!(r#"{{"error":"number {number}"}}"#))
            }
            Behaviour::Hang => {
                gone(stream).await;
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            Behaviour::HugeBody => {
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {HUGE}\r\n\r\n")
                    .into()
            }
            Behaviour::HugeHeaders => {
                let line = format!("x-filler: {}\r\n", "a".repeat(1012));
                response(200, &line.repeat(2048), HEALTHY)
            }
            Behaviour::Garbage => b"\x00\xff\x16\x03\x01 this is not HTTP \xc3\x28\r\n\r\n".to_vec(),
            Behaviour::Redirect(location) => response(302, &format!("location: {location}\r\n"), ""),
            Behaviour::Html => b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 39\r\n\r\n\
                <!doctype html><title>Welcome</title>\r\n"
                .to_vec(),
            Behaviour::CloseAtOnce => Vec::new(),
        };
        let (delay, step) = match behaviour {
            Behaviour::Slow(delay) => (*delay, reply.len()),
            Behaviour::Drip => (Duration::from_millis(100), 1),
            _ => (Duration::ZERO, reply.len().max(1)),
        };
        for piece in reply.chunks(step) {
            if !delay.is_zero() && gone_within(stream, delay).await {
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            self.send(stream, piece).await?;
        }
        match behaviour {
            Behaviour::HugeBody => {
                let chunk = vec![b' '; 64 << 10];
                for _ in 0..HUGE / chunk.len() {
                    self.send(stream, &chunk).await?;
                }
                Ok(())
            }
            Behaviour::Garbage | Behaviour::CloseAtOnce => Err(std::io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        }
    }

    async fn send(&self, stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        stream.write_all(bytes).await?;
        self.bytes_sent.fetch_add(bytes.len() as u64, Relaxed);
        Ok(())
    }
}

struct Decrement<'a>(&'a AtomicU64);

impl Drop for Decrement<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn response(status: u16, more: &str, body: &str) -> Vec<u8> {
    let reason =
        http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("Other");
    let length = body.len();
    format!("HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n{body}")
        .into_bytes()
}

/// The next request's head, raw; what follows stays in `buffer`. `None` at the end of the connection.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            return Some(std::mem::replace(buffer, rest));
        }
        if buffer.len() > HEAD_LIMIT || !matches!(stream.read_buf(buffer).await, Ok(read) if read > 0) {
            return None;
        }
    }
}

/// Ends when the peer has gone.
async fn gone(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
}

/// Waits for `delay`; true when the peer has gone before.
async fn gone_within(stream: &mut TcpStream, delay: Duration) -> bool {
    let closed = async {
        match stream.peek(&mut [0; 1]).await {
            Ok(read) if read > 0 => pending().await, // a pipelined request, not an end
            _ => {}
        }
    };
    tokio::time::timeout(delay, closed).await.is_ok()
}
