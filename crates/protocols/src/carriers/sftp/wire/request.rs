//! What a client sends (draft sections 4 and 6).

use bytes::Bytes;

use super::{Attrs, Defect, Extended, PACKET_OCTETS_MAX, Pieces, Reader, WireError, Writer, kind};

/// A packet of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientPacket {
    /// The first one: its highest version and its extensions.
    Init {
        /// Highest version.
        version: u32,
        /// Pairs of extension and data.
        extensions: Vec<(Bytes, Bytes)>,
    },
    /// A request, to be answered under its number.
    Request {
        /// Chosen by the client.
        id: u32,
        /// What it wants.
        request: Request,
    },
}

/// How a file is opened (draft section 6.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    /// For reading.
    pub const READ: Self = Self(1);
    /// For writing.
    pub const WRITE: Self = Self(2);
    /// Writes go to the end.
    pub const APPEND: Self = Self(4);
    /// Made if it is not there.
    pub const CREATE: Self = Self(8);
    /// Emptied if it is there.
    pub const TRUNCATE: Self = Self(16);
    /// With CREATE: must not be there.
    pub const EXCLUSIVE: Self = Self(32);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a client wants.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "fields are those of the draft, section 6")]
pub enum Request {
    /// A file: handle.
    Open { path: Bytes, flags: OpenFlags, attrs: Attrs },
    /// End of a handle: status.
    Close { handle: Bytes },
    /// Octets of a file: data, or EOF.
    Read { handle: Bytes, offset: u64, len: u32 },
    /// Octets into a file: status.
    Write { handle: Bytes, offset: u64, data: Pieces },
    /// Attributes of a name, links not followed.
    Lstat { path: Bytes },
    /// Attributes of an open file.
    Fstat { handle: Bytes },
    /// Change of attributes of a name.
    Setstat { path: Bytes, attrs: Attrs },
    /// Change of attributes of an open file.
    Fsetstat { handle: Bytes, attrs: Attrs },
    /// A directory: handle.
    Opendir { path: Bytes },
    /// Its next names, or EOF.
    Readdir { handle: Bytes },
    /// Deletion of a file.
    Remove { path: Bytes },
    /// A new directory.
    Mkdir { path: Bytes, attrs: Attrs },
    /// Deletion of a directory.
    Rmdir { path: Bytes },
    /// The absolute form of a name.
    Realpath { path: Bytes },
    /// Attributes of a name, links followed.
    Stat { path: Bytes },
    /// Another name; the new one must be free.
    Rename { from: Bytes, to: Bytes },
    /// Target of a link.
    Readlink { path: Bytes },
    /// A new link. The draft and OpenSSH disagree which path comes first; both are refused here.
    Symlink { first: Bytes, second: Bytes },
    /// An extension.
    Extended(Extended),
    /// A type that version 3 does not have.
    Unknown { kind: u8 },
}

impl ClientPacket {
    /// Reads a packet, without its length field.
    ///
    /// Octets behind the last field are passed over, as OpenSSH does: clients of later versions send some.
    ///
    /// # Errors
    /// [`WireError`], with the request's number if that was there.
    pub fn decode(packet: &Pieces) -> Result<Self, WireError> {
        if let [first, rest @ ..] = packet.list()
            && !rest.is_empty()
            && let Some(write) = write_in_pieces(first, rest)
        {
            return Ok(write);
        }
        let whole = packet.joined();
        let mut r = Reader::new(&whole);
        let kind = r.u8().map_err(|defect| WireError { kind: 0, id: None, defect })?;
        if kind == kind::INIT {
            let init = r.u32().and_then(|version| Ok(Self::Init { version, extensions: r.pairs_to_end()? }));
            return init.map_err(|defect| WireError { kind, id: None, defect });
        }
        let id = r.u32().map_err(|defect| WireError { kind, id: None, defect })?;
        match Request::read(kind, &mut r) {
            Ok(request) => Ok(Self::Request { id, request }),
            Err(defect) => Err(WireError { kind, id: Some(id), defect }),
        }
    }

    /// The packet with its length field.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Init { version, extensions } => Writer::new(kind::INIT, 64).u32(*version).pairs(extensions).finish(),
            Self::Request { id, request } => request.encode(*id),
        }
    }
}

