//! Looking into a registry's database without its server, which may run meanwhile.

use std::time::Duration;

use super::Error;
use super::store::{DatabaseUrl, Store, StoreError};
use super::v1::view::view;
use crate::domain::agent::{CleanupResponse, RecordView};

fn failed(attempted: &'static str) -> impl Fn(StoreError) -> Error {
    move |source| Error::Store { attempted, source }
}

/// At most `most` records of a scope in order of id; the flag tells that there are more. Expiry is
/// judged as of now while the registry runs, and as of when it last ran while it does not.
pub async fn records(url: &DatabaseUrl, scope: &str, most: usize) -> Result<(Vec<RecordView>, bool), Error> {
    let store = Store::open_existing(url).await?;
    let read = async {
        let at = store.judged_at().await?;
        let mut records = store.page(scope, "", most.saturating_add(1)).await?;
        let more = records.len() > most;
        records.truncate(most);
        Ok((records.into_iter().map(|record| view(record, at)).collect(), more))
    };
    let read = read.await;
    store.close().await;
    read.map_err(failed("read the records"))
}

/// Removes what expired from a scope, or says what would go. See [`Store::cleanup`].
pub async fn cleanup(
    url: &DatabaseUrl,
    scope: &str,
    older: Duration,
    dry_run: bool,
) -> Result<CleanupResponse, Error> {
    let store = Store::open_existing(url).await?;
    let removed = async {
        let at = store.judged_at().await?;
        store.cleanup(scope, at, older, dry_run).await
    };
    let removed = removed.await;
    store.close().await;
    removed.map_err(failed("remove what expired"))
}
