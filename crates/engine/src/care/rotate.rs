//! Changing the master key.
//!
//! Three files make it safe to be killed at any moment: `master.key` is the key that seals; `master.key.next` is the one
//! that will; `master.key.old` the one that did. The order is: make the next one; keep the present one as the old one too;
//! rename the next one over the present one; seal everything anew; when nothing refers to the old one, note in the database
//! which one seals, and remove it. Whoever starts in between opens with all that are there, and goes on where it stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use base::unhex;
use db::{SealedKind, SealedValue};
use keys::{MasterKeeper, MasterKey, SealError};

use super::error::{CareError, at};
use crate::engine::Engine;
use crate::store::{ErrorKind, FileUuid};

/// The key that seals.
pub const MASTER_FILE: &str = "master.key";
/// The key that will.
const NEXT_FILE: &str = "master.key.next";
/// The key that did.
const OLD_FILE: &str = "master.key.old";
/// The key that did, when nothing refers to it any more, until it is overwritten.
const ERASED_FILE: &str = "master.key.erased";
/// Which key seals: other nodes have to have the same one.
const MASTER_ID: &str = "master_key_id";
/// Values sealed anew in one transaction.
const BATCH: u32 = 100;
/// Rounds over everything: the second one usually finds nothing.
const ROUNDS_MAX: u32 = 10;

/// What a change of the master key has done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rotated {
    /// The key that seals now.
    pub key: String,
    /// Values and files that were sealed anew.
    pub resealed: u64,
    /// Uploads under way that still need the old key; when they have ended, housekeeping comes to the end.
    pub waiting: u64,
}

/// Told before each step that changes something on the disk; `false` stops there, as a kill would.
pub(crate) type Steps<'a> = &'a mut (dyn FnMut() -> bool + Send);

/// Loads the key that seals and, while a change of it is under way, the others. May wait for a token.
///
/// # Errors
/// [`SealError`] of any of them: none may be lost.
pub fn load_master(data: &Path, keeper: &MasterKeeper) -> Result<MasterKey, SealError> {
    let master = keeper.load(&data.join(MASTER_FILE))?;
    for other in [NEXT_FILE, OLD_FILE].map(|name| data.join(name)) {
        if other.exists() {
            master.admit(keeper.load(&other)?);
        }
    }
    Ok(master)
}

/// Refuses a master key that is not the one of the database: with several nodes each has a copy in its data folder.
///
/// # Errors
/// [`CareError`] that says what to do.
pub async fn check_master(db: &db::Db, master: &MasterKey) -> Result<(), CareError> {
    match db.meta().get(MASTER_ID).await? {
        None => {
            // Only a key that something is sealed with is the right one: a wrong one must not be taken for it for ever.
            let id: Option<[u8; 8]> = unhex(&master.id()).and_then(|octets| octets.try_into().ok());
            let used = match id {
                Some(id) => !db.sealed().under(SealedKind::PrivateKey, id, 0, 1).await?.is_empty(),
                None => false,
            };
            if used {
                db.meta().set(MASTER_ID, &master.id()).await?;
            }
            Ok(())
        }
        Some(id) if master.ids().contains(&id) => Ok(()),
        Some(id) => Err(CareError::refused(format!(
            "this data folder's master key is {}, the database is sealed with {id}: copy master.key from another node",
            master.id()
        ))),
    }
}

impl Engine {
    /// Changes the master key, or goes on with a change that was begun: a new key, everything sealed anew, the old key
    /// removed. The gateway goes on meanwhile.
    ///
    /// # Errors
    /// [`CareError`]. What was done stays done; the same call goes on.
    pub async fn rotate(&self) -> Result<Rotated, CareError> {
        let _alone = self.tend().await?;
        let others = self.db.nodes().others(&self.node.id()).await?;
        if !others.is_empty() {
            let text = format!(
                "stop the other nodes first ({}), then copy the new master.key into their data folders",
                others.join(", ")
            );
            return Err(CareError::refused(text));
        }
        self.rotate_by(&mut || true).await
    }

    /// The sentence for a `master.key` that is not wrapped as the settings say, or is wrapped and should not be.
    #[must_use]
    pub fn master_not_wrapped(&self) -> Option<String> {
        let wrapped = self.options.keeper.is_current(&self.options.data.join(MASTER_FILE));
        let is_other = self.options.master_file.is_none() && wrapped.is_ok_and(|wrapped| !wrapped);
        is_other.then(|| {
            "master.key is not wrapped as [master_key] token_key says: run `gatehouse master rotate`, which makes a new key \
             that is"
                .to_owned()
        })
    }

