//! Entries of a folder in the form of `ls -l`.

use base::{Shown, UtcMicros};
use engine::{Entry, EntryKind};

/// A line in the form of `ls -l`, which some clients read; control characters of the name are escaped.
#[must_use]
pub fn ls_line(entry: &Entry, now: UtcMicros) -> String {
    let mode = mode_text(entry);
    let date = date_text(entry.modified, now);
    format!("{mode}    1 -        -        {:>12} {date} {}", entry.size, Shown(&entry.name))
}

/// Rights as `ls` shows them. OpenSSH's client gives its copy these rights, so the group may read what the owner may.
#[must_use]
pub fn mode_bits(entry: &Entry) -> u32 {
    let bit = |there: bool, bits: u32| if there { bits } else { 0 };
    match entry.kind {
        EntryKind::Directory => bit(entry.readable, 0o550) | bit(entry.writable, 0o200),
        EntryKind::File => bit(entry.readable, 0o440) | bit(entry.writable, 0o200),
    }
}

fn mode_text(entry: &Entry) -> String {
    let kind = if entry.kind == EntryKind::Directory { 'd' } else { '-' };
    let bits = (0..9u32).rev().zip("rwxrwxrwx".chars());
    let rights = mode_bits(entry);
    std::iter::once(kind).chain(bits.map(|(bit, c)| if rights >> bit & 1 == 1 { c } else { '-' })).collect()
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

/// An entry as tests of lists want it.
#[cfg(test)]
pub(crate) fn entry(name: &[u8], kind: EntryKind) -> Entry {
    let modified = UtcMicros::parse("2026-11-03T14:05:06Z").unwrap();
    Entry { name: name.to_vec(), kind, size: 1234, modified, readable: true, writable: false, transfer: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_one_line_in_the_form_of_ls() {
        let now = UtcMicros::parse("2026-11-23T00:00:00Z").unwrap();
        assert_eq!(
            ls_line(&entry(b"a\nb\x1b\xff", EntryKind::File), now),
            "-r--r-----    1 -        -                1234 Nov  3 14:05 a\\nb\\u{1b}\\xff"
        );
        let later = UtcMicros::parse("2027-11-23T00:00:00Z").unwrap();
        assert_eq!(
            ls_line(&entry(b"d", EntryKind::Directory), later),
            "dr-xr-x---    1 -        -                1234 Nov  3  2026 d"
        );
    }
}
