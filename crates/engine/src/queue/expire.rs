//! Requests whose latest date is over while they wait: cancelled with the reason (TRF-5).

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base::UtcMicros;
use db::{Outcome, State, TransferChange};

use crate::engine::Engine;
use crate::error::TransferError;
use crate::events::Event;
use crate::transfer::{db_error, reason};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(60);
/// Records of one page.
const PAGE: u32 = 500;
/// Pages of one look; the rest waits for the next one, and each is looked at when its turn comes.
const PAGES_MAX: u32 = 20;

/// When the last look was.
#[derive(Debug)]
pub(crate) struct LastLook(AtomicI64);

impl Default for LastLook {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl LastLook {
    /// `monotonic`: clocks that are set must not put it off.
    pub(super) fn is_due(&self, monotonic: Duration) -> bool {
        let now = i64::try_from(monotonic.as_micros()).unwrap_or(i64::MAX);
        let last = self.0.load(Ordering::Relaxed);
        let due = last == i64::MIN || UtcMicros(now).since(UtcMicros(last)) >= EVERY;
        if due {
            self.0.store(now, Ordering::Relaxed);
        }
        due
    }
}

impl Engine {
    /// Cancels waiting requests whose latest date is over; at most one look a minute.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn expire(&self) -> Result<(), TransferError> {
        let now = self.clock.now();
        if !self.queue.expired.is_due(self.clock.monotonic()) {
            return Ok(());
        }
        for _ in 0..PAGES_MAX {
            let page = self.db.transfers().overdue(now, PAGE).await.map_err(|e| db_error(&e))?;
            let mut cancelled = false;
            for t in &page {
                let mut change = TransferChange::to(t.id, State::Cancelled, now);
                change.note = "its latest date is over".to_owned();
                change.listed = Some(false);
                change.outcome = Some(Outcome { reason: reason::TRANSFER, diag: 0, err: change.note.clone() });
                match self.db.transfers().apply(change).await {
                    Ok(_) => {
                        cancelled = true;
                        let text = "its latest date is over".to_owned();
                        self.events.emit(Event::Cancelled { transfer: t.id, text });
                    }
                    Err(e) => tracing::debug!(transfer = t.id.0, error = %e, "not cancelled: it went on meanwhile"),
                }
            }
            if !cancelled {
                break;
            }
        }
        Ok(())
    }
}
