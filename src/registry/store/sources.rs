//! Sources: the stamp that orders an orchestrator's writes, the sum of what is held of it, and the
//! snapshot it is in.

use sqlx::FromRow;

use super::connection::{Connection, on};
use super::{Store, StoreError};
use crate::domain::record::{Digest, Holdings, Stamp};

/// Why a source's write was refused as a whole. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A newer holder, or a later call of this one, has written already.
    #[error(
        "the source has already written with epoch {}, seq {}; this call carries epoch {}, seq {}",
        accepted.epoch, accepted.seq, given.epoch, given.seq
    )]
    StaleStamp {
        /// The last accepted stamp.
        accepted: Stamp,
        /// The stamp of the call.
        given: Stamp,
    },
    /// The page does not follow the last accepted one: the snapshot starts again from page 0.
    #[error("page {given} of snapshot \"{snapshot}\" does not follow: {expected}")]
    SnapshotGap {
        /// The snapshot's id.
        snapshot: String,
        /// The page of the call.
        given: u32,
        /// What would have been accepted.
        expected: String,
    },
}

/// A source's row, read and written within one job.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) scope: String,
    pub(super) id: String,
    pub(super) stamp: Stamp,
    pub(super) holdings: Holdings,
    pub(super) renewed_at: i64,
    pub(super) snapshot: Snapshot,
}

/// The latest snapshot of a source. Its mark is on every row that the snapshot named.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) id: Option<String>,
    pub(super) mark: i64,
    pub(super) next_page: i64,
    pub(super) complete: bool,
    /// How many contributions were held when it began.
    pub(super) held: i64,
}

#[derive(FromRow)]
struct Row {
    epoch: i64,
    seq: i64,
    digest: String,
    held: i64,
    renewed_at: i64,
    snapshot: Option<String>,
    snapshot_mark: i64,
    snapshot_next_page: i64,
    snapshot_complete: bool,
    snapshot_held: i64,
}

impl Source {
    /// Reads the row; `None` for a source that has never written.
    pub(super) async fn load(
        connection: &mut Connection,
        scope: &str,
        source: &str,
    ) -> Result<Option<Source>, sqlx::Error> {
        let row: Option<Row> = on!(connection, c => {
            sqlx::query_as(
                "SELECT epoch, seq, digest, held, renewed_at, snapshot, snapshot_mark, \
                 snapshot_next_page, snapshot_complete, snapshot_held \
                 FROM sources WHERE scope = $1 AND source = $2",
            )
            .bind(scope)
            .bind(source)
            .fetch_optional(c)
            .await?
        });
        row.map(|row| {
            Ok(Source {
                scope: scope.to_owned(),
                id: source.to_owned(),
                stamp: Stamp { epoch: row.epoch, seq: row.seq },
                holdings: Holdings {
                    digest: parse_digest(&row.digest)?,
                    count: u64::try_from(row.held).unwrap_or(0),
                },
                renewed_at: row.renewed_at,
                snapshot: Snapshot {
                    id: row.snapshot,
                    mark: row.snapshot_mark,
                    next_page: row.snapshot_next_page,
                    complete: row.snapshot_complete,
                    held: row.snapshot_held,
                },
            })
        })
        .transpose()
    }

    /// Reads the row, or begins a new one, and checks the stamp. Writes nothing.
    pub(super) async fn enter(
        connection: &mut Connection,
        scope: &str,
        source: &str,
        given: Stamp,
    ) -> Result<Result<Source, Refusal>, sqlx::Error> {
        let Some(known) = Source::load(connection, scope, source).await? else {
            return Ok(Ok(Source {
                scope: scope.to_owned(),
                id: source.to_owned(),
                stamp: given,
                holdings: Holdings { digest: Digest::default(), count: 0 },
                renewed_at: 0,
                snapshot: Snapshot::default(),
            }));
        };
        // An equal stamp is the retry of a lost answer: everything a source can ask for may be
        // done twice.
        if given < known.stamp {
            return Ok(Err(Refusal::StaleStamp { accepted: known.stamp, given }));
        }
        Ok(Ok(Source { stamp: given, ..known }))
    }

    /// Writes the row.
    pub(super) async fn save(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        on!(connection, c => sqlx::query(
            "INSERT INTO sources (scope, source, epoch, seq, digest, held, renewed_at, snapshot, \
             snapshot_mark, snapshot_next_page, snapshot_complete, snapshot_held) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (scope, source) DO UPDATE SET epoch = excluded.epoch, \
             seq = excluded.seq, digest = excluded.digest, held = excluded.held, \
             renewed_at = excluded.renewed_at, snapshot = excluded.snapshot, \
             snapshot_mark = excluded.snapshot_mark, \
             snapshot_next_page = excluded.snapshot_next_page, \
             snapshot_complete = excluded.snapshot_complete, \
             snapshot_held = excluded.snapshot_held",
        )
        .bind(&self.scope)
        .bind(&self.id)
        .bind(self.stamp.epoch)
        .bind(self.stamp.seq)
        .bind(self.holdings.digest.to_string())
        .bind(count(self.holdings.count))
        .bind(self.renewed_at)
        .bind(self.snapshot.id.as_deref())
        .bind(self.snapshot.mark)
        .bind(self.snapshot.next_page)
        .bind(self.snapshot.complete)
        .bind(self.snapshot.held)
        .execute(c)
        .await
        .map(drop))
    }

    pub(super) fn add(&mut self, digest: Digest) {
        self.holdings.digest = self.holdings.digest.combine(digest);
        self.holdings.count += 1;
    }

    pub(super) fn take_out(&mut self, digest: Digest) {
        self.holdings.digest = self.holdings.digest.combine(digest);
        self.holdings.count = self.holdings.count.saturating_sub(1);
    }
}

impl Store {
    /// Renews every contribution of a source, expired ones too, and says what is held.
    ///
    /// One row is written however many contributions there are: each lives for its own TTL from
    /// its own lease or from its source's renewal, whichever is later.
    pub async fn renew(
        &self,
        scope: &str,
        source: &str,
        stamp: Stamp,
    ) -> Result<Result<Holdings, Refusal>, StoreError> {
        let key = (scope.to_owned(), source.to_owned());
        self.writer
            .run(move |connection, now| {
                let (scope, source) = key.clone();
                Box::pin(async move {
                    let mut source = match Source::enter(connection, &scope, &source, stamp).await? {
                        Ok(source) => source,
                        Err(refusal) => return Ok(Err(refusal)),
                    };
                    source.renewed_at = now;
                    source.save(connection).await?;
                    Ok(Ok(source.holdings))
                })
            })
            .await
    }
}

pub(super) fn parse_digest(text: &str) -> Result<Digest, sqlx::Error> {
    Digest::parse(text).ok_or_else(|| sqlx::Error::Decode("a stored digest is damaged".into()))
}

/// Counts are of rows, far below `i64::MAX`.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
