//! Metrics in the Prometheus text format. Labels come from closed sets only.

use std::sync::Mutex;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text::encode};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Reads a number when it is asked for.
pub type Read = Box<dyn Fn() -> u64 + Send + Sync>;

/// One number of the process.
pub struct Number {
    /// Name without the prefix and without `_total`.
    pub name: &'static str,
    /// For people, without a full stop.
    pub help: &'static str,
    /// It only grows.
    pub counter: bool,
    /// How to read it.
    pub read: Read,
}

impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[derive(Debug)]
struct Numbers(Vec<Number>);

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for number in &self.0 {
            let value = (number.read)();
            if number.counter {
                let metric = ConstCounter::new(value);
                let one = encoder.encode_descriptor(number.name, number.help, None, metric.metric_type())?;
                metric.encode(one)?;
            } else {
                let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                let one = encoder.encode_descriptor(number.name, number.help, None, metric.metric_type())?;
                metric.encode(one)?;
            }
        }
        Ok(())
    }
}

/// Everything that `/metrics` shows.
pub struct Metrics {
    registry: Mutex<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { registry: Mutex::new(Registry::with_prefix("configurable_agents")) }
    }
}

impl Metrics {
    /// Adds numbers.
    pub fn add(&self, numbers: Vec<Number>) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register_collector(Box::new(Numbers(numbers)));
    }

    /// The text.
    pub fn render(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a String does not fail; a half-written page would be told by its missing EOF.
        encode(&mut text, &registry).ok();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_prefix_type_and_help() {
        let metrics = Metrics::default();
        metrics.add(vec![Number {
            name: "probes",
            help: "Probes begun",
            counter: true,
            read: Box::new(|| 7),
        }]);
        let text = metrics.render();
        assert!(text.contains("# TYPE configurable_agents_probes counter"), "{text}");
        assert!(text.contains("configurable_agents_probes_total 7"), "{text}");
    }
}
