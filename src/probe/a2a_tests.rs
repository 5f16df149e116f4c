use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::either::Either;

use super::*;
use crate::domain::endpoint::OnAuthenticationRequired;

/// Answers each connection once: 200 with the body that belongs to the path, or the status given for it.
async fn serve(answers: Vec<(&'static str, u16, &'static str, String)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let found = answers.iter().find(|(known, ..)| *known == path);
            let (status, kind, body) = found
                .map_or((404, "text/plain", ""), |(_, status, kind, body)| (*status, *kind, body.as_str()));
            let text = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).await.ok();
        }
    });
    address
}

/// As the prober does: one path after the other.
async fn verdict(
    answers: Vec<(&'static str, u16, &'static str, String)>,
    card_path: Option<&str>,
) -> Result<(), Failure> {
    let address = serve(answers).await;
    let target = TargetAddress { host: address.ip().to_string(), port: address.port() };
    let mut nothing = None;
    for path in paths(card_path) {
        let terms = Terms { authentication: OnAuthenticationRequired::Fail, credential: None, tls: false };
        let stream = TcpStream::connect(address).await.unwrap();
        match ask(Either::Left(stream), &target, path, &terms).await {
            Found::Verdict(verdict) => return verdict,
            Found::NotHere(failure) => nothing = nothing.or(Some(failure)),
        }
    }
    Err(nothing.unwrap())
}

fn common() -> Value {
    json!({
        "name": "CANARY", "description": "d", "version": "1", "capabilities": {}, "defaultInputModes": [],
        "defaultOutputModes": ["text"], "skills": [{"id": "s", "name": "n", "description": "d", "tags": []}],
    })
}

fn newer() -> Value {
    let mut card = common();
    card["supportedInterfaces"] =
        json!([{"url": "http://a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]);
    card
}

fn older() -> Value {
    let mut card = common();
    card["url"] = json!("http://a");
    card["protocolVersion"] = json!("0.3.0");
    card
}

#[tokio::test]
async fn cards_of_both_eras_pass_wherever_they_are() {
    let json = "application/json; charset=utf-8";
    for card in [newer(), older()] {
        for path in PATHS {
            assert_eq!(verdict(vec![(path, 200, json, card.to_string())], None).await, Ok(()), "{path}");
        }
        let own = vec![("/agents/a/card", 200, "application/a2a+json", card.to_string())];
        assert_eq!(verdict(own, Some("/agents/a/card")).await, Ok(()));
    }
    // Before 0.2.5 a card did not tell its version, and it was at the old path.
    let mut oldest = older();
    oldest.as_object_mut().unwrap().remove("protocolVersion");
    assert_eq!(verdict(vec![(PATHS[1], 200, json, oldest.to_string())], None).await, Ok(()));
    // A path that was given is the only one.
    let elsewhere = vec![(PATHS[0], 200, json, newer().to_string())];
    assert_eq!(verdict(elsewhere, Some("/card")).await.unwrap_err().reason, Reason::NotAnAgentCard);
}

#[tokio::test]
async fn what_is_no_card_is_told_by_its_reason_and_the_field_that_is_missing() {
    let without = |card: Value, field: &str| {
        let mut card = card;
        card.as_object_mut().unwrap().remove(field);
        card.to_string()
    };
    for (card, field) in [
        (newer(), "name"),
        (newer(), "description"),
        (newer(), "version"),
        (newer(), "capabilities"),
        (newer(), "defaultInputModes"),
        (newer(), "skills"),
        (older(), "url"),
        (older(), "protocolVersion"),
    ] {
        let failure =
            verdict(vec![(PATHS[0], 200, "application/json", without(card, field))], None).await.unwrap_err();
        assert_eq!(failure.reason, Reason::NotAnAgentCard);
        assert!(failure.message.contains(field), "{field}: {}", failure.message);
        assert!(!failure.message.contains("CANARY"), "{}", failure.message);
    }
    let mut empty = newer();
    empty["supportedInterfaces"] = json!([]);
    let mut odd = newer();
    odd["skills"] = json!([{"id": 1}]);
    let cases = [
        (200, "application/json", empty.to_string(), Reason::NotAnAgentCard),
        (200, "application/json", odd.to_string(), Reason::NotAnAgentCard),
        (200, "application/json", "[]".to_owned(), Reason::NotAnAgentCard),
        (200, "application/json", "CANARY".to_owned(), Reason::NotAnAgentCard),
        (200, "text/html; charset=utf-8", "<html>CANARY".to_owned(), Reason::HTMLResponse),
        (200, "application/json", " ".repeat(MAX_CARD + 1), Reason::ResponseTooLarge),
        (401, "application/json", newer().to_string(), Reason::AuthenticationRequired),
        (403, "application/json", newer().to_string(), Reason::AuthenticationRequired),
        (500, "application/json", newer().to_string(), Reason::UnexpectedStatus),
        (302, "application/json", newer().to_string(), Reason::RedirectNotFollowed),
        (404, "application/json", newer().to_string(), Reason::NotAnAgentCard),
    ];
    for (status, kind, body, expected) in cases {
        let failure = verdict(vec![(PATHS[0], status, kind, body)], None).await.unwrap_err();
        assert_eq!(failure.reason, expected, "{status} {kind}: {}", failure.message);
        assert!(!failure.message.contains("CANARY"), "{}", failure.message);
    }
}
