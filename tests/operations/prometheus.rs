//! Prometheus and promtool as processes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::bed::{SOON, get, read};
use crate::support::children::Managed;
use crate::support::{eventually, free_port, work_dir};

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
pub fn hurried() -> String {
    let mut rules = read("charts/configurable-agents/files/rules.yaml");
    let shorter = [
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
pub struct Prometheus {
    port: u16,
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
        let prometheus = Prometheus { port, process, _files: files };
        eventually(SOON, "prometheus is ready", async || {
            let (status, text) = get(port, "/-/ready", None).await;
            if status == 200 { Ok(()) } else { Err(format!("{text}\n{}", prometheus.process.tail())) }
        })
        .await;
        prometheus
    }

    /// The alerts that fire, with their labels.
    pub async fn firing(&self) -> Vec<Value> {
        let (_, text) = get(self.port, "/api/v1/alerts", None).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts.into_iter().filter(|alert| alert["state"] == "firing").collect()
    }

    /// Waits until an alert fires, or does not any more.
    pub async fn alert(&self, name: &str, fires: bool) {
        let what = format!("{name} {}", if fires { "fires" } else { "is gone" });
        eventually(Duration::from_secs(120), &what, async || {
            let firing = self.firing().await;
            let found = firing.iter().any(|alert| alert["labels"]["alertname"] == name);
            if found == fires { Ok(()) } else { Err(format!("firing: {firing:?}")) }
        })
        .await;
    }
}
