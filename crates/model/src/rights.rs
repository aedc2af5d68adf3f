//! Rights in virtual folders: `<path>:<file pattern>:<RWD>:<LCR>:<Y|N>` (objects.md 7.1 and section 8).

use base::{Pattern, QuestionMark};

/// One right of a gate or group. Rights add up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VfdRight {
    /// Absolute path of the folder.
    pub path: String,
    /// Which files in it; `*` for all.
    pub files: Pattern,
    /// Files may be read.
    pub read: bool,
    /// Files may be written.
    pub write: bool,
    /// Files may be deleted.
    pub delete: bool,
    /// The folder may be listed.
    pub list: bool,
    /// Folders may be created in it.
    pub create: bool,
    /// Folders in it may be removed.
    pub remove: bool,
    /// It holds for every folder below too.
    pub inherit: bool,
}

/// What may be done with a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FileRights {
    /// R: read.
    pub read: bool,
    /// W: write and overwrite.
    pub write: bool,
    /// D: delete.
    pub delete: bool,
}

/// What may be done with a folder.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DirRights {
    /// L: list it.
    pub list: bool,
    /// C: create folders in it.
    pub create: bool,
    /// R: remove folders in it.
    pub remove: bool,
}

/// What `rights` allow with the file `name` in the folder `dir` (OBJ-21). An empty or `*` pattern covers every file.
#[must_use]
pub fn file_rights(rights: &[VfdRight], dir: &str, name: &str) -> FileRights {
    let covering = rights.iter().filter(|r| r.covers(dir) && r.files.matches(name, QuestionMark::One));
    covering.fold(FileRights::default(), |sum, r| FileRights {
        read: sum.read || r.read,
        write: sum.write || r.write,
        delete: sum.delete || r.delete,
    })
}

/// What `rights` allow with the folder `dir` itself (OBJ-21).
#[must_use]
pub fn dir_rights(rights: &[VfdRight], dir: &str) -> DirRights {
    rights.iter().filter(|r| r.covers(dir)).fold(DirRights::default(), |sum, r| DirRights {
        list: sum.list || r.list,
        create: sum.create || r.create,
        remove: sum.remove || r.remove,
    })
}

/// Whether the folder `path` is `root` or below it; both absolute and without `.` or `..`.
#[must_use]
pub fn within(path: &str, root: &str) -> bool {
    match path.strip_prefix(root.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

impl VfdRight {
    /// Reads a right; letters in any order and case, missing parts at the end are empty.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split(':');
        let mut next = || parts.next().unwrap_or_default().trim();
        let (path, files, file_letters, dir_letters, inherit) = (next(), next(), next(), next(), next());
        if parts.next().is_some() {
            return Err(format!("{text:?} has more than five parts"));
        }
        crate::kinds::folder_path(path)?;
        let file = letters(file_letters, "RWD", text)?;
        let dir = letters(dir_letters, "LCR", text)?;
        let inherit = match inherit.to_ascii_uppercase().as_str() {
            "Y" => true,
            "N" | "" => false,
            _ => return Err(format!("{text:?} ends neither in Y nor in N")),
        };
        Ok(Self {
            path: path.to_owned(),
            files: Pattern::new(if files.is_empty() { "*" } else { files }),
            read: file('R'),
            write: file('W'),
            delete: file('D'),
            list: dir('L'),
            create: dir('C'),
            remove: dir('R'),
            inherit,
        })
    }

    /// Whether it holds in the folder `dir`.
    #[must_use]
    pub fn covers(&self, dir: &str) -> bool {
        if self.inherit { within(dir, &self.path) } else { dir == self.path }
    }
}

fn letters(found: &str, allowed: &str, text: &str) -> Result<impl Fn(char) -> bool + use<>, String> {
    let found = found.to_ascii_uppercase();
    match found.chars().find(|c| !allowed.contains(*c)) {
        Some(bad) => Err(format!("{text:?} has the letter {bad:?} where only {allowed} stand")),
        None => Ok(move |letter| found.contains(letter)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read() {
        let right = VfdRight::parse("/in:*.txt:wR:CL:y").unwrap();
        assert!(
            right.read && right.write && !right.delete && right.list && right.create && !right.remove && right.inherit
        );
        let right = VfdRight::parse("/in:::L").unwrap();
        assert_eq!((right.files.as_str(), right.list, right.inherit), ("*", true, false));
        for text in ["", "in:*:R:L:Y", "/in:*:X:L:Y", "/in:*:R:D:Y", "/in:*:R:L:X", "/in:*:R:L:Y:Z", "/in/..:*:R:L:Y"] {
            assert!(VfdRight::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn rights_add_up_where_they_hold() {
        // OBJ-21
        let rights: Vec<VfdRight> = ["/a:*:R:L:Y", "/a/in:*.txt:W::N", "/a/in:::C:N"]
            .iter()
            .map(|text| VfdRight::parse(text).unwrap())
            .collect();
        for (dir, file, expected) in [
            ("/a", "x", (true, false)),
            ("/a/in", "x.txt", (true, true)),
            ("/a/in", "x.bin", (true, false)),
            ("/a/in/deep", "x.txt", (true, false)),
            ("/ab", "x", (false, false)),
            ("/", "x", (false, false)),
        ] {
            let found = file_rights(&rights, dir, file);
            assert_eq!((found.read, found.write), expected, "{dir}/{file}");
            assert!(!found.delete);
        }
        assert_eq!(dir_rights(&rights, "/a/in"), DirRights { list: true, create: true, remove: false });
        assert_eq!(dir_rights(&rights, "/a/in/deep"), DirRights { list: true, create: false, remove: false });
        assert_eq!(dir_rights(&rights, "/"), DirRights::default());
    }

    #[test]
    fn a_folder_is_within_its_root_only() {
        for (path, root, expected) in [
            ("/a/b", "/a", true),
            ("/a", "/a", true),
            ("/ab", "/a", false),
            ("/a", "/", true),
            ("/", "/", true),
            ("/", "/a", false),
        ] {
            assert_eq!(within(path, root), expected, "{path} in {root}");
        }
    }
}
