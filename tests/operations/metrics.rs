//! Each metric moves when the thing that it names happens; promtool has nothing to say of them.

use std::time::Duration;

use serde_json::json;

use crate::bed::{Bed, Orchestrator, SOON, Scrape, agent, get, lock, shows};
use crate::support::prometheus::{program, run};
use crate::support::{Behaviour, eventually};

/// Seconds since 1970.
fn clock() -> f64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_endpoints_are_counted_as_they_come_out() {
    let bed = Bed::start().await;
    let (good, hangs) = (agent(), agent());
    hangs.set(Behaviour::Hang);
    bed.declare("good", good.port(), &json!({}));
    bed.declare("plain", good.port(), &json!({"tcp": {}}));
    bed.declare("hangs", hangs.port(), &json!({}));
    bed.declare_in("other", "nobody", "127.0.0.1", 1, &json!({}));
    let o = bed.orchestrator(&["--max-in-flight-per-host=1"]).await;
    let any = |value: f64| value > 0.0;
    let passed = [("protocol", "http"), ("result", "passed")];
    o.shows("probes_total", &[passed[0], passed[1], ("reason", "Healthy")], any).await;
    o.shows("probes_total", &[("protocol", "tcp"), ("result", "passed")], any).await;
    o.shows("probes_total", &[("result", "failed"), ("reason", "ConnectionRefused")], any).await;
    o.shows("probes_total", &[("result", "failed"), ("reason", "ResponseTimeout")], any).await;
    o.shows("probe_duration_seconds_count", &passed, any).await;
    o.shows("probe_lag_seconds_count", &[], any).await;
    o.shows("probes_started_total", &[], any).await;
    o.shows("targets", &[], |value| value == 4.0).await;
    o.shows("probes_in_flight", &[], any).await;
    // All four are one host, of which one probe at a time hangs for a second.
    o.shows("probes_waiting", &[], any).await;
    o.shows("probe_slots_missed_total", &[], any).await;
    o.shows("probe_shortest_period_seconds", &[], |value| value == 1.0).await;
    let fresh = |value: f64| (clock() - value).abs() < 10.0;
    o.shows("probe_last_completed_timestamp_seconds", &[], fresh).await;
    o.shows("objects_heard_timestamp_seconds", &[], |value| (clock() - value).abs() < 60.0).await;

    o.shows("endpoints", &[("namespace", "default"), ("status", "failing")], |value| value == 1.0).await;
    o.shows("endpoints", &[("namespace", "other"), ("status", "failing")], |value| value == 1.0).await;
    o.shows("endpoint_series", &[], |value| value == 1.0).await;
    o.shows("endpoint_ready", &[("name", "good"), ("protocol", "http")], |value| value == 1.0).await;
    o.shows("endpoint_ready", &[("name", "nobody")], |value| value == 0.0).await;
    o.shows("endpoint_info", &[("name", "nobody"), ("reason", "ConnectionRefused")], any).await;
    o.shows("endpoint_last_latency_seconds", &[("name", "good")], any).await;
    o.shows("leader", &[], |value| value == 1.0).await;
    o.shows("build_info", &[("version", env!("CARGO_PKG_VERSION"))], |value| value == 1.0).await;
    o.shows("ready", &[], |value| value == 1.0).await;
    good.stop().await;
    o.shows("endpoint_transitions_total", &[("name", "good"), ("to", "failing")], any).await;
    o.shows("endpoint_ready", &[("name", "good")], |value| value == 0.0).await;

    std::fs::write(
        bed.manifests().join("default-good.json"),
        std::fs::read_to_string(bed.manifests().join("default-good.json"))
            .unwrap()
            .replace("\"spec\":{", "\"spec\":{\"suspend\":true,"),
    )
    .unwrap();
    o.shows("endpoint_info", &[("name", "good"), ("status", "paused")], any).await;
    let scrape = o.scrape().await;
    assert_eq!(scrape.value("endpoint_ready", &[("name", "good")]), None, "nobody knows");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mirror_says_how_far_it_is_behind() {
    let mut bed = Bed::start().await;
    let good = agent();
    bed.declare("good", good.port(), &json!({}));
    let o = bed.orchestrator(&[]).await;
    let any = |value: f64| value > 0.0;
    for op in ["beat", "batch", "snapshot"] {
        o.shows("registry_mirror_total", &[("op", op), ("result", "ok")], any).await;
    }
    o.shows("registry_up", &[], |value| value == 1.0).await;
    o.shows("registry_mirrored", &[], |value| value == 1.0).await;
    o.shows("registry_mirror_items_total", &[("outcome", "applied")], any).await;
    o.shows("registry_mirror_lag_seconds_count", &[], any).await;
    o.shows("registry_mirror_pending", &[], |value| value == 0.0).await;
    shows(bed.registry.ops, "registry_agents", &[("state", "alive"), ("source", "orchestrator")], |v| {
        v == 1.0
    })
    .await;
    bed.registry.process.term();
    bed.registry.process.wait_exit(SOON).await;
    good.stop().await;
    o.shows("registry_up", &[], |value| value == 0.0).await;
    o.shows("registry_mirror_pending", &[], |value| value == 1.0).await;
    o.shows("registry_mirror_oldest_pending_seconds", &[], |value| value > 1.0).await;
    o.shows("registry_mirror_total", &[("op", "batch"), ("result", "error")], any).await;
    bed.registry.start_again();
    o.shows("registry_mirror_pending", &[], |value| value == 0.0).await;
    o.shows("registry_mirror_oldest_pending_seconds", &[], |value| value == 0.0).await;
    o.shows("registry_up", &[], |value| value == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_and_writes_say_when_they_fail_and_checks_what_is_away() {
    let bed = Bed::start().await;
    let good = agent();
    bed.declare("good", good.port(), &json!({}));
    let o = bed.orchestrator(&[]).await;
    let any = |value: f64| value > 0.0;
    o.shows("reconcile_duration_seconds_count", &[], any).await;
    o.shows("queue_wait_seconds_count", &[], any).await;
    o.shows("status_writes_total", &[("result", "ok")], any).await;
    o.shows("endpoint_ready", &[("name", "good")], |value| value == 1.0).await;
    let held = lock(&bed.status_database()).await;
    good.stop().await;
    o.shows("status_writes_total", &[("result", "error")], any).await;
    o.shows("reconcile_errors_total", &[("error", "store")], any).await;
    o.shows("queue_depth", &[], any).await;
    o.shows("queue_oldest_seconds", &[], any).await;
    o.shows("check_ok", &[("check", "database")], |value| value == 0.0).await;
    drop(held);
    o.shows("check_ok", &[("check", "database")], |value| value == 1.0).await;
    o.shows("queue_depth", &[], |value| value == 0.0).await;
    let away = bed.files.path().join("away");
    std::fs::rename(bed.manifests(), &away).unwrap();
    o.shows("check_ok", &[("check", "manifests")], |value| value == 0.0).await;
    std::fs::rename(&away, bed.manifests()).unwrap();
    o.shows("check_ok", &[("check", "manifests")], |value| value == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_template_and_followers_while_they_follow() {
    let bed = Bed::start().await;
    let o = bed.orchestrator(&[]).await;
    get(o.port, "/ui/endpoints/secret-namespace/secret-name", None).await;
    let route = ("route", "/ui/endpoints/{namespace}/{name}");
    o.shows("http_requests_total", &[route, ("method", "GET"), ("code", "404")], |value| value == 1.0).await;
    o.shows("http_request_duration_seconds_count", &[route], |value| value == 1.0).await;
    get(o.port, "/no/such/page", None).await;
    let text = get(o.ops, "/metrics", None).await.1;
    assert!(!text.contains("secret-name") && !text.contains("no/such"), "{text}");
    o.shows("sse_clients", &[], |value| value == 0.0).await;
    let follower = {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("http://127.0.0.1:{}/ui/events", o.port)).send().await.unwrap()
    };
    o.shows("sse_clients", &[], |value| value == 1.0).await;
    drop(follower);
    o.shows("sse_clients", &[], |value| value == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_counts_beats_writes_and_who_is_alive() {
    let bed = Bed::start().await;
    let (port, ops) = (bed.registry.port, bed.registry.ops);
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    let post = async |path: &str, body: String| {
        let request = client.post(format!("http://127.0.0.1:{port}{path}"));
        request.header("content-type", "application/json").body(body).send().await.unwrap().status().as_u16()
    };
    let agent = json!({"agent_id": "a", "agent_name": "A", "host": "127.0.0.1", "port": 1, "ttl_seconds": 2});
    assert_eq!(post("/agents/register", agent.to_string()).await, 200);
    shows(ops, "registry_agents", &[("state", "alive"), ("source", "agent")], |value| value == 1.0).await;
    assert_eq!(post("/agents/a/heartbeat", String::new()).await, 200);
    assert_eq!(post("/agents/nobody/heartbeat", String::new()).await, 404);
    shows(ops, "registry_heartbeats_total", &[("result", "ok")], |value| value == 1.0).await;
    shows(ops, "registry_heartbeats_total", &[("result", "unknown_agent")], |value| value == 1.0).await;
    shows(ops, "registry_store_writes_total", &[("result", "ok")], |value| value >= 2.0).await;
    let beats = [("route", "/agents/{id}/heartbeat"), ("method", "POST"), ("code", "404")];
    shows(ops, "http_requests_total", &beats, |value| value == 1.0).await;
    shows(ops, "registry_agents", &[("state", "expired"), ("source", "agent")], |value| value == 1.0).await;
    let held = lock(bed.registry.database()).await;
    assert_eq!(post("/agents/a/heartbeat", String::new()).await, 503);
    shows(ops, "registry_heartbeats_total", &[("result", "error")], |value| value == 1.0).await;
    shows(ops, "registry_store_writes_total", &[("result", "error")], |value| value >= 1.0).await;
    shows(ops, "check_ok", &[("check", "store")], |value| value == 0.0).await;
    drop(held);
    shows(ops, "check_ok", &[("check", "store")], |value| value == 1.0).await;
}

/// Everything that a scrape shows, after a little of everything happened.
async fn busy() -> (Bed, Orchestrator) {
    let bed = Bed::start().await;
    bed.declare("nobody", 1, &json!({}));
    let o = bed.orchestrator(&[]).await;
    o.shows("endpoint_ready", &[("name", "nobody")], |value| value == 0.0).await;
    get(o.port, "/ui/", None).await;
    get(bed.registry.port, "/agents", None).await;
    (bed, o)
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_to_say_of_what_is_exposed() {
    let Some(promtool) = program("promtool") else { return };
    let (bed, o) = busy().await;
    for port in [o.ops, bed.registry.ops] {
        let (_, text) = get(port, "/metrics", None).await;
        assert!(text.lines().count() > 50, "{text}");
        let (good, said) = run(&promtool, &["check", "metrics"], Some(&text)).await;
        assert!(good && said.trim().is_empty(), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openmetrics_is_given_to_those_who_ask() {
    let (_bed, o) = busy().await;
    let (_, text) = get(o.ops, "/metrics", Some("application/openmetrics-text; version=1.0.0")).await;
    assert!(text.ends_with("# EOF\n"), "{text}");
    let (_, text) = get(o.ops, "/metrics", None).await;
    assert!(!text.contains("# EOF"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exposed_family_is_in_the_reference() {
    let (bed, o) = busy().await;
    let reference = crate::files::documented();
    for port in [o.ops, bed.registry.ops] {
        let text = get(port, "/metrics", None).await.1;
        let mut families = 0;
        for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
            assert!(reference.contains(family), "{family} is not in docs/reference/metrics.md");
            families += 1;
        }
        assert!(families > 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn series_of_single_endpoints_can_be_switched_off() {
    let bed = Bed::start().await;
    bed.declare("nobody", 1, &json!({}));
    let o = bed.orchestrator(&["--metrics-per-endpoint=false"]).await;
    o.shows("endpoints", &[("status", "failing")], |value| value == 1.0).await;
    eventually(SOON, "no series", async || {
        let Scrape(samples) = o.scrape().await;
        samples.get("endpoint_series") == Some(&0.0) && !samples.keys().any(|key| key.contains("name="))
    })
    .await;
}
