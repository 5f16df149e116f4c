//! What the files on disk promise.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::connection::Connection;
use super::*;

async fn store(folder: &tempfile::TempDir) -> Store {
    Store::open(&DatabaseUrl::from_path(folder.path().join("r.db"))).await.unwrap()
}

/// A value of the connection that writes.
async fn writing(store: &Store, pragma: &'static str) -> String {
    let read = store.writer.run(move |connection, _| {
        Box::pin(async move {
            let Connection::Sqlite(c) = connection else { unreachable!("a file") };
            // Some are text and some are numbers.
            let statement = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
            sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(c).await
        })
    });
    read.await.unwrap()
}

/// With `synchronous=NORMAL` a power cut loses what was acknowledged.
#[tokio::test]
async fn acknowledged_means_on_disk_and_readers_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
        assert_eq!(writing(&store, pragma).await, expected, "{pragma}");
    }
    let reader = store.readers.acquire().await.unwrap();
    let deleted = reader.read(|connection| {
        Box::pin(async move {
            on!(connection, c => sqlx::query("DELETE FROM sources").execute(c).await.map(drop))
        })
    });
    let refused = deleted.await.unwrap_err().to_string();
    assert!(refused.contains("readonly"), "{refused}");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reads_and_mends_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let agent = |id: &str, metadata: usize| Registration {
        agent_id: id.to_owned(),
        agent_name: String::new(),
        host: String::new(),
        port: 1,
        ttl_seconds: 60,
        metadata: Some("x".repeat(metadata)),
    };
    store.register("default", agent("a", 10)).await.unwrap();
    // The limit holds for this connection, as a full disk does until somebody cleans up.
    let limit = store.writer.run(|connection, _| {
        Box::pin(async move {
            let Connection::Sqlite(c) = connection else { unreachable!("a file") };
            let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *c).await?;
            let statement = format!("PRAGMA max_page_count = {pages}");
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(c).await.map(drop)
        })
    });
    limit.await.unwrap();
    let full = store.register("default", agent("b", 1_000_000)).await;
    assert!(matches!(full, Err(StoreError::NotStored)), "{full:?}");
    assert!(store.get("default", "a").await.unwrap().is_some());
    assert!(store.get("default", "b").await.unwrap().is_none());
    // The failed connection was given up, and with it the limit.
    store.register("default", agent("b", 1_000_000)).await.unwrap();
    store.close().await;
    let closed = store.beat("default", "a").await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
}

#[tokio::test]
async fn writes_that_come_together_are_all_stored_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let writes = (0..600).map(|i| {
        let registration = Registration {
            agent_id: format!("a{i}"),
            agent_name: String::new(),
            host: String::new(),
            port: 1,
            ttl_seconds: 60,
            metadata: None,
        };
        store.register("default", registration)
    });
    for stored in futures::future::join_all(writes).await {
        stored.unwrap();
    }
    assert_eq!(store.counts("default").await.unwrap().registered, 600);
}
