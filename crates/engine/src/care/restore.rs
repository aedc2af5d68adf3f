//! Restoring a backup into an empty data folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::Clock;
use db::{Db, DbOptions, Reconciled, RestoreFacts};

use super::error::{CareError, at};
use super::files::{self, List};
use super::manifest::{DATABASE_FILE, Manifest, Missing, SETTINGS_FILE};
use super::verify::payload_files;

/// Stands in a data folder while a backup is being restored into it.
pub const RESTORING_FILE: &str = "restoring";
/// Holds payload files that no record knows, for a person to look at.
pub const LOST_FOUND: &str = "lost+found";

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What the database needed.
    pub reconciled: Reconciled,
    /// Contents that are not there, with the transfers that need them.
    pub missing: Vec<Missing>,
    /// Files that no record knows, or that are damaged, under their new place.
    pub lost_found: Vec<PathBuf>,
}

/// Restores the backup in `backup` into `data`, which must be empty or left from a restore that broke off. The master key
/// is not in a backup: it has to be put there beside. The gateway that starts on the folder is frozen.
///
/// # Errors
/// [`CareError`]; the folder then holds [`RESTORING_FILE`], and the same command begins again.
pub async fn restore(backup: &Path, data: &Path, clock: Arc<dyn Clock>) -> Result<Restored, CareError> {
    let manifest = Manifest::read(backup)?;
    let (from, to, told) = (backup.to_owned(), data.to_owned(), manifest.clone());
    let files = tokio::task::spawn_blocking(move || bring_files(&from, &to, &told)).await;
    let files = files.map_err(|_| CareError::Broken)??;
    let database = data.join(DATABASE_FILE);
    let mut missing = Vec::new();
    let mut names: Vec<String> = manifest.missing.iter().map(|m| m.file.clone()).collect();
    names.extend(files.damaged);
    for name in names {
        let transfers = db::users_in_copy(&database, &name).await?.into_iter().map(|id| id.0).collect();
        missing.push(Missing { file: name, transfers });
    }
    let db = Db::open(DbOptions { url: database.display().to_string(), clock: Arc::clone(&clock) }).await?;
    let facts = RestoreFacts {
        backup_of: manifest.created_at.clone(),
        at: clock.now(),
        missing: missing.iter().map(|m| m.file.clone()).collect(),
    };
    let reconciled = db.backups().reconcile(facts).await;
    db.close().await;
    let reconciled = reconciled?;
    let marker = data.join(RESTORING_FILE);
    at(&marker, fs::remove_file(&marker))?;
    files::sync_all(data)?;
    Ok(Restored { manifest, reconciled, missing, lost_found: files.lost_found })
}

#[derive(Default)]
struct Brought {
    /// Names of contents that the backup lists and does not hold whole.
    damaged: Vec<String>,
    lost_found: Vec<PathBuf>,
}

/// Copies all files. Blocking.
fn bring_files(backup: &Path, data: &Path, manifest: &Manifest) -> Result<Brought, CareError> {
    let list = files::read_list(backup)?;
    if !manifest.lists(&files::digest(&backup.join(super::manifest::LIST_FILE))?) {
        return Err(CareError::refused(format!(
            "{}: the list of files is not the one that its manifest tells of: take another backup",
            backup.display()
        )));
    }
    clear(data)?;
    let mut brought = Brought::default();
    for (name, told) in &list {
        let (from, to) = (backup.join(name), data.join(name));
        let good = match files::copy(&from, &to) {
            Ok(found) => found == *told,
            Err(CareError::Io { path, .. }) if path == from => false,
            Err(other) => return Err(other),
        };
        match files::payload_of(name) {
            _ if good => {}
            Some(uuid) => {
                brought.damaged.push(uuid.to_string());
                if to.exists() {
                    brought.lost_found.push(put_aside(data, &to)?);
                }
            }
            None => {
                return Err(CareError::refused(format!(
                    "{}: {name} is damaged: take another backup",
                    backup.display()
                )));
            }
        }
    }
    for path in unlisted(backup, &list)? {
        let name = path.file_name().unwrap_or_default();
        let aside = data.join(LOST_FOUND).join(name);
        files::copy(&path, &aside)?;
        brought.lost_found.push(aside);
    }
    Ok(brought)
}

/// Makes the folder ready: it is made if absent; what an earlier try left is removed; anything else is not touched.
fn clear(data: &Path) -> Result<(), CareError> {
    files::make_folder(data)?;
    let marker = data.join(RESTORING_FILE);
    let mut entries = at(data, fs::read_dir(data))?;
    if marker.exists() {
        for name in [LOST_FOUND, "payload"] {
            remove(&data.join(name), |path| fs::remove_dir_all(path))?;
        }
        for end in ["", "-wal", "-shm"] {
            remove(&data.join(format!("{DATABASE_FILE}{end}")), |path| fs::remove_file(path))?;
        }
        return remove(&data.join(SETTINGS_FILE), |path| fs::remove_file(path));
    }
    if entries.next().is_some() {
        return Err(CareError::refused(format!(
            "{} is not empty: a backup is restored into an empty folder; give a new one",
            data.display()
        )));
    }
    drop(at(&marker, files::new_file(&marker))?);
    files::sync_all(data)
}

fn remove(path: &Path, how: impl Fn(&Path) -> std::io::Result<()>) -> Result<(), CareError> {
    match how(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => at(path, other),
    }
}

fn put_aside(data: &Path, path: &Path) -> Result<PathBuf, CareError> {
    let folder = data.join(LOST_FOUND);
    files::make_folder(&folder)?;
    let aside = folder.join(path.file_name().unwrap_or_default());
    at(path, fs::rename(path, &aside))?;
    Ok(aside)
}

/// Payload files of the backup that its list does not name.
fn unlisted(backup: &Path, list: &List) -> Result<Vec<PathBuf>, CareError> {
    let mut found = Vec::new();
    payload_files(&backup.join("payload"), 0, &mut |path| {
        let name = path.strip_prefix(backup).ok().and_then(Path::to_str);
        if name.is_none_or(|name| !list.contains_key(name)) {
            found.push(path.to_owned());
        }
    })?;
    Ok(found)
}
