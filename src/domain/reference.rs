//! What a probe needs of a `Secret` or `ConfigMap`, and whether it may have it. Decided here for both
//! modes, on what somebody else has read; no value of a Secret ever comes here.

use std::collections::BTreeMap;

use super::endpoint::{Lookup, ProbeSpec, Refusal};
use super::{Reason, Target};

/// The label by which a Secret opts in, with the value `true`.
pub const OPT_IN_LABEL: &str = "agents.configurable.dev/probe-credential";
/// The annotation in which a Secret names the hosts that may see it, comma-separated.
pub const HOSTS_ANNOTATION: &str = "agents.configurable.dev/allowed-hosts";
/// What a `kubernetes.io/tls` Secret calls its parts.
pub const CERTIFICATE_KEY: &str = "tls.crt";
/// What a `kubernetes.io/tls` Secret calls its private key.
pub const PRIVATE_KEY_KEY: &str = "tls.key";
/// Hosts that one Secret may name.
const MAX_HOSTS: usize = 256;

/// A kind of object that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// `Secret`.
    Secret,
    /// `ConfigMap`.
    ConfigMap,
}

impl ReferenceKind {
    /// As it stands in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReferenceKind::Secret => "Secret",
            ReferenceKind::ConfigMap => "ConfigMap",
        }
    }
}

/// An object of the endpoint's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Its kind.
    pub kind: ReferenceKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// What is needed of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// Certificate authorities.
    Authorities {
        /// Where they are.
        of: Reference,
        /// Under which key.
        key: String,
    },
    /// A certificate and its private key.
    ClientCertificate {
        /// Where they are.
        of: Reference,
    },
    /// Something that is sent.
    Credential {
        /// Where it is.
        of: Reference,
        /// Under which key.
        key: String,
    },
}

impl Need {
    /// The object.
    pub const fn reference(&self) -> &Reference {
        match self {
            Need::Authorities { of, .. } | Need::ClientCertificate { of } | Need::Credential { of, .. } => of,
        }
    }

    /// True for what proves who we are: only a Secret that opts in gives it, and only to the hosts that it
    /// names. Authorities are shown to nobody.
    pub const fn is_credential(&self) -> bool {
        !matches!(self, Need::Authorities { .. })
    }
}

/// TLS towards a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsSpec {
    /// Who vouches for the target; `None`: this system's authorities.
    pub authorities: Option<Need>,
    /// The name that is asked for and checked; `None`: the target's host.
    pub server_name: Option<String>,
    /// With what we identify ourselves.
    pub client_certificate: Option<Need>,
    /// False: nothing of the target's certificate is checked.
    pub unverified: bool,
}

/// A credential in a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialSpec {
    /// Where it is.
    pub need: Need,
    /// The header's name.
    pub header: String,
    /// What stands before it.
    pub prefix: String,
}

impl ProbeSpec {
    /// Everything that it needs, in the order in which faults are told.
    pub fn needs(&self) -> Vec<Need> {
        let tls = self.tls.iter().flat_map(|tls| tls.authorities.iter().chain(&tls.client_certificate));
        tls.chain(self.credential.iter().map(|credential| &credential.need)).cloned().collect()
    }
}

/// Whom a Secret may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    opted_in: bool,
    hosts: Vec<HostPattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPattern {
    /// Of `*.example.com` what follows the star, dot included.
    name: String,
    below: bool,
    port: Option<u16>,
}

impl HostPattern {
    /// `host`, `*.domain`, each perhaps with `:port`; an IPv6 address with a port stands in brackets.
    fn parse(text: &str) -> Option<HostPattern> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name, Some(port.parse().ok()?))
            }
            _ => (text, None),
        };
        let name = name.trim_matches(['[', ']']).to_ascii_lowercase();
        match name.strip_prefix('*') {
            // A star alone would name no host at all.
            Some(domain) if domain.len() > 1 && domain.starts_with('.') && !domain.contains('*') => {
                Some(HostPattern { name: domain.to_owned(), below: true, port })
            }
            Some(_) => None,
            None if name.is_empty() || name.contains('*') => None,
            None => Some(HostPattern { name, below: false, port }),
        }
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let named = if self.below {
            host.strip_suffix(self.name.as_str()).is_some_and(|rest| !rest.is_empty())
        } else {
            host == self.name
        };
        named && self.port.is_none_or(|own| own == port)
    }
}

impl Permission {
    /// What the label and the annotation of a Secret say.
    pub fn new(label: Option<&str>, hosts: Option<&str>) -> Self {
        let hosts = hosts.unwrap_or_default().split(',').map(str::trim).filter(|host| !host.is_empty());
        Permission {
            opted_in: label == Some("true"),
            hosts: hosts.take(MAX_HOSTS).filter_map(HostPattern::parse).collect(),
        }
    }

