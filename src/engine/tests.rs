use std::time::Duration;

use futures::future::BoxFuture;

use super::*;
use crate::domain::endpoint::{MinReady, Target};
use crate::domain::{ProbeSpec, StatusWord, fixtures};

/// Answers every probe after `takes`; notes when each began.
#[derive(Default)]
struct Script {
    takes: Mutex<Duration>,
    fails: Mutex<bool>,
    begun: Mutex<Vec<(String, Instant)>>,
    flying: AtomicU64,
    most: AtomicU64,
}

impl Probe for Arc<Script> {
    fn probe(&self, target: Target, _: Arc<ProbeSpec>) -> BoxFuture<'static, Outcome> {
        let script = Arc::clone(self);
        Box::pin(async move {
            script.begun.lock().unwrap().push((target.address.to_string(), Instant::now()));
            let flying = script.flying.fetch_add(1, Ordering::SeqCst) + 1;
            script.most.fetch_max(flying, Ordering::SeqCst);
            let takes = *script.takes.lock().unwrap();
            let fails = *script.fails.lock().unwrap();
            tokio::time::sleep(takes).await;
            script.flying.fetch_sub(1, Ordering::SeqCst);
            if fails {
                Outcome::Failed(Failure { reason: Reason::ConnectionRefused, message: "m".to_owned() })
            } else {
                Outcome::Passed { latency: takes, certificate: None }
            }
        })
    }
}

fn endpoint(name: &str, hosts: &[&str], period: u64) -> Endpoint {
    let mut endpoint = fixtures::endpoint(name, hosts);
    endpoint.probe.period = Duration::from_secs(period);
    endpoint
}

fn start(limits: Limits) -> (Engine, Arc<Script>) {
    let script = Arc::new(Script::default());
    let engine = Engine::new(Arc::new(Arc::clone(&script)), limits);
    let running = engine.clone();
    tokio::spawn(async move { running.run(CancellationToken::new()).await });
    (engine, script)
}

