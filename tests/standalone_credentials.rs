//! TLS and credentials without a cluster: Secrets and `ConfigMaps` are manifests beside the endpoints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Authority, Identity, Proc, TlsAgent, eventually, free_port, stays, work_dir};

const SOON: Duration = Duration::from_secs(20);
const FIRST: &str = "first-51ab0d-token";
const SECOND: &str = "second-c0ffee-token";

struct Bed {
    files: tempfile::TempDir,
    port: u16,
    process: Proc,
}

impl Bed {
    /// An orchestrator over an empty directory, on a machine that trusts `authority`.
    fn start(authority: &Authority) -> Bed {
        let files = work_dir();
        std::fs::create_dir(files.path().join("manifests")).unwrap();
        std::fs::write(files.path().join("roots.pem"), &authority.pem).unwrap();
        let port = free_port(Ipv4Addr::LOCALHOST);
        let args = [
            "orchestrator".to_owned(),
            "start".to_owned(),
            format!("--manifests={}", files.path().join("manifests").display()),
            format!("--db-url=sqlite:///{}", files.path().join("status.db").display()),
            format!("--port={port}"),
            "--registry-url=none".to_owned(),
            "--log-level=trace".to_owned(),
        ];
        let roots = files.path().join("roots.pem").display().to_string();
        Bed { process: Proc::start(&args, &[("SSL_CERT_FILE", &roots)]), files, port }
    }

    fn write(&self, file: &str, object: &Value) {
        std::fs::write(self.files.path().join("manifests").join(file), object.to_string()).unwrap();
    }

    async fn get(&self, path: &str) -> Option<String> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let answer = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
        answer.text().await.ok()
    }

    /// `status/reason: message` of a condition.
    async fn condition(&self, name: &str, kind: &str) -> Option<String> {
        let object = self.get(&format!("/api/v1/endpoints/default/{name}")).await?;
        let object: Value = serde_json::from_str(&object).ok()?;
        let found = object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)?.clone();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Some(format!("{}/{}: {}", text("status"), text("reason"), text("message")))
    }

    async fn becomes(&self, name: &str, kind: &str, expected: &str) -> String {
        eventually(SOON, &format!("{kind} of {name} is {expected}"), async || {
            let found = self.condition(name, kind).await.unwrap_or_default();
            if found.starts_with(expected) { Ok(found) } else { Err(found) }
        })
        .await
    }
}

fn endpoint(name: &str, agent: &TlsAgent, probe: &Value) -> Value {
    let mut probe = probe.clone();
    probe["periodSeconds"] = json!(1);
    json!({
        "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint", "metadata": {"name": name},
        "spec": {"targets": [{"host": "127.0.0.1", "port": agent.port()}], "probe": probe},
    })
}

fn secret(token: &str, hosts: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "token", "labels": {"agents.configurable.dev/probe-credential": "true"},
            "annotations": {"agents.configurable.dev/allowed-hosts": hosts},
        },
        "stringData": {"token": token},
    })
}

