//! The listening socket: bounded connections, bounded headers, and an end that lets calls finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// Connections at a time; more wait in the system's queue.
const CONNECTIONS: usize = 4096;
/// For the head of a request, and for the silence between two: longer than an agent's 20 s.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// All headers of a request together.
const HEADER_BYTES: usize = 32 * 1024;
/// After a failed accept (out of descriptors): others must get time to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then takes no new calls and gives the running ones `grace`. Routes are told
/// who calls ([`ConnectInfo`]).
pub async fn serve(listener: TcpListener, router: Router, shutdown: &CancellationToken, grace: Duration) {
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // Cancelled when the grace period is over.
    let abort = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            accepted = async {
                // The semaphore is never closed; a permit is all that can come.
                let permit = Arc::clone(&room).acquire_owned().await.ok();
                (permit, listener.accept().await)
            } => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            (permit, Ok((stream, peer))) => {
                let router = router.clone().layer(Extension(ConnectInfo::<SocketAddr>(peer)));
                let connection = run_connection(stream, router, shutdown.clone(), abort.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            (_, Err(cause)) => {
                warn!(cause = %cause, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        warn!(connections = connections.len(), "calls still run after the grace period and are cut");
        abort.cancel();
        connections.wait().await;
    }
}

async fn run_connection(
    stream: TcpStream,
    router: Router,
    shutdown: CancellationToken,
    abort: CancellationToken,
) {
    // Answers are small; without this a beat waits for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let mut ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(cause) = ended {
                    debug!(cause = %cause, "a connection ended early");
                }
                return;
            }
            () = shutdown.cancelled(), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = abort.cancelled() => return,
        }
    }
}
