//! What `/metrics` shows. The instruments belong to whoever counts; here they get name and help.
//! Labels come from closed sets, or name an endpoint; never an address, never what a target sent.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::health::{Check, Health};

/// Before every name.
pub const PREFIX: &str = "configurable_agents";

/// A metric family, for the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// As a query names it: with prefix, and `_total` for a counter.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// For people, without a full stop.
    pub help: &'static str,
}

/// What a scrape asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The text format of Prometheus, 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
}

impl Form {
    /// By the `Accept` header: `OpenMetrics` where it is named, else what everything reads.
    pub fn of(accept: Option<&str>) -> Form {
        let named = |accept: &str| accept.contains("application/openmetrics-text");
        if accept.is_some_and(named) { Form::OpenMetrics } else { Form::Text }
    }

    /// The `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Reads values with their labels when it is asked for them.
type Read<L> = Box<dyn Fn() -> Vec<(L, f64)> + Send + Sync>;

struct Gauges<L> {
    name: &'static str,
    help: &'static str,
    read: Read<L>,
}

impl<L> std::fmt::Debug for Gauges<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<L: EncodeLabelSet + 'static> Collector for Gauges<L> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        for (labels, value) in (self.read)() {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

struct Value {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> Option<f64> + Send + Sync>,
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Value {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(value) = (self.read)() else { return Ok(()) };
        let family = encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(family)
    }
}

struct Count {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl std::fmt::Debug for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Count {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let metric = ConstCounter::new((self.read)());
        metric.encode(encoder.encode_descriptor(self.name, self.help, None, MetricType::Counter)?)
    }
}

#[derive(Default)]
struct Everything {
    registry: Registry,
    described: Vec<Described>,
}

/// Everything that `/metrics` shows.
pub struct Metrics {
    everything: Mutex<Everything>,
}

impl Default for Metrics {
    fn default() -> Self {
        let everything = Everything { registry: Registry::with_prefix(PREFIX), described: Vec::new() };
        let metrics = Metrics { everything: Mutex::new(everything) };
        let build = [("version", env!("CARGO_PKG_VERSION")), ("commit", crate::ops::COMMIT)];
        let help = "The release and the commit that it was built from; always 1";
        metrics.gauges("build_info", &["version", "commit"], help, move || vec![(build, 1.0)]);
        metrics
    }
}

impl Metrics {
    fn everything(&self) -> MutexGuard<'_, Everything> {
        self.everything.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(
        &self,
        name: &str,
        kind: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> MutexGuard<'_, Everything> {
        let total = if kind == "counter" { "_total" } else { "" };
        let name = format!("{PREFIX}_{name}{total}");
        let mut everything = self.everything();
        everything.described.push(Described { name, kind, labels, help });
        everything
    }

    /// Shows an instrument.
    pub fn show<M>(&self, name: &'static str, labels: &'static [&'static str], help: &'static str, metric: M)
    where
        M: EncodeMetric + TypedMetric + std::fmt::Debug + Send + Sync + 'static,
    {
        let kind = M::TYPE.as_str();
        self.describe(name, kind, labels, help).registry.register(name, help, metric);
    }

    /// Shows a number that only grows, read at each scrape.
    pub fn count(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let count = Count { name, help, read: Box::new(read) };
        self.describe(name, "counter", &[], help).registry.register_collector(Box::new(count));
    }

    /// Shows a number that is read at each scrape; `None`: there is none now.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) {
        let value = Value { name, help, read: Box::new(read) };
        self.describe(name, "gauge", &[], help).registry.register_collector(Box::new(value));
    }

    /// Shows numbers with labels that are read at each scrape.
    pub fn gauges<L: EncodeLabelSet + 'static>(
        &self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
        read: impl Fn() -> Vec<(L, f64)> + Send + Sync + 'static,
    ) {
        let gauges = Gauges { name, help, read: Box::new(read) };
        self.describe(name, "gauge", labels, help).registry.register_collector(Box::new(gauges));
    }

    /// Shows each readiness check, and all of them together.
    pub fn checks(&self, health: &Health) {
        let one = |ok: bool| f64::from(u8::from(ok));
        let checks = health.clone();
        let help = "Readiness checks: 1 is fine, 0 is not, or works but wants a look; /readyz says why";
        self.gauges("check_ok", &["check"], help, move || {
            let all = checks.all().into_iter();
            all.map(|(name, check)| ([("check", name)], one(check == Check::Ok))).collect()
        });
        let health = health.clone();
        self.gauge("ready", "Whether /readyz says yes", move || Some(one(health.ready().0)));
    }

    /// Shows families that encode themselves.
    pub fn collect(&self, families: &[Described], collector: Box<dyn Collector>) {
        let mut everything = self.everything();
        everything.described.extend_from_slice(families);
        everything.registry.register_collector(collector);
    }

    /// What there is, by name.
    pub fn described(&self) -> Vec<Described> {
        let mut described = self.everything().described.clone();
        described.sort_by(|a, b| a.name.cmp(&b.name));
        described
    }

    /// The text.
    pub fn render(&self, form: Form) -> String {
        let mut text = String::new();
        // Writing to a String does not fail; a half-written page would be told by its missing EOF.
        encode(&mut text, &self.everything().registry).ok();
        match form {
            Form::OpenMetrics => text,
            Form::Text => classic(&text),
        }
    }
}

/// `OpenMetrics` as the older text format: there a counter's family has the name of its samples, and
/// there is neither an end mark nor a unit.
fn classic(text: &str) -> String {
    let counters: std::collections::HashSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut classic = String::with_capacity(text.len());
    for line in text.lines() {
        let family = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        match family.and_then(|rest| rest.split(' ').next()) {
            Some(name) if counters.contains(name) => {
                classic.push_str(&line.replacen(name, &format!("{name}_total"), 1));
            }
            None if line.starts_with('#') => continue,
            _ => classic.push_str(line),
        }
        classic.push('\n');
    }
    classic
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
