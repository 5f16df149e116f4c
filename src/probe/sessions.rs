//! TLS sessions that a later probe of the same target may take up again: cheaper by a signature, and bounded in
//! number and age.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

/// A session that is taken up shows no certificate: a new one, and a fault of it, is seen this late at most.
const LIFE: Duration = Duration::from_mins(1);
/// A ticket may have 64 KiB: so much of them is kept at most, whatever targets send.
const MAX: usize = 1024;

/// Sessions are kept apart by what was trusted and shown (a number of the configuration) and by the address that was
/// dialled: of two replicas behind one name each shows its own certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub config: u64,
    pub address: SocketAddr,
    pub name: ServerName<'static>,
}

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Key, (Arc<Slot>, Instant)>>);

impl Sessions {
    /// Where the sessions of one target are kept; nowhere when there are too many targets.
    pub fn of(&self, key: Key) -> Resumption {
        let now = Instant::now();
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, since)) = slots.get(&key)
            && now.duration_since(*since) < LIFE
        {
            return Resumption::store(Arc::clone(slot) as _);
        }
        if slots.len() >= MAX {
            slots.retain(|_, (_, since)| now.duration_since(*since) < LIFE);
        }
        if slots.len() >= MAX && !slots.contains_key(&key) {
            return Resumption::disabled();
        }
        let slot = Arc::new(Slot::default());
        slots.insert(key, (Arc::clone(&slot), now));
        Resumption::store(slot)
    }
}

/// The newest session of one target.
#[derive(Debug, Default)]
struct Slot(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    group: Option<NamedGroup>,
    old: Option<Tls12ClientSessionValue>,
    ticket: Option<Tls13ClientSessionValue>,
}

impl Slot {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Slot {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept().old = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept().old.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept().old = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.kept().ticket = Some(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().ticket.take()
    }
}
