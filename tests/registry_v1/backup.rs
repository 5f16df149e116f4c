//! A backup of a running registry, restored later: nobody rises from the dead, and nobody dies of it.

use configurable_agents::registry::DatabaseUrl;
use configurable_agents::registry::store::Store;
use sqlx::Connection as _;

use crate::registry_support::{ON_POSTGRES, Registry, postgres::Postgres};

/// Copies the database while the registry runs; the copy, as a restore leaves it.
async fn backup(url: &DatabaseUrl, folder: &std::path::Path) -> DatabaseUrl {
    if ON_POSTGRES {
        let server = Postgres::shared();
        let restored = server.database().await;
        let name = |url: &str| url.rsplit('/').next().unwrap().to_owned();
        server.dump_and_restore(&name(&url.to_string()), &name(&restored));
        return restored.parse().unwrap();
    }
    let copy = folder.join("backup.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(url.path().unwrap());
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let statement = format!("VACUUM INTO '{}'", copy.display());
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    DatabaseUrl::from_path(copy)
}

#[tokio::test]
async fn a_restored_backup_gives_one_fresh_ttl_to_what_was_alive_and_to_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start().await;
    registry.register("expired").await;
    registry.pass(61);
    registry.register("alive").await;
    // As the registry itself notes every 10 s.
    let store = Store::open_with_clock(&registry.database, registry.clock.clone()).await.unwrap();
    store.note_running().await.unwrap();
    store.close().await;
    let copy = backup(&registry.database, folder.path()).await;
    registry.register("later").await;

    registry.pass(24 * 3600);
    let restored = registry.elsewhere(&copy).await;
    assert!(restored.is_alive("alive").await, "it could not beat at a registry that was away");
    assert!(!restored.is_alive("expired").await);
    assert_eq!(restored.get("/agents/later").await.status, 404, "it registers again when it is told 404");
    restored.pass(60);
    assert!(!restored.is_alive("alive").await, "one TTL, not more");
}
