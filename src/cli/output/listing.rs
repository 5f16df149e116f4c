//! Lists, printed once or watched.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::table::{Cell, Table, Widths};
use super::{Format, Screen, json as to_json, note, print, yaml};
use crate::cli::{CliError, Code};

/// A watch asks this often.
const EVERY: Duration = Duration::from_secs(1);

/// One thing of a list.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name, which `-o name` prints.
    pub name: String,
    /// As the API gave it.
    pub object: Value,
    /// One cell a column.
    pub cells: Vec<Cell>,
    /// What a watch compares: everything but ages.
    pub mark: String,
}

/// A list and how it is shown.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The columns of the format that was asked for.
    pub head: Vec<&'static str>,
    /// In order.
    pub items: Vec<Item>,
}

impl Listing {
    fn table(&self) -> Table {
        let mut table = Table::new(&self.head);
        self.items.iter().for_each(|item| table.push(item.cells.clone()));
        table
    }

    /// The list as text; `document` makes the JSON document out of the objects.
    pub fn render(
        &self,
        format: Format,
        screen: &Screen,
        document: impl Fn(Vec<Value>) -> Value,
    ) -> Result<String, CliError> {
        let whole = || document(self.items.iter().map(|item| item.object.clone()).collect());
        match format {
            Format::Json => to_json(&whole(), screen.terminal),
            Format::Yaml => yaml(&whole()),
            Format::Name => Ok(self.items.iter().map(|item| name_line(&item.name)).collect()),
            Format::Table | Format::Wide if self.items.is_empty() => Ok(String::new()),
            Format::Table | Format::Wide => Ok(self.table().render(screen.width, screen.colours)),
        }
    }
}

/// One name on one line.
pub fn name_line(name: &str) -> String {
    super::text::harmless(name) + "\n"
}

/// What changed between two looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Modified,
    Deleted,
}

/// A watch: the list, then every change of it, one JSON object or one row each.
pub struct Watch {
    format: Format,
    screen: Screen,
    widths: Option<Widths>,
    known: BTreeMap<String, Item>,
}

impl Watch {
    /// Nothing is known yet.
    pub fn new(format: Format, screen: Screen) -> Watch {
        Watch { format, screen, widths: None, known: BTreeMap::new() }
    }

    /// The text for what changed since the last look.
    pub fn look(&mut self, listing: Listing) -> Result<String, CliError> {
        let mut changes: Vec<(Change, Item)> = Vec::new();
        let mut now = BTreeMap::new();
        for item in listing.items {
            match self.known.remove(&item.name) {
                None => changes.push((Change::Added, item.clone())),
                Some(before) if before.mark != item.mark => changes.push((Change::Modified, item.clone())),
                Some(_) => {}
            }
            now.insert(item.name.clone(), item);
        }
        let gone = std::mem::replace(&mut self.known, now);
        changes.extend(gone.into_values().map(|item| (Change::Deleted, item)));
        self.text(&listing.head, &changes)
    }

    fn text(&mut self, head: &[&'static str], changes: &[(Change, Item)]) -> Result<String, CliError> {
        if changes.is_empty() {
            return Ok(String::new());
        }
        match self.format {
            Format::Json | Format::Yaml => changes
                .iter()
                .map(|(change, item)| {
                    let kind = match change {
                        Change::Added => "ADDED",
                        Change::Modified => "MODIFIED",
                        Change::Deleted => "DELETED",
                    };
                    let event = json!({"type": kind, "object": item.object});
                    // Documents of one stream of YAML have a line between them.
                    if self.format == Format::Json {
                        to_json(&event, false)
                    } else {
                        Ok(format!("---\n{}", yaml(&event)?))
                    }
                })
                .collect(),
            Format::Name => Ok(changes.iter().map(|(_, item)| name_line(&item.name)).collect()),
            Format::Table | Format::Wide => {
                let mut head = head.to_vec();
                head.push("");
                let mut table = Table::new(&head);
                for (change, item) in changes {
                    let gone = if *change == Change::Deleted { "(gone)" } else { "" };
                    table.push(item.cells.iter().cloned().chain([Cell::new(gone)]).collect());
                }
                let first = self.widths.is_none();
                let now = table.widths();
                let known = self.widths.get_or_insert_with(|| now.clone());
                // A column that was narrow at first makes room for what comes later.
                known.iter_mut().zip(&now).for_each(|(known, now)| *known = (*known).max(*now));
                let widths = table.fit(known.clone(), self.screen.width);
                let heading = if first { table.heading(&widths) } else { String::new() };
                Ok(heading + &table.lines(&widths, self.screen.colours))
            }
        }
    }
}

/// Looks again and again. Who cannot be reached for a while is asked again; everything else ends it.
pub async fn watch(
    format: Format,
    screen: Screen,
    mut fetch: impl AsyncFnMut() -> Result<Listing, CliError>,
) -> Result<(), CliError> {
    let mut watch = Watch::new(format, screen);
    let (mut seen, mut away) = (false, false);
    loop {
        match fetch().await {
            Ok(listing) => {
                if away {
                    note("reachable again");
                }
                (seen, away) = (true, false);
                let text = watch.look(listing)?;
                if !text.is_empty() {
                    print(&text)?;
                }
            }
            Err(error) if seen && error.kind() == Code::Unreachable => {
                if !away {
                    note(&error.to_string());
                    note("still trying; what was shown may be out of date");
                }
                away = true;
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(items: &[(&str, &str)]) -> Listing {
        let item = |(name, state): &(&str, &str)| Item {
            name: (*name).to_owned(),
            object: json!({"name": name, "state": state}),
            cells: vec![Cell::new(name), Cell::new(state)],
            mark: (*state).to_owned(),
        };
        Listing { head: vec!["NAME", "STATE"], items: items.iter().map(item).collect() }
    }

    const PIPE: Screen = Screen { terminal: false, width: None, colours: false };

    #[test]
    fn a_watch_tells_each_change_once() {
        let mut table = Watch::new(Format::Table, PIPE);
        assert_eq!(
            table.look(listing(&[("a", "up"), ("b", "up")])).unwrap(),
            "NAME  STATE\na     up\nb     up\n"
        );
        assert_eq!(table.look(listing(&[("a", "up"), ("b", "up")])).unwrap(), "");
        assert_eq!(table.look(listing(&[("a", "down")])).unwrap(), "a     down\nb     up     (gone)\n");
        let mut lines = Watch::new(Format::Json, PIPE);
        lines.look(listing(&[("a", "up")])).unwrap();
        let text = lines.look(listing(&[("a", "down"), ("b", "up")])).unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events[0], json!({"type": "MODIFIED", "object": {"name": "a", "state": "down"}}));
        assert_eq!(events[1]["type"], "ADDED");
    }

    #[test]
    fn an_empty_list_is_an_empty_table_and_still_a_document() {
        let empty = listing(&[]);
        let whole = |items: Vec<Value>| json!({ "items": items });
        assert_eq!(empty.render(Format::Table, &PIPE, whole).unwrap(), "");
        assert_eq!(empty.render(Format::Name, &PIPE, whole).unwrap(), "");
        assert_eq!(empty.render(Format::Json, &PIPE, whole).unwrap(), "{\"items\":[]}\n");
    }
}
