//! Lines out of what arrives.

use bytes::{Buf, Bytes, BytesMut};

/// A line that does not end within its bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a line has more than {max} octets: keep names shorter")]
pub struct LineTooLong {
    /// The bound.
    pub max: usize,
}

/// Cuts a stream into lines. Ends are CR LF; a bare LF is taken as well, as most servers do.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// Octets of the buffer that hold no LF.
    looked_at: usize,
    line_octets_max: usize,
}

impl Lines {
    /// For lines of at most so many octets, their end included.
    #[must_use]
    pub fn new(line_octets_max: usize) -> Self {
        Self { buffer: BytesMut::new(), looked_at: 0, line_octets_max }
    }

    /// Where the next octets are read to; there is room for a line at least.
    pub fn room(&mut self) -> &mut BytesMut {
        self.buffer.reserve(self.line_octets_max);
        &mut self.buffer
    }

    /// Whether octets have come that are not in a line taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    /// [`LineTooLong`]: the stream is of no use any more.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        let unseen = self.buffer.get(self.looked_at..).unwrap_or_default();
        let end = unseen.iter().position(|o| *o == b'\n').map(|at| at + self.looked_at);
        let max = self.line_octets_max;
        match end {
            Some(end) if end < max => {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                self.looked_at = 0;
                let without_cr = line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len);
                Ok(Some(line.slice(..without_cr)))
            }
            None if self.buffer.len() < max => {
                self.looked_at = self.buffer.len();
                Ok(None)
            }
            _ => Err(LineTooLong { max }),
        }
    }
}
