//! An agent speaks for itself: it registers, beats, and leaves, on the routes that the original
//! project's agents use.

use std::time::Duration;

use rand::RngExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Client, ClientError};

/// The longest pause between two tries to register.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The last word at the end may take this long.
const FAREWELL: Duration = Duration::from_secs(3);

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentRegistration {
    /// Its id in the registry, 1–253 characters.
    pub agent_id: String,
    /// A name for people.
    pub agent_name: String,
    /// Where it answers.
    pub host: String,
    /// Where it answers, 1–65535.
    pub port: u16,
    /// How long it lives without a heartbeat, 1–3600 s.
    pub ttl_seconds: u32,
    /// A JSON document, as text.
    pub metadata: String,
}

impl AgentRegistration {
    /// From one heartbeat to the next: a third of the TTL, so that two may be lost. 20 s of 60.
    fn beat_every(&self) -> Duration {
        Duration::from_secs(u64::from(self.ttl_seconds)) / 3
    }
}

impl Client {
    /// Registers an agent, or does it again.
    pub async fn register_agent(&self, agent: &AgentRegistration) -> Result<(), ClientError> {
        let request = self.server.http.post(self.server.url(&["agents", "register"])).json(agent);
        self.send::<serde_json::Value>(request).await.map(drop)
    }

    /// One heartbeat; false when the registry does not know the agent.
    pub async fn beat_agent(&self, agent_id: &str) -> Result<bool, ClientError> {
        let url = self.server.url(&["agents", agent_id, "heartbeat"]);
        found(self.send::<serde_json::Value>(self.server.http.post(url)).await)
    }

    /// Takes the agent's own word back; false when there was none.
    pub async fn deregister_agent(&self, agent_id: &str) -> Result<bool, ClientError> {
        let url = self.server.url(&["agents", agent_id]);
        found(self.send::<serde_json::Value>(self.server.http.delete(url)).await)
    }

    /// Keeps an agent registered until `stop`: tries on while the registry is away, beats with
    /// jitter, registers again when the registry has forgotten it, and leaves at the end.
    pub async fn keep_agent(&self, agent: &AgentRegistration, stop: CancellationToken) {
        let mut registered = false;
        let mut failures = 0_u32;
        loop {
            let said = async {
                // A beat that finds nothing: the registry lost its memory, or reaped us.
                if registered && self.beat_agent(&agent.agent_id).await? {
                    return Ok(());
                }
                self.register_agent(agent).await
            };
            let pause = tokio::select! {
                () = stop.cancelled() => break,
                said = said => match said {
                    Ok(()) => {
                        (registered, failures) = (true, 0);
                        agent.beat_every()
                    }
                    Err(error) => {
                        if failures == 0 {
                            tracing::warn!(agent = %agent.agent_id, error = %error, "cannot reach the registry; trying again");
                        }
                        failures = failures.saturating_add(1);
                        LONGEST_PAUSE.min(Duration::from_millis(500) * 2_u32.pow(failures.min(6)))
                    }
                },
            };
            let pause = pause.mul_f64(rand::rng().random_range(0.8..1.0));
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        if registered {
            tokio::time::timeout(FAREWELL, self.deregister_agent(&agent.agent_id)).await.ok();
        }
    }
}

fn found(answer: Result<serde_json::Value, ClientError>) -> Result<bool, ClientError> {
    match answer {
        Ok(_) => Ok(true),
        Err(ClientError::Refused { status: 404, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
