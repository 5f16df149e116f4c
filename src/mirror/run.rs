//! The loop of one holder: beat, renew, say what is new, and settle doubts with a snapshot.

use std::collections::HashSet;
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

use super::outbox::SnapshotPage;
use super::{Mirror, Source, Surroundings};
use crate::domain::EndpointId;
use crate::domain::record::{
    BatchRequest, BatchResponse, Holdings, ItemOutcome, MAX_ITEMS, RenewalRequest, SnapshotRequest, Stamp,
};
use crate::registry_client::{Client, ClientError, OrchestratorIdentity};

/// At most so many endpoints a second turn to or from `RegistryUnavailable`: a registry that comes
/// and goes must not storm the API server.
const ANNOUNCEMENTS_PER_SECOND: usize = 50;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// One holder's loop.
pub(super) struct Run {
    mirror: Mirror,
    client: Client,
    source: Source,
    identity: OrchestratorIdentity,
    surroundings: Surroundings,
    seq: i64,
    failures: u32,
    renewed_at: Instant,
    /// Part of the interval after which the next renewal is due.
    jitter: f64,
    snapshot_not_before: Instant,
    /// Snapshots in a row after which the two sides still disagreed.
    unsettled: u32,
    beat_at: Instant,
    /// The orchestrator itself is registered.
    announced: bool,
    /// We do not know what the registry holds: a snapshot is due.
    in_doubt: bool,
}

impl Run {
    pub fn new(
        mirror: Mirror,
        client: Client,
        source: Source,
        identity: OrchestratorIdentity,
        surroundings: Surroundings,
    ) -> Self {
        let now = Instant::now();
        Run {
            mirror,
            client,
            source,
            identity,
            surroundings,
            seq: 0,
            failures: 0,
            renewed_at: now,
            jitter: 0.0,
            snapshot_not_before: now,
            unsettled: 0,
            beat_at: now,
            announced: false,
            in_doubt: true,
        }
    }

    fn stamp(&mut self) -> Stamp {
        self.seq += 1;
        Stamp { epoch: self.source.epoch, seq: self.seq }
    }

