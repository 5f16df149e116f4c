//! `/ui/events`: tells that something changed; what changed, the page itself is asked. Events of the
//! server, one way, so that any proxy passes them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::fault::Fault;
use super::{Site, assets, params};
use crate::domain::EndpointId;

/// Ticks are at least this far apart.
const TICK: Duration = Duration::from_secs(1);
/// More changed endpoints than this are told as "anything".
const KEYS: usize = 200;
/// A stream is ended after this long, so that nothing holds a place for ever; the browser comes back.
const LIFE: Duration = Duration::from_hours(1);
/// A reader that takes nothing for so many beats is let go.
const PATIENCE: u32 = 3;

pub async fn stream(
    State(site): State<Site>,
    method: Method,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    params::none(raw.as_deref())?;
    let Ok(place) = Arc::clone(&site.streams).try_acquire_owned() else {
        let detail = format!("{} readers follow already.", site.settings.live.streams);
        let fault = Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many readers",
            detail,
            "Reload the page instead.",
        );
        return Err(fault.with(header::RETRY_AFTER, "30"));
    };
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    if method == Method::HEAD {
        return Ok(kind.into_response());
    }
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let mut response = Sse::new(events(site, last, place)).into_response();
    // Proxies such as nginx would collect the events first.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

struct Reader {
    site: Site,
    versions: watch::Receiver<u64>,
    /// What the reader knows; `None`: nothing that this process can tell it from.
    known: Option<u64>,
    greeted: bool,
    ticked: Option<Instant>,
    beats: tokio::time::Interval,
    asked: Instant,
    ends: Instant,
    _place: OwnedSemaphorePermit,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.site.shown.followers.dec();
    }
}

/// What a stream says, one event at a time: nothing is collected for a reader that is slow.
pub(super) fn events(
    site: Site,
    last: Option<u64>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, std::convert::Infallible>> {
    let now = Instant::now();
    let beat = site.settings.live.beat;
    let mut beats = tokio::time::interval_at(now + beat, beat);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let versions = site.shown.view.subscribe();
    let known = Some(last.unwrap_or_else(|| site.shown.view.version()));
    site.shown.followers.inc();
    let reader = Reader {
        site,
        versions,
        known,
        greeted: false,
        ticked: None,
        beats,
        asked: now,
        ends: now + LIFE,
        _place: place,
    };
    futures::stream::unfold(reader, async |mut reader| {
        let message = reader.next().await?;
        Some((Ok(message), reader))
    })
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        let now = Instant::now();
        let away = now.duration_since(self.asked);
        if away > self.site.settings.live.beat * PATIENCE || now >= self.ends {
            return None;
        }
        let event = self.event().await;
        self.asked = Instant::now();
        Some(event)
    }

    async fn event(&mut self) -> Event {
        if !self.greeted {
            self.greeted = true;
            self.versions.mark_unchanged();
            return self.hello();
        }
        loop {
            if self.known != Some(self.site.shown.view.version()) {
                if let Some(at) = self.ticked {
                    tokio::time::sleep_until(at + TICK).await;
                }
                self.ticked = Some(Instant::now());
                return self.tick();
            }
            tokio::select! {
                changed = self.versions.changed() => {
                    if changed.is_err() {
                        // The view is gone: the process ends.
                        self.beats.tick().await;
                    }
                }
                _ = self.beats.tick() => return self.beat(),
            }
        }
    }

    fn hello(&self) -> Event {
        let mut data = self.freshness();
        data["v"] = json!(self.site.shown.view.version());
        data["build"] = json!(*assets::BUILD);
        data["beat_s"] = json!(self.site.settings.live.beat.as_secs_f64());
        let hello = Event::default().event("hello").data(data.to_string()).retry(Duration::from_secs(3));
        // The id names what the reader has been told: after a break its ticks are still to come.
        self.known.map_or(hello.clone(), |known| hello.id(known.to_string()))
    }

    fn tick(&mut self) -> Event {
        let view = &self.site.shown.view;
        let version = view.version();
        let changed = self.known.and_then(|known| view.changes_since(known)).filter(|ids| ids.len() <= KEYS);
        let keys: Vec<String> = changed.unwrap_or_default().iter().map(EndpointId::to_string).collect();
        self.known = Some(version);
        self.beats.reset();
        let mut data = self.freshness();
        data["v"] = json!(version);
        data["keys"] = json!(keys);
        data["counts"] = json!(self.site.counts());
        Event::default().event("tick").id(version.to_string()).data(data.to_string())
    }

    fn beat(&self) -> Event {
        Event::default().event("beat").data(self.freshness().to_string())
    }

    /// A live connection is not fresh data: the age of the last probe is told with everything.
    fn freshness(&self) -> Value {
        let system = (self.site.shown.system)();
        let age = system.probes.last_finished_at.map(|at| system.now.duration_since(at).as_secs().max(0));
        json!({ "now": system.now, "data_age_s": age, "stuck_since": self.site.stuck_since(&system) })
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
