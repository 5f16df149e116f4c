//! The registry as the chart runs it on PostgreSQL: its rendered arguments, settings and environment, as processes.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use crate::helm::{name, of_kind, pods, rendered};
use crate::support::postgres::Postgres;
use crate::support::{Proc, eventually, free_port, work_dir};

const SET: &[&str] = &["--set", "registry.replicas=2", "--set", "registry.database.existingSecret=database"];

async fn call(method: reqwest::Method, url: &str, body: &str) -> (u16, String) {
    rustls::crypto::ring::default_provider().install_default().ok();
    let request = reqwest::Client::new().request(method, url).timeout(Duration::from_secs(5));
    match request.header("content-type", "application/json").body(body.to_owned()).send().await {
        Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
        Err(error) => (0, error.to_string()),
    }
}

/// Starts the container's program with what is rendered; only addresses are those of the test. Its port.
fn start(container: &Value, settings: &str, url: &str) -> (Proc, u16) {
    let port = free_port(Ipv4Addr::LOCALHOST);
    let args = container["args"].as_array().unwrap().iter().map(|arg| match arg.as_str().unwrap() {
        arg if arg.starts_with("--host=") => "--host=127.0.0.1".to_owned(),
        arg if arg.starts_with("--port=") => format!("--port={port}"),
        arg if arg.starts_with("--ops-listen=") => {
            format!("--ops-listen=127.0.0.1:{}", free_port(Ipv4Addr::LOCALHOST))
        }
        arg if arg.starts_with("--config=") => format!("--config={settings}"),
        arg => arg.to_owned(),
    });
    let args: Vec<String> = args.collect();
    let variables = container["env"].as_array().unwrap().iter().map(|variable| {
        let secret = &variable["valueFrom"]["secretKeyRef"];
        assert_eq!((&secret["name"], &secret["key"]), (&"database".into(), &"url".into()), "{variable}");
        (variable["name"].as_str().unwrap(), url)
    });
    (Proc::start(&args, &variables.collect::<Vec<_>>()), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_on_the_secrets_database_hold_the_same_agents() {
    let objects = rendered(SET);
    let pods = pods(&objects);
    let mut containers = pods.iter().flat_map(|(_, pod)| pod["spec"]["containers"].as_array().unwrap());
    let container = containers.find(|container| container["name"] == "registry").expect("the registry's pod");
    let maps = of_kind(&objects, "ConfigMap");
    let map = maps
        .into_iter()
        .find(|map| name(map).ends_with("registry-settings"))
        .expect("the registry has settings");
    let folder = work_dir();
    let settings = folder.path().join("settings.yaml");
    std::fs::write(&settings, map["data"]["settings.yaml"].as_str().unwrap()).unwrap();
    let server = Postgres::start(&["fsync=off"]);
    let url = server.database().await;
    let replicas = [(); 2].map(|()| start(container, settings.to_str().unwrap(), &url));
    let [first, second] = [0, 1].map(|n| format!("http://127.0.0.1:{}", replicas[n].1));
    for (base, (process, _)) in [&first, &second].into_iter().zip(&replicas) {
        eventually(Duration::from_secs(30), "a registry is ready", async || {
            let (status, text) = call(reqwest::Method::GET, &format!("{base}/readyz"), "").await;
            if status == 200 { Ok(()) } else { Err(format!("{text}\n{}", process.logs())) }
        })
        .await;
    }
    let agent = r#"{"agent_id": "a", "agent_name": "A", "host": "10.0.0.1", "port": 8001}"#;
    assert_eq!(call(reqwest::Method::POST, &format!("{first}/agents/register"), agent).await.0, 200);
    assert_eq!(call(reqwest::Method::POST, &format!("{second}/agents/a/heartbeat"), "").await.0, 200);
    let (status, list) = call(reqwest::Method::GET, &format!("{second}/agents"), "").await;
    assert!(status == 200 && list.contains(r#""agent_id":"a""#), "{list}");
}
