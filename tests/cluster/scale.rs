//! Two thousand endpoints.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{ACCOUNT, Bed, aep, target};
use crate::quiet::{count, create_all};
use crate::support::{AgentFarm, Behaviour, Version, eventually};

const ENDPOINTS: u16 = 2000;

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_endpoints_are_each_probed_within_a_period_of_the_start_and_none_turns_falsely() {
    let bed = Bed::start(Version::V1_36).await;
    let registry = bed.registry();
    registry.up().await;
    let farm = AgentFarm::start(ENDPOINTS, Behaviour::Ok);
    let objects = farm.agents().iter().enumerate().map(|(i, agent)| {
        aep(
            "default",
            &format!("a{i:04}"),
            &json!({"targets": [target(*agent)], "probe": {"periodSeconds": 10}}),
        )
    });
    create_all(&bed, objects.collect()).await;

    let kubeconfig = bed.kubeconfig(None).await;
    let mark = bed.plane.audit_mark();
    let started = Instant::now();
    let orchestrator = bed.orchestrator(&kubeconfig, &registry.url(), &[]);
    eventually(Duration::from_mins(1), "every agent was probed", async || {
        farm.seen().len() == usize::from(ENDPOINTS)
    })
    .await;
    let last = farm.seen().values().map(|seen| seen.first).max().unwrap() - started;
    println!(
        "the last of {ENDPOINTS} was first probed {:.1} s after the start (bound: 10 s + 1 s)",
        last.as_secs_f64()
    );
    assert!(last <= Duration::from_secs(11), "{last:?}");
    eventually(Duration::from_mins(2), "every endpoint is ready and registered", async || {
        count(&bed, "Ready", "True").await == usize::from(ENDPOINTS)
            && count(&bed, "Registered", "True").await == usize::from(ENDPOINTS)
    })
    .await;
    println!("all ready and registered {:.0} s after the start", started.elapsed().as_secs_f64());

    let (cpu, requests, from) = (orchestrator.process.cpu_seconds(), farm.requests(), Instant::now());
    let window = Duration::from_secs(30);
    eventually(window * 2, "30 s have passed at rest", async || from.elapsed() >= window).await;
    let probes = farm.requests() - requests;
    println!(
        "at rest: {probes} probes in {:.0} s, {:.2} s of CPU, RSS {} MiB (peak {} MiB), unoptimised build",
        from.elapsed().as_secs_f64(),
        orchestrator.process.cpu_seconds() - cpu,
        orchestrator.process.rss_kib() / 1024,
        orchestrator.process.peak_rss_kib() / 1024,
    );
    assert!(probes >= 200 * 30 * 95 / 100, "{probes}");

    let false_transitions = bed
        .plane
        .audit_since(mark)
        .into_iter()
        .filter(|e| e.user() == ACCOUNT && e.subresource() == "status")
        .filter(|e| {
            let conditions = e.request_object().and_then(|o| o["status"]["conditions"].as_array().cloned());
            conditions.unwrap_or_default().iter().any(|c| c["type"] == "Ready" && c["status"] == "False")
        })
        .count();
    assert_eq!(false_transitions, 0);
}
