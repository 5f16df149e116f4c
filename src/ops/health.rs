//! Named readiness checks. Liveness says only that the process serves, or that it can never work
//! again without a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How a check stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Fine.
    Ok,
    /// Fine so far, and what may come of it: shown to people, no reason to take the process out.
    Trouble(String),
    /// Not ready, and why.
    NotReady(String),
    /// A restart is the only way out, and why.
    Dead(String),
}

/// All checks of the process; clones share them.
#[derive(Clone)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<String, Check>>>,
}

impl Default for Health {
    /// Not ready before the mode that runs says that it has started.
    fn default() -> Self {
        let health = Health { checks: Arc::default() };
        health.set("started", Check::NotReady("starting".to_owned()));
        health
    }
}

impl Health {
    /// Sets a check. The name is what `/readyz` prints.
    pub fn set(&self, name: &str, check: Check) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), check);
    }

    /// Every check by name.
    pub fn all(&self) -> BTreeMap<String, Check> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ready, and a line for each check.
    pub fn ready(&self) -> (bool, String) {
        Self::report(&self.all(), |check| matches!(check, Check::Ok | Check::Trouble(_)))
    }

    /// Alive, and a line for each check.
    pub fn live(&self) -> (bool, String) {
        Self::report(&self.all(), |check| !matches!(check, Check::Dead(_)))
    }

    fn report(all: &BTreeMap<String, Check>, good: fn(&Check) -> bool) -> (bool, String) {
        let mut text = String::new();
        for (name, check) in all {
            let line = match check {
                Check::Trouble(why) => format!("[+]{name} ok, but: {why}\n"),
                _ if good(check) => format!("[+]{name} ok\n"),
                Check::Ok => format!("[+]{name} ok\n"),
                Check::NotReady(why) | Check::Dead(why) => format!("[-]{name} failed: {why}\n"),
            };
            text.push_str(&line);
        }
        let ok = all.values().all(good);
        text.push_str(if ok { "check passed\n" } else { "check failed\n" });
        (ok, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_not_ready_is_named_and_does_not_end_the_process() {
        let health = Health::default();
        assert!(!health.ready().0);
        health.set("started", Check::Ok);
        assert!(health.ready().0);
        health.set("store", Check::Trouble("locked for 3 s".to_owned()));
        assert!(
            health.ready()
                == (true, "[+]started ok\n[+]store ok, but: locked for 3 s\ncheck passed\n".to_owned())
        );
        health.set("store", Check::Ok);
        health.set("watch", Check::NotReady("the CRD is not installed".to_owned()));
        let (ready, text) = health.ready();
        assert!(!ready && text.contains("[-]watch failed: the CRD is not installed"), "{text}");
        assert!(health.live().0);
        health.set("watch", Check::Dead("no list for 15 minutes".to_owned()));
        assert!(!health.live().0);
    }
}
