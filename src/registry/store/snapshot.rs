//! Paged snapshots: what a complete one lacks is withdrawn, unless that is suspiciously much.

use std::sync::Arc;

use super::connection::{Connection, on};
use super::contributions::{find, write};
use super::draft::{Draft, Submitted};
use super::sources::{Refusal, Snapshot, Source, count, parse_digest};
use super::{Store, StoreError};
use crate::domain::record::{ItemOutcome, SnapshotResponse, Stamp, withdrawal_needs_confirmation};

/// One page, its items checked one by one.
#[derive(Clone, Debug)]
pub struct SnapshotPage {
    /// One random id for all pages.
    pub snapshot: String,
    /// From 0.
    pub page: u32,
    /// Nothing follows.
    pub last: bool,
    /// Withdraw, however many they are.
    pub confirmed: bool,
    /// Contributions.
    pub items: Vec<Submitted>,
    /// Ids to hold as they are.
    pub retained: Vec<String>,
}

impl Store {
    /// Applies one page in one transaction with its stamp.
    pub async fn apply_snapshot(
        &self,
        scope: &str,
        source: &str,
        stamp: Stamp,
        page: SnapshotPage,
    ) -> Result<Result<SnapshotResponse, Refusal>, StoreError> {
        let key = (scope.to_owned(), source.to_owned());
        let page = Arc::new(page);
        self.writer
            .run(move |connection, now| {
                let ((scope, source), page) = (key.clone(), Arc::clone(&page));
                Box::pin(async move {
                    let known = Source::load(connection, &scope, &source).await?;
                    let is_retry = known.is_some_and(|known| known.stamp == stamp);
                    let mut source = match Source::enter(connection, &scope, &source, stamp).await? {
                        Ok(source) => source,
                        Err(refusal) => return Ok(Err(refusal)),
                    };
                    if let Err(refusal) = turn_to(&mut source, &page, is_retry) {
                        return Ok(Err(refusal));
                    }
                    apply(connection, source, &page, now).await.map(Ok)
                })
            })
            .await
    }
}

/// Checks that the page follows, and begins a new snapshot with page 0: an older one that is not
/// complete is abandoned with its marks.
fn turn_to(source: &mut Source, page: &SnapshotPage, is_retry: bool) -> Result<(), Refusal> {
    let given = i64::from(page.page);
    if given == 0 {
        source.snapshot = Snapshot {
            id: Some(page.snapshot.clone()),
            mark: source.snapshot.mark + 1,
            next_page: 0,
            complete: false,
            held: count(source.holdings.count),
        };
        return Ok(());
    }
    let running = &source.snapshot;
    let follows = !running.complete && given == running.next_page;
    let again = is_retry && given + 1 == running.next_page;
    if running.id.as_ref() == Some(&page.snapshot) && (follows || again) {
        return Ok(());
    }
    Err(Refusal::SnapshotGap {
        snapshot: page.snapshot.clone(),
        given: page.page,
        expected: match &running.id {
            Some(id) if !running.complete => {
                format!("page {} of snapshot \"{id}\" or a new page 0", running.next_page)
            }
            _ => "no snapshot is running, it begins with page 0".to_owned(),
        },
    })
}

async fn apply(
    connection: &mut Connection,
    source: Source,
    page: &SnapshotPage,
    now: i64,
) -> Result<SnapshotResponse, sqlx::Error> {
    // The contributions refer to the row.
    source.save(connection).await?;
    let ids = page.items.iter().map(Submitted::agent_id).chain(page.retained.iter().map(String::as_str));
    let held = find(connection, &source.scope, ids).await?;
    let mut draft = Draft::new(source, held, now);
    let results: Vec<_> = page.items.iter().map(|submitted| draft.upsert(submitted)).collect();
    // A rejected item leaves what is held as it is, and its source has to know that it is.
    let rejected = results.iter().filter(|r| r.outcome == ItemOutcome::Rejected).map(|r| &r.agent_id);
    let retained = page.retained.iter().chain(rejected).filter_map(|id| draft.retain(id)).collect();
    let mut source = write(connection, draft, now).await?;
    let (mut withdrawn, mut withheld) = (0, 0);
    if page.last {
        let missing = count_missing(connection, &source).await?;
        let held = u64::try_from(source.snapshot.held).unwrap_or(0);
        if withdrawal_needs_confirmation(held, missing) && !page.confirmed {
            withheld = missing;
        } else {
            withdrawn = withdraw_missing(connection, &mut source).await?;
        }
    }
    source.snapshot.complete = page.last;
    source.snapshot.next_page = i64::from(page.page) + 1;
    source.save(connection).await?;
    Ok(SnapshotResponse { results, retained, withdrawn, withheld, held: source.holdings })
}

async fn count_missing(connection: &mut Connection, source: &Source) -> Result<u64, sqlx::Error> {
    let missing: i64 = on!(connection, c => {
        sqlx::query_scalar(
            "SELECT COUNT(*) FROM orchestrator_contributions \
             WHERE scope = $1 AND source = $2 AND snapshot_mark <> $3",
        )
        .bind(&source.scope)
        .bind(&source.id)
        .bind(source.snapshot.mark)
        .fetch_one(c)
        .await?
    });
    Ok(u64::try_from(missing).unwrap_or(0))
}

async fn withdraw_missing(connection: &mut Connection, source: &mut Source) -> Result<u64, sqlx::Error> {
    let digests: Vec<String> = on!(connection, c => {
        sqlx::query_scalar(
            "DELETE FROM orchestrator_contributions \
             WHERE scope = $1 AND source = $2 AND snapshot_mark <> $3 RETURNING digest",
        )
        .bind(&source.scope)
        .bind(&source.id)
        .bind(source.snapshot.mark)
        .fetch_all(c)
        .await?
    });
    for digest in &digests {
        source.take_out(parse_digest(digest)?);
    }
    Ok(digests.len() as u64)
}
