//! Without a name: the orchestrator, the counts, what needs attention.

use std::collections::BTreeMap;

use super::Asked;
use super::rows::{self, Read};
use crate::cli::CliError;
use crate::cli::output::text::{age, count, folded, harmless};
use crate::cli::output::{Screen, Style, print};
use crate::domain::StatusWord;
use crate::view::System;
use crate::view::system::{Mode, RegistryLink, Role};

/// Rows that are shown unless all are asked for.
const FIRST: usize = 5;
/// States that somebody should look at, worst first.
const ATTENTION: [StatusWord; 4] =
    [StatusWord::Failing, StatusWord::Rejected, StatusWord::Degraded, StatusWord::Unknown];

/// What stands in front of a line.
const LABEL: &str = "              ";

type Counts = BTreeMap<StatusWord, usize>;

pub async fn show(asked: &Asked) -> Result<Vec<Read>, CliError> {
    let args = &asked.args;
    let narrowed = args.namespace.is_some() || args.selector.is_some();
    if !asked.is_table() {
        let endpoints = asked.endpoints(&args.status).await?;
        asked.print_list(&endpoints, &asked.times(crate::ops::now()))?;
        return Ok(endpoints);
    }
    let system = asked.client.system().await.map_err(|e| asked.explain(&e))?;
    // The server counts; where it cannot know what is asked for, everything is read and counted here.
    let wanted: &[StatusWord] = match (narrowed || args.all, args.status.is_empty()) {
        (true, _) => &[],
        (false, true) => &ATTENTION,
        (false, false) => &args.status,
    };
    let mut endpoints = asked.endpoints(wanted).await?;
    let counts = if narrowed { counted(&endpoints) } else { system.counts.clone() };
    let times = asked.times(system.now);
    let mut text = heading(&asked.client.url(), &system, &counts, &asked.screen);
    let listed = args.all || !args.status.is_empty();
    if !args.status.is_empty() {
        endpoints.retain(|read| args.status.contains(&read.row.word));
    }
    let shown: Vec<&Read> =
        endpoints.iter().filter(|read| listed || ATTENTION.contains(&read.row.word)).collect();
    let total = shown.len();
    let first = if listed { total } else { total.min(FIRST) };
    if total > 0 {
        let title = match (listed, first < total) {
            (true, _) => format!("ENDPOINTS ({})", count(total)),
            (false, true) => format!("NEEDS ATTENTION ({first} of {}; --all for the rest)", count(total)),
            (false, false) => format!("NEEDS ATTENTION ({total})"),
        };
        text = format!("{text}\n{}\n", folded(&title, asked.screen.width, 2));
        let mut rows = rows::listing(&endpoints, args.output.output, &times);
        if !listed {
            let keep: Vec<String> = shown.iter().take(first).map(|read| read.row.id.to_string()).collect();
            rows.items.retain(|item| keep.contains(&item.name));
        }
        text += &rows.render(args.output.output, &asked.screen, super::list)?;
    }
    print(&text)?;
    Ok(endpoints)
}

fn counted(endpoints: &[Read]) -> Counts {
    let mut counts = Counts::new();
    endpoints.iter().for_each(|read| *counts.entry(read.row.word).or_default() += 1);
    counts
}

/// The lines above the table.
fn heading(url: &str, system: &System, counts: &Counts, screen: &Screen) -> String {
    let age_of = |at| age(system.now.duration_since(at).as_secs());
    let mode = match system.mode {
        Mode::Kubernetes => "kubernetes",
        Mode::Standalone => "standalone",
    };
    let role = match system.role {
        Role::Active => "active",
        Role::Standby => "standby",
    };
    let up = age_of(system.started_at);
    let mut lines = vec![format!(
        "Orchestrator  {}   {mode} · {role} · up {up} · v{}",
        harmless(url),
        harmless(&system.version)
    )];
    lines.push(match &system.registry {
        None => "Registry      none (--registry-url none)".to_owned(),
        Some(link) => registry(link, age_of),
    });
    let probes = &system.probes;
    let mut parts = vec![format!("{}/s", decimal(probes.per_second))];
    parts.extend(probes.lag_p95_seconds.map(|lag| format!("lag p95 {}", lateness(lag))));
    parts.push(match probes.last_finished_at {
        Some(at) => format!("last finished {} ago", age_of(at)),
        None => "none finished yet".to_owned(),
    });
    lines.push(format!("Probes        {}", parts.join(" · ")));
    let waiting = system.checks.iter().filter(|(_, problem)| !problem.is_empty());
    lines.extend(
        waiting.map(|(name, problem)| format!("Trouble       {}: {}", harmless(name), harmless(problem))),
    );
    if let Some(failure) = &system.mass_failure {
        let (what, then) = failure.sentences(|at| at.strftime("%H:%M:%S UTC").to_string());
        lines.push(format!("Mass failure  {}", harmless(&what)));
        lines.push(format!("{LABEL}{}", harmless(&then)));
    }
    lines.push(format!("Endpoints     {}", summary(counts, screen.colours)));
    lines.iter().map(|line| folded(line, screen.width, LABEL.len()) + "\n").collect()
}

