//! Probes over TLS and with credentials, against real TLS servers with every fault that a certificate can have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use configurable_agents::domain::endpoint::{HttpProbe, Lookup, Method, OnAuthenticationRequired, Protocol};
use configurable_agents::domain::policy::Profile;
use configurable_agents::domain::reference::{
    CredentialSpec, HOSTS_ANNOTATION, Need, OPT_IN_LABEL, Reference, ReferenceKind, TlsSpec,
};
use configurable_agents::domain::{
    EndpointId, Outcome, ProbeSpec, Reason, Target, TargetAddress, TargetPolicy, Thresholds,
};
use configurable_agents::probe::{Probe as _, Prober, Resolver, ResolverSettings, Tls};
use configurable_agents::vault::{Object, Reading, Vault};
use rustls::version::{TLS12, TLS13};
use support::tls::CANARY;
use support::{Authority, Identity, TlsAgent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const HOST: &str = "127.0.0.1";
const TOKEN: &str = "s3cr3t-CANARY";

struct Bed {
    vault: Vault,
    prober: Prober,
}

fn reference(name: &str) -> Reference {
    Reference { kind: ReferenceKind::Secret, namespace: "ns".to_owned(), name: name.to_owned() }
}

fn ca() -> Need {
    Need::Authorities { of: reference("ca"), key: "ca.crt".to_owned() }
}

fn certificate() -> Need {
    Need::ClientCertificate { of: reference("me") }
}

fn credential() -> CredentialSpec {
    CredentialSpec {
        need: Need::Credential { of: reference("token"), key: "token".to_owned() },
        header: "Authorization".to_owned(),
        prefix: "Bearer ".to_owned(),
    }
}

impl Bed {
    fn new() -> Bed {
        let vault = Vault::default();
        vault.claim(&EndpointId::new("ns", "a"), &[ca(), certificate(), credential().need]);
        let settings =
            ResolverSettings { servers: vec!["127.0.0.1:9".parse().unwrap()], ..Default::default() };
        let policy = TargetPolicy::new(Profile::Standalone, vec![], vec![]);
        let tls = Tls::new(vault.clone(), configurable_agents::ops::now);
        let resolver = Resolver::new(&settings).unwrap();
        Bed { prober: Prober::new(resolver, Arc::new(RwLock::new(Arc::new(policy))), tls), vault }
    }

    fn trusting(authority: &Authority) -> Bed {
        let bed = Bed::new();
        bed.put("ca", HOST, &[("ca.crt", &authority.pem)]);
        bed
    }

    fn put(&self, name: &str, hosts: &str, data: &[(&str, &str)]) {
        let labels = BTreeMap::from([(OPT_IN_LABEL.to_owned(), "true".to_owned())]);
        let annotations = BTreeMap::from([(HOSTS_ANNOTATION.to_owned(), hosts.to_owned())]);
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        let version = uuid::Uuid::new_v4().to_string();
        self.vault.put(&reference(name), Reading::Object(Object::new(version, &labels, &annotations, data)));
    }

    async fn ask(&self, address: SocketAddr, spec: ProbeSpec) -> Outcome {
        let began = Instant::now();
        let timeout = spec.timeout;
        let outcome = self.prober.probe(target(address), Arc::new(spec)).await;
        assert!(began.elapsed() < timeout + Duration::from_millis(500), "{outcome:?}");
        outcome
    }
}

fn target(address: SocketAddr) -> Target {
    Target {
        address: TargetAddress { host: address.ip().to_string(), port: address.port() },
        lookup: Lookup::Literal(address.ip()),
    }
}

fn http(path: &str) -> Protocol {
    Protocol::Http(HttpProbe {
        path: path.to_owned(),
        method: Method::Get,
        expected_statuses: vec![200],
        headers: vec![],
    })
}

fn spec(protocol: Protocol, tls: TlsSpec) -> ProbeSpec {
    ProbeSpec {
        protocol,
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(3),
        thresholds: Thresholds { failure: 3, success: 1 },
        latency_threshold: Duration::from_secs(1),
        on_authentication_required: OnAuthenticationRequired::Fail,
        tls: Some(tls),
        credential: None,
        certificate_expiry: Duration::from_hours(14 * 24),
    }
}

fn verified() -> TlsSpec {
    TlsSpec { authorities: Some(ca()), ..TlsSpec::default() }
}

fn with_credential(protocol: Protocol, tls: TlsSpec) -> ProbeSpec {
    ProbeSpec { credential: Some(credential()), ..spec(protocol, tls) }
}

fn reason(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Failed(failure) => {
            for leak in [CANARY, "canary", TOKEN] {
                assert!(!failure.message.contains(leak), "{}", failure.message);
            }
            Some(failure.reason)
        }
        Outcome::Passed { .. } => None,
        other => panic!("{other:?}"),
    }
}

