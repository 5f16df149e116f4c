//! Leases, restarts, reaping, shutdown.

use std::time::Duration;

use configurable_agents::domain::record::SnapshotRequest;
use configurable_agents::registry::store::Store;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::registry_support::{Registry, ready, stamp};
use crate::{page, sum};

#[tokio::test]
async fn a_renewal_revives_every_contribution_of_its_source() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a"), ready("b")], &[]).await;
    registry.pass(3600);
    assert!(!registry.is_alive("a").await);
    registry.renew("s", stamp(1, 2)).await;
    assert!(registry.is_alive("a").await && registry.is_alive("b").await);
}

#[tokio::test]
async fn a_restart_keeps_everything_and_grants_one_fresh_ttl() {
    let registry = Registry::start().await;
    registry.register("expired").await;
    registry.pass(61);
    registry.register("beating").await;
    registry.batch("s", stamp(4, 7), vec![ready("probed")], &[]).await;
    registry.snapshot("s", &page_of_epoch_4(8, 0, false)).await;
    let before = registry.get("/agents?include_dead=1").await.body;

    let registry = registry.restart_after(Duration::from_mins(10)).await;
    let after = registry.get("/agents?include_dead=1").await.body;
    assert_eq!(after, before);
    assert!(registry.is_alive("beating").await && registry.is_alive("probed").await);
    assert!(!registry.is_alive("expired").await);
    registry.write("s", "renewal", &json!({ "epoch": 4, "seq": 7 })).await.problem(409);
    let last = registry.snapshot("s", &page_of_epoch_4(9, 1, true)).await;
    assert_eq!(last.withdrawn, 1);
    registry.pass(60);
    assert!(!registry.is_alive("beating").await);
}

fn page_of_epoch_4(seq: i64, number: u32, last: bool) -> SnapshotRequest {
    SnapshotRequest { stamp: stamp(4, seq), ..page(seq, "n", number, last, vec![]) }
}

#[tokio::test]
async fn what_expired_is_reaped_after_a_day_and_not_before() {
    let registry = Registry::start().await;
    registry.register("a").await;
    registry.batch("s", stamp(1, 1), vec![ready("b"), ready("c")], &[]).await;
    let orchestrator = json!({ "orchestrator_id": "o", "orchestrator_name": "O",
        "orchestrator_type": "local", "api_endpoint": "http://o", "ttl_seconds": 60 });
    registry.post("/orchestrator/register", &orchestrator).await;
    let store = Store::open_with_clock(&registry.database, registry.clock.clone()).await.unwrap();
    let day = Duration::from_hours(24);
    registry.clock.advance(day + Duration::from_secs(59));
    assert_eq!(store.reap(day).await.unwrap().total(), 0);
    let info = registry.get("/agents/a").await;
    assert_eq!(info.body["is_alive"], false, "expired is a state that people can see");
    registry.pass(1);
    let reaped = store.reap(day).await.unwrap();
    assert_eq!((reaped.agents, reaped.contributions, reaped.orchestrators), (1, 2, 1));
    assert_eq!(registry.get("/agents/a").await.status, 404);
    assert_eq!(registry.renew("s", stamp(1, 2)).await.held, sum(&[]));
    store.close().await;
}

#[tokio::test]
async fn a_call_that_runs_at_shutdown_is_finished() {
    let registry = Registry::start().await;
    let mut stream = tokio::net::TcpStream::connect(registry.address).await.unwrap();
    let body = json!({ "agent_id": "a", "agent_name": "A", "host": "h", "port": 1 }).to_string();
    let head = format!(
        "POST /agents/register HTTP/1.1\r\nhost: r\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // "100 Continue" proves that the handler runs.
    let mut continued = [0; 25];
    stream.read_exact(&mut continued).await.unwrap();
    registry.begin_stop();
    while tokio::net::TcpStream::connect(registry.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let (_folder, database, _) = registry.stopped().await;
    let store = Store::open_existing(&database).await.unwrap();
    assert!(store.get("default", "a").await.unwrap().is_some());
}
