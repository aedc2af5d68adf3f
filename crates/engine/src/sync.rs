//! Small things for tasks that share: locks that do not poison, and locks by number.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base::TransferId;

/// Locks for a moment; never across an `.await`. A holder that panicked leaves valid values behind: every use here is a
/// single insertion, removal or assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serialises what must not happen to one record at the same time: routing, renaming, removing, reopening. These wait
/// for the database while they hold it, so the lock is the runtime's; records share locks by their number.
#[derive(Debug)]
pub(crate) struct RecordLocks([tokio::sync::Mutex<()>; 64]);

impl Default for RecordLocks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| tokio::sync::Mutex::new(())))
    }
}

impl RecordLocks {
    /// Waits until nobody else works on the record.
    pub(crate) async fn of(&self, id: TransferId) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let at = usize::try_from(id.0.rem_euclid(64)).unwrap_or(0);
        match self.0.get(at) {
            Some(mutex) => Some(mutex.lock().await),
            None => None,
        }
    }
}
