//! Reads request bodies within a bound, before anything is parsed.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};

/// Why there is no body to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Larger than the bound.
    TooLarge,
    /// The connection broke, or the framing is wrong.
    Broken,
}

/// The whole body, at most `limit` bytes of it. A body that announces more is not read at all.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Unreadable> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Unreadable::TooLarge);
    }
    match to_bytes(body, limit).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => {
            let source = std::error::Error::source(&error);
            let too_large = source
                .is_some_and(|cause| cause.downcast_ref::<http_body_util::LengthLimitError>().is_some());
            Err(if too_large { Unreadable::TooLarge } else { Unreadable::Broken })
        }
    }
}

/// True when the body says that it is JSON. A browser cannot send that to another origin without
/// asking first, so a page cannot write to a registry on the reader's own machine.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|kind| kind.trim().to_ascii_lowercase())
        .is_some_and(|kind| {
            kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
        })
}
