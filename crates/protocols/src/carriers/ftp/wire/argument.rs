//! What stands behind a verb or a reply code.

use std::fmt;

use base::Shown;
use bytes::Bytes;

/// Octets that fit on a line: no CR, LF or NUL (FTP-24, FTP-25). To hold one is proof of that.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Argument(Bytes);

/// Why octets do not fit on a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it holds a CR, LF or NUL, which no line of FTP can carry: use another name")]
pub struct ArgumentError;

impl Argument {
    /// Takes octets in, if they fit on a line.
    ///
    /// # Errors
    /// [`ArgumentError`] for CR, LF or NUL.
    pub fn new(octets: impl Into<Bytes>) -> Result<Self, ArgumentError> {
        let octets = octets.into();
        if octets.iter().any(|o| matches!(o, b'\r' | b'\n' | 0)) { Err(ArgumentError) } else { Ok(Self(octets)) }
    }

    /// What came or is to be sent.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The same with `?` for whatever does not fit on a line.
    #[must_use]
    pub fn made_to_fit(octets: &[u8]) -> Self {
        let fits = |o: &u8| if matches!(o, b'\r' | b'\n' | 0) { b'?' } else { *o };
        Self(octets.iter().map(fits).collect())
    }
}

impl fmt::Debug for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Shown(&self.0))
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}
