use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::domain::endpoint::{HttpProbe, Lookup, Method, OnAuthenticationRequired};
use crate::domain::policy::Profile;
use crate::domain::{TargetAddress, Thresholds};

/// A listener that answers each connection with `answer` and then does what `after` says.
async fn serve(answer: Vec<u8>, keep_open: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 2048];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(&answer).await;
                if keep_open {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

fn prober(profile: Profile) -> Prober {
    let settings = ResolverSettings { servers: vec!["127.0.0.1:9".parse().unwrap()], ..Default::default() };
    let policy = Arc::new(TargetPolicy::new(profile, vec![], vec![]));
    let tls = Tls::new(crate::vault::Vault::default(), || jiff::Timestamp::UNIX_EPOCH);
    Prober::new(Resolver::new(&settings).unwrap(), Arc::new(RwLock::new(policy)), tls)
}

fn spec(protocol: Protocol) -> ProbeSpec {
    ProbeSpec {
        protocol,
        period: Duration::from_secs(10),
        timeout: Duration::from_millis(500),
        thresholds: Thresholds { failure: 3, success: 1 },
        latency_threshold: Duration::from_secs(1),
        on_authentication_required: OnAuthenticationRequired::Fail,
        tls: None,
        credential: None,
        certificate_expiry: Duration::ZERO,
    }
}

fn http() -> HttpProbe {
    HttpProbe { path: "/health".into(), method: Method::Get, expected_statuses: vec![200], headers: vec![] }
}

fn target(address: SocketAddr) -> Target {
    Target {
        address: TargetAddress { host: address.ip().to_string(), port: address.port() },
        lookup: Lookup::Literal(address.ip()),
    }
}

async fn ask(answer: &str, keep_open: bool) -> Outcome {
    let address = serve(answer.as_bytes().to_vec(), keep_open).await;
    let spec = Arc::new(spec(Protocol::Http(http())));
    prober(Profile::Standalone).probe(target(address), spec).await
}

fn reason(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Failed(f) | Outcome::NotAsked(f) => Some(f.reason),
        Outcome::Denied { .. } => Some(Reason::TargetNotPermitted),
        Outcome::Passed { .. } => None,
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn the_words_of_the_original_agents_pass_and_other_words_do_not() {
    for good in [r#"{"status":"alive"}"#, r#"{"status":"Healthy"}"#, "", "fine", "{}", r#"{"status":7}"#] {
        assert_eq!(reason(&ask(&answer("200 OK", good), false).await), None, "{good}");
    }
    for bad in [r#"{"status":"error"}"#, r#"{"status":""}"#] {
        assert_eq!(reason(&ask(&answer("200 OK", bad), false).await), Some(Reason::UnexpectedBody), "{bad}");
    }
}

#[tokio::test]
async fn every_bad_answer_has_its_own_reason() {
    let large = answer("200 OK", &"x".repeat(70_000));
    let wide = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let cases = [
        (answer("503 Unavailable", ""), false, Reason::UnexpectedStatus),
        (answer("401 Unauthorized", ""), false, Reason::AuthenticationRequired),
        (answer("403 Forbidden", ""), false, Reason::AuthenticationRequired),
        (answer("302 Found", ""), false, Reason::RedirectNotFollowed),
        (large, false, Reason::ResponseTooLarge),
        (wide, false, Reason::ResponseTooLarge),
        ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), false, Reason::ProtocolError),
        (String::new(), false, Reason::ProtocolError),
        (String::new(), true, Reason::ResponseTimeout),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_owned(), true, Reason::ResponseTimeout),
    ];
    for (text, keep_open, expected) in cases {
        let outcome = ask(&text, keep_open).await;
        assert_eq!(reason(&outcome), Some(expected), "{}", &text[..text.len().min(40)]);
    }
}

#[tokio::test]
async fn nothing_that_the_target_sent_comes_back_in_a_message() {
    for text in ["HTTP/1.1 500 CANARY\r\nCANARY: CANARY\r\n\r\nCANARY", "CANARY CANARY\r\n\r\n"] {
        let Outcome::Failed(failure) = ask(text, false).await else { panic!("fails") };
        assert!(!failure.message.contains("CANARY"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_401_or_403_passes_where_the_agent_owes_it_to_a_stranger() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let address = serve(answer(status, "").into_bytes(), false).await;
        let mut spec = spec(Protocol::Http(http()));
        spec.on_authentication_required = OnAuthenticationRequired::Pass;
        let outcome = prober(Profile::Standalone).probe(target(address), Arc::new(spec)).await;
        assert_eq!(reason(&outcome), None);
    }
}

#[tokio::test]
async fn a_closed_port_is_refused_and_a_denied_address_gets_no_packet() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tcp = Arc::new(spec(Protocol::Tcp));
    let denied = prober(Profile::Cluster).probe(target(address), Arc::clone(&tcp)).await;
    assert_eq!(reason(&denied), Some(Reason::TargetNotPermitted));
    assert!(listener.accept().now_or_never().is_none());
    let passed = prober(Profile::Standalone).probe(target(address), Arc::clone(&tcp)).await;
    assert_eq!(reason(&passed), None);
    drop(listener);
    let refused = prober(Profile::Standalone).probe(target(address), tcp).await;
    assert_eq!(reason(&refused), Some(Reason::ConnectionRefused));
}

#[tokio::test]
async fn a_dead_target_is_not_excused_by_a_second_address_that_we_cannot_reach() {
    // No route: 255.255.255.255 is not a place to connect to.
    let unreachable = "255.255.255.255".parse().unwrap();
    let open = TargetPolicy::new(Profile::Standalone, vec!["0.0.0.0/0".parse().unwrap()], vec![]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let dead = "127.0.0.1".parse().unwrap();
    for addresses in [[dead, unreachable], [unreachable, dead]] {
        let outcome = dial::dial(&addresses, port, &open).await.map(drop).unwrap_err();
        assert_eq!(reason(&outcome), Some(Reason::ConnectionRefused), "{addresses:?}");
    }
}

#[tokio::test]
async fn a_resolver_that_is_away_is_our_fault_and_not_the_targets() {
    let named = Target {
        address: TargetAddress { host: "a.example".into(), port: 80 },
        lookup: Lookup::Name("a.example".into()),
    };
    let outcome = prober(Profile::Standalone).probe(named, Arc::new(spec(Protocol::Tcp))).await;
    assert!(
        matches!(&outcome, Outcome::NotAsked(f) if f.reason == Reason::DNSResolverUnavailable),
        "{outcome:?}"
    );
}

use futures::FutureExt as _;