    /// Whether a change of the master key was begun and is not at its end.
    #[must_use]
    pub fn rotation_pending(&self) -> bool {
        self.master.ids().len() > 1
    }

    pub(crate) async fn rotate_by(&self, go_on: Steps<'_>) -> Result<Rotated, CareError> {
        let data = &self.options.data;
        if data.as_os_str().is_empty() {
            return Err(CareError::refused("this gateway has no data folder: its master key stands in no file"));
        }
        if let Some(file) = &self.options.master_file {
            return Err(CareError::refused(format!(
                "the master key is handed over as {}: only a key in the data folder can be changed; put a copy of it \
                 there as {MASTER_FILE}, take the credential away, start anew, change it, and hand the new one over",
                file.display()
            )));
        }
        erase(data)?;
        self.switch(data, go_on).await?;
        let mut done = Rotated { key: self.master.id(), ..Rotated::default() };
        for _ in 0..ROUNDS_MAX {
            let round = self.reseal_all(go_on).await?;
            done.resealed = done.resealed.saturating_add(round.resealed);
            done.waiting = round.waiting;
            if round.resealed == 0 {
                break;
            }
            done.waiting = done.waiting.max(1);
        }
        if done.waiting == 0 {
            // Before the old key goes: who starts in between has both, and the database names one of them.
            step(go_on)?;
            self.db.meta().set(MASTER_ID, &done.key).await?;
            step(go_on)?;
            set_aside(data)?;
            self.master.forget_others();
            step(go_on)?;
            erase(data)?;
            tracing::info!(master_key = %done.key, resealed = done.resealed, "the master key was changed");
        }
        Ok(done)
    }

    /// Makes the new key the one that seals. Each step is one change of the folder, durable before the next.
    async fn switch(&self, data: &Path, go_on: Steps<'_>) -> Result<(), CareError> {
        let [master, next, old] = [MASTER_FILE, NEXT_FILE, OLD_FILE].map(|name| data.join(name));
        if old.exists() && self.load_key(&old).await?.id() != self.load_key(&master).await?.id() {
            return Ok(());
        }
        if !next.exists() {
            step(go_on)?;
            let (keeper, next) = (self.options.keeper.clone(), next.clone());
            on_a_thread(move || keeper.create(&next)).await?;
        }
        let new = self.load_key(&next).await?;
        let id = new.id();
        self.master.admit(new);
        if !old.exists() {
            step(go_on)?;
            at(&old, fs::hard_link(&master, &old))?;
            sync(data)?;
        }
        step(go_on)?;
        at(&master, fs::rename(&next, &master))?;
        sync(data)?;
        self.master.seal_with(&id);
        tracing::info!(master_key = %id, "a new master key seals; what the old one sealed is sealed anew");
        Ok(())
    }

    async fn load_key(&self, path: &Path) -> Result<MasterKey, CareError> {
        let (keeper, path) = (self.options.keeper.clone(), path.to_owned());
        on_a_thread(move || keeper.load(&path)).await
    }

    async fn reseal_all(&self, go_on: Steps<'_>) -> Result<Round, CareError> {
        let mut round = Round::default();
        let mut ids = self.master.ids();
        if !ids.is_empty() {
            ids.remove(0);
        }
        for old in ids {
            let octets: Option<[u8; 8]> = unhex(&old).and_then(|octets| octets.try_into().ok());
            let octets = octets.ok_or_else(|| CareError::refused(format!("master key {old} has no id of 8 octets")))?;
            for kind in SealedKind::ALL {
                self.reseal_rows(kind, octets, (go_on, &mut round)).await?;
            }
        }
        for first in 0..=u8::MAX {
            for file in self.store.committed_files(first).await? {
                self.reseal_file(file.uuid, false, (go_on, &mut round)).await?;
            }
        }
        for file in self.store.staged_files().await? {
            self.reseal_file(file.uuid, true, (go_on, &mut round)).await?;
        }
        Ok(round)
    }