    /// Does what is due; answers how long to wait before the next try.
    pub async fn cycle(&mut self) -> Duration {
        let written = self.write().await;
        let waited = self.mirror.outbox().take_waited();
        waited.iter().for_each(|waited| self.mirror.meters().lag.observe(waited.as_secs_f64()));
        match written {
            Ok(contacted) => {
                if contacted {
                    if self.failures > 0 {
                        tracing::info!(registry.url = %self.client.url(), "the registry answers again");
                    }
                    self.failures = 0;
                    self.mirror.outbox().contacted();
                }
                Duration::ZERO
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::warn!(registry.url = %self.client.url(), error = %error,
                        "the registry cannot be written to; agents keep their status, trying again in the background");
                }
                self.in_doubt = true;
                self.failures = self.failures.saturating_add(1);
                self.mirror.outbox().failed(error.to_string());
                let longest = LONGEST_PAUSE.min(Duration::from_millis(250) * 2_u32.pow(self.failures.min(6)));
                longest.mul_f64(rand::rng().random_range(0.5..1.0))
            }
        }
    }

    async fn write(&mut self) -> Result<bool, ClientError> {
        let now = Instant::now();
        let mut contacted = false;
        if now >= self.beat_at {
            self.beat().await?;
            contacted = true;
        }
        // Renewals go first, so that nothing else can starve the leases, and they go on while the
        // Lease is uncertain: they say nothing new, and an older epoch is refused anyway.
        let third = self.mirror.outbox().smallest_ttl() / 3;
        if now >= self.renewed_at + third.mul_f64(self.jitter) {
            let stamp = self.stamp();
            let response = self.client.renew(&self.source.id, &RenewalRequest { stamp }).await;
            let response = self.mirror.meters().called("renewal", response)?;
            contacted = true;
            self.renewed_at = now;
            self.jitter = rand::rng().random_range(0.85..1.0);
            // What another owned may be free by now.
            self.mirror.outbox().retry_refused();
            self.compare(response.held);
        }
        if !(self.surroundings.may_write)() {
            return Ok(contacted);
        }
        contacted |= self.batches().await?;
        let open = self.mirror.outbox().open;
        if self.in_doubt && open && now >= self.snapshot_not_before {
            // One that does not settle the doubt is not sent again at once.
            self.unsettled = self.unsettled.saturating_add(1);
            let pause = Duration::from_secs(1) * 2_u32.pow(self.unsettled.min(6));
            self.snapshot_not_before = now + pause;
            self.snapshot().await?;
            if !self.in_doubt {
                self.unsettled = 0;
                self.snapshot_not_before = now;
            }
            contacted = true;
        }
        Ok(contacted)
    }

    /// Says what is new. At most as many batches as there were things to say: what becomes new
    /// meanwhile wakes the loop again.
    async fn batches(&mut self) -> Result<bool, ClientError> {
        let mut contacted = false;
        let most = self.mirror.outbox().dirty() / MAX_ITEMS + 2;
        for _ in 0..most {
            let (upserts, withdrawals) = self.mirror.outbox().batch(MAX_ITEMS);
            if upserts.is_empty() && withdrawals.is_empty() {
                break;
            }
            let stamp = self.stamp();
            let request = BatchRequest { stamp, upserts, withdrawals };
            let response = self.client.batch(&self.source.id, &request).await;
            let response = response.and_then(|response| self.check_answered(&request, response));
            let response = self.mirror.meters().called("batch", response)?;
            contacted = true;
            self.mirror.meters().answered(&response.results);
            let touched = self.mirror.outbox().acknowledge(&request.upserts, &response.results);
            self.hint(touched);
            self.compare(response.held);
        }
        Ok(contacted)
    }

    /// A registry answers each item with an outcome that fits it.
    fn check_answered(
        &self,
        request: &BatchRequest,
        response: BatchResponse,
    ) -> Result<BatchResponse, ClientError> {
        let upserts = request.upserts.iter().map(|item| (item.contribution.agent_id.as_str(), true));
        let asked = upserts.chain(request.withdrawals.iter().map(|id| (id.as_str(), false)));
        let gone = |outcome| matches!(outcome, ItemOutcome::Withdrawn | ItemOutcome::NotFound);
        let mut answers = response.results.iter();
        let fits = asked.into_iter().all(|(id, upsert)| {
            answers.next().is_some_and(|answer| answer.agent_id == id && gone(answer.outcome) != upsert)
        });
        if fits && answers.next().is_none() {
            return Ok(response);
        }
        let cause = "its answers do not fit what was asked".to_owned();
        Err(ClientError::Garbage { url: self.client.url().to_owned(), cause })
    }

    fn compare(&mut self, held: Holdings) {
        let believed = self.mirror.outbox().held();
        if held != believed && !self.in_doubt {
            tracing::info!(
                registry.count = held.count,
                own.count = believed.count,
                "the registry holds something else than we sent: sending a snapshot"
            );
        }
        self.in_doubt |= held != believed;
    }

    fn hint(&self, touched: Vec<EndpointId>) {
        touched.into_iter().for_each(|id| (self.surroundings.hint)(id));
    }

    async fn snapshot(&mut self) -> Result<(), ClientError> {
        let withheld = self.send_snapshot(false).await?;
        if withheld == 0 {
            return Ok(());
        }
        tracing::warn!(
            withheld,
            "the registry would lose many contributions: listing the objects anew first"
        );
        let listed = (self.surroundings.relist)().await;
        let known = self.mirror.known();
        if listed.is_some_and(|listed| listed == known) {
            self.send_snapshot(true).await?;
        } else {
            tracing::warn!("the second list does not agree with the first: nothing is withdrawn");
        }
        Ok(())
    }

    async fn send_snapshot(&mut self, confirmed: bool) -> Result<u64, ClientError> {
        let snapshot = uuid::Uuid::new_v4().to_string();
        let pages = self.mirror.outbox().snapshot(MAX_ITEMS);
        let last = pages.len() - 1;
        let mut withheld = 0;
        let mut held = None;
        let mut named = HashSet::new();
        for (page, SnapshotPage { items, retained }) in pages.into_iter().enumerate() {
            let stamp = self.stamp();
            named.extend(items.iter().map(|item| item.contribution.agent_id.clone()));
            named.extend(retained.iter().cloned());
            let request = SnapshotRequest {
                stamp,
                snapshot: snapshot.clone(),
                page: u32::try_from(page).unwrap_or(u32::MAX),
                last: page == last,
                confirmed,
                items,
                retained,
            };
            let response = self.client.snapshot(&self.source.id, &request).await;
            let response = self.mirror.meters().called("snapshot", response)?;
            self.mirror.meters().answered(&response.results);
            let mut outbox = self.mirror.outbox();
            let touched = outbox.acknowledge(&request.items, &response.results);
            let rejected = response.results.iter().filter(|r| r.outcome == ItemOutcome::Rejected);
            let mut unsure = request.retained.clone();
            unsure.extend(rejected.map(|r| r.agent_id.clone()));
            outbox.retained(&unsure, &response.retained);
            drop(outbox);
            self.hint(touched);
            withheld = response.withheld;
            held = Some(response.held);
        }
        if withheld == 0 {
            self.mirror.outbox().only(&named);
        }
        // What was withheld stays there for now; it is not a disagreement to be told every time.
        self.in_doubt = withheld == 0 && held.is_some_and(|held| held != self.mirror.outbox().held());
        Ok(withheld)
    }

    async fn beat(&mut self) -> Result<(), ClientError> {
        let beaten = self.say_alive().await;
        self.mirror.meters().called("beat", beaten)
    }

    async fn say_alive(&mut self) -> Result<(), ClientError> {
        let known = self.announced && self.client.beat(&self.identity).await?;
        if !known {
            self.client.announce(&self.identity).await?;
            self.announced = true;
        }
        self.beat_at = Instant::now() + self.identity.ttl() / 3;
        Ok(())
    }

    /// Once a second: some of those whose registry has been away for half of their TTL, or is back.
    pub fn sweep(&mut self) {
        let touched = self.mirror.outbox().announce(Instant::now(), ANNOUNCEMENTS_PER_SECOND);
        self.hint(touched);
    }

    pub async fn leave(&mut self) {
        if !(self.surroundings.may_write)() {
            return;
        }
        // Both are courtesies: leases end by themselves.
        self.write().await.ok();
        self.client.leave(&self.identity).await.ok();
    }
}
