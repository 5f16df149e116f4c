//! Standalone mode as a process: manifests in, verdicts out, kept across restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Behaviour, Proc, TestAgent, eventually, free_port, stays, work_dir};

const SOON: Duration = Duration::from_secs(20);

struct Bed {
    files: tempfile::TempDir,
    registry: Proc,
    registry_port: u16,
}

impl Bed {
    fn start() -> Bed {
        let files = work_dir();
        std::fs::create_dir(files.path().join("manifests")).unwrap();
        let registry_port = free_port(Ipv4Addr::LOCALHOST);
        let database = files.path().join("registry.db");
        let args = [
            "agent-registry".to_owned(),
            "start".to_owned(),
            format!("--port={registry_port}"),
            format!("--db-url=sqlite:///{}", database.display()),
        ];
        Bed { registry: Proc::start(&args, &[]), registry_port, files }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.files.path().join("manifests").join(file), text).unwrap();
    }

    fn orchestrator(&self) -> Proc {
        let args = [
            "orchestrator".to_owned(),
            "start".to_owned(),
            format!("--manifests={}", self.files.path().join("manifests").display()),
            format!("--db-url=sqlite:///{}", self.files.path().join("status.db").display()),
            format!("--port={}", free_port(Ipv4Addr::LOCALHOST)),
            format!("--registry-url=http://127.0.0.1:{}", self.registry_port),
        ];
        Proc::start(&args, &[])
    }

    async fn record(&self, id: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/v1/scopes/default/agents/{id}", self.registry_port);
        rustls::crypto::ring::default_provider().install_default().ok();
        let answer = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
        answer.status().is_success().then_some(())?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    async fn verdict(&self, id: &str) -> Option<(String, String)> {
        let contribution = self.record(id).await?["contributions"][0].clone();
        Some((contribution["status"].as_str()?.to_owned(), contribution["since"].as_str()?.to_owned()))
    }
}

