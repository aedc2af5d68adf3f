//! What can go wrong, in words for the operator.

use std::io;
use std::path::{Path, PathBuf};

use db::DbError;

/// Why a piece of care was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CareError {
    /// What was asked for can't be done like this; says what to do.
    #[error("{0}")]
    Refused(String),
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The master key.
    #[error(transparent)]
    Key(#[from] keys::SealError),
    /// The payload store.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// A task of ours broke off.
    #[error("the work broke off: see the gateway's log")]
    Broken,
}

impl CareError {
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }
}

/// Names the file in an error of the system.
pub(crate) fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, CareError> {
    result.map_err(|source| CareError::Io { path: path.to_owned(), source })
}
