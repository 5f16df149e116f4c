//! An SQLite file that fails or cannot be opened.

use configurable_agents::registry::store::Store;
use configurable_agents::registry::{DatabaseUrl, Error};
use serde_json::json;

use crate::registry_support::{Registry, ready, stamp};

#[tokio::test]
async fn a_store_that_takes_no_writes_answers_503_and_still_reads() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a")], &[]).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(registry.database.path().unwrap());
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "CREATE TRIGGER refuse BEFORE INSERT ON agent_contributions \
         BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END",
    )
    .execute(&pool)
    .await
    .unwrap();
    let body = json!({ "agent_id": "b", "agent_name": "B", "host": "h", "port": 1 });
    let answer = registry.post("/agents/register", &body).await;
    assert_eq!(answer.problem(503), "the database did not take the write");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(registry.get("/agents/a").await.status, 200);
    assert_eq!(registry.get("/agents/b").await.status, 404);
    sqlx::query("DROP TRIGGER refuse").execute(&pool).await.unwrap();
    assert_eq!(registry.post("/agents/register", &body).await.status, 200);

    sqlx::query("ALTER TABLE registry_state RENAME TO hidden").execute(&pool).await.unwrap();
    registry.get("/readyz").await.problem(503);
    assert_eq!(registry.get("/livez").await.status, 200);
}

async fn refusal(path: &std::path::Path) -> Error {
    Store::open(&DatabaseUrl::from_path(path)).await.unwrap_err()
}

#[tokio::test]
async fn what_is_not_a_database_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.db");
    std::fs::write(&path, "this is a text and not a database, however long it is".repeat(100)).unwrap();
    let error = refusal(&path).await;
    assert!(matches!(error, Error::NotADatabase { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot open the database {}", path.display()));
    assert_eq!(error.cause(), "the file is not an SQLite database");

    assert_eq!(refusal(folder.path()).await.cause(), "it is a directory");
    let missing = refusal(&folder.path().join("no/r.db")).await.cause();
    assert!(missing.starts_with("there is no directory"), "{missing}");
    let error = Store::open_existing(&DatabaseUrl::from_path(folder.path().join("typo.db"))).await;
    assert_eq!(error.unwrap_err().cause(), "there is no such file");
    assert!(!folder.path().join("typo.db").exists());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    Store::open(&DatabaseUrl::from_path(&path)).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let error = refusal(&path).await;
    assert!(matches!(error, Error::NewerSchema { version: 9999, .. }), "{error:?}");
    assert!(error.cause().contains("9999"), "{}", error.cause());
    assert!(error.hint().contains("newer release"));
}
