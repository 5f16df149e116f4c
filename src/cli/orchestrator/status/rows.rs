//! Endpoints as rows.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::v1alpha1::{AgentEndpoint, Guarded};
use crate::cli::output::listing::{Item, Listing};
use crate::cli::output::text::Times;
use crate::cli::output::{Cell, Format, Style};
use crate::domain::{ConditionType, StatusWord};
use crate::view::Row;

/// An object as it came, and read.
pub struct Read {
    pub object: Value,
    pub row: Row,
}

impl Read {
    /// `None` for what is no object at all.
    pub fn of(object: Value) -> Option<Read> {
        let guarded: Guarded = serde_json::from_value(object.clone()).ok()?;
        Some(Read { object, row: Row::of(Arc::new(guarded)) })
    }

    /// Ready (also when degraded), or nobody wants it to be.
    pub fn is_fine(&self) -> bool {
        matches!(self.row.word, StatusWord::Ready | StatusWord::Degraded | StatusWord::Paused)
    }

    /// Does the status speak of the newest spec?
    pub fn is_current(&self) -> bool {
        let seen = self.row.object().and_then(|o| o.status.as_ref()?.observed_generation);
        match (self.row.object().and_then(|o| o.metadata.generation), seen) {
            (Some(generation), Some(seen)) => seen >= generation,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }
}

/// When something began; without a time a dash.
pub fn since(times: &Times, at: Timestamp) -> Cell {
    if at == Timestamp::UNIX_EPOCH { Cell::new("-") } else { Cell::new(times.show(at)) }
}

/// A status word in its colour.
pub fn word(word: StatusWord) -> Cell {
    Cell::new(word.as_str()).styled(Style::of(word))
}

pub fn listing(endpoints: &[Read], format: Format, times: &Times) -> Listing {
    let wide = format == Format::Wide;
    let mut head = vec!["NAMESPACE", "NAME", "STATUS", "REASON", "SINCE"];
    if wide {
        head.extend(["TARGETS", "PROTOCOL", "REGISTERED", "AGENT ID"]);
    }
    head.push("MESSAGE");
    Listing { head, items: endpoints.iter().map(|read| item(read, wide, times)).collect() }
}

fn item(read: &Read, wide: bool, times: &Times) -> Item {
    let row = &read.row;
    let mut cells = vec![
        Cell::or_dash(&row.id.namespace),
        Cell::new(&row.id.name),
        word(row.word),
        Cell::new(&row.reason),
        since(times, row.since),
    ];
    if wide {
        let status = row.object().and_then(|object| object.status.as_ref());
        let targets = status.and_then(|status| status.ready_summary.clone()).unwrap_or_default();
        let registered = row.object().map(registered).unwrap_or_default();
        cells.extend([targets, row.protocol().to_owned(), registered, row.agent_id()].map(Cell::or_dash));
    }
    cells.push(Cell::new(row.message()));
    Item { name: row.id.to_string(), object: read.object.clone(), cells, mark: read.object.to_string() }
}

fn registered(object: &AgentEndpoint) -> String {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let registered = conditions.into_iter().find(|c| c.type_ == ConditionType::Registered.as_str());
    registered.map(|c| c.status.clone()).unwrap_or_default()
}
