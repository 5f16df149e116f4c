//! The agents of the demo: each is what its name says, on a port of its own that the system chose.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::sample_agent;

/// How an agent behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It answers.
    Ready,
    /// It answers after this long.
    Slow(Duration),
    /// It answers for this long, then it does not for as long, and so on.
    Flapping(Duration),
    /// It answers 503.
    Failing,
}

/// An agent that listens.
pub struct Agent {
    /// Where.
    pub address: SocketAddr,
    /// It runs until it is stopped.
    pub task: tokio::task::JoinHandle<()>,
}

/// Starts an agent on a free port of this machine.
pub async fn start(behaviour: Behaviour, stop: CancellationToken) -> std::io::Result<Agent> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/health", get(health)).with_state((behaviour, Instant::now()));
    let task = tokio::spawn(sample_agent::serve_router(listener, router, stop));
    Ok(Agent { address, task })
}

async fn health(State((behaviour, started)): State<(Behaviour, Instant)>) -> Response {
    let works = match behaviour {
        Behaviour::Ready => true,
        Behaviour::Slow(pause) => {
            tokio::time::sleep(pause).await;
            true
        }
        Behaviour::Flapping(every) => {
            (started.elapsed().as_secs() / every.as_secs().max(1)).is_multiple_of(2)
        }
        Behaviour::Failing => false,
    };
    if works {
        Json(json!({"status": "healthy"})).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "unhealthy"}))).into_response()
    }
}
