use super::*;
use crate::domain::fixtures::endpoint;
use crate::domain::reference::ReferenceKind;

const VALUE: &str = "CANARY-0123";

fn reference(name: &str) -> Reference {
    Reference { kind: ReferenceKind::Secret, namespace: "ns".to_owned(), name: name.to_owned() }
}

fn credential(key: &str) -> Need {
    Need::Credential { of: reference("s"), key: key.to_owned() }
}

fn spec(key: &str) -> CredentialSpec {
    CredentialSpec { need: credential(key), header: "X-Key".to_owned(), prefix: "Key ".to_owned() }
}

fn object(version: &str, hosts: &str, data: &[(&str, &[u8])]) -> Object {
    Object::new(
        version.to_owned(),
        &[(OPT_IN_LABEL.to_owned(), "true".to_owned())].into(),
        &[(HOSTS_ANNOTATION.to_owned(), hosts.to_owned())].into(),
        data.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())),
    )
}

fn target(host: &str) -> Target {
    endpoint("a", &[host]).targets.remove(0)
}

fn id(name: &str) -> EndpointId {
    EndpointId::new("ns", name)
}

#[test]
fn an_object_is_read_when_it_is_needed_and_forgotten_with_its_last_user() {
    let vault = Vault::default();
    assert_eq!(vault.put(&reference("s"), Reading::Missing), []);
    assert_eq!(vault.claim(&id("a"), &[credential("token")]), [reference("s")]);
    assert_eq!(vault.supplies(&[credential("token")]), None);
    assert_eq!(vault.put(&reference("s"), Reading::Object(object("1", "a", &[("token", b"x")]))), [id("a")]);
    assert!(vault.claim(&id("a"), &[credential("token")]).is_empty());
    assert!(vault.claim(&id("b"), &[credential("token")]).is_empty(), "shared");
    // A key that nobody asked for was not kept.
    assert_eq!(vault.claim(&id("c"), &[credential("other")]), [reference("s")]);
    vault.claim(&id("c"), &[]);
    vault.claim(&id("a"), &[]);
    assert!(vault.credential(&spec("token"), &target("a"), None).is_some());
    vault.claim(&id("b"), &[]);
    assert!(vault.credential(&spec("token"), &target("a"), None).is_none());
    assert!(vault.used().is_empty());
}

#[test]
fn users_hear_of_a_change_and_of_nothing_else() {
    let vault = Vault::default();
    vault.claim(&id("a"), &[credential("token")]);
    let reading = |version: &str, value: &[u8]| Reading::Object(object(version, "a", &[("token", value)]));
    for (reading, news) in [
        (Reading::Missing, true),
        (Reading::Missing, false),
        (Reading::Forbidden { grant: "g".to_owned() }, true),
        (Reading::Forbidden { grant: "g".to_owned() }, false),
        (reading("1", b"x"), true),
        (reading("1", b"x"), false),
        (reading("2", b"y"), true),
        (Reading::Missing, true),
    ] {
        assert_eq!(!vault.put(&reference("s"), reading).is_empty(), news);
    }
}

#[test]
fn a_credential_is_given_only_for_a_host_that_is_named_and_shows_itself_nowhere() {
    let vault = Vault::default();
    vault.claim(&id("a"), &[credential("token")]);
    let object = object("1", "good", &[("token", format!("{VALUE}\n").as_bytes())]);
    assert!(!format!("{object:?}").contains(VALUE));
    vault.put(&reference("s"), Reading::Object(object));
    let (name, value) = vault.credential(&spec("token"), &target("good"), None).unwrap();
    assert_eq!((name.as_str(), value.as_bytes()), ("x-key", format!("Key {VALUE}").as_bytes()));
    assert!(!format!("{value:?}").contains(VALUE));
    assert!(vault.credential(&spec("token"), &target("evil"), None).is_none());
    assert!(vault.credential(&spec("token"), &target("good"), Some("evil")).is_none());
}

