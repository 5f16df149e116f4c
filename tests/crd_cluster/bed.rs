//! An API server with our CRD, and what tests ask of it.

use std::time::Duration;

use configurable_agents::api::{GROUP, VERSION, schema};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::support::kubectl::Output;
use crate::support::{ControlPlane, Version, eventually};

pub const CRD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/agentendpoints.yaml");
pub const WAIT: Duration = Duration::from_secs(30);

/// An API server with our CRD, and a client for requests that kubectl would not let through.
pub struct Bed {
    pub plane: &'static ControlPlane,
    pub client: kube::Client,
    pub installed: Output,
}

/// What the API server said.
pub struct Answer {
    pub code: u16,
    pub body: Value,
}

impl Answer {
    pub fn accepted(self) -> Value {
        assert!((200..300).contains(&self.code), "{}: {:#}", self.code, self.body);
        self.body
    }

    /// Field and message of each cause of a refusal.
    pub fn causes(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let causes = self.body["details"]["causes"].as_array().cloned().unwrap_or_default();
        causes.iter().map(|cause| (text(&cause["field"]), text(&cause["message"]))).collect()
    }

    pub fn names(&self, path: &str) -> bool {
        self.code == 422 && self.causes().iter().any(|(field, _)| field == path)
    }
}

impl Bed {
    pub async fn on(version: Version) -> Bed {
        static INSTALLED: [OnceCell<Output>; 2] = [OnceCell::const_new(), OnceCell::const_new()];
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plane = ControlPlane::shared(version).await;
        let cell = &INSTALLED[usize::from(version == Version::V1_36)];
        let installed = cell.get_or_init(|| async {
            let output = plane.kubectl(&["apply", "-f", CRD]).await.ok();
            let name = format!("crd/agentendpoints.{GROUP}");
            plane.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", &name]).await.ok();
            eventually(WAIT, "the resource is served and published", async || {
                plane.kubectl(&["explain", "aep.spec.targets"]).await.status.success()
            })
            .await;
            output
        });
        let installed = installed.await.clone();
        let kubeconfig = Kubeconfig::read_from(plane.kubeconfig()).unwrap();
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Bed { plane, client: kube::Client::try_from(config).unwrap(), installed }
    }

    pub async fn send(&self, method: &str, path: &str, content: &str, body: String) -> Answer {
        let request = http::Request::builder().method(method).uri(path).header("content-type", content);
        let response = self.client.send(request.body(Body::from(body.into_bytes())).unwrap()).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            code,
            body: serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))),
        }
    }

    pub async fn create(&self, namespace: &str, query: &str, body: String) -> Answer {
        self.send(
            "POST",
            &format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/agentendpoints?{query}"),
            "application/json",
            body,
        )
        .await
    }

    /// What the API server says to a new object with this spec, which is not stored.
    pub async fn try_spec(&self, spec: &Value) -> Answer {
        self.create("default", "dryRun=All&fieldValidation=Strict", object("tried", spec)).await
    }

    pub async fn kubectl(&self, args: &[&str]) -> Output {
        self.plane.kubectl(args).await
    }

    pub async fn namespace(&self) -> String {
        self.plane.create_namespace("crd").await
    }

    pub async fn patch(&self, namespace: &str, name: &str, subresource: &str, change: Value) -> Answer {
        let path =
            format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/agentendpoints/{name}{subresource}");
        self.send("PATCH", &path, "application/merge-patch+json", change.to_string()).await
    }

    /// Stores an object and hands back what was stored.
    pub async fn store(&self, namespace: &str, name: &str, spec: &Value) -> Value {
        self.create(namespace, "fieldValidation=Strict", object(name, spec)).await.accepted()
    }
}

pub fn object(name: &str, spec: &Value) -> String {
    json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": "AgentEndpoint", "metadata": {"name": name}, "spec": spec}).to_string()
}

pub fn root() -> Value {
    let crd = serde_json::to_value(schema::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Calls `look` with each schema of the tree and its path, `*` for the items of a list or map.
pub fn walk(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    let below = |name: &str| {
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &below(name), look);
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            walk(&schema[key], &below("*"), look);
        }
    }
}
