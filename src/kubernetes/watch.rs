//! Watches: one stream a kind and scope, each with its own backoff and its own sign of life.
//!
//! A watch ends two ways without a word: with errors only, or quietly. Against the first a readiness
//! check turns after 5 minutes and the process ends after 15; against the second the whole list is
//! compared with the cache every 10 minutes.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{ListParams, PartialObjectMeta};
use kube::core::{NamespaceResourceScope, Resource};
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use rand::RngExt as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::{Problem, problem_of_watch};
use super::meters::Meters;
use crate::domain::EndpointId;
use crate::ops::health::{Check, Health};

/// Errors further apart than this are two troubles: the longest pause between two tries is 5 s, and
/// a watch that was taken up again says nothing until something happens.
const APART: Duration = Duration::from_mins(1);
const NOT_READY_AFTER: Duration = Duration::from_mins(5);
const DEAD_AFTER: Duration = Duration::from_mins(15);
const COMPARE_EVERY: Duration = Duration::from_mins(10);
const COMPARE_AGAIN: Duration = Duration::from_mins(2);
/// Below the idle limits of common balancers (240 s), so that a dead connection is noticed.
const WATCH_TIMEOUT_SECONDS: u32 = 200;

/// Namespaces that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// This one.
    Namespace(String),
}

impl Scope {
    /// One scope for the whole cluster, or one a namespace.
    pub fn of(namespaces: &[String]) -> Vec<Scope> {
        if namespaces.is_empty() {
            return vec![Scope::Cluster];
        }
        namespaces.iter().cloned().map(Scope::Namespace).collect()
    }

    /// The name of the readiness check of a kind in this scope.
    pub fn check(&self, kind: &str) -> String {
        match self {
            Scope::Cluster => kind.to_owned(),
            Scope::Namespace(namespace) => format!("{kind}/{namespace}"),
        }
    }

    /// Is this one of its objects?
    pub fn covers(&self, id: &EndpointId) -> bool {
        match self {
            Scope::Cluster => true,
            Scope::Namespace(namespace) => *namespace == id.namespace,
        }
    }

    /// The API of a kind in this scope.
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self {
            Scope::Cluster => Api::all(client.clone()),
            Scope::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

/// What a watch tells.
pub trait Observer<K>: Send + 'static {
    /// An object is there, new or changed.
    fn present(&self, id: EndpointId);
    /// An object was deleted.
    fn absent(&self, id: EndpointId);
    /// A complete list has been read; the cache holds exactly it.
    fn listed(&self, all: Vec<EndpointId>);
}

/// Errors without a sign of life in between.
struct Trouble {
    since: Instant,
    problem: Problem,
}

/// From 0.5 s doubling to 5 s, with jitter: soon back after an outage, and no storm during one.
struct Retry {
    next: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { next: Duration::from_millis(500) }
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next.mul_f64(rand::rng().random_range(0.8..1.0));
        self.next = (self.next * 2).min(Duration::from_secs(5));
        Some(pause)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = Retry::default();
    }
}

/// Follows one kind in one scope until `shutdown`, or answers why it never can again.
#[allow(clippy::too_many_arguments, reason = "a task's whole surroundings, named at the one call a kind")]
pub async fn follow<K>(
    api: Api<K>,
    mut writer: Writer<K>,
    store: Store<K>,
    name: &'static str,
    check: String,
    observer: impl Observer<K>,
    health: Health,
    meters: Meters,
    shutdown: CancellationToken,
) -> Result<(), String>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let config = Config::default().timeout(WATCH_TIMEOUT_SECONDS).page_size(500);
    let prune = |object: &mut K| object.managed_fields_mut().clear();
    let mut events = watcher(api, config).modify(prune).backoff(Retry::default()).boxed();
    let mut trouble: Option<Trouble> = None;
    let mut listed_once = false;
    health.set(&check, Check::NotReady("the first list is not complete yet".to_owned()));
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(APART), if trouble.is_some() => {
                trouble = None;
                meters.watch_works(&check);
                if listed_once {
                    health.set(&check, Check::Ok);
                }
                continue;
            }
            event = events.next() => event,
        };
        match event {
            Some(Ok(event)) => {
                if trouble.take().is_some() {
                    tracing::info!(watch = name, "the watch works again");
                }
                let listed = matches!(event, Event::InitDone);
                writer.apply_watcher_event(&event);
                match &event {
                    Event::Apply(object) => observer.present(id_of(object)),
                    Event::Delete(object) => observer.absent(id_of(object)),
                    _ => {}
                }
                meters.watch_works(&check);
                listed_once |= listed;
                if listed_once {
                    health.set(&check, Check::Ok);
                }
                if listed {
                    observer.listed(store.state().iter().map(|object| id_of(&**object)).collect());
                }
            }
            Some(Err(error)) => {
                let problem = problem_of_watch(&error, name);
                let now = Instant::now();
                let since = trouble.as_ref().map_or(now, |trouble| trouble.since);
                meters.watch_fails(&check, since);
                if trouble.as_ref().is_none_or(|known| known.problem != problem) {
                    tracing::warn!(watch = name, error = %problem, "cannot watch; trying again");
                }
                let waits = matches!(problem, Problem::CrdMissing | Problem::Forbidden(_));
                let text = format!("{problem} (since {:.0})", crate::ops::now() - now.duration_since(since));
                if waits || now.duration_since(since) >= NOT_READY_AFTER {
                    health.set(&check, Check::NotReady(text));
                } else if listed_once {
                    health.set(&check, Check::Trouble(text));
                }
                // What only a person can mend is waited for: a restart would not help.
                if !waits && now.duration_since(since) >= DEAD_AFTER {
                    return Err(format!("only errors for 15 minutes: {problem}"));
                }
                trouble = Some(Trouble { since, problem });
            }
            None => return Err("the stream ended".to_owned()),
        }
    }
}

