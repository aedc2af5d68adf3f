//! Tidying the store: files that no record knows, and contents that no transfer uses any longer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::UtcMicros;
use db::{Db, Payload, PayloadState};

use crate::engine::Engine;
use crate::error::TransferError;
use crate::store::{FileUuid, Known, Swept, sweep, sweep_staged};
use crate::sync::lock;
use crate::transfer::{db_error, payload_uuid, store_error};

/// Time between two rounds.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// Age under which a file is left alone: its record may be on its way.
const LEFT_ALONE: Duration = Duration::from_secs(3600);
/// What one node at a time does for all, and how long it may take before another one does it.
const DUTY: &str = "tidy";
const DUTY_TERM: Duration = Duration::from_secs(3600);
/// Contents purged in one go.
const PURGE_MAX: u32 = 200;

/// What a round did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tidied {
    /// Files without record.
    pub swept: Swept,
    /// Contents that nobody used.
    pub purged: u64,
    /// Records of transfers that ended long ago.
    pub retired: u64,
}

/// How long runs of hooks that ended are kept.
const HOOK_RUNS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time between two looks at what `/metrics` shows.
const LOOK: Duration = Duration::from_secs(30);

/// Tidies at once and then daily, until the engine stops.
pub async fn run_housekeeping(engine: Arc<Engine>) {
    let mut stopping = engine.stopping();
    while !engine.is_stopping() {
        let tidied = engine.tidy().await;
        engine.vitals.set_trouble("housekeeping", tidied.as_ref().err().map(ToString::to_string));
        match tidied {
            Ok(done)
                if done
                    == Tidied { swept: Swept { seen: done.swept.seen, ..Swept::default() }, ..Tidied::default() } => {}
            Ok(done) => tracing::info!(
                files = done.swept.removed,
                octets = done.swept.octets,
                purged = done.purged,
                retired = done.retired,
                "the store was tidied"
            ),
            Err(e) => tracing::warn!(error = %e, "the store could not be tidied"),
        }
        let next = tokio::time::Instant::now() + EVERY;
        while !engine.is_stopping() && tokio::time::Instant::now() < next {
            engine.gauge().await;
            if let Err(error) = engine.db.usage().fold().await {
                tracing::warn!(%error, "usage could not be summed up");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stopping.changed() => {}
            }
        }
    }
}

impl Engine {
    /// Removes files of the store that no record knows, and contents that no transfer uses.
    ///
    /// # Errors
    /// What disk or database say; the next round finds the rest.
    pub async fn tidy(&self) -> Result<Tidied, TransferError> {
        let _alone = self.tending.lock().await;
        let now = self.clock.now();
        // What all nodes share, one of them looks after.
        if !self.db.nodes().take_duty(DUTY, &self.node.id(), DUTY_TERM).await.map_err(|e| db_error(&e))? {
            return Ok(Tidied { swept: self.sweep(false).await?, ..Tidied::default() });
        }
        let tidied = self.tidy_all(now).await;
        self.db.nodes().leave_duty(DUTY).await.map_err(|e| db_error(&e))?;
        tidied
    }

    /// Removes files that no record knows: staged ones of this node, and, if it has the duty, committed ones of all.
    async fn sweep(&self, all: bool) -> Result<Swept, TransferError> {
        let open: Vec<FileUuid> = lock(&self.uploads).values().map(|slot| slot.uuid).collect();
        let known = KnownPayloads { db: self.db.clone(), open };
        let (store, now) = (self.store.as_ref(), self.clock.now());
        let swept = match all {
            true => sweep(store, &known, now, LEFT_ALONE).await,
            false => sweep_staged(store, &known, now, LEFT_ALONE).await,
        };
        swept.map_err(|e| store_error(&e))
    }

    async fn tidy_all(&self, now: UtcMicros) -> Result<Tidied, TransferError> {
        let retired = self.retire().await?.values().fold(0_u64, |sum, one| sum.saturating_add(one.transfers));
        let before = UtcMicros(now.0.saturating_sub(UtcMicros(0).plus(HOOK_RUNS_KEPT).0));
        self.db.hooks().forget(before).await.map_err(|e| db_error(&e))?;
        let mut purged = 0;
        loop {
            let unused = self.db.payloads().purge(now, PURGE_MAX).await.map_err(|e| db_error(&e))?;
            if unused.is_empty() {
                break;
            }
            for payload in &unused {
                self.remove_content(payload).await?;
                purged += 1;
            }
        }
        self.give_up_uploads(true).await;
        let swept = self.sweep(true).await?;
        if self.options.data.is_absolute()
            && let Err(error) = crate::care::erase(&self.options.data)
        {
            tracing::warn!(%error, "an old master key could not be erased");
        }
        if self.rotation_pending() {
            // Killed, or held up by uploads that may have ended by now.
            if let Err(error) = self.rotate_by(&mut || true).await {
                tracing::warn!(%error, "the change of the master key could not be finished");
            }
        }
        self.db.retention().sweep(now).await.map_err(|e| db_error(&e))?;
        self.forget_tallies(now).await.map_err(|e| db_error(&e))?;
        Ok(Tidied { swept, purged, retired })
    }

    async fn remove_content(&self, payload: &Payload) -> Result<(), TransferError> {
        let Some(uuid) = payload_uuid(payload) else { return Ok(()) };
        let removed = match payload.state {
            PayloadState::Staging => self.store.discard(uuid).await,
            PayloadState::Committed | PayloadState::Purged => self.store.remove(uuid).await,
        };
        removed.map_err(|e| store_error(&e))
    }
}

/// What the database knows, and uploads that are open but too young for it.
struct KnownPayloads {
    db: Db,
    open: Vec<FileUuid>,
}

#[async_trait]
impl Known for KnownPayloads {
    async fn known(&self, uuids: &[FileUuid], staged: bool) -> Result<Vec<FileUuid>, String> {
        let mut known = Vec::new();
        for uuid in uuids {
            let row = self.db.payloads().by_uuid(&uuid.to_string()).await.map_err(|e| e.to_string())?;
            let wanted = match row.map(|r| r.state) {
                Some(PayloadState::Staging) => true,
                // Under its final name; what is left of it in staging is of no use.
                Some(PayloadState::Committed) => !staged,
                Some(PayloadState::Purged) | None => self.open.contains(uuid),
            };
            if wanted {
                known.push(*uuid);
            }
        }
        Ok(known)
    }
}
