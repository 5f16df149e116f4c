//! What can be typed after `orchestrator start`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use ipnet::IpNet;

use crate::cli::LogArgs;
use crate::cli::config::ConfigArgs;

/// Where objects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Standalone with --manifests, otherwise the cluster of the kubeconfig or of the pod.
    Auto,
    /// A cluster.
    Kubernetes,
    /// A directory of manifests.
    Standalone,
}

/// Which explicit agent ids objects may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AgentIdPolicy {
    /// Those of the own namespace, and those that the Namespace's annotation allows.
    Namespace,
    /// Any.
    Any,
}

/// A comma-separated list; an empty text is an empty list, as an empty environment variable is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T: FromStr> FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(List)
    }
}

/// All items of a flag that may be given several times.
pub fn all<T: Clone>(lists: &[List<T>]) -> Vec<T> {
    lists.iter().flat_map(|list| list.0.iter().cloned()).collect()
}

/// How the orchestrator runs.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:
  configurable-agents orchestrator start --manifests agents --with-registry --with-sample-agent
  configurable-agents orchestrator start --registry-url http://agent-registry:8000
  configurable-agents orchestrator start --config orchestrator.yaml --print-config")]
pub struct StartArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1", env = "ORCHESTRATOR_HOST", hide_short_help = true)]
    pub host: IpAddr,
    /// Port to listen on: dashboard, JSON API; without --ops-listen health and metrics as well.
    #[arg(long, default_value_t = 9000, env = "ORCHESTRATOR_PORT")]
    pub port: u16,
    /// Address and port of /livez, /readyz and /metrics alone; --port serves them no more then.
    #[arg(long, value_name = "ADDRESS:PORT", env = "ORCHESTRATOR_OPS_LISTEN", hide_short_help = true)]
    pub ops_listen: Option<SocketAddr>,
    /// Metrics of single endpoints, as long as there are at most 20,000.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_name = "BOOL",
        env = "ORCHESTRATOR_METRICS_PER_ENDPOINT",
        hide_short_help = true,
        hide_possible_values = true
    )]
    pub metrics_per_endpoint: bool,
    /// URL under which others reach this orchestrator, told to the registry.
    #[arg(long, value_name = "URL", env = "ORCHESTRATOR_ADVERTISE_URL", hide_short_help = true)]
    pub advertise_url: Option<String>,
    /// Path below which the pages live, where a proxy serves other things beside them.
    #[arg(
        long,
        default_value = "/",
        value_name = "PATH",
        value_parser = crate::dashboard::base_path,
        env = "ORCHESTRATOR_BASE_PATH",
        hide_short_help = true
    )]
    pub base_path: String,
    /// Further names by which browsers reach the pages, comma-separated: NAME, .SUFFIX, or * for any.
    #[arg(long, value_name = "NAMES", env = "ORCHESTRATOR_ALLOWED_HOSTS", hide_short_help = true)]
    pub allowed_hosts: Vec<List<String>>,
    /// Where objects come from.
    #[arg(long, value_enum, default_value_t = Mode::Auto, env = "ORCHESTRATOR_MODE", hide_short_help = true)]
    pub mode: Mode,

    /// The agent registry to mirror to; `none` mirrors nothing (`AGENT_REGISTRY_URL` is read as well).
    #[arg(
        long,
        default_value = "http://localhost:8000",
        env = "REGISTRY_URL",
        value_name = "URL",
        help_heading = "Registry"
    )]
    pub registry_url: String,
    /// A file with the bearer token for the registry, read at each call.
    #[arg(
        long,
        value_name = "FILE",
        env = "REGISTRY_TOKEN_FILE",
        help_heading = "Registry",
        hide_short_help = true
    )]
    pub registry_token_file: Option<PathBuf>,
    /// The scope to write to; two clusters that share a registry use two.
    #[arg(
        long,
        default_value = "default",
        env = "REGISTRY_SCOPE",
        help_heading = "Registry",
        hide_short_help = true
    )]
    pub scope: String,
    /// Also serves a registry, on the port of --registry-url.
    #[arg(
        long,
        help_heading = "Registry",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_name = "BOOL",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub with_registry: bool,

    /// Directory of manifests: standalone mode.
    ///
    /// Its *.yaml, *.yml and *.json files, not those of directories below it.
    #[arg(long, value_name = "DIR", env = "ORCHESTRATOR_MANIFESTS", help_heading = "Standalone")]
    pub manifests: Option<PathBuf>,
    /// Where status is kept.
    #[arg(
        long,
        default_value = "sqlite:///configurable-agents.db",
        env = "ORCHESTRATOR_DB_URL",
        value_name = "URL",
        help_heading = "Standalone",
        hide_short_help = true
    )]
    pub db_url: String,
    /// Also serves a sample agent on 127.0.0.1:8001.
    #[arg(
        long,
        help_heading = "Standalone",
        hide_short_help = true,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        value_name = "BOOL",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub with_sample_agent: bool,

    /// Kubeconfig; otherwise KUBECONFIG, ~/.kube/config, or the pod's own credentials.
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, help_heading = "Cluster", hide_short_help = true)]
    pub context: Option<String>,
    /// Namespaces to watch, comma-separated; all when absent.
    #[arg(long, env = "WATCH_NAMESPACES", value_name = "NAMESPACES", help_heading = "Cluster")]
    pub watch_namespaces: Vec<List<String>>,
    /// Serves only objects with this className; without it only those without one.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        env = "ORCHESTRATOR_CLASS",
        help_heading = "Cluster",
        hide_short_help = true
    )]
    pub class: String,
    /// Name of the Lease; `configurable-agents` and the class when absent.
    #[arg(long, help_heading = "Cluster", hide_short_help = true)]
    pub lease_name: Option<String>,
    /// Namespace of the Lease; that of the pod or of the kubeconfig's context when absent.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAMESPACE",
        help_heading = "Cluster",
        hide_short_help = true
    )]
    pub lease_namespace: Option<String>,
    /// Which explicit agent ids objects may have.
    #[arg(long, value_enum, default_value_t = AgentIdPolicy::Namespace, help_heading = "Cluster", hide_short_help = true)]
    pub agent_ids: AgentIdPolicy,
    /// The cluster's DNS domain.
    #[arg(long, default_value = "cluster.local", help_heading = "Cluster", hide_short_help = true)]
    pub cluster_domain: String,
    /// DNS servers (`IP:PORT`, comma-separated) where the system's are not the cluster's.
    #[arg(long, value_name = "SERVERS", help_heading = "Cluster", hide_short_help = true)]
    pub dns_server: Vec<List<SocketAddr>>,

    /// Networks that may be probed beside the permitted ones, comma-separated.
    #[arg(
        long,
        value_name = "CIDR",
        env = "ALLOW_TARGETS",
        help_heading = "Probing",
        hide_short_help = true
    )]
    pub allow_targets: Vec<List<IpNet>>,
    /// Networks that may not be probed, whatever else allows them, comma-separated.
    #[arg(long, value_name = "CIDR", env = "DENY_TARGETS", help_heading = "Probing", hide_short_help = true)]
    pub deny_targets: Vec<List<IpNet>>,
    /// `periodSeconds` where an object says nothing.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3600), help_heading = "Probing", hide_short_help = true)]
    pub default_period_seconds: u32,
    /// `timeoutSeconds` where an object says nothing (never longer than the period).
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3600), help_heading = "Probing", hide_short_help = true)]
    pub default_timeout_seconds: u32,
    /// `failureThreshold` where an object says nothing.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10), help_heading = "Probing", hide_short_help = true)]
    pub default_failure_threshold: u32,
    /// `successThreshold` where an object says nothing.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10), help_heading = "Probing", hide_short_help = true)]
    pub default_success_threshold: u32,
    /// `latencyThresholdMilliseconds` where an object says nothing.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_600_000), help_heading = "Probing", hide_short_help = true)]
    pub default_latency_threshold_milliseconds: u32,
    /// `probe.http.path` where an object says nothing.
    #[arg(
        long,
        default_value = "/health",
        value_name = "PATH",
        help_heading = "Probing",
        hide_short_help = true
    )]
    pub default_path: String,
    /// The shortest `periodSeconds` that objects may ask for.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3600), help_heading = "Probing", hide_short_help = true)]
    pub min_period_seconds: u32,
    /// Probes in flight at most.
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Probing", hide_short_help = true)]
    pub max_in_flight: u32,
    /// Probes in flight to one host at most.
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Probing", hide_short_help = true)]
    pub max_in_flight_per_host: u32,

    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub log: LogArgs,
}
