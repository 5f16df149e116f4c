//! Prometheus and promtool as processes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::children::Managed;
use super::{eventually, free_port, work_dir};

const SOON: Duration = Duration::from_secs(30);
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/configurable-agents/files/rules.yaml");

#[allow(clippy::print_stderr, reason = "what is left out says so")]
/// A program of the Debian package `prometheus`; without it a test says so and ends, with CI=true it fails.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from("/usr/bin").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{name} is missing: install the package prometheus"
    );
    eprintln!("left out: {name} is missing, it is in the Debian package prometheus");
    None
}

/// Whether it succeeded, and what it printed.
pub async fn run(program: &Path, args: &[&str], stdin: Option<&str>) -> (bool, String) {
    let mut command = tokio::process::Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin.unwrap_or_default().as_bytes()).await.unwrap();
    drop(input);
    let output = tokio::time::timeout(SOON, child.wait_with_output()).await.expect("it ends").unwrap();
    let printed = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.success(), printed.concat())
}

/// The rules with their times shortened: what takes minutes takes seconds.
fn hurried() -> String {
    let mut rules = std::fs::read_to_string(RULES).unwrap();
    let shorter = [
        ("for: 1h", "for: 2s"),
        ("for: 10m", "for: 2s"),
        ("for: 5m", "for: 2s"),
        ("for: 2m", "for: 2s"),
        ("for: 1m", "for: 2s"),
        ("[30m]", "[60s]"),
        ("[5m]", "[8s]"),
        ("< 60 + 2 *", "< 4 + 2 *"),
        ("_seconds > 60", "_seconds > 4"),
    ];
    for (long, short) in shorter {
        assert!(rules.contains(long), "the rules have no {long} any more");
        rules = rules.replace(long, short);
    }
    rules
}

/// A server that scrapes every second and knows our rules.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    client: reqwest::Client,
    process: Managed,
    _files: tempfile::TempDir,
}

impl Prometheus {
    pub async fn start(program: &Path, targets: &[u16]) -> Prometheus {
        let files = work_dir();
        let port = free_port(Ipv4Addr::LOCALHOST);
        let targets: Vec<String> = targets.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [rules.yaml]\n\
             scrape_configs:\n- {{job_name: agents, honor_labels: true, static_configs: [{{targets: [{}]}}]}}\n",
            targets.join(", ")
        );
        std::fs::write(files.path().join("prometheus.yaml"), config).unwrap();
        std::fs::write(files.path().join("rules.yaml"), hurried()).unwrap();
        let log = files.path().join("log");
        let process = Managed::start("prometheus", program, &log, &log, |command| {
            command.current_dir(files.path()).args([
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=data",
                &format!("--web.listen-address=127.0.0.1:{port}"),
                "--log.level=warn",
            ]);
        });
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(8)).no_proxy().build().unwrap();
        let prometheus = Prometheus { port, client, process, _files: files };
        eventually(SOON, "prometheus is ready", async || {
            prometheus.get("/-/ready").await.map(drop).ok_or_else(|| prometheus.process.tail())
        })
        .await;
        prometheus
    }

    async fn get(&self, path: &str) -> Option<String> {
        let answer = self.client.get(format!("http://127.0.0.1:{}{path}", self.port)).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// The alerts that fire, with their labels.
    pub async fn firing(&self) -> Vec<Value> {
        let text = self.get("/api/v1/alerts").await.unwrap_or_default();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts.into_iter().filter(|alert| alert["state"] == "firing").collect()
    }

    /// Waits until an alert fires, or does not any more.
    pub async fn alert(&self, name: &str, fires: bool) {
        let what = format!("{name} {}", if fires { "fires" } else { "is gone" });
        eventually(Duration::from_mins(2), &what, async || {
            let firing = self.firing().await;
            let found = firing.iter().any(|alert| alert["labels"]["alertname"] == name);
            if found == fires { Ok(()) } else { Err(format!("firing: {firing:?}")) }
        })
        .await;
    }
}
