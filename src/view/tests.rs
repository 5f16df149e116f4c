use std::sync::Arc;

use jiff::Timestamp;
use kube::core::DeserializeGuard;
use serde_json::json;

use super::View;
use super::query::{Query, Sort};
use crate::api::v1alpha1::Guarded;
use crate::domain::{EndpointId, StatusWord};

fn object(name: &str, ready: &str, at: i64) -> Arc<Guarded> {
    let time = Timestamp::from_second(at).unwrap().to_string();
    let condition = json!({
        "type": "Ready", "status": ready, "reason": if ready == "True" { "Ready" } else { "ConnectionRefused" },
        "message": "m", "lastTransitionTime": time, "observedGeneration": 1,
    });
    let object = json!({
        "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
        "metadata": {"name": name, "namespace": "ns", "uid": name, "labels": {"tier": "gold"}},
        "spec": {"targets": [{"host": "a.example", "port": 80}]},
        "status": {"conditions": [condition], "protocol": "http"},
    });
    Arc::new(DeserializeGuard(Ok(serde_json::from_value(object).unwrap())))
}

fn view() -> View {
    View::new(|| Timestamp::constant(5000, 0))
}

#[test]
fn a_change_raises_the_version_and_the_same_again_does_not() {
    let view = view();
    view.put(object("a", "True", 10));
    assert_eq!(view.version(), 1);
    view.put(object("a", "True", 10));
    assert_eq!(view.version(), 1);
    view.put(object("b", "True", 10));
    assert_eq!(view.changes_since(1), Some(vec![EndpointId::new("ns", "b")]));
    assert_eq!(view.changes_since(2), Some(vec![]));
    assert_eq!(view.changes_since(9), None, "a version of another process");
}

#[test]
fn readers_that_were_away_for_too_long_are_told_to_read_everything() {
    let view = view();
    for n in 0..1100 {
        view.put(object("a", "True", n));
    }
    assert_eq!(view.changes_since(1), None);
    assert_eq!(view.changes_since(1099).map(|ids| ids.len()), Some(1));
}

#[test]
fn activity_has_each_turn_once_and_deletes_are_remembered() {
    let view = view();
    view.put(object("a", "True", 10));
    view.put(object("a", "False", 20));
    view.put(object("a", "False", 20));
    view.retain(|_| false);
    let activity = view.activity();
    let turns: Vec<_> = activity.iter().map(|t| (t.at.as_second(), t.from, t.to)).collect();
    let (ready, failing) = (Some(StatusWord::Ready), Some(StatusWord::Failing));
    assert_eq!(turns, [(5000, failing, None), (20, ready, failing), (10, None, ready)]);
    let tombstone = view.tombstone(&EndpointId::new("ns", "a")).unwrap();
    assert_eq!(tombstone.row.word, StatusWord::Failing);
    view.put(object("a", "True", 30));
    assert!(view.tombstone(&EndpointId::new("ns", "a")).is_none());
}

#[test]
fn problems_come_first_and_counts_ignore_the_words_that_were_asked_for() {
    let view = view();
    view.put(object("a", "True", 10));
    view.put(object("z", "False", 20));
    let mut query = Query::default();
    let names = |query: &Query| -> Vec<String> {
        query.select(&view.rows()).rows.iter().map(|row| row.id.name.clone()).collect()
    };
    assert_eq!(names(&query), ["z", "a"]);
    query.sort = Sort::Name;
    assert_eq!(names(&query), ["a", "z"]);
    assert!(query.read("status", "failing,rejected").unwrap());
    assert_eq!(names(&query), ["z"]);
    let selection = query.select(&view.rows());
    assert_eq!(selection.counts[&StatusWord::Ready], 1);
    for (parameter, value, found) in [
        ("q", "REFUSED", 1),
        ("q", "a.example:80", 1),
        ("q", "nothing", 0),
        ("q", "", 1),
        ("label", "tier=gold", 1),
        ("label", "tier!=gold", 0),
        ("label", "", 1),
        ("proto", "grpc", 0),
        ("proto", "http", 1),
        ("ns", "other", 0),
        ("ns", "ns", 1),
        ("cap", "x", 0),
    ] {
        query.read(parameter, value).unwrap();
        assert_eq!(names(&query).len(), found, "{parameter}={value}");
    }
    for (parameter, value) in [
        ("status", "up"),
        ("sort", "age"),
        ("proto", "gopher"),
        ("label", "a in (b"),
        ("q", &"x".repeat(600)),
    ] {
        let error = query.read(parameter, value).unwrap_err();
        assert_eq!(error.parameter, parameter, "{error}");
    }
    assert!(!query.read("nonsense", "1").unwrap());
}

#[test]
fn an_object_that_cannot_be_read_is_rejected_and_says_why() {
    let view = view();
    let invalid = kube::core::error_boundary::InvalidObject {
        error: "missing field `host`".to_owned(),
        metadata: serde_json::from_value(json!({"name": "odd", "namespace": "ns"})).unwrap(),
    };
    view.put(Arc::new(DeserializeGuard(Err(invalid))));
    let row = view.row(&EndpointId::new("ns", "odd")).unwrap();
    assert_eq!((row.word, row.message()), (StatusWord::Rejected, "missing field `host`"));
}

#[test]
fn a_turn_that_no_condition_dates_is_dated_as_it_was_noticed() {
    let with = |change: fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(object("a", "True", 10).0.as_ref().unwrap()).unwrap();
        change(&mut value);
        Arc::new(DeserializeGuard(Ok(serde_json::from_value(value).unwrap())))
    };
    let view = view();
    view.put(object("a", "False", 10));
    // Rejected while it failed: Ready stays False, and its time with it.
    view.put(with(|value| {
        value["status"]["conditions"] = json!([
            {"type": "Ready", "status": "False", "reason": "TargetNotPermitted", "message": "m",
             "lastTransitionTime": "1970-01-01T00:00:10Z"},
            {"type": "Accepted", "status": "False", "reason": "TargetNotPermitted", "message": "m",
             "lastTransitionTime": "1970-01-01T00:01:00Z"},
        ]);
    }));
    let row = view.row(&EndpointId::new("ns", "a")).unwrap();
    assert_eq!((row.word, row.since.as_second()), (StatusWord::Rejected, 60));
    assert_eq!(view.activity()[0].at.as_second(), 60);
    // An object that cannot be read any more has no times: the clock says when.
    let invalid = kube::core::error_boundary::InvalidObject {
        error: "odd".to_owned(),
        metadata: serde_json::from_value(json!({"name": "b", "namespace": "ns"})).unwrap(),
    };
    view.put(object("b", "True", 10));
    view.put(Arc::new(DeserializeGuard(Err(invalid))));
    let turn = view.activity().into_iter().find(|t| t.name == "b" && t.from.is_some()).unwrap();
    assert_eq!((turn.to, turn.at.as_second()), (Some(StatusWord::Rejected), 5000));
    let row = view.row(&EndpointId::new("ns", "b")).unwrap();
    let shown = serde_json::to_value(row.shown().as_ref()).unwrap();
    assert_eq!(shown["status"]["conditions"][0]["message"], "odd");
    assert_eq!(shown["metadata"]["name"], "b");
}

#[test]
fn what_is_hidden_is_neither_shown_nor_told_as_deleted() {
    let view = view();
    view.put(object("a", "True", 10));
    view.hide(&EndpointId::new("ns", "a"));
    assert!(view.rows().is_empty() && view.tombstone(&EndpointId::new("ns", "a")).is_none());
    assert_eq!(view.activity().len(), 1);
    assert_eq!(view.version(), 2, "readers are told");
}
