//! The `http` probe: one HTTP/1.1 request over a stream that the policy has said yes to. Redirects
//! are an answer, not an instruction; what comes back is bounded and never shown.

use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;

use super::Stream;
use super::faults::within;
use super::terms::Terms;
use crate::domain::endpoint::{HttpProbe, Method};
use crate::domain::{Failure, Reason, TargetAddress};

/// The most header bytes that are read.
const MAX_HEAD: usize = 16 * 1024;
/// The most header fields that are read.
const MAX_HEADERS: usize = 100;
/// The most body bytes that are read.
const MAX_BODY: usize = 64 * 1024;
/// What we call ourselves.
pub(super) const AGENT: &str = concat!("configurable-agents/", env!("CARGO_PKG_VERSION"));
/// The words of a JSON `status` that mean well (the original agents' own, and those of the health
/// conventions in use), compared without case.
const WELL: [&str; 8] = ["alive", "healthy", "ok", "up", "ready", "running", "pass", "serving"];

pub(super) fn failure(reason: Reason, message: impl Into<String>) -> Failure {
    Failure { reason, message: message.into() }
}

/// What came back.
pub(super) struct Answer {
    pub status: StatusCode,
    /// The media type without parameters, in lower case; empty when there is none.
    pub kind: String,
    /// Empty when it was not wanted.
    pub body: Bytes,
}

/// Asks and judges.
pub(super) async fn ask(
    stream: Stream,
    address: &TargetAddress,
    question: &HttpProbe,
    terms: &Terms,
) -> Result<(), Failure> {
    let expected = |status: StatusCode| question.expected_statuses.contains(&status.as_u16());
    let wants_body = |status| expected(status) && question.method != Method::Head;
    let answer = fetch(stream, request(address, question, terms)?, MAX_BODY, wants_body).await?;
    judge(&answer, question, terms)
}

/// One exchange. The body is read, up to `max_body` bytes, when the status makes it wanted.
pub(super) async fn fetch(
    stream: Stream,
    request: Request<Empty<Bytes>>,
    max_body: usize,
    wants_body: impl Fn(StatusCode) -> bool,
) -> Result<Answer, Failure> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        read(response, max_body, wants_body).await
    };
    tokio::pin!(exchange, connection);
    // Both are driven here: a probe is one task, and nothing outlives it.
    tokio::select! {
        biased;
        verdict = &mut exchange => verdict,
        _ = &mut connection => exchange.await,
    }
}

async fn read(
    response: Response<Incoming>,
    max_body: usize,
    wants_body: impl Fn(StatusCode) -> bool,
) -> Result<Answer, Failure> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !wants_body(status) {
        return Ok(Answer { status, kind, body: Bytes::new() });
    }
    match Limited::new(response.into_body(), max_body).collect().await {
        Ok(body) => Ok(Answer { status, kind, body: body.to_bytes() }),
        Err(error) if error.is::<LengthLimitError>() => Err(failure(
            Reason::ResponseTooLarge,
            format!("The answer's body is larger than {} KiB.", max_body / 1024),
        )),
        Err(error) => {
            let hyper = error.downcast_ref::<hyper::Error>();
            Err(hyper
                .map_or_else(|| failure(Reason::ProtocolError, "The answer's body cannot be read."), broken))
        }
    }
}

fn request(
    address: &TargetAddress,
    question: &HttpProbe,
    terms: &Terms,
) -> Result<Request<Empty<Bytes>>, Failure> {
    let unusable =
        |_| failure(Reason::ProtocolError, "The request cannot be written: check path and headers.");
    let mut request = Request::builder()
        .method(question.method.as_str())
        .uri(&question.path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close");
    if !question.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
        request = request.header(ACCEPT, "application/json, */*");
    }
    for (name, value) in &question.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| unusable(e.into()))?;
        let value = HeaderValue::from_str(value).map_err(|e| unusable(e.into()))?;
        request = request.header(name, value);
    }
    if let Some((name, value)) = terms.credential.clone() {
        request = request.header(name, value);
    }
    request.body(Empty::new()).map_err(unusable)
}

/// The messages of hyper may quote what the peer sent: they are not passed on.
fn broken(error: &hyper::Error) -> Failure {
    use std::error::Error as _;
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    if let Some(failure) = io.and_then(within) {
        failure
    } else if error.is_parse_too_large() {
        failure(
            Reason::ResponseTooLarge,
            "The answer's header is larger than 16 KiB or has more than 100 fields.",
        )
    } else if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionReset) {
        failure(Reason::ConnectionReset, "The connection was reset before the answer was complete.")
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        failure(Reason::ProtocolError, "The connection was closed before the answer was complete.")
    } else {
        failure(Reason::ProtocolError, "The answer is not HTTP/1.1.")
    }
}

fn judge(answer: &Answer, question: &HttpProbe, terms: &Terms) -> Result<(), Failure> {
    // A query may hold what is not for everybody's eyes.
    let path: String = question.path.split('?').next().unwrap_or_default().chars().take(48).collect();
    let asked = format!("{} {path}", question.method.as_str());
    if !question.expected_statuses.contains(&answer.status.as_u16()) {
        return unexpected(answer.status, &asked, &question.expected_statuses, terms);
    }
    if question.method == Method::Head || says_well(&answer.body) {
        Ok(())
    } else {
        Err(failure(
            Reason::UnexpectedBody,
            format!("{asked} answered with a JSON status other than {}.", WELL.join(", ")),
        ))
    }
}

/// What a status says that is none of the expected ones.
pub(super) fn unexpected(
    status: StatusCode,
    asked: &str,
    expected: &[u16],
    terms: &Terms,
) -> Result<(), Failure> {
    let code = status.as_u16();
    match code {
        401 | 403 => terms.refused(asked, &code.to_string()),
        300..=399 => Err(failure(
            Reason::RedirectNotFollowed,
            format!("{asked} answered with a redirect ({code}), not followed: probe where it leads."),
        )),
        _ => {
            let expected: Vec<String> = expected.iter().map(u16::to_string).collect();
            Err(failure(
                Reason::UnexpectedStatus,
                format!("{asked} answered {code}, expected {}.", expected.join(", ")),
            ))
        }
    }
}

/// A JSON object with a string `status` must mean well; any other body says nothing.
fn says_well(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Health {
        status: Option<serde_json::Value>,
    }
    let Ok(health) = serde_json::from_slice::<Health>(body) else { return true };
    match health.status {
        Some(serde_json::Value::String(word)) => {
            WELL.iter().any(|well| well.eq_ignore_ascii_case(word.trim()))
        }
        _ => true,
    }
}
