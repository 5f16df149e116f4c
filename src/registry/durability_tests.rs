//! Acknowledged means on disk: the system calls of a real server tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::Router;

use super::meters::Meters;
use super::store::Store;
use super::{Access, DatabaseUrl, GRACE, router};
use crate::ops::sockets;

/// Tells the traced process where its database is, and whether it should wait for the disk.
const DATABASE: &str = "TRACED_DATABASE";
const CARELESS: &str = "TRACED_CARELESS";
/// Writes that are traced, one after the other.
const WRITES: usize = 20;

/// What the tests below run under strace; by itself it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_traced_process_serves_until_its_input_ends() {
    let Some(path) = std::env::var_os(DATABASE) else { return };
    let url = DatabaseUrl::from_path(path);
    let store = match std::env::var_os(CARELESS) {
        Some(_) => Store::open_careless(&url).await,
        None => Store::open(&url).await.unwrap(),
    };
    store.serve().await.unwrap();
    let listener = super::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    std::io::stderr().write_all(format!("serving {address}\n").as_bytes()).unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let router = router::router(store.clone(), Access::Anonymous, &Meters::default(), Router::new());
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        () = sockets::serve(listener, router, &shutdown, GRACE) => {}
        _ = ended => {}
    }
    store.close().await;
}

/// Registers agents one by one with a server under strace; the trace.
fn trace(careless: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-s", "16", "-e", "trace=fdatasync,fsync,pwrite64,write,writev,sendto", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "registry::durability_tests::the_traced_process_serves_until_its_input_ends"])
        .arg("--nocapture")
        .env(DATABASE, folder.path().join("traced.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if careless {
        command.env(CARELESS, "1");
    }
    let mut process = command.spawn().expect("strace: install Debian's package strace");
    let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
    let address = said
        .find_map(|line| line.unwrap().strip_prefix("serving ").map(str::to_owned))
        .expect("the traced process serves");
    for n in 0..WRITES {
        let body = format!(r#"{{"agent_id":"a{n}","agent_name":"A","host":"h","port":1}}"#);
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "POST /agents/register HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
    std::fs::read_to_string(trace).unwrap()
}

/// How many answers were written, and how many of them after what was written to the log since the
/// answer before had been synced.
fn count(trace: &str, log: &Path) -> (usize, usize) {
    let log = log.to_str().unwrap();
    let (mut answers, mut safe) = (0, 0);
    let (mut written, mut synced) = (false, false);
    for line in trace.lines() {
        // "PID call(FD<PATH>, …) = RESULT"; a call that others come between ends in a line of its own.
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        if call.starts_with("pwrite64(") && call.contains(log) {
            (written, synced) = (true, false);
        } else if (call.starts_with("fsync(") || call.starts_with("fdatasync(")) && call.contains(log)
            || call.contains("sync resumed>")
        {
            synced = written && call.ends_with("= 0");
        } else if call.contains("\"HTTP/1.1 200") {
            answers += 1;
            safe += usize::from(synced);
            (written, synced) = (false, false);
        }
    }
    (answers, safe)
}

#[test]
fn an_answer_is_written_only_after_the_data_is_synced() {
    let trace = trace(false);
    assert_eq!(count(&trace, Path::new("traced.db-wal")), (WRITES, WRITES), "{trace}");
}

/// The test above can fail.
#[test]
fn without_synchronous_full_the_trace_shows_that_nothing_is_synced() {
    let trace = trace(true);
    assert_eq!(count(&trace, Path::new("traced.db-wal")), (WRITES, 0), "{trace}");
}
