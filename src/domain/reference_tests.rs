use super::*;
use crate::domain::fixtures::endpoint;

fn secret() -> Reference {
    Reference { kind: ReferenceKind::Secret, namespace: "ns".to_owned(), name: "token".to_owned() }
}

fn credential() -> Need {
    Need::Credential { of: secret(), key: "token".to_owned() }
}

fn spec(tls: Option<TlsSpec>) -> ProbeSpec {
    let credential = CredentialSpec {
        need: credential(),
        header: "Authorization".to_owned(),
        prefix: "Bearer ".to_owned(),
    };
    ProbeSpec { tls, credential: Some(credential), ..endpoint("a", &["a"]).probe }
}

fn supplies(permission: Permission, content: Content) -> BTreeMap<Need, Supply> {
    [(credential(), Supply::Found { permission, content })].into()
}

fn refused(
    hosts: &[&str],
    tls: Option<TlsSpec>,
    supplies: &BTreeMap<Need, Supply>,
) -> Option<(Reason, String)> {
    let targets = endpoint("a", hosts).targets;
    refusal_of(&spec(tls), &targets, supplies).map(|refusal| (refusal.reason, refusal.message))
}

fn open(hosts: &str) -> Permission {
    Permission::new(Some("true"), Some(hosts))
}

#[test]
fn a_credential_goes_nowhere_without_verified_tls() {
    let given = supplies(open("a"), Content::Usable);
    assert_eq!(refused(&["a"], Some(TlsSpec::default()), &given), None);
    for tls in [None, Some(TlsSpec { unverified: true, ..TlsSpec::default() })] {
        assert_eq!(refused(&["a"], tls, &given).map(|r| r.0), Some(Reason::SecretNotPermitted));
    }
    let mut certificate = spec(Some(TlsSpec {
        unverified: true,
        client_certificate: Some(Need::ClientCertificate { of: secret() }),
        ..TlsSpec::default()
    }));
    certificate.credential = None;
    let refusal = refusal_of(&certificate, &endpoint("a", &["a"]).targets, &BTreeMap::new()).unwrap();
    assert_eq!(refusal.reason, Reason::SecretNotPermitted);
}

#[test]
fn every_fault_of_a_reference_has_its_reason_and_says_what_to_do() {
    let found = |label, hosts, content| supplies(Permission::new(label, hosts), content);
    let yes = Some("true");
    let cases = [
        ([(credential(), Supply::Missing)].into(), Reason::SecretNotFound, "create"),
        (BTreeMap::new(), Reason::SecretNotFound, "create"),
        (
            [(credential(), Supply::Forbidden { grant: "{kind: RoleBinding}".to_owned() })].into(),
            Reason::SecretNotPermitted,
            "Apply: {kind: RoleBinding}",
        ),
        (found(None, Some("a"), Content::Usable), Reason::SecretNotPermitted, OPT_IN_LABEL),
        (found(Some("yes"), Some("a"), Content::Usable), Reason::SecretNotPermitted, OPT_IN_LABEL),
        (found(yes, None, Content::Usable), Reason::SecretNotPermitted, "shown to a:"),
        (found(yes, Some("b"), Content::Usable), Reason::SecretNotPermitted, "shown to a:"),
        // What is in a Secret that does not opt in is not told either.
        (found(None, None, Content::KeyMissing("k".to_owned())), Reason::SecretNotPermitted, OPT_IN_LABEL),
        (found(yes, Some("a"), Content::KeyMissing("k".to_owned())), Reason::SecretKeyMissing, "no key k"),
        (found(yes, Some("a"), Content::Unusable("it is empty")), Reason::SecretKeyMissing, "it is empty"),
    ];
    for (supplies, reason, words) in cases {
        let (found, message) = refused(&["a"], Some(TlsSpec::default()), &supplies).unwrap();
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_secret_is_shown_to_the_hosts_that_it_names_and_to_no_other() {
    let target = |host: &str| endpoint("a", &[host]).targets.remove(0);
    for (hosts, host) in [
        ("a.example", "a.example"),
        (" b , A.Example ", "a.example"),
        ("*.example", "a.example"),
        ("*.example", "a.b.example"),
        ("a.example:80", "a.example"),
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::1"),
        ("[fd00::1]:80", "fd00::1"),
    ] {
        assert_eq!(open(hosts).check(&target(host), None), Ok(()), "{hosts} {host}");
    }
    for (hosts, host) in [
        ("", "a.example"),
        ("*", "a.example"),
        ("*.*", "a.example"),
        ("*.example", "example"),
        ("*.example", "aexample"),
        ("a.example", "b.a.example"),
        ("a.example", "a.example.evil"),
        ("a.example:443", "a.example"),
        ("a.example:", "a.example"),
        ("fd00::1", "fd00::2"),
    ] {
        assert_eq!(open(hosts).check(&target(host), None), Err(host.to_owned()), "{hosts} {host}");
    }
    // With a foreign name in the certificate, anybody with that name could stand in for the host.
    let foreign = open("a.example").check(&target("a.example"), Some("evil.example"));
    assert_eq!(foreign, Err("evil.example".to_owned()));
    assert_eq!(open("a.example,b.example").check(&target("a.example"), Some("b.example")), Ok(()));
}

#[test]
fn one_target_that_is_not_named_keeps_the_credential_from_all() {
    let given = supplies(open("a"), Content::Usable);
    let (reason, message) = refused(&["a", "evil"], Some(TlsSpec::default()), &given).unwrap();
    assert_eq!(reason, Reason::SecretNotPermitted);
    assert!(message.contains("evil"), "{message}");
}
