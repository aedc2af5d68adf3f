//! File attributes (draft section 5).

use bytes::Bytes;

use super::{Defect, NAME_OCTETS_MAX, PACKET_OCTETS_MAX, PAIRS_MAX, Reader, Writer, length_of};

/// What is said of a file; what is absent is not said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attrs {
    /// Octets.
    pub size: Option<u64>,
    /// Numbers of owner and group.
    pub owner: Option<(u32, u32)>,
    /// Kind and rights, as in POSIX `st_mode`.
    pub permissions: Option<u32>,
    /// Last access and last change, in seconds since 1970.
    pub times: Option<(u32, u32)>,
    /// Vendors' pairs of name and data.
    pub extended: Vec<(Bytes, Bytes)>,
}

/// The bits of `permissions` that hold the kind.
pub const KIND_MASK: u32 = 0o170_000;
/// A directory.
pub const KIND_DIRECTORY: u32 = 0o040_000;
/// A regular file.
pub const KIND_FILE: u32 = 0o100_000;
/// A symbolic link.
pub const KIND_LINK: u32 = 0o120_000;

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;

impl Attrs {
    /// Whether this is said to be a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.permissions.is_some_and(|p| p & KIND_MASK == KIND_DIRECTORY)
    }

    /// Whether this is a regular file, or nothing else that is said.
    #[must_use]
    pub fn is_regular(&self) -> bool {
        self.permissions.is_none_or(|p| matches!(p & KIND_MASK, 0 | KIND_FILE))
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Defect> {
        // Flags of later versions are passed over as OpenSSH does: their fields stand behind all of ours.
        let flags = r.u32()?;
        let has = |flag| flags & flag != 0;
        let mut attrs = Self::default();
        if has(SIZE) {
            attrs.size = Some(r.u64()?);
        }
        if has(OWNER) {
            attrs.owner = Some((r.u32()?, r.u32()?));
        }
        if has(PERMISSIONS) {
            attrs.permissions = Some(r.u32()?);
        }
        if has(TIMES) {
            attrs.times = Some((r.u32()?, r.u32()?));
        }
        if has(EXTENDED) {
            let count = r.u32()?;
            if usize::try_from(count).unwrap_or(usize::MAX) > PAIRS_MAX {
                return Err(Defect::TooMany { what: "extended attributes", count, max: PAIRS_MAX });
            }
            for _ in 0..count {
                attrs.extended.push((r.string(NAME_OCTETS_MAX)?, r.string(PACKET_OCTETS_MAX)?));
            }
        }
        Ok(attrs)
    }

    pub(super) fn write(&self, w: Writer) -> Writer {
        let flag = |there: bool, flag: u32| if there { flag } else { 0 };
        let mut w = w.u32(
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), OWNER)
                | flag(self.permissions.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), TIMES)
                | flag(!self.extended.is_empty(), EXTENDED),
        );
        if let Some(size) = self.size {
            w = w.u64(size);
        }
        if let Some((user, group)) = self.owner {
            w = w.u32(user).u32(group);
        }
        if let Some(permissions) = self.permissions {
            w = w.u32(permissions);
        }
        if let Some((accessed, modified)) = self.times {
            w = w.u32(accessed).u32(modified);
        }
        if self.extended.is_empty() { w } else { w.u32(length_of(self.extended.len())).pairs(&self.extended) }
    }
}
