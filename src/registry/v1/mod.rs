//! Our own API under `/v1`: what the mirror writes, and records with all their contributions.

pub(super) mod cleanup;
pub(super) mod reads;
mod request;
pub(super) mod view;
pub(super) mod writes;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;

pub use request::{
    MAX_ADDRESSES, MAX_BODY, MAX_DOCUMENT, MAX_LIST, MAX_NAME, MAX_TEXT, MAX_TTL_SECONDS, MIN_TTL_SECONDS,
};

use super::problem::Problem;

/// Two names out of a path: the scope, and a source or an agent id.
type Names = Result<Path<(String, String)>, PathRejection>;

fn names(path: Names) -> Result<(String, String), Problem> {
    let Path((first, second)) = path.map_err(|_| not_text())?;
    Ok((name(first)?, name(second)?))
}

fn name(text: String) -> Result<String, Problem> {
    match request::check_name("a name in the path", &text) {
        Ok(()) => Ok(text),
        Err(message) => Err(Problem::unprocessable(message)),
    }
}

fn not_text() -> Problem {
    Problem::unprocessable("a name in the path is not UTF-8 text")
}
