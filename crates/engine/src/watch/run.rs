//! The task that writes down what the ledger gathered, and looks after alarms.

use std::sync::Arc;

use base::UtcMicros;

use super::alarms::Watchman;
use super::limits::{TALLY_KEPT, WRITE_EVERY};
use crate::engine::Engine;
use crate::sync::lock;

/// Writes the ledger and keeps alarms up to date until the engine stops; writes once more then.
pub async fn run_watch(engine: Arc<Engine>) {
    let mut stopping = engine.stopping();
    let mut watchman = Watchman::begin(&engine).await;
    let mut looked: Option<std::time::Duration> = None;
    while !engine.is_stopping() {
        engine.write_ledger().await;
        let now = engine.clock.monotonic();
        if looked.is_none_or(|at| now.saturating_sub(at) >= engine.options.thresholds.every) {
            looked = Some(now);
            watchman.look(&engine).await;
        }
        let every = WRITE_EVERY.min(engine.options.thresholds.every);
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = engine.events.noted.notified() => {}
            _ = stopping.changed() => {}
        }
    }
    engine.write_ledger().await;
}

impl Engine {
    /// Writes down what the ledger gathered; what can't be written waits for the next time.
    pub async fn write_ledger(&self) {
        let (sums, pushes) = {
            let mut ledger = lock(&self.events.ledger);
            (ledger.take(), ledger.take_pushes())
        };
        for (code, subject, json) in pushes {
            if let Err(error) = self.db.events().push(code, &subject, json).await {
                tracing::warn!(%error, code, "an event for webhooks is lost");
            }
        }
        if sums.is_empty() {
            return;
        }
        let kept = sums.clone();
        let written = match self.db.tally().add(sums).await {
            Ok(pending) => pending.done().await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::debug!(%error, "sums by hour are not written yet");
            lock(&self.events.ledger).put_back(kept);
        }
    }

    /// Forgets sums of long ago.
    pub(crate) async fn forget_tallies(&self, now: UtcMicros) -> Result<(), db::DbError> {
        self.forget_alarms(now).await?;
        self.db.tally().forget(UtcMicros(now.0.saturating_sub(UtcMicros(0).plus(TALLY_KEPT).0))).await
    }
}
