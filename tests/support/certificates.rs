//! A certificate authority, a server certificate and a signing key for one private control plane.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Writes `ca.crt`, `api.crt`, `api.key`, `sa.key` and `sa.pub` (PEM, ECDSA P-256) into `folder`; hands back the authority's PEM.
pub fn write(folder: &Path) -> String {
    let put = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).expect("write a certificate");
    };

    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "test control plane");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_pem = ca.self_signed(&ca_key).expect("an authority").pem();
    put("ca.crt", &ca_pem);

    let names =
        ["127.0.0.1", "10.96.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let mut server = CertificateParams::new(names.map(String::from)).expect("names of the server");
    server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = KeyPair::generate().expect("a key");
    let issuer = Issuer::from_params(&ca, &ca_key);
    put("api.crt", &server.signed_by(&server_key, &issuer).expect("a server certificate").pem());
    put("api.key", &server_key.serialize_pem());

    let tokens = KeyPair::generate().expect("a key");
    put("sa.key", &tokens.serialize_pem());
    put("sa.pub", &tokens.public_key_pem());
    ca_pem
}