fn word(engine: &Engine, endpoint: &Endpoint) -> StatusWord {
    engine.states(endpoint)[0].summary().0
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn probes_keep_their_rate_without_drift_however_long_each_takes() {
    let (engine, script) = start(Limits::default());
    *script.takes.lock().unwrap() = Duration::from_millis(700);
    engine.upsert(&endpoint("a", &["h"], 5), |_| None);
    pass(501).await;
    let begun = script.begun.lock().unwrap().clone();
    assert!((100..=102).contains(&begun.len()), "{}", begun.len());
    for pair in begun[1..].windows(2) {
        let gap = pair[1].1 - pair[0].1;
        assert!(gap.abs_diff(Duration::from_secs(5)) <= Duration::from_millis(2), "{gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_passes_while_a_probe_runs_is_counted_and_not_made_up() {
    let (engine, script) = start(Limits::default());
    *script.takes.lock().unwrap() = Duration::from_millis(2500);
    engine.upsert(&endpoint("a", &["h"], 1), |_| None);
    pass(30).await;
    assert_eq!(script.most.load(Ordering::SeqCst), 1);
    assert!((9..=11).contains(&script.begun.lock().unwrap().len()));
    assert!(engine.counters().missed_slots.load(Ordering::SeqCst) >= 18);
}

#[tokio::test(start_paused = true)]
async fn two_thousand_targets_are_each_probed_within_a_period_and_not_all_at_once() {
    let (engine, script) = start(Limits::default());
    for n in 0..2000 {
        engine.upsert(&endpoint(&format!("e{n}"), &[&format!("h{n}")], 10), |_| None);
    }
    let origin = Instant::now();
    pass(11).await;
    let begun = script.begun.lock().unwrap().clone();
    let different: HashSet<_> = begun.iter().map(|(host, _)| host.clone()).collect();
    assert_eq!(different.len(), 2000);
    let mut per_second = [0; 12];
    for (_, at) in &begun {
        per_second[usize::try_from((*at - origin).as_secs()).unwrap()] += 1;
    }
    assert!(per_second[..10].iter().all(|n| *n <= 300), "{per_second:?}");
}

#[tokio::test(start_paused = true)]
async fn many_new_targets_with_long_periods_do_not_wait_for_their_own_slots() {
    let (engine, script) = start(Limits::default());
    for n in 0..200 {
        engine.upsert(&endpoint(&format!("e{n}"), &[&format!("h{n}")], 3600), |_| None);
    }
    pass(6).await;
    assert_eq!(script.begun.lock().unwrap().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_limits_hold_and_everybody_gets_a_turn() {
    let limits = Limits { in_flight: 20, per_host: 2, prompt_per_second: 1000 };
    let (engine, script) = start(limits);
    *script.takes.lock().unwrap() = Duration::from_millis(100);
    for n in 0..30 {
        engine.upsert(&endpoint(&format!("same{n}"), &["one-host"], 10), |_| None);
        engine.upsert(&endpoint(&format!("other{n}"), &[&format!("h{n}")], 10), |_| None);
    }
    pass(10).await;
    assert!(script.most.load(Ordering::SeqCst) <= 20);
    let begun = script.begun.lock().unwrap().clone();
    assert!(begun.iter().filter(|(host, _)| host == "one-host:80").count() >= 30);
    assert_eq!(begun.iter().map(|(host, _)| host).collect::<HashSet<_>>().len(), 31);
}

#[tokio::test(start_paused = true)]
async fn a_new_target_is_asked_at_once_and_an_edited_one_starts_unknown() {
    let (engine, script) = start(Limits::default());
    let first = endpoint("a", &["h"], 3600);
    engine.upsert(&first, |_| None);
    assert_eq!(word(&engine, &first), StatusWord::Unknown);
    pass(1).await;
    assert_eq!(word(&engine, &first), StatusWord::Ready);
    let second = endpoint("a", &["i"], 3600);
    *script.fails.lock().unwrap() = true;
    engine.upsert(&second, |_| None);
    assert_eq!(word(&engine, &second), StatusWord::Unknown);
    pass(1).await;
    assert_eq!(word(&engine, &second), StatusWord::Failing);
    assert_eq!(engine.load().0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_outcome_of_what_was_edited_away_is_dropped() {
    let (engine, script) = start(Limits::default());
    *script.takes.lock().unwrap() = Duration::from_secs(20);
    *script.fails.lock().unwrap() = true;
    engine.upsert(&endpoint("a", &["h"], 3600), |_| None);
    pass(1).await;
    let edited = endpoint("a", &["h"], 1800);
    *script.fails.lock().unwrap() = false;
    *script.takes.lock().unwrap() = Duration::from_millis(1);
    engine.upsert(&edited, |_| None);
    pass(60).await;
    assert_eq!(word(&engine, &edited), StatusWord::Ready);
    assert_eq!(engine.load(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_edit_outside_host_port_and_probe_keeps_the_verdict_and_a_restored_one_needs_the_threshold() {
    let (engine, script) = start(Limits::default());
    *script.fails.lock().unwrap() = true;
    let mut it = endpoint("a", &["h"], 10);
    let ready = TargetState::restore(StatusWord::Ready, Reason::Ready, "").unwrap();
    engine.upsert(&it, |_| Some(ready.clone()));
    it.generation = 2;
    it.min_ready = MinReady::Count(1);
    engine.upsert(&it, |_| None);
    pass(15).await;
    assert_eq!(word(&engine, &it), StatusWord::Ready);
    pass(20).await;
    assert_eq!(word(&engine, &it), StatusWord::Failing);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_endpoint_is_not_probed_and_a_removed_one_is_forgotten() {
    let (engine, script) = start(Limits::default());
    let mut it = endpoint("a", &["h"], 1);
    engine.upsert(&it, |_| None);
    pass(3).await;
    it.suspended = true;
    engine.upsert(&it, |_| None);
    let before = script.begun.lock().unwrap().len();
    pass(10).await;
    assert_eq!(script.begun.lock().unwrap().len(), before);
    it.suspended = false;
    engine.upsert(&it, |_| None);
    pass(3).await;
    assert!(script.begun.lock().unwrap().len() > before);
    engine.remove(&it.id);
    let before = script.begun.lock().unwrap().len();
    pass(10).await;
    assert_eq!((script.begun.lock().unwrap().len(), engine.load()), (before, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_once_and_a_steady_state_not_at_all() {
    let (engine, _script) = start(Limits::default());
    let it = endpoint("a", &["h"], 1);
    engine.upsert(&it, |_| None);
    assert_eq!(engine.changes().take().await, HashSet::from([it.id.clone()]));
    let more = tokio::time::timeout(Duration::from_mins(1), async { engine.changes().take().await }).await;
    assert!(more.is_err());
}
