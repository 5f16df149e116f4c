//! At rest nothing is written but our own Lease, however the agents behave.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::{ACCOUNT, Bed, aep, condition, target};
use crate::support::{AgentFarm, Behaviour, Version, eventually, poll};

const PERIOD: u32 = 5;
const WINDOW: Duration = Duration::from_mins(2);

/// Makes many endpoints with one call.
pub async fn create_all(bed: &Bed, objects: Vec<Value>) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let kubectl = bed.plane.admin();
    kubectl.run_within(Duration::from_mins(5), &["create", "-f", "-"], Some(&list.to_string())).await.ok();
}

/// How many endpoints have a condition `kind` of `status`.
pub async fn count(bed: &Bed, kind: &str, status: &str) -> usize {
    let all = bed.plane.kubectl(&["get", "aep", "-n", "default", "-o", "json"]).await.ok().json();
    let prefix = format!("{status}/");
    all["items"].as_array().unwrap().iter().filter(|o| condition(o, kind).starts_with(&prefix)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_endpoints_at_rest_cause_no_write_but_the_leases_and_a_flip_is_still_written() {
    let bed = Bed::start(Version::V1_36).await;
    let registry = bed.registry();
    registry.up().await;
    let farm = AgentFarm::start(200, Behaviour::Ok);
    for (i, agent) in farm.agents().iter().enumerate() {
        match i {
            0..20 => farm.set_for(agent.ip(), Some(Behaviour::ChangingError)),
            20..40 => farm.set_for(agent.ip(), Some(Behaviour::ChangingBody)),
            _ => {}
        }
    }
    let object = |(i, agent): (usize, &std::net::SocketAddr)| {
        aep(
            "default",
            &format!("a{i:03}"),
            &json!({"targets": [target(*agent)], "probe": {"periodSeconds": PERIOD}}),
        )
    };
    create_all(&bed, farm.agents().iter().enumerate().map(object).collect()).await;
    let kubeconfig = bed.kubeconfig(None).await;
    let orchestrator = bed.orchestrator(&kubeconfig, &registry.url(), &[]);
    eventually(Duration::from_mins(1), "every verdict is known and registered", async || {
        count(&bed, "Ready", "True").await == 180
            && count(&bed, "Ready", "False").await == 20
            && count(&bed, "Registered", "True").await == 200
    })
    .await;

    let mark = bed.plane.audit_mark();
    let requests = farm.requests();
    let began = Instant::now();
    let flipped = farm.agents()[100].ip();
    eventually(WINDOW, "half of the window has passed", async || began.elapsed() >= WINDOW / 2).await;
    farm.set_for(flipped, Some(Behaviour::Status(503)));
    bed.wait("a100", "Ready=False", u64::from(3 * PERIOD + 2)).await;
    poll(WINDOW, async || began.elapsed() >= WINDOW).await.unwrap();
    let window = began.elapsed().as_secs_f64();
    let probes = farm.requests() - requests;
    let writes: Vec<_> =
        bed.plane.audit_since(mark).into_iter().filter(super::support::audit::AuditEvent::is_write).collect();

    let expected = 200.0 * window / f64::from(PERIOD);
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    let share = probes as f64 / expected;
    println!("{probes} probes in {window:.0} s, {:.1} % of the expected {expected:.0}", 100.0 * share);
    assert!(share >= 0.95);
    let ours = writes.iter().filter(|e| e.user() == ACCOUNT);
    let others: Vec<String> = ours
        .filter(|e| e.resource() != "leases")
        .map(|e| format!("{} {}/{} {}", e.verb(), e.resource(), e.subresource(), e.name()))
        .collect();
    let status = others.iter().filter(|w| *w == "patch agentendpoints/status a100").count();
    let events = others.iter().filter(|w| w.starts_with("create events/")).count();
    assert_eq!((status, events, others.len()), (1, 1, 2), "{others:?}");
    assert_eq!(orchestrator.metric("status_writes_total{result=\"conflict\"}").await, 0);
}
