//! One endpoint: its conditions and targets, and how it is probed.

use serde_json::Value;

use super::rows::{self, Read, since, word};
use super::{Asked, missing};
use crate::api::v1alpha1::{AgentEndpoint, Probe, TargetStatus};
use crate::cli::CliError;
use crate::cli::output::text::{Times, folded, harmless};
use crate::cli::output::{Cell, Style, Table, print};
use crate::domain::{EndpointId, StatusWord};
use crate::view::System;
use crate::view::system::Setting;

pub async fn show(asked: &Asked, id: &EndpointId) -> Result<Vec<Read>, CliError> {
    let object = asked.client.endpoint(id).await.map_err(|e| asked.explain(&e))?;
    let Some(read) = object.and_then(Read::of) else { return Err(missing(&id.to_string())) };
    if asked.is_table() {
        let system = asked.client.system().await.map_err(|e| asked.explain(&e))?;
        print(&describe(asked, &read, &system))?;
    } else {
        let one = rows::listing(
            std::slice::from_ref(&read),
            asked.args.output.output,
            &asked.times(crate::ops::now()),
        );
        let whole = |mut items: Vec<Value>| items.pop().unwrap_or_default();
        print(&one.render(asked.args.output.output, &asked.screen, whole)?)?;
    }
    Ok(vec![read])
}

fn describe(asked: &Asked, read: &Read, system: &System) -> String {
    let (times, row) = (asked.times(system.now), &read.row);
    let (width, colours) = (asked.screen.width, asked.screen.colours);
    let painted = if colours { Style::of(row.word).paint(row.word.as_str()) } else { row.word.to_string() };
    let mut text = format!("{}  {painted}  {}", harmless(&row.id.to_string()), harmless(&row.reason));
    if row.since != jiff::Timestamp::UNIX_EPOCH {
        let word = if times.absolute { "since" } else { "for" };
        text = format!("{text}  {word} {}", times.show(row.since));
    }
    let mut lines = vec![text, harmless(row.message())];
    if !read.is_current() {
        lines.push("The status does not speak of the newest spec yet.".to_owned());
    }
    lines.retain(|line| !line.is_empty());
    let mut text: String = lines.iter().map(|line| folded(line, width, 0) + "\n").collect();
    let Some(object) = row.object() else { return text };
    let status = object.status.clone().unwrap_or_default();
    let mut conditions = Table::new(&["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for c in &status.conditions {
        let at = since(&times, c.last_transition_time.0);
        conditions.push(vec![
            Cell::new(&c.type_),
            Cell::new(&c.status),
            Cell::new(&c.reason),
            at,
            Cell::new(&c.message),
        ]);
    }
    let mut targets = Table::new(&["TARGET", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    status.targets.iter().for_each(|target| targets.push(target_row(target, &times)));
    let mut tables = vec![conditions, targets];
    if asked.args.explain {
        tables.push(probe(object, read, &system.configuration));
    }
    for table in tables.iter().filter(|table| !table.is_empty()) {
        text += "\n";
        text += &table.render(width, colours);
    }
    text
}

fn target_row(target: &TargetStatus, times: &Times) -> Vec<Cell> {
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    let state = target
        .status
        .and_then(|state| StatusWord::parse(&format!("{state:?}")))
        .unwrap_or(StatusWord::Unknown);
    vec![
        Cell::new(format!("{host}:{}", target.port)),
        word(state),
        Cell::or_dash(target.reason.as_deref().unwrap_or_default()),
        target.last_transition_time.as_ref().map_or_else(|| Cell::new("-"), |at| since(times, at.0)),
        Cell::new(target.message.as_deref().unwrap_or_default()),
    ]
}

/// Fields of the probe with what they are when the object says nothing: (path in the spec, flag).
const FIELDS: [(&str, &str, &str); 5] = [
    ("periodSeconds", "/spec/probe/periodSeconds", "default-period-seconds"),
    ("timeoutSeconds", "/spec/probe/timeoutSeconds", "default-timeout-seconds"),
    ("failureThreshold", "/spec/probe/failureThreshold", "default-failure-threshold"),
    ("successThreshold", "/spec/probe/successThreshold", "default-success-threshold"),
    (
        "latencyThresholdMilliseconds",
        "/spec/probe/latencyThresholdMilliseconds",
        "default-latency-threshold-milliseconds",
    ),
];

/// What is in force, and who says so.
fn probe(object: &AgentEndpoint, read: &Read, configuration: &[Setting]) -> Table {
    let mut table = Table::new(&["PROBE", "VALUE", "SAID BY"]);
    let said = |path: &str| read.object.pointer(path).filter(|value| !value.is_null());
    let default = |flag: &str| {
        let setting = configuration.iter().find(|setting| setting.name == flag)?;
        Some((setting.value.clone(), format!("the orchestrator's --{flag} ({})", setting.source)))
    };
    let mut put = |name: &str, value: Option<(String, String)>| {
        let (value, by) = value.unwrap_or_else(|| ("-".to_owned(), "not known here".to_owned()));
        table.push(vec![Cell::new(name), Cell::new(value), Cell::new(by)]);
    };
    let field = |path: &str, flag: &str| match said(path) {
        Some(value) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((text, path.trim_start_matches('/').replace('/', ".")))
        }
        None => default(flag),
    };
    let period = field(FIELDS[0].1, FIELDS[0].2).and_then(|(value, _)| value.parse::<u32>().ok());
    for (name, path, flag) in FIELDS {
        let mut value = field(path, flag);
        // A default timeout is never longer than the period.
        if let (true, None, Some(period), Some((text, by))) =
            (name == "timeoutSeconds", said(path), period, value.as_mut())
            && text.parse::<u32>().is_ok_and(|timeout| timeout > period)
        {
            (*text, *by) = (period.to_string(), "the period, which is shorter than the default".to_owned());
        }
        put(name, value);
    }
    let probe = object.spec.probe.as_ref();
    let other = |p: &Probe| p.grpc.is_some() || p.tcp.is_some() || p.a2a.is_some() || p.mcp.is_some();
    if !probe.is_some_and(other) {
        put("http.path", field("/spec/probe/http/path", "default-path"));
    }
    table
}
