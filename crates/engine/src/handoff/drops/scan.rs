//! One look at a drop folder: what is there, what is whole, and what is no file for us.

use std::sync::Arc;
use std::time::Duration;

use model::{DropFolder, Readiness};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::claim::{AREA, DEPTH_MAX, NAME_OCTETS_MAX, depth, gone, join, names};
use super::ready::{Seen, Sight, Verdict};
use crate::handoff::folder::Folder;
use crate::vfd::{VPath, is_temporary, text_of};

/// Most names that one look reads.
const ENTRIES_MAX: usize = 100_000;

/// A file that is whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Candidate {
    pub(super) below: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) mark: Option<Vec<u8>>,
}

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) whole: Vec<Candidate>,
    /// Files that are none for us, with the reason.
    pub(super) refused: Vec<(Candidate, String)>,
    /// When the next one may be whole.
    pub(super) again: Option<Duration>,
    /// Folders below that were looked into, beside the drop folder itself.
    pub(super) folders: Vec<Vec<u8>>,
    /// There may be more than this look took.
    pub(super) more: bool,
    paths: std::collections::HashSet<Vec<u8>>,
}

/// Looks into the folder, and those below it if it says so.
pub(super) fn scan(root: &Folder, drop: &Arc<DropFolder>, seen: &mut Seen, now: Duration) -> Result<Found, Errno> {
    let owner = root.look(b".")?.map_or(0, |stat| stat.st_uid);
    let mut looker = Looker { drop, seen, now, owner, found: Found::default() };
    let mut folders = vec![(root.clone(), Vec::new())];
    while let Some((folder, below)) = folders.pop() {
        for (name, is_folder) in names(&folder, ENTRIES_MAX)? {
            if looker.is_full() {
                looker.found.more = true;
                break;
            }
            if !is_folder {
                looker.file(&folder, &below, name)?;
            } else if looker.goes_into(&below, &name)
                && let Some(deeper) = gone(folder.child(&name, false))?
            {
                let below = join(&below, &name);
                looker.found.folders.push(below.clone());
                folders.push((deeper, below));
            }
        }
    }
    let Looker { seen, found, .. } = looker;
    if !found.more {
        seen.keep(|path| found.paths.contains(path));
    }
    Ok(found)
}

struct Looker<'a> {
    drop: &'a DropFolder,
    seen: &'a mut Seen,
    now: Duration,
    /// Of the drop folder.
    owner: u32,
    found: Found,
}

impl Looker<'_> {
    fn is_full(&self) -> bool {
        self.found.whole.len() + self.found.refused.len() >= self.drop.scan_max || self.found.paths.len() >= ENTRIES_MAX
    }

    fn goes_into(&self, below: &[u8], name: &[u8]) -> bool {
        let own = [self.drop.error_dir.as_bytes(), self.drop.done_dir.as_deref().unwrap_or_default().as_bytes(), AREA];
        let is_own = below.is_empty() && own.contains(&name);
        self.drop.subfolders && !is_own && !name.starts_with(b".") && depth(below) < DEPTH_MAX
    }

    fn file(&mut self, folder: &Folder, below: &[u8], name: Vec<u8>) -> Result<(), Errno> {
        let text = text_of(&name);
        if !self.drop.takes(&text) || is_temporary(&text) {
            return Ok(());
        }
        let Some(stat) = folder.look(&name)? else { return Ok(()) };
        let mark = match &self.drop.ready {
            Readiness::Marker(marker) => Some(marker.of(&name)),
            _ => None,
        };
        let candidate = Candidate { below: below.to_vec(), name, mark };
        if let Some(reason) = self.wrong(&candidate, &stat) {
            self.found.refused.push((candidate, reason));
            return Ok(());
        }
        let made = match &candidate.mark {
            Some(mark) => folder.look(mark)?.filter(is_regular).map(|stat| modified(&stat)),
            None => None,
        };
        let path = join(below, &candidate.name);
        match self.seen.judge(&path, sight(&stat), (&self.drop.ready, made), self.now) {
            Verdict::Take => self.found.whole.push(candidate),
            Verdict::Later(wait) => self.found.again = Some(self.found.again.map_or(wait, |again| again.min(wait))),
            Verdict::Unmarked => {}
            Verdict::Linked => {
                let reason = "it has a second name (hard link), by which it could be changed: remove that, or copy it";
                self.found.refused.push((candidate, reason.to_owned()));
            }
        }
        self.found.paths.insert(path);
        Ok(())
    }

    /// Why this is no file for us.
    fn wrong(&self, candidate: &Candidate, stat: &Stat) -> Option<String> {
        if !is_regular(stat) {
            return Some(format!("it is {}: only files are taken", kind(stat)));
        }
        if candidate.name.len() > NAME_OCTETS_MAX || VPath::parse(&candidate.name, &VPath::root()).is_err() {
            return Some(format!("its name is not one of 1 to {NAME_OCTETS_MAX} octets without control characters"));
        }
        let owners = &self.drop.owners;
        let own = rustix::process::geteuid().as_raw();
        let taken = owners.any
            || stat.st_uid == own
            || (owners.folder && stat.st_uid == self.owner)
            || owners.users.contains(&stat.st_uid);
        (!taken).then(|| format!("it belongs to user {}: add that to owners of the drop folder", stat.st_uid))
    }
}

pub(super) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn kind(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Directory => "a folder",
        _ => "no regular file",
    }
}

pub(super) fn sight(stat: &Stat) -> Sight {
    Sight {
        inode: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: modified(stat),
        linked: stat.st_nlink > 1,
    }
}

fn modified(stat: &Stat) -> i128 {
    i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec)
}
