//! A sample agent: what an agent owes a prober, and nothing else.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{CliError, bind_error};
use crate::ops::shutdown;

/// Where the agent listens.
#[derive(Debug, clap::Args)]
pub struct SampleAgentArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on.
    #[arg(long, default_value_t = 8001)]
    port: u16,
}

pub async fn run(args: SampleAgentArgs) -> Result<(), CliError> {
    let address = SocketAddr::new(args.host, args.port);
    let stop = shutdown::on_signals().map_err(|e| {
        CliError::new(super::Code::Internal, "cannot listen for signals").cause(e.to_string())
    })?;
    let listener = TcpListener::bind(address).await.map_err(|e| bind_error(address, "--port", &e))?;
    super::output::print(&format!("sample agent on http://{address}/health\n"))?;
    serve(listener, stop).await;
    Ok(())
}

/// Answers until `stop`.
pub async fn serve(listener: TcpListener, stop: CancellationToken) {
    let healthy = get(async || Json(json!({"status": "healthy"})));
    serve_router(listener, Router::new().route("/health", healthy), stop).await;
}

/// Serves `router` until `stop`.
pub async fn serve_router(listener: TcpListener, router: Router, stop: CancellationToken) {
    let stopping = stop.clone();
    let served =
        axum::serve(listener, router).with_graceful_shutdown(async move { stopping.cancelled().await });
    tokio::select! {
        result = served.into_future() => if let Err(error) = result {
            tracing::error!(error = %error, "the sample agent ended");
        },
        // A connection that stays open does not hold the stop up.
        () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_secs(1)).await } => {}
    }
}
