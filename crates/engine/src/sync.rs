//! Small things for tasks that share: locks that do not poison, and locks by number and by name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// A partner's site, and the path of a file in its folders.
type Key = (String, String);

/// Lets one session after the other open a file: who comes second finds the upload of the first, and takes it over.
#[derive(Debug, Default)]
pub(crate) struct NameLocks(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>);

/// Holds a name, or waits for it.
#[derive(Debug)]
pub(crate) struct NameGuard<'a> {
    locks: &'a NameLocks,
    key: Key,
    held: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl NameLocks {
    /// Waits until nobody else opens the file.
    pub(crate) async fn of(&self, site: &str, path: &str) -> NameGuard<'_> {
        let key = (site.to_owned(), path.to_owned());
        let mutex = lock(&self.0).entry(key.clone()).or_default().clone();
        // It is there before the wait: a wait that is dropped leaves no name behind either.
        let mut guard = NameGuard { locks: self, key, held: None };
        guard.held = Some(mutex.lock_owned().await);
        guard
    }
}

impl Drop for NameGuard<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.locks.0);
        self.held = None;
        // Whoever waits has a second one.
        if all.get(&self.key).is_some_and(|mutex| Arc::strong_count(mutex) == 1) {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_held_one_at_a_time_and_forgotten() {
        let locks = NameLocks::default();
        let first = locks.of("alpha", "/in/f").await;
        let other = locks.of("alpha", "/in/g").await;
        let mut second = Box::pin(locks.of("alpha", "/in/f"));
        assert!(futures_util::poll!(&mut second).is_pending());
        let mut third = Box::pin(locks.of("alpha", "/in/f"));
        assert!(futures_util::poll!(&mut third).is_pending());
        drop((first, other));
        let second = second.await;
        // One that gave up waiting.
        drop(third);
        assert_eq!(lock(&locks.0).len(), 1);
        drop(second);
        assert!(lock(&locks.0).is_empty());
    }
}
