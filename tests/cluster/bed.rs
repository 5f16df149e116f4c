//! What every scenario starts from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{ControlPlane, Proc, TestDns, Version, eventually, free_port, work_dir};

pub const NAMESPACE: &str = "configurable-agents";
/// Of `deploy/rbac.yaml`.
pub const ORCHESTRATOR: &str = "configurable-agents-orchestrator";
pub const ACCOUNT: &str = "system:serviceaccount:configurable-agents:configurable-agents-orchestrator";

/// A control plane with the CRD and the orchestrator's rights, a DNS server, and a place for files.
pub struct Bed {
    pub plane: ControlPlane,
    pub dns: TestDns,
    pub files: tempfile::TempDir,
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path(relative: &str) -> String {
    repository().join(relative).display().to_string()
}

impl Bed {
    pub async fn start(version: Version) -> Bed {
        Bed::on(ControlPlane::start(version).await).await
    }

    pub async fn on(plane: ControlPlane) -> Bed {
        let bed = Bed { plane, dns: TestDns::start().await, files: work_dir() };
        bed.install_crd().await;
        bed.install_rights().await;
        bed
    }

    /// Applies `crds/` and waits until the server serves it.
    pub async fn install_crd(&self) {
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", &path("crds")];
        self.plane.kubectl(&apply).await.ok();
        let crd = "crd/agentendpoints.agents.configurable.dev";
        self.plane.kubectl(&["wait", "--for=condition=Established", crd, "--timeout=30s"]).await.ok();
    }

    /// Applies `deploy/rbac.yaml`.
    pub async fn install_rights(&self) {
        self.plane.kubectl(&["apply", "-f", &path("deploy/rbac.yaml")]).await.ok();
    }

    pub async fn apply_file(&self, relative: &str) {
        self.plane.kubectl(&["apply", "-n", "default", "-f", &path(relative)]).await.ok();
    }

    pub async fn apply(&self, object: &Value) {
        self.plane.kubectl_stdin(&["apply", "-f", "-"], &object.to_string()).await.ok();
    }

    /// A kubeconfig of the orchestrator's ServiceAccount, perhaps through a proxy.
    pub async fn kubeconfig(&self, server: Option<SocketAddr>) -> PathBuf {
        self.plane.service_account_kubeconfig(NAMESPACE, ORCHESTRATOR, server).await
    }

    /// `orchestrator start` with the flags that every scenario needs.
    pub fn orchestrator(&self, kubeconfig: &Path, registry: &str, more: &[&str]) -> Orchestrator {
        let port = free_port(std::net::Ipv4Addr::LOCALHOST);
        let mut args = vec![
            "orchestrator".to_owned(),
            "start".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--port={port}"),
            format!("--registry-url={registry}"),
            format!("--lease-namespace={NAMESPACE}"),
            format!("--dns-server={}", self.dns.addr()),
        ];
        if !more.iter().any(|flag| flag.starts_with("--allow-targets")) {
            args.push("--allow-targets=127.0.0.0/8".to_owned());
        }
        args.extend(more.iter().map(|flag| (*flag).to_owned()));
        Orchestrator { process: Proc::start(&args, &[]), port }
    }

    pub fn registry(&self) -> Registry {
        self.registry_with(&[])
    }

    pub fn registry_with(&self, flags: &[&str]) -> Registry {
        let port = free_port(std::net::Ipv4Addr::LOCALHOST);
        let database = self.files.path().join(format!("registry-{port}.db"));
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let process = start_registry(port, &database, &flags);
        Registry { process, port, database, flags }
    }

    pub async fn endpoint(&self, namespace: &str, name: &str) -> Value {
        self.plane.kubectl(&["get", "aep", "-n", namespace, name, "-o", "json"]).await.ok().json()
    }

    /// `kubectl wait`: the time it took.
    pub async fn wait(&self, name: &str, condition: &str, seconds: u64) -> Duration {
        let started = std::time::Instant::now();
        let (what, timeout) = (format!("aep/{name}"), format!("--timeout={seconds}s"));
        let condition = format!("--for=condition={condition}");
        self.plane.kubectl(&["wait", "-n", "default", &what, &condition, &timeout]).await.ok();
        started.elapsed()
    }