fn manifest(name: &str, port: u16) -> String {
    json!({
        "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint", "metadata": {"name": name},
        "spec": {"targets": [{"host": "127.0.0.1", "port": port}], "probe": {"periodSeconds": 1, "failureThreshold": 2}},
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_probed_mirrored_and_its_verdict_survives_a_restart() {
    let bed = Bed::start();
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    bed.write("good.yaml", &manifest("good", agent.port()));
    bed.write("service.yaml", "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\nmetadata: {name: service}\nspec: {serviceRef: {name: s, port: 80}}\n");
    bed.write("broken.yaml", "kind: [AgentEndpoint\n");
    let orchestrator = bed.orchestrator();
    eventually(SOON, "the good one is ready", async || {
        bed.verdict("default.good").await.is_some_and(|v| v.0 == "Ready")
    })
    .await;
    eventually(SOON, "the other needs a cluster", async || {
        bed.record("default.service")
            .await
            .is_some_and(|r| r["contributions"][0]["reason"] == "RequiresCluster")
    })
    .await;
    let logs = orchestrator.logs();
    assert!(logs.contains("broken.yaml"), "a bad file is named and hides nothing: {logs}");

    let ready = bed.verdict("default.good").await.unwrap();
    orchestrator.term();
    assert!(orchestrator.wait_exit(Duration::from_secs(10)).await.success(), "{}", orchestrator.logs());
    let orchestrator = bed.orchestrator();
    let probes = agent.requests();
    eventually(SOON, "it is probed again", async || agent.requests() >= probes + 3).await;
    assert_eq!(bed.verdict("default.good").await.unwrap(), ready, "the verdict and its time are kept");

    agent.stop().await;
    eventually(SOON, "the failure is seen", async || {
        bed.verdict("default.good").await.is_some_and(|v| v.0 == "Failing")
    })
    .await;
    // A file that cannot be read is no word that what it may have held is gone.
    std::fs::remove_file(bed.files.path().join("manifests/good.yaml")).unwrap();
    orchestrator.term();
    assert!(orchestrator.wait_exit(Duration::from_secs(10)).await.success());
    let orchestrator = bed.orchestrator();
    stays(Duration::from_secs(5), "nothing is withdrawn", async || {
        bed.record("default.good").await.is_some()
    })
    .await;
    std::fs::remove_file(bed.files.path().join("manifests/broken.yaml")).unwrap();
    let what = "once everything can be read, what is not declared any more is withdrawn";
    eventually(SOON, what, async || bed.record("default.good").await.is_none()).await;
    // And the withdrawal of what goes while it runs.
    std::fs::remove_file(bed.files.path().join("manifests/service.yaml")).unwrap();
    let what = "a deleted file takes its record along";
    eventually(SOON, what, async || bed.record("default.service").await.is_none()).await;
    drop(orchestrator);
    assert_eq!(bed.registry.logs().matches("panicked").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_work_as_the_readme_says() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples");
    let files = work_dir();
    let args = [
        "orchestrator".to_owned(),
        "start".to_owned(),
        format!("--manifests={samples}"),
        format!("--db-url=sqlite:///{}", files.path().join("status.db").display()),
        format!("--port={}", free_port(Ipv4Addr::LOCALHOST)),
        "--registry-url=none".to_owned(),
        "--with-sample-agent".to_owned(),
    ];
    let orchestrator = Proc::start(&args, &[]);
    eventually(SOON, "one is ready and one is not", async || {
        let logs = orchestrator.logs();
        logs.contains("default/research BecameReady") && logs.contains("default/writer BecameFailing")
    })
    .await;
    orchestrator.term();
    assert!(orchestrator.wait_exit(Duration::from_secs(10)).await.success());
}

/// Takes the write lock of a database and keeps it until dropped.
async fn lock(path: &std::path::Path) -> sqlx::SqliteConnection {
    use sqlx::Connection as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
    connection
}

async fn get(port: u16, path: &str) -> Option<(u16, String)> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let url = format!("http://127.0.0.1:{port}{path}");
    let answer = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for_and_every_page_is_there_and_says_so() {
    let files = work_dir();
    let manifests = files.path().join("manifests");
    std::fs::create_dir(&manifests).unwrap();
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    std::fs::write(manifests.join("a.yaml"), manifest("good", agent.port())).unwrap();
    let (database, port) = (files.path().join("status.db"), free_port(Ipv4Addr::LOCALHOST));
    let mut locked = lock(&database).await;
    let args = [
        "orchestrator".to_owned(),
        "start".to_owned(),
        format!("--manifests={}", manifests.display()),
        format!("--db-url=sqlite:///{}", database.display()),
        format!("--port={port}"),
        "--registry-url=none".to_owned(),
    ];
    let orchestrator = Proc::start(&args, &[]);
    let says = async |word: &str| {
        let Some((status, body)) = get(port, "/api/v1/status").await else {
            return Err("no answer".to_owned());
        };
        let there = status == 200
            && serde_json::from_str::<Value>(&body).unwrap()["checks"]["database"]
                .as_str()
                .is_some_and(|text| text.contains(word));
        if there { Ok(()) } else { Err(body) }
    };
    let pages = async |words: &[&str]| {
        for page in ["/ui/", "/ui/system", "/ui/registry", "/ui/activity"] {
            let (status, body) = get(port, page).await.unwrap();
            assert_eq!(status, 200, "{page}: {body}");
        }
        let (_, body) = get(port, "/ui/system").await.unwrap();
        for word in words {
            assert!(body.contains(word), "{word}: {body}");
        }
    };
    eventually(SOON, "a database that is locked at the start is named", async || says("locked").await).await;
    pages(&["locked"]).await;
    sqlx::query("ROLLBACK").execute(&mut locked).await.unwrap();
    drop(locked);
    let word = async || {
        let (_, body) = get(port, "/api/v1/status").await?;
        let status: Value = serde_json::from_str(&body).unwrap();
        Some((status["counts"].clone(), status["checks"]["database"].clone()))
    };
    eventually(SOON, "it is ready", async || word().await.is_some_and(|w| w.0["Ready"] == 1)).await;

    let mut locked = lock(&database).await;
    agent.stop().await;
    eventually(SOON, "one that is locked later is named too", async || says("locked").await).await;
    pages(&["locked"]).await;
    // The last that was written is still shown.
    assert_eq!(word().await.unwrap().0["Ready"], 1);
    sqlx::query("ROLLBACK").execute(&mut locked).await.unwrap();
    drop(locked);
    eventually(SOON, "what was found out meanwhile is written", async || {
        word().await.is_some_and(|w| w.0["Failing"] == 1 && w.1 == "")
    })
    .await;
    orchestrator.term();
    assert!(orchestrator.wait_exit(Duration::from_secs(10)).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_belongs_to_one_orchestrator_at_a_time() {
    let bed = Bed::start();
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    bed.write("good.yaml", &manifest("good", agent.port()));
    let first = bed.orchestrator();
    eventually(SOON, "it works", async || bed.verdict("default.good").await.is_some()).await;
    let second = bed.orchestrator();
    assert_eq!(second.wait_exit(Duration::from_secs(10)).await.code(), Some(1));
    let error = second.stderr();
    assert!(
        error.contains("another orchestrator uses the database") && error.contains("--db-url"),
        "{error}"
    );
    // A killed one leaves no lock behind.
    first.kill();
    first.wait_exit(Duration::from_secs(10)).await;
    let third = bed.orchestrator();
    let probes = agent.requests();
    eventually(SOON, "its successor probes", async || agent.requests() > probes + 2).await;
    let said = third.stderr();
    assert!(said.contains("standalone") && said.contains("/ui/"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_holds_up_neither_the_end_nor_what_is_probed() {
    let files = work_dir();
    let manifests = files.path().join("manifests");
    std::fs::create_dir(&manifests).unwrap();
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    std::fs::write(manifests.join("a.yaml"), manifest("good", agent.port())).unwrap();
    let database = files.path().join("status.db");
    let args = [
        "orchestrator".to_owned(),
        "start".to_owned(),
        format!("--manifests={}", manifests.display()),
        format!("--db-url=sqlite:///{}", database.display()),
        format!("--port={}", free_port(Ipv4Addr::LOCALHOST)),
        "--registry-url=none".to_owned(),
    ];
    let orchestrator = Proc::start(&args, &[]);
    eventually(SOON, "it is ready", async || orchestrator.logs().contains("default/good BecameReady")).await;
    let _locked = lock(&database).await;
    for number in 0..20 {
        let name = format!("new{number}");
        std::fs::write(manifests.join(format!("{name}.yaml")), manifest(&name, agent.port())).unwrap();
    }
    eventually(SOON, "the lock is told", async || orchestrator.logs().contains("could not be stored")).await;
    let probes = agent.requests();
    eventually(SOON, "what was there is probed", async || agent.requests() >= probes + 2).await;
    orchestrator.term();
    // One busy timeout of 5 s, not one for each of the files.
    assert!(orchestrator.wait_exit(Duration::from_secs(9)).await.success(), "{}", orchestrator.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_bad_at_the_start_keeps_what_it_declared_when_it_was_good() {
    let bed = Bed::start();
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
    bed.write("good.yaml", &manifest("good", agent.port()));
    let orchestrator = bed.orchestrator();
    eventually(SOON, "it is ready", async || {
        bed.verdict("default.good").await.is_some_and(|v| v.0 == "Ready")
    })
    .await;
    orchestrator.term();
    assert!(orchestrator.wait_exit(Duration::from_secs(10)).await.success());
    bed.write("good.yaml", &manifest("good", agent.port()).replace("targets", "target"));
    let orchestrator = bed.orchestrator();
    let probes = agent.requests();
    eventually(SOON, "it is probed as before", async || agent.requests() >= probes + 3).await;
    assert!(orchestrator.logs().contains("stays as it was declared before"), "{}", orchestrator.logs());
    agent.stop().await;
    eventually(SOON, "and its verdict is true", async || {
        bed.verdict("default.good").await.is_some_and(|v| v.0 == "Failing")
    })
    .await;
    // Mended, and then gone: gone it is.
    bed.write("good.yaml", &manifest("good", agent.port()));
    eventually(SOON, "mended", async || orchestrator.logs().contains("no problems any more")).await;
    std::fs::remove_file(bed.files.path().join("manifests/good.yaml")).unwrap();
    let what = "what is not declared any more is withdrawn";
    eventually(SOON, what, async || bed.record("default.good").await.is_none()).await;
}
