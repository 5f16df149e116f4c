use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use jiff::Timestamp;

use super::super::{Settings, Shown, Site};
use super::*;
use crate::api::v1alpha1::Guarded;
use crate::view::{Records, View};

fn now() -> Timestamp {
    Timestamp::constant(5000, 0)
}

fn site() -> Site {
    let system: crate::view::System = serde_json::from_value(json!({
        "version": "x", "mode": "standalone", "role": "active", "startedAt": now(), "now": now(), "objects": "",
        "counts": {}, "checks": {},
        "probes": {"targets": 0, "inFlight": 0, "perSecond": 0.0, "missedSlots": 0},
    }))
    .unwrap();
    let settings = Arc::new(Settings::default());
    Site {
        shown: Shown {
            view: View::new(now),
            system: Arc::new(move || system.clone()),
            records: Records::new(None, now),
            followers: prometheus_client::metrics::gauge::Gauge::default(),
        },
        streams: Arc::new(tokio::sync::Semaphore::new(1)),
        counts: Arc::new(Mutex::new(None)),
        settings,
    }
}

fn change(site: &Site, name: &str) {
    let metadata = serde_json::from_value(json!({ "name": name, "namespace": "ns" })).unwrap();
    let invalid = kube::core::error_boundary::InvalidObject { error: "e".to_owned(), metadata };
    site.shown.view.put(Arc::new(Guarded { 0: Err(invalid) }));
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_same_second_are_one_tick_and_quiet_time_is_filled_with_beats() {
    let site = site();
    let place = Arc::clone(&site.streams).try_acquire_owned().unwrap();
    let mut stream = Box::pin(events(site.clone(), None, place));
    let _ = stream.next().await.unwrap().unwrap();
    let start = Instant::now();
    for _ in 0..2 {
        let _ = stream.next().await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 20, "a beat every 10 s");
    change(&site, "a");
    let _ = stream.next().await.unwrap().unwrap();
    let ticked = Instant::now();
    change(&site, "b");
    change(&site, "c");
    let _ = stream.next().await.unwrap().unwrap();
    assert_eq!(ticked.elapsed(), TICK);
    let start = Instant::now();
    let _ = stream.next().await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), 10, "b and c were one tick");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_let_go_and_its_place_is_free() {
    let site = site();
    let place = Arc::clone(&site.streams).try_acquire_owned().unwrap();
    let mut stream = Box::pin(events(site.clone(), None, place));
    let _ = stream.next().await.unwrap().unwrap();
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(stream.next().await.is_none());
    assert_eq!(site.streams.available_permits(), 1);
}