#[test]
fn what_cannot_be_used_says_why_and_never_what_it_is() {
    let ca = Need::Authorities { of: reference("s"), key: "ca.crt".to_owned() };
    let certificate = Need::ClientCertificate { of: reference("s") };
    let made = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let many = pem.repeat(513);
    let both = format!("{pem}{key}");
    type Data<'a> = Vec<(&'a str, &'a [u8])>;
    let tls = |chain: &'static str, key: &'static str| -> Data<'static> {
        vec![("tls.crt", chain.as_bytes()), ("tls.key", key.as_bytes())]
    };
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let (pem_text, key_text, other_text) = (leak(&pem), leak(&key), leak(&other));
    let long = vec![b'x'; 9000];
    let cases: Vec<(&Need, Data<'_>, Option<Content>)> = vec![
        (&ca, vec![("ca.crt", pem.as_bytes())], None),
        (&ca, vec![], Some(Content::KeyMissing("ca.crt".to_owned()))),
        (&ca, vec![("ca.crt", b"")], Some(Content::Unusable("it has no PEM certificate"))),
        (&ca, vec![("ca.crt", VALUE.as_bytes())], Some(Content::Unusable("it has no PEM certificate"))),
        (
            &ca,
            vec![("ca.crt", b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n")],
            Some(Content::Unusable("it is not PEM")),
        ),
        (
            &ca,
            vec![("ca.crt", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")],
            Some(Content::Unusable("one of its certificates cannot be read")),
        ),
        (
            &ca,
            vec![("ca.crt", both.as_bytes())],
            Some(Content::Unusable("it holds a private key, which does not belong there")),
        ),
        (
            &ca,
            vec![("ca.crt", many.as_bytes())],
            Some(Content::Unusable("it has more than 512 certificates")),
        ),
        (&certificate, tls(pem_text, key_text), None),
        (&certificate, vec![("tls.crt", b"x")], Some(Content::KeyMissing("tls.key".to_owned()))),
        (&certificate, tls("", key_text), Some(Content::Unusable("its tls.crt has no PEM certificate"))),
        (&certificate, tls(pem_text, VALUE), Some(Content::Unusable("its tls.key has no PEM private key"))),
        (
            &certificate,
            tls(pem_text, other_text),
            Some(Content::Unusable("its tls.key does not belong to its tls.crt")),
        ),
    ];
    let token = credential("token");
    let not_sent: Vec<(&Need, Data<'_>, Option<Content>)> = vec![
        (&token, vec![("token", b"\n")], Some(Content::Unusable("it is empty"))),
        (&token, vec![("token", &long)], Some(Content::Unusable("it is longer than 8 KiB"))),
        (
            &token,
            vec![("token", b"a\r\nHost: evil")],
            Some(Content::Unusable("it has characters that cannot be in a header")),
        ),
        (
            &token,
            vec![("token", &[0xff, 0xfe])],
            Some(Content::Unusable("it has characters that cannot be in a header")),
        ),
        (&token, vec![("token", b"a b")], None),
    ];
    for (need, data, expected) in cases.into_iter().chain(not_sent) {
        let vault = Vault::default();
        vault.claim(&id("a"), std::slice::from_ref(need));
        vault.put(&reference("s"), Reading::Object(object("1", "a", &data)));
        let supplies = vault.supplies(std::slice::from_ref(need)).unwrap();
        let Supply::Found { content, .. } = &supplies[need] else { panic!("{supplies:?}") };
        assert_eq!(*content, expected.unwrap_or(Content::Usable), "{need:?}");
    }
}

#[tokio::test]
async fn suspects_are_taken_once() {
    let vault = Vault::default();
    vault.suspect(&credential("a"));
    vault.suspect(&credential("b"));
    assert_eq!(vault.suspects().await, [reference("s")].into());
    assert!(futures::FutureExt::now_or_never(vault.suspects()).is_none());
}
