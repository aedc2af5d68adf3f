//! Octets in the pieces in which they came.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// Octets, in one piece or several. Two are equal if their octets are.
#[derive(Clone, Default)]
pub struct Pieces {
    list: Vec<Bytes>,
    octets: usize,
}

impl Pieces {
    /// How many octets there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.octets
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// The pieces in order; none is empty.
    #[must_use]
    pub fn list(&self) -> &[Bytes] {
        &self.list
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.octets = self.octets.saturating_add(piece.len());
            self.list.push(piece);
        }
    }

    /// All of it in one piece; copied only if there are several.
    #[must_use]
    pub fn joined(&self) -> Bytes {
        match self.list.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            several => {
                let mut all = BytesMut::with_capacity(self.octets);
                several.iter().for_each(|piece| all.extend_from_slice(piece));
                all.freeze()
            }
        }
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.joined().fmt(f)
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Self {
        let mut pieces = Self::default();
        pieces.push(piece);
        pieces
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(all: I) -> Self {
        let mut pieces = Self::default();
        all.into_iter().for_each(|piece| pieces.push(piece));
        pieces
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets && self.list.iter().flatten().eq(other.list.iter().flatten())
    }
}

impl Eq for Pieces {}
