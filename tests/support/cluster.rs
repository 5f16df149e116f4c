//! What a test can do on any cluster, own or the user's.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::ControlPlane;
use super::kubectl::{Background, Kubectl, Output};

impl ControlPlane {
    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.kubeconfig()
    }

    /// kubectl as the administrator, for calls that need more than the shorthands below.
    pub fn admin(&self) -> &Kubectl {
        &self.kubectl
    }

    /// kubectl as another user.
    pub fn as_user(&self, kubeconfig: &Path) -> Kubectl {
        self.kubectl.with_kubeconfig(kubeconfig)
    }

    /// One call of kubectl as the administrator.
    pub async fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl.run(args).await
    }

    /// One call of kubectl as the administrator with text on standard input.
    pub async fn kubectl_stdin(&self, args: &[&str], input: &str) -> Output {
        self.kubectl.run_stdin(args, input).await
    }

    /// A kubectl that runs on, as the administrator.
    pub fn spawn_kubectl(&self, args: &[&str]) -> Background {
        self.kubectl.spawn(args)
    }

    /// The API server's metrics.
    pub async fn metrics(&self) -> String {
        self.kubectl(&["get", "--raw", "/metrics"]).await.ok().stdout
    }

    /// Creates a namespace whose name begins with `prefix`, waits for its default `ServiceAccount`, hands back its name.
    pub async fn create_namespace(&self, prefix: &str) -> String {
        let name = format!("{prefix}-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        self.kubectl(&["create", "namespace", &name]).await.ok();
        super::eventually(Duration::from_secs(30), "the namespace's default ServiceAccount", async || {
            self.kubectl(&["-n", &name, "get", "serviceaccount", "default"]).await.status.success()
        })
        .await;
        name
    }

    /// A kubeconfig with a real token of a `ServiceAccount`, by way of another address (a proxy) when one is given.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        name: &str,
        server: Option<SocketAddr>,
    ) -> PathBuf {
        let token = self.kubectl(&["-n", namespace, "create", "token", name]).await.ok().stdout;
        let mut cluster = self.cluster.clone();
        if let Some(server) = server {
            // The certificate is of the address that the proxy stands before.
            let host = host_and_port(&self.cluster).0;
            cluster["server"] = json!(format!("https://{server}"));
            cluster["tls-server-name"] = json!(host);
        }
        let path =
            self.work.path().join(format!("{namespace}-{name}-{}.kubeconfig", uuid::Uuid::new_v4().simple()));
        write_kubeconfig(&path, &cluster, &json!({ "token": token.trim() }), namespace);
        path
    }

    /// The API server's address.
    pub fn server_addr(&self) -> SocketAddr {
        let (host, port) = host_and_port(&self.cluster);
        let addresses = (host.as_str(), port).to_socket_addrs();
        let first = addresses.unwrap_or_else(|error| panic!("{host}: {error}")).next();
        first.unwrap_or_else(|| panic!("{host} has no address"))
    }

    /// The certificate authority of the API server, PEM.
    pub async fn ca_pem(&self) -> String {
        const TEMPLATE: &str = "-o=go-template={{range .clusters}}{{index .cluster \"certificate-authority-data\" | base64decode}}{{end}}";
        self.kubectl(&["config", "view", "--raw", "--flatten", "--minify", TEMPLATE]).await.ok().stdout
    }
}

/// Host and port of the `server` of a kubeconfig's cluster.
fn host_and_port(cluster: &Value) -> (String, u16) {
    let server = cluster["server"].as_str().expect("a cluster has a server");
    let uri: http::Uri = server.parse().unwrap_or_else(|error| panic!("{server}: {error}"));
    let host = uri.host().expect("a server has a host").trim_matches(['[', ']']).to_owned();
    (host, uri.port_u16().unwrap_or(443))
}

/// Writes a kubeconfig (JSON is YAML).
pub(super) fn write_kubeconfig(path: &Path, cluster: &Value, user: &Value, namespace: &str) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{ "name": "test", "cluster": cluster }],
        "users": [{ "name": "test", "user": user }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": namespace } }],
    });
    std::fs::write(path, format!("{config:#}")).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
