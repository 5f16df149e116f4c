//! A TCP proxy that can hold back what the client says: for writes that arrive after their writer has been stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::listening::Listening;

/// How much a connection may hold back before the client is no longer read.
const HELD: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Frozen,
    Blackhole,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    held: AtomicUsize,
}

/// The proxy, in this process; ended on drop.
#[derive(Debug)]
pub struct FreezeProxy {
    address: SocketAddr,
    upstream: SocketAddr,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    server: Mutex<Option<Listening>>,
}

impl FreezeProxy {
    /// Starts a proxy to `upstream` that passes everything.
    pub fn start(upstream: SocketAddr) -> FreezeProxy {
        let proxy = FreezeProxy {
            address: (Ipv4Addr::LOCALHOST, super::free_port(Ipv4Addr::LOCALHOST)).into(),
            upstream,
            mode: watch::Sender::new(Mode::Pass),
            counts: Arc::default(),
            server: Mutex::default(),
        };
        proxy.pass();
        proxy
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Relaxed)
    }

    /// Bytes from clients that are held back now.
    pub fn held(&self) -> usize {
        self.counts.held.load(Relaxed)
    }

    /// From now on what clients send is read and held back, up to 1 MiB per connection; answers still pass. What is
    /// held outlives its client.
    pub fn freeze_upstream(&self) {
        self.mode.send_replace(Mode::Frozen);
    }

    /// Delivers what was held, in order, and passes everything again.
    pub fn thaw(&self) {
        self.pass();
    }

    /// From now on nothing passes either way; connections are accepted and stay open, as behind a broken network.
    pub fn blackhole(&self) {
        self.listen();
        self.mode.send_replace(Mode::Blackhole);
    }

    /// Closes the listener and all connections; the port refuses when this returns. What was held is lost.
    pub async fn refuse(&self) {
        let server = self.server.lock().unwrap().take();
        if let Some(server) = server {
            server.end().await;
        }
        self.counts.held.store(0, Relaxed);
    }

    /// Passes everything, after whatever was before.
    pub fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
        self.listen();
    }

    fn listen(&self) {
        let (upstream, mode) = (self.upstream, self.mode.clone());
        let counts = Arc::clone(&self.counts);
        self.server.lock().unwrap().get_or_insert_with(|| {
            Listening::start(self.address, move |client| {
                counts.connections.fetch_add(1, Relaxed);
                connection(client, upstream, mode.subscribe(), Arc::clone(&counts))
            })
        });
    }
}

async fn connection(
    client: TcpStream,
    upstream: SocketAddr,
    mode: watch::Receiver<Mode>,
    counts: Arc<Counts>,
) {
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = upwards(from_client, to_server, mode.clone(), &counts.held);
    tokio::join!(up, downwards(from_server, to_client, mode));
}

/// Client to server. The client's end, orderly or not, is passed on only after all that it had said.
async fn upwards(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    held: &AtomicUsize,
) {
    let mut waiting = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    let mut ended = false;
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Pass && ended && waiting.is_empty() {
            let _ = server.shutdown().await;
            return;
        }
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            read = client.read(&mut chunk), if !ended && now != Mode::Blackhole && waiting.len() < HELD => {
                let read = read.unwrap_or(0);
                ended = read == 0;
                waiting.extend_from_slice(&chunk[..read]);
                held.fetch_add(read, Relaxed);
            }
            written = server.write(&waiting), if now == Mode::Pass && !waiting.is_empty() => {
                let Ok(written) = written else {
                    held.fetch_sub(waiting.len(), Relaxed);
                    return;
                };
                waiting.drain(..written);
                held.fetch_sub(written, Relaxed);
            }
        }
    }
}

/// Server to client. A client that is gone does not end the connection upstream: the answer is read and dropped.
async fn downwards(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut chunk = vec![0; 64 << 10];
    loop {
        if mode.wait_for(|mode| *mode != Mode::Blackhole).await.is_err() {
            return;
        }
        let read = server.read(&mut chunk).await.unwrap_or(0);
        if mode.wait_for(|mode| *mode != Mode::Blackhole).await.is_err() {
            return;
        }
        if read == 0 {
            let _ = client.shutdown().await;
            return;
        }
        let _ = client.write_all(&chunk[..read]).await;
    }
}
