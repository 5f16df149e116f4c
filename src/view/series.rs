//! The endpoints as metrics: read from the rows when somebody scrapes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::system::Role;
use super::{Row, Rows, View};
use crate::domain::{EndpointId, Reason, StatusWord};

/// With more endpoints than this there are no series of single ones.
pub const MOST: usize = 20_000;

/// Name without prefix, kind, labels, help: of everything that is shown here.
pub const FAMILIES: [(&str, &str, &[&str], &str); 6] = [
    ("endpoints", "gauge", &["namespace", "status"], "Endpoints by status word; of the active replica"),
    (
        "endpoint_series",
        "gauge",
        &[],
        "Whether single endpoints have series: 0 with --metrics-per-endpoint=false or above 20,000 endpoints",
    ),
    (
        "endpoint_ready",
        "gauge",
        &["namespace", "name", "protocol"],
        "1 for Ready and Degraded, 0 for Failing and Rejected; absent for Unknown and Paused",
    ),
    (
        "endpoint_info",
        "gauge",
        &["namespace", "name", "protocol", "status", "reason"],
        "The status word and the reason of the Ready condition; always 1",
    ),
    (
        "endpoint_transitions",
        "counter",
        &["namespace", "name", "to"],
        "Changes of the status word since this process first saw the endpoint",
    ),
    (
        "endpoint_last_latency_seconds",
        "gauge",
        &["namespace", "name"],
        "Latency of the last probe that passed; of several targets the slowest",
    ),
];

/// How long the last probes that passed took.
pub type Latencies = Arc<dyn Fn() -> HashMap<EndpointId, Duration> + Send + Sync>;

/// Shows the endpoints of a view. Only the active replica does: several would count each of them twice.
pub struct Series {
    view: View,
    latencies: Latencies,
    /// Series of single endpoints as well.
    single: bool,
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Series")
    }
}

impl Series {
    /// All endpoints of `view`; with `single` also one by one, as long as they are not too many.
    pub fn new(view: View, latencies: Latencies, single: bool) -> Series {
        Series { view, latencies, single }
    }
}

/// A word as labels have it.
fn label(word: StatusWord) -> &'static str {
    match word {
        StatusWord::Failing => "failing",
        StatusWord::Rejected => "rejected",
        StatusWord::Degraded => "degraded",
        StatusWord::Unknown => "unknown",
        StatusWord::Paused => "paused",
        StatusWord::Ready => "ready",
    }
}

fn ready(word: StatusWord) -> Option<f64> {
    match word {
        StatusWord::Ready | StatusWord::Degraded => Some(1.0),
        StatusWord::Failing | StatusWord::Rejected => Some(0.0),
        StatusWord::Unknown | StatusWord::Paused => None,
    }
}

type Label<'a> = (&'static str, &'a str);

fn name(id: &EndpointId) -> [Label<'_>; 2] {
    [("namespace", id.namespace.as_str()), ("name", id.name.as_str())]
}

/// One family: its description, then what `each` writes.
fn gauges<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    family: usize,
    values: impl Iterator<Item = ([Label<'a>; N], f64)>,
) -> Result<(), std::fmt::Error> {
    let (name, _, _, help) = FAMILIES[family];
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

impl Collector for Series {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let active = self.view.standing().0 == Role::Active;
        let rows: Arc<Rows> = if active { self.view.rows() } else { Arc::default() };
        let mut counts: BTreeMap<&str, BTreeMap<StatusWord, u32>> = BTreeMap::new();
        for row in rows.values() {
            let words = counts
                .entry(&row.id.namespace)
                .or_insert_with(|| StatusWord::ALL.map(|word| (word, 0)).into());
            *words.entry(row.word).or_default() += 1;
        }
        let counted = counts.iter().flat_map(|(namespace, words)| {
            words.iter().map(|(word, count)| {
                ([("namespace", *namespace), ("status", label(*word))], f64::from(*count))
            })
        });
        gauges(&mut encoder, 0, counted)?;
        let single = self.single && rows.len() <= MOST;
        let (name, _, _, help) = FAMILIES[1];
        let series = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(single)).encode(series)?;
        let none = Rows::new();
        self.encode_single(&mut encoder, if single { &rows } else { &none })
    }
}

impl Series {
    fn encode_single(&self, encoder: &mut DescriptorEncoder<'_>, rows: &Rows) -> Result<(), std::fmt::Error> {
        let labels = |row: &'_ Row| [("protocol", protocol(row))];
        gauges(
            encoder,
            2,
            rows.values().filter_map(|row| {
                let ([namespace, name], [protocol]) = (name(&row.id), labels(row));
                Some(([namespace, name, protocol], ready(row.word)?))
            }),
        )?;
        gauges(
            encoder,
            3,
            rows.values().map(|row| {
                let ([namespace, name], [protocol]) = (name(&row.id), labels(row));
                let (status, reason) = (("status", label(row.word)), ("reason", reason(row)));
                ([namespace, name, protocol, status, reason], 1.0)
            }),
        )?;
        let turns = if rows.is_empty() { HashMap::new() } else { self.view.turns() };
        let (family, _, _, help) = FAMILIES[4];
        let mut transitions = encoder.encode_descriptor(family, help, None, MetricType::Counter)?;
        for id in rows.keys() {
            let counts = turns.get(id).copied().unwrap_or_default();
            let [namespace, name] = name(id);
            for (word, count) in StatusWord::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
                let labels = [namespace, name, ("to", label(word))];
                ConstCounter::new(count).encode(transitions.encode_family(&labels)?)?;
            }
        }
        let latencies = if rows.is_empty() { HashMap::new() } else { (self.latencies)() };
        let known = rows.keys().filter_map(|id| Some((name(id), latencies.get(id)?.as_secs_f64())));
        gauges(encoder, 5, known)
    }
}

/// A status can be written by others too: only words of ours become labels.
fn protocol(row: &Row) -> &'static str {
    let known = ["http", "tcp", "grpc", "a2a", "mcp"];
    known.into_iter().find(|name| *name == row.protocol()).unwrap_or_default()
}

fn reason(row: &Row) -> &'static str {
    Reason::parse(&row.reason).map_or("other", Reason::as_str)
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
