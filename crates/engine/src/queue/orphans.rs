//! Records that run by the database and nowhere else: their beginning or end got lost while the database failed. They
//! are put in order as a start does it, without a start.

use std::sync::atomic::{AtomicBool, Ordering};

use db::{Direction, State, Transfer, TransferChange, TransferFilter};

use super::expire::LastLook;
use crate::engine::Engine;
use crate::error::TransferError;
use crate::sync::lock;
use crate::transfer::{Extra, db_error};

/// Records of one look.
const LOOK_MAX: u32 = 5000;

/// When to look for them.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    suspected: AtomicBool,
    last: LastLook,
    /// Held by whoever makes a record run until he is known as its owner, shared; and by the look, alone.
    pub(crate) owners: tokio::sync::RwLock<()>,
}

impl Orphans {
    /// Something could not be recorded: look soon.
    pub(crate) fn suspect(&self) {
        self.suspected.store(true, Ordering::Relaxed);
    }
}

impl Engine {
    /// Puts records in order that nobody works on: after a failure, and once a minute.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn adopt_orphans(&self) -> Result<(), TransferError> {
        let orphans = &self.queue.orphans;
        let now = self.clock.now();
        if !orphans.suspected.swap(false, Ordering::Relaxed) && !orphans.last.is_due(self.clock.monotonic()) {
            return Ok(());
        }
        let filter = TransferFilter { states: vec![State::Processing, State::Servicing], ..TransferFilter::default() };
        let _alone = orphans.owners.write().await;
        let listed = self.db.transfers().list(filter, LOOK_MAX).await;
        let found = listed.map_err(|e| db_error(&e)).inspect_err(|_| orphans.suspect())?;
        for t in found.iter().filter(|t| self.is_orphan(t)) {
            let to = match (t.state, t.direction, t.payload) {
                (State::Processing, ..) => State::ToRestart,
                // Nothing of it is there to go on with.
                (_, Direction::In, None) => State::Deleted,
                _ => State::Interrupted,
            };
            let mut change = TransferChange::to(t.id, to, now);
            change.expected = vec![t.state];
            change.expected_revision = Some(t.revision);
            change.next_try_at = Some(now);
            change.listed = (to == State::Deleted).then_some(false);
            change.note = "the database had failed over it".to_owned();
            let changed = self.db.transfers().apply(change).await;
            changed.map_err(|e| db_error(&e)).inspect_err(|_| orphans.suspect())?;
            tracing::warn!(transfer = t.id.0, "a record that nobody worked on goes on");
        }
        Ok(())
    }

    /// Uploads into mounts have their owner in their session only.
    fn is_orphan(&self, t: &Transfer) -> bool {
        if t.node.as_ref().is_some_and(|node| *node != self.node.id()) || !Extra::of(t).mount.is_empty() {
            return false;
        }
        match (t.state, t.direction) {
            (State::Processing, _) => !lock(&self.running).contains_key(&t.id),
            (_, Direction::In) => !lock(&self.uploads).values().any(|slot| slot.id == t.id),
            (_, Direction::Out) => !self.is_downloading(t.id),
        }
    }
}
