//! Standalone mode: objects come from a directory of manifests, status goes to SQLite, notices to
//! the log. Everything in between is the same engine, the same `plan`, the same mirror.

mod catalog;
mod directory;
mod doubt;
mod objects;
pub mod store;

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::convert::Rules;
use crate::engine::Engine;
use crate::mirror::{Mirror, Source, Surroundings};
use crate::ops::health::{Check, Health};
use crate::ops::looks::Looks;
use crate::registry_client::OrchestratorIdentity;
use crate::view::View;
use catalog::{Catalog, News};
use directory::{Reader, Reading, Watch};
use objects::{Objects, Todo};
use store::{Store, StoreError};

/// Why standalone mode cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be read.
    #[error("cannot read the manifests in {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How standalone mode runs.
pub struct Settings {
    /// Where the manifests are.
    pub manifests: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// `--class`: the others are left alone.
    pub class: String,
    /// The operator's part, read at each look.
    pub rules: Box<dyn Fn() -> Rules + Send + Sync>,
    /// How the orchestrator shows itself in the registry (the id is filled in from the database).
    pub identity: OrchestratorIdentity,
    /// Where objects are shown.
    pub view: View,
    /// Where looks are measured.
    pub looks: Looks,
}

/// A status or an object that could not be written is tried again this soon.
const RETRY: Duration = Duration::from_secs(5);

/// Probes what the manifests declare until `shutdown`, and follows their edits. Bad manifests are logged; the others work.
pub async fn run(
    settings: Settings,
    engine: Engine,
    mirror: Mirror,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let directory = settings.manifests.clone();
    let (reader, reading) = read(Reader::default(), directory.clone()).await;
    let reading = reading.map_err(|source| Error::Directory { path: directory.clone(), source })?;
    let mut read_at = reading.at;
    let Some((store, source)) = open(&settings.database, &health, &shutdown).await? else { return Ok(()) };
    let mut catalog = Catalog::default();
    tell(&catalog.update(&directory, Ok(reading)));
    tracing::info!(
        endpoints = catalog.endpoints().count(), files = catalog.files(), manifests = %directory.display(),
        database = %settings.database.display(), "standalone mode"
    );
    let view = settings.view;
    view.heard();
    let mut objects = Objects::new(
        settings.rules,
        settings.class.clone(),
        engine.clone(),
        mirror.clone(),
        store.clone(),
        view.clone(),
        settings.looks,
    );

    let changes = engine.changes();
    let hints = changes.clone();
    let surroundings = Surroundings {
        relist: relist(directory.clone(), settings.class),
        hint: Arc::new(move |id| hints.push(id)),
        may_write: Arc::new(|| true),
    };
    let identity = OrchestratorIdentity { orchestrator_id: source.id.clone(), ..settings.identity };
    let mirroring = mirror.run(source, identity, surroundings, shutdown.clone());
    let probing = engine.run(shutdown.clone());
    let (readings, mut read_again) = mpsc::channel(1);
    let watching = shutdown.run_until_cancelled(watch(directory.clone(), reader, readings));
    // A write may wait: the end does not wait for it.
    let looking = shutdown.run_until_cancelled(Box::pin(async {
        let mut todo = Todo { due: HashSet::new(), unsettled: true };
        loop {
            objects.turn(&catalog, read_at, &mut todo).await;
            if todo.is_done() {
                health.set("started", Check::Ok);
                view.complete();
            }
            let doubt = objects.doubt().map_or(Check::Ok, Check::Trouble);
            // The rest works: no reason to take the process out.
            health.set("manifests", catalog.incomplete().map_or(doubt, Check::Trouble));
            health.set("database", objects.trouble().map_or(Check::Ok, Check::Trouble));
            let retry = objects.trouble().is_some();
            tokio::select! {
                () = tokio::time::sleep(RETRY), if retry => {}
                ids = changes.take() => todo.due.extend(ids),
                Some(reading) = read_again.recv() => {
                    if let Ok(reading) = &reading {
                        read_at = reading.at;
                        view.heard();
                    }
                    tell(&catalog.update(&directory, reading));
                    todo.unsettled = true;
                }
            }
        }
    }));
    let _: (_, _, _, Option<Infallible>) = tokio::join!(mirroring, probing, watching, looking);
    store.close().await;
    Ok(())
}

/// Opens the database. One that somebody else has locked is waited for; `None`: until the end.
async fn open(
    path: &Path,
    health: &Health,
    shutdown: &CancellationToken,
) -> Result<Option<(Store, Source)>, StoreError> {
    let mut told = false;
    loop {
        let opened = async {
            let store = Store::open(path).await?;
            let source = store.begin().await?;
            Ok::<_, StoreError>((store, source))
        };
        let Some(opened) = shutdown.run_until_cancelled(opened).await else { return Ok(None) };
        match opened {
            Ok(opened) => {
                health.set("database", Check::Ok);
                return Ok(Some(opened));
            }
            Err(error) if error.is_locked() => {
                let what = format!("{} is locked by another process: end it, or wait", path.display());
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!("{what}");
                }
                health.set("database", Check::NotReady(what));
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// What the reading of a directory came to, with the reader for the next one: files are read on a thread of their own.
async fn read(mut reader: Reader, directory: PathBuf) -> (Reader, std::io::Result<Reading>) {
    let reading = tokio::task::spawn_blocking(move || {
        let reading = reader.read(&directory);
        (reader, reading)
    });
    // A reading that panicked is as good as none: everything is read anew next time.
    reading.await.unwrap_or_else(|error| (Reader::default(), Err(std::io::Error::other(error))))
}

async fn watch(directory: PathBuf, mut reader: Reader, readings: mpsc::Sender<std::io::Result<Reading>>) {
    let mut watch = Watch::new(&directory);
    loop {
        let reading;
        (reader, reading) = read(reader, directory.clone()).await;
        if readings.send(reading).await.is_err() {
            return;
        }
        watch.next().await;
    }
}

/// What is declared now, read with fresh eyes; `None` when that is not everything.
fn relist(directory: PathBuf, class: String) -> crate::mirror::Relist {
    Arc::new(move || {
        let (directory, class) = (directory.clone(), class.clone());
        async move {
            let (_, reading) = read(Reader::default(), directory.clone()).await;
            let mut catalog = Catalog::default();
            catalog.update(&directory, reading);
            let ours = catalog.endpoints().filter(|(_, object)| object.spec.class_name == class);
            catalog.incomplete().is_none().then(|| ours.map(|(id, _)| id.clone()).collect())
        }
        .boxed()
    })
}

/// Each once: a problem when it appears, and that it is gone when it is.
fn tell(news: &News) {
    for line in &news.worse {
        tracing::error!("a manifest cannot be used: {line}");
    }
    for line in &news.warnings {
        tracing::warn!("a manifest may not mean what it says: {line}");
    }
    for path in &news.mended {
        tracing::info!("no problems any more: {}", path.display());
    }
}
