//! The agent registry: the original project's unversioned HTTP contract and our `/v1` over one
//! store of records. It looks at no agent itself; it keeps what agents and orchestrators say.
//!
//! ```text
//! ops::sockets → router (layers: panic, timeout, access) → wire | v1 (handlers) → store (SQL)
//! ```

mod access;
mod body;
mod clock;
#[cfg(test)]
mod durability_tests;
mod error;
pub mod inspect;
mod meters;
mod problem;
mod retention;
mod router;
pub mod store;
pub mod v1;
pub mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use access::{Access, TokenFile};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::Error;
pub use store::DatabaseUrl;

use axum::Router;

use crate::ops::health::Health;
use crate::ops::metrics::{Described, Metrics};
use crate::ops::{server, sockets};
use meters::Meters;
use store::Store;

/// The scope that the unversioned routes see and write.
pub const DEFAULT_SCOPE: &str = "default";

/// What [`run`] needs to know.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the records are.
    pub database: DatabaseUrl,
    /// Who may call.
    pub access: Access,
    /// What leases are measured with, if not with the store's own clock.
    pub clock: Option<Arc<dyn Clock>>,
}

impl Settings {
    /// Settings with the store's own clock.
    pub fn new(listen: SocketAddr, database: DatabaseUrl, access: Access) -> Settings {
        Settings { listen, database, access, clock: None }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("database", &self.database)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// For calls that run when the end begins.
const GRACE: Duration = Duration::from_secs(5);

/// Opens the socket that [`run`] serves.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Serves the registry until `shutdown`; then calls that run get 5 s, and the database is closed.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    run_with_ops(settings, listener, None, shutdown).await
}

/// What the registry's `/metrics` shows.
pub fn described() -> Vec<Described> {
    let metrics = Metrics::default();
    Meters::default().show(&metrics);
    metrics.checks(&Health::default());
    metrics.described()
}

/// As [`run`], with health and metrics on a socket of their own.
pub async fn run_with_ops(
    settings: Settings,
    listener: TcpListener,
    ops: Option<TcpListener>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let store = match settings.clock {
        Some(clock) => Store::open_with_clock(&settings.database, clock).await?,
        None => Store::open(&settings.database).await?,
    };
    let started = store.serve().await;
    started.map_err(|source| Error::Store { attempted: "start the leases anew", source })?;
    info!(listen = %settings.listen, database = %settings.database, "the registry serves");
    let meters = Meters::default();
    let shown = meters.shown(store.clone());
    let beside = if ops.is_none() { server::metrics_router(shown.clone()) } else { Router::new() };
    let router = router::router(store.clone(), settings.access, &meters, beside);
    let operations = async {
        if let Some(ops) = ops {
            server::serve(ops, server::operations(shown), None, shutdown.clone()).await;
        }
    };
    tokio::join!(
        sockets::serve(listener, router, &shutdown, GRACE),
        retention::run(&store, &meters, &shutdown),
        operations
    );
    let noted = store.note_running().await;
    store.close().await;
    info!("the registry has stopped");
    noted.map_err(|source| Error::Store { attempted: "note the time of the stop", source })
}
