//! Switches, limits and parts of a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::Clock;

use super::disk::{Disk, RealDisk};
use super::format::LISTED_MAX;
use super::keywrap::KeyWrap;
use super::s3::S3Options;

/// Switches of a store (DESIGN 1.11). Both are on by default; `check` reports one that is off (STO-15).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreOptions {
    /// Seals the content of files. Inline payloads are sealed always.
    pub seal: bool,
    /// Computes SHA-256 of the content.
    pub hash: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { seal: true, hash: true }
    }
}

/// Limits of a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreLimits {
    /// Octets gathered before they go to the disk in one step; a multiple of 64 KiB. An upload holds two of these and
    /// a buffer of 256 KiB; half of it costs a tenth more CPU (0.35 for 0.28 s/GiB without sealing).
    pub window_octets: usize,
    /// Octets of a file from which on it is written past the system's cache: what a file is likely to be read from at once, on
    /// its way to the next partner, is in the cache before that.
    pub cached_octets: u64,
    /// Octets after which a checkpoint is worth its synchronisation.
    pub checkpoint_octets: u64,
    /// Time after which one is made however little has come.
    pub checkpoint_wait: Duration,
    /// Least time between two checkpoints, so that a fast upload leaves the disk to others.
    pub checkpoint_pause: Duration,
    /// Octets of gaps that one file may have in all; they are filled with zeros.
    pub hole_octets_max: u64,
    /// Chunks of a file that may be sealed again before its commit copies it under a fresh key; at most 4,096.
    pub rewritten_chunks_max: usize,
    /// Octets of the disk that uploads leave free: room for the database.
    pub free_octets_min: u64,
    /// Octets read and opened in one step; a multiple of 64 KiB. A download holds two to four of these.
    pub read_octets: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            window_octets: 512 << 10,
            cached_octets: 16 << 20,
            checkpoint_octets: 8 << 20,
            checkpoint_wait: Duration::from_secs(1),
            checkpoint_pause: Duration::from_millis(250),
            hole_octets_max: 64 << 20,
            rewritten_chunks_max: LISTED_MAX,
            free_octets_min: 32 << 20,
            read_octets: 512 << 10,
        }
    }
}

/// What a store is made of.
#[derive(Clone)]
pub struct StoreParts {
    /// Data folder; the store makes its own folders in it.
    pub folder: PathBuf,
    /// Wraps data keys.
    pub keys: Arc<dyn KeyWrap>,
    /// Time of checkpoints.
    pub clock: Arc<dyn Clock>,
    /// The disk; tests bring one that fails.
    pub disk: Arc<dyn Disk>,
    /// Switches.
    pub options: StoreOptions,
    /// Limits.
    pub limits: StoreLimits,
    /// Where the object store is, for the backend that has one.
    pub s3: Option<S3Options>,
}

impl StoreParts {
    /// Parts with the real disk and the defaults.
    #[must_use]
    pub fn new(folder: PathBuf, keys: Arc<dyn KeyWrap>, clock: Arc<dyn Clock>) -> Self {
        let disk = Arc::new(RealDisk);
        Self { folder, keys, clock, disk, options: StoreOptions::default(), limits: StoreLimits::default(), s3: None }
    }
}
