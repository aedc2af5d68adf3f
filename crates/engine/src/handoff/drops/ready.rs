//! Which files of a folder are whole. Pure: what was seen and the time are given.

use std::collections::HashMap;
use std::time::Duration;

use model::Readiness;

/// How long a file with a second name is waited for: writers that link and unlink have it for a moment.
const LINKED_MAX: Duration = Duration::from_secs(5);

/// A file as one look finds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sight {
    pub(super) inode: u64,
    pub(super) size: u64,
    /// Time of change in nanoseconds.
    pub(super) modified: i128,
    /// Other names that it has.
    pub(super) linked: bool,
}

/// What to do with a file now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Take it.
    Take,
    /// Look again after this time.
    Later(Duration),
    /// Wait for its mark.
    Unmarked,
    /// It keeps a second name, by which it could be changed.
    Linked,
}

/// What earlier looks saw, by path below the folder.
#[derive(Debug, Default)]
pub(super) struct Seen {
    files: HashMap<Vec<u8>, (Sight, Duration)>,
}

impl Seen {
    /// Judges a file. `mark`: when its mark was made, if it is there.
    pub(super) fn judge(
        &mut self,
        path: &[u8],
        sight: Sight,
        (ready, mark): (&Readiness, Option<i128>),
        now: Duration,
    ) -> Verdict {
        let since = match self.files.get(path) {
            Some((before, since)) if *before == sight => *since,
            _ => {
                self.files.insert(path.to_vec(), (sight, now));
                now
            }
        };
        let unchanged = now.saturating_sub(since);
        if sight.linked {
            return wait(LINKED_MAX, unchanged).map_or(Verdict::Linked, Verdict::Later);
        }
        match ready {
            Readiness::Rename => Verdict::Take,
            Readiness::Marker(_) => match mark {
                // A mark older than the file is that of a file of the same name before it.
                Some(made) if made >= sight.modified => Verdict::Take,
                _ => Verdict::Unmarked,
            },
            Readiness::Stable(long) => wait(*long, unchanged).map_or(Verdict::Take, Verdict::Later),
        }
    }

    /// Forgets files that this look did not find, so that it remembers no more than there are.
    pub(super) fn keep(&mut self, found: impl Fn(&[u8]) -> bool) {
        self.files.retain(|path, _| found(path));
    }
}

fn wait(long: Duration, gone: Duration) -> Option<Duration> {
    long.checked_sub(gone).filter(|rest| !rest.is_zero())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: Sight = Sight { inode: 1, size: 10, modified: 5_000, linked: false };

    fn stable(seconds: u64) -> Readiness {
        Readiness::Stable(Duration::from_secs(seconds))
    }

    #[test]
    fn a_file_that_grows_is_waited_for() {
        let (mut seen, five) = (Seen::default(), stable(5));
        let mut at = |size, now| seen.judge(b"a", Sight { size, ..FILE }, (&five, None), Duration::from_secs(now));
        assert_eq!(at(10, 0), Verdict::Later(Duration::from_secs(5)));
        assert_eq!(at(10, 3), Verdict::Later(Duration::from_secs(2)));
        assert_eq!(at(11, 4), Verdict::Later(Duration::from_secs(5)), "it grew");
        assert_eq!(at(11, 9), Verdict::Take);
    }

    #[test]
    fn another_file_of_the_name_begins_anew() {
        let (mut seen, five) = (Seen::default(), stable(5));
        seen.judge(b"a", FILE, (&five, None), Duration::ZERO);
        let other = Sight { inode: 2, ..FILE };
        let later = seen.judge(b"a", other, (&five, None), Duration::from_secs(9));
        assert_eq!(later, Verdict::Later(Duration::from_secs(5)));
        seen.keep(|_| false);
        assert!(seen.files.is_empty());
    }

    #[test]
    fn a_mark_must_not_be_older_than_its_file() {
        let object = model::Readiness::Marker(model::Marker::parse("&(file_name).ok").unwrap());
        let mut seen = Seen::default();
        for (mark, verdict) in [
            (None, Verdict::Unmarked),
            (Some(4_999), Verdict::Unmarked),
            (Some(5_000), Verdict::Take),
            (Some(9_000), Verdict::Take),
        ] {
            assert_eq!(seen.judge(b"a", FILE, (&object, mark), Duration::ZERO), verdict, "{mark:?}");
        }
    }

    #[test]
    fn a_second_name_is_waited_for_and_then_refused() {
        let mut seen = Seen::default();
        let linked = Sight { linked: true, ..FILE };
        let mut at = |now| seen.judge(b"a", linked, (&Readiness::Rename, None), Duration::from_secs(now));
        assert_eq!([at(0), at(5)], [Verdict::Later(LINKED_MAX), Verdict::Linked]);
    }

    proptest! {
        #[test]
        fn what_is_taken_was_unchanged_for_the_whole_time(
            looks in proptest::collection::vec((0u64..4, 1u64..4), 1..40), long in 1u64..10
        ) {
            let (mut seen, mut now) = (Seen::default(), 0);
            let (mut last, mut since) = (None, 0);
            for (size, step) in looks {
                now += step;
                if last != Some(size) {
                    (last, since) = (Some(size), now);
                }
                let sight = Sight { size, ..FILE };
                let verdict = seen.judge(b"a", sight, (&stable(long), None), Duration::from_secs(now));
                prop_assert_eq!(verdict == Verdict::Take, now - since >= long);
            }
        }
    }
}
