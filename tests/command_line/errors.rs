//! What `start` refuses, and how it says so.

use crate::{fails, is_well_formed};

#[test]
fn an_unknown_flag_is_a_usage_error_that_names_it() {
    let here = tempfile::tempdir().unwrap();
    let (code, text) = fails(&["orchestrator", "start", "--no-such-flag"], here.path());
    assert_eq!(code, 2);
    assert!(text.contains("--no-such-flag"), "{text}");
}

#[test]
fn a_bad_value_is_a_usage_error() {
    let here = tempfile::tempdir().unwrap();
    for flag in [
        "--allow-targets=10.0.0.0/40",
        "--default-period-seconds=0",
        "--dns-server=nowhere",
        "--registry-url=localhost:8000",
        "--registry-url=ftp://x",
    ] {
        let args = ["orchestrator", "start", "--manifests", ".", "--port=0", flag];
        let (code, text) = fails(&args, here.path());
        assert_eq!(code, 2, "{flag}: {text}");
    }
}

#[test]
fn a_malformed_kubeconfig_is_named_with_its_cause() {
    let here = tempfile::tempdir().unwrap();
    for (content, name) in
        [("clusters: [", "half.yaml"), ("kind: Config\n", "empty.yaml"), ("\u{0}\u{1}", "binary.yaml")]
    {
        std::fs::write(here.path().join(name), content).unwrap();
        let (code, text) = fails(&["orchestrator", "start", "--kubeconfig", name], here.path());
        assert_eq!(code, 2, "{text}");
        is_well_formed(&text);
        assert!(text.contains("cannot use the kubeconfig"), "{text}");
    }
    let (code, text) = fails(&["orchestrator", "start", "--kubeconfig", "not-there.yaml"], here.path());
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("not-there.yaml"), "{text}");
    let (code, text) = fails(&["orchestrator", "start"], here.path());
    assert_eq!(code, 2, "{text}");
    is_well_formed(&text);
    assert!(text.contains("--manifests DIR"), "no cluster at all: {text}");
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--port={}", taken.local_addr().unwrap().port());
    for args in
        [&["orchestrator", "start", "--manifests", ".", &port][..], &["agent-registry", "start", &port][..]]
    {
        let (code, text) = fails(args, here.path());
        assert_eq!(code, 1, "{text}");
        is_well_formed(&text);
        assert!(text.contains("is already in use") && text.contains("choose another port: --port"), "{text}");
    }
}

#[test]
fn a_database_that_cannot_be_used_is_named_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(
        here.path().join("text.db"),
        "this is not a database, it only has the name of one\n".repeat(50),
    )
    .unwrap();
    std::fs::create_dir(here.path().join("folder.db")).unwrap();
    for url in ["sqlite:///text.db", "sqlite:///folder.db", "sqlite:///no/such/folder/x.db"] {
        for args in [
            &[
                "orchestrator",
                "start",
                "--manifests",
                ".",
                "--port=0",
                "--registry-url=none",
                "--db-url",
                url,
            ][..],
            &["agent-registry", "start", "--port=0", "--db-url", url][..],
        ] {
            let (code, text) = fails(args, here.path());
            assert_eq!(code, 1, "{url}: {text}");
            is_well_formed(&text);
            assert!(text.contains("cannot open the database"), "{text}");
        }
    }
    let (code, text) = fails(&["agent-registry", "start", "--port=0", "--db-url", "mysql://x"], here.path());
    assert_eq!(code, 2, "{text}");
    is_well_formed(&text);
}

#[test]
fn a_registry_open_to_everybody_needs_to_be_told_so() {
    let here = tempfile::tempdir().unwrap();
    let (code, text) = fails(&["agent-registry", "start", "--host=0.0.0.0", "--port=0"], here.path());
    assert_eq!(code, 2, "{text}");
    is_well_formed(&text);
    assert!(text.contains("--insecure-anonymous") || text.contains("--auth-token-file"), "{text}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let here = tempfile::tempdir().unwrap();
    let args = ["orchestrator", "start", "--manifests", "nowhere", "--port=0", "--registry-url=none"];
    let (code, text) = fails(&args, here.path());
    assert_eq!(code, 1, "{text}");
    is_well_formed(&text);
    assert!(text.contains("nowhere"), "{text}");
}
