//! Secrets and `ConfigMaps` of a tenant: read only where the tenant lets us, one by one, and shown to nobody.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::{ACCOUNT, Bed, Orchestrator, aep, condition, http_get, target};
use crate::support::{Authority, TlsAgent, Version, eventually, stays};

const SOON: Duration = Duration::from_secs(30);
const NAMESPACE: &str = "team-a";
const FIRST: &str = "first-0c9b1e-token";
const SECOND: &str = "second-77ad20-token";
const FLAGS: [&str; 4] = [
    "--secret-reader-role=test-secrets",
    "--configmap-reader-role=test-maps",
    "--log-level=trace",
    "--certificate-expiry-days=30",
];

fn reader(name: &str, resource: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}],
    })
}

fn secret(token: &str, hosts: Option<&str>) -> Value {
    let mut metadata = json!({"namespace": NAMESPACE, "name": "token"});
    if let Some(hosts) = hosts {
        metadata["labels"] = json!({"agents.configurable.dev/probe-credential": "true"});
        metadata["annotations"] = json!({"agents.configurable.dev/allowed-hosts": hosts});
    }
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": token}})
}

struct Tenant {
    bed: Bed,
    agent: TlsAgent,
    authority: Authority,
}

impl Tenant {
    async fn start() -> Tenant {
        let bed = Bed::start(Version::V1_36).await;
        let authority = Authority::new();
        let server = authority.issue(&["127.0.0.1"], |_| {});
        let agent = TlsAgent::start(server.config(&[&rustls::version::TLS13], None)).await;
        bed.plane.kubectl(&["create", "namespace", NAMESPACE]).await.ok();
        bed.apply(&reader("test-secrets", "secrets")).await;
        bed.apply(&reader("test-maps", "configmaps")).await;
        Tenant { bed, agent, authority }
    }

    async fn apply_endpoint(&self) {
        let probe = json!({
            "periodSeconds": 1,
            "tls": {"caRef": {"name": "ca"}},
            "credentialsRef": {"name": "token"},
        });
        let spec = json!({"targets": [target(self.agent.address)], "probe": probe});
        self.bed.apply(&aep(NAMESPACE, "research", &spec)).await;
    }

    async fn message(&self, kind: &str) -> String {
        let object = self.bed.endpoint(NAMESPACE, "research").await;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|condition| condition["type"] == kind);
        found.and_then(|condition| condition["message"].as_str()).unwrap_or_default().to_owned()
    }

    async fn becomes(&self, kind: &str, expected: &str) -> Duration {
        let began = Instant::now();
        eventually(SOON, &format!("{kind} is {expected}"), async || {
            let object = self.bed.endpoint(NAMESPACE, "research").await;
            let found = condition(&object, kind);
            if found == expected { Ok(()) } else { Err(format!("{found}: {}", self.message(kind).await)) }
        })
        .await;
        began.elapsed()
    }

    /// Applies what the status prints, as it is.
    async fn apply_grant(&self) {
        let message = self.message("Accepted").await;
        let grant = message.split_once("Apply: ").unwrap_or_else(|| panic!("{message}")).1;
        self.bed.plane.kubectl_stdin(&["apply", "-f", "-"], grant).await.ok();
    }
}

