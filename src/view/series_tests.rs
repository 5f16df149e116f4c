use std::time::Duration;

use jiff::Timestamp;
use kube::core::DeserializeGuard;
use prometheus_client::registry::Registry;
use serde_json::json;

use super::*;
use crate::api::v1alpha1::Guarded;

fn object(namespace: &str, name: &str, ready: &str, reason: &str) -> Arc<Guarded> {
    let time = Timestamp::constant(10, 0).to_string();
    let condition = json!({
        "type": "Ready", "status": ready, "reason": reason, "message": "m", "lastTransitionTime": time,
        "observedGeneration": 1,
    });
    let object = json!({
        "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
        "metadata": {"name": name, "namespace": namespace, "uid": name},
        "spec": {"targets": [{"host": "secret.example", "port": 80}]},
        "status": {"conditions": [condition], "protocol": "http"},
    });
    Arc::new(DeserializeGuard(Ok(serde_json::from_value(object).unwrap())))
}

fn view() -> View {
    View::new(|| Timestamp::constant(5000, 0))
}

fn shown(view: &View, single: bool) -> String {
    let latencies = Arc::new(|| [(EndpointId::new("a", "one"), Duration::from_millis(250))].into());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Series::new(view.clone(), latencies, single)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[test]
fn endpoints_are_counted_by_namespace_and_word_and_each_is_ready_or_not_or_not_known() {
    let view = view();
    view.put(object("a", "one", "True", "Ready"));
    view.put(object("a", "two", "False", "ConnectionRefused"));
    view.put(object("b", "three", "Unknown", "NotYetProbed"));
    let text = shown(&view, true);
    for line in [
        r#"endpoints{namespace="a",status="ready"} 1.0"#,
        r#"endpoints{namespace="a",status="failing"} 1.0"#,
        r#"endpoints{namespace="a",status="paused"} 0.0"#,
        r#"endpoints{namespace="b",status="unknown"} 1.0"#,
        r#"endpoint_ready{namespace="a",name="one",protocol="http"} 1.0"#,
        r#"endpoint_ready{namespace="a",name="two",protocol="http"} 0.0"#,
        r#"endpoint_info{namespace="a",name="two",protocol="http",status="failing",reason="ConnectionRefused"} 1.0"#,
        r#"endpoint_last_latency_seconds{namespace="a",name="one"} 0.25"#,
        "endpoint_series 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(r#"endpoint_ready{namespace="b""#), "{text}");
    assert!(!text.contains("secret.example"), "{text}");
}

#[test]
fn a_transition_is_counted_where_it_leads_and_forgotten_with_its_endpoint() {
    let view = view();
    for reason in ["Ready", "ConnectionRefused", "Ready", "ConnectionRefused"] {
        view.put(object("a", "one", if reason == "Ready" { "True" } else { "False" }, reason));
    }
    let text = shown(&view, true);
    assert!(
        text.contains(r#"endpoint_transitions_total{namespace="a",name="one",to="failing"} 2"#),
        "{text}"
    );
    assert!(text.contains(r#"endpoint_transitions_total{namespace="a",name="one",to="ready"} 1"#), "{text}");
    view.remove(&EndpointId::new("a", "one"));
    view.put(object("a", "one", "True", "Ready"));
    assert!(!shown(&view, true).contains("endpoint_transitions_total{"));
}

#[test]
fn words_that_are_not_ours_are_no_labels() {
    let view = view();
    view.put(object("a", "one", "False", "WrittenBySomebodyElse"));
    let text = shown(&view, true);
    assert!(!text.contains("WrittenBySomebodyElse") && text.contains(r#"reason="other""#), "{text}");
}

#[test]
fn single_endpoints_have_no_series_when_nobody_wants_them_or_they_are_too_many_and_none_on_a_standby() {
    let view = view();
    view.put(object("a", "one", "True", "Ready"));
    let text = shown(&view, false);
    assert!(text.contains("endpoint_series 0") && !text.contains("endpoint_ready{"), "{text}");
    assert!(text.contains(r#"endpoints{namespace="a",status="ready"} 1.0"#), "{text}");
    for n in 0..MOST {
        view.put(object("b", &format!("e{n}"), "True", "Ready"));
    }
    let text = shown(&view, true);
    assert!(text.contains("endpoint_series 0") && !text.contains("endpoint_ready{"));
    assert!(text.contains(r#"endpoints{namespace="b",status="ready"} 20000.0"#));
    view.stand(Role::Standby, None);
    assert!(!shown(&view, true).contains("endpoints{"));
}
