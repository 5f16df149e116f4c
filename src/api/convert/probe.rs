//! The `probe` of a spec, with its defaults filled in.

use std::time::Duration;

use crate::api::v1alpha1::{
    AuthenticationRequiredPolicy, CaBundleRef, CaKind, CredentialsRef, HttpMethod, Probe, Tls, Verification,
};
use crate::domain::defaults::ProbeDefaults;
use crate::domain::endpoint::{HttpProbe, Method, OnAuthenticationRequired, Protocol};
use crate::domain::reference::{CredentialSpec, Need, Reference, ReferenceKind, TlsSpec};
use crate::domain::{ProbeSpec, Thresholds};

fn seconds(value: Option<i32>, default: Duration) -> Duration {
    value.and_then(|v| u64::try_from(v).ok()).map_or(default, Duration::from_secs)
}

fn number(value: Option<i32>, default: u32) -> u32 {
    value.and_then(|v| u32::try_from(v).ok()).unwrap_or(default).max(1)
}

pub(super) fn probe(probe: Option<&Probe>, defaults: &ProbeDefaults, namespace: &str) -> ProbeSpec {
    let absent = Probe::default();
    let probe = probe.unwrap_or(&absent);
    let period = seconds(probe.period_seconds, defaults.period).max(Duration::from_millis(100));
    ProbeSpec {
        protocol: protocol(probe, defaults),
        period,
        // Also for a given one: without a period in the spec, the default may be the shorter.
        timeout: seconds(probe.timeout_seconds, defaults.timeout).min(period),
        thresholds: Thresholds {
            failure: number(probe.failure_threshold, defaults.failure_threshold),
            success: number(probe.success_threshold, defaults.success_threshold),
        },
        latency_threshold: probe
            .latency_threshold_milliseconds
            .and_then(|v| u64::try_from(v).ok())
            .map_or(defaults.latency_threshold, Duration::from_millis),
        on_authentication_required: match probe.on_authentication_required {
            Some(AuthenticationRequiredPolicy::Pass) => OnAuthenticationRequired::Pass,
            _ => OnAuthenticationRequired::Fail,
        },
        tls: probe.tls.as_ref().map(|given| tls(given, namespace)),
        credential: probe.credentials_ref.as_ref().map(|named| credential(named, namespace)),
        certificate_expiry: defaults.certificate_expiry,
    }
}

fn protocol(probe: &Probe, defaults: &ProbeDefaults) -> Protocol {
    if probe.mcp.is_some() {
        return Protocol::Other("mcp");
    }
    if probe.tcp.is_some() {
        return Protocol::Tcp;
    }
    if let Some(a2a) = &probe.a2a {
        return Protocol::A2a { card_path: a2a.card_path.clone() };
    }
    if let Some(grpc) = &probe.grpc {
        return Protocol::Grpc { service: grpc.service.clone().unwrap_or_default() };
    }
    let http = probe.http.clone().unwrap_or_default();
    let mut expected: Vec<u16> =
        http.expected_statuses.iter().filter_map(|status| u16::try_from(*status).ok()).collect();
    if expected.is_empty() {
        expected.push(200);
    }
    Protocol::Http(HttpProbe {
        path: http.path.unwrap_or_else(|| defaults.path.clone()),
        method: match http.method {
            Some(HttpMethod::Head) => Method::Head,
            _ => Method::Get,
        },
        expected_statuses: expected,
        headers: http.headers.into_iter().map(|header| (header.name, header.value)).collect(),
    })
}

fn secret(namespace: &str, name: &str) -> Reference {
    Reference { kind: ReferenceKind::Secret, namespace: namespace.to_owned(), name: name.to_owned() }
}

fn tls(tls: &Tls, namespace: &str) -> TlsSpec {
    let authorities = |named: &CaBundleRef| Need::Authorities {
        of: Reference {
            kind: match named.kind.unwrap_or_default() {
                CaKind::ConfigMap => ReferenceKind::ConfigMap,
                CaKind::Secret => ReferenceKind::Secret,
            },
            ..secret(namespace, &named.name)
        },
        key: named.key.clone().unwrap_or_else(|| "ca.crt".to_owned()),
    };
    TlsSpec {
        authorities: tls.ca_ref.as_ref().map(authorities),
        server_name: tls.server_name.clone(),
        client_certificate: tls
            .client_certificate_ref
            .as_ref()
            .map(|named| Need::ClientCertificate { of: secret(namespace, &named.name) }),
        unverified: tls.verification == Some(Verification::Skip),
    }
}

fn credential(named: &CredentialsRef, namespace: &str) -> CredentialSpec {
    let header = named.header.clone().unwrap_or_else(|| "Authorization".to_owned());
    let bearer = if header.eq_ignore_ascii_case("authorization") { "Bearer " } else { "" };
    CredentialSpec {
        need: Need::Credential {
            of: secret(namespace, &named.name),
            key: named.key.clone().unwrap_or_else(|| "token".to_owned()),
        },
        prefix: named.prefix.clone().unwrap_or_else(|| bearer.to_owned()),
        header,
    }
}