fn registry(link: &RegistryLink, age_of: impl Fn(jiff::Timestamp) -> String) -> String {
    let state = match (link.reachable, link.away_since) {
        (None, _) => "not asked yet".to_owned(),
        (Some(true), _) => "reachable".to_owned(),
        (Some(false), Some(at)) => format!("not reachable for {}", age_of(at)),
        (Some(false), None) => "not reachable".to_owned(),
    };
    let problem = link.problem.as_deref().filter(|_| link.reachable != Some(true));
    let problem = problem.map(|problem| format!(" ({})", harmless(problem))).unwrap_or_default();
    let all = count(link.mirrored + link.pending);
    format!(
        "Registry      {}   {state}{problem} · {} of {all} mirrored",
        harmless(&link.url),
        count(link.mirrored)
    )
}

/// One digit after the point, and none where it says nothing.
fn decimal(number: f64) -> String {
    let text = if number.abs() < 100.0 { format!("{number:.1}") } else { format!("{number:.0}") };
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A short time: milliseconds below a second.
fn lateness(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{} s", decimal(seconds)) }
}

/// `12: 1 failing · 11 ready`.
fn summary(counts: &Counts, colours: bool) -> String {
    let total: usize = counts.values().sum();
    let part = |word: StatusWord| {
        let number = counts.get(&word).copied().filter(|number| *number > 0)?;
        let text = format!("{} {}", count(number), word.as_str().to_lowercase());
        Some(if colours { Style::of(word).paint(&text) } else { text })
    };
    let parts: Vec<String> = StatusWord::ALL.into_iter().filter_map(part).collect();
    if total == 0 { "none".to_owned() } else { format!("{}: {}", count(total), parts.join(" · ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PIPE: Screen = Screen { terminal: false, width: None, colours: false };

    fn system(registry: &serde_json::Value) -> System {
        serde_json::from_value(json!({
            "version": "0.1.0", "mode": "kubernetes", "role": "active", "startedAt": "2026-11-23T07:00:00Z",
            "now": "2026-11-23T10:12:00Z", "objects": "api", "counts": {}, "checks": {"lease": "not yet\u{7}", "ok": ""},
            "registry": registry,
            "probes": {"targets": 1, "inFlight": 0, "perSecond": 333.33, "missedSlots": 0, "lagP95Seconds": 0.42,
                       "lastFinishedAt": "2026-11-23T10:11:58Z"},
        }))
        .unwrap()
    }

    #[test]
    fn the_heading_says_what_is_up_and_what_is_not() {
        let link = json!({"url": "http://r:8000", "reachable": true, "mirrored": 9999, "pending": 1});
        let counts = Counts::from([(StatusWord::Ready, 9880), (StatusWord::Failing, 120)]);
        assert_eq!(
            heading("http://localhost:9000", &system(&link), &counts, &PIPE),
            "Orchestrator  http://localhost:9000   kubernetes · active · up 3h12m · v0.1.0\n\
             Registry      http://r:8000   reachable · 9,999 of 10,000 mirrored\n\
             Probes        333/s · lag p95 420 ms · last finished 2s ago\n\
             Trouble       lease: not yet\\u{7}\n\
             Endpoints     10,000: 120 failing · 9,880 ready\n"
        );
        let away = json!({"url": "http://r:8000", "reachable": false, "awaySince": "2026-11-23T10:02:00Z",
                          "problem": "connection refused", "mirrored": 0, "pending": 3});
        let text = heading("u", &system(&away), &Counts::new(), &PIPE);
        assert!(text.contains("not reachable for 10m (connection refused) · 0 of 3 mirrored"), "{text}");
        assert!(text.ends_with("Endpoints     none\n"), "{text}");
    }

    #[test]
    fn on_a_narrow_screen_the_heading_goes_on_below_itself() {
        let link = json!({"url": format!("http://{}:8000", "r".repeat(80)), "reachable": true, "mirrored": 1, "pending": 1});
        for width in [20, 40, 60] {
            let screen = Screen { terminal: true, width: Some(width), colours: true };
            let counts = StatusWord::ALL.map(|word| (word, 1000)).into();
            let text = heading("http://localhost:9000", &system(&link), &counts, &screen);
            for line in text.lines() {
                assert!(textwrap::core::display_width(line) <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn a_mass_failure_says_until_when_statuses_are_held_and_what_the_canaries_say() {
        let mut system = system(&json!(null));
        system.mass_failure = serde_json::from_value(json!({
            "since": "2026-11-23T10:10:00Z", "healthy": 50, "failing": 42, "heldUntil": "2026-11-23T10:15:00Z",
            "canaries": [{"name": "API server"}, {"name": "resolver", "problem": "no answer within 3 s"}],
        }))
        .unwrap();
        let text = heading("u", &system, &Counts::new(), &PIPE);
        let said = "Mass failure  42 of 50 healthy targets began to fail within one period.\n              The fault may \
                    be on this side (network, DNS): statuses are held until 10:15:00 UTC, then become Unknown. \
                    Canary resolver fails: no answer within 3 s.\n";
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn numbers_have_a_digit_after_the_point_where_it_says_something() {
        for (number, text) in [(0.0, "0"), (0.25, "0.2"), (33.33, "33.3"), (2.0, "2"), (333.3, "333")] {
            assert_eq!(decimal(number), text);
        }
    }
}
