use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::*;

fn metrics() -> Metrics {
    let metrics = Metrics::default();
    let family: Family<[(&'static str, &'static str); 1], Counter> = Family::default();
    family.get_or_create(&[("result", "passed")]).inc_by(3);
    metrics.show("probes", &["result"], "Probes that ended", family);
    metrics.count("missed", "Missed", || 7);
    metrics.gauge("pending", "Pending", || Some(0.5));
    metrics.gauge("age_seconds", "Absent now", || None);
    metrics
}

#[test]
fn openmetrics_is_for_those_who_ask_for_it_and_ends_with_its_mark() {
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    assert_eq!(Form::of(Some(accept)), Form::OpenMetrics);
    for accept in [None, Some("*/*"), Some("text/plain;version=0.0.4")] {
        assert_eq!(Form::of(accept), Form::Text);
    }
    let text = metrics().render(Form::OpenMetrics);
    assert!(
        text.contains("# TYPE configurable_agents_missed counter\nconfigurable_agents_missed_total 7\n"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn in_the_older_format_a_counters_family_is_called_as_its_samples_are() {
    let text = metrics().render(Form::Text);
    assert!(
        text.contains(
            "# HELP configurable_agents_missed_total Missed\n# TYPE configurable_agents_missed_total counter\nconfigurable_agents_missed_total 7\n"
        ),
        "{text}"
    );
    assert!(text.contains("configurable_agents_probes_total{result=\"passed\"} 3\n"), "{text}");
    assert!(text.contains("configurable_agents_pending 0.5\n"), "{text}");
    assert!(!text.contains("\nconfigurable_agents_age_seconds"), "{text}");
    assert!(!text.contains("EOF"), "{text}");
}

#[test]
fn what_is_shown_is_described_under_the_name_that_queries_use() {
    let described = metrics().described();
    let names: Vec<&str> = described.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(
        names,
        ["age_seconds", "build_info", "missed_total", "pending", "probes_total"]
            .map(|name| format!("{PREFIX}_{name}"))
    );
    assert_eq!(described[4].labels, ["result"]);
}
