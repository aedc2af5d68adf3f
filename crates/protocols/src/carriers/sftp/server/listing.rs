//! Names as a listing shows them, and attributes of an entry.

use std::collections::VecDeque;

use base::{Shown, UtcMicros};
use engine::{Entry, EntryKind};

use crate::carriers::sftp::wire::{Attrs, KIND_DIRECTORY, KIND_FILE, NameEntry};

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

/// OpenSSH's client gives its copy these rights, so the group may read what the owner may.
fn permissions(entry: &Entry) -> u32 {
    let bit = |there: bool, bits: u32| if there { bits } else { 0 };
    match entry.kind {
        EntryKind::Directory => KIND_DIRECTORY | bit(entry.readable, 0o550) | bit(entry.writable, 0o200),
        _ => KIND_FILE | bit(entry.readable, 0o440) | bit(entry.writable, 0o200),
    }
}

/// The entries of a directory as READDIR gives them.
pub(super) fn names(entries: Vec<Entry>, now: UtcMicros) -> VecDeque<NameEntry> {
    let named = |entry: Entry| {
        let long_name = long_name(&entry, now).into();
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

/// A line in the form of `ls -l`, which some clients read; control characters of the name are escaped.
fn long_name(entry: &Entry, now: UtcMicros) -> String {
    let mode = mode_text(permissions(entry));
    let date = date_text(entry.modified, now);
    format!("{mode}    1 -        -        {:>12} {date} {}", entry.size, Shown(&entry.name))
}

fn mode_text(permissions: u32) -> String {
    let kind = if permissions & KIND_DIRECTORY == KIND_DIRECTORY { 'd' } else { '-' };
    let bits = (0..9u32).rev().zip("rwxrwxrwx".chars());
    std::iter::once(kind).chain(bits.map(|(bit, c)| if permissions >> bit & 1 == 1 { c } else { '-' })).collect()
}

/// As `ls`: with the time of day for the last half year, else with the year.
fn date_text(at: UtcMicros, now: UtcMicros) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const HALF_YEAR_S: u64 = 182 * 86_400;
    let text = at.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or("");
    let month = part(5, 7).parse::<usize>().ok().and_then(|m| MONTHS.get(m.wrapping_sub(1))).unwrap_or(&"???");
    let day = part(8, 10).trim_start_matches('0');
    if at <= now && now.since(at).as_secs() < HALF_YEAR_S {
        format!("{month} {day:>2} {}", part(11, 16))
    } else {
        format!("{month} {day:>2}  {}", part(0, 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8], kind: EntryKind) -> Entry {
        let modified = UtcMicros::parse("2026-11-03T14:05:06Z").unwrap();
        Entry { name: name.to_vec(), kind, size: 1234, modified, readable: true, writable: false, transfer: None }
    }

    #[test]
    fn a_long_name_is_one_line_in_the_form_of_ls() {
        let now = UtcMicros::parse("2026-11-23T00:00:00Z").unwrap();
        assert_eq!(
            long_name(&entry(b"a\nb\x1b\xff", EntryKind::File), now),
            "-r--r-----    1 -        -                1234 Nov  3 14:05 a\\nb\\u{1b}\\xff"
        );
        let later = UtcMicros::parse("2027-11-23T00:00:00Z").unwrap();
        assert_eq!(
            long_name(&entry(b"d", EntryKind::Directory), later),
            "dr-xr-x---    1 -        -                1234 Nov  3  2026 d"
        );
    }

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
