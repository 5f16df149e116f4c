//! The CRD as kubectl and its users meet it.

use configurable_agents::api::v1alpha1::AgentEndpointStatus;
use configurable_agents::api::{GROUP, VERSION, schema};
use serde_json::{Value, json};

use crate::bed::{Bed, CRD, root, walk};
use crate::rules;
use crate::status::{apply_status, condition};

pub async fn the_crd_applies_without_a_warning_and_is_structural(bed: &Bed) {
    assert!(!bed.installed.stderr.to_lowercase().contains("warning"), "{}", bed.installed.stderr);
    let crd = bed.kubectl(&["get", "crd", "agentendpoints.agents.configurable.dev", "-o=json"]).await.json();
    let conditions = crd["status"]["conditions"].as_array().unwrap();
    let of = |kind: &str| {
        conditions.iter().find(|condition| condition["type"] == kind).map(|c| c["status"].clone())
    };
    assert_eq!(of("Established"), Some(json!("True")));
    assert_eq!(of("NonStructuralSchema"), None);
    assert_eq!(of("NonStructural"), None);
    assert_eq!(crd["status"]["storedVersions"], json!([VERSION]));
}

pub async fn applying_the_crd_again_changes_nothing_and_leaves_no_diff(bed: &Bed) {
    let again = bed.kubectl(&["apply", "-f", CRD]).await.ok();
    assert!(again.stdout.contains("unchanged"), "{}", again.stdout);
    bed.kubectl(&["diff", "-f", CRD]).await.ok();
    let server_side = bed.kubectl(&["apply", "--server-side", "-f", CRD]).await.ok();
    assert!(!server_side.stderr.to_lowercase().contains("warning"), "{}", server_side.stderr);
    bed.kubectl(&["diff", "--server-side", "-f", CRD]).await.ok();
}

pub async fn the_table_fits_eighty_columns(bed: &Bed) {
    let tables: [&[(&str, &str, &str, &str)]; 2] = [
        &[
            ("research-assistant-1", "True", "LatencyAboveThreshold", "3/3"),
            ("research-assistant-2", "False", "ConnectionRefused", "0/3"),
        ],
        &[
            ("research-agent", "Unknown", "ProbeInfrastructureSuspect", "31/32"),
            ("planner", "False", "ProtocolVersionUnsupported", "0/1"),
        ],
    ];
    for states in tables {
        let namespace = bed.namespace().await;
        for (name, status, reason, summary) in states {
            bed.store(&namespace, name, &rules::least()).await;
            let status = AgentEndpointStatus {
                conditions: vec![
                    condition("Ready", status, reason, "What happened."),
                    condition("Registered", "True", "Registered", ""),
                ],
                ready_summary: Some((*summary).to_owned()),
                protocol: Some("http".to_owned()),
                ..AgentEndpointStatus::default()
            };
            apply_status(bed, &namespace, name, &status).await;
        }
        bed.store(&namespace, "fresh", &rules::least()).await;
        let table = bed.kubectl(&["-n", &namespace, "get", "aep"]).await.ok().stdout;
        let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(header, ["NAME", "READY", "REASON", "TARGETS", "SINCE", "AGE"]);
        assert!(table.lines().all(|line| line.trim_end().len() <= 80), "{table}");
        assert!(!table.contains("invalid"), "{table}");
        let wide = bed.kubectl(&["-n", &namespace, "get", "aep", "-o=wide"]).await.ok().stdout;
        let header: Vec<&str> = wide.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(
            header,
            ["NAME", "READY", "REASON", "TARGETS", "SINCE", "AGE", "PROTOCOL", "REGISTERED", "MESSAGE"]
        );
        assert!(wide.contains("What happened.") && !wide.contains("invalid"), "{wide}");
    }
}

pub async fn short_name_category_and_field_selectors_work(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, "plain", &rules::least()).await;
    bed.store(&namespace, "blue", &rules::edited(rules::with("/className", "blue"), "/agentID", "x.blue"))
        .await;
    let names = async |args: &[&str]| {
        bed.kubectl(&[&["-n", namespace.as_str(), "get", "-o=name"], args].concat()).await.ok().stdout
    };
    assert_eq!(names(&["agents"]).await.lines().count(), 2);
    for selector in ["spec.className=blue", "spec.agentID=x.blue", "spec.className!="] {
        assert_eq!(
            names(&["aep", "--field-selector", selector]).await.trim(),
            format!("agentendpoint.{GROUP}/blue"),
            "{selector}"
        );
    }
    for selector in ["spec.className=", "spec.agentID="] {
        assert_eq!(
            names(&["aep", "--field-selector", selector]).await.trim(),
            format!("agentendpoint.{GROUP}/plain"),
            "{selector}"
        );
    }
    let resources = bed.kubectl(&["api-resources", "-o=wide", "--no-headers"]).await.ok().stdout;
    assert_eq!(resources.split_whitespace().filter(|word| *word == "aep").count(), 1);
}

pub async fn explain_has_a_text_for_every_field(bed: &Bed) {
    let mut fields = Vec::new();
    walk(&root(), "", &mut |path, _| {
        if !path.is_empty() && !path.ends_with('*') {
            fields.push(format!("aep.{}", path.replace(".*", "")));
        }
    });
    assert!(fields.len() > 60, "{}", fields.len());
    for group in fields.chunks(4) {
        let texts = group
            .iter()
            .map(|field| async move { (field, bed.kubectl(&["explain", field]).await.ok().stdout) });
        for (field, text) in futures::future::join_all(texts).await {
            assert!(!text.contains("<empty>"), "{field}: {text}");
            let (_, description) =
                text.split_once("DESCRIPTION:").unwrap_or_else(|| panic!("{field}: {text}"));
            assert!(description.trim().len() > 10, "{field}: {text}");
        }
    }
}

pub async fn the_schema_is_affordable_with_all_bounds_doubled(bed: &Bed) {
    fn double(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(double),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value
                        .as_u64()
                        .filter(|_| ["maxLength", "maxItems", "maxProperties"].contains(&name.as_str()))
                    {
                        Some(bound) => *value = json!(bound * 2),
                        None => double(value),
                    }
                }
            }
            _ => {}
        }
    }
    let mut crd = serde_json::to_value(schema::crd()).unwrap();
    double(&mut crd);
    crd["metadata"]["name"] = json!("agentendpoints.doubled.configurable.dev");
    crd["spec"]["group"] = json!("doubled.configurable.dev");
    crd["spec"]["names"]["categories"] = json!(["doubled"]);
    crd["spec"]["names"]["shortNames"] = json!(["daep"]);
    bed.plane.kubectl_stdin(&["create", "--dry-run=server", "-f", "-"], &crd.to_string()).await.ok();
}
