//! A server that goes away, is demoted, or holds a lock: writes are refused in time, and all of it mends without a
//! restart of the registry.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::Connection as _;

use crate::registry_support::postgres::Postgres;
use crate::registry_support::{Answer, Registry, eventually, ready, stamp};

/// What the issue promises after a fail-over.
const RESUMES: Duration = Duration::from_secs(30);
/// A caller's own deadline; ours must be shorter.
const DEADLINE: Duration = Duration::from_secs(11);

async fn on_own_server() -> (Postgres, Registry) {
    let server = Postgres::start(&[]);
    let url = server.url("postgres");
    let registry = Registry::start_at(&url).await;
    registry.register("a").await;
    (server, registry)
}

async fn beat(registry: &Registry) -> Answer {
    registry.send("POST", "/agents/a/heartbeat", &[], "").await
}

/// Checks that the call is refused in time, with a document that says so.
async fn is_refused(registry: &Registry) {
    let start = Instant::now();
    let answer = beat(registry).await;
    answer.problem(503);
    assert!(answer.header("retry-after").is_some());
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
}

async fn resumes(registry: &Registry) {
    let start = Instant::now();
    eventually("beats are taken again", async || beat(registry).await.status == 200).await;
    eventually("it is ready again", async || registry.get("/readyz").await.status == 200).await;
    assert!(start.elapsed() < RESUMES, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_crashes_and_comes_back_is_used_again() {
    let (server, registry) = on_own_server().await;
    server.down();
    is_refused(&registry).await;
    registry.get("/agents/a").await.problem(503);
    registry.get("/readyz").await.problem(503);
    assert_eq!(registry.get("/livez").await.status, 200, "a restart would not mend it");
    server.up();
    resumes(&registry).await;
    assert!(registry.is_alive("a").await);
    assert_eq!(registry.get("/health").await.body["registered_agents"], 1, "nothing twice");
}

#[tokio::test]
async fn a_read_only_server_refuses_writes_and_still_reads() {
    let (server, registry) = on_own_server().await;
    server.execute("postgres", "ALTER SYSTEM SET default_transaction_read_only = on").await;
    server.execute("postgres", "SELECT pg_reload_conf()").await;
    eventually("it is demoted", async || beat(&registry).await.status == 503).await;
    is_refused(&registry).await;
    assert_eq!(registry.get("/agents/a").await.status, 200);
    assert_eq!(registry.get("/health").await.body["registered_agents"], 1);
    let mut connection = server.connect("postgres").await;
    sqlx::query("SET default_transaction_read_only = off").execute(&mut connection).await.unwrap();
    sqlx::query("ALTER SYSTEM RESET default_transaction_read_only").execute(&mut connection).await.unwrap();
    sqlx::query("SELECT pg_reload_conf()").execute(&mut connection).await.unwrap();
    resumes(&registry).await;
}

#[tokio::test]
async fn terminated_connections_are_replaced_without_a_refusal() {
    let (server, registry) = on_own_server().await;
    registry.get("/agents/a").await;
    for _ in 0..5 {
        server
            .execute(
                "postgres",
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                 WHERE application_name LIKE 'configurable-agents%'",
            )
            .await;
        assert_eq!(beat(&registry).await.status, 200, "{}", server.log());
    }
    resumes(&registry).await;
}

#[tokio::test]
async fn a_lock_that_somebody_holds_refuses_writes_in_time_and_not_reads() {
    let (server, registry) = on_own_server().await;
    let mut other = server.connect("postgres").await;
    let mut held = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE agent_contributions IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    is_refused(&registry).await;
    assert_eq!(registry.get("/agents/a").await.status, 200);
    held.rollback().await.unwrap();
    resumes(&registry).await;
}

#[tokio::test]
async fn a_connection_that_hangs_in_the_middle_of_a_write_does_not_stop_other_registries() {
    let (server, registry) = on_own_server().await;
    // What a registry looks like that was frozen, or cut off, with the writers' lock in its hand.
    let mut frozen = server.connect("postgres").await;
    sqlx::query("SET idle_in_transaction_session_timeout = 5000").execute(&mut frozen).await.unwrap();
    sqlx::query("BEGIN").execute(&mut frozen).await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(109270182225665)";
    sqlx::query(lock).execute(&mut frozen).await.unwrap();
    is_refused(&registry).await;
    resumes(&registry).await;
}

#[tokio::test]
async fn of_two_servers_the_one_that_takes_writes_is_found_wherever_it_is() {
    let (first, second) = (Postgres::start(&[]), Postgres::start(&[]));
    let both = format!(
        "{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        first.url("postgres").trim_end_matches("/postgres"),
        second.port()
    );
    let demote = async |server: &Postgres| {
        server.execute("postgres", "ALTER SYSTEM SET default_transaction_read_only = on").await;
        server.execute("postgres", "SELECT pg_reload_conf()").await;
    };
    // Both have the schema, as a standby has its primary's.
    Registry::start_at(&second.url("postgres")).await.register("second").await;
    Registry::start_at(&first.url("postgres")).await.register("first").await;
    demote(&second).await;
    let registry = Registry::start_at(&both).await;
    for _ in 0..10 {
        registry.register("a").await;
    }
    assert!(registry.is_alive("first").await, "reads are of the writable one, too");
    // Fail-over: the first is demoted under its open connections, and the second takes over.
    demote(&first).await;
    let mut connection = second.connect("postgres").await;
    sqlx::query("SET default_transaction_read_only = off").execute(&mut connection).await.unwrap();
    sqlx::query("ALTER SYSTEM RESET default_transaction_read_only").execute(&mut connection).await.unwrap();
    sqlx::query("SELECT pg_reload_conf()").execute(&mut connection).await.unwrap();
    let body = json!({ "agent_id": "b", "agent_name": "B", "host": "h", "port": 1 });
    eventually("writes go to the second", async || {
        registry.post("/agents/register", &body).await.status == 200
    })
    .await;
    assert_eq!(registry.get("/agents/second").await.status, 200, "and reads with them");
    assert_eq!(registry.get("/agents/first").await.status, 404);
}

#[tokio::test]
async fn a_batch_that_comes_twice_after_an_outage_is_there_once() {
    let (server, registry) = on_own_server().await;
    let request = json!({ "epoch": 1, "seq": 1, "upserts": [ready("b"), ready("c")] });
    server.down();
    registry.write("s", "batch", &request).await.problem(503);
    server.up();
    eventually("the batch is taken", async || registry.write("s", "batch", &request).await.status == 200)
        .await;
    let again = registry.batch("s", stamp(1, 1), vec![ready("b"), ready("c")], &[]).await;
    assert_eq!(again.held.count, 2);
    assert_eq!(registry.get("/health").await.body["registered_agents"], 3);
}
