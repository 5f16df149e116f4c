//! Canaries, and what is told of the self-outage guard ([`crate::domain::guard`]).

use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tokio_util::sync::CancellationToken;

use super::Engine;
use super::table::Look;
use crate::domain::guard::{HOLD, Order, Phase};

/// The guard looks this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Canaries are asked this often, and only while something is held.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// What has not answered by then has failed.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

/// Something that must answer while our own network works.
pub struct Canary {
    /// What it is, for people.
    pub name: String,
    /// Asks it; the error says what is wrong.
    pub ask: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl Canary {
    /// A canary.
    pub fn new<F>(name: impl Into<String>, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Canary { name: name.into(), ask: Box::new(move || Box::pin(ask())) }
    }
}

/// A mass failure under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MassFailure {
    /// How long ago it was noticed.
    pub ago: Duration,
    /// Targets that were healthy before.
    pub healthy: usize,
    /// Those of them that fail.
    pub failing: usize,
    /// In how long what fails is said to be unknown; `None` when it is already.
    pub unknown_in: Option<Duration>,
    /// The canaries, in their order, with what is wrong with each; empty before they were asked.
    pub canaries: Vec<(String, Result<(), String>)>,
}

impl Engine {
    /// The mass failure under way, if there is one: then nothing new is said of targets that fail.
    pub fn mass_failure(&self) -> Option<MassFailure> {
        let table = self.table();
        let standing = table.standing()?;
        let (since, held) = match standing.phase {
            Phase::Watching => return None,
            Phase::Holding { since, .. } => (since, true),
            Phase::Suspect { since, .. } => (since, false),
        };
        let ago = table.age().saturating_sub(since);
        Some(MassFailure {
            ago,
            healthy: standing.tally.healthy,
            failing: standing.tally.failing,
            unknown_in: held.then(|| HOLD.saturating_sub(ago)),
            canaries: standing.answers,
        })
    }

    /// Looks every second, asks the canaries while something is held.
    pub(super) async fn watch_over(&self, shutdown: CancellationToken) {
        let mut asked: Option<tokio::time::Instant> = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let look = self.table().look();
            self.act(look);
            let active = self.table().standing().is_some();
            if !active {
                asked = None;
            } else if asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
                asked = Some(tokio::time::Instant::now());
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    answers = ask_all(&self.shared.canaries) => self.table().heard(answers),
                }
            }
        }
    }

    /// Tells what a look did.
    pub(super) fn act(&self, look: Look) {
        for id in look.changed {
            self.shared.changes.push(id);
        }
        let standing = self.table().standing();
        let (failing, healthy) = standing.map_or((0, 0), |s| (s.tally.failing, s.tally.healthy));
        match look.order {
            Order::Nothing => {}
            Order::Hold => tracing::warn!(
                failing,
                healthy,
                "most healthy targets began to fail within one period: the fault may be on this side; statuses are held"
            ),
            Order::Suspect => tracing::warn!(
                failing,
                healthy,
                "most targets still fail and no canary speaks for our own network: they are unknown from now on"
            ),
            Order::Publish => {
                tracing::warn!("all canaries pass: the failures are the targets' own, and are published");
            }
            Order::Void => {
                tracing::info!("the targets answer again: what failed was on this side, and is forgotten");
            }
        }
    }
}

async fn ask_all(canaries: &[Canary]) -> Vec<(String, Result<(), String>)> {
    join_all(canaries.iter().map(|canary| async {
        let answer = tokio::time::timeout(ASK_TIMEOUT, (canary.ask)()).await;
        let late = || Err(format!("no answer within {} s", ASK_TIMEOUT.as_secs()));
        (canary.name.clone(), answer.unwrap_or_else(|_| late()))
    }))
    .await
}
