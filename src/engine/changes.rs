//! A set of ids that want to be looked at again: hints, never facts. Any number of hints for one id
//! is one entry, so a flapping fleet cannot queue without bound.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::Stream;
use tokio::sync::Notify;

use crate::domain::EndpointId;

/// A coalescing queue of endpoint ids; clones share it.
#[derive(Clone, Default)]
pub struct Changes {
    shared: Arc<(Mutex<HashSet<EndpointId>>, Notify)>,
}

impl Changes {
    /// Notes that `id` wants to be looked at.
    pub fn push(&self, id: EndpointId) {
        let (pending, notify) = &*self.shared;
        pending.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        notify.notify_one();
    }

    /// Waits until something is pending and takes all of it.
    pub async fn take(&self) -> HashSet<EndpointId> {
        let (pending, notify) = &*self.shared;
        loop {
            let taken = std::mem::take(&mut *pending.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            notify.notified().await;
        }
    }

    /// The ids, one by one.
    pub fn into_stream(self) -> impl Stream<Item = EndpointId> + Send {
        use futures::StreamExt as _;
        futures::stream::unfold(self, |changes| async move {
            let taken = changes.take().await;
            Some((futures::stream::iter(taken), changes))
        })
        .flatten()
    }
}
