//! How many contributions are alive and how many have expired, over all scopes.

use super::{Store, StoreError};

/// Contributions of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lives {
    /// Their lease runs.
    pub alive: u32,
    /// It has ended, and they are not reaped yet.
    pub expired: u32,
}

/// Contributions by who made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States {
    /// Agents themselves.
    pub own: Lives,
    /// Orchestrators.
    pub said: Lives,
}

impl Store {
    /// Counts them without reading them.
    pub async fn states(&self) -> Result<States, StoreError> {
        let rows: Vec<(bool, bool, i64)> = sqlx::query_as(
            "SELECT 1, lease_at + ttl_seconds * 1000 > $1 AS alive, COUNT(*) \
             FROM agent_contributions GROUP BY alive \
             UNION ALL SELECT 0, c.lease_at + c.ttl_seconds * 1000 > $1 \
             OR s.renewed_at + c.ttl_seconds * 1000 > $1 AS alive, COUNT(*) \
             FROM orchestrator_contributions c \
             JOIN sources s ON s.scope = c.scope AND s.source = c.source GROUP BY alive",
        )
        .bind(self.now_ms())
        .fetch_all(&self.reading)
        .await?;
        let mut states = States::default();
        for (own, alive, count) in rows {
            let lives = if own { &mut states.own } else { &mut states.said };
            let place = if alive { &mut lives.alive } else { &mut lives.expired };
            *place = u32::try_from(count).unwrap_or(u32::MAX);
        }
        Ok(states)
    }
}
