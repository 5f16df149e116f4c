use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::future::BoxFuture;

use super::*;
use crate::domain::{EndpointId, Outcome, ProbeSpec, StatusWord, Target, TargetAddress, fixtures};

/// Passes, but for the hosts that are down.
#[derive(Default)]
struct Network {
    down: Mutex<HashSet<String>>,
}

impl Network {
    fn cut(&self, hosts: impl IntoIterator<Item = String>) {
        *self.down.lock().unwrap() = hosts.into_iter().collect();
    }
}

impl Probe for Arc<Network> {
    fn probe(&self, target: Target, _: Arc<ProbeSpec>) -> BoxFuture<'static, Outcome> {
        let down = self.down.lock().unwrap().contains(&target.address.host);
        Box::pin(async move {
            if down {
                Outcome::Failed(Failure { reason: Reason::ConnectTimeout, message: "m".to_owned() })
            } else {
                Outcome::Passed { latency: Duration::from_millis(1), certificate: None }
            }
        })
    }
}

struct Bed {
    engine: Engine,
    network: Arc<Network>,
    canary: Arc<AtomicBool>,
    endpoints: Vec<Endpoint>,
}

fn host(n: usize) -> String {
    format!("h{n}")
}

fn named(n: usize) -> Endpoint {
    let mut endpoint = fixtures::endpoint(&format!("e{n}"), &[&host(n)]);
    endpoint.probe.period = Duration::from_secs(10);
    endpoint
}

/// `count` endpoints that are all Ready; the canary passes.
async fn bed(count: usize, with_canary: bool) -> Bed {
    let network = Arc::new(Network::default());
    let canary = Arc::new(AtomicBool::new(true));
    let passes = Arc::clone(&canary);
    let canaries = with_canary.then(|| {
        Canary::new("the canary", move || {
            let passes = passes.load(Ordering::SeqCst);
            async move { if passes { Ok(()) } else { Err("silent".to_owned()) } }
        })
    });
    let engine = Engine::with_canaries(
        Arc::new(Arc::clone(&network)),
        Limits::default(),
        canaries.into_iter().collect(),
    );
    let running = engine.clone();
    tokio::spawn(async move { running.run(CancellationToken::new()).await });
    let endpoints: Vec<Endpoint> = (0..count).map(named).collect();
    endpoints.iter().for_each(|endpoint| engine.upsert(endpoint, |_| None));
    pass(20).await;
    let bed = Bed { engine, network, canary, endpoints };
    assert!(bed.words().iter().all(|(word, _)| *word == StatusWord::Ready), "{:?}", bed.words());
    bed.changed();
    bed
}

