//! What a server sends (draft sections 4 and 7).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Attrs, Defect, NAMES_MAX, PACKET_OCTETS_MAX, Reader, TEXT_OCTETS_MAX, WireError, Writer, kind, length_of};

/// A packet of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerPacket {
    /// The answer to INIT.
    Version {
        /// The version both use from now on.
        version: u32,
        /// Pairs of extension and data.
        extensions: Vec<(Bytes, Bytes)>,
    },
    /// The answer to a request.
    Reply {
        /// Number of the request.
        id: u32,
        /// The answer.
        reply: Reply,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// How it ended.
    Status {
        /// For programs.
        code: StatusCode,
        /// For people, in UTF-8.
        text: Bytes,
    },
    /// To OPEN and OPENDIR.
    Handle(Bytes),
    /// To READ.
    Data(Bytes),
    /// To READDIR and REALPATH.
    Names(Vec<NameEntry>),
    /// To STAT, LSTAT, FSTAT.
    Attrs(Attrs),
    /// To EXTENDED, in the extension's own form.
    Extended(Bytes),
}

/// A file in a NAME reply.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NameEntry {
    /// Its name.
    pub name: Bytes,
    /// A line for people, as of `ls -l`.
    pub long_name: Bytes,
    /// Its attributes.
    pub attrs: Attrs,
}

/// How a request ended (draft section 7).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs, reason = "names of the draft")]
pub enum StatusCode {
    Ok,
    Eof,
    NoSuchFile,
    PermissionDenied,
    Failure,
    BadMessage,
    NoConnection,
    ConnectionLost,
    Unsupported,
    /// One of a later version.
    Other(u32),
}

impl StatusCode {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::Eof => 1,
            Self::NoSuchFile => 2,
            Self::PermissionDenied => 3,
            Self::Failure => 4,
            Self::BadMessage => 5,
            Self::NoConnection => 6,
            Self::ConnectionLost => 7,
            Self::Unsupported => 8,
            Self::Other(n) => n,
        }
    }

    /// The code with this number.
    #[must_use]
    pub const fn of(number: u32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::Eof,
            2 => Self::NoSuchFile,
            3 => Self::PermissionDenied,
            4 => Self::Failure,
            5 => Self::BadMessage,
            6 => Self::NoConnection,
            7 => Self::ConnectionLost,
            8 => Self::Unsupported,
            n => Self::Other(n),
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Ok => "OK",
            Self::Eof => "EOF",
            Self::NoSuchFile => "NO_SUCH_FILE",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::Failure => "FAILURE",
            Self::BadMessage => "BAD_MESSAGE",
            Self::NoConnection => "NO_CONNECTION",
            Self::ConnectionLost => "CONNECTION_LOST",
            Self::Unsupported => "OP_UNSUPPORTED",
            Self::Other(n) => return write!(f, "status {n}"),
        };
        f.write_str(name)
    }
}

impl ServerPacket {
    /// Reads a packet, without its length field.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(packet: &Bytes) -> Result<Self, WireError> {
        let mut r = Reader::new(packet);
        let kind = r.u8().map_err(|defect| WireError { kind: 0, id: None, defect })?;
        if kind == kind::VERSION {
            let version = r.u32().and_then(|version| Ok(Self::Version { version, extensions: r.pairs_to_end()? }));
            return version.map_err(|defect| WireError { kind, id: None, defect });
        }
        let id = r.u32().map_err(|defect| WireError { kind, id: None, defect })?;
        match Reply::read(kind, &mut r) {
            Ok(reply) => Ok(Self::Reply { id, reply }),
            Err(defect) => Err(WireError { kind, id: Some(id), defect }),
        }
    }

    /// The packet with its length field.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Version { version, extensions } => {
                Writer::new(kind::VERSION, 256).u32(*version).pairs(extensions).finish()
            }
            Self::Reply { id, reply } => reply.encode(*id),
        }
    }
}

impl Reply {
    /// A status reply.
    #[must_use]
    pub fn status(code: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::Status { code, text: text.into() }
    }

    fn read(kind: u8, r: &mut Reader<'_>) -> Result<Self, Defect> {
        Ok(match kind {
            kind::STATUS => {
                let code = StatusCode::of(r.u32()?);
                // Servers of versions before 3 send no text; some call themselves 3 nevertheless.
                let text = if r.is_empty() { Bytes::new() } else { r.string(TEXT_OCTETS_MAX)? };
                Self::Status { code, text }
            }
            kind::HANDLE => Self::Handle(r.handle()?),
            kind::DATA => Self::Data(r.string(PACKET_OCTETS_MAX)?),
            kind::NAME => Self::Names(names(r)?),
            kind::ATTRS => Self::Attrs(Attrs::read(r)?),
            kind::EXTENDED_REPLY => Self::Extended(r.rest()),
            kind => return Err(Defect::Kind { kind }),
        })
    }

    /// The packet with its length field.
    #[must_use]
    pub fn encode(&self, id: u32) -> Bytes {
        match self {
            Self::Status { code, text } => {
                Writer::numbered(kind::STATUS, id, 12 + text.len()).u32(code.number()).string(text).string(b"")
            }
            Self::Handle(handle) => Writer::numbered(kind::HANDLE, id, 4 + handle.len()).string(handle),
            Self::Data(data) => Writer::numbered(kind::DATA, id, 4 + data.len()).string(data),
            Self::Names(entries) => {
                let octets = entries.iter().map(|e| e.name.len() + e.long_name.len() + 48).sum::<usize>();
                let w = Writer::numbered(kind::NAME, id, 4 + octets).u32(length_of(entries.len()));
                entries.iter().fold(w, |w, e| e.attrs.write(w.string(&e.name).string(&e.long_name)))
            }
            Self::Attrs(attrs) => attrs.write(Writer::numbered(kind::ATTRS, id, 32)),
            Self::Extended(data) => Writer::numbered(kind::EXTENDED_REPLY, id, data.len()).raw(data),
        }
        .finish()
    }
}

/// All of a DATA reply with `data_octets` that stands before the data.
///
/// Sending this and then the data as they were read is the same as sending the whole, without copying them.
#[must_use]
pub fn data_head(id: u32, data_octets: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(13);
    head.put_u32(length_of(data_octets + 9));
    head.put_u8(kind::DATA);
    head.put_u32(id);
    head.put_u32(length_of(data_octets));
    head.freeze()
}

fn names(r: &mut Reader<'_>) -> Result<Vec<NameEntry>, Defect> {
    let count = r.u32()?;
    if usize::try_from(count).unwrap_or(usize::MAX) > NAMES_MAX {
        return Err(Defect::TooMany { what: "names", count, max: NAMES_MAX });
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(NameEntry { name: r.name()?, long_name: r.string(PACKET_OCTETS_MAX)?, attrs: Attrs::read(r)? });
    }
    Ok(entries)
}
