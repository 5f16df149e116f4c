//! Many agents on one socket: each has an address of its own in `127.1.0.0/16`, all have the same port.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::agent::serve;
use super::engine::{Behaviour, Engine, Seen};
use super::listening::Listening;

/// Agents that cost one listener; counts are kept per local address. Ended on drop.
#[derive(Debug)]
pub struct AgentFarm {
    agents: Vec<SocketAddr>,
    engine: Arc<Engine>,
    _server: Listening,
}

impl AgentFarm {
    /// Starts `count` agents (at most 60,000). The limit of open files is raised as far as it goes.
    pub fn start(count: u16, behaviour: Behaviour) -> AgentFarm {
        assert!(count <= 60_000, "127.1.0.0/16 has no room for {count} agents");
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        let port = super::free_port(Ipv4Addr::UNSPECIFIED);
        let address = |number: u16| {
            let [high, low] = [number / 250, number % 250 + 1].map(|part| u8::try_from(part).unwrap());
            SocketAddr::from((Ipv4Addr::new(127, 1, high, low), port))
        };
        let engine = Arc::new(Engine::new(behaviour));
        let server = serve((Ipv4Addr::UNSPECIFIED, port).into(), &engine);
        AgentFarm { agents: (0..count).map(address).collect(), engine, _server: server }
    }

    /// The agents' addresses.
    pub fn agents(&self) -> &[SocketAddr] {
        &self.agents
    }

    /// The port they share.
    pub fn port(&self) -> u16 {
        self.agents.first().map_or(0, SocketAddr::port)
    }

    /// How all answer from the next request on, but for those with a behaviour of their own.
    pub fn set(&self, behaviour: Behaviour) {
        self.engine.set(behaviour);
    }

    /// How one answers, or `None`: like all.
    pub fn set_for(&self, address: IpAddr, behaviour: Option<Behaviour>) {
        self.engine.set_for(address, behaviour);
    }

    /// What each address that was connected to has seen.
    pub fn seen(&self) -> HashMap<IpAddr, Seen> {
        self.engine.seen()
    }

    /// Connections so far, all agents.
    pub fn connections(&self) -> u64 {
        self.engine.connections.load(Relaxed)
    }

    /// Connections that are open now, all agents.
    pub fn open_connections(&self) -> u64 {
        self.engine.open.load(Relaxed)
    }

    /// Requests so far, all agents.
    pub fn requests(&self) -> u64 {
        self.engine.requests.load(Relaxed)
    }

    /// When requests came, the last 10,000 of all agents.
    pub fn request_instants(&self) -> Vec<Instant> {
        self.engine.instants()
    }
}
