//! Lines of a file on the wire and here (RFC 959 section 3.1.1.1): CR LF there, LF here.

use bytes::{BufMut, Bytes, BytesMut};

/// Turns what arrives into lines of ours. A CR that no LF follows is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct FromWire {
    /// A CR that came last and is not passed on yet.
    cr: bool,
}

impl FromWire {
    /// The next octets.
    pub fn feed(&mut self, octets: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(octets.len() + 1);
        for octet in octets {
            if self.cr && *octet != b'\n' {
                out.put_u8(b'\r');
            }
            self.cr = *octet == b'\r';
            if !self.cr {
                out.put_u8(*octet);
            }
        }
        out.freeze()
    }

    /// What is left at the end.
    #[must_use]
    pub fn end(self) -> Bytes {
        if self.cr { Bytes::from_static(b"\r") } else { Bytes::new() }
    }
}

/// Turns lines of ours into what is sent. A line that ends with CR LF already stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToWire {
    cr: bool,
}

impl ToWire {
    /// The next octets.
    pub fn feed(&mut self, octets: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(octets.len() + octets.len() / 16 + 2);
        for octet in octets {
            if *octet == b'\n' && !self.cr {
                out.put_u8(b'\r');
            }
            self.cr = *octet == b'\r';
            out.put_u8(*octet);
        }
        out.freeze()
    }
}
