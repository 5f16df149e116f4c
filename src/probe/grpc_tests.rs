use std::net::SocketAddr;

use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::either::Either;

use super::*;
use crate::domain::endpoint::OnAuthenticationRequired;

/// What a server does with the one call that comes.
#[derive(Clone)]
enum Server {
    /// Head, message, trailers.
    Says { status: u16, kind: &'static str, message: Vec<u8>, code: Option<&'static str> },
    /// Only a head.
    HeadOnly(&'static str),
    /// The serving status of one service, as a health server keeps it.
    Health { service: &'static str, status: u8 },
    /// Ends the connection politely.
    GoAway,
    /// Speaks these bytes.
    Bytes(&'static [u8]),
}

fn says(message: &[u8], code: &'static str) -> Server {
    Server::Says { status: 200, kind: "application/grpc", message: message.to_vec(), code: Some(code) }
}

async fn serve(server: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        if let Server::Bytes(bytes) = server {
            stream.write_all(bytes).await.ok();
            let mut sink = [0; 1024];
            while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
            return;
        }
        let mut connection = h2::server::handshake(stream).await.unwrap();
        if matches!(server, Server::GoAway) {
            connection.abrupt_shutdown(h2::Reason::NO_ERROR);
        }
        while let Some(Ok((mut request, mut respond))) = connection.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let asked = request.body_mut().data().await.unwrap().unwrap();
                answer(server, &asked, &mut respond);
            });
        }
    });
    address
}

fn answer(server: Server, asked: &Bytes, respond: &mut h2::server::SendResponse<Bytes>) {
    let (status, kind, message, code) = match server {
        Server::Says { status, kind, message, code } => (status, kind, message, code),
        Server::HeadOnly(code) => {
            let head =
                Response::builder().header(CONTENT_TYPE, "application/grpc").header("grpc-status", code);
            respond.send_response(head.body(()).unwrap(), true).unwrap();
            return;
        }
        Server::Health { service, status } => {
            // Decoded by hand, apart from the code that encodes it.
            let name = if asked.len() > FRAME { &asked[FRAME + 2..] } else { &[][..] };
            if name == service.as_bytes() {
                (200, "application/grpc", vec![0, 0, 0, 0, 2, 8, status], Some("0"))
            } else {
                (200, "application/grpc", vec![], Some("5"))
            }
        }
        Server::GoAway | Server::Bytes(_) => return,
    };
    let head = Response::builder().status(status).header(CONTENT_TYPE, kind);
    let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
    stream.send_data(message.into(), code.is_none()).unwrap();
    if let Some(code) = code {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().unwrap());
        stream.send_trailers(trailers).unwrap();
    }
}

async fn verdict(server: Server, service: &str) -> Result<(), Failure> {
    verdict_with(server, service, OnAuthenticationRequired::Fail).await
}

async fn verdict_with(
    server: Server,
    service: &str,
    authentication: OnAuthenticationRequired,
) -> Result<(), Failure> {
    let address = serve(server).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let target = TargetAddress { host: address.ip().to_string(), port: address.port() };
    let terms = Terms { authentication, credential: None, tls: false };
    let asked = ask(Either::Left(stream), &target, service, Duration::from_secs(3), &terms);
    tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap()
}

#[tokio::test]
async fn the_health_of_the_server_or_of_one_service_decides() {
    for service in ["", "research.v1.Agent"] {
        let asked = async |status| verdict(Server::Health { service, status }, service).await;
        assert_eq!(asked(1).await, Ok(()), "{service}");
        assert_eq!(asked(2).await.unwrap_err().reason, Reason::NotServing);
        assert_eq!(asked(0).await.unwrap_err().reason, Reason::NotServing);
    }
    let unknown = verdict(Server::Health { service: "a", status: 1 }, "b").await.unwrap_err();
    assert!(unknown.message.contains("check its name"), "{}", unknown.message);
}

#[tokio::test]
async fn every_bad_answer_has_its_own_reason_and_shows_nothing_of_the_peer() {
    let plain = |status, kind| Server::Says { status, kind, message: b"CANARY".to_vec(), code: Some("0") };
    let cases = [
        (Server::HeadOnly("12"), Reason::HealthServiceMissing),
        (Server::HeadOnly("16"), Reason::AuthenticationRequired),
        (Server::HeadOnly("7"), Reason::AuthenticationRequired),
        (Server::HeadOnly("14"), Reason::NotServing),
        (Server::HeadOnly("4"), Reason::ResponseTimeout),
        (Server::HeadOnly("13"), Reason::ProtocolError),
        (Server::HeadOnly("99"), Reason::ProtocolError),
        (says(&[], "12"), Reason::HealthServiceMissing),
        (says(b"CANARY", "0"), Reason::ProtocolError),
        (says(&[1, 0, 0, 0, 2, 8, 1], "0"), Reason::ProtocolError),
        (says(&[0; 4096], "0"), Reason::ResponseTooLarge),
        (says(&[0, 0, 0, 0, 0], "0"), Reason::NotServing),
        (plain(200, "text/html"), Reason::ProtocolError),
        (plain(401, "text/html"), Reason::AuthenticationRequired),
        (plain(404, "text/html"), Reason::ProtocolError),
        (
            Server::Says {
                status: 200,
                kind: "application/grpc",
                message: vec![0, 0, 0, 0, 2, 8, 1],
                code: None,
            },
            Reason::ProtocolError,
        ),
        (Server::GoAway, Reason::ProtocolError),
        (Server::Bytes(b"HTTP/1.1 400 CANARY\r\n\r\nCANARY"), Reason::ProtocolError),
    ];
    for (n, (server, expected)) in cases.into_iter().enumerate() {
        let failure = verdict(server, "").await.unwrap_err();
        assert_eq!(failure.reason, expected, "case {n}: {}", failure.message);
        assert!(!failure.message.contains("CANARY"), "{}", failure.message);
    }
    let pass = verdict_with(Server::HeadOnly("16"), "", OnAuthenticationRequired::Pass).await;
    assert_eq!(pass, Ok(()));
}

#[test]
fn any_bytes_are_read_without_harm_and_newer_fields_are_skipped() {
    assert_eq!(status_field(&[]), Some(0));
    assert_eq!(status_field(&[0x12, 1, 9, 8, 1, 0x1d, 0, 0, 0, 0]), Some(1));
    for bad in [&[8][..], &[0x12, 200], &[0xff; 11], &[0x0b]] {
        assert_eq!(status_field(bad), None, "{bad:?}");
    }
    assert_eq!(question(&"x".repeat(200))[..FRAME + 3], [0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]);
}
