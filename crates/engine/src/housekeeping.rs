//! Tidying the store: files that no record knows, and contents that no transfer uses any longer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use db::{Db, Payload, PayloadState};

use crate::engine::Engine;
use crate::error::TransferError;
use crate::store::{FileUuid, Known, Swept, sweep};
use crate::sync::lock;
use crate::transfer::{db_error, payload_uuid, store_error};

/// Time between two rounds.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// Age under which a file is left alone: its record may be on its way.
const LEFT_ALONE: Duration = Duration::from_secs(3600);
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

/// Time between two looks at what `/metrics` shows.
const LOOK: Duration = Duration::from_secs(30);

/// Tidies at once and then daily, until the engine stops.
pub async fn run_housekeeping(engine: Arc<Engine>) {
    let mut stopping = engine.stopping();
    while !engine.is_stopping() {
        match engine.tidy().await {
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
            engine.look_for_expiry();
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
        let retired = self.retire().await?.values().fold(0_u64, |sum, one| sum.saturating_add(one.transfers));
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
        let open: Vec<FileUuid> = lock(&self.uploads).values().map(|slot| slot.uuid).collect();
        let known = KnownPayloads { db: self.db.clone(), open };
        let swept = sweep(self.store.as_ref(), &known, now, LEFT_ALONE).await.map_err(|e| store_error(&e))?;
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
        Ok(Tidied { swept, purged, retired })
    }

    /// Shows room and waiting work in `/metrics`, and sums up what other nodes counted.
    async fn gauge(&self) {
        if let Ok(space) = self.store.space().await {
            metrics::gauge!("gatehouse_store_free_octets").set(as_number(space.free));
            metrics::gauge!("gatehouse_store_total_octets").set(as_number(space.total));
            metrics::gauge!("gatehouse_store_reserve_octets").set(as_number(self.store.reserve_octets()));
        }
        if let Err(error) = self.db.usage().fold().await {
            tracing::warn!(%error, "usage could not be summed up");
        }
        let Ok(counts) = self.db.transfers().live_counts().await else { return };
        for state in db::State::ALL.iter().filter(|state| !state.is_end()) {
            let count = counts.iter().find(|(of, _)| of == state).map_or(0, |(_, count)| *count);
            metrics::gauge!("gatehouse_transfers", "state" => state.word()).set(as_number(count.unsigned_abs()));
        }
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

/// For a gauge, which has 53 bits.
fn as_number(n: u64) -> f64 {
    let high = u32::try_from(n >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(n & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
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