    /// The holder of the Lease.
    pub async fn holder(&self) -> String {
        let lease = self
            .plane
            .kubectl(&[
                "get",
                "lease",
                "-n",
                NAMESPACE,
                "configurable-agents",
                "-o",
                "jsonpath={.spec.holderIdentity}",
            ])
            .await;
        lease.stdout
    }
}

pub struct Orchestrator {
    pub process: Proc,
    pub port: u16,
}

impl Orchestrator {
    /// A sample by its name with labels, in whole numbers; 0 when it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = http_get(self.port, "/metrics").await.1;
        let sample = format!("configurable_agents_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<f64>().ok());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts and ages")]
        let whole = value.unwrap_or_default() as u64;
        whole
    }

    pub async fn ready(&self) -> (u16, String) {
        http_get(self.port, "/readyz").await
    }
}

pub struct Registry {
    pub process: Proc,
    pub port: u16,
    database: PathBuf,
    flags: Vec<String>,
}

fn start_registry(port: u16, database: &Path, flags: &[String]) -> Proc {
    let mut args = vec![
        "agent-registry".to_owned(),
        "start".to_owned(),
        format!("--port={port}"),
        format!("--db-url=sqlite:///{}", database.display()),
    ];
    args.extend_from_slice(flags);
    Proc::start(&args, &[])
}

impl Registry {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Back with a new, empty database.
    pub async fn empty(&mut self) {
        self.stop().await;
        self.forget();
        self.start_again().await;
    }

    pub async fn stop(&self) {
        self.process.term();
        assert!(self.process.wait_exit(Duration::from_secs(10)).await.success());
    }

    /// Removes the database of a stopped registry.
    pub fn forget(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let file = format!("{}{suffix}", self.database.display());
            std::fs::remove_file(file).ok();
        }
    }

    pub async fn start_again(&mut self) {
        self.process = start_registry(self.port, &self.database, &self.flags);
        self.up().await;
    }

    pub async fn up(&self) {
        let what = "the registry answers";
        eventually(Duration::from_secs(10), what, async || http_get(self.port, "/health").await.0 == 200)
            .await;
    }

    /// `AgentInfo`, or nothing.
    pub async fn agent(&self, id: &str) -> Option<Value> {
        let (status, body) = http_get(self.port, &format!("/agents/{id}")).await;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    pub async fn alive(&self, id: &str) -> Option<bool> {
        self.agent(id).await?["is_alive"].as_bool()
    }

    /// The record with its contributions.
    pub async fn record(&self, id: &str) -> Option<Value> {
        let (status, body) = http_get(self.port, &format!("/v1/scopes/default/agents/{id}")).await;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    pub async fn register(&self, agent: &Value) {
        let url = format!("{}/agents/register", self.url());
        let answer = client().post(url).json(agent).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap()
}

/// Status and body; 0 when nobody answers.
pub async fn http_get(port: u16, path: &str) -> (u16, String) {
    match client().get(format!("http://127.0.0.1:{port}{path}")).send().await {
        Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
        Err(error) => (0, error.to_string()),
    }
}

pub fn aep(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
        "metadata": {"namespace": namespace, "name": name}, "spec": spec,
    })
}

pub fn target(address: SocketAddr) -> Value {
    json!({"host": address.ip().to_string(), "port": address.port()})
}

/// Type → (status, reason, lastTransitionTime).
pub fn conditions(object: &Value) -> BTreeMap<String, (String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|c| (text(&c["type"]), (text(&c["status"]), text(&c["reason"]), text(&c["lastTransitionTime"]))))
        .collect()
}

/// `status/reason` of one condition.
pub fn condition(object: &Value, kind: &str) -> String {
    conditions(object).get(kind).map(|(status, reason, _)| format!("{status}/{reason}")).unwrap_or_default()
}