    async fn reseal_rows(
        &self,
        kind: SealedKind,
        old: [u8; 8],
        (go_on, round): (Steps<'_>, &mut Round),
    ) -> Result<(), CareError> {
        let mut from = i64::MIN;
        loop {
            let values = self.db.sealed().under(kind, old, from, BATCH).await?;
            let Some(last) = values.last() else { return Ok(()) };
            from = last.id;
            step(go_on)?;
            let count = u64::try_from(values.len()).unwrap_or(u64::MAX);
            let new = values.into_iter().map(|value| self.reseal(kind, value)).collect::<Result<Vec<_>, _>>()?;
            self.db.sealed().replace(kind, new).await?;
            round.resealed = round.resealed.saturating_add(count);
        }
    }

    fn reseal(&self, kind: SealedKind, value: SealedValue) -> Result<(SealedValue, Vec<u8>), CareError> {
        let odd =
            || CareError::refused(format!("the sealed value of payload {} is cut: restore the database", value.id));
        let size = u64::try_from(value.size).unwrap_or(0);
        let (before, aad) = match kind {
            SealedKind::Secret => (0, format!("object_secret|{}|{}", value.owner, value.field).into_bytes()),
            SealedKind::PrivateKey => (0, format!("credential|{}", value.owner).into_bytes()),
            SealedKind::Inline => {
                let uuid = value.sealed.first_chunk::<16>().ok_or_else(odd)?;
                (uuid.len(), crate::store::inline_bound(FileUuid(*uuid), size))
            }
            SealedKind::Upload => (0, crate::store::upload_bound(value.owner.parse()?, size)),
        };
        let (head, sealed) = value.sealed.split_at_checked(before).ok_or_else(odd)?;
        let plain = self.master.open(&aad, sealed)?;
        let new = [head, &self.master.seal(&aad, plain.expose())?].concat();
        Ok((value, new))
    }

    async fn reseal_file(
        &self,
        uuid: FileUuid,
        staged: bool,
        (go_on, round): (Steps<'_>, &mut Round),
    ) -> Result<(), CareError> {
        if !self.store.needs_rewrap(uuid, staged).await? {
            return Ok(());
        }
        step(go_on)?;
        let done = if staged { self.store.rewrap_staged(uuid).await } else { self.store.rewrap(uuid).await };
        match done {
            Ok(()) => round.resealed = round.resealed.saturating_add(1),
            // Purged or committed meanwhile.
            Err(e) if e.kind() == ErrorKind::Absent => {}
            // Open: its sender is at work on it.
            Err(e) if e.kind() == ErrorKind::Busy => round.waiting = round.waiting.saturating_add(1),
            // What does not open now did not before; the old key would not help.
            Err(e) if e.kind() == ErrorKind::Corrupt => tracing::warn!(error = %e, "a payload is damaged"),
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Round {
    resealed: u64,
    waiting: u64,
}

/// A token may take its time.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SealError> + Send + 'static,
) -> Result<T, CareError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| CareError::refused("work on the master key broke off: see the log"))??)
}

fn step(go_on: Steps<'_>) -> Result<(), CareError> {
    if go_on() { Ok(()) } else { Err(CareError::Broken) }
}

/// Takes the old key's name from it. A file that is cut off in the middle of the next step must not be taken for a key.
fn set_aside(data: &Path) -> Result<(), CareError> {
    let old = data.join(OLD_FILE);
    match fs::rename(&old, data.join(ERASED_FILE)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => at(&old, other).and_then(|()| sync(data)),
    }
}

/// Overwrites a key that is no longer used, and removes it. What the disk itself keeps of it is out of our hands.
pub(crate) fn erase(data: &Path) -> Result<(), CareError> {
    for entry in at(data, fs::read_dir(data))? {
        let name = at(data, entry)?.file_name();
        // A key that was being made when the gateway was killed has such a name; nothing was sealed by it.
        let unmade = name.to_str().is_some_and(|name| name.starts_with(NEXT_FILE) && name.ends_with(".new"));
        if unmade || name == ERASED_FILE {
            erase_one(data, &data.join(name))?;
        }
    }
    Ok(())
}

fn erase_one(data: &Path, aside: &Path) -> Result<(), CareError> {
    let mut file = match OpenOptions::new().write(true).open(aside) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => at(aside, other)?,
    };
    let len = usize::try_from(at(aside, file.metadata())?.len()).unwrap_or(0);
    at(aside, file.write_all(&vec![0; len]).and_then(|()| file.sync_all()))?;
    at(aside, fs::remove_file(aside))?;
    sync(data)
}

fn sync(folder: &Path) -> Result<(), CareError> {
    at(folder, File::open(folder).and_then(|f| f.sync_all()))
}
