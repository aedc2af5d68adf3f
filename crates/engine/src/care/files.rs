//! Files of a backup: copied with their digest, linked where they have not changed, listed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use base::{hex, unhex};

use super::error::{CareError, at};
use super::manifest::{DATABASE_FILE, LIST_FILE, SETTINGS_FILE};
use crate::store::FileUuid;

/// Octets read at once.
const STEP_OCTETS: usize = 1 << 20;
/// Octets at the start of a payload file that a change of the master key rewrites; the rest never changes.
const HEADER_OCTETS: usize = 4096;
/// Octets of one line of the list.
const LINE_OCTETS_MAX: u64 = 512;

/// Size and digest of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Listed {
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

/// Files of a backup by their path in it.
pub(super) type List = BTreeMap<String, Listed>;

/// Where the content of this name lies in a backup, as in a data folder.
pub(crate) fn payload_path(uuid: FileUuid) -> String {
    let name = uuid.to_string();
    let (first, rest) = name.split_at(2);
    let (second, _) = rest.split_at(2);
    format!("payload/{first}/{second}/{name}.ghp")
}

/// The content whose path in a backup this is.
pub(crate) fn payload_of(path: &str) -> Option<FileUuid> {
    let name = path.strip_suffix(".ghp")?.rsplit('/').next()?;
    let uuid = name.parse().ok()?;
    (payload_path(uuid) == path).then_some(uuid)
}

/// Makes a folder, and those above it, closed to others.
pub(super) fn make_folder(path: &Path) -> Result<(), CareError> {
    at(path, fs::DirBuilder::new().recursive(true).mode(0o700).create(path))
}

/// Makes a new file that only its owner may read.
pub(super) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Copies a file and gives its size and digest; not yet durable.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Listed, CareError> {
    let source = at(from, File::open(from))?;
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    let mut target = at(to, new_file(to))?;
    let listed = each_step(from, source, |step| at(to, target.write_all(step)))?;
    Ok(listed)
}

/// Size and digest of a file.
pub(super) fn digest(path: &Path) -> Result<Listed, CareError> {
    each_step(path, at(path, File::open(path))?, |_| Ok(()))
}

fn each_step(
    path: &Path,
    mut source: File,
    mut work: impl FnMut(&[u8]) -> Result<(), CareError>,
) -> Result<Listed, CareError> {
    let mut buffer = vec![0; STEP_OCTETS];
    let (mut hash, mut size) = (Context::new(&SHA256), 0_u64);
    loop {
        let got = match source.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => at(path, other)?,
        };
        let Some(step) = buffer.get(..got).filter(|step| !step.is_empty()) else { break };
        hash.update(step);
        size = size.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
        work(step)?;
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Ok(Listed { size, sha256 })
}

/// Links the payload file `base`, which is `known`, as `to` if `from` is the same; `false` if it has to be copied. What is
/// committed never changes but for its header, so the header and the length tell.
pub(super) fn link_same(from: &Path, (base, known): (&Path, &Listed), to: &Path) -> Result<bool, CareError> {
    let head = |path: &Path| -> io::Result<(Vec<u8>, u64)> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut head = Vec::new();
        file.take(u64::try_from(HEADER_OCTETS).unwrap_or(0)).read_to_end(&mut head)?;
        Ok((head, len))
    };
    let Ok(old) = head(base) else { return Ok(false) };
    if at(from, head(from))? != old || old.1 != known.size {
        return Ok(false);
    }
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    // Another disk, or too many links: a copy does as well.
    Ok(fs::hard_link(base, to).is_ok())
}

/// Writes the list; gives its own digest.
pub(super) fn write_list(folder: &Path, list: &List) -> Result<Listed, CareError> {
    let path = folder.join(LIST_FILE);
    let mut out = BufWriter::new(at(&path, new_file(&path))?);
    for (name, file) in list {
        at(&path, writeln!(out, "{} {} {name}", hex(&file.sha256), file.size))?;
    }
    at(&path, out.flush())?;
    drop(out);
    digest(&path)
}

/// Reads the list; a line that no backup of ours has is an error, so that no name leads out of the folder.
pub(super) fn read_list(folder: &Path) -> Result<List, CareError> {
    let path = folder.join(LIST_FILE);
    let mut lines = BufReader::new(at(&path, File::open(&path))?);
    let mut list = List::new();
    loop {
        let mut line = String::new();
        let got = at(&path, (&mut lines).take(LINE_OCTETS_MAX).read_line(&mut line))?;
        if got == 0 {
            return Ok(list);
        }
        let damaged = || CareError::refused(format!("{}: {line:?} is no line of a list of files", path.display()));
        let (name, listed) = read_line(&line).ok_or_else(damaged)?;
        list.insert(name, listed);
    }
}

fn read_line(line: &str) -> Option<(String, Listed)> {
    let mut words = line.strip_suffix('\n')?.splitn(3, ' ');
    let sha256 = unhex(words.next()?)?.try_into().ok()?;
    let size = words.next()?.parse().ok()?;
    let name = words.next()?;
    let ours = name == DATABASE_FILE || name == SETTINGS_FILE || payload_of(name).is_some();
    ours.then(|| (name.to_owned(), Listed { size, sha256 }))
}

/// Makes everything in the file system of `folder` durable: one call, however many files.
pub(super) fn sync_all(folder: &Path) -> Result<(), CareError> {
    let open = at(folder, File::open(folder))?;
    at(folder, rustix::fs::syncfs(&open).map_err(io::Error::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_in_a_list_leads_out_of_the_folder() {
        let uuid = "00112233445566778899aabbccddeeff";
        let good = format!("{} 7 payload/00/11/{uuid}.ghp\n", "0".repeat(64));
        assert_eq!(read_line(&good).unwrap().0, payload_path(uuid.parse().unwrap()));
        for name in ["../../etc/passwd", "/etc/passwd", "payload/00/12/x.ghp", "payload/../payload/00/11/a.ghp", ""] {
            assert_eq!(read_line(&format!("{} 7 {name}\n", "0".repeat(64))), None, "{name}");
        }
        assert_eq!(read_line(&good.replace('\n', "")), None, "a list that was cut");
        assert_eq!(payload_of(&format!("payload/00/12/{uuid}.ghp")), None);
    }
}
