//! One agent: a real server on one address, whose answers can be changed while it runs.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::engine::{Behaviour, Engine};
use super::listening::Listening;

/// An HTTP agent on `127.0.0.0/8`, in this process; ended on drop.
#[derive(Debug)]
pub struct TestAgent {
    address: SocketAddrV4,
    engine: Arc<Engine>,
    server: Mutex<Option<Listening>>,
}

impl TestAgent {
    /// Starts an agent on this address; port 0 takes a free one.
    pub fn start(ip: Ipv4Addr, port: u16, behaviour: Behaviour) -> TestAgent {
        assert!(
            ip.is_loopback() || ip.octets()[..2] == [10, 77],
            "test agents listen on loopback or in a network of a test's own (10.77.0.0/16), not on {ip}"
        );
        let port = if port == 0 { super::free_port(ip) } else { port };
        let agent = TestAgent {
            address: SocketAddrV4::new(ip, port),
            engine: Arc::new(Engine::new(behaviour)),
            server: Mutex::default(),
        };
        agent.start_again();
        agent
    }

    /// A healthy agent on 127.0.0.1 and a free port.
    pub fn healthy() -> TestAgent {
        Self::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok)
    }

    /// Its address and port.
    pub fn addr(&self) -> SocketAddr {
        self.address.into()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How it answers from the next request on (for `CloseAtOnce`: from the next connection on).
    pub fn set(&self, behaviour: Behaviour) {
        self.engine.set(behaviour);
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.engine.connections.load(Relaxed)
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> u64 {
        self.engine.open.load(Relaxed)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.engine.requests.load(Relaxed)
    }

    /// Bytes handed to the kernel so far, to see that a client stops reading.
    pub fn bytes_sent(&self) -> u64 {
        self.engine.bytes_sent.load(Relaxed)
    }

    /// When requests came, the last 10,000.
    pub fn request_instants(&self) -> Vec<Instant> {
        self.engine.instants()
    }

    /// The last request's head as it came: request line and header lines.
    pub fn last_request(&self) -> String {
        String::from_utf8_lossy(&self.engine.last_head()).into_owned()
    }

    /// Closes the listener and all connections; when this returns the port refuses.
    pub async fn stop(&self) {
        let server = self.server.lock().unwrap().take();
        if let Some(server) = server {
            server.end().await;
        }
    }

    /// Listens again on the same port.
    pub fn start_again(&self) {
        let mut server = self.server.lock().unwrap();
        assert!(server.is_none(), "the agent on {} runs already", self.address);
        *server = Some(serve(self.address.into(), &self.engine));
    }
}

/// Serves what connects to `address` by `engine`.
pub(super) fn serve(address: SocketAddr, engine: &Arc<Engine>) -> Listening {
    let engine = Arc::clone(engine);
    Listening::start(address, move |stream| {
        let engine = Arc::clone(&engine);
        async move { engine.serve(stream).await }
    })
}