/// A WRITE whose data goes on in `rest`, without joining them; `None` if it is anything else, or odd.
fn write_in_pieces(first: &Bytes, rest: &[Bytes]) -> Option<ClientPacket> {
    let mut r = Reader::new(first);
    if r.u8().ok()? != kind::WRITE {
        return None;
    }
    let (id, handle, offset) = (r.u32().ok()?, r.handle().ok()?, r.u64().ok()?);
    let octets = usize::try_from(r.u32().ok()?).ok()?;
    let data: Pieces = std::iter::once(r.rest()).chain(rest.iter().cloned()).collect();
    (data.len() == octets).then_some(ClientPacket::Request { id, request: Request::Write { handle, offset, data } })
}

impl Request {
    fn read(kind: u8, r: &mut Reader<'_>) -> Result<Self, Defect> {
        Ok(match kind {
            kind::OPEN => Self::Open { path: r.name()?, flags: OpenFlags(r.u32()?), attrs: Attrs::read(r)? },
            kind::CLOSE => Self::Close { handle: r.handle()? },
            kind::READ => Self::Read { handle: r.handle()?, offset: r.u64()?, len: r.u32()? },
            kind::WRITE => {
                Self::Write { handle: r.handle()?, offset: r.u64()?, data: r.string(PACKET_OCTETS_MAX)?.into() }
            }
            kind::LSTAT => Self::Lstat { path: r.name()? },
            kind::FSTAT => Self::Fstat { handle: r.handle()? },
            kind::SETSTAT => Self::Setstat { path: r.name()?, attrs: Attrs::read(r)? },
            kind::FSETSTAT => Self::Fsetstat { handle: r.handle()?, attrs: Attrs::read(r)? },
            kind::OPENDIR => Self::Opendir { path: r.name()? },
            kind::READDIR => Self::Readdir { handle: r.handle()? },
            kind::REMOVE => Self::Remove { path: r.name()? },
            kind::MKDIR => Self::Mkdir { path: r.name()?, attrs: Attrs::read(r)? },
            kind::RMDIR => Self::Rmdir { path: r.name()? },
            kind::REALPATH => Self::Realpath { path: r.name()? },
            kind::STAT => Self::Stat { path: r.name()? },
            kind::RENAME => Self::Rename { from: r.name()?, to: r.name()? },
            kind::READLINK => Self::Readlink { path: r.name()? },
            kind::SYMLINK => Self::Symlink { first: r.name()?, second: r.name()? },
            kind::EXTENDED => Self::Extended(Extended::read(r)?),
            kind => Self::Unknown { kind },
        })
    }

    /// The packet with its length field.
    #[must_use]
    pub fn encode(&self, id: u32) -> Bytes {
        let one = |kind, name: &Bytes| Writer::numbered(kind, id, 4 + name.len()).string(name);
        let two = |kind, a: &Bytes, b: &Bytes| Writer::numbered(kind, id, 8 + a.len() + b.len()).string(a).string(b);
        match self {
            Self::Open { path, flags, attrs } => attrs.write(one(kind::OPEN, path).u32(flags.0)),
            Self::Close { handle } => one(kind::CLOSE, handle),
            Self::Read { handle, offset, len } => one(kind::READ, handle).u64(*offset).u32(*len),
            Self::Write { handle, offset, data } => {
                let fields = 16 + handle.len() + data.len();
                Writer::numbered(kind::WRITE, id, fields).string(handle).u64(*offset).string(&data.joined())
            }
            Self::Lstat { path } => one(kind::LSTAT, path),
            Self::Fstat { handle } => one(kind::FSTAT, handle),
            Self::Setstat { path, attrs } => attrs.write(one(kind::SETSTAT, path)),
            Self::Fsetstat { handle, attrs } => attrs.write(one(kind::FSETSTAT, handle)),
            Self::Opendir { path } => one(kind::OPENDIR, path),
            Self::Readdir { handle } => one(kind::READDIR, handle),
            Self::Remove { path } => one(kind::REMOVE, path),
            Self::Mkdir { path, attrs } => attrs.write(one(kind::MKDIR, path)),
            Self::Rmdir { path } => one(kind::RMDIR, path),
            Self::Realpath { path } => one(kind::REALPATH, path),
            Self::Stat { path } => one(kind::STAT, path),
            Self::Rename { from, to } => two(kind::RENAME, from, to),
            Self::Readlink { path } => one(kind::READLINK, path),
            Self::Symlink { first, second } => two(kind::SYMLINK, first, second),
            Self::Extended(extended) => extended.write(Writer::numbered(kind::EXTENDED, id, 64)),
            Self::Unknown { kind } => Writer::numbered(*kind, id, 0),
        }
        .finish()
    }
}
