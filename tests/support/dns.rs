//! A DNS server on loopback, UDP and TCP on the same port, whose records can be changed while it runs.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};

/// What a name gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These addresses (A and AAAA); an empty list is a name without addresses.
    Addresses(Vec<IpAddr>),
    /// There is no such name; also the answer for names that were never set.
    NxDomain,
    /// The server cannot tell.
    ServFail,
    /// No answer at all.
    Silence,
}

/// One question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The name, lower case, without the last dot.
    pub name: String,
    /// `A`, `AAAA`, ...
    pub kind: String,
    /// Whether it came by TCP.
    pub tcp: bool,
    /// When.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct State {
    answers: Mutex<HashMap<String, Answer>>,
    everything: Mutex<Option<Answer>>,
    asked: Mutex<Vec<Asked>>,
    ttl: AtomicU32,
}

/// The server, in this process; ended on drop.
#[derive(Debug)]
pub struct TestDns {
    address: SocketAddr,
    state: Arc<State>,
    tasks: [JoinHandle<()>; 2],
}

impl TestDns {
    /// Starts a server that knows no name; answers may be kept for 0 seconds.
    pub async fn start() -> TestDns {
        let state = Arc::new(State::default());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, super::free_port(Ipv4Addr::LOCALHOST)));
        let udp = UdpSocket::bind(address).await.expect("a UDP port for DNS");
        let tcp = TcpListener::bind(address).await.expect("a TCP port for DNS");
        let tasks = [
            tokio::spawn(serve_udp(udp, Arc::clone(&state))),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&state))),
        ];
        TestDns { address, state, tasks }
    }

    /// Its address, UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What `name` gives from now on.
    pub fn set(&self, name: &str, answer: Answer) {
        self.state.answers.lock().unwrap().insert(key(name), answer);
    }

    /// `name` gives these addresses from now on.
    pub fn set_addresses(&self, name: &str, addresses: &[IpAddr]) {
        self.set(name, Answer::Addresses(addresses.to_vec()));
    }

    /// What every name gives, whatever was set for it; `None` ends that.
    pub fn set_everything(&self, answer: Option<Answer>) {
        *self.state.everything.lock().unwrap() = answer;
    }

    /// How long answers may be kept.
    pub fn set_ttl(&self, seconds: u32) {
        self.state.ttl.store(seconds, Relaxed);
    }

    /// All questions so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// How often `name` was asked for, any type.
    pub fn queries(&self, name: &str) -> usize {
        let name = key(name);
        self.state.asked.lock().unwrap().iter().filter(|asked| asked.name == name).count()
    }
}

impl Drop for TestDns {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl State {
    /// The answer to a packet, `None` for silence.
    fn answer(&self, packet: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let query = Message::from_vec(packet).ok()?;
        let question = query.queries.first()?;
        let (name, kind) = (key(&question.name().to_ascii()), question.query_type());
        let asked = Asked { name: name.clone(), kind: kind.to_string(), tcp, at: Instant::now() };
        self.asked.lock().unwrap().push(asked);
        let everything = self.everything.lock().unwrap().clone();
        let answer = everything.or_else(|| self.answers.lock().unwrap().get(&name).cloned());

        let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata.recursion_desired = query.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.add_query(question.clone());
        match answer.unwrap_or(Answer::NxDomain) {
            Answer::Silence => return None,
            Answer::NxDomain => reply.metadata.response_code = ResponseCode::NXDomain,
            Answer::ServFail => reply.metadata.response_code = ResponseCode::ServFail,
            Answer::Addresses(addresses) => {
                let data = addresses.into_iter().filter_map(|address| match (address, kind) {
                    (IpAddr::V4(address), RecordType::A) => Some(RData::A(address.into())),
                    (IpAddr::V6(address), RecordType::AAAA) => Some(RData::AAAA(address.into())),
                    _ => None,
                });
                let ttl = self.ttl.load(Relaxed);
                reply.add_answers(data.map(|data| Record::from_rdata(question.name().clone(), ttl, data)));
            }
        }
        let bytes = reply.to_vec().ok()?;
        if !tcp && bytes.len() > usize::from(query.max_payload()) {
            return reply.truncate().to_vec().ok();
        }
        Some(bytes)
    }
}

async fn serve_udp(socket: UdpSocket, state: Arc<State>) {
    let mut packet = [0; 4096];
    loop {
        if let Ok((length, peer)) = socket.recv_from(&mut packet).await
            && let Some(reply) = state.answer(&packet[..length], false)
        {
            let _ = socket.send_to(&reply, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let state = Arc::clone(&state);
                connections.spawn(async move { let _ = serve_stream(stream, &state).await; });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_stream(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut packet = vec![0; usize::from(length)];
        stream.read_exact(&mut packet).await?;
        if let Some(reply) = state.answer(&packet, true) {
            stream.write_u16(u16::try_from(reply.len()).unwrap_or(u16::MAX)).await?;
            stream.write_all(&reply).await?;
        }
    }
}
