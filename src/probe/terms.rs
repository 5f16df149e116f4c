//! What holds for every request of a probe: who we say we are, and what it means when that is not enough.

use http::{HeaderName, HeaderValue};

use super::http::failure;
use super::not_asked;
use crate::domain::endpoint::OnAuthenticationRequired;
use crate::domain::{Failure, Outcome, ProbeSpec, Reason, Target};
use crate::vault::Vault;

pub(super) struct Terms {
    pub authentication: OnAuthenticationRequired,
    /// Sent with every request.
    pub credential: Option<(HeaderName, HeaderValue)>,
    pub tls: bool,
}

impl Terms {
    /// Without the credential that a spec names nothing is asked: half a question would give a wrong answer. The spec
    /// was judged before; this is the last place where a credential could go astray.
    pub fn of(spec: &ProbeSpec, target: &Target, vault: &Vault) -> Result<Terms, Outcome> {
        let verified = spec.tls.as_ref().filter(|tls| !tls.unverified);
        let credential = match (&spec.credential, verified) {
            (None, _) => None,
            (Some(named), Some(tls)) => match vault.credential(named, target, tls.server_name.as_deref()) {
                Some(found) => Some(found),
                None => {
                    return Err(not_asked(Reason::NotYetProbed, "What credentialsRef names is being read."));
                }
            },
            (Some(_), None) => {
                return Err(not_asked(Reason::NotYetProbed, "Credentials are sent only over verified TLS."));
            }
        };
        Ok(Terms { authentication: spec.on_authentication_required, credential, tls: spec.tls.is_some() })
    }

    /// What it comes to that `asked` was refused for who we are, or are not.
    pub fn refused(&self, asked: &str, how: &str) -> Result<(), Failure> {
        if self.credential.is_some() {
            let what = format!("{asked} refused the credentials ({how}): renew them in the Secret.");
            return Err(failure(Reason::CredentialsRejected, what));
        }
        match self.authentication {
            OnAuthenticationRequired::Pass => Ok(()),
            OnAuthenticationRequired::Fail => Err(failure(
                Reason::AuthenticationRequired,
                format!(
                    "{asked} asks for credentials ({how}): set credentialsRef, or onAuthenticationRequired: Pass."
                ),
            )),
        }
    }
}

/// A target that refuses what we have may have been given something newer.
pub(super) fn suspect(outcome: &Outcome, spec: &ProbeSpec, vault: &Vault) {
    let Outcome::Failed(failure) = outcome else { return };
    let tls = spec.tls.as_ref();
    let need = match failure.reason {
        Reason::CredentialsRejected => spec.credential.as_ref().map(|named| &named.need),
        Reason::TLSUntrusted => tls.and_then(|tls| tls.authorities.as_ref()),
        Reason::TLSHandshakeFailed => tls.and_then(|tls| tls.client_certificate.as_ref()),
        _ => None,
    };
    if let Some(need) = need {
        vault.suspect(need);
    }
}