    /// May this target see it? It is named as the spec or as the resolver has it; a server name that takes the
    /// place of the host in the certificate must be named too, else another's certificate would do. The error
    /// is the host that is not named; empty when the Secret does not opt in.
    pub fn check(&self, target: &Target, server_name: Option<&str>) -> Result<(), String> {
        if !self.opted_in {
            return Err(String::new());
        }
        let port = target.address.port;
        let named = |host: &str| self.hosts.iter().any(|pattern| pattern.matches(host, port));
        let host = &target.address.host;
        let resolved = matches!(&target.lookup, Lookup::Name(name) if named(name));
        if !named(host) && !resolved {
            return Err(host.clone());
        }
        match server_name {
            Some(name) if name != host && !named(name) => Err(name.to_owned()),
            _ => Ok(()),
        }
    }
}

/// What was found of a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supply {
    /// The object does not exist.
    Missing,
    /// The object may not be read by us.
    Forbidden {
        /// What grants it, to be applied as it is; empty when that is not known.
        grant: String,
    },
    /// The object was read.
    Found {
        /// Whom it may be shown.
        permission: Permission,
        /// Whether what is needed is in it.
        content: Content,
    },
}

/// Whether what is needed is in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is.
    Usable,
    /// It has no such key.
    KeyMissing(String),
    /// What is there is of no use: why, in words of ours.
    Unusable(&'static str),
}

fn refusal(reason: Reason, message: String) -> Refusal {
    Refusal { reason, message, stalled: false }
}

/// The first thing that keeps a probe from what it needs.
pub fn refusal_of(
    spec: &ProbeSpec,
    targets: &[Target],
    supplies: &BTreeMap<Need, Supply>,
) -> Option<Refusal> {
    let needs = spec.needs();
    let verified = spec.tls.as_ref().is_some_and(|tls| !tls.unverified);
    if !verified && needs.iter().any(Need::is_credential) {
        let message =
            "Credentials are sent only over TLS that is verified: set probe.tls, and no verification: Skip.";
        return Some(refusal(Reason::SecretNotPermitted, message.to_owned()));
    }
    needs.iter().find_map(|need| match supplies.get(need) {
        None | Some(Supply::Missing) => {
            let object = need.reference();
            let message = format!("{object} does not exist in namespace {}: create it.", object.namespace);
            Some(refusal(Reason::SecretNotFound, message))
        }
        Some(Supply::Forbidden { grant }) => {
            let object = need.reference();
            let message = if grant.is_empty() {
                format!("{object} may not be read: grant `get` on it to this orchestrator's account.")
            } else {
                format!("{object} may not be read. Apply: {grant}")
            };
            Some(refusal(Reason::SecretNotPermitted, message))
        }
        Some(Supply::Found { permission, content }) => {
            not_permitted(need, permission, spec, targets).or_else(|| useless(need, content))
        }
    })
}

fn not_permitted(
    need: &Need,
    permission: &Permission,
    spec: &ProbeSpec,
    targets: &[Target],
) -> Option<Refusal> {
    if !need.is_credential() {
        return None;
    }
    let server_name = spec.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
    let object = need.reference();
    let host = targets.iter().find_map(|target| permission.check(target, server_name).err())?;
    let message = if host.is_empty() {
        format!(
            "{object} does not opt in: label it {OPT_IN_LABEL}=true, and name the hosts that may see it in its annotation {HOSTS_ANNOTATION}."
        )
    } else {
        format!(
            "{object} may not be shown to {host}: its annotation {HOSTS_ANNOTATION} does not name that host."
        )
    };
    Some(refusal(Reason::SecretNotPermitted, message))
}

fn useless(need: &Need, content: &Content) -> Option<Refusal> {
    let object = need.reference();
    let (reason, message) = match (content, need) {
        (Content::Usable, _) => return None,
        (Content::KeyMissing(key), _) => {
            (Reason::SecretKeyMissing, format!("{object} has no key {key}: add it, or name another key."))
        }
        (Content::Unusable(why), Need::Authorities { key, .. }) => {
            (Reason::CABundleInvalid, format!("Key {key} of {object} is no bundle of authorities: {why}."))
        }
        (Content::Unusable(why), Need::Credential { key, .. }) => {
            (Reason::SecretKeyMissing, format!("Key {key} of {object} cannot be sent: {why}."))
        }
        (Content::Unusable(why), Need::ClientCertificate { .. }) => {
            (Reason::SecretKeyMissing, format!("{object} is no client certificate: {why}."))
        }
    };
    Some(refusal(reason, message))
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
