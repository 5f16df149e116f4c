//! What can be read off the table when somebody scrapes.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Key, Table};
use crate::domain::EndpointId;

impl Table {
    pub fn waiting(&self) -> usize {
        self.ready.len() + self.hosts.values().map(|host| host.waiting.len()).sum::<usize>()
    }

    pub fn shortest_period(&self) -> Option<Duration> {
        self.entries.values().filter(|entry| entry.timer.is_some()).map(|entry| entry.spec.period).min()
    }

    /// Of each endpoint the slowest latency, and the certificate that ends first.
    pub fn measured(&self) -> HashMap<EndpointId, (Option<Duration>, Option<Timestamp>)> {
        let of = |keys: &Vec<Key>| {
            let entries = || keys.iter().filter_map(|key| self.entries.get(key));
            let ends = entries().filter_map(|entry| Some(entry.machine.certificate()?.ends)).min();
            (entries().filter_map(|entry| entry.latency).max(), ends)
        };
        self.endpoints.iter().map(|(id, (_, keys))| (id.clone(), of(keys))).collect()
    }
}
