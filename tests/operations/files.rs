//! Rules, runbooks, dashboard and reference fit each other.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::bed::{read, repository};
use crate::support::prometheus::{program, run};
use crate::support::work_dir;

const RULES: &str = "charts/configurable-agents/files/rules.yaml";
const DASHBOARD: &str = "charts/configurable-agents/files/dashboard.json";

/// Metrics that rules name and that come with the guard against our own outage; when they are in the reference, this
/// list is empty again.
const TO_COME: &[&str] = &["configurable_agents_probe_infrastructure_suspect"];

/// Alerts that nobody walks through yet: the guard against our own outage, and TLS to agents, are to come.
const WALKS_TO_COME: &[&str] = &["ProbeInfrastructureSuspect", "AgentCertificateExpiringSoon"];

/// First cells of the tables of the reference.
pub fn documented() -> BTreeSet<String> {
    let text = read("docs/reference/metrics.md");
    let rows =
        text.lines().filter_map(|line| line.strip_prefix("| `configurable_agents_")?.split('`').next());
    rows.map(|name| format!("configurable_agents_{name}")).collect()
}

fn rules() -> Vec<Value> {
    let parsed: Value = serde_saphyr::from_str(&read(RULES)).unwrap();
    let groups = parsed["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn alerts() -> BTreeSet<String> {
    rules().iter().filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect()
}

/// Every metric of ours that an expression names, histograms by their family.
fn metrics(text: &str) -> BTreeSet<String> {
    let pattern = regex::Regex::new(r"\bconfigurable_agents_[a-z_]+\b").unwrap();
    let family = |name: &str| {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        base.unwrap_or(name).to_owned()
    };
    pattern.find_iter(text).map(|found| family(found.as_str())).collect()
}

#[test]
fn what_rules_and_dashboard_name_exists() {
    let documented = documented();
    assert!(documented.len() > 40, "{documented:?}");
    for metric in TO_COME {
        assert!(!documented.contains(*metric), "{metric} is there now: take it out of TO_COME");
    }
    let records: BTreeSet<String> =
        rules().iter().filter_map(|r| r["record"].as_str().map(str::to_owned)).collect();
    let recorded = regex::Regex::new(r"\bconfigurable_agents:[a-z_0-9:]+\b").unwrap();
    for file in [RULES, DASHBOARD] {
        let text = read(file);
        let named = metrics(&text);
        assert!(named.len() > 10, "{file}");
        for metric in named.iter().filter(|metric| !TO_COME.contains(&metric.as_str())) {
            assert!(documented.contains(metric), "{file} names {metric}, which is not exposed");
        }
        for record in recorded.find_iter(&text) {
            assert!(
                records.contains(record.as_str()),
                "{file} names {}, which no rule records",
                record.as_str()
            );
        }
    }
}

#[tokio::test]
async fn promtool_accepts_the_rules_and_each_alert_fires_and_is_gone_again() {
    let Some(promtool) = program("promtool") else { return };
    let files = work_dir();
    std::fs::write(files.path().join("rules.yaml"), read(RULES)).unwrap();
    let tests = read("tests/operations/rules_test.yaml");
    std::fs::write(files.path().join("rules_test.yaml"), &tests).unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    let (good, said) = run(&promtool, &["check", "rules", &path("rules.yaml")], None).await;
    assert!(good && said.contains("SUCCESS"), "{said}");
    let (good, said) = run(&promtool, &["test", "rules", &path("rules_test.yaml")], None).await;
    assert!(good && said.contains("SUCCESS"), "{said}");
    let parsed: Value = serde_saphyr::from_str(&tests).unwrap();
    let cases: Vec<&Value> = parsed["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().into_iter().flatten())
        .collect();
    for alert in alerts() {
        let of = |fires: bool| {
            cases.iter().any(|case| {
                let expected = case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
                case["alertname"] == alert.as_str() && expected == fires
            })
        };
        assert!(of(true), "no unit test in which {alert} fires");
        assert!(of(false) || alert == "AgentEndpointDown", "no unit test in which {alert} is silent");
    }
}

#[test]
fn every_alert_has_a_runbook_a_walk_and_words_and_every_runbook_an_alert() {
    let mut runbooks: BTreeSet<String> = std::fs::read_dir(repository().join("docs/runbooks"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert!(runbooks.remove("README"));
    assert_eq!(runbooks, alerts());
    let (walks, list) = (read("tests/operations/walk.rs"), read("docs/runbooks/README.md"));
    for rule in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let name = rule["alert"].as_str().unwrap();
        let annotations = &rule["annotations"];
        for key in ["summary", "description"] {
            assert!(annotations[key].as_str().is_some_and(|text| text.len() > 20), "{name}: {key}");
        }
        assert_eq!(annotations["runbook_url"], format!("docs/runbooks/{name}.md"));
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["info", "warning", "critical"].contains(&severity), "{name}: {severity}");
        assert!(
            list.contains(&format!("[{name}]({name}.md)")),
            "docs/runbooks/README.md does not list {name}"
        );
        let runbook = read(&format!("docs/runbooks/{name}.md"));
        for section in ["What it means", "Look", "Mend", "Gone"] {
            assert!(runbook.contains(&format!("\n## {section}\n")), "{name}: no section {section}");
        }
        let walked = walks.contains(&format!("\"{name}\""));
        assert!(
            walked != WALKS_TO_COME.contains(&name),
            "{name}: one of a walk and a place among those to come"
        );
    }
}

#[test]
fn the_dashboard_has_a_data_source_to_choose_no_id_and_the_four_rows() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    assert!(dashboard.get("uid").is_none() && dashboard["id"].is_null());
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "namespace", "name"]);
    assert_eq!(variables[0]["type"], "datasource");
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<&str> =
        panels.iter().filter(|p| p["type"] == "row").map(|p| p["title"].as_str().unwrap()).collect();
    assert_eq!(rows, ["Fleet", "Latency", "One endpoint", "Monitor health"]);
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: the id is used twice");
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(
            panel["description"].as_str().is_some_and(|text| text.len() > 10),
            "{title} has no description"
        );
        assert!(panel["fieldConfig"]["defaults"]["noValue"].is_string(), "{title} says nothing without data");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty() && targets.iter().all(|t| t["expr"].is_string()), "{title}");
    }
}

