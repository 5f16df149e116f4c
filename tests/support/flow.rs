//! Both directions of registration, seen through every interface: one agent is declared and probed,
//! another registers itself. Each dies and comes back. The same in standalone mode and in a cluster.

use std::net::Ipv4Addr;
use std::time::Duration;

use configurable_agents::registry_client::{AgentRegistration, Client, ClientSettings};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{TestAgent, eventually, poll};

const SOON: Duration = Duration::from_secs(40);

/// Where the two processes listen, and what the declared agent is called.
#[derive(Debug)]
pub struct Flow {
    /// The orchestrator's port.
    pub orchestrator: u16,
    /// The registry's port.
    pub registry: u16,
    /// The declared endpoint's namespace; its name is `declared`.
    pub namespace: String,
}

struct SelfRegistered {
    agent: TestAgent,
    keeping: tokio::task::JoinHandle<()>,
}

impl Flow {
    fn client(&self) -> Client {
        rustls::crypto::ring::default_provider().install_default().ok();
        let url = format!("http://127.0.0.1:{}", self.registry);
        let settings = ClientSettings { url, scope: "default".to_owned(), token_file: None };
        Client::new(&settings).unwrap()
    }

    /// An agent that lives in the registry for 3 s without a beat.
    fn start_scout(&self, port: u16) -> SelfRegistered {
        let agent = TestAgent::start(Ipv4Addr::LOCALHOST, port, super::Behaviour::Ok);
        let registration = AgentRegistration {
            agent_id: "scout".to_owned(),
            agent_name: "Scout".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: agent.port(),
            ttl_seconds: 3,
            metadata: r#"{"capability":"search"}"#.to_owned(),
        };
        let client = self.client();
        let keeping = async move { client.keep_agent(&registration, CancellationToken::new()).await };
        SelfRegistered { agent, keeping: tokio::spawn(keeping) }
    }

    async fn get(port: u16, path: &str) -> (u16, String) {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build().unwrap();
        match client.get(format!("http://127.0.0.1:{port}{path}")).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(error) => (0, error.to_string()),
        }
    }

    async fn page(&self, path: &str) -> String {
        let (status, body) = Flow::get(self.orchestrator, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn alive(&self, id: &str) -> Option<bool> {
        let (_, body) = Flow::get(self.registry, &format!("/agents/{id}")).await;
        serde_json::from_str::<Value>(&body).ok()?["is_alive"].as_bool()
    }

    /// What a command prints on standard output, when it succeeds.
    async fn command(&self, args: &[&str]) -> String {
        let program = env!("CARGO_BIN_EXE_configurable-agents");
        let mut command = tokio::process::Command::new(program);
        command.args(args).kill_on_drop(true);
        command.env("ORCHESTRATOR_URL", format!("http://127.0.0.1:{}", self.orchestrator));
        command.env("REGISTRY_URL", format!("http://127.0.0.1:{}", self.registry));
        let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await.unwrap().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {} {error}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// The line of a table that has this word.
    fn line<'a>(table: &'a str, word: &str) -> Option<&'a str> {
        table.lines().find(|line| line.split_whitespace().any(|cell| cell == word))
    }

    async fn discovered(&self, id: &str, alive: &str) -> Result<(), String> {
        let table = self.command(&["orchestrator", "discover", "--include-dead"]).await;
        let line = Flow::line(&table, id).unwrap_or_default();
        let good = line.split_whitespace().any(|cell| cell == alive);
        if good { Ok(()) } else { Err(table) }
    }

    /// The declared agent has this word everywhere.
    async fn declared_is(&self, word: &str, alive: &str) {
        let id = format!("{}.declared", self.namespace);
        eventually(SOON, &format!("the declared agent is {word} everywhere"), async || {
            let status = self.command(&["orchestrator", "status", "--all"]).await;
            let line = Flow::line(&status, "declared").unwrap_or_default();
            if !line.split_whitespace().any(|cell| cell == word) {
                return Err(format!("status:\n{status}"));
            }
            let page = self.page(&format!("/ui/endpoints/{}/declared", self.namespace)).await;
            if !page.contains(word) {
                return Err(format!("page:\n{page}"));
            }
            if self.alive(&id).await != Some(alive == "yes") {
                return Err(format!("{id} in the registry: {:?}", self.alive(&id).await));
            }
            if !self.page("/ui/registry").await.contains(&id) {
                return Err("not on the registry's page".to_owned());
            }
            self.discovered(&id, alive).await.map_err(|table| format!("discover:\n{table}"))
        })
        .await;
    }

    async fn scout_is(&self, alive: &str) {
        eventually(SOON, &format!("the self-registered agent is alive: {alive}"), async || {
            if self.alive("scout").await != Some(alive == "yes") {
                return Err("registry".to_owned());
            }
            self.discovered("scout", alive).await.map_err(|table| format!("discover:\n{table}"))?;
            let living = self.command(&["orchestrator", "discover", "-o", "name"]).await;
            if living.contains("scout") != (alive == "yes") {
                return Err(format!("discover without --include-dead: {living}"));
            }
            let page = self.page("/ui/registry?q=scout").await;
            let expired = self.page("/ui/registry?q=scout&state=expired").await;
            let listed = |page: &str| page.contains("scout") && page.contains("Scout");
            if !listed(&page) || listed(&expired) == (alive == "yes") {
                return Err(format!("registry page:\n{page}\nexpired:\n{expired}"));
            }
            Ok(())
        })
        .await;
    }

    /// The story. `agent` is where the declared endpoint's one target points.
    pub async fn both_directions(&self, agent: &TestAgent) {
        let scout = self.start_scout(0);
        self.declared_is("Ready", "yes").await;
        self.scout_is("yes").await;
        // One interface counts both, and they are told apart by who speaks of them.
        let found = poll(SOON, async || {
            let table = self.command(&["orchestrator", "discover"]).await;
            let both = table.lines().count() == 3
                && table.contains("self-registered")
                && table.contains(&format!("{}/declared", self.namespace));
            if both { Ok(()) } else { Err(table) }
        });
        found.await.unwrap();
        let filtered = self.command(&["orchestrator", "discover", "--filters", "capability=sea*"]).await;
        assert!(filtered.contains("scout") && !filtered.contains("declared"), "{filtered}");

        agent.stop().await;
        self.declared_is("Failing", "no").await;
        agent.start_again();
        self.declared_is("Ready", "yes").await;

        // Dies without a word.
        let port = scout.agent.port();
        scout.keeping.abort();
        scout.agent.stop().await;
        self.scout_is("no").await;
        let _scout = self.start_scout(port);
        self.scout_is("yes").await;
        self.declared_is("Ready", "yes").await;
    }
}
