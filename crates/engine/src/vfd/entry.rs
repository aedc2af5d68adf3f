//! What a listing or a `stat` tells.

use base::{TransferId, UtcMicros};

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A file.
    File,
}

/// An entry of a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its name, as octets; empty for the root.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Octets of a file, 0 for a folder.
    pub size: u64,
    /// When it was last changed.
    pub modified: UtcMicros,
    /// Whether the session may read it, or list it.
    pub readable: bool,
    /// Whether the session may write it, or make files in it.
    pub writable: bool,
    /// The record behind it.
    pub transfer: Option<TransferId>,
}

/// Room for uploads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// Octets of a block.
    pub block: u64,
    /// Blocks of the disk.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Octets of the longest file name.
    pub names: u64,
}
