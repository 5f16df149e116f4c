//! `orchestrator status` against a real orchestrator.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::bed::{Orchestrator, SOON, manifest};
use crate::support::{Behaviour, Proc, TestAgent, eventually, free_port};
use crate::{failure, is_well_formed, stderr, stdout};

/// One ready, one failing, one paused, in two namespaces; settled.
async fn three() -> (Orchestrator, TestAgent) {
    let agent = TestAgent::start(Ipv4Addr::LOCALHOST, 0, Behaviour::Body("OK".to_owned()));
    let nobody = free_port(Ipv4Addr::LOCALHOST);
    let orchestrator = Orchestrator::start(&[
        ("a.yaml", manifest("team-a", "research", agent.port(), "")),
        ("b.yaml", manifest("team-b", "writer", nobody, "")),
        ("c.yaml", manifest("team-b", "archive", nobody, "  suspend: true\n")),
    ])
    .await;
    for (name, state) in [("research", "ready"), ("writer", "failing"), ("archive", "paused")] {
        let output = orchestrator.status(&[name, "--wait", "--for", state, "--timeout", "20s"]);
        assert!(output.status.success(), "{output:?}");
    }
    (orchestrator, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_counts_and_shows_what_needs_attention() {
    let (orchestrator, _agent) = three().await;
    let text = stdout(&orchestrator.status(&[]));
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with(&format!("Orchestrator  {}   standalone · active · up ", orchestrator.url)),
        "{text}"
    );
    assert_eq!(lines[1], "Registry      none (--registry-url none)");
    assert!(lines[2].starts_with("Probes        "), "{text}");
    assert_eq!(lines[3], "Endpoints     3: 1 failing · 1 paused · 1 ready");
    assert_eq!(lines[5], "NEEDS ATTENTION (1)");
    assert!(lines[6].starts_with("NAMESPACE  NAME    STATUS   REASON             SINCE  MESSAGE"), "{text}");
    assert!(lines[7].starts_with("team-b     writer  Failing  ConnectionRefused  "), "{text}");
    assert_eq!(lines.len(), 8, "{text}");

    let names = |args: &[&str]| stdout(&orchestrator.status(&[args, &["-o", "name"]].concat()));
    assert_eq!(names(&[]), "team-b/writer\nteam-b/archive\nteam-a/research\n", "worst first");
    assert_eq!(names(&["-n", "team-a"]), "team-a/research\n");
    assert_eq!(names(&["-A"]), names(&[]));
    assert_eq!(names(&["-l", "tier=gold"]), names(&[]));
    assert_eq!(names(&["-l", "tier!=gold"]), "");
    assert_eq!(names(&["--status", "Paused,ready"]), "team-b/archive\nteam-a/research\n");
    let all = stdout(&orchestrator.status(&["--all", "-n", "team-b", "--absolute-time", "-o", "wide"]));
    assert!(
        all.contains("Endpoints     2: 1 failing · 1 paused\n") && all.contains("ENDPOINTS (2)"),
        "{all}"
    );
    assert!(all.contains("0/1      http") && all.contains("team-b.writer"), "{all}");
    assert!(!all.contains("research"), "{all}");
    let nothing = orchestrator.status(&["-n", "nowhere", "-o", "name"]);
    assert!(nothing.status.success() && stderr(&nothing).contains("no endpoint found"), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_the_objects_as_the_api_has_them() {
    let (orchestrator, _agent) = three().await;
    let read =
        |args: &[&str]| -> Value { serde_json::from_slice(&orchestrator.status(args).stdout).unwrap() };
    let list = read(&["-o", "json"]);
    assert_eq!(
        (list["kind"].as_str(), list["items"].as_array().map(Vec::len)),
        (Some("AgentEndpointList"), Some(3))
    );
    let one = read(&["team-a/research", "-o", "json"]);
    assert_eq!(one["kind"], "AgentEndpoint");
    assert!(list["items"].as_array().unwrap().contains(&one));
    assert_eq!(one["metadata"]["labels"]["tier"], "gold");
    let yaml = stdout(&orchestrator.status(&["research", "-o", "yaml"]));
    assert!(yaml.starts_with("apiVersion: agents.configurable.dev/v1alpha1\n"), "{yaml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_is_shown_with_conditions_targets_and_how_it_is_probed() {
    let (orchestrator, agent) = three().await;
    let text = stdout(&orchestrator.status(&["research", "--explain"]));
    assert!(text.starts_with("team-a/research  Ready  Ready  for "), "{text}");
    for part in ["CONDITION ", "Reachable ", "TARGET ", "PROBE "] {
        assert!(text.lines().any(|line| line.starts_with(part)), "{part}: {text}");
    }
    assert!(text.contains(&format!("127.0.0.1:{}", agent.port())), "{text}");
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("periodSeconds"), "1 spec.probe.periodSeconds");
    assert_eq!(row("timeoutSeconds"), "1 the period, which is shorter than the default");
    assert_eq!(row("failureThreshold"), "2 the orchestrator's --default-failure-threshold (flag)");
    assert_eq!(row("http.path"), "/health the orchestrator's --default-path (default)");
    for name in ["nobody", "team-a/writer"] {
        let (code, said) = failure(&orchestrator.status(&[name]));
        assert_eq!(code, 5, "{said}");
        is_well_formed(&said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_it_has_come_about_or_the_time_is_up() {
    let (orchestrator, agent) = three().await;
    assert_eq!(orchestrator.status(&["-n", "team-a", "--wait", "--timeout", "5"]).status.code(), Some(0));
    assert_eq!(orchestrator.status(&["nobody", "--wait", "--for", "deleted"]).status.code(), Some(0));
    for args in [
        &["--wait", "--timeout", "1s"][..],
        &["nobody", "--wait", "--timeout=0"],
        &["writer", "--wait", "--timeout=0"],
    ] {
        let (code, said) = failure(&orchestrator.status(args));
        assert_eq!(code, 6, "{args:?}: {said}");
        is_well_formed(&said);
    }
    // Somebody waits while it changes.
    let url = [("ORCHESTRATOR_URL", orchestrator.url.as_str())];
    let waits = [
        "orchestrator",
        "status",
        "research",
        "--wait",
        "--for",
        "failing",
        "--timeout",
        "20s",
        "-o",
        "name",
    ];
    let waiting = Proc::start(&waits, &url);
    drop(agent);
    assert_eq!(waiting.wait_exit(SOON).await.code(), Some(0));
    assert_eq!(waiting.stdout(), "team-a/research\n");
    assert_eq!(orchestrator.status(&["-n", "team-a", "--exit-code"]).status.code(), Some(1));
    for wrong in [
        &["--wait", "--for", "failing"][..],
        &["research", "--wait", "--for", "all-ready"],
        &["--for", "ready"],
    ] {
        assert_eq!(failure(&orchestrator.status(wrong)).0, 2, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_every_change_and_survives_a_pause_of_the_orchestrator() {
    let (orchestrator, agent) = three().await;
    let url = [("ORCHESTRATOR_URL", orchestrator.url.as_str())];
    let watching = Proc::start(&["orchestrator", "status", "-w", "-o", "json"], &url);
    let events = || -> Vec<Value> {
        watching.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    eventually(SOON, "the list", async || events().len() == 3).await;
    assert!(events().iter().all(|event| event["type"] == "ADDED"));
    drop(agent);
    eventually(SOON, "the change", async || {
        events().iter().any(|event| {
            let ready = &event["object"]["status"]["conditions"][0];
            event["type"] == "MODIFIED"
                && event["object"]["metadata"]["name"] == "research"
                && ready["status"] == "False"
        })
    })
    .await;
    orchestrator.process.kill();
    eventually(SOON, "it says so", async || watching.stderr().contains("still trying")).await;
    assert!(watching.exited().is_none());
}
