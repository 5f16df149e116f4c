//! What is wrong with a TLS connection, each with its reason and what to do. The set of sentences is closed: nothing
//! of what the target sent is in them.

use std::io::{Error, ErrorKind};

use rustls::{AlertDescription, CertificateError};

use super::http::failure;
use crate::domain::{Failure, Reason};

/// Why a handshake did not come to its end.
pub(super) fn connection(error: &Error) -> Failure {
    if let Some(failure) = within(error) {
        return failure;
    }
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            failure(Reason::ConnectionReset, "The connection was reset during the TLS handshake.")
        }
        _ => failure(
            Reason::TLSHandshakeFailed,
            "The connection was closed during the TLS handshake: does this port speak TLS?",
        ),
    }
}

/// The TLS fault that an I/O error stands for, if it does.
pub(super) fn within(error: &Error) -> Option<Failure> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(fault)
}

/// What a fault of TLS says of the target.
pub(super) fn fault(error: &rustls::Error) -> Failure {
    use rustls::Error as E;
    let (reason, message) = match error {
        E::InvalidCertificate(error) => certificate(error),
        E::NoCertificatesPresented => (Reason::TLSUntrusted, "The target shows no certificate."),
        E::AlertReceived(alert) => (Reason::TLSHandshakeFailed, alerted(*alert)),
        E::PeerIncompatible(_) => (
            Reason::TLSHandshakeFailed,
            "The target speaks no TLS that is safe: it needs version 1.2 or 1.3.",
        ),
        E::NoApplicationProtocol => {
            (Reason::TLSHandshakeFailed, "The target does not speak the probe's protocol over TLS.")
        }
        E::InvalidMessage(rustls::InvalidMessage::HandshakePayloadTooLarge) => {
            (Reason::TLSHandshakeFailed, "The target sends too many or too large certificates.")
        }
        E::InvalidMessage(_) | E::InappropriateMessage { .. } => {
            (Reason::TLSHandshakeFailed, "What answers is not TLS: correct the port, or leave out probe.tls.")
        }
        _ => (Reason::TLSHandshakeFailed, "The TLS handshake failed: the target breaks the protocol."),
    };
    failure(reason, message)
}

fn certificate(error: &CertificateError) -> (Reason, &'static str) {
    use CertificateError as C;
    match error {
        C::Expired | C::ExpiredContext { .. } => {
            (Reason::TLSCertificateExpired, "The certificate has expired: renew it.")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => (
            Reason::TLSCertificateExpired,
            "The certificate is not valid yet: compare the clocks of agent and orchestrator.",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => (
            Reason::TLSHostnameMismatch,
            "The certificate is for another name: set probe.tls.serverName, or issue it for this host.",
        ),
        C::UnknownIssuer => (
            Reason::TLSUntrusted,
            "The certificate's issuer is not trusted: name the issuer's certificate in probe.tls.caRef.",
        ),
        C::BadSignature => (
            Reason::TLSUntrusted,
            "The certificate is not signed by the trusted issuer of that name: name its issuer in probe.tls.caRef.",
        ),
        C::Revoked => (Reason::TLSUntrusted, "The certificate was revoked: renew it."),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            (Reason::TLSUntrusted, "The certificate is not one for servers: issue it with serverAuth.")
        }
        C::ApplicationVerificationFailure => {
            (Reason::TLSHandshakeFailed, "The target sends too many or too large certificates.")
        }
        C::BadEncoding => (Reason::TLSUntrusted, "The certificate cannot be read."),
        // `openssl req -x509` makes such a one. Its own type is not reachable without another crate.
        C::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            (Reason::TLSUntrusted, "The certificate is an authority's own: issue one for the server with it.")
        }
        _ => (
            Reason::TLSUntrusted,
            "The certificate is not acceptable: its form or its algorithms are not safe.",
        ),
    }
}

fn alerted(alert: AlertDescription) -> &'static str {
    use AlertDescription as A;
    match alert {
        A::ProtocolVersion | A::InsufficientSecurity => {
            "The target speaks no TLS that is safe: it needs version 1.2 or 1.3."
        }
        A::CertificateRequired | A::NoCertificate => {
            "The target wants a client certificate: name one in probe.tls.clientCertificateRef."
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => "The target refuses our client certificate, or that there is none.",
        A::UnrecognisedName => "The target knows no such name: set probe.tls.serverName.",
        A::NoApplicationProtocol => "The target does not speak the probe's protocol over TLS.",
        _ => "The target broke off the TLS handshake: see its log.",
    }
}
