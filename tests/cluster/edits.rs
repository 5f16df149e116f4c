//! After an edit, `kubectl wait` never returns on what was true before it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{Bed, aep, target};
use crate::support::{Behaviour, TestAgent, Version};

const ROUNDS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn after_each_of_two_hundred_edits_there_and_back_the_wait_returns_on_a_probe_of_that_generation() {
    let bed = Bed::start(Version::V1_36).await;
    // One that lives, and one that is dead but lets its visitors be counted.
    let live = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let dead = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::CloseAtOnce);
    let broken = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Status(503));
    let probe = json!({"periodSeconds": 2});
    bed.apply(&aep("default", "edited", &json!({"targets": [target(live.addr())], "probe": probe}))).await;
    let kubeconfig = bed.kubeconfig(None).await;
    let _orchestrator = bed.orchestrator(&kubeconfig, "none", &[]);
    bed.wait("edited", "Ready", 30).await;

    let point_at = async |port: u16| {
        let patch = json!({"spec": {"targets": [{"host": "127.0.0.1", "port": port}]}}).to_string();
        bed.plane
            .kubectl(&["patch", "aep", "-n", "default", "edited", "--type=merge", "-p", &patch])
            .await
            .ok();
    };
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        let bad = if round % 2 == 0 { &dead } else { &broken };
        let visits = bad.connections();
        point_at(bad.port()).await;
        longest = longest.max(bed.wait("edited", "Ready=False", 10).await);
        assert!(bad.connections() > visits, "round {round}: no probe of the new target");
        let requests = live.requests();
        point_at(live.port()).await;
        longest = longest.max(bed.wait("edited", "Ready", 10).await);
        assert!(live.requests() > requests, "round {round}: no probe of the old target again");
    }
    println!(
        "{ROUNDS} rounds in {:.0} s, the longest wait {:.2} s",
        began.elapsed().as_secs_f64(),
        longest.as_secs_f64()
    );
}
