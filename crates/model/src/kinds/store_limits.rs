//! How much of a partner may be stored, and for how long: the same fields for sites and gates.

use crate::field::Field;
use crate::read::Reader;

pub(crate) const MAX_STORED_FILES: Field =
    Field::int("max_stored_files", (0, 1_000_000_000), "files", "files received that may be stored; 0 for any")
        .default("0")
        .detail("what is stored counts until it is purged: see retention_days");
pub(crate) const MAX_STORED: Field =
    Field::int("max_stored_size", (0, 1_000_000_000), "MB", "size of all files received that may be stored; 0 for any")
        .default("0")
        .detail("an upload that would exceed it is refused");
pub(crate) const RETENTION: Field =
    Field::int("retention_days", (0, 36_500), "days", "days that ended transfers and their files are kept; 0 for ever")
        .detail("where it is not given, the settings of the gateway decide");

/// What they mean.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StoreLimits {
    /// Most files received that are stored.
    pub files: Option<u64>,
    /// Most octets of them.
    pub octets: Option<u64>,
    /// Days that ended transfers are kept; 0 for ever.
    pub retention_days: Option<u16>,
}

impl StoreLimits {
    /// Whether uploads have to be counted.
    #[must_use]
    pub const fn limits_uploads(&self) -> bool {
        self.files.is_some() || self.octets.is_some()
    }
}

pub(crate) fn store_limits(r: &mut Reader<'_>) -> StoreLimits {
    let files: u64 = r.int("max_stored_files");
    let mb: u64 = r.int("max_stored_size");
    StoreLimits {
        files: (files > 0).then_some(files),
        octets: (mb > 0).then(|| mb.saturating_mul(1_000_000)),
        retention_days: r.int_given("retention_days"),
    }
}
