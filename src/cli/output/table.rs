//! Columns without lines around them, as kubectl prints them.

use unicode_width::UnicodeWidthStr as _;

use super::color::Style;
use super::text::harmless;

const GAP: usize = 2;
/// A column is not made narrower than this.
const NARROWEST: usize = 8;

/// One cell: harmless text on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Whatever text; what could harm is written out.
    pub fn new(text: impl AsRef<str>) -> Cell {
        Cell { text: harmless(text.as_ref()), style: Style::Plain }
    }

    /// A text that may be empty: then a dash stands there, so that columns can be counted.
    pub fn or_dash(text: impl AsRef<str>) -> Cell {
        if text.as_ref().is_empty() { Cell::new("-") } else { Cell::new(text) }
    }

    /// In a style.
    #[must_use]
    pub fn styled(mut self, style: Style) -> Cell {
        self.style = style;
        self
    }
}

/// Rows under a heading.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// How wide the columns are; kept by a watch, so that later rows stay under the first ones.
pub type Widths = Vec<usize>;

impl Table {
    /// With these columns.
    pub fn new(head: &[&'static str]) -> Table {
        Table { head: head.to_vec(), rows: Vec::new() }
    }

    /// One more row.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// Nothing in it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The widths that show everything.
    pub fn widths(&self) -> Widths {
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.width());
            cells.chain([self.head[column].len()]).max().unwrap_or_default()
        };
        (0..self.head.len()).map(wide).collect()
    }

    /// These widths on that screen: columns give way, the widest first, but none becomes narrower than
    /// its name; then the last ones are left out (a width of 0), but not the first, and not those that
    /// have no name.
    pub fn fit(&self, mut widths: Widths, screen: Option<usize>) -> Widths {
        let Some(screen) = screen else { return widths };
        let least = |at: usize| self.head[at].len().max(NARROWEST);
        loop {
            let over = whole(&widths).saturating_sub(screen);
            let widest = widths.iter().enumerate().filter(|(at, width)| **width > least(*at));
            let Some((at, &width)) = widest.max_by_key(|(at, width)| (**width, *at)) else { break };
            if over == 0 {
                return widths;
            }
            // Down to the next narrower column first, so that the widest gives most.
            let next = widths.iter().copied().filter(|other| *other < width).max().unwrap_or(0);
            widths[at] = (width - over.min(width)).max(next.min(width - 1)).max(least(at));
        }
        while whole(&widths) > screen {
            let named = |at: &usize| *at > 0 && widths[*at] > 0 && !self.head[*at].is_empty();
            match (0..widths.len()).rev().find(named) {
                Some(last) => widths[last] = 0,
                None => break,
            }
        }
        // What was left out has made room for the first.
        let first = self.widths().first().copied().unwrap_or_default();
        let others = whole(&widths) - widths.first().copied().unwrap_or_default();
        if let Some(width) = widths.first_mut() {
            *width = first.min(screen.saturating_sub(others)).max(1);
        }
        widths
    }

    /// The heading.
    pub fn heading(&self, widths: &Widths) -> String {
        let cells: Vec<Cell> = self.head.iter().map(Cell::new).collect();
        line(&cells, widths, false)
    }

    /// The rows.
    pub fn lines(&self, widths: &Widths, colours: bool) -> String {
        self.rows.iter().map(|row| line(row, widths, colours)).collect()
    }

    /// All of it.
    pub fn render(&self, screen: Option<usize>, colours: bool) -> String {
        let widths = self.fit(self.widths(), screen);
        self.heading(&widths) + &self.lines(&widths, colours)
    }
}

/// How wide a line is.
fn whole(widths: &Widths) -> usize {
    let shown = widths.iter().filter(|width| **width > 0);
    widths.iter().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

fn line(cells: &[Cell], widths: &Widths, colours: bool) -> String {
    let mut out = String::new();
    let mut gap = 0;
    for (cell, width) in cells.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let text = shorten(&cell.text, *width);
        out += &" ".repeat(gap);
        gap = width.saturating_sub(text.width()) + GAP;
        out += &if colours { cell.style.paint(&text) } else { text };
    }
    // Empty last cells leave blanks behind.
    out.truncate(out.trim_end_matches(' ').len());
    out + "\n"
}

fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if out.width() >= width {
            out.pop();
            break;
        }
    }
    out + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "STATUS", "MESSAGE"]);
        table.push(vec![
            Cell::new("research"),
            Cell::new("Ready").styled(Style::Good),
            Cell::new("one of one targets answers as it should"),
        ]);
        table.push(vec![Cell::new("漢字"), Cell::or_dash(""), Cell::new("")]);
        table
    }

    #[test]
    fn a_pipe_gets_every_character_and_no_blanks_at_the_end() {
        let text = table().render(None, false);
        assert_eq!(
            text,
            "NAME      STATUS  MESSAGE\n\
             research  Ready   one of one targets answers as it should\n\
             漢字      -\n"
        );
    }

    #[test]
    fn a_narrow_screen_shortens_the_widest_column_and_breaks_no_line() {
        for width in [30, 40, 50] {
            let text = table().render(Some(width), false);
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
            assert!(text.contains('…') && text.contains("research") && text.contains("Ready"), "{text}");
        }
        assert!(!table().render(Some(80), false).contains('…'));
        // There is no room for three columns, then not for two; what is left is still readable.
        assert_eq!(table().render(Some(20), false), "NAME      STATUS\nresearch  Ready\n漢字      -\n");
        assert_eq!(table().render(Some(12), false), "NAME\nresearch\n漢字\n");
        assert_eq!(table().render(Some(6), false), "NAME\nresea…\n漢字\n");
    }

    #[test]
    fn colours_stand_around_words_and_do_not_count_as_width() {
        let (plain, coloured) = (table().render(None, false), table().render(None, true));
        assert!(coloured.contains("\u{1b}[32mReady\u{1b}[0m   one"), "{coloured:?}");
        assert_eq!(coloured.replace("\u{1b}[32m", "").replace("\u{1b}[0m", ""), plain);
    }

    #[test]
    fn a_cell_cannot_act_on_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.push(vec![Cell::new("\u{1b}]0;owned\u{7}\nnext")]);
        assert_eq!(table.render(None, true), "NAME\n\\u{1b}]0;owned\\u{7}\\nnext\n");
    }
}
