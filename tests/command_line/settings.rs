//! `--config` and `--print-config`, on the program itself.

use crate::{fails, is_well_formed, program, stdout, with_env};

fn line<'a>(text: &'a str, key: &str) -> &'a str {
    let found = text.lines().find(|line| line.starts_with(&format!("{key}:")));
    found.unwrap_or_else(|| panic!("{key} is not in\n{text}"))
}

#[test]
fn each_setting_is_printed_with_its_source_and_without_its_secrets() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("c.yaml"), "port: 9100\nclass: file\nscope: file\n").unwrap();
    let args = ["orchestrator", "start", "--config", "c.yaml", "--scope", "flag", "--print-config"];
    let env =
        [("ORCHESTRATOR_CLASS", "env"), ("REGISTRY_SCOPE", "env"), ("REGISTRY_URL", "http://me:hunter2@r:1")];
    let output = with_env(&args, &env, here.path());
    let text = stdout(&output);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    for (key, value, source) in [
        ("port", "9100", "file"),
        ("class", "\"env\"", "environment"),
        ("scope", "\"flag\"", "flag"),
        ("host", "\"127.0.0.1\"", "default"),
        ("registry-url", "\"http://***@r:1\"", "environment"),
    ] {
        let words: Vec<&str> = line(&text, key).split_whitespace().collect();
        assert_eq!(words, [&format!("{key}:"), value, "#", source], "{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    let registry = stdout(&program(&["agent-registry", "start", "--print-config"], here.path()));
    assert!(line(&registry, "insecure-anonymous").contains("false"), "{registry}");
}

#[test]
fn what_is_printed_is_a_file_that_can_be_used() {
    let here = tempfile::tempdir().unwrap();
    for server in ["orchestrator", "agent-registry"] {
        let printed = stdout(&program(&[server, "start", "--print-config", "--port", "4711"], here.path()));
        std::fs::write(here.path().join("c.yaml"), &printed).unwrap();
        let again = stdout(&program(&[server, "start", "--config", "c.yaml", "--print-config"], here.path()));
        let values = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split("  #").next().unwrap().trim_end().to_owned()).collect()
        };
        assert_eq!(values(&again), values(&printed));
        assert!(line(&again, "port").ends_with("# file"), "{again}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_the_nearest_name() {
    let here = tempfile::tempdir().unwrap();
    for (text, told) in [
        ("prot: 1\n", "did you mean `port`?"),
        ("port: 70000\n", "70000"),
        ("registry-url: [\n", "c.yaml"),
        ("default-period-seconds: 0\n", "default-period-seconds"),
    ] {
        std::fs::write(here.path().join("c.yaml"), text).unwrap();
        let (code, said) = fails(&["orchestrator", "start", "--config", "c.yaml"], here.path());
        assert_eq!(code, 2, "{said}");
        is_well_formed(&said);
        assert!(said.contains(told), "{said}");
    }
    let (code, said) = fails(&["agent-registry", "start", "--config", "nowhere.yaml"], here.path());
    assert_eq!(code, 2, "{said}");
    is_well_formed(&said);
}
