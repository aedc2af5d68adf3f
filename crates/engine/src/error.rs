//! What can go wrong with a transfer, in the words that queue, replies and people share.

/// What to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The same request may succeed later: try again.
    Retry,
    /// Someone has to look at it first: the request waits for a person.
    Park,
    /// The request itself is wrong or not allowed: the asker has to change it.
    Refuse,
}

/// The cause, coarse enough that every protocol has a reply for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// No such file or directory, or none that the asker may see.
    NotFound,
    /// A right is missing.
    Denied,
    /// The name is taken.
    Exists,
    /// A quota of the partner is used up.
    Quota,
    /// The disk is full.
    NoSpace,
    /// The disk or the database failed.
    Disk,
    /// Someone else has it open, or it is on its way.
    Busy,
    /// The request makes no sense as it is.
    Invalid,
    /// Not done here, by design.
    Unsupported,
    /// A directory where a file is wanted.
    IsDirectory,
    /// A file where a directory is wanted.
    NotDirectory,
    /// The gateway is stopping.
    Stopping,
    /// No connection to the partner.
    Connection,
    /// The partner refused or failed.
    Partner,
    /// Nothing tells whether the partner has the file.
    Unclear,
    /// The content is not what it was.
    Integrity,
}

impl Cause {
    /// Stable name for logs, records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Denied => "denied",
            Self::Exists => "exists",
            Self::Quota => "quota",
            Self::NoSpace => "no_space",
            Self::Disk => "disk",
            Self::Busy => "busy",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::IsDirectory => "is_directory",
            Self::NotDirectory => "not_directory",
            Self::Stopping => "stopping",
            Self::Connection => "connection",
            Self::Partner => "partner",
            Self::Unclear => "unclear",
            Self::Integrity => "integrity",
        }
    }
}

/// Why a transfer, or a step of it, did not succeed. The text is for our log and our people; a protocol tells its peer
/// what [`Cause`] allows.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct TransferError {
    /// What to do about it.
    pub kind: ErrorKind,
    /// The cause.
    pub cause: Cause,
    /// What was expected, what came, what to do.
    pub text: String,
}

impl TransferError {
    /// The asker has to change the request.
    pub fn refuse(cause: Cause, text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refuse, cause, text: text.into() }
    }

    /// The same request may succeed later.
    pub fn retry(cause: Cause, text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Retry, cause, text: text.into() }
    }

    /// Someone has to look at it first.
    pub fn park(cause: Cause, text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Park, cause, text: text.into() }
    }
}
