//! TLS on a stream that the policy has said yes to. What is wrong with it is told in words of ours: names in a
//! certificate are as much the target's text as a body is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::faults::{connection, fault};
use super::sessions::{Key, Sessions};
use super::{failed, not_asked};
use crate::domain::reference::TlsSpec;
use crate::domain::{Certificate, Outcome, ProbeSpec, Reason, Target};
use crate::vault::{Numbered, Vault};

/// Certificates beside its own that a target may send; real ones send three.
const MAX_CHAIN: usize = 16;
/// Configurations that are kept; they cost some kilobytes each.
const MAX_CONFIGS: usize = 1024;
/// Later than any certificate ends.
const FAR: UnixTime = UnixTime::since_unix_epoch(Duration::from_hours(70_389_528));

/// The protocol that is agreed upon in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Alpn {
    None,
    Http1,
    Http2,
}

/// What a handshake needs.
pub(super) struct Prepared {
    name: ServerName<'static>,
    config: Numbered<ClientConfig>,
    unverified: bool,
}

/// What a configuration is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Made {
    authorities: Option<u64>,
    certificate: Option<u64>,
    unverified: bool,
    alpn: Alpn,
}

/// TLS for all probes; clones share it.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    vault: Vault,
    now: fn() -> Timestamp,
    provider: Arc<CryptoProvider>,
    system: OnceLock<Arc<RootCertStore>>,
    /// Configurations, each with its number.
    configs: Mutex<HashMap<Made, Numbered<ClientConfig>>>,
    sessions: Sessions,
}

impl Tls {
    /// With what specs name in `vault`, and a clock to judge how soon a certificate ends.
    pub fn new(vault: Vault, now: fn() -> Timestamp) -> Tls {
        Tls {
            shared: Arc::new(Shared {
                vault,
                now,
                provider: Arc::new(ring::default_provider()),
                system: OnceLock::new(),
                configs: Mutex::default(),
                sessions: Sessions::default(),
            }),
        }
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    /// What is needed for a handshake with a target; before anything is sent.
    pub(super) fn prepare(&self, target: &Target, tls: &TlsSpec, alpn: Alpn) -> Result<Prepared, Outcome> {
        let host = tls.server_name.as_deref().unwrap_or(&target.address.host);
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            let what = "The host is no name for a certificate: set probe.tls.serverName.";
            return Err(failed(Reason::TLSHostnameMismatch, what));
        };
        let config = self.shared.config(target, tls, alpn)?;
        Ok(Prepared { name, config, unverified: tls.unverified })
    }

    /// The handshake, and the certificate that was shown.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        prepared: Prepared,
        spec: &ProbeSpec,
    ) -> Result<(TlsStream<TcpStream>, Option<Certificate>), Outcome> {
        let Prepared { name, config: made, unverified } = prepared;
        let mut config = ClientConfig::clone(&made.value);
        // Without a check there is nothing that a session could vouch for.
        config.resumption = match stream.peer_addr() {
            Ok(address) if !unverified => {
                self.shared.sessions.of(Key { config: made.number, address, name: name.clone() })
            }
            _ => rustls::client::Resumption::disabled(),
        };
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = connecting.await.map_err(|error| Outcome::Failed(connection(&error)))?;
        let ends = stream.get_ref().1.peer_certificates().and_then(|chain| self.shared.ends(chain.first()?));
        let now = (self.shared.now)();
        if ends.is_some_and(|ends| ends < now) && !unverified {
            // A session that is taken up is older than this moment.
            let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
            return Err(Outcome::Failed(fault(&expired)));
        }
        // Without days nothing is soon, not even what has ended and is not checked.
        let asked = !spec.certificate_expiry.is_zero();
        let soon = |ends: Timestamp| {
            asked && now.checked_add(spec.certificate_expiry).is_ok_and(|later| ends < later)
        };
        Ok((stream, ends.map(|ends| Certificate { ends, soon: soon(ends) })))
    }
}

impl Shared {
    fn config(&self, target: &Target, tls: &TlsSpec, alpn: Alpn) -> Result<Numbered<ClientConfig>, Outcome> {
        let unread = || not_asked(Reason::NotYetProbed, "What probe.tls names is being read.");
        let authorities = match &tls.authorities {
            Some(need) => Some(self.vault.authorities(need).ok_or_else(unread)?),
            None => None,
        };
        let certificate = match &tls.client_certificate {
            Some(need) => {
                let name = tls.server_name.as_deref();
                Some(self.vault.client_certificate(need, target, name).ok_or_else(unread)?)
            }
            None => None,
        };
        let made = Made {
            authorities: authorities.as_ref().map(|found| found.number),
            certificate: certificate.as_ref().map(|found| found.number),
            unverified: tls.unverified,
            alpn,
        };
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(&made) {
            return Ok(config.clone());
        }
        let ours =
            |_| not_asked(Reason::ProbeInfrastructureSuspect, "TLS cannot be set up here; see the log.");
        let roots = authorities.map_or_else(|| Arc::clone(self.system_roots()), |found| found.value);
        if roots.is_empty() && !tls.unverified {
            let what = "There are no certificate authorities on this machine: set SSL_CERT_FILE, or caRef.";
            return Err(not_asked(Reason::ProbeInfrastructureSuspect, what));
        }
        let verifier = Verifier::new(roots, &self.provider, tls.unverified).map_err(ours)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(ours)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match certificate {
            Some(found) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(found.value))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = match alpn {
            Alpn::None => Vec::new(),
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Http2 => vec![b"h2".to_vec()],
        };
        if configs.len() >= MAX_CONFIGS {
            // Those of renewed certificates are never asked for again; the others are soon made anew.
            configs.clear();
        }
        let config = self.vault.number(config);
        configs.insert(made, config.clone());
        Ok(config)
    }

    /// The authorities of this machine (`SSL_CERT_FILE`, `SSL_CERT_DIR`, else the system's places), read once.
    fn system_roots(&self) -> &Arc<RootCertStore> {
        self.system.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            let (taken, left) = roots.add_parsable_certificates(found.certs);
            if taken == 0 {
                tracing::warn!(
                    left,
                    errors = found.errors.len(),
                    "this machine has no certificate authorities"
                );
            }
            Arc::new(roots)
        })
    }

    /// When a certificate ends. The check of a chain finds that first; so this asks it about a day that no
    /// certificate lives to see.
    fn ends(&self, certificate: &CertificateDer<'_>) -> Option<Timestamp> {
        let leaf = ParsedCertificate::try_from(certificate).ok()?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let nobody = RootCertStore::empty();
        match verify_server_cert_signed_by_trust_anchor(&leaf, &nobody, &[], FAR, algorithms) {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => {
                let seconds = i64::try_from(not_after.as_secs()).ok()?;
                Some(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
            }
            _ => None,
        }
    }
}

/// Checks a certificate, or says in so many words that it does not.
#[derive(Debug)]
struct Verifier {
    /// `None`: nothing is checked.
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(
        roots: Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
        unverified: bool,
    ) -> Result<Verifier, rustls::Error> {
        let builder = || WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
        let inner = if unverified {
            None
        } else {
            Some(builder().map_err(|error| rustls::Error::General(error.to_string()))?)
        };
        Ok(Verifier { inner, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if chain.len() > MAX_CHAIN {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        match &self.inner {
            Some(inner) => inner.verify_server_cert(leaf, chain, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
