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
        let (own, own_alive, said, said_alive): (i64, i64, i64, i64) =
            sqlx::query_as(STATES).bind(self.now_ms()).fetch_one(&self.reading).await?;
        Ok(States { own: Lives::of(own, own_alive), said: Lives::of(said, said_alive) })
    }
}

impl Lives {
    fn of(all: i64, alive: i64) -> Lives {
        let count = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        Lives { alive: count(alive), expired: count(all - alive) }
    }
}

const STATES: &str = "SELECT own.total, own.alive, said.total, said.alive FROM \
     (SELECT COUNT(*) AS total, COALESCE(SUM(CASE WHEN lease_at + ttl_seconds * 1000 > $1 \
     THEN 1 ELSE 0 END), 0) AS alive FROM agent_contributions) own, \
     (SELECT COUNT(*) AS total, COALESCE(SUM(CASE WHEN c.lease_at + c.ttl_seconds * 1000 > $1 \
     OR s.renewed_at + c.ttl_seconds * 1000 > $1 THEN 1 ELSE 0 END), 0) AS alive \
     FROM orchestrator_contributions c \
     JOIN sources s ON s.scope = c.scope AND s.source = c.source) said";
