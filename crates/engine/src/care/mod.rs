//! Care of what is stored: backup, check of a backup, restore; how long it is kept, and how much of it there may be.
//!
//! A backup is a folder. `gatehouse.db` is a copy of the database of one moment, `payload/` holds the sealed files that
//! this copy refers to, `files.list` names every file with size and SHA-256, and `manifest.json`, written last, says what
//! it all is. The database comes first: what it refers to is only ever removed by housekeeping, which waits until the
//! backup is done, so that each content it needs is still there when its turn comes.

mod backup;
mod error;
mod files;
mod frozen;
mod manifest;
mod quota;
mod restore;
mod retention;
mod rotate;
mod stored;
mod verify;

pub use backup::{BackupDone, BackupOrder};
pub use error::CareError;
pub(crate) use frozen::Frost;
pub use manifest::{DATABASE_FILE, Manifest, Missing, SETTINGS_FILE};
pub(crate) use quota::Quota;
pub use restore::{LOST_FOUND, RESTORING_FILE, Restored, restore};
pub use retention::{PurgeOrder, Purged, PurgedSum, RetentionRules};
pub(crate) use rotate::erase;
pub use rotate::{MASTER_FILE, Rotated, check_master, load_master};
pub use stored::{FAULTS_TOLD_MAX, StoreVerified};
pub use verify::{Verified, verify};
