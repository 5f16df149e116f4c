//! What anybody reads: records with all their contributions.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::view::view;
use super::{Names, name, names, not_text};
use crate::domain::agent::{RecordPage, RecordView};
use crate::registry::problem::Problem;
use crate::registry::store::Store;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 500;

#[derive(Deserialize)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<String>,
}

/// In order of id. A record that is there from the first page to the last is on exactly one page,
/// whatever comes and goes meanwhile.
pub(crate) async fn list(
    State(store): State<Store>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Paging>, QueryRejection>,
) -> Result<Json<RecordPage>, Problem> {
    let scope = name(path.map_err(|_| not_text())?.0)?;
    let Query(paging) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = match paging.limit {
        None => DEFAULT_LIMIT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| Problem::bad_request(format!("limit must be 1 to {MAX_LIMIT}")))?,
    };
    let after = match paging.cursor {
        None => String::new(),
        Some(cursor) => read_cursor(&cursor)
            .ok_or_else(|| Problem::bad_request("cursor must be the nextCursor of an earlier page"))?,
    };
    // One more than asked for tells whether anything follows.
    let mut records = store.page(&scope, &after, limit + 1).await?;
    let more = records.len() > limit;
    records.truncate(limit);
    let next_cursor = match records.last() {
        Some(last) if more => Some(write_cursor(&last.agent_id)),
        _ => None,
    };
    let now = store.now_ms();
    Ok(Json(RecordPage { items: records.into_iter().map(|record| view(record, now)).collect(), next_cursor }))
}

pub(crate) async fn get(State(store): State<Store>, path: Names) -> Result<Json<RecordView>, Problem> {
    let (scope, agent_id) = names(path)?;
    match store.get(&scope, &agent_id).await? {
        Some(record) => Ok(Json(view(record, store.now_ms()))),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no agent \"{agent_id}\" in scope \"{scope}\""),
        )),
    }
}

/// The id of the last record, in hexadecimal digits: nobody should compose one.
fn write_cursor(agent_id: &str) -> String {
    agent_id.bytes().fold(String::new(), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

fn read_cursor(cursor: &str) -> Option<String> {
    if cursor.is_empty() || !cursor.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let bytes = cursor
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let digits = std::str::from_utf8(pair).ok().filter(|d| d.len() == 2)?;
            u8::from_str_radix(digits, 16).ok()
        })
        .collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_a_forged_one_does_not() {
        for id in ["a", "team.agent", "é/ü"] {
            assert_eq!(read_cursor(&write_cursor(id)).as_deref(), Some(id));
        }
        for forged in ["", "6", "zz", "ff", "61 ", "' OR 1=1"] {
            assert_eq!(read_cursor(forged), None, "{forged}");
        }
    }
}
