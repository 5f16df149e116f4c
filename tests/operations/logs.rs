//! Logs: every line is a JSON object, and a fleet at rest says nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::{Bed, agent, get};
use crate::support::{AgentFarm, Behaviour, eventually, stays};

fn lines(text: &str) -> Vec<Value> {
    // The last line may not be whole yet.
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    whole.lines().map(parse).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_parses_and_a_transition_names_its_object() {
    let bed = Bed::start().await;
    let good = agent();
    bed.declare("research", good.port(), &json!({}));
    std::fs::write(bed.manifests().join("bad.yaml"), "kind: [AgentEndpoint\n\"line\nbreak\u{7}").unwrap();
    let o = bed.orchestrator(&["--log-format=json"]).await;
    o.shows("endpoint_ready", &[("name", "research")], |value| value == 1.0).await;
    good.stop().await;
    o.shows("endpoint_ready", &[("name", "research")], |value| value == 0.0).await;
    let told = eventually(Duration::from_secs(10), "the transition is told", async || {
        lines(&o.process.stderr()).into_iter().find(|line| line["reason"] == "BecameFailing")
    })
    .await;
    let of = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (of("kind"), of("namespace"), of("name")),
        ("AgentEndpoint".into(), "default".into(), "research".into())
    );
    assert_eq!(of("level"), "WARN");
    assert!(of("timestamp").ends_with('Z') && of("message").contains("ConnectionRefused"), "{told}");
    o.process.term();
    o.process.wait_exit(Duration::from_secs(20)).await;
    let all = lines(&o.process.stderr());
    assert!(all.len() > 3, "{all:?}");
    assert!(o.process.stdout().is_empty(), "standard output is for data: {}", o.process.stdout());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_endpoints_at_rest_say_nothing_for_half_a_minute() {
    let bed = Bed::start().await;
    let farm = AgentFarm::start(1000, Behaviour::Ok);
    for (number, address) in farm.agents().iter().enumerate() {
        let host = address.ip().to_string();
        bed.declare_in(
            "fleet",
            &format!("e{number}"),
            &host,
            address.port(),
            &json!({"periodSeconds": 5, "timeoutSeconds": 3}),
        );
        if number % 50 == 0 {
            // Fails in ever new words.
            farm.set_for(address.ip(), Some(Behaviour::ChangingError));
        }
    }
    let o = bed.orchestrator(&["--log-format=json"]).await;
    o.shows("endpoints", &[("status", "ready")], |value| value == 980.0).await;
    o.shows("endpoints", &[("status", "failing")], |value| value == 20.0).await;
    o.shows("registry_mirror_pending", &[], |value| value == 0.0).await;
    // What belongs to the start is told by then.
    let registered = || lines(&o.process.stderr()).iter().filter(|l| l["reason"] == "Registered").count();
    eventually(Duration::from_secs(30), "all are registered", async || registered() == 1000).await;
    let (before, probes) = (o.process.stderr().len(), o.scrape().await.value("probes_started_total", &[]));
    stays(Duration::from_secs(30), "silence", async || {
        let text = o.process.stderr();
        if text.len() == before { Ok(()) } else { Err(text[before..].to_owned()) }
    })
    .await;
    let probed = o.scrape().await.value("probes_started_total", &[]).unwrap() - probes.unwrap();
    assert!(probed > 4000.0, "{probed} probes in 30 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_is_changed_while_it_runs_and_only_where_operations_are() {
    let bed = Bed::start().await;
    let o = bed.orchestrator(&["--log-format=json"]).await;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let put = async |port: u16, level: &'static str| {
        let answer =
            client.put(format!("http://127.0.0.1:{port}/log-level")).body(level).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let debug = || lines(&o.process.stderr()).iter().filter(|line| line["level"] == "DEBUG").count();
    assert_eq!(debug(), 0);
    assert_eq!(put(o.ops, "loud").await, (422, "`loud` is not a level\n".to_owned()));
    assert_eq!(put(o.ops, "debug").await, (200, "debug\n".to_owned()));
    let nobody = json!({"periodSeconds": 1});
    bed.declare("nobody", 1, &nobody);
    eventually(Duration::from_secs(20), "lines of that level", async || debug() > 0).await;
    assert_eq!(put(o.ops, "info").await.0, 200);
    assert_eq!(get(o.ops, "/log-level", None).await, (200, "info\n".to_owned()));
    assert_eq!(put(o.port, "debug").await.0, 405, "the pages are read-only");
    assert_eq!(put(bed.registry.ops, "debug").await.0, 200);
}
