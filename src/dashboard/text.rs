//! Text of others, and times, as pages show them.

use std::fmt::Write as _;

use jiff::Timestamp;
use maud::{Markup, html};

/// Of a text in a list this many characters are shown.
pub const SHORT: usize = 256;
/// Of a text on its own page.
pub const LONG: usize = 4096;

/// A text of somebody else: what would hide or reorder its surroundings is shown as its code, and
/// it is cut. Escaping for HTML is the template's.
pub fn safe(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    for (count, c) in text.chars().enumerate() {
        if count == max {
            shown.push('…');
            break;
        }
        match c {
            '\n' | '\t' => shown.push(c),
            c if c.is_control() || reorders(c) => {
                let _ = write!(shown, "\\u{{{:04x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Direction marks and invisible characters that deceive. Joiners are left: scripts and emoji need them.
fn reorders(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text in a list.
pub fn short(text: &str) -> Markup {
    html! { bdi { (safe(text, SHORT)) } }
}

/// A reason, which may be broken between its words.
pub fn reason(text: &str) -> Markup {
    let mut parts: Vec<String> = vec![String::new()];
    let mut before = 'A';
    for c in safe(text, SHORT).chars() {
        if c.is_uppercase() && before.is_lowercase() {
            parts.push(String::new());
        }
        before = c;
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    html! { bdi.r { @for (at, part) in parts.iter().enumerate() { @if at > 0 { wbr; } (part) } } }
}

/// A text where there is room.
pub fn long(text: &str) -> Markup {
    html! { bdi { (safe(text, LONG)) } }
}

/// A part of a path in a URL.
pub fn segment(text: &str) -> String {
    // Form encoding writes a space as `+`, and `+` itself as `%2B`.
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// How long ago in words, or how long until then.
pub fn words(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second());
    let size = seconds.unsigned_abs();
    let amount = match size {
        0..120 => format!("{size} s"),
        120..7_200 => format!("{} min", size / 60),
        7_200..172_800 => format!("{} h", size / 3600),
        _ => format!("{} d", size / 86_400),
    };
    if seconds < 0 { format!("in {amount}") } else { format!("{amount} ago") }
}

/// A time as its distance from now; the script keeps it current.
pub fn ago(at: Timestamp, now: Timestamp) -> Markup {
    html! { time.ago datetime=(at) { (words(at, now)) } }
}

/// A time in full.
pub fn clock(at: Timestamp) -> Markup {
    let text = at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(at) { (text) } }
}

/// A time in full, and how long ago.
pub fn full(at: Timestamp, now: Timestamp) -> Markup {
    html! { (clock(at)) " (" (ago(at, now)) ")" }
}

/// A number with commas between thousands.
pub fn number(n: usize) -> String {
    let digits = n.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Text with code marks as the documents have it.
pub fn marked(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (safe(part, LONG)) } } @else { (safe(part, LONG)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_would_deceive_is_shown_as_its_code_and_long_text_is_cut() {
        assert_eq!(safe("a\u{202e}b\u{7}", 20), "a\\u{202e}b\\u{0007}");
        assert_eq!(safe("שלום 👩‍🚀 é", 20), "שלום 👩‍🚀 é");
        assert_eq!(safe("abcdef", 3), "abc…");
        assert_eq!(safe("abc", 3), "abc");
        assert_eq!(short("<script>").into_string(), "<bdi>&lt;script&gt;</bdi>");
    }

    #[test]
    fn numbers_times_and_path_parts_are_written_for_people_and_for_urls() {
        assert_eq!(
            [number(7), number(999), number(10_000), number(1_234_567)],
            ["7", "999", "10,000", "1,234,567"]
        );
        let now = Timestamp::constant(1_000_000, 0);
        let at = |seconds: i64| words(Timestamp::from_second(1_000_000 - seconds).unwrap(), now);
        assert_eq!(
            [at(5), at(300), at(7300), at(200_000), at(-30)],
            ["5 s ago", "5 min ago", "2 h ago", "2 d ago", "in 30 s"]
        );
        assert_eq!(segment("a b/c+%"), "a%20b%2Fc%2B%25");
        assert_eq!(marked("set `x` now").into_string(), "set <code>x</code> now");
    }
}
