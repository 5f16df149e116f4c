//! Records of the registry as rows, and as what filters look at.

use serde_json::{Map, Value, json};

use crate::cli::output::listing::{Item, Listing};
use crate::cli::output::text::Times;
use crate::cli::output::{Cell, Format, Style};
use crate::cli::{CliError, Code};
use crate::domain::StatusWord;
use crate::domain::agent::{AddressView, ContributionView, RecordView, SourceKind};
use crate::domain::filter::Filter;

/// Records that are read at most.
pub const MOST: usize = 100_000;

const HEAD: [&str; 6] = ["AGENT ID", "NAME", "ADDRESS", "ALIVE", "HEARTBEAT", "SOURCE"];
const WIDE: [&str; 5] = ["STATUS", "REASON", "PROTOCOL", "URL", "CAPABILITIES"];

/// The JSON document of a list: what `/v1` answers, in one page.
pub fn document(items: Vec<Value>) -> Value {
    json!({ "items": Value::Array(items) })
}

/// A record, taken apart.
struct Parts<'a> {
    record: &'a RecordView,
    own: Option<&'a ContributionView>,
    said: Option<&'a ContributionView>,
}

impl<'a> Parts<'a> {
    fn of(record: &'a RecordView) -> Parts<'a> {
        let by = |kind| record.contributions.iter().find(|c| c.source.kind == kind);
        Parts { record, own: by(SourceKind::Agent), said: by(SourceKind::Orchestrator) }
    }

    /// The agent's own word comes first, as on the unversioned routes.
    fn first(&self) -> Option<&'a ContributionView> {
        self.own.or(self.said)
    }

    fn address(&self) -> Option<&'a AddressView> {
        let addresses = &self.first()?.addresses;
        addresses.iter().find(|a| a.status == Some(StatusWord::Ready)).or(addresses.first())
    }

    fn endpoint(&self) -> Option<String> {
        let endpoint = self.said?.endpoint.as_ref()?;
        Some(format!("{}/{}", endpoint.namespace, endpoint.name))
    }

    fn source(&self) -> String {
        let endpoint = self.endpoint().map(|endpoint| format!("AgentEndpoint {endpoint}"));
        let own = self.own.map(|_| "self-registered".to_owned());
        endpoint.into_iter().chain(own).collect::<Vec<_>>().join(", ")
    }

    fn own_metadata(&self) -> Map<String, Value> {
        let text = self.own.and_then(|own| own.agent_metadata.as_deref());
        match text.and_then(|text| serde_json::from_str(text).ok()) {
            Some(Value::Object(object)) => object,
            _ => Map::new(),
        }
    }

    fn declared(&self) -> Map<String, Value> {
        let said = self.said.into_iter().flat_map(|said| &said.metadata);
        said.map(|(key, value)| (key.clone(), json!(value))).collect()
    }

    /// What the registry itself says of the agent.
    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                fields.insert(name.to_owned(), value);
            }
        };
        put("agent_id", json!(self.record.agent_id));
        put("is_alive", json!(self.record.is_alive));
        put("agent_name", json!(self.first().map(|c| &c.agent_name)));
        put("host", json!(self.address().map(|a| &a.host)));
        put("port", json!(self.address().map(|a| a.port)));
        put("ttl_seconds", json!(self.first().map(|c| c.ttl_seconds)));
        put("self_registered", json!(self.own.is_some()));
        put("endpoint", json!(self.endpoint()));
        if let Some(said) = self.said {
            put("status", json!(said.status));
            put("reason", json!(said.reason));
            put("protocol", json!(said.protocol));
            put("url", json!(said.url));
            put("capabilities", json!(said.capabilities));
        }
        fields
    }
}

/// Does the filter hold for the record? Its metadata first, then its fields; `record.` in front of a
/// field's name is the field whatever the metadata says.
pub fn matches(filter: &Filter, record: &RecordView) -> bool {
    if filter.is_empty() {
        return true;
    }
    let parts = Parts::of(record);
    let fields = parts.fields();
    let sure = Map::from_iter([("record".to_owned(), Value::Object(fields.clone()))]);
    filter.matches(&[&sure, &parts.own_metadata(), &parts.declared(), &fields])
}

/// Rows of records.
pub fn listing(records: &[RecordView], format: Format, times: &Times) -> Result<Listing, CliError> {
    let wide = format == Format::Wide;
    let mut head = HEAD.to_vec();
    if wide {
        head.extend(WIDE);
    }
    let items = records.iter().map(|record| item(record, wide, times)).collect::<Result<_, _>>()?;
    Ok(Listing { head, items })
}

fn item(record: &RecordView, wide: bool, times: &Times) -> Result<Item, CliError> {
    let parts = Parts::of(record);
    let first = parts.first();
    let address = parts.address().map(|a| address(&a.host, a.port)).unwrap_or_default();
    let alive = if record.is_alive { ("yes", Style::Good) } else { ("no", Style::Bad) };
    let name = first.map(|c| c.agent_name.as_str()).unwrap_or_default();
    let mut stable = vec![name.to_owned(), address.clone(), alive.0.to_owned(), parts.source()];
    let mut cells = vec![
        Cell::new(&record.agent_id),
        Cell::or_dash(name),
        Cell::or_dash(&address),
        Cell::new(alive.0).styled(alive.1),
        Cell::or_dash(first.map(|c| times.show(c.as_of)).unwrap_or_default()),
        Cell::or_dash(parts.source()),
    ];
    let said = parts.said;
    let word = said.and_then(|said| said.status);
    let text =
        |pick: fn(&ContributionView) -> Option<&str>| said.and_then(pick).unwrap_or_default().to_owned();
    let more = [
        word.map(StatusWord::as_str).unwrap_or_default().to_owned(),
        text(|said| said.reason.as_deref()),
        text(|said| said.protocol.as_deref()),
        text(|said| said.url.as_deref()),
        said.map(|said| said.capabilities.join(",")).unwrap_or_default(),
    ];
    if wide {
        let styled = Cell::or_dash(&more[0]).styled(word.map(Style::of).unwrap_or_default());
        cells.push(styled);
        cells.extend(more[1..].iter().map(Cell::or_dash));
    }
    stable.extend(more);
    let object = serde_json::to_value(record)
        .map_err(|e| CliError::new(Code::Internal, "cannot write the answer").cause(e.to_string()))?;
    Ok(Item { name: record.agent_id.clone(), object, cells, mark: stable.join("\u{0}") })
}

/// Host and port as one text.
fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
