//! Clocks that are set: waits last as long as they should, whatever the time of day does meanwhile (DESIGN 1.19).
//!
//! Moments are stored as times of day, so that a start knows them. If the clock is set back, what waits would wait longer
//! by as much: so it is noticed, by the clock that never goes back, and stored waits are shortened. A clock that is set
//! forward ends waits early, which does no harm. Dates that people give stay dates.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::engine::Engine;
use crate::error::TransferError;
use crate::transfer::db_error;

/// Less than this is the time server at its work.
const SET_BACK_MIN: Duration = Duration::from_secs(1);

/// How far the time of day was ahead of the clock that never goes back, when last looked at.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Option<i64>>);

impl Engine {
    /// Shortens what waits if the clock was set back.
    ///
    /// # Errors
    /// If the database fails; the next call tries again.
    pub(crate) async fn follow_clock(&self) -> Result<(), TransferError> {
        // The runtime's lock: only one task may shorten by the same amount.
        let mut seen = self.clock_seen.0.lock().await;
        let now = self.clock.now();
        let monotonic = i64::try_from(self.clock.monotonic().as_micros()).unwrap_or(i64::MAX);
        let ahead = now.0.saturating_sub(monotonic);
        let back = seen.map_or(0, |before| before.saturating_sub(ahead));
        let back = Duration::from_micros(u64::try_from(back).unwrap_or(0));
        if back >= SET_BACK_MIN {
            self.db.transfers().sooner(now, back).await.map_err(|e| db_error(&e))?;
            self.events.emit(crate::Event::ClockSetBack { seconds: back.as_secs() });
            self.remember_settling().await;
            self.wake();
        }
        *seen = Some(ahead);
        Ok(())
    }
}
