//! From an `AgentEndpoint` to an [`Endpoint`]: defaults filled in, and the first thing that keeps
//! the spec from being acted on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::probe::probe;
use crate::api::v1alpha1::{
    A2aLevel, AgentEndpoint, AgentEndpointSpec, Connection, Expand, RegistrationPolicy,
};
use crate::domain::address::{Host, parse_host};
use crate::domain::condition::whole_seconds;
use crate::domain::defaults::ProbeDefaults;
use crate::domain::endpoint::{Lookup, MinReady, Refusal, Registration, default_agent_id};
use crate::domain::reference::{Need, Supply, refusal_of};
use crate::domain::{Endpoint, EndpointId, Reason, Target, TargetAddress, TargetPolicy};

/// How names become absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// A name without a dot is a Service of the object's own namespace, under this domain.
    Cluster(String),
    /// Names are taken as they are.
    System,
}

/// Which explicit agent ids an object may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentIds {
    /// Those that begin with `<namespace>.`, and those that the Namespace allows.
    Namespace,
    /// Any.
    Any,
}

/// The operator's part.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What absent `probe` fields mean.
    pub defaults: ProbeDefaults,
    /// What may be dialled.
    pub policy: std::sync::Arc<TargetPolicy>,
    /// How names become absolute.
    pub naming: Naming,
    /// Which ids may be asked for.
    pub agent_ids: AgentIds,
}

/// What is known of the Service that a `serviceRef` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceFacts {
    /// There is no cluster.
    NoCluster,
    /// It does not exist.
    Missing,
    /// It has these ports (name, number).
    Ports(Vec<(Option<String>, u16)>),
}

/// What was looked up for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Needed when the spec has a `serviceRef`.
    pub service: ServiceFacts,
    /// Patterns of the Namespace's annotation `agents.configurable.dev/allowed-agent-ids`: whole
    /// ids, or beginnings with a `*` at the end.
    pub allowed_agent_ids: Vec<String>,
    /// What was found of each of [`needs`].
    pub supplies: BTreeMap<Need, Supply>,
}

