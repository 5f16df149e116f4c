//! Style sheet, script and icon: files of our own in the program, named by their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use super::fault::Fault;

/// One file.
pub struct Asset {
    /// With its hash: `1f2e3d4c.css`.
    pub name: String,
    kind: &'static str,
    body: &'static str,
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn asset(body: &'static str, extension: &str, kind: &'static str) -> Asset {
    let hash = Sha256::digest(body.as_bytes());
    let hex = hex(&hash[..6]);
    Asset { name: format!("{hex}.{extension}"), kind, body }
}

/// The style sheet.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset(include_str!("assets/style.css"), "css", "text/css; charset=utf-8"));
/// The script.
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| asset(include_str!("assets/live.js"), "js", "text/javascript; charset=utf-8"));
/// The icon of the tab.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset(include_str!("assets/icon.svg"), "svg", "image/svg+xml"));

/// Release and assets: a browser that holds a page of another build is offered a reload.
pub static BUILD: LazyLock<String> = LazyLock::new(|| {
    let part = |asset: &Asset| asset.name[..4].to_owned();
    format!("{}+{}{}", env!("CARGO_PKG_VERSION"), part(&STYLE), part(&SCRIPT))
});

/// Serves one of the three by its exact name: no path is ever looked up.
pub async fn serve(Path(name): Path<String>) -> Result<Response, Fault> {
    let found = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name);
    let Some(asset) = found else {
        return Err(Fault::new(StatusCode::NOT_FOUND, "There is no such file", name, "Load the page again."));
    };
    let headers =
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.body).into_response())
}
