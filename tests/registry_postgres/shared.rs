//! Several registries on one database.

use std::sync::Arc;
use std::time::Duration;

use configurable_agents::domain::agent::CleanupResponse;
use configurable_agents::registry::store::Store;
use configurable_agents::registry::{DatabaseUrl, Error, ManualClock};
use serde_json::json;

use crate::registry_support::postgres::{PASSWORD, PASSWORD_IN_URL, Postgres};
use crate::registry_support::{Registry, ready, stamp};

async fn pair() -> (Registry, Registry) {
    let first = Registry::start().await;
    let second = first.beside().await;
    (first, second)
}

#[tokio::test]
async fn what_one_registers_the_other_beats_lists_and_deletes() {
    let (first, second) = pair().await;
    first.register("a").await;
    first.pass(59);
    assert_eq!(second.send("POST", "/agents/a/heartbeat", &[], "").await.status, 200);
    first.pass(59);
    assert!(first.is_alive("a").await && second.is_alive("a").await);
    first.pass(1);
    assert!(!first.is_alive("a").await && !second.is_alive("a").await);
    let said = second.batch("s", stamp(1, 1), vec![ready("b")], &[]).await.held;
    assert_eq!(first.renew("s", stamp(1, 2)).await.held, said);
    second.write("s", "renewal", &json!({ "epoch": 1, "seq": 1 })).await.problem(409);
    assert_eq!(second.delete("/agents/a").await.status, 200);
    assert_eq!(first.get("/agents/a").await.status, 404);
}

#[tokio::test]
async fn what_has_expired_goes_once() {
    let (first, second) = pair().await;
    for n in 0..300 {
        first.register(&format!("agent-{n}")).await;
    }
    first.pass(61);
    let all = json!({"olderThanSeconds": 0, "dryRun": false});
    let path = "/v1/scopes/default/cleanup";
    let (one, other) = tokio::join!(first.post(path, &all), second.post(path, &all));
    let (one, other): (CleanupResponse, CleanupResponse) = (one.read(), other.read());
    assert_eq!(one.agents.len() + other.agents.len(), 300, "nobody is told of the other's");
}

#[tokio::test]
async fn a_second_registry_prolongs_nothing_when_it_starts_and_the_last_to_stop_leaves_fresh_leases() {
    let first = Registry::start().await;
    first.register("a").await;
    first.pass(20);
    let second = first.beside().await;
    first.pass(39);
    assert!(second.is_alive("a").await);
    first.pass(1);
    assert!(!second.is_alive("a").await, "its lease is not begun anew: a registry ran all the time");
    first.register("b").await;
    second.begin_stop();
    second.stopped().await;
    let only = first.restart_after(Duration::from_hours(1)).await;
    assert!(only.is_alive("b").await, "nobody could beat for an hour");
    assert!(!only.is_alive("a").await);
}

/// With two writers at a time one of two increments would be lost.
#[tokio::test]
async fn writes_of_two_registries_to_one_source_lose_nothing() {
    let (first, second) = pair().await;
    let write = async |registry: &Registry, half: u32| {
        for n in 0..50 {
            // The same stamp is a retry, so both halves may come in any order.
            let item = ready(&format!("agent-{half}-{n}"));
            registry.batch("s", stamp(1, 1), vec![item], &[]).await;
        }
    };
    tokio::join!(write(&first, 1), write(&second, 2));
    let held = first.renew("s", stamp(1, 1)).await.held;
    assert_eq!(held.count, 100);
    let all: Vec<_> =
        (1..=2).flat_map(|half| (0..50).map(move |n| ready(&format!("agent-{half}-{n}")))).collect();
    assert_eq!(held, crate::sum(&all));
}

#[tokio::test]
async fn registries_that_start_together_migrate_once() {
    let url: DatabaseUrl = Postgres::shared().database().await.parse().unwrap();
    let stores = futures::future::join_all((0..6).map(|_| Store::open(&url))).await;
    for store in stores {
        store.unwrap().close().await;
    }
}

#[tokio::test]
async fn at_most_four_connections_are_used_under_load() {
    let registry = Registry::start().await;
    registry.register("a").await;
    let calls = (0..200).map(async |n| match n % 3 {
        0 => registry.get("/agents?include_dead=true").await.status,
        1 => registry.get("/agents/a").await.status,
        _ => registry.send("POST", "/agents/a/heartbeat", &[], "").await.status,
    });
    for status in futures::future::join_all(calls).await {
        assert_eq!(status, 200);
    }
    let name = registry.database.to_string();
    let name = name.rsplit('/').next().unwrap();
    let mut connection = Postgres::shared().connect(name).await;
    let open: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'configurable-agents%'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!((2..=4).contains(&open), "{open}");
}

/// The server's clock is a real one: nothing that is told lies in the test's 2026.
#[tokio::test]
async fn leases_are_measured_with_the_servers_clock() {
    let url: DatabaseUrl = Postgres::shared().database().await.parse().unwrap();
    let store = Store::open(&url).await.unwrap();
    let mut connection = Postgres::shared().connect("postgres").await;
    let server: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let difference = store.now_ms() - server;
    assert!(difference.abs() < 1_000, "{difference}");
    store.close().await;
}

#[tokio::test]
async fn a_newer_schema_and_an_unusable_server_are_refused_in_a_sentence_without_the_password() {
    let text = Postgres::shared().database().await;
    let url: DatabaseUrl = text.parse().unwrap();
    Store::open(&url).await.unwrap().close().await;
    let name = text.rsplit('/').next().unwrap();
    Postgres::shared()
        .execute(
            name,
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', true, ''::bytea, 0)",
        )
        .await;
    let newer = Store::open(&url).await.unwrap_err();
    assert!(matches!(newer, Error::NewerSchema { version: 9999, .. }), "{newer:?}");
    let wrong = text.replace(PASSWORD_IN_URL, "guessed");
    let nowhere = format!("postgres://registry:{PASSWORD_IN_URL}@127.0.0.1:1/registry");
    let missing = Postgres::shared().url("missing");
    for (url, cause) in [
        (wrong.as_str(), "password authentication failed"),
        (nowhere.as_str(), "refused"),
        (missing.as_str(), "does not exist"),
    ] {
        let url: DatabaseUrl = url.parse().unwrap();
        let error = Store::open_with_clock(&url, Arc::new(ManualClock::at_ms(0))).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        assert!(error.cause().contains(cause), "{}", error.cause());
        let all = format!("{error} {error:?} {} {url} {url:?}", error.cause());
        for secret in [PASSWORD, PASSWORD_IN_URL, "guessed"] {
            assert!(!all.contains(secret), "{all}");
        }
    }
}
