//! Where the cluster is: kubeconfig or the pod's own credentials.

use std::path::PathBuf;
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::error::Error;
use super::meters::ApiCalls;

/// Where the cluster is.
#[derive(Clone, Debug, Default)]
pub struct ClusterSettings {
    /// `--kubeconfig`; otherwise `KUBECONFIG`, `~/.kube/config`, or the pod's own credentials.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
}

/// A connection to a cluster.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    /// Its calls, counted.
    pub calls: ApiCalls,
    /// Host and port of the API server, for the target policy.
    pub server: (String, u16),
    /// The namespace of the kubeconfig's context, or of the pod.
    pub namespace: String,
}

/// Reads the configuration. Makes no call.
pub async fn connect(settings: &ClusterSettings) -> Result<Cluster, Error> {
    let bad = |cause: String| Error::Kubeconfig { cause };
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match &settings.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|e| bad(chain(&e)))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| bad(chain(&e)))?
        }
        None => match Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            // A kubeconfig that is there and cannot be used is an error, not a reason to look elsewhere.
            Err(error) if std::env::var_os("KUBECONFIG").is_some() => return Err(bad(chain(&error))),
            Err(error) => Config::incluster()
                .map_err(|e| Error::NoCluster { cause: format!("{}; {}", chain(&error), chain(&e)) })?,
        },
    };
    // Watches have their own idle limit; everything else has our own deadline as well.
    config.connect_timeout = Some(Duration::from_secs(5));
    let uri = config.cluster_url.clone();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let server = (uri.host().unwrap_or_default().to_owned(), port);
    let namespace = config.default_namespace.clone();
    let calls = ApiCalls::default();
    let counted = tower::layer::layer_fn({
        let calls = calls.clone();
        move |service| calls.around(service)
    });
    let builder = ClientBuilder::try_from(config).map_err(|e| bad(chain(&e)))?;
    let client: Client = builder.with_layer(&counted).build();
    Ok(Cluster { client, calls, server, namespace })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
