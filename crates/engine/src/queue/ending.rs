//! How the end of a job gets into its record, also while the database fails.

use std::sync::Arc;

use base::TransferId;
use db::{DbError, Pending, State, Transfer};

use super::PAUSE_AFTER_FAILURE;
use super::job::Running;
use super::outcome::Ended;
use crate::engine::Engine;
use crate::error::TransferError;
use crate::sync::lock;
use crate::transfer::db_error;

/// A job that is over, until its record says so.
pub(super) struct Ending {
    pub(super) engine: Arc<Engine>,
    pub(super) running: Arc<Running>,
    pub(super) end: Ended,
    /// The step by which this connection took the job.
    pub(super) taken: i64,
}

impl Ending {
    fn id(&self) -> TransferId {
        self.end.change.id
    }

    /// Waits for an end that was queued.
    pub(super) async fn settled(self, queued: Result<Pending<Transfer>, DbError>) -> Result<(), TransferError> {
        let recorded = match queued {
            Ok(pending) => pending.done().await,
            Err(error) => Err(error),
        };
        self.told(recorded.map(drop))
    }

    /// Takes the answer of the database. If it failed, a task of its own tries until it succeeds: the partner has the
    /// file or not, whatever our database says now.
    pub(super) fn told(self, recorded: Result<(), DbError>) -> Result<(), TransferError> {
        let error = match recorded {
            Ok(()) => {
                self.over();
                return Ok(());
            }
            Err(error) => error,
        };
        let told = db_error(&error);
        if may_pass(&error) {
            tracing::warn!(transfer = self.id().0, %error, "the end of a job is not recorded yet: it is tried again");
            tokio::spawn(self.insist());
        } else {
            tracing::warn!(transfer = self.id().0, %error, "the end of a job could not be recorded");
            self.forget();
        }
        Err(told)
    }

    async fn insist(self) {
        let mut stopping = self.engine.stopping();
        loop {
            match self.try_again().await {
                Ok(()) => return self.over(),
                Err(error) if !may_pass(&error) => {
                    tracing::warn!(transfer = self.id().0, %error, "the end of a job could not be recorded");
                    return self.forget();
                }
                Err(error) => tracing::debug!(transfer = self.id().0, %error, "the end of a job is not recorded yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE_AFTER_FAILURE) => {}
                // The next start finds the job running, and what was noted before its last step.
                _ = stopping.wait_for(|stop| *stop) => return self.forget(),
            }
        }
    }

    /// Records the end unless it was recorded already, or somebody else has the job by now.
    async fn try_again(&self) -> Result<(), DbError> {
        loop {
            let transfers = self.engine.db.transfers();
            let Some(t) = transfers.get(self.id()).await? else { return Ok(()) };
            let steps = transfers.steps(self.id()).await?;
            let last_taken = steps.iter().rev().find(|s| s.to == State::Processing).map(|s| s.n);
            if t.state != State::Processing || last_taken != Some(self.taken) {
                return Ok(());
            }
            let mut change = self.end.change.clone();
            change.expected_revision = Some(t.revision);
            match transfers.apply(change).await {
                // Changed between look and change: look again.
                Err(DbError::Unexpected { .. }) => {}
                other => return other.map(drop),
            }
        }
    }

    /// It is recorded: who waits for it may go on.
    fn over(self) {
        if let Some(event) = self.end.event.clone() {
            if matches!(event, crate::Event::Delivered { .. }) {
                self.running.delivered();
            }
            self.engine.events.emit(event);
        }
        self.forget();
    }

    fn forget(self) {
        let mut running = lock(&self.engine.running);
        if running.get(&self.id()).is_some_and(|now| Arc::ptr_eq(now, &self.running)) {
            running.remove(&self.id());
        }
        drop(running);
        self.running.over();
    }
}

/// Whether the same change may succeed later.
const fn may_pass(error: &DbError) -> bool {
    matches!(error, DbError::Locked | DbError::Full | DbError::Sql(_) | DbError::Open { .. })
}
