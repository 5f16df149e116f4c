//! An endpoint for unit tests, to be changed where a test needs it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::endpoint::{Lookup, MinReady, OnAuthenticationRequired, Protocol, Registration};
use super::{Endpoint, EndpointId, ProbeSpec, Target, TargetAddress, Thresholds};

/// `ns/NAME` with the targets `HOST:80`, looked up by name, and a `tcp` probe every 10 s.
pub fn endpoint(name: &str, hosts: &[&str]) -> Endpoint {
    let target = |host: &&str| Target {
        address: TargetAddress { host: (*host).to_owned(), port: 80 },
        lookup: Lookup::Name((*host).to_owned()),
    };
    Endpoint {
        id: EndpointId::new("ns", name),
        uid: name.to_owned(),
        generation: 1,
        created: Timestamp::constant(1000, 0),
        targets: hosts.iter().map(target).collect(),
        probe: ProbeSpec {
            protocol: Protocol::Tcp,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(3),
            thresholds: Thresholds { failure: 3, success: 1 },
            latency_threshold: Duration::from_mins(1),
            on_authentication_required: OnAuthenticationRequired::Fail,
            tls: None,
            credential: None,
            certificate_expiry: Duration::from_hours(14 * 24),
        },
        min_ready: MinReady::Percent(100),
        agent_id: format!("ns.{name}"),
        registration: Registration {
            mirror: true,
            agent_name: name.to_owned(),
            url: None,
            ttl_seconds: 60,
            capabilities: vec![],
            metadata: BTreeMap::new(),
        },
        suspended: false,
        refusal: None,
    }
}