/// Answers each connection with these bytes, then keeps it open.
async fn raw(bytes: &'static [u8], pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                for byte in bytes {
                    let _ = stream.write_all(&[*byte]).await;
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
                std::future::pending::<()>().await;
            });
        }
    });
    address
}

#[tokio::test]
async fn every_protocol_passes_over_tls_that_a_named_authority_vouches_for_and_tells_when_it_ends() {
    let authority = Authority::new();
    let bed = Bed::trusting(&authority);
    let good = authority.issue(&[HOST], |params| params.not_after = rcgen::date_time_ymd(2099, 1, 2));
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let agent = TlsAgent::start(good.config(versions, None)).await;
        let protocols = [
            http("/health"),
            Protocol::Tcp,
            Protocol::Grpc { service: String::new() },
            Protocol::A2a { card_path: None },
        ];
        for protocol in protocols {
            let outcome = bed.ask(agent.address, spec(protocol.clone(), verified())).await;
            let Outcome::Passed { certificate: Some(shown), .. } = outcome else {
                panic!("{protocol:?}: {outcome:?}")
            };
            assert_eq!(shown.ends.to_string(), "2099-01-02T00:00:00Z");
            assert!(!shown.soon);
        }
    }
}

#[tokio::test]
async fn each_fault_of_a_certificate_has_its_own_reason_and_shows_nothing_of_it() {
    let authority = Authority::new();
    let bed = Bed::trusting(&authority);
    let day = rcgen::date_time_ymd;
    let expired = authority.issue(&[HOST], |params| {
        (params.not_before, params.not_after) = (day(2020, 1, 1), day(2021, 1, 1));
    });
    let early = authority.issue(&[HOST], |params| {
        (params.not_before, params.not_after) = (day(2098, 1, 1), day(2099, 1, 1));
    });
    let foreign = authority.issue(&[CANARY, "10.0.0.1"], |_| {});
    let client = authority.issue(&[HOST], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let unknown = Authority::new().issue(&[HOST], |_| {});
    let mut long = authority.issue(&[HOST], |_| {});
    let mut endless = authority.issue(&[HOST], |_| {});
    let filler = unknown.chain[0].clone();
    long.chain.extend(std::iter::repeat_n(filler.clone(), 40));
    endless.chain.extend(std::iter::repeat_n(filler, 500));
    let cases = [
        ("expired", expired, Reason::TLSCertificateExpired),
        ("not yet valid", early, Reason::TLSCertificateExpired),
        ("for others", foreign, Reason::TLSHostnameMismatch),
        ("for clients", client, Reason::TLSUntrusted),
        ("of an unknown authority", unknown, Reason::TLSUntrusted),
        ("signed by itself", Identity::self_signed(&[HOST]), Reason::TLSUntrusted),
        ("40 certificates", long, Reason::TLSHandshakeFailed),
        ("500 certificates", endless, Reason::TLSHandshakeFailed),
    ];
    for (what, identity, expected) in cases {
        let agent = TlsAgent::start(identity.config(&[&TLS13, &TLS12], None)).await;
        let outcome = bed.ask(agent.address, spec(http("/health"), verified())).await;
        assert_eq!(reason(&outcome), Some(expected), "{what}: {outcome:?}");
        // Whoever asks for no check gets none, but for what bounds us.
        let skipped = TlsSpec { unverified: true, ..TlsSpec::default() };
        let outcome = bed.ask(agent.address, spec(http("/health"), skipped)).await;
        let bounded = expected == Reason::TLSHandshakeFailed;
        assert_eq!(reason(&outcome), bounded.then_some(expected), "{what}, unverified");
    }
}

#[tokio::test]
async fn what_is_no_tls_ends_by_the_deadline_with_the_reason_of_the_handshake() {
    let bed = Bed::trusting(&Authority::new());
    let (at_once, slowly) = (Duration::ZERO, Duration::from_millis(100));
    let cases = [
        ("plain HTTP", raw(b"HTTP/1.1 400 CANARY\r\n\r\n", at_once).await),
        ("TLS 1.0 only", raw(b"\x15\x03\x01\x00\x02\x02\x46", at_once).await),
        ("an alert", raw(b"\x15\x03\x03\x00\x02\x02\x28", at_once).await),
        ("silence", raw(b"", at_once).await),
        (
            "one byte after the other",
            raw(b"\x16\x03\x03\x00\xff\x02\x00\x00\xf0CANARYCANARYCANARY", slowly).await,
        ),
    ];
    for (what, address) in cases {
        let asked = ProbeSpec { timeout: Duration::from_millis(700), ..spec(Protocol::Tcp, verified()) };
        let outcome = bed.ask(address, asked).await;
        assert_eq!(reason(&outcome), Some(Reason::TLSHandshakeFailed), "{what}: {outcome:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let outcome = bed.ask(address, spec(Protocol::Tcp, verified())).await;
    let closed = [Reason::TLSHandshakeFailed, Reason::ConnectionReset];
    assert!(closed.contains(&reason(&outcome).unwrap()), "{outcome:?}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_whom_the_secret_names_and_its_absence_is_told() {
    let authority = Authority::new();
    let bed = Bed::trusting(&authority);
    let server = authority.issue(&[HOST], |_| {});
    let me = authority.issue(&["me.example"], |_| {});
    let data = [("tls.crt", me.pem.as_str()), ("tls.key", me.key_pem.as_str())];
    let shown = TlsSpec { client_certificate: Some(certificate()), ..verified() };
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let agent = TlsAgent::start(server.config(versions, Some(&authority))).await;
        for protocol in [http("/health"), Protocol::Grpc { service: String::new() }] {
            let without = bed.ask(agent.address, spec(protocol.clone(), verified())).await;
            assert_eq!(reason(&without), Some(Reason::TLSHandshakeFailed), "{protocol:?} {without:?}");
            bed.put("me", HOST, &data);
            let with = bed.ask(agent.address, spec(protocol.clone(), shown.clone())).await;
            assert_eq!(reason(&with), None, "{with:?}");
            let before = agent.seen.connections.load(Relaxed);
            bed.put("me", "other.example", &data);
            let refused = bed.ask(agent.address, spec(protocol, shown.clone())).await;
            assert!(matches!(refused, Outcome::NotAsked(_)), "{refused:?}");
            assert_eq!(agent.seen.connections.load(Relaxed), before, "nothing is sent");
        }
    }
}

#[tokio::test]
async fn the_server_name_of_the_spec_is_asked_for_and_checked() {
    let authority = Authority::new();
    let bed = Bed::trusting(&authority);
    let agent = TlsAgent::start(authority.issue(&["agent.example"], |_| {}).config(&[&TLS13], None)).await;
    let named = TlsSpec { server_name: Some("agent.example".to_owned()), ..verified() };
    assert_eq!(reason(&bed.ask(agent.address, spec(http("/"), named)).await), None);
    assert_eq!(agent.seen.names.lock().unwrap().clone(), [Some("agent.example".to_owned())]);
    let outcome = bed.ask(agent.address, spec(http("/"), verified())).await;
    assert_eq!(reason(&outcome), Some(Reason::TLSHostnameMismatch));
}

#[tokio::test]
async fn a_session_is_taken_up_again_with_the_same_trust_and_a_certificate_that_ended_meanwhile_is_seen() {
    static LATER: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    fn clock() -> jiff::Timestamp {
        let year = if LATER.load(Relaxed) { "2100-01-01T00:00:00Z" } else { "2026-01-01T00:00:00Z" };
        year.parse().unwrap()
    }
    let authority = Authority::new();
    let mut bed = Bed::trusting(&authority);
    let settings = ResolverSettings { servers: vec!["127.0.0.1:9".parse().unwrap()], ..Default::default() };
    let policy = TargetPolicy::new(Profile::Standalone, vec![], vec![]);
    bed.prober = Prober::new(
        Resolver::new(&settings).unwrap(),
        Arc::new(RwLock::new(Arc::new(policy))),
        Tls::new(bed.vault.clone(), clock),
    );
    let identity = authority.issue(&[HOST], |params| params.not_after = rcgen::date_time_ymd(2099, 1, 1));
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let agent = TlsAgent::start(identity.config(versions, None)).await;
        let resumed = || agent.seen.resumed.load(Relaxed);
        LATER.store(false, Relaxed);
        for expected in [0, 1, 2] {
            assert_eq!(reason(&bed.ask(agent.address, spec(http("/"), verified())).await), None);
            assert_eq!(resumed(), expected);
        }
        // The same authority, put anew: perhaps it is another one.
        bed.put("ca", HOST, &[("ca.crt", &authority.pem)]);
        assert_eq!(reason(&bed.ask(agent.address, spec(http("/"), verified())).await), None);
        assert_eq!(resumed(), 2);
        LATER.store(true, Relaxed);
        let outcome = bed.ask(agent.address, spec(http("/"), verified())).await;
        assert_eq!(reason(&outcome), Some(Reason::TLSCertificateExpired));
    }
}

#[tokio::test]
async fn a_certificate_that_ends_within_the_operators_days_is_noted() {
    let authority = Authority::new();
    let bed = Bed::trusting(&authority);
    let identity = authority.issue(&[HOST], |params| params.not_after = rcgen::date_time_ymd(2099, 1, 1));
    let agent = TlsAgent::start(identity.config(&[&TLS13], None)).await;
    for (days, expected) in [(0, false), (14, false), (365 * 200, true)] {
        let asked =
            ProbeSpec { certificate_expiry: Duration::from_hours(24 * days), ..spec(http("/"), verified()) };
        let outcome = bed.ask(agent.address, asked).await;
        let Outcome::Passed { certificate: Some(shown), .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(shown.soon, expected, "{days}");
    }
}

#[tokio::test]
async fn a_credential_goes_with_every_request_and_a_refusal_says_whose_fault_it_is() {
    let authority = Authority::new();
    let bed = Bed::trusting(&authority);
    let agent = TlsAgent::start(authority.issue(&[HOST], |_| {}).config(&[&TLS13], None)).await;
    bed.put("token", HOST, &[("token", TOKEN)]);
    let protocols =
        [http("/health"), Protocol::Grpc { service: String::new() }, Protocol::A2a { card_path: None }];
    for protocol in protocols {
        agent.want(Some(&format!("Bearer {TOKEN}")));
        let outcome = bed.ask(agent.address, with_credential(protocol.clone(), verified())).await;
        assert_eq!(reason(&outcome), None, "{outcome:?}");
        assert_eq!(agent.last_credential(), Some(format!("Bearer {TOKEN}")));

        agent.want(Some("Bearer another"));
        for policy in [OnAuthenticationRequired::Fail, OnAuthenticationRequired::Pass] {
            let mut asked = with_credential(protocol.clone(), verified());
            asked.on_authentication_required = policy;
            let outcome = bed.ask(agent.address, asked).await;
            assert_eq!(reason(&outcome), Some(Reason::CredentialsRejected), "{outcome:?}");
            assert_eq!(
                bed.vault.suspects().await,
                [reference("token")].into(),
                "perhaps there is a newer one"
            );
        }

        let stranger = bed.ask(agent.address, spec(protocol.clone(), verified())).await;
        assert_eq!(reason(&stranger), Some(Reason::AuthenticationRequired), "{stranger:?}");
        assert_eq!(agent.last_credential(), None);
        let mut owed = spec(protocol, verified());
        owed.on_authentication_required = OnAuthenticationRequired::Pass;
        assert_eq!(reason(&bed.ask(agent.address, owed).await), None);
    }
}

#[tokio::test]
async fn a_credential_never_goes_to_a_host_without_verified_tls_or_that_the_secret_does_not_name() {
    let authority = Authority::new();
    let bed = Bed::trusting(&authority);
    let agent =
        TlsAgent::start(authority.issue(&[HOST, "evil.example"], |_| {}).config(&[&TLS13], None)).await;
    let named = |name: &str| TlsSpec { server_name: Some(name.to_owned()), ..verified() };
    let unverified = TlsSpec { unverified: true, ..TlsSpec::default() };
    let cases = [
        ("another host", "other.example", Some(verified())),
        ("another port", "127.0.0.1:1", Some(verified())),
        ("another name in the certificate", HOST, Some(named("evil.example"))),
        ("unverified", HOST, Some(unverified)),
        ("plain", HOST, None),
    ];
    for (what, hosts, tls) in cases {
        bed.put("token", hosts, &[("token", TOKEN)]);
        let asked = ProbeSpec { tls, ..with_credential(http("/"), verified()) };
        let outcome = bed.ask(agent.address, asked).await;
        assert!(matches!(outcome, Outcome::NotAsked(_)), "{what}: {outcome:?}");
        assert_eq!(agent.seen.connections.load(Relaxed), 0, "{what}");
    }
    // Somebody who has the address but not the certificate.
    bed.put("token", HOST, &[("token", TOKEN)]);
    agent.set_config(Authority::new().issue(&[HOST], |_| {}).config(&[&TLS13], None));
    let outcome = bed.ask(agent.address, with_credential(http("/"), verified())).await;
    assert_eq!(reason(&outcome), Some(Reason::TLSUntrusted));
    assert!(agent.seen.credentials.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_credential_does_not_follow_a_redirect() {
    let authority = Authority::new();
    let bed = Bed::trusting(&authority);
    let agent = TlsAgent::start(authority.issue(&[HOST], |_| {}).config(&[&TLS13], None)).await;
    bed.put("token", HOST, &[("token", TOKEN)]);
    let outcome = bed.ask(agent.address, with_credential(http("/moved"), verified())).await;
    assert_eq!(reason(&outcome), Some(Reason::RedirectNotFollowed));
    assert_eq!(agent.seen.credentials.lock().unwrap().len(), 1);
}
