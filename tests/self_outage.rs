//! The self-outage guard in a network of its own, which is then cut. Needs root, `ip` and `nft`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "it says why it is left out")]

#[path = "support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use support::{Behaviour, Proc, TestAgent, eventually, free_port, stays, work_dir};

const SOON: Duration = Duration::from_secs(30);
const AGENTS: u8 = 8;

fn run(command: &str) {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A network of this thread and of what it starts, with an agent on each of 10.77.0.1 and so on. Nothing
/// leads out of it, and it goes with the last process in it.
struct Bed {
    files: tempfile::TempDir,
    _agents: Vec<TestAgent>,
    orchestrator: Proc,
    url: String,
}

impl Bed {
    async fn start(canary: &str) -> Bed {
        run("ip link set lo up");
        let hosts: Vec<Ipv4Addr> = (1..=AGENTS).map(|n| Ipv4Addr::new(10, 77, 0, n)).collect();
        let files = work_dir();
        std::fs::create_dir(files.path().join("manifests")).unwrap();
        let mut agents = Vec::new();
        for host in &hosts {
            run(&format!("ip address add {host}/32 dev lo"));
            let agent = TestAgent::start(*host, 8001, Behaviour::Ok);
            let name = format!("agent-{}", host.octets()[3]);
            let manifest = json!({
                "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint", "metadata": {"name": name},
                "spec": {
                    "targets": [{"host": host.to_string(), "port": agent.port()}],
                    "probe": {"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3},
                },
            });
            let file = files.path().join("manifests").join(format!("{name}.json"));
            std::fs::write(file, manifest.to_string()).unwrap();
            agents.push(agent);
        }
        run("nft add table inet cut");
        run("nft add chain inet cut out { type filter hook output priority 0 ; }");
        let port = free_port(Ipv4Addr::LOCALHOST);
        let args = [
            "orchestrator".to_owned(),
            "start".to_owned(),
            format!("--manifests={}", files.path().join("manifests").display()),
            format!("--db-url=sqlite:///{}", files.path().join("status.db").display()),
            format!("--port={port}"),
            "--registry-url=none".to_owned(),
            format!("--canary={canary}"),
        ];
        let orchestrator = Proc::start(&args, &[]);
        let bed = Bed { files, _agents: agents, orchestrator, url: format!("http://127.0.0.1:{port}") };
        eventually(SOON, "all are Ready", async || {
            (bed.words().await.iter().filter(|word| *word == "Ready").count() == usize::from(AGENTS))
                .then_some(())
        })
        .await;
        bed
    }

    /// Packets to these hosts are dropped from now on.
    fn cut(hosts: &str) {
        run(&format!("nft add rule inet cut out ip daddr {hosts} tcp dport 8001 drop"));
    }

    fn mend() {
        run("nft flush chain inet cut out");
    }

    async fn get(&self, path: &str) -> Option<String> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let answer =
            reqwest::Client::new().get(format!("{}{path}", self.url)).timeout(Duration::from_secs(5));
        answer.send().await.ok()?.text().await.ok()
    }

    async fn json(&self, path: &str) -> Value {
        self.get(path).await.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    async fn endpoints(&self) -> Vec<Value> {
        self.json("/api/v1/endpoints").await["items"].as_array().cloned().unwrap_or_default()
    }

    async fn words(&self) -> Vec<String> {
        let endpoints = self.endpoints().await;
        let ready = |endpoint: &Value| {
            let conditions = endpoint["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready =
                conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
            if ready["status"] == "True" {
                "Ready".to_owned()
            } else {
                ready["reason"].as_str().unwrap_or("").to_owned()
            }
        };
        endpoints.iter().map(ready).collect()
    }

    async fn mass_failure(&self) -> Value {
        self.json("/api/v1/status").await["massFailure"].clone()
    }
}

/// One test: a network belongs to a thread, and one thread starts all processes.
#[tokio::test]
async fn a_cut_of_our_own_network_writes_nothing_and_agents_that_die_are_called_failing() {
    // The fast tier wants no root; with CI=true nothing may be left out.
    if let Err(why) = unshare(CloneFlags::CLONE_NEWNET) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no network of its own: {why}");
        eprintln!("left out: a network of its own needs root ({why})");
        return;
    }
    let bed = Bed::start("10.77.0.8:8001").await;
    a_cut_is_said_and_writes_nothing_and_its_end_neither(&bed).await;
    when_the_canary_answers_only_the_dead_are_called_failing(&bed).await;
    drop(bed.files);
}

/// The canary is cut as well.
async fn a_cut_is_said_and_writes_nothing_and_its_end_neither(bed: &Bed) {
    let before = bed.endpoints().await;
    Bed::cut("10.77.0.0/24");
    let failure = eventually(SOON, "the guard says so, and what its canary said", async || {
        let failure = bed.mass_failure().await;
        (failure["canaries"][0]["problem"].is_string() && failure["failing"] == AGENTS).then_some(failure)
    })
    .await;
    assert_eq!(failure["canaries"][0]["name"], "10.77.0.8:8001");
    let page = bed.get("/ui/").await.unwrap();
    assert!(page.contains("8 of 8 healthy targets began to fail within one period."), "{page}");
    assert!(page.contains("The fault may be on this side (network, DNS)"), "{page}");
    let metrics = bed.get("/metrics").await.unwrap();
    assert!(metrics.contains("configurable_agents_probe_infrastructure_suspect 1"), "{metrics}");
    assert_eq!(bed.get("/readyz").await.map(|text| text.contains("not ready")), Some(false));
    let binary = env!("CARGO_BIN_EXE_configurable-agents");
    let status =
        Command::new(binary).args(["orchestrator", "status"]).env("ORCHESTRATOR_URL", &bed.url).output();
    let status = String::from_utf8(status.unwrap().stdout).unwrap();
    assert!(status.contains("Mass failure  8 of 8 healthy targets"), "{status}");
    // More than failureThreshold periods.
    stays(Duration::from_secs(6), "nothing changes", async || bed.endpoints().await == before).await;
    Bed::mend();
    eventually(SOON, "the guard is at rest", async || bed.mass_failure().await.is_null().then_some(())).await;
    stays(Duration::from_secs(4), "nothing changes", async || bed.endpoints().await == before).await;
    let logs = bed.orchestrator.logs();
    assert!(
        logs.contains("the fault may be on this side") && logs.contains("what failed was on this side"),
        "{logs}"
    );
}

async fn when_the_canary_answers_only_the_dead_are_called_failing(bed: &Bed) {
    Bed::cut("10.77.0.1-10.77.0.5");
    eventually(SOON, "the guard holds", async || (!bed.mass_failure().await.is_null()).then_some(())).await;
    assert_eq!(bed.words().await, ["Ready"; AGENTS as usize]);
    let dead = ["ConnectTimeout"; 5].into_iter().chain(["Ready"; 3]).collect::<Vec<_>>();
    eventually(SOON, "the truth", async || (bed.words().await == dead).then_some(())).await;
    assert!(bed.mass_failure().await.is_null());
}