async fn nothing_shows(tenant: &Tenant, orchestrator: &Orchestrator, words: &[&str]) {
    let mut seen = vec![orchestrator.process.logs()];
    for what in ["agentendpoints", "events", "leases"] {
        seen.push(tenant.bed.plane.kubectl(&["get", what, "-A", "-o", "yaml"]).await.ok().stdout);
    }
    for path in [
        "/metrics",
        "/ui/",
        "/ui/endpoints/team-a/research",
        "/api/v1/endpoints",
        "/api/v1/endpoints/team-a/research",
    ] {
        let (status, text) = http_get(orchestrator.port, path).await;
        assert!(status != 0, "{path}");
        seen.push(text);
    }
    for word in words {
        assert!(!seen.iter().any(|text| text.contains(word)), "{word} is shown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_lets_a_secret_be_read_by_what_the_status_prints_and_a_new_token_is_used_within_seconds() {
    let tenant = Tenant::start().await;
    let bed = &tenant.bed;
    let kubeconfig = bed.kubeconfig(None).await;
    let mark = bed.plane.audit_mark();
    let orchestrator = bed.orchestrator(&kubeconfig, "none", &FLAGS);
    tenant.agent.want(Some(&format!("Bearer {FIRST}")));
    tenant.apply_endpoint().await;

    // No right at all; then the one for ConfigMaps; then both. Each time what the status says is what helps.
    tenant.becomes("Accepted", "False/SecretNotPermitted").await;
    assert!(tenant.message("Accepted").await.contains("ConfigMap ca"));
    tenant.apply_grant().await;
    tenant.becomes("Accepted", "False/SecretNotFound").await;
    bed.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": NAMESPACE, "name": "ca"},
        "data": {"ca.crt": "no certificate"},
    }))
    .await;
    tenant.becomes("Accepted", "False/CABundleInvalid").await;
    bed.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": NAMESPACE, "name": "ca"},
        "data": {"ca.crt": tenant.authority.pem},
    }))
    .await;
    tenant.becomes("Accepted", "False/SecretNotPermitted").await;
    assert!(tenant.message("Accepted").await.contains("Secret token"));
    tenant.apply_grant().await;
    tenant.becomes("Accepted", "False/SecretNotFound").await;
    bed.apply(&secret(FIRST, None)).await;
    tenant.becomes("Accepted", "False/SecretNotPermitted").await;
    assert!(tenant.message("Accepted").await.contains("opt in"), "{}", tenant.message("Accepted").await);
    bed.apply(&secret(FIRST, Some("other.example"))).await;
    eventually(SOON, "the host is not named", async || {
        tenant.message("Accepted").await.contains("may not be shown to 127.0.0.1")
    })
    .await;
    let connections = || tenant.agent.seen.connections.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(connections(), 0, "nothing was sent so far");
    bed.apply(&secret(FIRST, Some("127.0.0.1"))).await;
    tenant.becomes("Ready", "True/Ready").await;
    assert_eq!(tenant.agent.last_credential(), Some(format!("Bearer {FIRST}")));

    // The agent takes the new token from now on: it is used before the verdict falls.
    tenant.agent.want(None);
    bed.apply(&secret(SECOND, Some("127.0.0.1"))).await;
    let began = Instant::now();
    let renewed = Some(format!("Bearer {SECOND}"));
    eventually(Duration::from_secs(10), "the new token is sent", async || {
        tenant.agent.last_credential() == renewed
    })
    .await;
    println!("a new token was sent {:.1} s after it was written", began.elapsed().as_secs_f64());
    let version = bed.endpoint(NAMESPACE, "research").await["metadata"]["resourceVersion"].clone();
    stays(Duration::from_secs(6), "a new token is no news", async || {
        bed.endpoint(NAMESPACE, "research").await["metadata"]["resourceVersion"] == version
    })
    .await;

    // What is taken away again is not used any more.
    tenant.agent.want(Some("Bearer nobody has it"));
    tenant.becomes("Ready", "False/CredentialsRejected").await;
    tenant.agent.want(None);
    tenant.becomes("Ready", "True/Ready").await;
    bed.plane.kubectl(&["delete", "rolebinding", "-n", NAMESPACE, "test-secrets"]).await.ok();
    tenant.becomes("Accepted", "False/SecretNotPermitted").await;
    let stopped = connections();
    stays(Duration::from_secs(3), "nothing is sent", async || connections() == stopped).await;
    tenant.apply_grant().await;
    tenant.becomes("Ready", "True/Ready").await;
    bed.plane.kubectl(&["delete", "secret", "-n", NAMESPACE, "token"]).await.ok();
    tenant.becomes("Accepted", "False/SecretNotFound").await;

    nothing_shows(&tenant, &orchestrator, &[FIRST, SECOND]).await;
    assert!(orchestrator.process.logs().contains("TRACE"), "the logs are those that say most");
    let read: Vec<_> = bed
        .plane
        .audit_since(mark)
        .into_iter()
        .filter(|event| event.user() == ACCOUNT && matches!(event.resource(), "secrets" | "configmaps"))
        .collect();
    assert!(read.len() > 10);
    for event in read {
        let named = (event.verb(), event.namespace(), event.name());
        assert!(matches!(named, ("get", NAMESPACE, "token" | "ca")), "{named:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_in_use_is_read_at_a_bounded_rate_however_many_share_it_and_causes_no_write() {
    const ENDPOINTS: usize = 50;
    let tenant = Tenant::start().await;
    let bed = &tenant.bed;
    for (name, role) in [("s", "test-secrets"), ("m", "test-maps")] {
        let account = ACCOUNT.trim_start_matches("system:serviceaccount:");
        let binding = ["create", "rolebinding", "-n", NAMESPACE, name];
        let flags = [format!("--clusterrole={role}"), format!("--serviceaccount={account}")];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        bed.plane.kubectl(&[&binding[..], &flags].concat()).await.ok();
    }
    bed.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": NAMESPACE, "name": "ca"},
        "data": {"ca.crt": tenant.authority.pem},
    }))
    .await;
    bed.apply(&secret(FIRST, Some("127.0.0.1"))).await;
    let probe =
        json!({"periodSeconds": 1, "tls": {"caRef": {"name": "ca"}}, "credentialsRef": {"name": "token"}});
    let spec = json!({"targets": [target(tenant.agent.address)], "probe": probe});
    let objects = (0..ENDPOINTS).map(|n| aep(NAMESPACE, &format!("a{n}"), &spec));
    crate::quiet::create_all(bed, objects.collect()).await;
    let kubeconfig = bed.kubeconfig(None).await;
    let _orchestrator = bed.orchestrator(&kubeconfig, "none", &FLAGS[..2]);
    eventually(SOON, "all are ready", async || {
        let all = bed.plane.kubectl(&["get", "aep", "-n", NAMESPACE, "-o", "json"]).await.ok().json();
        let ready = |object: &&Value| condition(object, "Ready") == "True/Ready";
        all["items"].as_array().unwrap().iter().filter(ready).count() == ENDPOINTS
    })
    .await;
    let mark = bed.plane.audit_mark();
    let window = Duration::from_secs(20);
    let began = Instant::now();
    eventually(window * 2, "the window has passed", async || began.elapsed() >= window).await;
    let ours: Vec<_> =
        bed.plane.audit_since(mark).into_iter().filter(|event| event.user() == ACCOUNT).collect();
    let writes = ours.iter().filter(|event| event.is_write() && event.resource() != "leases").count();
    assert_eq!(writes, 0);
    let gets = ours.iter().filter(|event| matches!(event.resource(), "secrets" | "configmaps")).count();
    // Two objects every 5 s.
    assert!((6..=12).contains(&gets), "{gets}");
}
