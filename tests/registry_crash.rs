//! The registry's process, killed at any moment, and a disk that fills up: what was acknowledged stays, on SQLite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Connection as _;
use support::children::Managed;
use support::{Proc, eventually, free_port, work_dir};

/// Rounds of killing; `CRASH_ROUNDS=200` for more.
const ROUNDS: usize = 20;
const WRITERS: usize = 8;
const ACKNOWLEDGED: usize = 100;
const START: Duration = Duration::from_secs(5);

fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().timeout(Duration::from_secs(12)).no_proxy().build().unwrap()
}

fn arguments(port: u16, database: &Path) -> [String; 4] {
    [
        "agent-registry".to_owned(),
        "start".to_owned(),
        format!("--port={port}"),
        format!("--db-url=sqlite:///{}", database.display()),
    ]
}

async fn serves(client: &reqwest::Client, port: u16) {
    let url = format!("http://127.0.0.1:{port}/readyz");
    eventually(START, "it serves", async || {
        client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
}

async fn register(client: &reqwest::Client, port: u16, id: &str, metadata: &str) -> Option<u16> {
    let agent = json!({"agent_id": id, "agent_name": "A", "host": "h", "port": 1, "metadata": metadata});
    let url = format!("http://127.0.0.1:{port}/agents/register");
    Some(client.post(url).json(&agent).send().await.ok()?.status().as_u16())
}

async fn ids(client: &reqwest::Client, port: u16) -> Vec<String> {
    let url = format!("http://127.0.0.1:{port}/agents?include_dead=true");
    let text = client.get(url).send().await.unwrap().text().await.unwrap();
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    list.iter().map(|agent| agent["agent_id"].as_str().unwrap().to_owned()).collect()
}

async fn is_sound(database: &Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let said: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(said, "ok");
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let rounds = std::env::var("CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let (files, client) = (work_dir(), http());
    let database = files.path().join("registry.db");
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..rounds {
        let port = free_port(Ipv4Addr::LOCALHOST);
        let process = Proc::start(&arguments(port, &database), &[]);
        serves(&client, port).await;
        let known: std::collections::BTreeSet<String> = ids(&client, port).await.into_iter().collect();
        for id in &acknowledged {
            assert!(known.contains(id), "{id} was acknowledged before round {round} and is lost");
        }
        let answers = AtomicUsize::new(0);
        // Each goes on until the process is dead: the kill comes in the middle of their writes.
        let write = async |writer: usize| {
            let mut stored = Vec::new();
            for n in 0.. {
                let id = format!("r{round}-w{writer}-{n}");
                if register(&client, port, &id, "{}").await != Some(200) {
                    break;
                }
                stored.push(id);
                if answers.fetch_add(1, Ordering::Relaxed) == ACKNOWLEDGED {
                    process.kill();
                }
            }
            stored
        };
        let stored = futures::future::join_all((0..WRITERS).map(write)).await;
        acknowledged.extend(stored.into_iter().flatten());
    }
    assert!(acknowledged.len() >= rounds * ACKNOWLEDGED, "{}", acknowledged.len());
    is_sound(&database).await;
}

/// A program in a mount namespace of its own, with one megabyte of memory as the disk.
fn on_small_disk(port: u16, files: &Path) -> (Managed, PathBuf) {
    let (disk, log) = (files.join("disk"), files.join("log"));
    std::fs::create_dir(&disk).unwrap();
    let script = "mount -t tmpfs -o size=1m tmpfs \"$0\" && exec \"$@\"";
    let process =
        Managed::start("registry on a small disk", Path::new("/usr/bin/unshare"), &log, &log, |command| {
            command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(&disk);
            command.arg(env!("CARGO_BIN_EXE_configurable-agents"));
            command.args(arguments(port, &disk.join("registry.db")));
        });
    // As others see the folder inside of the namespace.
    let inside = PathBuf::from(format!("/proc/{}/root{}", process.pid(), disk.display()));
    (process, inside)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_in_time_keeps_reads_and_mends_by_itself() {
    let (files, client, port) = (work_dir(), http(), free_port(Ipv4Addr::LOCALHOST));
    let (process, disk) = on_small_disk(port, files.path());
    serves(&client, port).await;
    assert_eq!(register(&client, port, "before", "{}").await, Some(200), "{}", process.tail());

    let filler = disk.join("filler");
    std::fs::write(&filler, vec![0; 4 << 20]).unwrap_err();
    let start = Instant::now();
    let mut acknowledged = vec!["before".to_owned()];
    // The log may have room of its own for a few.
    let text = "x".repeat(16_000);
    let refused = loop {
        let id = format!("a{}", acknowledged.len());
        match register(&client, port, &id, &text).await {
            Some(200) => acknowledged.push(id),
            other => break other,
        }
        assert!(acknowledged.len() < 200, "the disk is full");
    };
    assert_eq!(refused, Some(503), "{}", process.tail());
    assert!(start.elapsed() < Duration::from_secs(20));
    let known = ids(&client, port).await;
    assert!(acknowledged.iter().all(|id| known.contains(id)), "{known:?}");
    assert_eq!(known.len(), acknowledged.len(), "nothing half-written");

    std::fs::remove_file(&filler).unwrap();
    eventually(Duration::from_secs(20), "writes are taken again", async || {
        register(&client, port, "after", "{}").await == Some(200)
    })
    .await;
    assert!(process.exited().is_none(), "it was one process all the time");
    process.freeze();
    for name in ["registry.db", "registry.db-wal"] {
        std::fs::copy(disk.join(name), files.path().join(name)).unwrap();
    }
    is_sound(&files.path().join("registry.db")).await;
}
