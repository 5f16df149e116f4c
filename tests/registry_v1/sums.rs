//! The combined digest against a model.

use configurable_agents::domain::record::{
    Digest, Holdings, Item, ItemOutcome, ItemOutcome as O, SnapshotRequest,
};

use crate::registry_support::{Registry, failing, ready, stamp};
use crate::{outcomes, page};

/// Two sources, twenty ids, leases that run out: what the registry sums up item by item is what a
/// plain map says.
#[tokio::test]
async fn the_combined_digest_is_always_that_of_what_is_held() {
    let registry = Registry::start().await;
    let mut random = 0x5eed_u64;
    let mut draw = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut model = Model::default();
    let mut now = 0;
    for step in 1..400 {
        let source = usize::try_from(draw(2)).unwrap();
        let name = ["s", "t"][source];
        let stamp = stamp(1, step);
        let some = |draw: &mut dyn FnMut(u64) -> u64| -> Vec<Item> {
            (0..draw(4))
                .map(|_| {
                    let id = format!("a{:02}", draw(20));
                    if draw(2) == 0 { ready(&id) } else { failing(&id) }
                })
                .collect()
        };
        let held = match draw(8) {
            0 => {
                let seconds = draw(50);
                registry.pass(seconds);
                now += seconds;
                continue;
            }
            1 => {
                model.renewed[source] = Some(now);
                registry.renew(name, stamp).await.held
            }
            2 | 3 => {
                let items = some(&mut draw);
                let results = items.iter().map(|item| model.upsert(source, item, now)).collect::<Vec<_>>();
                model.held.retain(|id, (owner, ..)| {
                    *owner != source || items.iter().any(|i| i.contribution.agent_id == *id)
                });
                let request = SnapshotRequest {
                    stamp,
                    confirmed: true,
                    ..page(step, &format!("n{step}"), 0, true, items)
                };
                let response = registry.snapshot(name, &request).await;
                assert_eq!(outcomes(&response.results), results, "step {step}");
                response.held
            }
            _ => {
                let items = some(&mut draw);
                let mut results: Vec<_> = items.iter().map(|item| model.upsert(source, item, now)).collect();
                let id = format!("a{:02}", draw(20));
                let owned = model.held.get(&id).is_some_and(|(owner, ..)| *owner == source);
                if owned {
                    model.held.remove(&id);
                }
                results.push(if owned { O::Withdrawn } else { O::NotFound });
                let response = registry.batch(name, stamp, items, &[&id]).await;
                assert_eq!(outcomes(&response.results), results, "step {step}");
                response.held
            }
        };
        assert_eq!(held, model.sum(source), "step {step}");
    }
    for (source, name) in ["s", "t"].into_iter().enumerate() {
        assert_eq!(registry.renew(name, stamp(2, 1)).await.held, model.sum(source));
    }
}

#[derive(Default)]
struct Model {
    /// Owner, digest, time of the lease in seconds.
    held: std::collections::BTreeMap<String, (usize, Digest, u64)>,
    renewed: [Option<u64>; 2],
}

impl Model {
    fn upsert(&mut self, source: usize, item: &Item, now: u64) -> ItemOutcome {
        let id = item.contribution.agent_id.clone();
        let before = self.held.get(&id).copied();
        if let Some((owner, _, lease)) = before
            && owner != source
            && lease.max(self.renewed[owner].unwrap_or(0)) + 60 > now
        {
            return O::OwnedByAnother;
        }
        self.held.insert(id, (source, item.digest, now));
        match before {
            Some((owner, digest, _)) if owner == source && digest == item.digest => O::Unchanged,
            _ => O::Applied,
        }
    }

    fn sum(&self, source: usize) -> Holdings {
        let own = self.held.values().filter(|(owner, ..)| *owner == source);
        Holdings {
            digest: own.clone().fold(Digest::default(), |sum, (_, d, _)| sum.combine(*d)),
            count: own.count() as u64,
        }
    }
}
