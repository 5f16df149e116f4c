//! Colours: only for who looks at a terminal, and never the only sign of anything.

use crate::domain::StatusWord;

/// When words have colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set; `CLICOLOR_FORCE` asks for them everywhere.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Shall there be colours? The flag, then `NO_COLOR`, then `CLICOLOR_FORCE`, then the terminal.
pub fn wanted(when: ColorWhen, terminal: bool, env: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| env(name).filter(|value| !value.is_empty());
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if set("NO_COLOR").is_some() => false,
        ColorWhen::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        ColorWhen::Auto => {
            terminal
                && set("CLICOLOR").is_none_or(|value| value != "0")
                && set("TERM").is_none_or(|value| value != "dumb")
        }
    }
}

/// How a word is emphasised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Bad,
    /// Cannot be acted on.
    Refused,
    /// Not known.
    Dim,
    /// By somebody's wish.
    Calm,
}

impl Style {
    /// The style of a status word.
    pub fn of(word: StatusWord) -> Style {
        match word {
            StatusWord::Ready => Style::Good,
            StatusWord::Degraded => Style::Warning,
            StatusWord::Failing => Style::Bad,
            StatusWord::Rejected => Style::Refused,
            StatusWord::Unknown => Style::Dim,
            StatusWord::Paused => Style::Calm,
        }
    }

    /// The text in its colour.
    pub fn paint(self, text: &str) -> String {
        // The sixteen colours of the terminal's own theme.
        let code = match self {
            Style::Plain => return text.to_owned(),
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "31",
            Style::Refused => "35",
            Style::Dim => "2",
            Style::Calm => "34",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_then_no_color_then_clicolor_force_then_the_terminal() {
        for (when, terminal, env, expected) in [
            (ColorWhen::Auto, true, &[][..], true),
            (ColorWhen::Auto, false, &[], false),
            (ColorWhen::Auto, true, &[("NO_COLOR", "1")], false),
            (ColorWhen::Auto, true, &[("NO_COLOR", "")], true),
            (ColorWhen::Auto, true, &[("TERM", "dumb")], false),
            (ColorWhen::Auto, true, &[("CLICOLOR", "0")], false),
            (ColorWhen::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (ColorWhen::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (ColorWhen::Auto, true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (ColorWhen::Always, false, &[("NO_COLOR", "1")], true),
            (ColorWhen::Never, true, &[("CLICOLOR_FORCE", "1")], false),
        ] {
            let get = |name: &str| {
                env.iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value): &(&str, &str)| (*value).to_owned())
            };
            assert_eq!(wanted(when, terminal, get), expected, "{when:?} {terminal} {env:?}");
        }
    }
}
