//! What the API server accepts, refuses, defaults and prunes in a spec.

use std::collections::BTreeSet;

use configurable_agents::api::{GROUP, VERSION};
use serde_json::{Value, json};

use crate::bed::{Bed, object, root, walk};
use crate::{bad_inputs, rules};

pub async fn an_unknown_field_is_refused_when_strict_and_pruned_otherwise(bed: &Bed) {
    for spec in bad_inputs::unknown_fields() {
        let refused = bed.try_spec(&spec).await;
        assert!(
            refused.code == 400
                && refused.body["message"].as_str().unwrap().contains("unknown field \"spec."),
            "{spec} {:#}",
            refused.body
        );
        let pruned = bed
            .create("default", "dryRun=All&fieldValidation=Ignore", object("tried", &spec))
            .await
            .accepted();
        assert!(
            !pruned["spec"].to_string().contains("hots") && !pruned["spec"].to_string().contains("evil"),
            "{pruned:#}"
        );
    }
    let manifest = object("a", &rules::with("/hots", 1));
    let strict =
        bed.plane.kubectl_stdin(&["apply", "--validate=strict", "-f", "-"], &manifest).await.refused();
    assert!(strict.stderr.contains("spec.hots"), "{}", strict.stderr);
}

pub async fn null_takes_an_optional_field_away(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, "a", &rules::with("/probe", json!({"periodSeconds": 7, "http": {"path": "/x"}})))
        .await;
    let patched = bed
        .patch(
            &namespace,
            "a",
            "",
            json!({"spec": {"probe": {"periodSeconds": null, "http": {"path": null}}}}),
        )
        .await
        .accepted();
    assert_eq!(patched["spec"]["probe"], json!({"http": {}}));
    let patched = bed
        .patch(&namespace, "a", "", json!({"spec": {"minReady": null, "registration": null}}))
        .await
        .accepted();
    assert_eq!(patched["spec"]["minReady"], json!("100%"));
    assert_eq!(patched["spec"]["registration"], json!({"policy": "Mirror", "ttlSeconds": 60}));
}

pub async fn null_in_a_new_object_counts_as_absent(bed: &Bed) {
    let nulls = json!({
        "targets": [{"host": "agent.example", "port": 8001}], "serviceRef": null, "minReady": null, "agentID": null, "registration": null,
        "className": null, "suspend": null, "probe": {"http": {"method": null, "headers": null}, "tcp": null, "periodSeconds": null},
    });
    let created = bed.try_spec(&nulls).await.accepted();
    let absent = bed.try_spec(&rules::with("/probe/http", json!({}))).await.accepted();
    assert_eq!(created["spec"], absent["spec"]);
}

pub async fn two_managers_keep_a_target_each(bed: &Bed) {
    let namespace = bed.namespace().await;
    for (manager, port) in [("m1", 1), ("m2", 2)] {
        let manifest = object("a", &json!({"targets": [{"host": "agent.example", "port": port}]}));
        bed.plane
            .kubectl_stdin(
                &["-n", &namespace, "apply", "--server-side", "--field-manager", manager, "-f", "-"],
                &manifest,
            )
            .await
            .ok();
    }
    let stored = bed.kubectl(&["-n", &namespace, "get", "aep", "a", "-o=json"]).await.json();
    assert_eq!(stored["spec"]["targets"].as_array().unwrap().len(), 2);
}

pub async fn defaults_are_visible_and_a_fresh_object_is_not_done(bed: &Bed) {
    let created = bed.try_spec(&rules::least()).await.accepted();
    let defaults = json!({
        "targets": [{"host": "agent.example", "port": 8001}], "minReady": "100%", "className": "", "suspend": false,
        "registration": {"policy": "Mirror", "ttlSeconds": 60},
    });
    assert_eq!(created["spec"], defaults);
    assert_eq!(created["status"], json!({"observedGeneration": -1}));
    let created = bed.try_spec(&json!({"serviceRef": {"name": "a", "port": 80}, "registration": {"policy": "None"}, "probe": {"tls": {}}})).await.accepted();
    assert_eq!(created["spec"]["serviceRef"]["expand"], "Service");
    assert_eq!(created["spec"]["registration"], json!({"policy": "None", "ttlSeconds": 60}));
    assert_eq!(created["spec"]["probe"], json!({"tls": {}}));
}

