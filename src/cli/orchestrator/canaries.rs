//! What vouches for our own network when most targets fail at once.

use tokio::net::TcpStream;

use super::Chosen;
use super::args::{HostPort, StartArgs, all};
use crate::engine::Canary;
use crate::probe::{Resolver, ResolverSettings};

/// In a cluster the API server, the cluster's resolver, and what `--canary` names. Without one, what
/// `--canary` names, else the resolver: an isolated network may have none.
pub fn canaries(args: &StartArgs, mode: &Chosen) -> Result<Vec<Canary>, String> {
    let named: Vec<HostPort> = all(&args.canary);
    // Neither a cache nor a file is an answer.
    let settings = ResolverSettings { servers: all(&args.dns_server), hosts_file: false, uncached: true };
    let mut canaries = Vec::new();
    if let Chosen::Cluster(cluster) = mode {
        let (cluster, resolver) = (cluster.clone(), Resolver::new(&settings)?);
        let name = format!("kubernetes.default.svc.{}", args.cluster_domain);
        canaries.push(Canary::new("API server", move || {
            let cluster = cluster.clone();
            async move { cluster.answers().await }
        }));
        canaries.push(Canary::new("resolver", move || {
            let (resolver, name) = (resolver.clone(), name.clone());
            async move { resolver.knows(&name).await }
        }));
    } else if named.is_empty() {
        let resolver = Resolver::new(&settings)?;
        canaries.push(Canary::new("resolver", move || {
            let resolver = resolver.clone();
            async move { resolver.answers().await }
        }));
    }
    canaries.extend(named.into_iter().map(|HostPort { host, port }| {
        let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Canary::new(name, move || {
            let host = host.clone();
            async move { TcpStream::connect((host, port)).await.map(|_| ()).map_err(|e| e.to_string()) }
        })
    }));
    Ok(canaries)
}