async fn agent(identity: &Identity) -> TlsAgent {
    TlsAgent::start(identity.config(&[&rustls::version::TLS13], None)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_beside_the_endpoint_is_sent_a_new_one_at_once_and_no_trace_of_either_is_left() {
    let authority = Authority::new();
    let bed = Bed::start(&Authority::new());
    let agent = agent(&authority.issue(&["127.0.0.1"], |_| {})).await;
    let probe = json!({"tls": {"caRef": {"name": "ca"}}, "credentialsRef": {"name": "token"}});
    bed.write("research.json", &endpoint("research", &agent, &probe));
    let found = bed.becomes("research", "Accepted", "False/SecretNotFound").await;
    assert!(found.contains("ConfigMap ca does not exist"), "{found}");
    bed.write(
        "ca.json",
        &json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": authority.pem},
        }),
    );
    let what = "the Secret is missing";
    eventually(SOON, what, async || {
        let found = bed.condition("research", "Accepted").await.unwrap_or_default();
        if found.contains("Secret token does not exist") { Ok(()) } else { Err(found) }
    })
    .await;
    bed.write("token.json", &secret(FIRST, "other.example"));
    let found = bed.becomes("research", "Accepted", "False/SecretNotPermitted").await;
    assert!(found.contains("may not be shown to 127.0.0.1"), "{found}");
    assert_eq!(agent.seen.connections.load(std::sync::atomic::Ordering::Relaxed), 0);
    bed.write("token.json", &secret(FIRST, "127.0.0.1"));
    bed.becomes("research", "Ready", "True/Ready").await;
    assert_eq!(agent.last_credential(), Some(format!("Bearer {FIRST}")));

    bed.write("token.json", &secret(SECOND, "127.0.0.1"));
    let renewed = Some(format!("Bearer {SECOND}"));
    eventually(SOON, "the new token is sent", async || agent.last_credential() == renewed).await;
    bed.becomes("research", "Ready", "True/Ready").await;

    // What went bad keeps what it last said, and the value is not in what is said about it.
    let mut bad = secret("", "127.0.0.1");
    bad["data"] = json!({"token": format!("{FIRST} is not base64")});
    bad.as_object_mut().unwrap().remove("stringData");
    bed.write("token.json", &bad);
    eventually(SOON, "the bad file is named", async || bed.process.logs().contains("token: must be base64"))
        .await;
    let validated = Command::new(env!("CARGO_BIN_EXE_configurable-agents"))
        .args(["validate", "-f"])
        .arg(bed.files.path().join("manifests"))
        .output()
        .unwrap();
    let mut seen = vec![
        bed.process.logs(),
        String::from_utf8_lossy(&validated.stdout).into_owned(),
        String::from_utf8_lossy(&validated.stderr).into_owned(),
    ];
    for path in ["/ui/", "/ui/endpoints/default/research", "/api/v1/endpoints", "/ui/activity", "/ui/system"]
    {
        seen.push(bed.get(path).await.unwrap());
    }
    for entry in std::fs::read_dir(bed.files.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            seen.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
        }
    }
    assert!(seen[0].contains("TRACE"), "the logs are those that say most");
    for (n, text) in seen.iter().enumerate() {
        assert!(!text.contains(FIRST) && !text.contains(SECOND), "a token is in output {n}");
    }
    std::fs::remove_file(bed.files.path().join("manifests/token.json")).unwrap();
    bed.becomes("research", "Accepted", "False/SecretNotFound").await;
    let stopped = agent.seen.connections.load(std::sync::atomic::Ordering::Relaxed);
    stays(Duration::from_secs(3), "nothing is sent", async || {
        agent.seen.connections.load(std::sync::atomic::Ordering::Relaxed) == stopped
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_authorities_are_trusted_and_whoever_checks_nothing_is_told_so_wherever_it_is_ready() {
    let authority = Authority::new();
    let bed = Bed::start(&authority);
    let known = agent(&authority.issue(&["127.0.0.1"], |_| {})).await;
    let unknown = agent(&Authority::new().issue(&["127.0.0.1"], |_| {})).await;
    let ending = agent(&authority.issue(&["127.0.0.1"], |params| {
        let soon = configurable_agents::ops::now() + Duration::from_hours(24 * 5);
        let day = soon.to_zoned(jiff::tz::TimeZone::UTC).date();
        let number = |n: i8| u8::try_from(n).unwrap();
        params.not_after =
            rcgen::date_time_ymd(i32::from(day.year()), number(day.month()), number(day.day()));
    }))
    .await;
    bed.write("known.json", &endpoint("known", &known, &json!({"tls": {}})));
    bed.write("unknown.json", &endpoint("unknown", &unknown, &json!({"tls": {}})));
    bed.write("skip.json", &endpoint("skip", &unknown, &json!({"tls": {"verification": "Skip"}})));
    bed.write("ending.json", &endpoint("ending", &ending, &json!({"tls": {}, "grpc": {}})));
    bed.becomes("known", "Ready", "True/Ready").await;
    let found = bed.becomes("unknown", "Ready", "False/TLSUntrusted").await;
    assert!(found.contains("caRef"), "{found}");
    let found = bed.becomes("skip", "Ready", "True/Ready").await;
    assert!(found.contains("No certificate is checked (verification: Skip)"), "{found}");
    let found = bed.becomes("ending", "Ready", "True/CertificateExpiringSoon").await;
    assert!(found.contains("ends in less than 14 days"), "{found}");
    bed.becomes("ending", "Degraded", "True/CertificateExpiringSoon").await;
}
