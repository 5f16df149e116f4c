//! Bounds, access, and a store that fails or cannot be opened.

use std::time::Duration;

use configurable_agents::registry::store::Store;
use configurable_agents::registry::{Access, DatabaseUrl, Error};
use serde_json::json;

use crate::AGENTS;
use crate::registry_support::{Registry, ready, stamp};

#[tokio::test]
async fn calls_beyond_the_bounds_are_problems() {
    let registry = Registry::start().await;
    let too_many = json!({ "epoch": 1, "seq": 1, "withdrawals": vec!["a"; 501] });
    registry.write("s", "batch", &too_many).await.problem(413);
    let too_large = json!({ "epoch": 1, "seq": 1, "withdrawals": ["x".repeat(1024 * 1024)] });
    registry.write("s", "batch", &too_large).await.problem(413);
    registry.write("s", "batch", &json!({ "epoch": 1 })).await.problem(422);
    registry.write("s", "batch", &json!({ "epoch": -1, "seq": 1 })).await.problem(422);
    registry.write("a%0ab", "renewal", &json!({ "epoch": 1, "seq": 1 })).await.problem(422);
    registry.write(&"x".repeat(254), "renewal", &json!({ "epoch": 1, "seq": 1 })).await.problem(422);
    let path = "/v1/scopes/default/sources/s/batch";
    let json_type = ("content-type", "application/json");
    registry.send("POST", path, &[json_type], "{").await.problem(400);
    registry.send("POST", path, &[], "{}").await.problem(415);
    registry.get("/v1/nothing").await.problem(404);
    registry.get(path).await.problem(405);
}

#[tokio::test]
async fn without_a_token_only_monitors_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "# mirror\nfirst-token\n").unwrap();
    let access = Access::for_listen("0.0.0.0:0".parse().unwrap(), Some(tokens.clone()), false);
    let registry = Registry::start_with(access.unwrap()).await;
    for (method, path) in [
        ("GET", "/agents"),
        ("GET", "/agents/a"),
        ("POST", "/agents/register"),
        ("DELETE", "/agents/a"),
        ("POST", "/agents/a/heartbeat"),
        ("GET", "/nothing"),
        ("PUT", "/agents/a"),
        ("GET", AGENTS),
        ("GET", "/health/"),
        ("POST", "/v1/scopes/default/sources/s/batch"),
    ] {
        for headers in [
            vec![],
            vec![("authorization", "Bearer first-toke")],
            vec![("authorization", "Basic first-token")],
            vec![("authorization", "Bearer # mirror")],
            vec![("authorization", "Bearer ")],
        ] {
            let answer = registry.send(method, path, &headers, "").await;
            answer.problem(401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(registry.get(path).await.status, 200, "{path}");
    }
    let first = [("authorization", "Bearer first-token")];
    assert_eq!(registry.send("GET", "/agents", &first, "").await.status, 200);

    std::fs::write(&tokens, "second-token-of-another-length\n").unwrap();
    let second = [("authorization", "bearer second-token-of-another-length")];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while registry.send("GET", "/agents", &first, "").await.status != 401 {
        assert!(tokio::time::Instant::now() < deadline, "the old token is still valid");
        tokio::task::yield_now().await;
    }
    assert_eq!(registry.send("GET", "/agents", &second, "").await.status, 200);
}

#[tokio::test]
async fn a_store_that_takes_no_writes_answers_503_and_still_reads() {
    let registry = Registry::start().await;
    registry.batch("s", stamp(1, 1), vec![ready("a")], &[]).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&registry.database);
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
