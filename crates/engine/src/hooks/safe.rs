//! Which programs may run: none that a partner, or anybody but the operator, can put there or change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::{DirType, Snapshot};

/// Checks a program where it stands now.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn program_is_safe(program: &str, snapshot: &Snapshot, data: &Path) -> Result<(), String> {
    let path = Path::new(program);
    let real = std::fs::canonicalize(path).map_err(|e| format!("{program}: {e}: name a program that is there"))?;
    let meta = std::fs::metadata(&real).map_err(|e| format!("{program}: {e}"))?;
    if !meta.is_file() || meta.mode() & 0o111 == 0 {
        return Err(format!("{program} is no program: name a file that can be executed"));
    }
    for (folder, what) in foreign(snapshot, data) {
        let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
        if real.starts_with(&folder) || path.starts_with(&folder) {
            return Err(format!("{program} lies in {}, {what}: put it elsewhere", folder.display()));
        }
    }
    // Links on the way are resolved in both forms: each folder that leads to it counts.
    for at in real.ancestors().chain(path.ancestors().skip(1)).filter(|at| !at.as_os_str().is_empty()) {
        others_cannot_change(at)?;
    }
    Ok(())
}

/// Whether this program may run others as another user: CAP_SETUID and CAP_SETGID.
#[must_use]
pub fn may_change_user() -> bool {
    const BOTH: u64 = 1 << 6 | 1 << 7;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).is_some_and(|held| held & BOTH == BOTH)
}

/// Folders that others than the operator fill.
fn foreign(s: &Snapshot, data: &Path) -> Vec<(PathBuf, &'static str)> {
    let mounts = s.vfd_dirs().filter_map(|dir| match &dir.dir_type {
        DirType::Mount(target) => Some((PathBuf::from(target), "which partners see")),
        DirType::Virtual => None,
    });
    let drops = s.drop_folders().map(|drop| (PathBuf::from(&drop.path), "a drop folder"));
    let pickups = s.sites().filter_map(|site| site.folder.as_ref());
    let pickups = pickups.map(|place| (PathBuf::from(&place.path), "where partners' files are put"));
    let own = Some((data.to_owned(), "the gateway's own folder")).filter(|_| !data.as_os_str().is_empty());
    mounts.chain(drops).chain(pickups).chain(own).collect()
}

/// A file or folder that only root and the gateway's own user may change.
fn others_cannot_change(at: &Path) -> Result<(), String> {
    let meta = std::fs::metadata(at).map_err(|e| format!("{}: {e}", at.display()))?;
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != 0 && meta.uid() != own {
        return Err(format!(
            "{} belongs to user {}: give it to root, or to the gateway's user",
            at.display(),
            meta.uid()
        ));
    }
    // In a folder of root such as /tmp everybody may add names, but the sticky bit keeps those of others as they are.
    let is_sticky = meta.is_dir() && meta.uid() == 0 && meta.mode() & 0o1000 != 0;
    if meta.mode() & 0o022 != 0 && !is_sticky {
        return Err(format!("{} can be written by others: chmod go-w, or put the program elsewhere", at.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(folder: &Path, mode: u32) -> String {
        let path = folder.join("hook");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    }

    #[test]
    fn programs_of_others_are_refused() {
        let s = Snapshot::default();
        let wrong = |path: &str, data: &str| program_is_safe(path, &s, Path::new(data)).unwrap_err();
        assert_eq!(program_is_safe("/bin/sh", &s, Path::new("")), Ok(()));
        assert!(wrong("/nothing/here", "").contains("is there"));
        assert!(wrong("/etc/passwd", "").contains("no program"));
        assert!(wrong("/bin/sh", "/usr").contains("own folder") || wrong("/bin/sh", "/bin").contains("own folder"));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(program_is_safe(&program(folder.path(), 0o755), &s, Path::new("")), Ok(()));
        assert!(wrong(&program(folder.path(), 0o777), "").contains("written by others"));
    }
}
