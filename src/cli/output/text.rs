//! Texts of strangers, and times.

use std::fmt::Write as _;

use jiff::Timestamp;

/// Would the character do something to a terminal or to the order of what is read?
pub fn harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The text with everything that would do something written out, on one line.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if harmful(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// As [`harmless`], line by line.
pub fn harmless_lines(text: &str) -> String {
    text.split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

/// A harmless line on a screen of that width: it goes on below itself, `indent` to the right. Colours
/// do not count.
pub fn folded(line: &str, screen: Option<usize>, indent: usize) -> String {
    let Some(screen) = screen else { return line.to_owned() };
    // On a very narrow screen the indent would leave no room.
    let indent = " ".repeat(if indent * 2 < screen { indent } else { 2 });
    let options = textwrap::Options::new(screen).subsequent_indent(&indent);
    // Blanks between parts are kept: columns stand under each other.
    textwrap::fill(line, options.word_separator(textwrap::WordSeparator::AsciiSpace))
}

/// How times are shown.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The clock that ages are counted by.
    pub now: Timestamp,
    /// RFC 3339 instead of ages.
    pub absolute: bool,
}

impl Times {
    /// One moment, in few characters.
    pub fn show(&self, at: Timestamp) -> String {
        if self.absolute {
            return at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        }
        age(self.now.duration_since(at).as_secs())
    }
}

/// An age as kubectl writes it: at most two units, the small one only while it matters.
pub fn age(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let seconds = seconds.max(0);
    let place = UNITS.iter().position(|(size, _)| seconds >= *size).unwrap_or(3);
    let (size, unit) = UNITS[place];
    let count = seconds / size;
    let mut text = format!("{count}{unit}");
    if let Some((small, unit)) = UNITS.get(place + 1)
        && count < 10
        && seconds % size / small > 0
    {
        // Writing to a String cannot fail.
        write!(text, "{}{unit}", seconds % size / small).ok();
    }
    text
}

/// A count with separators, as the dashboard writes it.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_line_breaks_and_turned_text_are_written_out() {
        for (text, shown) in [
            ("plain, ünïcode 漢字", "plain, ünïcode 漢字"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("two\nlines\r\tand", "two\\nlines\\r\\tand"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}"),
        ] {
            assert_eq!(harmless(text), shown);
        }
        assert_eq!(harmless_lines("a\nb\u{1b}"), "a\nb\\u{1b}");
    }

    #[test]
    fn a_line_goes_on_below_itself() {
        let line = "Probes        333/s · lag p95 420 ms · last finished 2s ago";
        assert_eq!(folded(line, None, 14), line);
        assert_eq!(folded(line, Some(200), 14), line);
        assert_eq!(
            folded(line, Some(40), 14),
            "Probes        333/s · lag p95 420 ms ·\n              last finished 2s ago"
        );
        let url = format!("Registry      http://{}", "x".repeat(60));
        assert!(folded(&url, Some(40), 14).lines().all(|line| line.chars().count() <= 40));
        let painted = "one \u{1b}[31mtwo\u{1b}[0m";
        assert_eq!(folded(painted, Some(7), 2), painted);
    }

    #[test]
    fn ages_have_at_most_two_units() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m1s"),
            (600, "10m"),
            (661, "11m"),
            (11_520, "3h12m"),
            (86_400 * 2 + 60, "2d"),
            (86_400 * 2 + 7200, "2d2h"),
            (86_400 * 40, "40d"),
        ] {
            assert_eq!(age(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn counts_have_separators() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(count(number), text);
        }
    }
}
