//! Processes to look at: an orchestrator over a directory, a registry, agents.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::support::{Proc, TestAgent, eventually, free_port, work_dir};

pub const SOON: Duration = Duration::from_secs(30);

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(relative: &str) -> String {
    let path = repository().join(relative);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Status and body; status 0: no answer.
pub async fn get(port: u16, path: &str, accept: Option<&str>) -> (u16, String) {
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(8)).no_proxy().build().unwrap();
    let mut request = client.get(format!("http://127.0.0.1:{port}{path}"));
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    match request.send().await {
        Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
        Err(error) => (0, error.to_string()),
    }
}

/// A scrape: each sample by its name with labels as they stand there, without our prefix.
#[derive(Debug)]
pub struct Scrape(pub BTreeMap<String, f64>);

impl Scrape {
    pub async fn of(port: u16) -> Scrape {
        let (status, text) = get(port, "/metrics", None).await;
        let samples = text.lines().filter(|line| status == 200 && !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.strip_prefix("configurable_agents_")?.to_owned(), value.parse().ok()?))
        };
        Scrape(samples.filter_map(sample).collect())
    }

    /// The sample with this name, and these labels among its own.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |key: &str, (label, value): &(&str, &str)| key.contains(&format!("{label}=\"{value}\""));
        let mut found = self.0.iter().filter(|(key, _)| {
            key.split('{').next() == Some(name) && labels.iter().all(|pair| has(key, pair))
        });
        found.next().map(|(_, value)| *value)
    }
}

/// A registry and its ports.
pub struct Registry {
    pub process: Proc,
    pub port: u16,
    pub ops: u16,
    database: PathBuf,
}

impl Registry {
    fn start(database: &Path, port: u16, ops: u16) -> Registry {
        let args = [
            "agent-registry".to_owned(),
            "start".to_owned(),
            format!("--port={port}"),
            format!("--ops-listen=127.0.0.1:{ops}"),
            format!("--db-url=sqlite:///{}", database.display()),
        ];
        Registry { process: Proc::start(&args, &[]), port, ops, database: database.to_owned() }
    }

    pub fn start_again(&mut self) {
        *self = Registry::start(&self.database, self.port, self.ops);
    }

    pub fn database(&self) -> &Path {
        &self.database
    }
}

/// A place with manifests and a registry; the orchestrator is started over it.
pub struct Bed {
    pub files: tempfile::TempDir,
    pub registry: Registry,
}

impl Bed {
    pub async fn start() -> Bed {
        let files = work_dir();
        std::fs::create_dir(files.path().join("manifests")).unwrap();
        let [port, ops] = [(); 2].map(|()| free_port(Ipv4Addr::LOCALHOST));
        let bed = Bed { registry: Registry::start(&files.path().join("registry.db"), port, ops), files };
        eventually(SOON, "the registry is ready", async || get(ops, "/readyz", None).await.0 == 200).await;
        bed
    }

    pub fn manifests(&self) -> PathBuf {
        self.files.path().join("manifests")
    }

    pub fn status_database(&self) -> PathBuf {
        self.files.path().join("status.db")
    }

    /// Declares one endpoint in `default` with one target; `probe` is merged into its probe.
    pub fn declare(&self, name: &str, port: u16, probe: &serde_json::Value) {
        self.declare_in("default", name, "127.0.0.1", port, probe);
    }

    pub fn declare_in(&self, namespace: &str, name: &str, host: &str, port: u16, more: &serde_json::Value) {
        let mut probe = json!({"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1});
        probe.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({
            "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"targets": [{"host": host, "port": port}], "probe": probe},
        });
        std::fs::write(self.manifests().join(format!("{namespace}-{name}.json")), object.to_string())
            .unwrap();
    }

    pub async fn orchestrator(&self, more: &[&str]) -> Orchestrator {
        let [port, ops] = [(); 2].map(|()| free_port(Ipv4Addr::LOCALHOST));
        let mut args = vec![
            "orchestrator".to_owned(),
            "start".to_owned(),
            format!("--manifests={}", self.manifests().display()),
            format!("--db-url=sqlite:///{}", self.status_database().display()),
            format!("--port={port}"),
            format!("--ops-listen=127.0.0.1:{ops}"),
            format!("--registry-url=http://127.0.0.1:{}", self.registry.port),
        ];
        args.extend(more.iter().map(|flag| (*flag).to_owned()));
        let orchestrator = Orchestrator { process: Proc::start(&args, &[]), port, ops, args };
        orchestrator.up().await;
        orchestrator
    }
}

pub struct Orchestrator {
    pub process: Proc,
    pub port: u16,
    pub ops: u16,
    args: Vec<String>,
}

impl Orchestrator {
    async fn up(&self) {
        eventually(SOON, "the orchestrator is ready", async || {
            let (status, text) = get(self.ops, "/readyz", None).await;
            if status == 200 { Ok(()) } else { Err(format!("{text}{}", self.process.logs())) }
        })
        .await;
    }

    pub async fn start_again(&mut self) {
        self.process = Proc::start(&self.args, &[]);
        self.up().await;
    }

    pub async fn scrape(&self) -> Scrape {
        Scrape::of(self.ops).await
    }

    /// Waits until a sample is as it should be.
    pub async fn shows(&self, name: &str, labels: &[(&str, &str)], good: impl Fn(f64) -> bool) {
        shows(self.ops, name, labels, good).await;
    }
}

pub async fn shows(port: u16, name: &str, labels: &[(&str, &str)], good: impl Fn(f64) -> bool) {
    eventually(SOON, &format!("{name} {labels:?} on port {port}"), async || {
        let value = Scrape::of(port).await.value(name, labels);
        if value.is_some_and(&good) { Ok(()) } else { Err(format!("it is {value:?}")) }
    })
    .await;
}

/// An agent on an address of its own, so that it can be stopped alone.
pub fn agent() -> TestAgent {
    TestAgent::healthy()
}

/// Holds a lock on a database that keeps everybody else from writing, until dropped.
pub async fn lock(database: &Path) -> sqlx::SqliteConnection {
    use sqlx::Connection as _;
    let url = format!("sqlite://{}", database.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
    connection
}
