//! A real registry and a real orchestrator, as processes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use crate::support::{Proc, eventually, free_port, work_dir};
use crate::{stdout, with_env};

pub const SOON: Duration = Duration::from_secs(20);

/// A registry with its database.
pub struct Registry {
    pub url: String,
    pub files: tempfile::TempDir,
    pub process: Proc,
}

impl Registry {
    pub async fn start() -> Registry {
        let files = work_dir();
        let port = free_port(Ipv4Addr::LOCALHOST);
        let database = format!("--db-url=sqlite:///{}", files.path().join("registry.db").display());
        let args = ["agent-registry".to_owned(), "start".to_owned(), format!("--port={port}"), database];
        let process = Proc::start(&args, &[]);
        let registry = Registry { url: format!("http://127.0.0.1:{port}"), files, process };
        eventually(SOON, "the registry answers", async || {
            registry.run(&["agent-registry", "list"]).status.success()
        })
        .await;
        registry
    }

    pub fn database(&self) -> String {
        format!("sqlite:///{}", self.files.path().join("registry.db").display())
    }

    /// Runs a command that asks this registry.
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, &[])
    }

    pub fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let env = [&[("REGISTRY_URL", self.url.as_str())], env].concat();
        with_env(args, &env, self.files.path())
    }

    /// Registers an agent that must be accepted.
    pub fn register(&self, id: &str, more: &[&str]) -> Output {
        let args =
            [&["agent-registry", "register", id, "--host", "10.0.0.7", "--port", "8003"], more].concat();
        let output = self.run(&args);
        assert!(output.status.success(), "{output:?}");
        output
    }
}

/// A standalone orchestrator over manifests.
pub struct Orchestrator {
    pub url: String,
    pub files: tempfile::TempDir,
    pub process: Proc,
}

impl Orchestrator {
    /// With these manifests: file name and text.
    pub async fn start(manifests: &[(&str, String)]) -> Orchestrator {
        let files = work_dir();
        let directory: PathBuf = files.path().join("manifests");
        std::fs::create_dir(&directory).unwrap();
        for (name, text) in manifests {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let port = free_port(Ipv4Addr::LOCALHOST);
        let args = [
            "orchestrator".to_owned(),
            "start".to_owned(),
            format!("--manifests={}", directory.display()),
            format!("--db-url=sqlite:///{}", files.path().join("status.db").display()),
            format!("--port={port}"),
            "--registry-url=none".to_owned(),
            "--default-failure-threshold=2".to_owned(),
        ];
        let process = Proc::start(&args, &[]);
        let orchestrator = Orchestrator { url: format!("http://127.0.0.1:{port}"), files, process };
        eventually(SOON, "the orchestrator shows its endpoints", async || {
            let output = orchestrator.status(&["-o", "name"]);
            output.status.success() && stdout(&output).lines().count() == manifests.len()
        })
        .await;
        orchestrator
    }

    /// Runs `orchestrator status`.
    pub fn status(&self, args: &[&str]) -> Output {
        self.status_with(args, &[])
    }

    pub fn status_with(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let env = [&[("ORCHESTRATOR_URL", self.url.as_str())], env].concat();
        with_env(&[&["orchestrator", "status"], args].concat(), &env, self.directory())
    }

    pub fn directory(&self) -> &Path {
        self.files.path()
    }
}

/// A manifest with one target.
pub fn manifest(namespace: &str, name: &str, port: u16, more: &str) -> String {
    format!(
        "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\n\
         metadata: {{name: {name}, namespace: {namespace}, labels: {{tier: gold}}}}\n\
         spec:\n  targets: [{{host: 127.0.0.1, port: {port}}}]\n  probe: {{periodSeconds: 1}}\n{more}"
    )
}
