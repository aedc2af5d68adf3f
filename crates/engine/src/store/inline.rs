//! Small payloads that live in their database row.

/// Octets of content that still go inline.
pub const INLINE_OCTETS_MAX: usize = 16 << 10;

/// Sealed content for the column `payload.inline_sealed`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InlinePayload(Vec<u8>);

impl InlinePayload {
    /// As read from the database.
    #[must_use]
    pub const fn from_row(sealed: Vec<u8>) -> Self {
        Self(sealed)
    }

    /// As it goes into the database.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.0
    }
}
