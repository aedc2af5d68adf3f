//! Which octets of a file have been read, so that "the whole file" is a fact (SFTP-9).

use crate::limits::RANGES_MAX;

/// Ranges of octets, sorted, none touching another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The first `octets` of the file.
    pub(crate) fn prefix(octets: u64) -> Self {
        let mut ranges = Self::default();
        ranges.add(0, octets);
        ranges
    }

    /// Adds `octets` from `from`. Beyond [`RANGES_MAX`] pieces the last is forgotten: the file then has to be read again.
    pub(crate) fn add(&mut self, from: u64, octets: u64) {
        let mut to = from.saturating_add(octets);
        if to == from {
            return;
        }
        let mut start = from;
        let first = self.0.partition_point(|(_, end)| *end < from);
        let last = self.0.partition_point(|(begin, _)| *begin <= to);
        for (begin, end) in self.0.drain(first..last.max(first)) {
            start = start.min(begin);
            to = to.max(end);
        }
        self.0.insert(first, (start, to));
        self.0.truncate(RANGES_MAX);
    }

    /// Octets from the start of the file without a gap.
    pub(crate) fn prefix_octets(&self) -> u64 {
        match self.0.first() {
            Some((0, end)) => *end,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_join() {
        let mut r = Ranges::prefix(10);
        r.add(20, 10);
        assert_eq!(r.prefix_octets(), 10);
        r.add(10, 10);
        assert_eq!(r, Ranges(vec![(0, 30)]));
        assert_eq!(r.prefix_octets(), 30);
    }

    #[test]
    fn pieces_are_bounded() {
        let mut r = Ranges::default();
        for i in 0..5000 {
            r.add(i * 2, 1);
        }
        assert_eq!(r.0.len(), RANGES_MAX);
    }

    proptest! {
        #[test]
        fn same_as_a_table_of_octets(adds in proptest::collection::vec((0u64..60, 0u64..12), 0..20)) {
            let mut r = Ranges::default();
            let mut table = [false; 80];
            for (from, octets) in adds {
                r.add(from, octets);
                for at in from..from + octets {
                    table[usize::try_from(at).unwrap()] = true;
                }
            }
            let prefix = table.iter().take_while(|t| **t).count();
            prop_assert_eq!(r.prefix_octets(), u64::try_from(prefix).unwrap());
            for (i, t) in table.iter().enumerate() {
                let at = u64::try_from(i).unwrap();
                prop_assert_eq!(r.0.iter().any(|(a, b)| *a <= at && at < *b), *t);
            }
        }
    }
}
