//! SFTP version 3 packets (draft-ietf-secsh-filexfer-02) and the OpenSSH extensions that peers use, encode beside decode.
//!
//! Pure: no socket, file, clock. Names and handles are octets, never text, so a name that is no UTF-8 survives. What is
//! decoded shares the received buffers; what is short and came in several pieces is joined first.

mod attrs;
mod extended;
mod framer;
mod pieces;
mod reply;
mod request;

use base::{Octets, OctetsError};
use bytes::{BufMut, Bytes, BytesMut};

pub use attrs::{Attrs, KIND_DIRECTORY, KIND_FILE, KIND_LINK, KIND_MASK};
pub use extended::{Extended, Limits, SpaceInfo, extension};
pub use framer::{FrameError, Framer};
pub use pieces::Pieces;
pub use reply::{NameEntry, Reply, ServerPacket, StatusCode, data_head};
pub use request::{ClientPacket, OpenFlags, Request};

/// The version spoken here.
pub const VERSION: u32 = 3;
/// Octets of a packet behind its length field: 256 KiB of data and its head (SFTP-20, limits@openssh.com).
pub const PACKET_OCTETS_MAX: usize = 256 * 1024 + 1024;
/// Octets of the length field before each packet.
pub const LENGTH_OCTETS: usize = 4;
/// Octets of a path or name.
pub const NAME_OCTETS_MAX: usize = 4096;
/// Octets of a handle (draft section 6.3).
pub const HANDLE_OCTETS_MAX: usize = 256;
/// Octets of a status text or language tag.
pub const TEXT_OCTETS_MAX: usize = 4096;
/// Extension pairs of one INIT, VERSION or ATTRS.
pub const PAIRS_MAX: usize = 64;
/// Names of one NAME reply.
pub const NAMES_MAX: usize = 16_384;

/// Packet types (draft section 3).
mod kind {
    pub(super) const INIT: u8 = 1;
    pub(super) const VERSION: u8 = 2;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const LSTAT: u8 = 7;
    pub(super) const FSTAT: u8 = 8;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const FSETSTAT: u8 = 10;
    pub(super) const OPENDIR: u8 = 11;
    pub(super) const READDIR: u8 = 12;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const REALPATH: u8 = 16;
    pub(super) const STAT: u8 = 17;
    pub(super) const RENAME: u8 = 18;
    pub(super) const READLINK: u8 = 19;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const STATUS: u8 = 101;
    pub(super) const HANDLE: u8 = 102;
    pub(super) const DATA: u8 = 103;
    pub(super) const NAME: u8 = 104;
    pub(super) const ATTRS: u8 = 105;
    pub(super) const EXTENDED: u8 = 200;
    pub(super) const EXTENDED_REPLY: u8 = 201;
}

/// Why a packet can't be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// A field is cut off or too long.
    #[error("{0}")]
    Octets(#[from] OctetsError),
    /// More elements than allowed.
    #[error("{count} {what}: at most {max} allowed")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many were stated.
        count: u32,
        /// The bound.
        max: usize,
    },
    /// A packet type that this side does not take.
    #[error("packet type {kind} is not expected here")]
    Kind {
        /// The type.
        kind: u8,
    },
}

/// A packet that can't be read, with the request it belongs to, if that could be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("packet type {kind}: {defect}")]
pub struct WireError {
    /// Its type; 0 if even that is missing.
    pub kind: u8,
    /// Its request number.
    pub id: Option<u32>,
    /// What is wrong.
    pub defect: Defect,
}

/// Reads the fields of one packet; strings share its buffer.
#[derive(Debug)]
struct Reader<'a> {
    packet: &'a Bytes,
    octets: Octets<'a>,
}

impl<'a> Reader<'a> {
    fn new(packet: &'a Bytes) -> Self {
        Self { packet, octets: Octets::new(packet) }
    }

    fn u8(&mut self) -> Result<u8, Defect> {
        Ok(self.octets.u8()?)
    }

    fn u32(&mut self) -> Result<u32, Defect> {
        Ok(self.octets.u32()?)
    }

    fn u64(&mut self) -> Result<u64, Defect> {
        Ok(self.octets.u64()?)
    }

    fn string(&mut self, max: usize) -> Result<Bytes, Defect> {
        Ok(self.packet.slice_ref(self.octets.string(max)?))
    }

    fn name(&mut self) -> Result<Bytes, Defect> {
        self.string(NAME_OCTETS_MAX)
    }

    fn handle(&mut self) -> Result<Bytes, Defect> {
        self.string(HANDLE_OCTETS_MAX)
    }

    fn rest(&self) -> Bytes {
        self.packet.slice_ref(self.octets.rest())
    }

    fn is_empty(&self) -> bool {
        self.octets.rest().is_empty()
    }

    /// Name and data pairs up to the end of the packet.
    fn pairs_to_end(&mut self) -> Result<Vec<(Bytes, Bytes)>, Defect> {
        let mut pairs = Vec::new();
        while !self.is_empty() {
            if pairs.len() == PAIRS_MAX {
                let count = u32::try_from(PAIRS_MAX + 1).unwrap_or(u32::MAX);
                return Err(Defect::TooMany { what: "extension pairs", count, max: PAIRS_MAX });
            }
            pairs.push((self.name()?, self.string(PACKET_OCTETS_MAX)?));
        }
        Ok(pairs)
    }
}

/// Writes one packet and its length field.
#[derive(Debug)]
struct Writer(BytesMut);

impl Writer {
    /// A packet of type `kind` whose fields take about `octets`.
    fn new(kind: u8, octets: usize) -> Self {
        let mut buffer = BytesMut::with_capacity(LENGTH_OCTETS + 1 + octets);
        buffer.put_u32(0);
        buffer.put_u8(kind);
        Self(buffer)
    }

    fn numbered(kind: u8, id: u32, octets: usize) -> Self {
        Self::new(kind, 4 + octets).u32(id)
    }

    fn u32(mut self, n: u32) -> Self {
        self.0.put_u32(n);
        self
    }

    fn u64(mut self, n: u64) -> Self {
        self.0.put_u64(n);
        self
    }

    fn raw(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    fn string(self, octets: &[u8]) -> Self {
        self.u32(length_of(octets.len())).raw(octets)
    }

    fn pairs(self, pairs: &[(Bytes, Bytes)]) -> Self {
        pairs.iter().fold(self, |w, (name, data)| w.string(name).string(data))
    }

    /// The packet, with its length in front.
    fn finish(mut self) -> Bytes {
        let len = length_of(self.0.len().saturating_sub(LENGTH_OCTETS));
        if let Some(field) = self.0.first_chunk_mut::<LENGTH_OCTETS>() {
            *field = len.to_be_bytes();
        }
        self.0.freeze()
    }
}

/// A length on the wire. Nothing that is sent comes near the end of its range.
fn length_of(octets: usize) -> u32 {
    u32::try_from(octets).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
