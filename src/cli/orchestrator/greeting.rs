//! What a start says to people: where everything is.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Chosen;
use super::args::StartArgs;
use crate::cli::output::text::harmless;

/// A few lines; nothing in them has been tried yet, the log says what became of it.
pub fn text(args: &StartArgs, mode: &Chosen) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    let kind = match mode {
        Chosen::Cluster(cluster) => {
            lines.push(("api server", format!("{}:{}", cluster.server.0, cluster.server.1)));
            "cluster (--manifests DIR works without one)"
        }
        Chosen::Directory => {
            let directory = args.manifests.as_deref().unwrap_or(std::path::Path::new("."));
            lines.push(("manifests", directory.display().to_string()));
            lines.push(("database", args.db_url.clone()));
            "standalone"
        }
    };
    let registry = match args.registry_url.as_str() {
        "none" => "none: nothing is mirrored".to_owned(),
        _ => super::wiring::client(args)
            .ok()
            .flatten()
            .map_or_else(String::new, |client| client.url().to_owned()),
    };
    lines.push(("registry", registry));
    let host = if args.host.is_loopback() { "localhost".to_owned() } else { args.host.to_string() };
    let address = SocketAddr::new(args.host, args.port);
    let page = if args.host.is_loopback() { format!("{host}:{}", args.port) } else { address.to_string() };
    let base = args.base_path.trim_end_matches('/');
    lines.push(("dashboard", format!("http://{page}{base}/ui/")));
    let mut text = format!("configurable-agents {} · {kind}\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in lines {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {name:<11} {}", harmless(&value));
    }
    text + "Press Ctrl-C to stop."
}
