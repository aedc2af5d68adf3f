//! The task that routes: it sleeps until the next upload has settled, or something wakes it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::UtcMicros;
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::limits::{LOOK_EVERY, LOOK_PAUSE_MIN, ROUTE_BATCH_MAX};
use crate::route::log_pass;
use crate::sync::lock;

/// Most different moments that are remembered; beyond, the regular look finds the rest.
const MOMENTS_MAX: usize = 10_000;
/// First look after a start, and pause after a failure.
const LOOK_SOON: Duration = Duration::from_secs(1);

/// When the next uploads have settled. The truth is in the database; this is only when to look.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    moments: Mutex<BTreeSet<UtcMicros>>,
    wake: Notify,
}

impl Settling {
    /// Something will have settled at `moment`.
    pub(crate) fn at(&self, moment: UtcMicros) {
        let mut moments = lock(&self.moments);
        let earliest = moments.first().is_none_or(|first| moment < *first);
        if moments.len() < MOMENTS_MAX {
            moments.insert(moment);
        }
        drop(moments);
        if earliest {
            self.wake.notify_one();
        }
    }

    /// Look now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Forgets moments that have come; gives the time to the next.
    fn next(&self, now: UtcMicros) -> Option<Duration> {
        let mut moments = lock(&self.moments);
        let later = moments.split_off(&UtcMicros(now.0.saturating_add(1)));
        *moments = later;
        moments.first().map(|at| at.since(now))
    }
}

/// Routes settled uploads until the engine stops.
pub async fn run_routing(engine: Arc<Engine>) {
    let mut stopping = engine.stopping();
    engine.remember_settling().await;
    while !engine.is_stopping() {
        // Forget first, then look: what settles meanwhile is either found or still remembered.
        let next = engine.settling.next(engine.clock.now());
        let routed = engine.route_due().await;
        log_pass(&engine, &routed);
        engine.pulse.routing.done();
        let pause = match (routed, next) {
            (Ok(count), _) if u32::try_from(count).is_ok_and(|c| c >= ROUTE_BATCH_MAX) => Duration::ZERO,
            (Ok(_), next) => next.unwrap_or(LOOK_EVERY).clamp(LOOK_PAUSE_MIN, LOOK_EVERY),
            (Err(_), _) => LOOK_SOON,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = engine.settling.wake.notified() => {}
            _ = stopping.changed() => {}
        }
    }
}

impl Engine {
    /// What was resting when the gateway stopped rests to its end.
    pub(crate) async fn remember_settling(&self) {
        let ever = UtcMicros(i64::MAX);
        match self.db.transfers().to_route((ever, ever), &self.node.id(), ROUTE_BATCH_MAX).await {
            Ok(resting) => resting.iter().for_each(|t| self.settling.at(t.next_try_at)),
            Err(e) => tracing::warn!(error = %e, "uploads that rest are found by the regular look only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_came_are_forgotten() {
        let s = Settling::default();
        s.at(UtcMicros(300));
        s.at(UtcMicros(100));
        s.at(UtcMicros(200));
        assert_eq!(s.next(UtcMicros(50)), Some(Duration::from_micros(50)));
        assert_eq!(s.next(UtcMicros(200)), Some(Duration::from_micros(100)));
        assert_eq!(s.next(UtcMicros(300)), None);
    }
}