/// Namespace and name of an object.
pub fn id_of<K: Resource>(object: &K) -> EndpointId {
    EndpointId::new(object.namespace().unwrap_or_default(), object.name_any())
}

/// Looks for a cache that went quiet: answers only when the cache differs from two lists, two
/// minutes apart, in the same way.
pub async fn compare<K>(
    api: Api<PartialObjectMeta<K>>,
    store: Store<K>,
    shutdown: CancellationToken,
) -> String
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let mut every = COMPARE_EVERY;
    let mut before: Option<HashMap<EndpointId, String>> = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => std::future::pending().await,
            () = tokio::time::sleep(every) => {}
        }
        let Some(listed) = list_versions(&api).await else { continue };
        let differs = differences(&listed, &store);
        let same = before
            .as_ref()
            .is_some_and(|before| differs.iter().any(|(id, version)| before.get(id) == Some(version)));
        if same {
            return "the cache has not followed the API server for two minutes".to_owned();
        }
        every = if differs.is_empty() { COMPARE_EVERY } else { COMPARE_AGAIN };
        before = Some(differs);
    }
}

/// Objects that the list has in another version than the cache, or only one of the two has.
fn differences<K>(listed: &HashMap<EndpointId, String>, store: &Store<K>) -> HashMap<EndpointId, String>
where
    K: Resource<DynamicType = ()> + Clone,
{
    let cached: HashMap<EndpointId, String> = store
        .state()
        .iter()
        .map(|object| (id_of(&**object), object.resource_version().unwrap_or_default()))
        .collect();
    let changed = listed.iter().filter(|(id, version)| cached.get(*id) != Some(*version));
    let gone = cached.keys().filter(|id| !listed.contains_key(*id));
    changed
        .map(|(id, version)| (id.clone(), version.clone()))
        .chain(gone.map(|id| (id.clone(), String::new())))
        .collect()
}

/// Versions of all objects, in pages, or nothing when that takes longer than 30 s.
pub async fn list_versions<K>(api: &Api<PartialObjectMeta<K>>) -> Option<HashMap<EndpointId, String>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + 'static,
{
    let all = async {
        let mut all = HashMap::new();
        let mut params = ListParams::default().limit(500);
        loop {
            let page = api.list_metadata(&params).await?;
            all.extend(page.items.iter().map(|o| (id_of(o), o.resource_version().unwrap_or_default())));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok::<_, kube::Error>(all),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.ok()?.ok()
}

/// Looks an object up in the stores of all scopes.
pub fn find<K>(stores: &[Store<K>], id: &EndpointId) -> Option<std::sync::Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    let key = ObjectRef::new(&id.name).within(&id.namespace);
    stores.iter().find_map(|store| store.get(&key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector;

    fn object(name: &str, version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("ns".to_owned());
        object.metadata.name = Some(name.to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    #[test]
    fn a_cache_that_stopped_following_is_told_by_what_changed_came_or_went() {
        let (store, mut writer) = reflector::store();
        for (name, version) in [("same", "1"), ("old", "1"), ("gone", "1")] {
            writer.apply_watcher_event(&Event::Apply(object(name, version)));
        }
        let listed: HashMap<EndpointId, String> = [("same", "1"), ("old", "2"), ("new", "3")]
            .map(|(name, version)| (EndpointId::new("ns", name), version.to_owned()))
            .into();
        let mut found: Vec<String> = differences(&listed, &store).into_keys().map(|id| id.name).collect();
        found.sort();
        assert_eq!(found, ["gone", "new", "old"]);
    }

    #[test]
    fn without_namespaces_the_whole_cluster_is_one_scope() {
        assert_eq!(Scope::of(&[]), [Scope::Cluster]);
        let two = Scope::of(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(two, [Scope::Namespace("a".to_owned()), Scope::Namespace("b".to_owned())]);
    }
}
