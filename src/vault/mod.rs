//! What the specs name of Secrets and `ConfigMaps`, kept while an endpoint names it: authorities, client
//! certificates, credentials. Somebody else reads the objects; of one that was read only what is needed is
//! kept, checked and ready for use. No value leaves but to a target that the Secret names.

mod content;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderName, HeaderValue};
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use tokio::sync::Notify;

use crate::domain::reference::{
    Content, CredentialSpec, HOSTS_ANNOTATION, Need, OPT_IN_LABEL, Permission, Reference, Supply,
};
use crate::domain::{EndpointId, Target};

/// An object as it was read. `Debug` shows no value.
#[derive(Debug)]
pub struct Object {
    version: String,
    permission: Permission,
    data: BTreeMap<String, SecretSlice<u8>>,
}

impl Object {
    /// `version` is another one whenever anything of the object is.
    pub fn new(
        version: String,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
        data: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Self {
        let label = labels.get(OPT_IN_LABEL).map(String::as_str);
        let hosts = annotations.get(HOSTS_ANNOTATION).map(String::as_str);
        Object {
            version,
            permission: Permission::new(label, hosts),
            data: data.into_iter().map(|(key, value)| (key, value.into())).collect(),
        }
    }
}

/// What came of reading an object.
#[derive(Debug)]
pub enum Reading {
    /// It does not exist.
    Missing,
    /// We may not read it.
    Forbidden {
        /// What would grant it, in one line; may be empty.
        grant: String,
    },
    /// Here it is.
    Object(Object),
}

/// A thing with a number of its own, so that what was made from it can be found again.
#[derive(Clone, Debug)]
pub struct Numbered<T> {
    /// Another one after each change.
    pub number: u64,
    /// The thing.
    pub value: Arc<T>,
}

/// Made of an object, for one need.
enum Material {
    Authorities(Numbered<RootCertStore>),
    ClientCertificate(Numbered<CertifiedKey>),
    Credential(SecretString),
}

enum Known {
    Missing,
    Forbidden { grant: String },
    Object { version: String, permission: Permission, contents: HashMap<Need, Result<Material, Content>> },
}

#[derive(Default)]
struct Entry {
    users: HashMap<EndpointId, Vec<Need>>,
    known: Option<Known>,
}

impl Entry {
    /// What was found of a need; `None`: nobody has looked yet.
    fn supply(&self, need: &Need) -> Option<Supply> {
        Some(match self.known.as_ref()? {
            Known::Missing => Supply::Missing,
            Known::Forbidden { grant } => Supply::Forbidden { grant: grant.clone() },
            Known::Object { permission, contents, .. } => Supply::Found {
                permission: permission.clone(),
                content: contents.get(need)?.as_ref().err().cloned().unwrap_or(Content::Usable),
            },
        })
    }

    fn material(&self, need: &Need) -> Option<(&Permission, &Material)> {
        match self.known.as_ref()? {
            Known::Object { permission, contents, .. } => {
                Some((permission, contents.get(need)?.as_ref().ok()?))
            }
            _ => None,
        }
    }
}

#[derive(Default)]
struct Table {
    entries: HashMap<Reference, Entry>,
    claims: HashMap<EndpointId, Vec<Need>>,
    suspects: HashSet<Reference>,
}

/// Keeps them; clones share it.
#[derive(Clone, Default)]
pub struct Vault {
    table: Arc<Mutex<Table>>,
    suspected: Arc<Notify>,
    numbers: Arc<AtomicU64>,
}

impl Vault {
    fn table(&self) -> MutexGuard<'_, Table> {
        // No code that can panic runs under this lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an endpoint needs, in place of what it needed before; what nobody needs any more is
    /// dropped. Answers the objects that have to be read first.
    pub fn claim(&self, id: &EndpointId, needs: &[Need]) -> Vec<Reference> {
        let mut table = self.table();
        let before = table.claims.remove(id).unwrap_or_default();
        if before != needs {
            for need in &before {
                if let Some(entry) = table.entries.get_mut(need.reference()) {
                    entry.users.remove(id);
                }
            }
            for need in needs {
                let entry = table.entries.entry(need.reference().clone()).or_default();
                entry.users.entry(id.clone()).or_default().push(need.clone());
            }
            table.entries.retain(|_, entry| !entry.users.is_empty());
        }
        if !needs.is_empty() {
            table.claims.insert(id.clone(), needs.to_vec());
        }
        let unread = |need: &&Need| {
            table.entries.get(need.reference()).is_some_and(|entry| entry.supply(need).is_none())
        };
        let mut unread: Vec<Reference> =
            needs.iter().filter(unread).map(|need| need.reference().clone()).collect();
        unread.dedup();
        unread
    }

