//! What is asked of a real registry.

use serde_json::{Value, json};

use crate::bed::{Registry, SOON};
use crate::support::{eventually, free_port};
use crate::{failure, is_well_formed, program, stderr, stdout, with_env};

fn json_of(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_filters_find_what_an_agent_registered() {
    let registry = Registry::start().await;
    registry.register("scout", &["--metadata", r#"{"capability":"research","model":"gpt-4o","seats":4}"#]);
    registry.register("writer", &["--metadata", r#"{"capability":"writing","model":"gpt-4o"}"#]);
    registry.register("plain", &[]);
    for (filters, found) in [
        (&["--filters", r#"{"capability":"research","model":"gpt-*"}"#][..], "scout\n"),
        (&["--filters", "capability=research,model=gpt-*"], "scout\n"),
        (&["--filters", r#"{"model":"gpt-*"}"#, "--filter", "capability=w*"], "writer\n"),
        (&["--filter", "seats=4"], "scout\n"),
        (&["--filter", "agent_id=plain"], "plain\n"),
        (&["--filter", "capability=none"], ""),
        (&[], "plain\nscout\nwriter\n"),
    ] {
        let output = registry.run(&[&["orchestrator", "discover", "-o", "name"], filters].concat());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stdout(&output), found, "{filters:?}");
    }
    let output = registry.run(&["orchestrator", "discover", "--filter", "model=gpt-4o"]);
    assert_eq!(stderr(&output), "2 of 3 live agents match\n");
    let head: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert!(head[0].starts_with("AGENT ID  NAME") && head[1].contains("10.0.0.7:8003  yes"), "{head:?}");
}

#[test]
fn s3_a_registry_that_is_down_is_told_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}", free_port(std::net::Ipv4Addr::LOCALHOST));
    for args in [
        &["orchestrator", "discover"][..],
        &["agent-registry", "list"],
        &["agent-registry", "get", "a"],
        &["agent-registry", "cleanup"],
        &["agent-registry", "deregister", "a"],
        &["agent-registry", "register", "a", "--host", "h", "--port", "1"],
    ] {
        let (code, text) = failure(&with_env(args, &[("REGISTRY_URL", &url)], here.path()));
        assert_eq!(code, 3, "{args:?}: {text}");
        is_well_formed(&text);
        assert!(text.starts_with(&format!("error: cannot reach the agent registry at {url}\n")), "{text}");
        assert!(text.contains("refused") && text.contains("agent-registry start"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_list_and_cleanup_work_on_a_server_and_on_its_database() {
    let registry = Registry::start().await;
    let database = registry.database();
    registry.register("stays", &["--ttl", "3600"]);
    for (round, by) in
        [&["--registry-url", registry.url.as_str()][..], &["--db-url", database.as_str()]].iter().enumerate()
    {
        registry.register("goes", &["--ttl", "1"]);
        let list = |more: &[&str]| {
            stdout(&registry.run(&[&["agent-registry", "list", "-o", "name"], *by, more].concat()))
        };
        let cleanup = |more: &[&str]| registry.run(&[&["agent-registry", "cleanup"], *by, more].concat());
        eventually(SOON, "one has expired", async || list(&[]) == "stays\n").await;
        assert_eq!(list(&["--include-dead"]), "goes\nstays\n");
        assert_eq!(stdout(&cleanup(&["--older-than", "1h"])), "", "not that long ago");
        let dry = cleanup(&["--dry-run"]);
        assert_eq!(stdout(&dry), "goes\n", "round {round}: {dry:?}");
        assert_eq!(stderr(&dry), "1 would go; nothing was removed (--dry-run)\n");
        assert_eq!(list(&["--include-dead"]), "goes\nstays\n");
        assert_eq!(
            json_of(&cleanup(&["-o", "json"])),
            json!({"agents": ["goes"], "dryRun": false, "more": false})
        );
        assert_eq!(list(&["--include-dead"]), "stays\n");
        assert_eq!(stderr(&cleanup(&[])), "nothing has expired\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_each_server_has_a_port_of_its_own_and_they_know_each_other() {
    let here = tempfile::tempdir().unwrap();
    let of = |server: &str| stdout(&program(&[server, "start", "--print-config"], here.path()));
    let (orchestrator, registry) = (of("orchestrator"), of("agent-registry"));
    assert!(orchestrator.lines().any(|line| line.starts_with("port: 9000 ")), "{orchestrator}");
    assert!(orchestrator.contains("registry-url: \"http://localhost:8000\""), "{orchestrator}");
    assert!(registry.lines().any(|line| line.starts_with("port: 8000 ")), "{registry}");
    // That a port which is taken is named: errors.rs.
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_both_names_of_the_registrys_url_are_read_and_the_first_one_counts() {
    let registry = Registry::start().await;
    registry.register("a", &[]);
    let list = |env: &[(&str, &str)]| {
        with_env(&["agent-registry", "list", "-o", "name"], env, registry.files.path())
    };
    let nobody = "http://127.0.0.1:1";
    assert_eq!(stdout(&list(&[("REGISTRY_URL", &registry.url)])), "a\n");
    assert_eq!(stdout(&list(&[("AGENT_REGISTRY_URL", &registry.url)])), "a\n");
    assert_eq!(stdout(&list(&[("REGISTRY_URL", &registry.url), ("AGENT_REGISTRY_URL", nobody)])), "a\n");
    let both = list(&[("AGENT_REGISTRY_URL", &registry.url), ("REGISTRY_URL", nobody)]);
    assert_eq!(both.status.code(), Some(3));
    let args = ["orchestrator", "start", "--print-config"];
    let text = stdout(&with_env(&args, &[("AGENT_REGISTRY_URL", "http://second:1")], registry.files.path()));
    assert!(text.lines().any(|l| l.contains("http://second:1") && l.ends_with("# environment")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_registered_shown_and_deregistered() {
    let registry = Registry::start().await;
    let record = json_of(&registry.register("scout", &["--name", "Scout", "--ttl", "600", "-o", "json"]));
    assert_eq!(record["agentID"], "scout");
    assert_eq!(record["contributions"][0]["agentName"], "Scout");
    assert_eq!(record["contributions"][0]["ttlSeconds"], 600);
    let again = json_of(&registry.run(&["agent-registry", "get", "scout", "-o", "json"]));
    assert_eq!(again, record);
    let yaml = stdout(&registry.run(&["agent-registry", "get", "scout", "-o", "yaml"]));
    assert!(yaml.starts_with("agentID: scout\n"), "{yaml}");
    let gone = registry.run(&["agent-registry", "deregister", "scout"]);
    assert!(gone.status.success() && gone.stdout.is_empty(), "{gone:?}");
    for args in [&["agent-registry", "deregister", "scout"][..], &["agent-registry", "get", "scout"]] {
        let (code, text) = failure(&registry.run(args));
        assert_eq!(code, 5, "{text}");
        is_well_formed(&text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_name_cannot_act_on_the_terminal_in_any_form() {
    let registry = Registry::start().await;
    let name = "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}2J\u{202e}";
    registry.register("hostile", &["--name", name, "--metadata", r#"{"x":"\u001b[2J"}"#]);
    for form in ["table", "wide", "json", "yaml", "name"] {
        for command in [
            &["agent-registry", "list"][..],
            &["agent-registry", "get", "hostile"],
            &["orchestrator", "discover"],
        ] {
            let args = [command, &["-o", form, "--color", "never"]].concat();
            let output = registry.run(&args);
            assert!(output.status.success(), "{output:?}");
            let text = stdout(&output);
            let acting = text.chars().find(|c| *c != '\n' && (c.is_control() || *c == '\u{202e}'));
            assert_eq!(acting, None, "{args:?}: {text:?}");
        }
    }
    let list = json_of(&registry.run(&["agent-registry", "list", "-o", "json"]));
    assert_eq!(list["items"][0]["contributions"][0]["agentName"], name, "the value is the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_opens_a_registry_that_wants_one() {
    let files = crate::support::work_dir();
    let tokens = files.path().join("tokens");
    std::fs::write(&tokens, "right\n").unwrap();
    std::fs::write(files.path().join("wrong"), "wrong\n").unwrap();
    let port = free_port(std::net::Ipv4Addr::LOCALHOST);
    let (port, url) = (format!("--port={port}"), format!("http://127.0.0.1:{port}"));
    let database = format!("--db-url=sqlite:///{}", files.path().join("r.db").display());
    let args = ["agent-registry", "start", &port, &database, "--auth-token-file", tokens.to_str().unwrap()];
    let _server = crate::support::Proc::start(&args, &[]);
    let list = |more: &[&str]| {
        let args = [&["agent-registry", "list", "--registry-url", &url], more].concat();
        with_env(&args, &[], files.path())
    };
    eventually(SOON, "it answers", async || list(&["--registry-token-file", "tokens"]).status.success())
        .await;
    for more in [&[][..], &["--registry-token-file", "wrong"]] {
        let (code, text) = failure(&list(more));
        assert_eq!(code, 4, "{text}");
        is_well_formed(&text);
    }
    assert_eq!(failure(&list(&["--registry-token-file", "nowhere"])).0, 1);
}
