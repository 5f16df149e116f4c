//! An engine for the tests of those who use one.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Engine, Limits};
use crate::domain::{Outcome, ProbeSpec, Target};
use crate::probe::Probe;

struct Never;

impl Probe for Never {
    fn probe(&self, _: Target, _: Arc<ProbeSpec>) -> BoxFuture<'static, Outcome> {
        Box::pin(std::future::pending())
    }
}

/// An engine whose probes have no outcome.
pub fn idle() -> Engine {
    Engine::new(Arc::new(Never), Limits::default())
}
