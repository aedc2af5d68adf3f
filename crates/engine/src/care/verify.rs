//! Checking a backup where it lies, without restoring it and without the master key.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{CareError, at};
use super::files::{self, List};
use super::manifest::{DATABASE_FILE, LIST_FILE, Manifest};

/// Faults told of one by one; more are only counted.
const FAULTS_MAX: usize = 100;

/// What a check found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What is wrong, a sentence each; empty for a good backup.
    pub faults: Vec<String>,
    /// Payload files in the folder that no list names.
    pub unlisted: Vec<PathBuf>,
}

/// Checks every file of a backup against its list, the list against the manifest, the database from end to end, and that
/// every content the database refers to is there.
///
/// # Errors
/// [`CareError`] if the folder is no backup at all or can't be read.
pub async fn verify(folder: &Path) -> Result<Verified, CareError> {
    let manifest = Manifest::read(folder)?;
    let from = folder.to_owned();
    let listed = tokio::task::spawn_blocking(move || check_files(&from)).await.map_err(|_| CareError::Broken)??;
    let (list, sum, mut faults, unlisted) = listed;
    if !manifest.lists(&sum) {
        faults.push(format!("{LIST_FILE} is not the one that the manifest tells of"));
    }
    match db::look_into(&folder.join(DATABASE_FILE), true).await {
        Err(e) => faults.push(format!("{DATABASE_FILE}: {e}")),
        Ok(facts) => {
            let told = |uuid: &str| manifest.missing.iter().any(|missing| missing.file == uuid);
            let absent = facts.payloads.iter().filter(|p| {
                let path = p.uuid.parse().ok().map(files::payload_path);
                p.store == crate::store::local::NAME && path.is_none_or(|p| !list.contains_key(&p)) && !told(&p.uuid)
            });
            faults.extend(absent.map(|p| format!("content {} is in the database and not in the backup", p.uuid)));
        }
    }
    let more = faults.len().saturating_sub(FAULTS_MAX);
    if more > 0 {
        faults.truncate(FAULTS_MAX);
        faults.push(format!("and {more} more"));
    }
    Ok(Verified { manifest, faults, unlisted })
}

type Checked = (List, files::Listed, Vec<String>, Vec<PathBuf>);

fn check_files(folder: &Path) -> Result<Checked, CareError> {
    let sum = files::digest(&folder.join(LIST_FILE))?;
    let list = files::read_list(folder)?;
    let mut faults = Vec::new();
    for (name, told) in &list {
        match files::digest(&folder.join(name)) {
            Ok(found) if found == *told => {}
            Ok(found) if found.size != told.size => {
                faults.push(format!("{name} has {} octets, listed are {}", found.size, told.size));
            }
            Ok(_) => faults.push(format!("{name} has another SHA-256 than listed: it was changed or the disk is bad")),
            Err(e) => faults.push(format!("{name}: {e}")),
        }
    }
    let mut unlisted = Vec::new();
    payload_files(&folder.join("payload"), 0, &mut |path| {
        let name = path.strip_prefix(folder).ok().and_then(Path::to_str);
        if name.is_none_or(|name| !list.contains_key(name)) {
            unlisted.push(path.to_owned());
        }
    })?;
    Ok((list, sum, faults, unlisted))
}

/// Every file below a folder of payloads, which has two levels of folders.
pub(super) fn payload_files(folder: &Path, depth: u8, found: &mut dyn FnMut(&Path)) -> Result<(), CareError> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => at(folder, other)?,
    };
    for entry in entries {
        let entry = at(folder, entry)?;
        let path = entry.path();
        match at(&path, entry.file_type())?.is_dir() {
            true if depth < 2 => payload_files(&path, depth.saturating_add(1), found)?,
            _ => found(&path),
        }
    }
    Ok(())
}
