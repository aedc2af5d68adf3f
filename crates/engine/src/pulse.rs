//! How often the tasks that must not stand still have gone round: who watches over the gateway looks whether it grows.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Engine;

/// Rounds since the start.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    pub(crate) routing: Round,
    pub(crate) deliveries: Round,
}

/// Rounds of one task.
#[derive(Debug, Default)]
pub(crate) struct Round(AtomicU64);

impl Round {
    /// One more is done.
    pub(crate) fn done(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Rounds that each task has gone, by its name. After [`Engine::wake`] each goes at least one more, if it can: a
    /// database that does not answer only makes it take longer.
    #[must_use]
    pub fn rounds(&self) -> [(&'static str, u64); 2] {
        let count = |round: &Round| round.0.load(Ordering::Relaxed);
        [("routing", count(&self.pulse.routing)), ("deliveries", count(&self.pulse.deliveries))]
    }
}
