//! Extensions of OpenSSH (its file PROTOCOL, sections 4.3 to 4.8, sftp-server of 9.x).

use bytes::Bytes;

use super::{Attrs, Defect, Reader, Writer};

/// Names of the extensions known here.
pub mod extension {
    /// RENAME that replaces what is there.
    pub const POSIX_RENAME: &str = "posix-rename@openssh.com";
    /// What has been written is on the disk.
    pub const FSYNC: &str = "fsync@openssh.com";
    /// Room of the file system behind a name.
    pub const STATVFS: &str = "statvfs@openssh.com";
    /// Room of the file system behind a handle.
    pub const FSTATVFS: &str = "fstatvfs@openssh.com";
    /// A second name of a file; refused here.
    pub const HARDLINK: &str = "hardlink@openssh.com";
    /// SETSTAT that does not follow links.
    pub const LSETSTAT: &str = "lsetstat@openssh.com";
    /// Bounds of the server.
    pub const LIMITS: &str = "limits@openssh.com";
    /// Those a server names in VERSION, with their versions.
    pub const OFFERED: [(&str, &str); 6] =
        [(POSIX_RENAME, "1"), (STATVFS, "2"), (FSTATVFS, "2"), (FSYNC, "1"), (LSETSTAT, "1"), (LIMITS, "1")];
}

/// An EXTENDED request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "fields are those of the extension")]
pub enum Extended {
    /// See [`extension::POSIX_RENAME`].
    PosixRename { from: Bytes, to: Bytes },
    /// See [`extension::FSYNC`].
    Fsync { handle: Bytes },
    /// See [`extension::STATVFS`].
    Statvfs { path: Bytes },
    /// See [`extension::FSTATVFS`].
    Fstatvfs { handle: Bytes },
    /// See [`extension::HARDLINK`].
    Hardlink { from: Bytes, to: Bytes },
    /// See [`extension::LSETSTAT`].
    Lsetstat { path: Bytes, attrs: Attrs },
    /// See [`extension::LIMITS`].
    Limits,
    /// Any other.
    Other { name: Bytes, data: Bytes },
}

impl Extended {
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Defect> {
        let name = r.name()?;
        Ok(match std::str::from_utf8(&name) {
            Ok(extension::POSIX_RENAME) => Self::PosixRename { from: r.name()?, to: r.name()? },
            Ok(extension::FSYNC) => Self::Fsync { handle: r.handle()? },
            Ok(extension::STATVFS) => Self::Statvfs { path: r.name()? },
            Ok(extension::FSTATVFS) => Self::Fstatvfs { handle: r.handle()? },
            Ok(extension::HARDLINK) => Self::Hardlink { from: r.name()?, to: r.name()? },
            Ok(extension::LSETSTAT) => Self::Lsetstat { path: r.name()?, attrs: Attrs::read(r)? },
            Ok(extension::LIMITS) => Self::Limits,
            _ => Self::Other { name, data: r.rest() },
        })
    }

    pub(super) fn write(&self, w: Writer) -> Writer {
        let named = |w: Writer, name: &str| w.string(name.as_bytes());
        match self {
            Self::PosixRename { from, to } => named(w, extension::POSIX_RENAME).string(from).string(to),
            Self::Fsync { handle } => named(w, extension::FSYNC).string(handle),
            Self::Statvfs { path } => named(w, extension::STATVFS).string(path),
            Self::Fstatvfs { handle } => named(w, extension::FSTATVFS).string(handle),
            Self::Hardlink { from, to } => named(w, extension::HARDLINK).string(from).string(to),
            Self::Lsetstat { path, attrs } => attrs.write(named(w, extension::LSETSTAT).string(path)),
            Self::Limits => named(w, extension::LIMITS),
            Self::Other { name, data } => w.string(name).raw(data),
        }
    }
}

/// Answer to [`Extended::Limits`]; 0 means "no bound stated".
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Octets of a packet.
    pub packet_octets: u64,
    /// Octets of one READ.
    pub read_octets: u64,
    /// Octets of one WRITE.
    pub write_octets: u64,
    /// Handles open at once.
    pub handles: u64,
}

impl Limits {
    /// Reads the data of an EXTENDED_REPLY.
    ///
    /// # Errors
    /// [`Defect::Octets`].
    pub fn decode(data: &Bytes) -> Result<Self, Defect> {
        let mut r = Reader::new(data);
        Ok(Self { packet_octets: r.u64()?, read_octets: r.u64()?, write_octets: r.u64()?, handles: r.u64()? })
    }

    /// The data of an EXTENDED_REPLY.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        numbers([self.packet_octets, self.read_octets, self.write_octets, self.handles])
    }
}

/// Answer to [`Extended::Statvfs`], as POSIX `statvfs`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SpaceInfo {
    /// Octets of a block.
    pub block_octets: u64,
    /// Octets of a fragment, in which the next three are counted.
    pub fragment_octets: u64,
    /// Fragments of the file system.
    pub fragments: u64,
    /// Fragments free.
    pub fragments_free: u64,
    /// Fragments free for ordinary users.
    pub fragments_available: u64,
    /// File entries.
    pub files: u64,
    /// File entries free.
    pub files_free: u64,
    /// File entries free for ordinary users.
    pub files_available: u64,
    /// Number of the file system.
    pub file_system: u64,
    /// 1: read only, 2: no set-user-id.
    pub flags: u64,
    /// Octets of a name.
    pub name_octets_max: u64,
}

impl SpaceInfo {
    /// Reads the data of an EXTENDED_REPLY.
    ///
    /// # Errors
    /// [`Defect::Octets`].
    pub fn decode(data: &Bytes) -> Result<Self, Defect> {
        let mut r = Reader::new(data);
        Ok(Self {
            block_octets: r.u64()?,
            fragment_octets: r.u64()?,
            fragments: r.u64()?,
            fragments_free: r.u64()?,
            fragments_available: r.u64()?,
            files: r.u64()?,
            files_free: r.u64()?,
            files_available: r.u64()?,
            file_system: r.u64()?,
            flags: r.u64()?,
            name_octets_max: r.u64()?,
        })
    }

    /// The data of an EXTENDED_REPLY.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        numbers([
            self.block_octets,
            self.fragment_octets,
            self.fragments,
            self.fragments_free,
            self.fragments_available,
            self.files,
            self.files_free,
            self.files_available,
            self.file_system,
            self.flags,
            self.name_octets_max,
        ])
    }
}

fn numbers<const N: usize>(all: [u64; N]) -> Bytes {
    all.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>().into()
}
