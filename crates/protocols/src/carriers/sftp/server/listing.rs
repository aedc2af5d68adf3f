//! Names as a listing shows them, and attributes of an entry.

use std::collections::VecDeque;

use base::UtcMicros;
use engine::{Entry, EntryKind};

use crate::carriers::sftp::wire::{Attrs, KIND_DIRECTORY, KIND_FILE, NameEntry};
use crate::files::{ls_line, mode_bits};

/// Octets of one NAME reply: the draft promises clients no packets above 34,000 (section 3).
const NAMES_OCTETS_MAX: usize = 32_000;

/// Attributes of an entry. Owners are not told: they mean nothing on the other side.
pub(super) fn attrs(entry: &Entry) -> Attrs {
    let seconds = u32::try_from(entry.modified.seconds().max(0)).unwrap_or(u32::MAX);
    Attrs {
        size: Some(entry.size),
        permissions: Some(permissions(entry)),
        times: Some((seconds, seconds)),
        ..Attrs::default()
    }
}

/// Attributes of a directory of which nothing else is known.
pub(super) fn directory_attrs() -> Attrs {
    Attrs { permissions: Some(KIND_DIRECTORY | 0o750), ..Attrs::default() }
}

/// Attributes of a file that is open.
pub(super) fn file_attrs(size: u64, modified: Option<UtcMicros>) -> Attrs {
    let seconds = modified.map(|m| u32::try_from(m.seconds().max(0)).unwrap_or(u32::MAX));
    Attrs { size: Some(size), permissions: Some(KIND_FILE | 0o640), times: seconds.map(|s| (s, s)), ..Attrs::default() }
}

fn permissions(entry: &Entry) -> u32 {
    let kind = if entry.kind == EntryKind::Directory { KIND_DIRECTORY } else { KIND_FILE };
    kind | mode_bits(entry)
}

/// The entries of a directory as READDIR gives them.
pub(super) fn names(entries: Vec<Entry>, now: UtcMicros) -> VecDeque<NameEntry> {
    let named = |entry: Entry| {
        let long_name = ls_line(&entry, now).into();
        let attrs = attrs(&entry);
        NameEntry { name: entry.name.into(), long_name, attrs }
    };
    entries.into_iter().map(named).collect()
}

/// The entries for one reply, taken from the front; none at the end.
pub(super) fn batch(listing: &mut VecDeque<NameEntry>) -> Vec<NameEntry> {
    let mut room = NAMES_OCTETS_MAX;
    let mut taken = Vec::new();
    while let Some(entry) = listing.front() {
        let octets = entry.name.len() + entry.long_name.len() + 64;
        match room.checked_sub(octets) {
            Some(left) => room = left,
            None if taken.is_empty() => room = 0,
            None => break,
        }
        taken.extend(listing.pop_front());
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::entry;

    #[test]
    fn names_come_in_replies_that_every_client_takes() {
        let entries = (0..1000).map(|n| entry(format!("{n:0200}").as_bytes(), EntryKind::File)).collect();
        let mut listing = names(entries, UtcMicros(0));
        let mut got = Vec::new();
        loop {
            let batch = batch(&mut listing);
            if batch.is_empty() {
                break;
            }
            let octets = crate::carriers::sftp::wire::Reply::Names(batch.clone()).encode(1).len();
            assert!(octets <= 34_000, "{octets}");
            got.extend(batch);
        }
        assert_eq!(got.len(), 1000);
        assert_eq!(got[999].name, format!("{:0200}", 999));
    }
}
