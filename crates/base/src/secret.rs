//! Values that must not be seen.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A value erased on drop, never printed, cloned or serialised. [`Secret::expose`] is the one door to it.
#[derive(ZeroizeOnDrop)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that uses it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Whether two octet strings are equal, in a time that depends on their length only.
#[must_use]
pub fn same_octets(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("pass".to_owned())), "Secret(redacted)");
    }

    #[test]
    fn octets_compare() {
        assert!(same_octets(b"abc", b"abc"));
        assert!(!same_octets(b"abc", b"abd"));
        assert!(!same_octets(b"abc", b"ab"));
    }
}