    /// What was found of each need; `None` while one of them has not been read.
    pub fn supplies(&self, needs: &[Need]) -> Option<BTreeMap<Need, Supply>> {
        let table = self.table();
        needs
            .iter()
            .map(|need| Some((need.clone(), table.entries.get(need.reference())?.supply(need)?)))
            .collect()
    }

    /// Every object that is needed.
    pub fn used(&self) -> Vec<Reference> {
        self.table().entries.keys().cloned().collect()
    }

    /// Takes in what was read. Answers the endpoints that need it, when it is not what was known.
    pub fn put(&self, reference: &Reference, reading: Reading) -> Vec<EndpointId> {
        let mut table = self.table();
        // Nobody needs it any more.
        let Some(entry) = table.entries.get_mut(reference) else { return Vec::new() };
        let same = match (&entry.known, &reading) {
            (Some(Known::Missing), Reading::Missing) => true,
            (Some(Known::Forbidden { grant: old }), Reading::Forbidden { grant }) => old == grant,
            (Some(Known::Object { version, contents, .. }), Reading::Object(object)) => {
                let needed = entry.users.values().flatten();
                *version == object.version && needed.into_iter().all(|need| contents.contains_key(need))
            }
            _ => false,
        };
        if same {
            return Vec::new();
        }
        let known = match reading {
            Reading::Missing => Known::Missing,
            Reading::Forbidden { grant } => Known::Forbidden { grant },
            Reading::Object(object) => {
                let needed: HashSet<&Need> = entry.users.values().flatten().collect();
                let contents =
                    needed.into_iter().map(|need| (need.clone(), self.make(need, &object.data))).collect();
                Known::Object { version: object.version, permission: object.permission, contents }
            }
        };
        entry.known = Some(known);
        entry.users.keys().cloned().collect()
    }

    fn make(&self, need: &Need, data: &BTreeMap<String, SecretSlice<u8>>) -> Result<Material, Content> {
        let value = |key: &str| {
            let value = data.get(key).ok_or_else(|| Content::KeyMissing(key.to_owned()))?;
            Ok::<_, Content>(value.expose_secret())
        };
        match need {
            Need::Authorities { key, .. } => {
                content::authorities(value(key)?).map(|made| Material::Authorities(self.number(made)))
            }
            Need::ClientCertificate { .. } => {
                let parts = (value(content::CERTIFICATE)?, value(content::KEY)?);
                content::client_certificate(parts.0, parts.1)
                    .map(|made| Material::ClientCertificate(self.number(made)))
            }
            Need::Credential { key, .. } => content::credential(value(key)?).map(Material::Credential),
        }
        .map_err(Content::Unusable)
    }

    /// Gives a thing a number that no other has.
    pub fn number<T>(&self, value: T) -> Numbered<T> {
        Numbered { number: self.numbers.fetch_add(1, Ordering::Relaxed), value: Arc::new(value) }
    }

    /// Authorities, if they are there.
    pub fn authorities(&self, need: &Need) -> Option<Numbered<RootCertStore>> {
        match self.table().entries.get(need.reference())?.material(need)? {
            (_, Material::Authorities(found)) => Some(found.clone()),
            _ => None,
        }
    }

    /// A client certificate, if it may be shown to this target.
    pub fn client_certificate(
        &self,
        need: &Need,
        target: &Target,
        server_name: Option<&str>,
    ) -> Option<Numbered<CertifiedKey>> {
        match self.table().entries.get(need.reference())?.material(need)? {
            (permission, Material::ClientCertificate(found)) => {
                permission.check(target, server_name).ok()?;
                Some(found.clone())
            }
            _ => None,
        }
    }

    /// The header to be sent, if this target may see it. It is marked as sensitive: `Debug` does not show it,
    /// and HTTP/2 puts it into no table.
    pub fn credential(
        &self,
        spec: &CredentialSpec,
        target: &Target,
        server_name: Option<&str>,
    ) -> Option<(HeaderName, HeaderValue)> {
        match self.table().entries.get(spec.need.reference())?.material(&spec.need)? {
            (permission, Material::Credential(found)) => {
                permission.check(target, server_name).ok()?;
                let text = SecretString::from(format!("{}{}", spec.prefix, found.expose_secret()));
                let mut value = HeaderValue::from_str(text.expose_secret()).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::from_bytes(spec.header.as_bytes()).ok()?, value))
            }
            _ => None,
        }
    }

    /// A target refused what we have: perhaps there is a newer one.
    pub fn suspect(&self, need: &Need) {
        self.table().suspects.insert(need.reference().clone());
        self.suspected.notify_one();
    }

    /// Waits until there are suspects, and takes them.
    pub async fn suspects(&self) -> HashSet<Reference> {
        loop {
            let taken = std::mem::take(&mut self.table().suspects);
            if !taken.is_empty() {
                return taken;
            }
            self.suspected.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
