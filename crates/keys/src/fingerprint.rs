//! The name of a public key.
use std::fmt;
use std::str::FromStr;
use crate::KeyError;

/// SHA-256 of the SSH wire blob of a public key (KEY-5).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub [u8; 32]);
impl Fingerprint {
    /// 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String { base::hex(&self.0) }
    /// Eight words to compare by telephone.
    #[must_use]
    pub fn words(&self) -> String { todo!() }
}
impl fmt::Display for Fingerprint {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result { todo!() }
}
impl FromStr for Fingerprint {
    type Err = KeyError;
    fn from_str(_: &str) -> Result<Self, KeyError> { todo!() }
}
