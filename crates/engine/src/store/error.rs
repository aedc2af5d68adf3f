//! What goes wrong with stored files.

use std::io;

use super::FileUuid;

/// Why the store could not do its work. Cheap to clone, since an error of a worker is told more than once.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or the quota is full.
    #[error("no space left while {doing}: free some space, then resume the transfer")]
    NoSpace {
        /// The step that failed.
        doing: &'static str,
    },
    /// The file system does not take writes.
    #[error("read-only file system while {doing}: mount it for writing")]
    ReadOnly {
        /// The step that failed.
        doing: &'static str,
    },
    /// There is no such file.
    #[error("payload {uuid} is not there: restore it from a backup or send the file again")]
    Absent {
        /// The file.
        uuid: FileUuid,
    },
    /// Another holder writes this staged file.
    #[error("payload {uuid} is in use by another session: wait until it has ended")]
    Busy {
        /// The file.
        uuid: FileUuid,
    },
    /// A part of a stored file does not open: it was altered, cut, or belongs elsewhere.
    #[error("payload {uuid} is damaged at {part}: do not use it, send the file again")]
    Corrupt {
        /// The file.
        uuid: FileUuid,
        /// The part that does not open.
        part: Part,
    },
    /// A write begins so far behind the end that the gap is too large.
    #[error("write would leave a gap of {gap} octets, {left} are left: send the file in order")]
    Hole {
        /// Octets of the gap.
        gap: u64,
        /// Octets of gaps that this file may still have.
        left: u64,
    },
    /// The file would be too large for the format.
    #[error("file would have {size} octets, the store takes {max}: split it")]
    Size {
        /// Octets it would have.
        size: u64,
        /// Octets at most.
        max: u64,
    },
    /// The master key does not wrap or unwrap.
    #[error("data key can't be {doing}: {why}")]
    Key {
        /// `wrapped` or `unwrapped`.
        doing: &'static str,
        /// What the key said.
        why: String,
    },
    /// The text is no name of a payload.
    #[error("{given} is no payload name: expected 32 hexadecimal digits")]
    Name {
        /// The text.
        given: String,
    },
    /// No such backend.
    #[error("no store is called {given}: use \"local\" or \"s3\"")]
    Backend {
        /// The name.
        given: String,
    },
    /// A folder of the store is open to others (BP-5).
    #[error("folder {path} has mode {mode:o} and owner {owner}: make it ours with mode 700")]
    Folder {
        /// The folder.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// Uid of its owner.
        owner: u32,
    },
    /// Any other error of the system.
    #[error("i/o error while {doing}: {text}")]
    Io {
        /// The step that failed.
        doing: &'static str,
        /// The system's kind.
        kind: io::ErrorKind,
        /// The system's text.
        text: String,
    },
    /// The object store did not do what it was asked for.
    #[error("object store, {doing}: {text}")]
    Remote {
        /// The step that failed.
        doing: &'static str,
        /// What it, or the way to it, said.
        text: String,
    },
    /// A background step ended without a result.
    #[error("background work of the store ended early: {text}")]
    Worker {
        /// What the runtime said.
        text: String,
    },
}

/// A part of a payload file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The first 4,096 octets.
    Header,
    /// A chunk, counted from 0.
    Chunk(u64),
    /// Size, digest and list of rewritten chunks.
    Trailer,
    /// The length of the file, or size or digest differ from what the database tells.
    Whole,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header => f.write_str("its header"),
            Self::Chunk(i) => write!(f, "chunk {i}"),
            Self::Trailer => f.write_str("its trailer"),
            Self::Whole => f.write_str("its length or digest"),
        }
    }
}

/// What a caller does about an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// Full: park or refuse, and tell the operator.
    NoSpace,
    /// Not writable: as full.
    ReadOnly,
    /// Gone.
    Absent,
    /// Held by another session.
    Busy,
    /// Damaged.
    Corrupt,
    /// The caller or the peer asked for something that is not possible.
    Invalid,
    /// Keys are missing or wrong.
    Key,
    /// The disk failed; trying again may help.
    Io,
}

impl StoreError {
    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSpace { .. } => ErrorKind::NoSpace,
            Self::ReadOnly { .. } => ErrorKind::ReadOnly,
            Self::Absent { .. } => ErrorKind::Absent,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Hole { .. } | Self::Size { .. } | Self::Name { .. } | Self::Backend { .. } => ErrorKind::Invalid,
            Self::Key { .. } => ErrorKind::Key,
            Self::Folder { .. } | Self::Io { .. } | Self::Remote { .. } | Self::Worker { .. } => ErrorKind::Io,
        }
    }

    /// An error of the system while `doing` something.
    pub(super) fn io(doing: &'static str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace { doing }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { doing },
            kind => Self::Io { doing, kind, text: error.to_string() },
        }
    }

    pub(super) const fn corrupt(uuid: FileUuid, part: Part) -> Self {
        Self::Corrupt { uuid, part }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_tell_full_from_broken() {
        for (kind, expected) in [
            (io::ErrorKind::StorageFull, ErrorKind::NoSpace),
            (io::ErrorKind::QuotaExceeded, ErrorKind::NoSpace),
            (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::ReadOnly),
            (io::ErrorKind::PermissionDenied, ErrorKind::Io),
        ] {
            assert_eq!(StoreError::io("writing", &kind.into()).kind(), expected, "{kind:?}");
        }
    }
}
