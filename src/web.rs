//! What our HTTP clients have in common: a base URL without surprises, no redirects, no proxies, a
//! deadline for every call and a bound on every answer.

use std::time::Duration;

use reqwest::Url;

/// For the connection alone.
const CONNECT: Duration = Duration::from_secs(3);

/// Why no calls can be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not the URL of an HTTP server.
    #[error("it must begin with http:// or https:// and name a host")]
    Url,
    /// The client cannot be made (TLS roots).
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}

/// Why an answer was not read to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The connection broke, or the deadline came first.
    #[error("{0}")]
    Broken(String),
    /// It is larger than anything that is asked for.
    #[error("the answer is larger than {} MiB", .0 / (1024 * 1024))]
    TooLarge(usize),
}

/// A server by its base URL; clones share connections.
#[derive(Clone, Debug)]
pub struct Server {
    /// For calls to it.
    pub http: reqwest::Client,
    base: Url,
}

impl Server {
    /// Checks the URL; makes no connection. `deadline` is for a whole call, to the last byte of the answer.
    ///
    /// # Errors
    /// When it is not a URL that calls can be made to.
    pub fn new(url: &str, deadline: Duration) -> Result<Server, Unusable> {
        let mut base = Url::parse(url).map_err(|_| Unusable::Url)?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(Unusable::Url);
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = reqwest::Client::builder()
            .timeout(deadline)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("configurable-agents/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Unusable::Client(e.to_string()))?;
        Ok(Server { http, base })
    }

    /// The base URL as people may see it: without credentials.
    pub fn shown(&self) -> String {
        let mut shown = self.base.clone();
        // The setters fail only for URLs without a host.
        shown.set_username("").ok();
        shown.set_password(None).ok();
        shown.as_str().trim_end_matches('/').to_owned()
    }

    /// Host and port.
    pub fn peer(&self) -> Option<(String, u16)> {
        Some((self.base.host_str()?.to_owned(), self.base.port_or_known_default()?))
    }

    /// The URL of a path below the base, segment by segment.
    pub fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // It fails only for URLs without a host.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// The body of an answer, at most `most` bytes of it.
///
/// # Errors
/// When it is larger, or does not come to its end.
pub async fn body(response: &mut reqwest::Response, most: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Unread::Broken(cause(&e)))? {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            return Err(Unread::TooLarge(most));
        }
    }
    Ok(body)
}

/// The innermost cause, without the URL that reqwest adds.
pub fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer within the deadline".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, Unusable> {
        rustls::crypto::ring::default_provider().install_default().ok();
        Server::new(url, Duration::from_secs(1))
    }

    #[test]
    fn segments_are_data_and_credentials_are_not_shown() {
        let server = server("http://user:pa%2Fss@host:81/base").unwrap();
        assert_eq!(server.shown(), "http://host:81/base");
        assert_eq!(server.url(&["agents", "a/b?c#d"]).path(), "/base/agents/a%2Fb%3Fc%23d");
        assert_eq!(server.peer(), Some(("host".to_owned(), 81)));
    }

    #[test]
    fn only_http_servers_can_be_called() {
        for bad in ["", "host:80", "ftp://host", "http://", "unix:/run/x"] {
            assert_eq!(server(bad).unwrap_err(), Unusable::Url, "{bad}");
        }
    }
}
