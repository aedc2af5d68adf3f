//! Paths as partners write them, and file names as octets kept in text columns.
//!
//! A [`VPath`] is absolute and holds plain components only, so joining it to a root can't leave that root. Octets of
//! names are kept as they came (DESIGN 1.19); only NUL and `/` can't be part of a name.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::error::{Cause, TransferError};
use crate::limits::{NAME_OCTETS_MAX, PATH_DEPTH_MAX, PATH_OCTETS_MAX};

/// An absolute path: components without `.`, `..`, empty ones and NUL.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VPath(Vec<Box<[u8]>>);

/// Why octets are no path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Has a NUL.
    #[error("path holds a NUL: name files without it")]
    Nul,
    /// A component is too long.
    #[error("a name of the path has {octets} octets: use at most {NAME_OCTETS_MAX}")]
    Name {
        /// Its length.
        octets: usize,
    },
    /// The whole is too long.
    #[error("path has {octets} octets: use at most {PATH_OCTETS_MAX}")]
    Length {
        /// Its length.
        octets: usize,
    },
    /// Too many directories.
    #[error("path has more than {PATH_DEPTH_MAX} directories")]
    Depth,
}

impl From<PathError> for TransferError {
    fn from(e: PathError) -> Self {
        Self::refuse(Cause::Invalid, e.to_string())
    }
}

impl VPath {
    /// The root.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// What `octets` mean to someone who stands in `base`. `..` above the root stays at the root.
    ///
    /// # Errors
    /// [`PathError`] for a NUL, and for names, paths or depths beyond the limits.
    pub fn parse(octets: &[u8], base: &Self) -> Result<Self, PathError> {
        if octets.len() > PATH_OCTETS_MAX {
            return Err(PathError::Length { octets: octets.len() });
        }
        if octets.contains(&0) {
            return Err(PathError::Nul);
        }
        let mut path = if octets.first() == Some(&b'/') { Self::root() } else { base.clone() };
        for name in octets.split(|o| *o == b'/') {
            match name {
                b"" | b"." => {}
                b".." => drop(path.0.pop()),
                name if name.len() > NAME_OCTETS_MAX => return Err(PathError::Name { octets: name.len() }),
                name => path.0.push(name.into()),
            }
            if path.0.len() > PATH_DEPTH_MAX {
                return Err(PathError::Depth);
            }
        }
        match path.octets_len() {
            n if n > PATH_OCTETS_MAX => Err(PathError::Length { octets: n }),
            _ => Ok(path),
        }
    }

    /// Reads a path of our own records or configuration, written as text.
    ///
    /// # Errors
    /// As [`VPath::parse`].
    pub fn from_text(text: &str) -> Result<Self, PathError> {
        Self::parse(&octets_of(text), &Self::root())
    }

    /// Octets for the peer: `/a/b`, or `/`.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return vec![b'/'];
        }
        let mut out = Vec::with_capacity(self.octets_len());
        for name in &self.0 {
            out.push(b'/');
            out.extend_from_slice(name);
        }
        out
    }

    /// Text for records: every name as [`text_of`] writes it.
    #[must_use]
    pub fn text(&self) -> String {
        text_of(&self.octets())
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory it is in; the root has none.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, front) = self.0.split_last()?;
        Some(Self(front.to_vec()))
    }

    /// Its last name; the root has none.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.0.last().map(AsRef::as_ref)
    }

    /// Its names from the root down.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Number of names.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// `below` seen from here: the names of both, one after the other.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// What is left of this path below `root`; none if it is elsewhere.
    #[must_use]
    pub fn below(&self, root: &Self) -> Option<Self> {
        self.0.strip_prefix(root.0.as_slice()).map(|rest| Self(rest.to_vec()))
    }

    fn octets_len(&self) -> usize {
        self.0.iter().map(|n| n.len() + 1).sum()
    }
}

impl fmt::Display for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        base::Shown(&self.octets()).fmt(f)
    }
}

