//! Standalone mode follows its directory: edits, renames, swaps, bad files and what comes after them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use support::{Behaviour, Proc, TestAgent, eventually, free_port, stays, work_dir};

/// What the orchestrator promises is a second; the rest is for a busy machine.
const SOON: Duration = Duration::from_secs(8);

struct Bed {
    files: tempfile::TempDir,
    agent: TestAgent,
    port: u16,
}

impl Bed {
    fn new() -> Bed {
        let files = work_dir();
        std::fs::create_dir(files.path().join("manifests")).unwrap();
        rustls::crypto::ring::default_provider().install_default().ok();
        let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Ok);
        Bed { files, agent, port: free_port(Ipv4Addr::LOCALHOST) }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.files.path().join("manifests").join(file)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    fn good(&self, name: &str) -> String {
        manifest(name, self.agent.port(), "")
    }

    fn start(&self) -> Proc {
        let args = [
            "orchestrator".to_owned(),
            "start".to_owned(),
            format!("--manifests={}", self.path("").display()),
            format!("--db-url=sqlite:///{}", self.files.path().join("status.db").display()),
            format!("--port={}", self.port),
            "--registry-url=none".to_owned(),
        ];
        Proc::start(&args, &[])
    }

    async fn readiness(&self) -> String {
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let answer = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await;
        match answer {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }

    async fn ready(&self) {
        eventually(SOON, "it is ready and nothing is wrong", async || {
            let text = self.readiness().await;
            if text.contains("check passed") && !text.contains("but:") { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// Ready all the same: one bad file takes nothing else out.
    async fn troubled(&self, because: &str) {
        eventually(SOON, because, async || {
            let text = self.readiness().await;
            if text.contains("[+]manifests ok, but: ") && text.contains(because) { Ok(()) } else { Err(text) }
        })
        .await;
    }
}

fn manifest(name: &str, port: u16, more: &str) -> String {
    format!(
        "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\nmetadata: {{name: {name}}}\nspec:\n  targets: [{{host: 127.0.0.1, port: {port}}}]\n  probe: {{periodSeconds: 1, failureThreshold: 1}}\n{more}---\n"
    )
}

async fn said(orchestrator: &Proc, what: &str) {
    eventually(SOON, what, async || {
        let logs = orchestrator.logs();
        if logs.contains(what) { Ok(()) } else { Err(logs) }
    })
    .await;
}

fn times(orchestrator: &Proc, what: &str) -> usize {
    orchestrator.logs().matches(what).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_an_edit_a_rename_and_a_removal_take_effect_without_a_restart() {
    let bed = Bed::new();
    let orchestrator = bed.start();
    bed.ready().await;
    bed.write("a.yaml", &bed.good("a"));
    said(&orchestrator, "default/a BecameReady").await;
    // As editors save: another file, renamed over this one.
    bed.write(".a.yaml.swp", &manifest("a", free_port(Ipv4Addr::LOCALHOST), ""));
    std::fs::rename(bed.path(".a.yaml.swp"), bed.path("a.yaml")).unwrap();
    said(&orchestrator, "default/a BecameFailing").await;
    bed.write("notes.txt", "not a manifest");
    std::fs::rename(bed.path("a.yaml"), bed.path("b.yaml")).unwrap();
    bed.write("c.yaml", &bed.good("c"));
    said(&orchestrator, "default/c BecameReady").await;
    assert_eq!(times(&orchestrator, "default/a is not declared any more"), 0, "{}", orchestrator.logs());
    std::fs::remove_file(bed.path("b.yaml")).unwrap();
    said(&orchestrator, "default/a is not declared any more").await;
    let probes = bed.agent.requests();
    eventually(SOON, "the other is still probed", async || bed.agent.requests() > probes + 1).await;
    std::fs::remove_file(bed.path("c.yaml")).unwrap();
    said(&orchestrator, "default/c is not declared any more").await;
    let probes = bed.agent.requests();
    stays(Duration::from_secs(3), "nothing is probed any more", async || bed.agent.requests() <= probes + 1)
        .await;
    bed.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_takes_effect_long_before_the_next_periodic_reading() {
    let bed = Bed::new();
    let orchestrator = bed.start();
    bed.ready().await;
    for name in ["a", "b", "c", "d"] {
        bed.write(&format!("{name}.yaml"), &bed.good(name));
        let what = format!("default/{name} BecameReady");
        // The reading before this one was at most a moment ago, the next one without an event is 10 s away.
        eventually(Duration::from_secs(3), &what, async || orchestrator.logs().contains(&what)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_edit_keeps_the_last_good_endpoint_and_is_told_once_with_its_place() {
    let bed = Bed::new();
    bed.write("a.yaml", &(bed.good("a") + &bed.good("b")));
    let orchestrator = bed.start();
    said(&orchestrator, "default/a BecameReady").await;
    said(&orchestrator, "default/b BecameReady").await;
    bed.write("a.yaml", &(bed.good("a") + &manifest("b", bed.agent.port(), "  suspendd: true\n")));
    bed.troubled("a.yaml:14:3: spec.suspendd: unknown field").await;
    let probes = bed.agent.requests();
    eventually(SOON, "both are still probed", async || bed.agent.requests() >= probes + 4).await;
    // Another reading of the same file, and another file: the problem is not said again.
    bed.write("c.yaml", &bed.good("c"));
    said(&orchestrator, "default/c BecameReady").await;
    assert_eq!(times(&orchestrator, "spec.suspendd: unknown field"), 1, "{}", orchestrator.logs());
    assert_eq!(times(&orchestrator, "is not declared any more"), 0);
    bed.write("a.yaml", &bed.good("a"));
    said(&orchestrator, "no problems any more").await;
    said(&orchestrator, "default/b is not declared any more").await;
    bed.ready().await;
    assert_eq!(times(&orchestrator, "no problems any more"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_with_the_same_name_are_an_error_and_the_first_stays() {
    let bed = Bed::new();
    bed.write("b.yaml", &bed.good("a"));
    let orchestrator = bed.start();
    said(&orchestrator, "default/a BecameReady").await;
    bed.write("a.yaml", &manifest("a", free_port(Ipv4Addr::LOCALHOST), ""));
    bed.troubled("default/a is declared in").await;
    assert_eq!(times(&orchestrator, "BecameFailing"), 0);
    std::fs::remove_file(bed.path("b.yaml")).unwrap();
    said(&orchestrator, "default/a BecameFailing").await;
    bed.ready().await;
    assert_eq!(times(&orchestrator, "is not declared any more"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_deleted_and_made_anew_withdraws_nothing_meanwhile_and_is_followed_again() {
    let bed = Bed::new();
    bed.write("a.yaml", &bed.good("a"));
    let orchestrator = bed.start();
    said(&orchestrator, "default/a BecameReady").await;
    std::fs::rename(bed.path(""), bed.files.path().join("away")).unwrap();
    bed.troubled("the directory cannot be read").await;
    let probes = bed.agent.requests();
    eventually(SOON, "it is still probed", async || bed.agent.requests() >= probes + 2).await;
    assert_eq!(times(&orchestrator, "is not declared any more"), 0);
    std::fs::create_dir(bed.path("")).unwrap();
    bed.write("a.yaml", &bed.good("a"));
    bed.ready().await;
    bed.write("b.yaml", &bed.good("b"));
    said(&orchestrator, "default/b BecameReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_suddenly_empty_is_believed_at_the_second_reading() {
    let bed = Bed::new();
    let names: Vec<String> = (0..8).map(|number| format!("a{number}")).collect();
    names.iter().for_each(|name| bed.write(&format!("{name}.yaml"), &bed.good(name)));
    let orchestrator = bed.start();
    for name in &names {
        said(&orchestrator, &format!("default/{name} BecameReady")).await;
    }
    // As when a volume is not mounted.
    std::fs::rename(bed.path(""), bed.files.path().join("away")).unwrap();
    std::fs::create_dir(bed.path("")).unwrap();
    let doubt = "8 endpoints are not in the manifests any more; they stay until another reading agrees";
    said(&orchestrator, doubt).await;
    assert!(bed.readiness().await.contains(doubt), "{}", bed.readiness().await);
    let probes = bed.agent.requests();
    eventually(SOON, "all are still probed", async || bed.agent.requests() >= probes + 8).await;
    assert_eq!(times(&orchestrator, "is not declared any more"), 0);
    eventually(Duration::from_secs(20), "then they are gone", async || {
        times(&orchestrator, "is not declared any more") == 8
    })
    .await;
    bed.ready().await;
    assert_eq!((times(&orchestrator, doubt), bed.readiness().await.contains(doubt)), (1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_config_map_is_followed_through_its_swap() {
    let bed = Bed::new();
    let version = |name: &str, text: &str| {
        std::fs::create_dir(bed.path(name)).unwrap();
        std::fs::write(bed.path(name).join("a.yaml"), text).unwrap();
        std::os::unix::fs::symlink(name, bed.path("..data_tmp")).unwrap();
        std::fs::rename(bed.path("..data_tmp"), bed.path("..data")).unwrap();
    };
    version("..2026_1", &bed.good("a"));
    std::os::unix::fs::symlink("..data/a.yaml", bed.path("a.yaml")).unwrap();
    let orchestrator = bed.start();
    said(&orchestrator, "default/a BecameReady").await;
    version("..2026_2", &bed.good("b"));
    said(&orchestrator, "default/b BecameReady").await;
    said(&orchestrator, "default/a is not declared any more").await;
    // The link leads nowhere for a moment: that is no word that the file is gone.
    std::fs::remove_dir_all(bed.path("..2026_2")).unwrap();
    bed.write("c.yaml", &bed.good("c"));
    bed.troubled("a.yaml: cannot be read").await;
    said(&orchestrator, "default/c BecameReady").await;
    assert_eq!(times(&orchestrator, "default/b is not declared any more"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large_is_named_and_what_it_declared_stays() {
    let bed = Bed::new();
    bed.write("a.yaml", &bed.good("a"));
    let orchestrator = bed.start();
    said(&orchestrator, "default/a BecameReady").await;
    bed.write("a.yaml", &"#".repeat(4 * 1024 * 1024 + 1));
    bed.troubled("larger than 4 MiB").await;
    let probes = bed.agent.requests();
    eventually(SOON, "it is still probed", async || bed.agent.requests() >= probes + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_found_without_an_event_and_a_restart_changes_no_verdict() {
    let bed = Bed::new();
    bed.write("a.yaml", &bed.good("a"));
    let orchestrator = bed.start();
    said(&orchestrator, "default/a BecameReady").await;
    orchestrator.signal(Signal::SIGTERM);
    assert!(orchestrator.wait_exit(Duration::from_secs(10)).await.success());
    // A bad file at the start: the others work, and the database keeps what it may have declared.
    bed.write("b.yaml", "kind: [\n");
    bed.write("c.yaml", &bed.good("c"));
    let orchestrator = bed.start();
    bed.troubled("b.yaml:").await;
    said(&orchestrator, "default/c BecameReady").await;
    assert_eq!(times(&orchestrator, "default/a BecameReady"), 0, "the verdict was kept");
    // An edit through a link to a file elsewhere makes no event in the directory.
    std::fs::write(bed.files.path().join("elsewhere"), bed.good("d")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", bed.path("d.yaml")).unwrap();
    said(&orchestrator, "default/d BecameReady").await;
    std::fs::write(bed.files.path().join("elsewhere"), bed.good("e")).unwrap();
    eventually(Duration::from_secs(20), "the next reading finds it", async || {
        orchestrator.logs().contains("default/e BecameReady")
    })
    .await;
}
