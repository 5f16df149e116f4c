//! `demo` as a process: everything is real, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::{Proc, eventually, free_port, work_dir};

const SOON: Duration = Duration::from_secs(30);

async fn get(port: u16, path: &str) -> Option<Value> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let url = format!("http://127.0.0.1:{port}{path}");
    let answer = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
    serde_json::from_str(&answer.text().await.ok()?).ok()
}

fn flags(port: u16, registry: u16) -> [String; 3] {
    ["demo".to_owned(), format!("--port={port}"), format!("--registry-port={registry}")]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_every_state_and_leaves_nothing_behind() {
    let temporary = work_dir();
    let (port, registry) = (free_port(Ipv4Addr::LOCALHOST), free_port(Ipv4Addr::LOCALHOST));
    let place = temporary.path().display().to_string();
    // What is set for the real thing does not change the demo.
    let env =
        [("TMPDIR", place.as_str()), ("DENY_TARGETS", "127.0.0.0/8"), ("ORCHESTRATOR_MODE", "kubernetes")];
    let demo = Proc::start(&flags(port, registry), &env);
    eventually(SOON, "ready, slow, failing, refused and paused agents are told apart", async || {
        let Some(status) = get(port, "/api/v1/status").await else { return Err("no answer".to_owned()) };
        let counts = &status["counts"];
        let found = ["Ready", "Degraded", "Failing", "Rejected", "Paused"]
            .iter()
            .all(|word| counts[*word].as_u64().is_some_and(|n| n >= 1));
        if found { Ok(()) } else { Err(counts.to_string()) }
    })
    .await;
    eventually(SOON, "the registry has them and the one that registers itself", async || {
        let agents = get(registry, "/agents?include_dead=true").await;
        let ids: Vec<String> = agents
            .iter()
            .flat_map(|agents| agents.as_array().unwrap())
            .map(|agent| agent["agent_id"].as_str().unwrap().to_owned())
            .collect();
        let wanted = ["scout", "team-a.research", "team-a.writer", "team-b.planner", "team-b.archive"];
        if wanted.iter().all(|id| ids.iter().any(|known| known == id)) {
            Ok(())
        } else {
            Err(format!("{ids:?}"))
        }
    })
    .await;
    let activity = async || get(port, "/api/v1/activity").await.unwrap()["items"].clone();
    eventually(Duration::from_mins(1), "one of them flaps", async || {
        let activity = activity().await;
        let turns = activity.as_array().unwrap().iter().filter(|t| t["name"] == "translator");
        turns.filter(|t| t["to"] == "Failing").count() >= 1
    })
    .await;
    let stdout = demo.stdout();
    assert!(stdout.contains(&format!("http://localhost:{port}/ui/")), "{stdout}");
    demo.signal(Signal::SIGINT);
    let status = demo.wait_exit(Duration::from_secs(15)).await;
    assert!(status.success(), "{status:?} {}", demo.logs());
    assert_eq!(demo.logs().matches("panicked").count(), 0, "{}", demo.logs());
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let written: Vec<String> = std::fs::read_dir(demo.work_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "stdout" && name != "stderr")
        .collect();
    assert!(written.is_empty(), "{written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_the_way_out() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = taken.local_addr().map(|address| (taken, address.port())).unwrap();
    let free = free_port(Ipv4Addr::LOCALHOST);
    for (args, flag) in [(flags(taken.1, free), "--port"), (flags(free, taken.1), "--registry-port")] {
        let demo = Proc::start(&args, &[]);
        let status = demo.wait_exit(Duration::from_secs(10)).await;
        let error = demo.stderr();
        assert_eq!(status.code(), Some(1), "{error}");
        assert!(error.contains(&format!("port {} is already in use", taken.1)), "{error}");
        assert!(error.contains(&format!("{flag} ")), "{error}");
    }
}