impl Bed {
    /// How many endpoints are said to be what.
    fn words(&self) -> Vec<(StatusWord, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        for endpoint in &self.endpoints {
            *counts.entry(self.engine.states(endpoint)[0].summary().0).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    /// Endpoints of which others were told since the last call.
    fn changed(&self) -> HashSet<EndpointId> {
        self.engine.changes().take().now_or_never().unwrap_or_default()
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_network_changes_nothing_that_is_said_and_neither_does_its_return() {
    let bed = bed(100, true).await;
    bed.canary.store(false, Ordering::SeqCst);
    bed.network.cut((0..100).map(host));
    pass(120).await;
    let failure = bed.engine.mass_failure().unwrap();
    assert_eq!((failure.healthy, failure.failing), (100, 100));
    assert_eq!(failure.canaries, [("the canary".to_owned(), Err("silent".to_owned()))]);
    assert!(failure.unknown_in.unwrap() > Duration::from_mins(2), "{failure:?}");
    bed.network.cut([]);
    pass(60).await;
    assert_eq!(bed.engine.mass_failure(), None);
    assert_eq!(bed.words(), [(StatusWord::Ready, 100)]);
    assert_eq!(bed.changed(), HashSet::new());
}

#[tokio::test(start_paused = true)]
async fn what_fails_alone_is_published_as_ever() {
    let bed = bed(10, true).await;
    bed.network.cut((0..4).map(host));
    pass(60).await;
    assert_eq!(bed.engine.mass_failure(), None);
    assert_eq!(bed.words(), [(StatusWord::Ready, 6), (StatusWord::Failing, 4)]);
}

#[tokio::test(start_paused = true)]
async fn when_the_canary_vouches_for_us_the_dead_are_published_and_the_others_stay() {
    let bed = bed(100, true).await;
    bed.network.cut((0..60).map(host));
    pass(12).await;
    assert_eq!(bed.words(), [(StatusWord::Ready, 100)], "held");
    pass(40).await;
    assert_eq!(bed.engine.mass_failure(), None);
    assert_eq!(bed.words(), [(StatusWord::Ready, 40), (StatusWord::Failing, 60)]);
    assert_eq!(bed.changed().len(), 60);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_comes_at_a_capped_rate() {
    let bed = bed(600, true).await;
    bed.network.cut((0..600).map(host));
    let mut most = 0;
    let mut before = 0;
    for _ in 0..60 {
        pass(1).await;
        let failing =
            bed.words().into_iter().find(|(word, _)| *word == StatusWord::Failing).map_or(0, |(_, n)| n);
        most = most.max(failing - before);
        before = failing;
    }
    assert_eq!(before, 600);
    assert!(most <= 60, "{most} in one second");
}

#[tokio::test(start_paused = true)]
async fn without_a_canary_it_is_unknown_after_five_minutes_until_it_answers() {
    let bed = bed(20, false).await;
    bed.network.cut((0..18).map(host));
    pass(280).await;
    assert_eq!(bed.words(), [(StatusWord::Ready, 20)]);
    assert_eq!(bed.changed(), HashSet::new());
    pass(60).await;
    assert_eq!(bed.words(), [(StatusWord::Ready, 2), (StatusWord::Unknown, 18)]);
    assert_eq!(bed.engine.states(&bed.endpoints[0])[0].summary().1, Reason::ProbeInfrastructureSuspect);
    assert_eq!(bed.engine.mass_failure().unwrap().unknown_in, None);
    bed.network.cut((0..2).map(host));
    pass(60).await;
    // The two that still fail have failed often enough since then.
    assert_eq!(bed.engine.mass_failure(), None);
    assert_eq!(bed.words(), [(StatusWord::Ready, 18), (StatusWord::Failing, 2)]);
}

#[tokio::test(start_paused = true)]
async fn what_dies_after_the_five_minutes_is_unknown_as_well() {
    let bed = bed(8, false).await;
    bed.network.cut((0..5).map(host));
    pass(330).await;
    assert_eq!(bed.words(), [(StatusWord::Ready, 3), (StatusWord::Unknown, 5)]);
    bed.network.cut((0..6).map(host));
    pass(60).await;
    assert_eq!(bed.words(), [(StatusWord::Ready, 2), (StatusWord::Unknown, 6)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_vouched_for_is_not_held_again_while_it_stays_dead() {
    let bed = bed(10, true).await;
    bed.network.cut((0..10).map(host));
    let mut holds = 0;
    let mut held = false;
    for _ in 0..120 {
        pass(1).await;
        let holds_now = bed.engine.mass_failure().is_some();
        holds += usize::from(holds_now && !held);
        held = holds_now;
    }
    assert_eq!(holds, 1);
    assert_eq!(bed.words(), [(StatusWord::Failing, 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_is_restored_during_a_mass_failure_is_held_like_the_others() {
    let mut bed = bed(20, true).await;
    bed.canary.store(false, Ordering::SeqCst);
    bed.network.cut((0..30).map(host));
    pass(20).await;
    let late = named(20);
    bed.engine.upsert(&late, |_| TargetState::restore(StatusWord::Ready, Reason::Ready, ""));
    bed.endpoints.push(late);
    pass(60).await;
    assert_eq!(bed.words(), [(StatusWord::Ready, 21)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_edited_or_new_during_a_mass_failure_is_not_called_failing() {
    let mut bed = bed(20, true).await;
    bed.canary.store(false, Ordering::SeqCst);
    bed.network.cut((0..30).map(host));
    pass(20).await;
    let new = named(20);
    bed.engine.upsert(&new, |_| None);
    let mut edited = named(0);
    edited.min_ready = crate::domain::endpoint::MinReady::Count(0);
    edited.generation = 2;
    bed.engine.upsert(&edited, |_| None);
    bed.endpoints[0] = edited;
    pass(20).await;
    assert_eq!(bed.words(), [(StatusWord::Ready, 20)]);
    assert_eq!(bed.engine.states(&new)[0].summary().1, Reason::ProbeInfrastructureSuspect);
    bed.network.cut([]);
    pass(30).await;
    assert_eq!(bed.engine.states(&new)[0].summary().0, StatusWord::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_finds_unknown_does_not_call_them_failing_at_once() {
    let network = Arc::new(Network::default());
    network.cut((0..20).map(host));
    let engine = Engine::new(Arc::new(Arc::clone(&network)), Limits::default());
    let running = engine.clone();
    tokio::spawn(async move { running.run(CancellationToken::new()).await });
    let endpoints: Vec<Endpoint> = (0..20).map(named).collect();
    let restored = |_: &TargetAddress| {
        TargetState::restore(StatusWord::Unknown, Reason::ProbeInfrastructureSuspect, "as before")
    };
    endpoints.iter().for_each(|endpoint| engine.upsert(endpoint, restored));
    pass(100).await;
    for endpoint in &endpoints {
        assert_eq!(engine.states(endpoint)[0].summary().1, Reason::ProbeInfrastructureSuspect);
    }
    assert_eq!(engine.mass_failure().unwrap().failing, 20);
}

#[tokio::test(start_paused = true)]
async fn agents_on_our_own_loopback_that_die_are_published_at_once() {
    let bed = bed(0, false).await;
    let endpoints: Vec<Endpoint> = (0..10)
        .map(|n| {
            let mut endpoint = fixtures::endpoint(&format!("l{n}"), &["127.0.0.1"]);
            endpoint.targets[0].lookup = crate::domain::endpoint::Lookup::Literal([127, 0, 0, 1].into());
            endpoint
        })
        .collect();
    endpoints.iter().for_each(|endpoint| bed.engine.upsert(endpoint, |_| None));
    pass(20).await;
    bed.network.cut(["127.0.0.1".to_owned()]);
    pass(45).await;
    assert_eq!(bed.engine.mass_failure(), None);
    for endpoint in &endpoints {
        assert_eq!(bed.engine.states(endpoint)[0].summary().0, StatusWord::Failing);
    }
}
