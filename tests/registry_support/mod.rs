//! A real registry on a free port of loopback, with a clock that the test moves. In the program
//! `registry_postgres` its records are in PostgreSQL, elsewhere in an SQLite file.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "shared by several test programs")]

#[path = "../support/postgres.rs"]
pub mod postgres;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use configurable_agents::domain::record::{
    BatchRequest, BatchResponse, ContributedAddress, Contribution, Digest, EndpointReference, Holdings, Item,
    ItemOutcome, ItemResult, RenewalRequest, RenewalResponse, SnapshotRequest, SnapshotResponse, Stamp,
};
use configurable_agents::domain::{Reason, StatusWord};
use configurable_agents::registry::{self, Access, DatabaseUrl, Error, ManualClock, Settings};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2026-11-23T07:00:00Z.
const START_MS: i64 = 1_795_417_200_000;

/// Where the records of this test program are.
pub const ON_POSTGRES: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"registry_postgres");

pub const AGENTS: &str = "/v1/scopes/default/agents";

pub struct Registry {
    pub address: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub database: DatabaseUrl,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Error>>,
    folder: Option<tempfile::TempDir>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// Checks that it is a problem document of this status, and gives its `detail`.
    pub fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["status"], status);
        assert!(self.body["type"].is_string() && self.body["title"].is_string());
        self.body["detail"].as_str().unwrap()
    }
}

impl Registry {
    pub async fn start() -> Registry {
        Registry::start_with(Access::Anonymous).await
    }