/// Converts. Never fails: what is wrong becomes the endpoint's refusal.
pub fn endpoint(object: &AgentEndpoint, rules: &Rules, facts: &Facts) -> Endpoint {
    let spec = &object.spec;
    let id = id_of(&object.metadata);
    let agent_id = spec.agent_id.clone().unwrap_or_else(|| default_agent_id(&id));
    let probe = probe(spec.probe.as_ref(), &rules.defaults, &id.namespace);
    let (targets, service_refusal) = match targets(spec, &id, rules, facts) {
        Ok(targets) => (targets, None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let foreign = agent_id_refusal(spec, &id, rules, facts);
    let claims = foreign.is_none();
    let refusal = denied_literal(&targets, &rules.policy)
        .or_else(|| period_refusal(spec, &rules.defaults))
        .or(foreign)
        .or_else(|| unsupported(spec))
        .or(service_refusal)
        .or_else(|| refusal_of(&probe, &targets, &facts.supplies));
    Endpoint {
        uid: object.metadata.uid.clone().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        created: created(&object.metadata),
        targets,
        probe,
        min_ready: min_ready(&spec.min_ready),
        // Whoever may not have an id does not claim it either.
        registration: Registration { mirror: claims && mirrors(spec), ..registration(spec, &id) },
        agent_id,
        suspended: spec.suspend,
        refusal,
        id,
    }
}

/// The endpoint for an object that this release cannot read: not accepted, nothing is probed.
pub fn undecodable(metadata: &ObjectMeta, error: &str, defaults: &ProbeDefaults) -> Endpoint {
    let id = id_of(metadata);
    Endpoint {
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        created: created(metadata),
        targets: Vec::new(),
        probe: probe(None, defaults, &id.namespace),
        min_ready: MinReady::Percent(100),
        agent_id: default_agent_id(&id),
        registration: Registration {
            mirror: false,
            agent_name: id.name.clone(),
            url: None,
            ttl_seconds: 60,
            capabilities: Vec::new(),
            metadata: std::collections::BTreeMap::new(),
        },
        suspended: false,
        refusal: Some(Refusal {
            reason: Reason::NotSupported,
            message: format!("This release cannot read the object: {error}. Correct it, or upgrade."),
            stalled: false,
        }),
        id,
    }
}

fn id_of(metadata: &ObjectMeta) -> EndpointId {
    EndpointId::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

fn created(metadata: &ObjectMeta) -> Timestamp {
    metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| whole_seconds(time.0))
}

/// What the probe of an object needs of Secrets and `ConfigMaps`.
pub fn needs(object: &AgentEndpoint) -> Vec<Need> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    probe(object.spec.probe.as_ref(), &ProbeDefaults::default(), namespace).needs()
}

fn min_ready(value: &IntOrString) -> MinReady {
    match value {
        IntOrString::Int(count) => MinReady::Count(u32::try_from(*count).unwrap_or(0)),
        IntOrString::String(text) => {
            let percent = text.trim_end_matches('%').parse().unwrap_or(100);
            MinReady::Percent(u32::min(percent, 100))
        }
    }
}

fn mirrors(spec: &AgentEndpointSpec) -> bool {
    spec.registration.policy == RegistrationPolicy::Mirror
}

fn registration(spec: &AgentEndpointSpec, id: &EndpointId) -> Registration {
    let registration = &spec.registration;
    Registration {
        mirror: mirrors(spec),
        agent_name: registration.agent_name.clone().unwrap_or_else(|| id.name.clone()),
        url: registration.url.clone(),
        ttl_seconds: u32::try_from(registration.ttl_seconds).unwrap_or(60).clamp(15, 3600),
        capabilities: registration.capabilities.clone(),
        metadata: registration.metadata.clone(),
    }
}

fn targets(
    spec: &AgentEndpointSpec,
    id: &EndpointId,
    rules: &Rules,
    facts: &Facts,
) -> Result<Vec<Target>, Refusal> {
    if let Some(service) = &spec.service_ref {
        let Naming::Cluster(domain) = &rules.naming else {
            return Err(refusal(
                Reason::RequiresCluster,
                "serviceRef needs a cluster: name hosts in targets instead.",
            ));
        };
        let port = service_port(&service.name, &service.port, id, &facts.service)?;
        let host = format!("{}.{}.svc.{domain}", service.name, id.namespace);
        return Ok(vec![Target {
            lookup: Lookup::Name(host.clone()),
            address: TargetAddress { host, port },
        }]);
    }
    let target = |target: &crate::api::v1alpha1::Target| {
        let lookup = match parse_host(&target.host)? {
            Host::Literal(ip) => Lookup::Literal(ip),
            Host::Name(name) => Lookup::Name(match &rules.naming {
                Naming::Cluster(domain) if !name.contains('.') => {
                    format!("{name}.{}.svc.{domain}", id.namespace)
                }
                _ => name,
            }),
        };
        let port = u16::try_from(target.port).ok()?;
        Some(Target { address: TargetAddress { host: target.host.clone(), port }, lookup })
    };
    spec.targets
        .iter()
        .map(|t| {
            target(t).ok_or_else(|| {
                let what = format!("The target {:?} port {} cannot be used: correct it.", t.host, t.port);
                refusal(Reason::NotSupported, &what)
            })
        })
        .collect()
}

fn service_port(
    name: &str,
    wanted: &IntOrString,
    id: &EndpointId,
    service: &ServiceFacts,
) -> Result<u16, Refusal> {
    let ports = match service {
        ServiceFacts::NoCluster => {
            return Err(refusal(Reason::RequiresCluster, "serviceRef needs a cluster."));
        }
        ServiceFacts::Missing => {
            let what = format!("Service {name} does not exist in namespace {}.", id.namespace);
            return Err(refusal(Reason::ServiceNotFound, &what));
        }
        ServiceFacts::Ports(ports) => ports,
    };
    let found = ports.iter().find(|(port_name, number)| match wanted {
        IntOrString::Int(port) => i32::from(*number) == *port,
        IntOrString::String(text) => port_name.as_deref() == Some(text),
    });
    found.map(|(_, number)| *number).ok_or_else(|| {
        let wanted = match wanted {
            IntOrString::Int(port) => port.to_string(),
            IntOrString::String(text) => text.clone(),
        };
        let what = format!("Service {name} has no port {wanted}.");
        refusal(Reason::ServicePortNotFound, &what)
    })
}

fn refusal(reason: Reason, message: &str) -> Refusal {
    Refusal { reason, message: message.to_owned(), stalled: false }
}

fn denied_literal(targets: &[Target], policy: &TargetPolicy) -> Option<Refusal> {
    targets.iter().find_map(|target| {
        let Lookup::Literal(ip) = target.lookup else { return None };
        let why = policy.check(ip, target.address.port).err()?;
        Some(Refusal {
            reason: Reason::TargetNotPermitted,
            message: format!(
                "{} may not be probed ({why}): change the target, or ask the operator for --allow-targets.",
                target.address
            ),
            stalled: true,
        })
    })
}

fn period_refusal(spec: &AgentEndpointSpec, defaults: &ProbeDefaults) -> Option<Refusal> {
    let period = spec.probe.as_ref()?.period_seconds?;
    let least = defaults.min_period.as_secs();
    (u64::try_from(period).unwrap_or(0) < least).then(|| {
        let what = format!("periodSeconds must be at least {least} here (--min-period-seconds).");
        refusal(Reason::PeriodNotPermitted, &what)
    })
}

/// Does the object ask for an id that only the Namespace's word can give it?
pub fn asks_for_foreign_id(object: &AgentEndpoint, rules: &Rules) -> bool {
    let nothing =
        Facts { service: ServiceFacts::Missing, allowed_agent_ids: Vec::new(), supplies: BTreeMap::new() };
    agent_id_refusal(&object.spec, &id_of(&object.metadata), rules, &nothing).is_some()
}

fn agent_id_refusal(
    spec: &AgentEndpointSpec,
    id: &EndpointId,
    rules: &Rules,
    facts: &Facts,
) -> Option<Refusal> {
    let agent_id = spec.agent_id.as_ref()?;
    let own = agent_id.strip_prefix(&id.namespace).is_some_and(|rest| rest.starts_with('.'));
    let allowed = facts.allowed_agent_ids.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => agent_id.starts_with(beginning),
        None => agent_id == pattern,
    });
    (rules.agent_ids == AgentIds::Namespace && !own && !allowed).then(|| {
        let what = format!(
            "agentID must begin with `{}.`, or the Namespace's annotation {}/allowed-agent-ids must allow it.",
            id.namespace,
            crate::api::GROUP
        );
        refusal(Reason::AgentIDNotPermitted, &what)
    })
}

/// Fields that this release accepts and cannot act on: nothing is sent rather than half of it.
fn unsupported(spec: &AgentEndpointSpec) -> Option<Refusal> {
    let probe = spec.probe.clone().unwrap_or_default();
    let reuse = probe.http.as_ref().is_some_and(|http| http.connection == Some(Connection::Reuse));
    let expand = spec.service_ref.as_ref().is_some_and(|s| s.expand == Expand::Endpoints);
    let given = [
        (probe.a2a.as_ref().is_some_and(|a2a| a2a.level == Some(A2aLevel::Rpc)), "probe.a2a.level: RPC"),
        (probe.mcp.is_some(), "probe.mcp"),
        (reuse, "probe.http.connection: Reuse"),
        (expand, "serviceRef.expand: Endpoints"),
    ];
    let (_, field) = given.into_iter().find(|(given, _)| *given)?;
    let what = format!("spec.{field} has no effect in this release: remove it; nothing is probed meanwhile.");
    Some(refusal(Reason::NotSupported, &what))
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
