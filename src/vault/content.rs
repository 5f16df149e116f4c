//! What is in an object, made ready for use, or why it is of no use: in words of ours, never with a value.

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::SecretString;

pub(super) use crate::domain::reference::{CERTIFICATE_KEY as CERTIFICATE, PRIVATE_KEY_KEY as KEY};

/// A bundle with more certificates is refused: whole systems come with 150.
const MAX_AUTHORITIES: usize = 512;
/// Certificates beside our own that we show.
const MAX_CHAIN: usize = 8;
/// A longer credential is refused: what we may send as a header most servers read.
const MAX_CREDENTIAL: usize = 8 * 1024;

pub(super) fn authorities(pem: &[u8]) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        match section.map_err(|_| "it is not PEM")? {
            (SectionKind::Certificate, der) => {
                if roots.len() == MAX_AUTHORITIES {
                    return Err("it has more than 512 certificates");
                }
                roots.add(der.into()).map_err(|_| "one of its certificates cannot be read")?;
            }
            (SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _) => {
                return Err("it holds a private key, which does not belong there");
            }
            _ => {}
        }
    }
    if roots.is_empty() { Err("it has no PEM certificate") } else { Ok(roots) }
}

pub(super) fn client_certificate(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, &'static str> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|_| "its tls.crt is not PEM")?;
    if chain.is_empty() {
        return Err("its tls.crt has no PEM certificate");
    }
    if chain.len() > MAX_CHAIN {
        return Err("its tls.crt has more than 8 certificates");
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "its tls.key has no PEM private key")?;
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => "its tls.key does not belong to its tls.crt",
        _ => "its tls.key cannot be used",
    })
}

/// A newline at the end is what editors and `--from-file` leave there: nobody means it.
pub(super) fn credential(value: &[u8]) -> Result<SecretString, &'static str> {
    let end = value.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    let value = &value[..end];
    if value.is_empty() {
        return Err("it is empty");
    }
    if value.len() > MAX_CREDENTIAL {
        return Err("it is longer than 8 KiB");
    }
    if !value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("it has characters that cannot be in a header");
    }
    let text = std::str::from_utf8(value).map_err(|_| "it has characters that cannot be in a header")?;
    Ok(SecretString::from(text.to_owned()))
}
