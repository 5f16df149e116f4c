//! Who may call: everybody, or whoever shows one of the tokens in a file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::Error;
use super::problem::Problem;

/// How often, at most, the token file is looked at again.
const RECHECK: Duration = Duration::from_secs(1);
/// What a monitor may ask without a token.
const OPEN: [&str; 3] = ["/health", "/livez", "/readyz"];

/// Who may call.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody who reaches the address.
    Anonymous,
    /// Whoever shows a token of the file.
    Tokens(TokenFile),
}

impl Access {
    /// A token file where one is given, everybody on loopback or where that was asked for, and a
    /// refusal otherwise.
    pub fn for_listen(
        address: SocketAddr,
        token_file: Option<PathBuf>,
        insecure_anonymous: bool,
    ) -> Result<Access, Error> {
        match token_file {
            Some(path) => TokenFile::open(path).map(Access::Tokens),
            None if insecure_anonymous || address.ip().to_canonical().is_loopback() => Ok(Access::Anonymous),
            None => Err(Error::OpenToEveryone { address }),
        }
    }
}

/// Tokens, one a line, `#` starts a comment. Read again when the file changes; while it cannot be
/// read, or is empty, nobody has access. Only SHA-256 digests are kept.
#[derive(Clone)]
pub struct TokenFile {
    path: Arc<Path>,
    loaded: Arc<Mutex<Loaded>>,
}

struct Loaded {
    digests: Arc<[[u8; 32]]>,
    version: Option<Version>,
    checked: Instant,
}

/// Tells whether the file is another one than before.
type Version = (Option<SystemTime>, u64);

impl TokenFile {
    /// Reads the file for the first time; it must have a token.
    pub fn open(path: impl Into<PathBuf>) -> Result<TokenFile, Error> {
        let path = path.into();
        let refuse = |path: PathBuf, cause: String| Err(Error::TokenFile { path, cause });
        let (text, version) = match read(&path) {
            Ok(read) => read,
            Err(error) => return refuse(path, error.to_string()),
        };
        let digests = digests(&text);
        if digests.is_empty() {
            return refuse(path, "it has no token".to_owned());
        }
        Ok(TokenFile {
            path: path.into(),
            loaded: Arc::new(Mutex::new(Loaded { digests, version: Some(version), checked: Instant::now() })),
        })
    }

    async fn admits(&self, token: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(token).into();
        // Every digest is looked at, and every byte of it, whatever was found before.
        self.current().await.iter().fold(false, |found, digest| found | equal(digest, &shown))
    }

    async fn current(&self) -> Arc<[[u8; 32]]> {
        let known = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if loaded.checked.elapsed() < RECHECK {
                return Arc::clone(&loaded.digests);
            }
            // Others use what there is while this call looks.
            loaded.checked = Instant::now();
            loaded.version
        };
        let path = Arc::clone(&self.path);
        let fresh = tokio::task::spawn_blocking(move || match version(&path) {
            Ok(version) if Some(version) == known => None,
            Ok(_) => Some(read(&path)),
            Err(error) => Some(Err(error)),
        })
        .await;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        match fresh {
            Ok(Some(Ok((text, version)))) => {
                loaded.digests = digests(&text);
                loaded.version = Some(version);
                tracing::info!(
                    path = %self.path.display(), tokens = loaded.digests.len(),
                    "read the token file again"
                );
            }
            Ok(Some(Err(cause))) => {
                tracing::error!(
                    path = %self.path.display(), cause = %cause,
                    "cannot read the token file: nobody has access"
                );
                loaded.digests = Arc::new([]);
                loaded.version = None;
            }
            Ok(None) | Err(_) => {}
        }
        Arc::clone(&loaded.digests)
    }
}

impl std::fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Middleware: answers 401 to a call without a valid token.
pub(super) async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    let admitted = match &access {
        Access::Anonymous => true,
        Access::Tokens(_) if OPEN.contains(&request.uri().path()) => true,
        Access::Tokens(file) => match bearer(request.headers()) {
            Some(token) => file.admits(token).await,
            None => false,
        },
    };
    if admitted {
        next.run(request).await
    } else {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "send a token of the registry's token file as \"Authorization: Bearer TOKEN\"",
        )
        .into_response()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn version(path: &Path) -> std::io::Result<Version> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.modified().ok(), metadata.len()))
}

fn read(path: &Path) -> std::io::Result<(String, Version)> {
    // The version first: a change while reading is seen the next time.
    let version = version(path)?;
    Ok((std::fs::read_to_string(path)?, version))
}

fn digests(text: &str) -> Arc<[[u8; 32]]> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|token| Sha256::digest(token).into())
        .collect()
}

fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_open_address_needs_tokens_or_an_explicit_wish() {
        let open = "0.0.0.0:8000".parse().unwrap();
        let loopback = "127.0.0.1:8000".parse().unwrap();
        assert!(matches!(Access::for_listen(loopback, None, false), Ok(Access::Anonymous)));
        assert!(matches!(Access::for_listen(open, None, true), Ok(Access::Anonymous)));
        let error = Access::for_listen(open, None, false).unwrap_err();
        assert_eq!(error.to_string(), "refusing to serve 0.0.0.0:8000 without authentication");
        assert!(error.hint().contains("--auth-token-file"));
    }

    #[test]
    fn tokens_are_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "# for the mirror\n\n  hunter2  \n").unwrap();
        let file = TokenFile::open(&path).unwrap();
        assert_eq!(file.loaded.lock().unwrap().digests.len(), 1);
        assert!(!format!("{:?}", Access::Tokens(file)).contains("hunter2"));
        std::fs::write(&path, "# nothing\n").unwrap();
        assert_eq!(TokenFile::open(&path).unwrap_err().cause(), "it has no token");
    }
}
