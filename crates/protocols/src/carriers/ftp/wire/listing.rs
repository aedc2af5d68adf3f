//! Entries of folders as servers list them (RFC 3659 section 7; the form of `ls -l`; that of DOS).

use super::time::parse_time;
use base::UtcMicros;

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListedKind {
    /// A file, or nothing else that is known.
    Regular,
    /// A folder.
    Directory,
    /// The folder that is listed itself, or the one above it.
    SelfOrParent,
}

/// One entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its name, as octets.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: ListedKind,
    /// Its octets, if the server tells.
    pub size: Option<u64>,
    /// Its last change, if the server tells it in UTC.
    pub modified: Option<UtcMicros>,
}

/// Reads a line of MLSD or MLST: facts, a space, the name (RFC 3659 section 7.2).
#[must_use]
pub fn decode_facts(line: &[u8]) -> Option<Listed> {
    let space = line.iter().position(|o| *o == b' ')?;
    let (facts, name) = (line.get(..space)?, line.get(space + 1..).filter(|name| !name.is_empty())?);
    let facts = std::str::from_utf8(facts).ok()?;
    let mut listed = Listed { name: name.to_vec(), kind: ListedKind::Regular, size: None, modified: None };
    for fact in facts.split(';').filter(|fact| !fact.is_empty()) {
        let (fact, value) = fact.split_once('=')?;
        match fact.to_ascii_lowercase().as_str() {
            "type" => {
                listed.kind = match value.to_ascii_lowercase().as_str() {
                    "dir" => ListedKind::Directory,
                    "cdir" | "pdir" => ListedKind::SelfOrParent,
                    _ => ListedKind::Regular,
                }
            }
            "size" => listed.size = number(value.as_bytes()),
            "modify" => listed.modified = parse_time(value),
            _ => {}
        }
    }
    Some(listed)
}

/// Reads a line of LIST, in the form of `ls -l` or of DOS; `None` for what is no entry, such as `total 8`.
#[must_use]
pub fn decode_line(line: &[u8]) -> Option<Listed> {
    let listed = unix(line).or_else(|| dos(line))?;
    match listed.name.as_slice() {
        b"." | b".." => Some(Listed { kind: ListedKind::SelfOrParent, ..listed }),
        b"" => None,
        _ => Some(listed),
    }
}

/// `-rw-r--r--   1 owner group   1234 Nov  3 14:05 name`. Some leave the group out, so the month is looked for: the size
/// stands before it, two fields and a space behind it the name.
fn unix(line: &[u8]) -> Option<Listed> {
    const KINDS: &[u8] = b"-dlbcps";
    const FIELDS_BEFORE_MONTH_MAX: usize = 7;
    let first = *line.first().filter(|first| KINDS.contains(first))?;
    let fields = fields(line);
    // An owner may be called as a month: a size stands before the right one.
    let sized = |at: &usize| fields.get(at - 1).is_some_and(|(_, size)| number(size).is_some());
    let is_the_month = |at: &usize| fields.get(*at).is_some_and(|(_, field)| is_month(field)) && sized(at);
    let month = (3..=FIELDS_BEFORE_MONTH_MAX).find(is_the_month)?;
    let (_, size) = fields.get(month - 1)?;
    let (at, time) = fields.get(month + 2)?;
    let name = line.get(at + time.len() + 1..)?;
    // A link is shown with what it leads to.
    let name = match (first, name.windows(4).position(|part| part == b" -> ")) {
        (b'l', Some(arrow)) => name.get(..arrow)?,
        _ => name,
    };
    let kind = if first == b'd' { ListedKind::Directory } else { ListedKind::Regular };
    let size = if first == b'-' { number(size) } else { None };
    Some(Listed { name: name.to_vec(), kind, size, modified: None })
}

/// `11-27-26  07:50AM       1234 name`, with `<DIR>` in the place of a size.
fn dos(line: &[u8]) -> Option<Listed> {
    let fields = fields(line);
    let [(_, date), (_, time), (at, size), ..] = fields.get(..4)? else { return None };
    let digits_and = |field: &[u8], mark: u8| field.contains(&mark) && field.first().is_some_and(u8::is_ascii_digit);
    if !digits_and(date, b'-') || !digits_and(time, b':') {
        return None;
    }
    let behind = line.get(at + size.len()..)?;
    let name = behind.get(behind.iter().position(|o| *o != b' ')?..)?;
    let kind = if *size == b"<DIR>" { ListedKind::Directory } else { ListedKind::Regular };
    let size = match kind {
        ListedKind::Regular => Some(number(size)?),
        _ => None,
    };
    Some(Listed { name: name.to_vec(), kind, size, modified: None })
}

/// Fields parted by spaces, with where they begin.
fn fields(line: &[u8]) -> Vec<(usize, &[u8])> {
    let mut fields = Vec::new();
    let mut from = 0;
    for part in line.split(|o| *o == b' ') {
        if !part.is_empty() {
            fields.push((from, part));
        }
        from += part.len() + 1;
    }
    fields
}

fn is_month(field: &[u8]) -> bool {
    const MONTHS: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    MONTHS.contains(&field.to_ascii_lowercase().as_slice())
}

/// Digits only.
fn number(field: &[u8]) -> Option<u64> {
    let digits = !field.is_empty() && field.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(field).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use base::octets_text;
    use proptest::prelude::*;

    use super::*;

    fn shown(listed: Option<Listed>) -> String {
        let Some(Listed { name, kind, size, modified }) = listed else { return "none".to_owned() };
        let size = size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        let modified = modified.map_or_else(|| "-".to_owned(), super::super::time::time_text);
        format!("{kind:?} {size} {modified} {}", octets_text(&name))
    }

    #[test]
    fn entries_are_read_as_the_vectors_say() {
        let file = include_str!("../vectors/listing.txt");
        let rows: Vec<&str> = file.lines().filter(|row| row.contains(" => ") && !row.starts_with('#')).collect();
        assert!(rows.len() > 20);
        for row in rows {
            let (given, rest) = row.split_once(" => ").unwrap();
            let (expected, source) = rest.split_once(" ;; ").unwrap();
            let (form, line) = given.split_once(": ").unwrap();
            let got = match form {
                "facts" => decode_facts(line.as_bytes()),
                _ => decode_line(line.as_bytes()),
            };
            assert_eq!(shown(got), expected, "{source}: {given}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_harm(line in "[-dl0-9a-zA-Z:;=<> .]{0,80}") {
            for listed in [decode_facts(line.as_bytes()), decode_line(line.as_bytes())].into_iter().flatten() {
                prop_assert!(!listed.name.is_empty());
            }
        }
    }
}
