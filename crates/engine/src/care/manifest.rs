//! What a backup says of itself.

use std::fs;
use std::io::Write;
use std::path::Path;

use base::UtcMicros;
use serde::{Deserialize, Serialize};

use super::error::{CareError, at};
use super::files::{Listed, new_file};

/// Name of the database in a backup, as in a data folder.
pub const DATABASE_FILE: &str = "gatehouse.db";
/// Name of the settings in a backup, as in a data folder.
pub const SETTINGS_FILE: &str = "gatehouse.toml";
/// Every file with size and digest.
pub(super) const LIST_FILE: &str = "files.list";
/// Written last: a folder without it is no whole backup.
pub(super) const MANIFEST_FILE: &str = "manifest.json";
/// The form of backup that this program writes.
const FORMAT: u32 = 1;
/// Most octets of a manifest.
const MANIFEST_OCTETS_MAX: u64 = 16 << 20;

/// What a backup is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Form of the folder.
    pub format: u32,
    /// Program that made it.
    pub version: String,
    /// The moment before which everything acknowledged is in it.
    pub created_at: String,
    /// Eight digits of the gateway that it is of.
    pub gateway_id: String,
    /// Number of the database's schema.
    pub schema: i64,
    /// The master key that opens it. The key itself is not in it.
    pub master_key_id: String,
    /// Transfers recorded.
    pub transfers: i64,
    /// Files, beside list and manifest.
    pub files: u64,
    /// Their octets.
    pub octets: u64,
    /// SHA-256 of the list of files.
    pub list_sha256: String,
    /// Contents that the database refers to and that were not there.
    pub missing: Vec<Missing>,
    /// Contents that another store than this machine's disk holds, and that are not in the backup.
    pub elsewhere: u64,
}

/// A content that was not there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Missing {
    /// Name of its file.
    pub file: String,
    /// Transfers that need it.
    pub transfers: Vec<i64>,
}

impl Manifest {
    pub(super) const fn format() -> u32 {
        FORMAT
    }

    /// When the backup was begun.
    #[must_use]
    pub fn created(&self) -> UtcMicros {
        UtcMicros::parse(&self.created_at).unwrap_or_default()
    }

    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// [`CareError::Refused`] if the folder is no whole backup of a form that this program knows.
    pub fn read(folder: &Path) -> Result<Self, CareError> {
        let path = folder.join(MANIFEST_FILE);
        let shown = folder.display();
        match fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(CareError::refused(format!(
                    "{shown} has no {MANIFEST_FILE}: it is no backup, or one that broke off; make a new one"
                )));
            }
            Ok(about) if about.len() > MANIFEST_OCTETS_MAX => {
                return Err(CareError::refused(format!("{}: it is too long for a manifest", path.display())));
            }
            other => {
                at(&path, other)?;
            }
        }
        let text = at(&path, fs::read_to_string(&path))?;
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|e| CareError::refused(format!("{}: {e}: it is no manifest of a backup", path.display())))?;
        match manifest.format {
            FORMAT => Ok(manifest),
            other => Err(CareError::refused(format!(
                "{shown} is a backup of form {other}, this program knows {FORMAT}: use the program that made it ({})",
                manifest.version
            ))),
        }
    }

    /// Writes it; from then on the folder is a backup.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CareError> {
        let (aside, path) = (folder.join(".manifest.new"), folder.join(MANIFEST_FILE));
        let text = serde_json::to_string_pretty(self).map_err(|e| CareError::refused(e.to_string()))?;
        let mut file = at(&aside, new_file(&aside))?;
        at(&aside, file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))?;
        at(&path, fs::rename(&aside, &path))?;
        at(folder, fs::File::open(folder).and_then(|f| f.sync_all()))
    }

    pub(super) fn lists(&self, list: &Listed) -> bool {
        self.list_sha256 == base::hex(&list.sha256)
    }
}
