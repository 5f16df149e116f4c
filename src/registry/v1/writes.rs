//! What a source writes: batch, renewal, snapshot.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use super::request::{self, Batch, Snapshot};
use super::{Names, names};
use crate::domain::record::{BatchResponse, RenewalRequest, RenewalResponse, SnapshotResponse, Stamp};
use crate::registry::problem::Problem;
use crate::registry::store::{SnapshotPage, Store};

pub(crate) async fn batch(
    State(store): State<Store>,
    path: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BatchResponse>, Problem> {
    let (scope, source) = names(path)?;
    let batch: Batch = request::read(&headers, body).await?;
    request::check_count(batch.upserts.len() + batch.withdrawals.len())?;
    let stamp = stamp(batch.epoch, batch.seq)?;
    let upserts = request::submitted(batch.upserts);
    let response = store.apply_batch(&scope, &source, stamp, upserts, batch.withdrawals).await??;
    Ok(Json(response))
}

pub(crate) async fn renewal(
    State(store): State<Store>,
    path: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RenewalResponse>, Problem> {
    let (scope, source) = names(path)?;
    let renewal: RenewalRequest = request::read(&headers, body).await?;
    let stamp = stamp(renewal.stamp.epoch, renewal.stamp.seq)?;
    let held = store.renew(&scope, &source, stamp).await??;
    Ok(Json(RenewalResponse { held }))
}

pub(crate) async fn snapshot(
    State(store): State<Store>,
    path: Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SnapshotResponse>, Problem> {
    let (scope, source) = names(path)?;
    let page: Snapshot = request::read(&headers, body).await?;
    request::check_count(page.items.len() + page.retained.len())?;
    request::check_name("snapshot", &page.id).map_err(Problem::unprocessable)?;
    let stamp = stamp(page.epoch, page.seq)?;
    let page = SnapshotPage {
        snapshot: page.id,
        page: page.page,
        last: page.last,
        confirmed: page.confirmed,
        items: request::submitted(page.items),
        retained: page.retained,
    };
    let response = store.apply_snapshot(&scope, &source, stamp, page).await??;
    Ok(Json(response))
}

fn stamp(epoch: i64, seq: i64) -> Result<Stamp, Problem> {
    if epoch < 0 || seq < 0 {
        return Err(Problem::unprocessable("epoch and seq must not be negative"));
    }
    Ok(Stamp { epoch, seq })
}
