//! Files that are ours: renamed into a private folder below the drop folder, under a name that says which transfer they
//! become. Whoever renames a file has it, and nobody else finds it any more.

use std::fs::File;
use std::os::fd::OwnedFd;

use base::TransferId;
use rustix::fs::{Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::handoff::folder::Folder;

/// The private folder.
pub(super) const AREA: &[u8] = b".gatehouse";
/// Longest name of a file, in octets: with number and token in front it still fits the disk.
pub(super) const NAME_OCTETS_MAX: usize = 200;
/// Deepest folder below that is looked into.
pub(super) const DEPTH_MAX: usize = 8;

/// The name of a claim: `f17.1a2b3c4d.order.xml`, and its mark with `m`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Claim {
    /// The transfer that it becomes.
    pub(super) id: TransferId,
    /// Tells it from a claim of the same number that another life of the database has given.
    pub(super) token: String,
    /// Its own name.
    pub(super) name: Vec<u8>,
    /// Its folder below the drop folder; empty for the drop folder itself.
    pub(super) below: Vec<u8>,
}

impl Claim {
    pub(super) fn file(&self) -> Vec<u8> {
        self.named(b'f', &self.name)
    }

    pub(super) fn mark(&self, mark: &[u8]) -> Vec<u8> {
        self.named(b'm', mark)
    }

    fn named(&self, kind: u8, name: &[u8]) -> Vec<u8> {
        [&[kind], format!("{}.{}.", self.id, self.token).as_bytes(), name].concat()
    }

    /// Reads the name of a claim; and whether it is a mark's.
    pub(super) fn parse(text: &[u8], below: &[u8]) -> Option<(Self, bool)> {
        let (kind, rest) = text.split_first()?;
        let mut parts = rest.splitn(3, |octet| *octet == b'.');
        let id = std::str::from_utf8(parts.next()?).ok()?.parse().ok().filter(|id| *id > 0)?;
        let token = std::str::from_utf8(parts.next()?).ok()?.to_owned();
        let name = parts.next().filter(|name| !name.is_empty())?.to_vec();
        let is_mark = match kind {
            b'f' => false,
            b'm' => true,
            _ => return None,
        };
        Some((Self { id: TransferId(id), token, name, below: below.to_vec() }, is_mark))
    }

    /// Its path below the drop folder, for people.
    pub(super) fn path(&self) -> Vec<u8> {
        join(&self.below, &self.name)
    }
}

pub(super) fn join(below: &[u8], name: &[u8]) -> Vec<u8> {
    if below.is_empty() { name.to_vec() } else { [below, b"/", name].concat() }
}

/// Takes a file, and before it its mark, out of `root`. None: somebody else was faster.
///
/// The mark goes first: of a crash in between remains a mark without file, which [`put_back`] returns.
pub(super) fn claim(root: &Folder, claim: &Claim, mark: Option<&[u8]>) -> Result<Option<()>, Errno> {
    let (from, area) = (root.below(&claim.below)?, area(root, &claim.below)?);
    if let Some(mark) = mark
        && gone(from.rename(mark, &area, &claim.mark(mark), true))?.is_none()
    {
        return Ok(None);
    }
    let taken = gone(from.rename(&claim.name, &area, &claim.file(), true))?;
    if taken.is_none()
        && let Some(mark) = mark
    {
        put_back(&from, &area, &claim.mark(mark), mark)?;
    }
    Ok(taken)
}

/// Makes the claims of one folder durable: what is committed must not come back under its old name.
pub(super) fn sync(root: &Folder, below: &[u8]) -> Result<(), Errno> {
    area(root, below)?.sync()?;
    root.below(below)?.sync()
}

/// Returns a name to where it came from; if that is taken by now, `None`.
pub(super) fn put_back(to: &Folder, area: &Folder, ours: &[u8], name: &[u8]) -> Result<Option<()>, Errno> {
    match area.rename(ours, to, name, true) {
        Err(Errno::EXIST) => Ok(None),
        other => gone(other),
    }
}

/// The private folder for files of `below`.
pub(super) fn area(root: &Folder, below: &[u8]) -> Result<Folder, Errno> {
    root.child(AREA, true)?.below(below)
}

/// Opens a claim for this program alone. None: another one has it, or has ended it.
pub(super) fn open(area: &Folder, claim: &Claim) -> Result<Option<File>, Errno> {
    let name = claim.file();
    let Some(fd) = gone(area.open_file(&name, OFlags::RDONLY, Mode::empty()))? else { return Ok(None) };
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::AGAIN) => return Ok(None),
        // Network file systems that know no locks: whoever renamed it has it.
        Err(Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) | Ok(()) => {}
        Err(e) => return Err(e),
    }
    let opened = rustix::fs::fstat(&fd)?;
    let there = area.look(&name)?;
    let same = there.is_some_and(|stat| (stat.st_dev, stat.st_ino) == (opened.st_dev, opened.st_ino));
    let regular = FileType::from_raw_mode(opened.st_mode) == FileType::RegularFile;
    Ok((same && regular).then(|| File::from(fd)))
}

/// Claims that are there, with the marks of marks apart, at most `max`.
pub(super) fn claims(root: &Folder, max: usize) -> Result<Vec<(Claim, bool)>, Errno> {
    let mut found = Vec::new();
    let Some(area) = gone(root.child(AREA, false))? else { return Ok(found) };
    let mut folders = vec![(area, Vec::new())];
    while let Some((folder, below)) = folders.pop() {
        for (name, is_folder) in names(&folder, max)? {
            if is_folder && depth(&below) < DEPTH_MAX {
                if let Some(deeper) = gone(folder.child(&name, false))? {
                    folders.push((deeper, join(&below, &name)));
                }
            } else if let Some(claim) = Claim::parse(&name, &below) {
                found.push(claim);
            }
            if found.len() >= max {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

pub(super) fn depth(below: &[u8]) -> usize {
    below.split(|octet| *octet == b'/').filter(|part| !part.is_empty()).count()
}

/// Names in a folder, and whether each is a folder, as far as `max` goes.
pub(super) fn names(folder: &Folder, max: usize) -> Result<Vec<(Vec<u8>, bool)>, Errno> {
    let opened: OwnedFd = folder.open_file(b".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let mut all = Vec::new();
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let is_folder = match entry.file_type() {
            FileType::Directory => true,
            FileType::Unknown => {
                folder.look(name)?.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
            }
            _ => false,
        };
        all.push((name.to_vec(), is_folder));
        if all.len() >= max {
            break;
        }
    }
    Ok(all)
}

/// What is not there is none.
pub(super) fn gone<T>(found: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_names_are_no_claims() {
        for name in ["", "f", "x1.ab.c", "f.ab.c", "f1.ab", "f1.ab.", "f-1.ab.c", "done"] {
            assert_eq!(Claim::parse(name.as_bytes(), b""), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_claim_is_read_as_it_was_written(id in 1i64..i64::MAX, token in "[0-9a-f]{8}", name in proptest::collection::vec(1u8..255, 1..100)) {
            let claim = Claim { id: TransferId(id), token, name, below: b"a/b".to_vec() };
            prop_assert_eq!(Claim::parse(&claim.file(), b"a/b"), Some((claim.clone(), false)));
            prop_assert!(Claim::parse(&claim.mark(b"x.done"), b"a/b").is_some_and(|(m, is_mark)| is_mark && m.id == claim.id));
        }
    }
}
