use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};

use super::super::directory::{Content, Reading};
use super::*;
use crate::api::convert::{AgentIds, Naming};
use crate::domain::defaults::ProbeDefaults;
use crate::domain::policy::{Profile, TargetPolicy};
use crate::engine::fixtures;

struct Bed {
    files: tempfile::TempDir,
    engine: Engine,
    objects: Objects,
}

impl Bed {
    async fn new() -> Bed {
        let files = tempfile::tempdir().unwrap();
        let engine = fixtures::idle();
        let store = Store::open(&files.path().join("status.db")).await.unwrap();
        let rules = || Rules {
            defaults: ProbeDefaults::default(),
            policy: Arc::new(TargetPolicy::new(Profile::Standalone, Vec::new(), Vec::new())),
            naming: Naming::System,
            agent_ids: AgentIds::Any,
        };
        let (mirror, view) = (Mirror::new(None), View::new(now));
        let objects = Objects::new(
            Box::new(rules),
            String::new(),
            engine.clone(),
            mirror,
            store,
            view,
            Looks::default(),
        );
        Bed { files, engine, objects }
    }

    /// Takes the write lock of the database and keeps it until dropped.
    async fn lock(&self) -> SqliteConnection {
        let url = format!("sqlite://{}", self.files.path().join("status.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
        connection
    }
}

fn catalog(names: std::ops::Range<usize>) -> Catalog {
    let one = |number| {
        format!(
            "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\nmetadata: {{name: a{number}}}\nspec: {{targets: [{{host: 127.0.0.1, port: 80}}]}}\n---\n"
        )
    };
    let text: String = names.map(one).collect();
    let content = Content::New(Box::new(crate::manifest::read(text.as_bytes())));
    let reading =
        Reading { at: Instant::now(), files: vec![(PathBuf::from("a.yaml"), content)], too_many: false };
    let mut catalog = Catalog::default();
    catalog.update(Path::new("dir"), Ok(reading));
    assert_eq!(catalog.incomplete(), None);
    catalog
}

#[tokio::test]
async fn many_that_are_missing_stay_until_another_reading_agrees() {
    let (mut bed, start) = (Bed::new().await, Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let (changed, settled) = bed.objects.settle(&catalog(0..20), start).await;
    assert_eq!((changed.len(), settled), (20, true));
    for empty in [at(10), at(10)] {
        assert!(bed.objects.settle(&catalog(0..0), empty).await.1);
        assert_eq!(bed.objects.declared.len(), 20);
        assert!(bed.objects.doubt().unwrap().starts_with("20 endpoints are not in the manifests"));
    }
    bed.objects.settle(&catalog(0..20), at(11)).await;
    assert_eq!((bed.objects.declared.len(), bed.objects.doubt()), (20, None));
    bed.objects.settle(&catalog(0..5), at(20)).await;
    bed.objects.settle(&catalog(0..5), at(30)).await;
    assert_eq!((bed.objects.declared.len(), bed.objects.doubt()), (5, None));
}

#[tokio::test]
async fn what_the_database_knows_is_not_forgotten_because_the_first_reading_lacks_it() {
    let (mut bed, start) = (Bed::new().await, Instant::now());
    bed.objects.settle(&catalog(0..20), start).await;
    let known = bed.objects.declared.len();
    bed.objects.declared.clear();
    bed.objects.open(start).await;
    assert_eq!(bed.objects.store.known().await.unwrap().len(), known);
    assert!(!bed.objects.opened && bed.objects.doubt().is_some());
    bed.objects.open(start + Duration::from_secs(10)).await;
    assert!(bed.objects.opened && bed.objects.doubt().is_none());
    assert!(bed.objects.store.known().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_locked_database_is_waited_for_once_a_turn_and_not_once_an_object() {
    let mut bed = Bed::new().await;
    let locked = bed.lock().await;
    let before = Instant::now();
    let (changed, settled) = bed.objects.settle(&catalog(0..20), before).await;
    assert_eq!((changed.len(), settled), (0, false));
    assert!(before.elapsed() < Duration::from_secs(9), "one busy timeout: {:?}", before.elapsed());
    assert!(bed.objects.trouble().unwrap().contains("locked"));
    locked.close().await.unwrap();
    let (changed, settled) = bed.objects.settle(&catalog(0..20), before).await;
    assert_eq!((changed.len(), settled), (20, true));
}

#[tokio::test]
async fn in_a_turn_with_a_locked_database_everything_is_looked_at_and_nothing_is_opened() {
    let mut bed = Bed::new().await;
    let (catalog, before) = (catalog(0..5), Instant::now());
    let (due, _) = bed.objects.settle(&catalog, before).await;
    let locked = bed.lock().await;
    let mut todo = Todo { due: due.clone(), unsettled: false };
    bed.objects.turn(&catalog, before, &mut todo).await;
    assert_eq!((bed.engine.known(), &todo.due), (due.clone(), &due), "all are probed, and all wait");
    assert!(before.elapsed() < Duration::from_secs(9), "one busy timeout: {:?}", before.elapsed());
    assert!(bed.objects.trouble().is_some() && !bed.objects.opened);
    locked.close().await.unwrap();
    bed.objects.turn(&catalog, before, &mut todo).await;
    assert!(todo.is_done() && bed.objects.opened);
    assert_eq!(bed.objects.trouble(), None);
}

#[tokio::test]
async fn what_no_longer_wants_to_be_written_is_no_trouble() {
    let mut bed = Bed::new().await;
    let mut todo = Todo { due: HashSet::new(), unsettled: true };
    let locked = bed.lock().await;
    bed.objects.turn(&catalog(0..1), Instant::now(), &mut todo).await;
    assert!(todo.unsettled && bed.objects.trouble().is_some());
    locked.close().await.unwrap();
    bed.objects.turn(&catalog(0..0), Instant::now(), &mut todo).await;
    assert_eq!((todo.is_done(), bed.objects.trouble()), (true, None));
}