    pub async fn start_with(access: Access) -> Registry {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at_ms(START_MS));
        let database = if ON_POSTGRES {
            postgres::Postgres::shared().database().await.parse().unwrap()
        } else {
            DatabaseUrl::from_path(folder.path().join("registry.db"))
        };
        let mut registry = Registry::start_on(&database, clock, access).await;
        registry.folder = Some(folder);
        registry
    }

    /// A registry on a database that is there.
    pub async fn start_at(url: &str) -> Registry {
        let clock = Arc::new(ManualClock::at_ms(START_MS));
        let registry = Registry::start_on(&url.parse().unwrap(), clock, Access::Anonymous).await;
        registry.is_ready().await;
        registry
    }

    /// Another registry on the same database, with the same clock.
    pub async fn beside(&self) -> Registry {
        self.elsewhere(&self.database).await
    }

    /// Another registry on another database, with the same clock.
    pub async fn elsewhere(&self, database: &DatabaseUrl) -> Registry {
        let registry = Registry::start_on(database, self.clock.clone(), Access::Anonymous).await;
        registry.is_ready().await;
        registry
    }

    async fn is_ready(&self) {
        assert_eq!(self.get("/readyz").await.status, 200);
    }

    async fn start_on(database: &DatabaseUrl, clock: Arc<ManualClock>, access: Access) -> Registry {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings =
            Settings { clock: Some(clock.clone()), ..Settings::new(address, database.clone(), access) };
        let shutdown = CancellationToken::new();
        Registry {
            running: tokio::spawn(registry::run(settings, listener, shutdown.clone())),
            address,
            clock,
            database: database.clone(),
            shutdown,
            folder: None,
        }
    }

    pub fn begin_stop(&self) {
        self.shutdown.cancel();
    }

    pub async fn stopped(self) -> (Option<tempfile::TempDir>, DatabaseUrl, Arc<ManualClock>) {
        self.running.await.unwrap().unwrap();
        (self.folder, self.database, self.clock)
    }

    /// Stops, lets time pass, and starts on the same database.
    pub async fn restart_after(self, down: Duration) -> Registry {
        self.begin_stop();
        let (folder, database, clock) = self.stopped().await;
        clock.advance(down);
        let mut registry = Registry::start_on(&database, clock, Access::Anonymous).await;
        registry.folder = folder;
        registry
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request =
            hyper::Request::builder().method(method).uri(path).header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &impl serde::Serialize) -> Answer {
        let body = serde_json::to_vec(body).unwrap();
        let headers = [("content-type", "application/json")];
        self.send("POST", path, &headers, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").await
    }

    pub async fn register(&self, agent_id: &str) {
        let body = serde_json::json!({
            "agent_id": agent_id, "agent_name": "own name", "host": "10.0.0.1", "port": 8001,
        });
        assert_eq!(self.post("/agents/register", &body).await.status, 200);
    }

    pub async fn is_alive(&self, agent_id: &str) -> bool {
        let answer = self.get(&format!("/agents/{agent_id}")).await;
        answer.body["is_alive"].as_bool().unwrap()
    }

    pub async fn batch(
        &self,
        source: &str,
        stamp: Stamp,
        upserts: Vec<Item>,
        withdrawals: &[&str],
    ) -> BatchResponse {
        let withdrawals = withdrawals.iter().map(ToString::to_string).collect();
        let request = BatchRequest { stamp, upserts, withdrawals };
        let answer = self.write(source, "batch", &request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.read()
    }

    pub async fn renew(&self, source: &str, stamp: Stamp) -> RenewalResponse {
        let answer = self.write(source, "renewal", &RenewalRequest { stamp }).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.read()
    }

    pub async fn snapshot(&self, source: &str, request: &SnapshotRequest) -> SnapshotResponse {
        let answer = self.write(source, "snapshot", request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.read()
    }

    pub async fn write(&self, source: &str, call: &str, body: &impl serde::Serialize) -> Answer {
        let path = format!("/v1/scopes/default/sources/{source}/{call}");
        self.post(&path, body).await
    }
}

pub fn stamp(epoch: i64, seq: i64) -> Stamp {
    Stamp { epoch, seq }
}

pub fn contribution(agent_id: &str, status: StatusWord, reason: Reason) -> Contribution {
    Contribution {
        agent_id: agent_id.to_owned(),
        agent_name: "probed name".to_owned(),
        endpoint: EndpointReference {
            namespace: "team".to_owned(),
            name: "writer".to_owned(),
            uid: "uid-1".to_owned(),
        },
        status,
        reason,
        message: "as expected".to_owned(),
        since: "2026-11-23T07:00:00Z".parse().unwrap(),
        protocol: "http".to_owned(),
        addresses: vec![
            ContributedAddress { host: "one.example".to_owned(), port: 8001, status: StatusWord::Failing },
            ContributedAddress { host: "two.example".to_owned(), port: 8002, status: StatusWord::Ready },
        ],
        url: Some("https://writer.example".to_owned()),
        capabilities: vec!["research".to_owned()],
        metadata: [("model".to_owned(), "gpt-4o".to_owned())].into(),
        ttl_seconds: 60,
    }
}

pub fn ready(agent_id: &str) -> Item {
    contribution(agent_id, StatusWord::Ready, Reason::Ready).into_item()
}

pub fn failing(agent_id: &str) -> Item {
    contribution(agent_id, StatusWord::Failing, Reason::ConnectionRefused).into_item()
}

pub fn sum(items: &[Item]) -> Holdings {
    Holdings {
        digest: items.iter().fold(Digest::default(), |sum, item| sum.combine(item.digest)),
        count: items.len() as u64,
    }
}

pub fn outcomes(results: &[ItemResult]) -> Vec<ItemOutcome> {
    results.iter().map(|result| result.outcome).collect()
}

pub fn page(seq: i64, snapshot: &str, page: u32, last: bool, items: Vec<Item>) -> SnapshotRequest {
    SnapshotRequest {
        stamp: stamp(1, seq),
        snapshot: snapshot.to_owned(),
        page,
        last,
        confirmed: false,
        items,
        retained: Vec::new(),
    }
}

pub fn many(range: std::ops::Range<u32>) -> Vec<Item> {
    range.map(|i| ready(&format!("a{i:04}"))).collect()
}

/// Waits until the condition holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
