//! Making a backup while the gateway runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::hex;
use db::CopyFacts;

use super::error::{CareError, at};
use super::files::{self, List, Listed};
use super::manifest::{DATABASE_FILE, Manifest, Missing, SETTINGS_FILE};
use crate::engine::Engine;
use crate::store::FileUuid;

/// Longest wait for what else looks after the store.
const TEND_MAX: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct BackupOrder {
    /// A folder that is not there yet, or empty.
    pub folder: PathBuf,
    /// An earlier backup on the same disk: contents that it has are linked, not copied.
    pub base: Option<PathBuf>,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct BackupDone {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Contents that were linked from the earlier backup.
    pub linked: u64,
}

/// A content to be copied.
struct Wanted {
    uuid: FileUuid,
    from: PathBuf,
}

impl Engine {
    /// Makes a backup. The gateway goes on with everything but housekeeping.
    ///
    /// # Errors
    /// [`CareError`]. A folder that is left without a manifest is no backup.
    pub async fn backup(&self, order: BackupOrder) -> Result<BackupDone, CareError> {
        let _alone = self.tend().await?;
        let keys = self.master.ids();
        if keys.len() > 1 {
            return Err(CareError::refused(
                "a change of the master key is not finished: run `gatehouse master rotate` first",
            ));
        }
        if !self.db.backups().is_file() {
            return Err(CareError::refused(POSTGRES));
        }
        let created_at = self.clock.now();
        self.prepare(&order)?;
        let database = order.folder.join(DATABASE_FILE);
        self.db.backups().copy_to(&database).await?;
        let facts = db::look_into(&database, false).await?;
        let (wanted, elsewhere) = self.wanted(&facts);
        let settings = self.options.settings_file.clone();
        let settings = settings.unwrap_or_else(|| self.options.data.join(SETTINGS_FILE));
        let (to, base) = (order.folder.clone(), order.base.clone());
        let copied = tokio::task::spawn_blocking(move || copy_all(&to, base.as_deref(), (&settings, wanted))).await;
        let copied = copied.map_err(|_| CareError::Broken)??;
        let mut missing = Vec::new();
        for uuid in copied.missing {
            let name = uuid.to_string();
            let transfers = db::users_in_copy(&database, &name).await?.into_iter().map(|id| id.0).collect();
            missing.push(Missing { file: name, transfers });
        }
        let manifest = Manifest {
            format: Manifest::format(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: created_at.to_string(),
            gateway_id: facts.gateway_id,
            schema: facts.schema,
            master_key_id: keys.into_iter().next().unwrap_or_default(),
            transfers: facts.transfers,
            files: u64::try_from(copied.list.len()).unwrap_or(u64::MAX),
            octets: copied.list.values().fold(0, |sum, file| sum.saturating_add(file.size)),
            list_sha256: hex(&copied.sha256.sha256),
            missing,
            elsewhere,
        };
        manifest.write(&order.folder)?;
        // Looked at by `status`: one that can't be noted is a backup all the same.
        let mark = format!("{} {}", created_at.0, order.folder.display());
        if let Err(error) = self.db.meta().set(crate::watch::LAST_BACKUP, &mark).await {
            tracing::warn!(%error, "the backup is made, but `gatehouse status` will not know of it");
        }
        Ok(BackupDone { manifest, linked: copied.linked })
    }

    /// Keeps housekeeping, backups and changes of the master key from each other; waits a little for the other one.
    pub(crate) async fn tend(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, CareError> {
        let turn = tokio::time::timeout(TEND_MAX, self.tending.lock()).await;
        turn.map_err(|_| {
            CareError::refused("housekeeping, a backup or a change of the master key is under way: try again later")
        })
    }

    fn prepare(&self, order: &BackupOrder) -> Result<(), CareError> {
        let folder = &order.folder;
        if folder.is_relative() || order.base.as_ref().is_some_and(|base| base.is_relative()) {
            return Err(CareError::refused(
                "give the folder as an absolute path: the gateway has another working folder",
            ));
        }
        let data = &self.options.data;
        if !data.as_os_str().is_empty() && folder.starts_with(data) {
            return Err(CareError::refused("choose a folder outside the data folder, best on another disk"));
        }
        if let Some(base) = &order.base {
            Manifest::read(base)?;
        }
        files::make_folder(folder)?;
        match at(folder, fs::read_dir(folder))?.next() {
            None => Ok(()),
            Some(_) => Err(CareError::refused(format!("{} is not empty: give a new folder", folder.display()))),
        }
    }

    /// Contents of the copy that lie on this machine's disk, and how many do not.
    fn wanted(&self, facts: &CopyFacts) -> (Vec<Wanted>, u64) {
        let (mut wanted, mut elsewhere) = (Vec::new(), 0_u64);
        for payload in &facts.payloads {
            let uuid: Option<FileUuid> = payload.uuid.parse().ok();
            let here = uuid.filter(|_| payload.store == self.store.name());
            match here.and_then(|uuid| self.store.path_of(uuid).map(|from| Wanted { uuid, from })) {
                Some(found) => wanted.push(found),
                None => elsewhere = elsewhere.saturating_add(1),
            }
        }
        (wanted, elsewhere)
    }
}

struct Copied {
    list: List,
    sha256: Listed,
    linked: u64,
    missing: Vec<FileUuid>,
}

/// Copies everything but the database, which is there, and lists it. Blocking.
fn copy_all(to: &Path, base: Option<&Path>, (settings, wanted): (&Path, Vec<Wanted>)) -> Result<Copied, CareError> {
    let mut list = List::new();
    list.insert(DATABASE_FILE.to_owned(), files::digest(&to.join(DATABASE_FILE))?);
    if settings.is_absolute() && settings.is_file() {
        list.insert(SETTINGS_FILE.to_owned(), files::copy(settings, &to.join(SETTINGS_FILE))?);
    }
    let before = base.map(files::read_list).transpose()?.unwrap_or_default();
    let (mut linked, mut missing) = (0_u64, Vec::new());
    for Wanted { uuid, from } in wanted {
        let name = files::payload_path(uuid);
        let target = to.join(&name);
        if let (Some(base), Some(known)) = (base, before.get(&name))
            && files::link_same(&from, (&base.join(&name), known), &target)?
        {
            list.insert(name, *known);
            linked = linked.saturating_add(1);
            continue;
        }
        match files::copy(&from, &target) {
            Ok(listed) => drop(list.insert(name, listed)),
            Err(CareError::Io { path, source }) if path == from && source.kind() == std::io::ErrorKind::NotFound => {
                missing.push(uuid);
            }
            Err(other) => return Err(other),
        }
    }
    let sha256 = files::write_list(to, &list)?;
    files::sync_all(to)?;
    Ok(Copied { list, sha256, linked, missing })
}

/// What to do where the database is none of our files.
const POSTGRES: &str = "the database is a PostgreSQL, which has better means of its own: run `pg_dump --format=custom`, and copy the folder payload/ of the data folder after it";
