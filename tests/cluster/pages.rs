//! What the orchestrator's port shows is what kubectl shows, on every replica, whatever is down.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::{Bed, NAMESPACE, Orchestrator, aep, http_get, target};
use crate::support::{Behaviour, TestAgent, Version, eventually};

const SOON: Duration = Duration::from_secs(30);

async fn get(replica: &Orchestrator, path: &str) -> Value {
    let (status, body) = http_get(replica.port, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

/// Conditions by name of the endpoint.
fn shown(list: &Value) -> Vec<(Value, Value)> {
    let items = list["items"].as_array().unwrap();
    let mut all: Vec<(Value, Value)> =
        items.iter().map(|o| (o["metadata"]["name"].clone(), o["status"]["conditions"].clone())).collect();
    all.sort_by_key(|(name, _)| name.to_string());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_shows_what_kubectl_shows_and_keeps_showing_it_while_the_api_server_is_gone() {
    let bed = Bed::start(Version::V1_36).await;
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    let dead = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    dead.stop().await;
    let probe = json!({"periodSeconds": 1, "failureThreshold": 2});
    for (name, agent) in [("good", &agent), ("dead", &dead)] {
        let spec = json!({"targets": [target(agent.addr())], "probe": probe});
        bed.apply(&aep("default", name, &spec)).await;
    }
    let other = json!({"className": "other", "targets": [target(agent.addr())]});
    bed.apply(&aep("default", "of-another-class", &other)).await;

    let kubeconfig = bed.kubeconfig(None).await;
    let active = bed.orchestrator(&kubeconfig, "none", &[]);
    bed.wait("good", "Ready", 30).await;
    bed.wait("dead", "Ready=False", 30).await;
    let standby = bed.orchestrator(&kubeconfig, "none", &[]);
    let kubectl = async || {
        let list = ["get", "aep", "-n", "default", "-o", "json"];
        let mut all = shown(&bed.plane.kubectl(&list).await.ok().json());
        all.retain(|(name, _)| name != "of-another-class");
        all
    };
    for replica in [&active, &standby] {
        eventually(SOON, "the page shows what kubectl shows", async || {
            http_get(replica.port, "/api/v1/endpoints").await.0 == 200
                && shown(&get(replica, "/api/v1/endpoints").await) == kubectl().await
        })
        .await;
    }
    let (first, second) = (get(&active, "/api/v1/status").await, get(&standby, "/api/v1/status").await);
    assert_eq!((&first["role"], &second["role"]), (&json!("active"), &json!("standby")));
    eventually(SOON, "the standby knows who is active", async || {
        get(&standby, "/api/v1/status").await["leader"] == first["leader"]
    })
    .await;
    assert_eq!(first["leader"], json!(bed.holder().await));
    assert_eq!(first["counts"]["Ready"], 1, "{first}");
    assert_eq!(first["counts"]["Failing"], 1, "{first}");

    // Gone: the last that was known is still there, and the page says since when.
    let before = shown(&get(&standby, "/api/v1/endpoints").await);
    bed.plane.stop_apiserver().await;
    eventually(SOON, "the trouble is named", async || {
        let status = get(&standby, "/api/v1/status").await;
        status["checks"]["agentendpoints"].as_str().is_some_and(|text| text.contains("since"))
    })
    .await;
    assert_eq!(shown(&get(&standby, "/api/v1/endpoints").await), before);
    for page in ["/ui/", "/ui/endpoints/default/good", "/ui/activity", "/ui/registry", "/ui/system"] {
        let (status, body) = http_get(standby.port, page).await;
        assert_eq!(status, 200, "{page}: {body}");
    }
    bed.plane.start_apiserver().await;

    bed.plane.kubectl(&["delete", "aep", "-n", "default", "dead"]).await.ok();
    for replica in [&active, &standby] {
        eventually(SOON, "a deleted endpoint is gone and remembered", async || {
            http_get(replica.port, "/api/v1/endpoints/default/dead").await.0 == 410
        })
        .await;
    }
    let last = get(&active, "/api/v1/activity").await["items"][0].clone();
    assert_eq!((&last["name"], &last["from"], last.get("to")), (&json!("dead"), &json!("Failing"), None));

    // The successor's page says that it is the active one.
    active.process.term();
    assert!(active.process.wait_exit(Duration::from_secs(15)).await.success());
    eventually(SOON, "the other replica is active", async || {
        get(&standby, "/api/v1/status").await["role"] == "active"
    })
    .await;
    assert_eq!(standby.process.logs().matches("panicked").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_crd_or_a_right_every_page_is_there_and_says_what_is_missing() {
    let bed = Bed::start(Version::V1_36).await;
    let kubeconfig = bed.kubeconfig(None).await;
    bed.plane
        .kubectl(&["delete", "clusterrolebinding", "configurable-agents:configurable-agents:orchestrator"])
        .await
        .ok();
    let orchestrator = bed.orchestrator(&kubeconfig, "none", &[]);
    let says = async |text: &str| {
        let (status, body) = http_get(orchestrator.port, "/ui/system").await;
        status == 200 && body.contains(text)
    };
    eventually(SOON, "the missing right is on the page", async || says("not allowed").await).await;
    bed.install_rights().await;
    bed.plane.kubectl(&["delete", "crd", "agentendpoints.agents.configurable.dev"]).await.ok();
    eventually(SOON, "the missing CRD is on the page", async || says("CRD is not installed").await).await;
    for page in ["/ui/", "/ui/activity", "/ui/registry", "/api/v1/status", "/api/v1/endpoints"] {
        let (status, body) = http_get(orchestrator.port, page).await;
        assert_eq!(status, 200, "{page}: {body}");
    }
    let leases = bed.plane.kubectl(&["get", "lease", "-n", NAMESPACE]).await.ok();
    assert!(leases.stdout.contains("configurable-agents"), "{}", leases.stdout);
}
