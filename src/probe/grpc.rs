//! The `grpc` probe: one `grpc.health.v1.Health/Check` over HTTP/2, on a stream that the
//! policy has said yes to. What comes back is bounded and never shown.
//!
//! Protocol: `grpc/health/v1/health.proto` and "gRPC over HTTP2" of the gRPC project.

use std::time::Duration;

use h2::RecvStream;
use h2::client::SendRequest;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, Request};
use hyper::body::Bytes;

use super::Stream;
use super::http::{AGENT, failure};
use super::terms::Terms;
use crate::domain::{Failure, Reason, TargetAddress};

/// The most header bytes that are read, of the head and of the trailers each.
const MAX_HEAD: u32 = 16 * 1024;
/// The most body bytes that are read: an answer has seven.
const MAX_BODY: usize = 1024;
/// Of the answer's message: a flag and four bytes of length.
const FRAME: usize = 5;

/// Asks and judges.
pub(super) async fn ask(
    stream: Stream,
    address: &TargetAddress,
    service: &str,
    timeout: Duration,
    terms: &Terms,
) -> Result<(), Failure> {
    let (sender, connection) = h2::client::Builder::new()
        .max_header_list_size(MAX_HEAD)
        .initial_window_size(64 * 1024)
        .enable_push(false)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| broken(&error))?;
    let exchange = check(sender, address, service, timeout, terms);
    tokio::pin!(exchange, connection);
    // Both are driven here: a probe is one task, and nothing outlives it.
    tokio::select! {
        biased;
        verdict = &mut exchange => verdict,
        _ = &mut connection => exchange.await,
    }
}

async fn check(
    sender: SendRequest<Bytes>,
    address: &TargetAddress,
    service: &str,
    timeout: Duration,
    terms: &Terms,
) -> Result<(), Failure> {
    let scheme = if terms.tls { "https" } else { "http" };
    let mut request = Request::post(format!("{scheme}://{address}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .header("grpc-timeout", format!("{}m", timeout.as_millis().min(99_999_999)));
    if let Some((name, value)) = terms.credential.clone() {
        request = request.header(name, value);
    }
    let request = request
        .body(())
        .map_err(|_| failure(Reason::ProtocolError, "The request cannot be written: check the host."))?;
    let mut sender = sender.ready().await.map_err(|error| broken(&error))?;
    let (response, mut body) = sender.send_request(request, false).map_err(|error| broken(&error))?;
    body.send_data(question(service), true).map_err(|error| broken(&error))?;
    let response = response.await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    if status != 200 {
        return match status {
            401 => verdict_of(16, service, terms),
            403 => verdict_of(7, service, terms),
            _ => Err(failure(
                Reason::ProtocolError,
                format!("The answer is HTTP {status}, not gRPC: is this the port of a gRPC server?"),
            )),
        };
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/grpc") {
        return Err(failure(Reason::ProtocolError, "The answer is HTTP/2, but not gRPC."));
    }
    // An error may come without a body: then its status is in the head.
    if let Some(code) = code_of(response.headers()).filter(|code| *code != 0) {
        return verdict_of(code, service, terms);
    }
    let (message, trailers) = read(response.into_body()).await?;
    match trailers.as_ref().and_then(code_of) {
        Some(0) => serving(&message, service),
        Some(code) => verdict_of(code, service, terms),
        None => Err(failure(Reason::ProtocolError, "The answer ends without a gRPC status.")),
    }
}

/// A `HealthCheckRequest` in its frame: field 1 is the service's name, absent when it is empty.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length > 0x7f {
            message.push(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        message.push(length.to_le_bytes()[0]);
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend(message);
    frame.into()
}

async fn read(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), Failure> {
    let mut message = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        // What was read makes room for more; a window that does not open only slows the peer down.
        body.flow_control().release_capacity(chunk.len()).ok();
        if message.len() + chunk.len() > MAX_BODY {
            return Err(failure(Reason::ResponseTooLarge, "The answer is larger than 1 KiB."));
        }
        message.extend_from_slice(&chunk);
    }
    let trailers = body.trailers().await.map_err(|error| broken(&error))?;
    Ok((message, trailers))
}

fn code_of(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn named(service: &str) -> String {
    if service.is_empty() { "The server".to_owned() } else { format!("The service {service}") }
}

/// A `HealthCheckResponse`: field 1 is the status.
fn serving(frame: &[u8], service: &str) -> Result<(), Failure> {
    match frame.get(FRAME..).filter(|_| frame.first() == Some(&0)).map(status_field) {
        Some(Some(1)) => Ok(()),
        Some(Some(2)) => {
            Err(failure(Reason::NotServing, format!("{} says that it is not serving.", named(service))))
        }
        Some(Some(_)) => {
            Err(failure(Reason::NotServing, format!("{} does not know its own health.", named(service))))
        }
        _ => Err(failure(Reason::ProtocolError, "The answer is gRPC, but not of the health service.")),
    }
}

/// Field 1 of a protobuf message as a number; 0 when it is absent. `None`: not such a message.
fn status_field(mut message: &[u8]) -> Option<u64> {
    fn varint(message: &mut &[u8]) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = message.split_first()?;
            *message = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    let mut status = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = varint(&mut message)?,
            // Fields of a newer protocol are skipped.
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// What a gRPC status code says of the target.
fn verdict_of(code: u32, service: &str, terms: &Terms) -> Result<(), Failure> {
    let who = named(service);
    let (reason, message) = match code {
        0 => return Ok(()),
        7 | 16 => return terms.refused("The health service", &format!("gRPC status {code}")),
        12 => (
            Reason::HealthServiceMissing,
            "The server has no health service (grpc.health.v1): add it, or probe with tcp.".to_owned(),
        ),
        5 => (Reason::NotServing, format!("{who} is not known to the health service: check its name.")),
        4 => (Reason::ResponseTimeout, "The server gave up at its own deadline.".to_owned()),
        14 => (Reason::NotServing, format!("{who} answers that it is unavailable.")),
        // The codes are a closed set: what is beyond it is not shown.
        1..=17 => (Reason::ProtocolError, format!("The health service failed with gRPC status {code}.")),
        _ => (Reason::ProtocolError, "The answer has a gRPC status that does not exist.".to_owned()),
    };
    Err(failure(reason, message))
}

/// The messages of h2 may quote what the peer sent: they are not passed on.
fn broken(error: &h2::Error) -> Failure {
    let io = error.get_io().map(std::io::Error::kind);
    if io == Some(std::io::ErrorKind::InvalidData) {
        // Only TLS makes such an error; h2 does not pass on which.
        failure(
            Reason::TLSHandshakeFailed,
            "The server ended the TLS session: it may want a client certificate, or another one.",
        )
    } else if io == Some(std::io::ErrorKind::ConnectionReset) {
        failure(Reason::ConnectionReset, "The connection was reset before the answer was complete.")
    } else if io.is_some() {
        failure(Reason::ProtocolError, "The connection was closed before the answer was complete.")
    } else if error.is_go_away() && error.is_remote() || error.is_reset() && error.is_remote() {
        failure(Reason::ProtocolError, "The server ended the HTTP/2 exchange before it answered.")
    } else {
        failure(Reason::ProtocolError, "The answer is not HTTP/2: is this the port of a gRPC server?")
    }
}

#[cfg(test)]
#[path = "grpc_tests.rs"]
mod tests;
