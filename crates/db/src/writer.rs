//! The one task that writes.

use crate::DbError;

/// Whether an operation has its own commit or waits for the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// Commit at once, with what else is there.
    Now,
    /// Commit with the next `Now`, at the latest after 200 ms.
    Lazy,
}

/// An operation in the queue. Await it for its result, or drop it: it is done all the same.
#[derive(Debug)]
pub struct Pending<T>(pub(crate) tokio::sync::oneshot::Receiver<Result<T, DbError>>);

impl<T> Pending<T> {
    /// Waits for the commit.
    ///
    /// # Errors
    /// Those of the operation, or [`DbError::Closed`].
    pub async fn done(self) -> Result<T, DbError> {
        self.0.await.unwrap_or(Err(DbError::Closed))
    }
}