impl fmt::Debug for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VPath({self})")
    }
}

/// Octets that are no UTF-8 stand here, each as one character of this private block.
const RAW_FIRST: u32 = 0xF700;
const RAW_LAST: u32 = 0xF7FF;

/// `octets` as text for a text column: UTF-8 stays as it is, every other octet becomes one private character, and so do
/// the octets of characters of that block. [`octets_of`] gives back exactly what came.
#[must_use]
pub fn text_of(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    let push_raw = |out: &mut String, o: u8| out.extend(char::from_u32(RAW_FIRST + u32::from(o)));
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            if (RAW_FIRST..=RAW_LAST).contains(&u32::from(c)) {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|o| push_raw(&mut out, o));
            } else {
                out.push(c);
            }
        }
        chunk.invalid().iter().for_each(|o| push_raw(&mut out, *o));
    }
    out
}

/// The octets that [`text_of`] wrote as `text`.
#[must_use]
pub fn octets_of(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(RAW_FIRST).map(u8::try_from) {
            Some(Ok(o)) => out.push(o),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// Whether two names look equal: same characters in Unicode form NFC. Case counts.
#[must_use]
pub fn same_look(a: &str, b: &str) -> bool {
    a == b || a.nfc().eq(b.nfc())
}

/// Whether routing leaves a file of this name alone: clients use such names while they write (DESIGN 1.3).
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".filepart", ".part", ".tmp"].iter().any(|end| lower.ends_with(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> VPath {
        VPath::from_text(text).unwrap()
    }

    /// What someone in `/home/a` gets. OBJ-21, SFTP-14.
    const ESCAPES: [(&[u8], &str); 62] = [
        (b"", "/home/a"),
        (b".", "/home/a"),
        (b"./", "/home/a"),
        (b"..", "/home"),
        (b"../", "/home"),
        (b"../..", "/"),
        (b"../../..", "/"),
        (b"../../../etc/passwd", "/etc/passwd"),
        (b"../../../../../../../../../../etc/passwd", "/etc/passwd"),
        (b"/", "/"),
        (b"//", "/"),
        (b"///", "/"),
        (b"/.", "/"),
        (b"/..", "/"),
        (b"/../", "/"),
        (b"/../..", "/"),
        (b"/../../etc", "/etc"),
        (b"/./../etc", "/etc"),
        (b"/etc/passwd", "/etc/passwd"),
        (b"//etc/passwd", "/etc/passwd"),
        (b"///etc///passwd", "/etc/passwd"),
        (b"/etc//../..//root", "/root"),
        (b"x/../..", "/home"),
        (b"x/../../..", "/"),
        (b"x/../../../..", "/"),
        (b"x/y/../../../../../..", "/"),
        (b"./../x", "/home/x"),
        (b"././../x", "/home/x"),
        (b".././x", "/home/x"),
        (b"./..//x", "/home/x"),
        (b"..//..//x", "/x"),
        (b"../a/../b", "/home/b"),
        (b"/home/../../x", "/x"),
        (b"/home/a/../../../x", "/x"),
        (b"...", "/home/a/..."),
        (b"....", "/home/a/...."),
        (b".../...", "/home/a/.../..."),
        (b".. ", "/home/a/.. "),
        (b" ..", "/home/a/ .."),
        (b". .", "/home/a/. ."),
        (b"..x", "/home/a/..x"),
        (b"x..", "/home/a/x.."),
        (b"..\\", "/home/a/..\\"),
        (b"..\\..\\etc", "/home/a/..\\..\\etc"),
        (b"\\..\\", "/home/a/\\..\\"),
        (b"C:\\x", "/home/a/C:\\x"),
        (b"\\\\server\\share", "/home/a/\\\\server\\share"),
        (b"%2e%2e/x", "/home/a/%2e%2e/x"),
        (b"..%2fx", "/home/a/..%2fx"),
        (b"%00", "/home/a/%00"),
        (b"~", "/home/a/~"),
        (b"~root/x", "/home/a/~root/x"),
        (b"$HOME", "/home/a/$HOME"),
        (b"-rf", "/home/a/-rf"),
        (b"*", "/home/a/*"),
        (b"x/", "/home/a/x"),
        (b"x//", "/home/a/x"),
        (b"x/.", "/home/a/x"),
        (b"/proc/self/root/../../x", "/proc/x"),
        ("\u{ff0e}\u{ff0e}/x".as_bytes(), "/home/a/\u{ff0e}\u{ff0e}/x"),
        ("..\u{2215}x".as_bytes(), "/home/a/..\u{2215}x"),
        (b"\n/../\t", "/home/a/\t"),
    ];

    #[test]
    fn no_path_leaves_its_root() {
        for (given, expected) in ESCAPES {
            let got = VPath::parse(given, &at("/home/a")).unwrap();
            assert_eq!(got.text(), expected, "path {:?}", base::Shown(given));
            assert!(at("/partners/p").join(&got).below(&at("/partners/p")).is_some());
        }
    }

    #[test]
    fn overlong_octets_stay_names() {
        // Overlong UTF-8 forms of '.' and '/' are octets of a name, never a separator.
        let got = VPath::parse(b"\xc0\xae\xc0\xae\xc0\xafx", &VPath::root()).unwrap();
        assert_eq!(got.depth(), 1);
        assert_eq!(got.octets(), b"/\xc0\xae\xc0\xae\xc0\xafx");
    }

    #[test]
    fn limits_hold() {
        let root = VPath::root();
        assert_eq!(VPath::parse(b"a\0b", &root), Err(PathError::Nul));
        assert_eq!(VPath::parse(b"../\0", &root), Err(PathError::Nul));
        assert!(VPath::parse(&[b'a'; NAME_OCTETS_MAX], &root).is_ok());
        assert_eq!(VPath::parse(&[b'a'; 256], &root), Err(PathError::Name { octets: 256 }));
        assert_eq!(VPath::parse(&[b'/'; 1025], &root), Err(PathError::Length { octets: 1025 }));
        assert_eq!(VPath::parse(&b"a/".repeat(65), &root), Err(PathError::Depth));
        let deep = VPath::parse(&[b"/".as_slice(), &[b'a'; 250]].concat().repeat(4), &root).unwrap();
        assert!(matches!(VPath::parse(&[b'b'; 255], &deep), Err(PathError::Length { .. })));
    }

    #[test]
    fn names_that_look_equal() {
        assert!(same_look("caf\u{e9}", "cafe\u{301}"));
        assert!(!same_look("Cafe", "cafe"));
    }

    #[test]
    fn names_of_files_being_written() {
        for name in ["a.filepart", "A.FILEPART", "x.part", "x.tmp", ".tmp"] {
            assert!(is_temporary(name), "{name}");
        }
        for name in ["a.filepart.xml", "part", "tmp", "a.tmpx"] {
            assert!(!is_temporary(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn octets_survive_text(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(octets_of(&text_of(&octets)), octets);
        }

        #[test]
        fn characters_of_the_private_block_survive(c in 0xF6F0u32..0xF810, tail in any::<u8>()) {
            let mut octets = char::from_u32(c).unwrap().to_string().into_bytes();
            octets.push(tail);
            prop_assert_eq!(octets_of(&text_of(&octets)), octets);
        }

        #[test]
        fn any_octets_stay_inside(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let root = at("/r/p");
            if let Ok(path) = VPath::parse(&octets, &VPath::root()) {
                prop_assert!(path.names().all(|n| !matches!(n, b"" | b"." | b"..") && !n.contains(&b'/')));
                let under = root.join(&path);
                prop_assert_eq!(under.below(&root), Some(path.clone()));
                prop_assert_eq!(VPath::parse(&path.octets(), &VPath::root()), Ok(path));
            }
        }
    }
}
