use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::engine::fixtures::idle;

fn orchestrator(cluster: bool) -> Vec<Described> {
    let (engine, view, mirror) = (idle(), View::new(now), Mirror::new(None));
    let shown = Shown::default();
    show(&shown, &engine, &mirror, &view, true);
    // Without a registry there is nothing to say of it.
    registry(&shown.metrics, &mirror);
    let api = ApiCalls::default();
    Instruments::default().show(&shown.metrics, cluster.then_some(&api));
    shown.metrics.described()
}

fn table(families: &[Described]) -> String {
    let mut text = "| Metric | Type | Labels | What it says |\n| --- | --- | --- | --- |\n".to_owned();
    for Described { name, kind, labels, help } in families {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(text, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    text
}

#[tokio::test]
async fn the_reference_lists_exactly_the_families_that_are_exposed() {
    let (standalone, all, registry) = (orchestrator(false), orchestrator(true), crate::registry::described());
    let cluster: Vec<Described> = all.iter().filter(|family| !standalone.contains(family)).cloned().collect();
    let generated = format!(
        "\n## Orchestrator\n\n{}\n## Orchestrator in a cluster, besides\n\n{}\n## Registry\n\n{}",
        table(&standalone),
        table(&cluster),
        table(&registry)
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/metrics.md");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mark = "<!-- Generated from here on: UPDATE_DOCS=1 cargo test --lib measured -->\n";
    let prose = text.split(mark).next().unwrap_or_default();
    let wanted = format!("{prose}{mark}{generated}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap_or_default() == wanted,
        "run UPDATE_DOCS=1 cargo test --lib measured"
    );
}

#[tokio::test]
async fn names_are_told_once_with_base_units_and_without_addresses() {
    let all = orchestrator(true);
    let names: BTreeSet<&str> = all.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "a name is used twice");
    for family in all.iter().chain(&crate::registry::described()) {
        let name = &family.name;
        assert!(name.starts_with("configurable_agents_"), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == "counter", "{name}");
        assert!(family.kind != "histogram" || name.ends_with("_seconds"), "{name}");
        assert!(!["_ms", "_millis", "_minutes"].iter().any(|unit| name.contains(unit)), "{name}");
        assert!(!family.help.ends_with('.'), "{name}");
        for label in ["url", "host", "address", "target", "path", "message"] {
            assert!(!family.labels.contains(&label), "{name} has the label {label}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_without_probes_says_that_nothing_was_completed() {
    let shown = Shown::default();
    show(&shown, &idle(), &Mirror::new(None), &View::new(now), true);
    let text = shown.metrics.render(crate::ops::metrics::Form::Text);
    assert!(text.contains("configurable_agents_targets 0.0\n"), "{text}");
    for absent in ["probe_last_completed_timestamp_seconds", "probe_shortest_period_seconds", "registry_up"] {
        assert!(!text.contains(&format!("\nconfigurable_agents_{absent} ")), "{absent}");
    }
}
