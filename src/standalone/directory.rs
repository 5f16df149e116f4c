//! The directory of manifests: read as a whole, and watched.
//!
//! Events are hints ("look again"): they may be missing, on network file systems above all, so the directory is also
//! read every [`RESCAN`]. What counts is what is there at the end of a quiet moment.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::manifest::{self, Manifest, files};

/// The directory is read this often even when nothing hints at a change.
const RESCAN: Duration = Duration::from_secs(10);
/// A file that is being written is read when nothing has happened for so long,
const QUIET: Duration = Duration::from_millis(150);
/// or after so long in any case.
const BUSY: Duration = Duration::from_millis(600);

/// What a reading found at one file.
#[derive(Debug)]
pub enum Content {
    /// The same as last time.
    Same,
    /// Something else.
    New(Box<Manifest>),
    /// It is there and cannot be read; why.
    Unreadable(String),
}

/// What a reading found.
#[derive(Debug)]
pub struct Reading {
    /// When it began.
    pub at: Instant,
    /// Every file, in order; what is not here is gone.
    pub files: Vec<(PathBuf, Content)>,
    /// There are more files than are read.
    pub too_many: bool,
}

/// Reads a directory again and again, and parses only what has changed.
#[derive(Debug, Default)]
pub struct Reader {
    seen: HashMap<PathBuf, u64>,
}

impl Reader {
    /// Reads everything.
    ///
    /// # Errors
    /// When the directory itself cannot be read: that is no word on any file.
    pub fn read(&mut self, directory: &Path) -> std::io::Result<Reading> {
        let at = Instant::now();
        let (paths, too_many) = files::list(directory)?;
        let mut seen = HashMap::new();
        let mut found = Vec::new();
        for path in paths {
            let content = match files::content(&path) {
                Ok(bytes) => {
                    let mut hasher = DefaultHasher::new();
                    bytes.hash(&mut hasher);
                    let hash = hasher.finish();
                    seen.insert(path.clone(), hash);
                    if self.seen.get(&path) == Some(&hash) {
                        Content::Same
                    } else {
                        Content::New(Box::new(manifest::read(&bytes)))
                    }
                }
                // Removed since the directory was listed.
                Err(_)
                    if path.symlink_metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) =>
                {
                    continue;
                }
                Err(error) => Content::Unreadable(error.to_string()),
            };
            found.push((path, content));
        }
        self.seen = seen;
        Ok(Reading { at, files: found, too_many })
    }
}

/// Says when to read the directory again.
pub struct Watch {
    directory: PathBuf,
    hints: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    /// Device and inode of the directory that is watched: a directory made anew is another one.
    watched: Option<(u64, u64)>,
    /// It was made, moved or removed: the one that is there now may have the number of the one before.
    replaced: Arc<AtomicBool>,
    /// That it cannot be watched is said once; it is tried again at each reading.
    told: bool,
}

impl Watch {
    /// Watches a directory, and the one above it, so that a directory that is replaced is noticed.
    pub fn new(directory: &Path) -> Watch {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let hints = Arc::new(Notify::new());
        let replaced = Arc::new(AtomicBool::new(false));
        let (hint, inside, anew) = (hints.clone(), directory.clone(), replaced.clone());
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Without this filter our own reading would be a reason to read again.
            let relevant = event.is_ok_and(|event| {
                let itself = matches!(
                    event.kind,
                    EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
                );
                if itself && event.paths.contains(&inside) {
                    anew.store(true, Ordering::Release);
                }
                let changes = match event.kind {
                    EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
                    _ => true,
                };
                changes && (event.need_rescan() || event.paths.iter().any(|path| path.starts_with(&inside)))
            });
            if relevant {
                hint.notify_one();
            }
        });
        let mut watcher = match made {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "no file events: edits are seen within {} s", RESCAN.as_secs());
                None
            }
        };
        if let Some((watcher, above)) = watcher.as_mut().zip(directory.parent()) {
            // Not being allowed to makes a replaced directory be noticed later, nothing else.
            let _ = watcher.watch(above, RecursiveMode::NonRecursive);
        }
        let mut watch = Watch { directory, hints, watcher, watched: None, replaced, told: false };
        watch.follow();
        watch
    }

    /// Watches the directory that is there now.
    fn follow(&mut self) {
        if self.replaced.swap(false, Ordering::AcqRel) {
            self.watched = None;
        }
        let identity = std::fs::metadata(&self.directory).ok().map(|found| (found.dev(), found.ino()));
        let Some(watcher) = self.watcher.as_mut().filter(|_| identity != self.watched) else { return };
        let _ = watcher.unwatch(&self.directory);
        self.watched = identity.filter(|_| {
            let watching = watcher.watch(&self.directory, RecursiveMode::NonRecursive);
            if let Err(error) = &watching
                && !std::mem::replace(&mut self.told, true)
            {
                tracing::warn!(%error, "no file events: edits are seen within {} s", RESCAN.as_secs());
            }
            watching.is_ok()
        });
    }

    /// Returns when it is time to read again: after a hint and a quiet moment, or after [`RESCAN`].
    pub async fn next(&mut self) {
        if tokio::time::timeout(RESCAN, self.hints.notified()).await.is_ok() {
            let latest = Instant::now() + BUSY;
            while Instant::now() < latest && tokio::time::timeout(QUIET, self.hints.notified()).await.is_ok()
            {
            }
        }
        self.follow();
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
