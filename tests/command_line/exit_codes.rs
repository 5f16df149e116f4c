//! Every exit code, reached for real.

use crate::bed::{Registry, SOON};
use crate::stub::Stub;
use crate::support::{Proc, eventually};
use crate::{failure, is_well_formed, with_env};

/// Commands that ask a registry.
const ASKS: [&[&str]; 6] = [
    &["orchestrator", "discover"],
    &["agent-registry", "list"],
    &["agent-registry", "get", "a"],
    &["agent-registry", "cleanup"],
    &["agent-registry", "deregister", "a"],
    &["agent-registry", "register", "a", "--host", "h", "--port", "1"],
];

#[test]
fn who_answers_otherwise_than_a_registry_or_an_orchestrator_is_told_apart() {
    let here = tempfile::tempdir().unwrap();
    for (stub, code) in [
        (Stub::answering("401 Unauthorized", ""), 4),
        (Stub::answering("403 Forbidden", "{}"), 4),
        (Stub::answering("500 Internal Server Error", "oops"), 3),
        (Stub::answering("302 Found", ""), 3),
        (Stub::answering("200 OK", "<!doctype html>\u{1b}[31m"), 3),
        (Stub::answering("200 OK", "[]"), 3),
        (Stub::saying(b"SSH-2.0-OpenSSH_9.9\r\n"), 3),
        (Stub::saying(b""), 3),
    ] {
        let env = [("REGISTRY_URL", stub.url.as_str()), ("ORCHESTRATOR_URL", stub.url.as_str())];
        for args in
            ASKS.into_iter().chain([&["orchestrator", "status"][..], &["orchestrator", "status", "ns/a"]])
        {
            // A removal does not read what the answer says.
            if matches!(args.get(1), Some(&"deregister" | &"register")) && code == 3 {
                continue;
            }
            let (found, text) = failure(&with_env(args, &env, here.path()));
            assert_eq!(found, code, "{args:?}: {text}");
            is_well_formed(&text);
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
    }
}

#[test]
fn who_never_answers_is_given_up() {
    let here = tempfile::tempdir().unwrap();
    let stub = Stub::silent();
    let (code, text) = failure(&with_env(ASKS[1], &[("REGISTRY_URL", &stub.url)], here.path()));
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("deadline"), "{text}");
    assert!(stub.asked.recv().unwrap().starts_with("GET /v1/scopes/default/agents?"), "what was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table() {
    let registry = Registry::start().await;
    let run = |args: &[&str]| registry.run(args).status.code().unwrap();
    assert_eq!(run(&["agent-registry", "list"]), 0, "nothing found");
    assert_eq!(run(&["agent-registry", "list", "--db-url", "sqlite:///nothing.db"]), 1);
    assert_eq!(run(&["agent-registry", "register", &"x".repeat(300), "--host", "h", "--port", "1"]), 1);
    for usage in [
        &["orchestrator", "discover", "--filters", r#"{"capability":}"#][..],
        &["orchestrator", "discover", "--filter", "capability"],
        &["agent-registry", "list", "--registry-url", "localhost:8000"],
        &["agent-registry", "list", "--db-url", "mysql://x"],
        &["agent-registry", "cleanup", "--older-than", "soon"],
        &["agent-registry", "register", "a", "--host", "h", "--port", "0"],
        &["agent-registry", "register", "a", "--host", "h", "--port", "1", "--ttl", "0"],
        &["agent-registry", "register", "a", "--host", "h", "--port", "1", "--metadata", "[1]"],
        &["orchestrator", "status", "--status", "up"],
        &["orchestrator", "status", "--url", "ftp://x"],
        &["completion", "tcsh"],
        &[],
    ] {
        assert_eq!(run(usage), 2, "{usage:?}");
    }
    assert_eq!(run(&["agent-registry", "list", "--registry-url", "http://127.0.0.1:1"]), 3);
    assert_eq!(run(&["orchestrator", "status", "--url", "http://127.0.0.1:1"]), 3);
    assert_eq!(run(&["agent-registry", "get", "nobody"]), 5);
    let url = "http://127.0.0.1:1";
    assert_eq!(run(&["orchestrator", "status", "a/b", "--wait", "--timeout", "0", "--url", url]), 6);
    // 4: who_answers_otherwise…; 130: ctrl_c_ends_a_watch….
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_ends_with_0() {
    let registry = Registry::start().await;
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
        let port = format!("--port={}", crate::support::free_port(std::net::Ipv4Addr::LOCALHOST));
        let process = Proc::start(&["agent-registry", "start", &port], &[]);
        eventually(SOON, "it serves", async || process.stderr().contains("serves")).await;
        process.signal(signal);
        assert_eq!(process.wait_exit(SOON).await.code(), Some(0));
    }
    registry.process.term();
    assert_eq!(registry.process.wait_exit(SOON).await.code(), Some(0));
}
