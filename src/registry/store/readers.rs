//! Connections for reading: a few, opened when they are needed, given up at the first failure.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::StoreError;
use super::connection::{Connection, Opener};
use super::postgres::{Purpose, timed_out};

/// For a connection to become free, and to be opened.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// For one read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is asked whether it still lives.
const TRUSTED: Duration = Duration::from_secs(1);
/// A connection to a server among several is opened anew after so long: it may be to one that does not follow any more.
const OLD: Duration = Duration::from_secs(20);

pub(super) struct Readers {
    opener: Opener,
    room: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

/// A connection that nobody uses.
struct Idle {
    connection: Connection,
    opened: Instant,
    since: Instant,
}

impl Readers {
    pub(super) fn new(opener: Opener, most: usize) -> Readers {
        Readers { opener, room: Arc::new(Semaphore::new(most)), idle: Mutex::default() }
    }

    /// A connection for one read; end it with [`Reader::done`].
    pub(super) async fn acquire(&self) -> Result<Reader<'_>, StoreError> {
        let acquired = timeout(ACQUIRE_TIMEOUT, async {
            let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| StoreError::Closed)?;
            while let Some(Idle { mut connection, opened, since }) = self.take_idle() {
                let old = matches!(self.opener, Opener::Postgres(_)) && opened.elapsed() > OLD;
                if !old && (since.elapsed() < TRUSTED || connection.is_alive().await) {
                    return Ok(Reader { readers: self, connection, opened, _room: room });
                }
            }
            let connection = self.opener.open(Purpose::Read).await?;
            Ok(Reader { readers: self, connection, opened: Instant::now(), _room: room })
        });
        acquired.await.map_err(|_| StoreError::Read(timed_out("no connection became free in time")))?
    }

    /// Gives up all that are idle: they may be of a server that was demoted.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Lets nobody begin to read any more.
    pub(super) async fn close(&self) {
        self.room.close();
        let idle = std::mem::take(&mut *self.lock());
        for one in idle {
            one.connection.close().await;
        }
    }

    fn take_idle(&self) -> Option<Idle> {
        self.lock().pop()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection, until it is given back. One that is dropped is closed: nobody knows what is
/// still under way on it.
pub(super) struct Reader<'a> {
    readers: &'a Readers,
    connection: Connection,
    opened: Instant,
    _room: OwnedSemaphorePermit,
}

impl Reader<'_> {
    /// Reads within the deadline, and gives the connection back if that went well.
    pub(super) async fn read<T>(
        mut self,
        read: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let read = timeout(READ_TIMEOUT, read(&mut self.connection)).await;
        match read.unwrap_or_else(|_| Err(timed_out("the read took too long"))) {
            Ok(value) => {
                if !self.readers.room.is_closed() {
                    let Reader { connection, opened, .. } = self;
                    self.readers.lock().push(Idle { connection, opened, since: Instant::now() });
                }
                Ok(value)
            }
            Err(error) => {
                // The others are of the same server.
                self.readers.clear();
                Err(StoreError::Read(error))
            }
        }
    }
}
