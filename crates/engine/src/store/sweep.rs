//! Removal of files that nobody knows: what a crash left over between a file and its database row (STO-24).

use std::time::Duration;

use async_trait::async_trait;
use base::UtcMicros;

use super::{FileUuid, Found, Store, StoreError};

/// Whoever knows which payloads there are: the database.
#[async_trait]
pub trait Known: Send + Sync {
    /// Those of `uuids` that have a row which wants their staged file, or, if `staged` is false, their committed one.
    ///
    /// # Errors
    /// A text that tells what went wrong; the sweep then stops and nothing more is removed.
    async fn known(&self, uuids: &[FileUuid], staged: bool) -> Result<Vec<FileUuid>, String>;
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// Files looked at.
    pub seen: u64,
    /// Orphans removed.
    pub removed: u64,
    /// Octets they had on the disk.
    pub octets: u64,
}

/// Removes orphans that were last changed more than `grace` before `now`, so that a file which is just being committed
/// stays.
///
/// # Errors
/// Whatever the disk or `known` says; what was removed before stays removed.
pub async fn sweep(store: &dyn Store, known: &dyn Known, now: UtcMicros, grace: Duration) -> Result<Swept, StoreError> {
    let mut swept = sweep_staged(store, known, now, grace).await?;
    for first in 0..=u8::MAX {
        for uuid in orphans(store.committed_files(first).await?, (known, false), (now, grace), &mut swept).await? {
            store.remove(uuid).await?;
        }
    }
    Ok(swept)
}

/// The same for staged files alone.
///
/// # Errors
/// As for [`sweep`].
pub async fn sweep_staged(
    store: &dyn Store,
    known: &dyn Known,
    now: UtcMicros,
    grace: Duration,
) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    for uuid in orphans(store.staged_files().await?, (known, true), (now, grace), &mut swept).await? {
        store.discard(uuid).await?;
    }
    Ok(swept)
}

/// Those of `found` that are old enough and unknown.
async fn orphans(
    mut found: Vec<Found>,
    (known, staged): (&dyn Known, bool),
    (now, grace): (UtcMicros, Duration),
    swept: &mut Swept,
) -> Result<Vec<FileUuid>, StoreError> {
    swept.seen = swept.seen.saturating_add(super::format::wide(found.len()));
    found.retain(|file| now.since(file.changed) > grace);
    let mut orphans = Vec::new();
    for some in found.chunks(ASKED_MAX) {
        let uuids: Vec<FileUuid> = some.iter().map(|file| file.uuid).collect();
        let kept = known.known(&uuids, staged).await.map_err(|text| StoreError::Worker { text })?;
        for file in some.iter().filter(|file| !kept.contains(&file.uuid)) {
            swept.removed = swept.removed.saturating_add(1);
            swept.octets = swept.octets.saturating_add(file.octets);
            orphans.push(file.uuid);
        }
    }
    Ok(orphans)
}

/// Names asked for at once.
const ASKED_MAX: usize = 256;