/// Every expression of the dashboard is one that Prometheus can parse.
#[tokio::test]
async fn promtool_can_parse_every_expression_of_the_dashboard() {
    let Some(promtool) = program("promtool") else { return };
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let targets = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|p| p["targets"].as_array().into_iter().flatten());
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, target) in targets.enumerate() {
        let filled = [("$__rate_interval", "5m"), ("$__range", "1h"), ("$namespace", "a"), ("$name", "b")];
        let expr = target["expr"].as_str().unwrap().to_owned();
        let expr = filled.iter().fold(expr, |expr, (variable, value)| expr.replace(variable, value));
        writeln!(rules, "  - {{record: 'e:{number}', expr: {}}}", Value::from(expr)).unwrap();
    }
    let files = work_dir();
    let path = files.path().join("rules.yaml");
    std::fs::write(&path, &rules).unwrap();
    let (good, said) = run(&promtool, &["check", "rules", &path.display().to_string()], None).await;
    assert!(good && said.contains("SUCCESS"), "{said}\n{rules}");
}

#[test]
fn the_inhibition_sample_names_alerts_that_exist() {
    let text = read("docs/how-to/alert-with-alertmanager.md");
    let block = text.split("```yaml\n").find(|block| block.contains("inhibit_rules")).unwrap();
    let sample: Value = serde_saphyr::from_str(block.split("```").next().unwrap()).unwrap();
    let named = regex::Regex::new(r"alertname\s*=~?\s*'?\x22?([A-Za-z|]+)").unwrap();
    let alerts = alerts();
    let mut count = 0;
    for rule in sample["inhibit_rules"].as_array().unwrap() {
        for matcher in
            ["source_matchers", "target_matchers"].iter().flat_map(|key| rule[key].as_array().unwrap())
        {
            let captures = named.captures(matcher.as_str().unwrap()).unwrap();
            for name in captures[1].split('|') {
                assert!(alerts.contains(name), "there is no alert {name}");
                count += 1;
            }
        }
    }
    assert!(count > 4);
}