pub async fn an_agent_id_can_be_neither_changed_nor_added_nor_removed(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, "with", &rules::with("/agentID", "a")).await;
    bed.store(&namespace, "without", &rules::least()).await;
    for (name, id) in [("with", json!("b")), ("with", Value::Null), ("without", json!("a"))] {
        let refused = bed.patch(&namespace, name, "", json!({"spec": {"agentID": id}})).await;
        let (code, causes) = (refused.code, refused.causes());
        let message = "field is immutable: it can be neither changed, added nor removed; make a new object for a new id";
        assert!(
            code == 422
                && causes.iter().any(|(field, text)| field == "spec.agentID" && text.ends_with(message)),
            "{code} {causes:?}"
        );
    }
    for name in ["with", "without"] {
        bed.patch(&namespace, name, "", json!({"spec": {"suspend": true, "minReady": 0}})).await.accepted();
    }
}

pub async fn every_rule_accepts_the_right_and_refuses_the_wrong_with_its_own_message(bed: &Bed) {
    let mut missing = BTreeSet::new();
    walk(&root(), "", &mut |path, node| {
        for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
            if !rule["rule"].as_str().unwrap().contains("oldSelf") {
                let path = format!("{path}{}", rule["fieldPath"].as_str().unwrap_or_default());
                missing.insert((path, rule["message"].as_str().unwrap().to_owned()));
            }
        }
    });
    let mut wrong = Vec::new();
    for rule in rules::rules() {
        missing.remove(&(rule.path.replace("[0]", ".*"), rule.message.to_owned()));
        assert!(!rule.refused.is_empty());
        for spec in rule.refused {
            let refused = bed.try_spec(&spec).await;
            let said = refused
                .causes()
                .iter()
                .any(|(field, text)| field == rule.path && text.ends_with(rule.message));
            if refused.code != 422 || !said {
                wrong.push(format!(
                    "{spec}: {} {:?}, not {}: {}",
                    refused.code,
                    refused.causes(),
                    rule.path,
                    rule.message
                ));
            }
        }
        for spec in rule.accepted {
            let accepted = bed.try_spec(&spec).await;
            if accepted.code != 201 {
                wrong.push(format!("{spec}: {} {:?}", accepted.code, accepted.causes()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(missing.is_empty(), "rules without a case: {missing:#?}");
}

pub async fn bad_inputs_are_refused_with_the_field_path(bed: &Bed) {
    let mut wrong = Vec::new();
    for (id, spec, path) in bad_inputs::bad_inputs() {
        let refused = bed.try_spec(&spec).await;
        if !refused.names(path) || !refused.body["message"].as_str().unwrap_or_default().contains(path) {
            wrong.push(format!(
                "{id} {path}: {spec}: {} {:?} {}",
                refused.code,
                refused.causes(),
                refused.body["message"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let no_spec = json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": "AgentEndpoint", "metadata": {"name": "a"}});
    let refused = bed.create("default", "dryRun=All&fieldValidation=Strict", no_spec.to_string()).await;
    assert!(refused.names("spec"), "{:#}", refused.body);
}

pub async fn a_refused_number_names_the_limit(bed: &Bed) {
    let cases = [
        ("/probe/periodSeconds", 0, "1"),
        ("/probe/periodSeconds", 3601, "3600"),
        ("/probe/failureThreshold", 1_000_000, "10"),
        ("/targets/0/port", 65536, "65535"),
    ];
    for (pointer, value, limit) in cases {
        let refused = bed.try_spec(&rules::with(pointer, value)).await;
        let said = refused.causes().iter().any(|(_, text)| text.ends_with(&format!("or equal to {limit}")));
        assert!(said, "{pointer} {value}: {:?}", refused.causes());
    }
    let refused = bed.try_spec(&rules::with("/probe/http/method", "HTTPs")).await;
    assert!(
        refused.causes().iter().any(|(_, text)| text.contains("\"GET\", \"HEAD\"")),
        "{:?}",
        refused.causes()
    );
}

pub async fn a_name_of_253_characters_is_an_object_like_any_other(bed: &Bed) {
    let namespace = bed.namespace().await;
    bed.store(&namespace, &"n".repeat(253), &rules::least()).await;
    let refused = bed.create(&namespace, "", object(&"n".repeat(254), &rules::least())).await;
    assert!(refused.names("metadata.name"), "{:#}", refused.body);
}
