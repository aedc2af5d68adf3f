//! Reading octets within bounds, and their text form.

/// Why reading stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OctetsError {
    /// The message ends too early.
    #[error("message ends early: {wanted} octets expected, {left} left")]
    Short {
        /// Octets asked for.
        wanted: usize,
        /// Octets there.
        left: usize,
    },
    /// A string above the bound.
    #[error("string of {len} octets: at most {max} allowed")]
    Long {
        /// Its stated length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// Octets after the last field.
    #[error("message has {left} octets behind its last field")]
    Trailing {
        /// Octets left.
        left: usize,
    },
}

/// A cursor over received octets, big-endian; every read is checked.
#[derive(Clone, Copy, Debug)]
pub struct Octets<'a> {
    rest: &'a [u8],
}

impl<'a> Octets<'a> {
    /// A cursor at the start of `all`.
    #[must_use]
    pub const fn new(all: &'a [u8]) -> Self {
        Self { rest: all }
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` octets.
    ///
    /// # Errors
    /// [`OctetsError::Short`].
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], OctetsError> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or(OctetsError::Short { wanted: n, left: self.rest.len() })?;
        self.rest = rest;
        Ok(taken)
    }

    /// One octet.
    ///
    /// # Errors
    /// [`OctetsError::Short`].
    pub fn u8(&mut self) -> Result<u8, OctetsError> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// [`OctetsError::Short`].
    pub fn u32(&mut self) -> Result<u32, OctetsError> {
        Ok(self.take(4)?.iter().fold(0, |n, o| (n << 8) | u32::from(*o)))
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// [`OctetsError::Short`].
    pub fn u64(&mut self) -> Result<u64, OctetsError> {
        Ok(self.take(8)?.iter().fold(0, |n, o| (n << 8) | u64::from(*o)))
    }

    /// A string with a 32-bit length before it (RFC 4251 section 5), at most `max` octets.
    ///
    /// # Errors
    /// [`OctetsError::Short`], [`OctetsError::Long`].
    pub fn string(&mut self, max: usize) -> Result<&'a [u8], OctetsError> {
        let len = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if len > max {
            return Err(OctetsError::Long { len, max });
        }
        self.take(len)
    }

    /// Says that nothing may be left.
    ///
    /// # Errors
    /// [`OctetsError::Trailing`].
    pub const fn end(self) -> Result<(), OctetsError> {
        if self.rest.is_empty() { Ok(()) } else { Err(OctetsError::Trailing { left: self.rest.len() }) }
    }
}

/// Lower-case hexadecimal text of `octets`.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, o| {
        for nibble in [o >> 4, o & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('?'));
        }
        text
    })
}

/// Octets of a hexadecimal text; `None` if it is none.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|d| d.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, d| (n << 4) | d)).collect())
}

/// Fresh random octets of the operating system (BP-13).
///
/// # Errors
/// The system's, if it has no random numbers to give.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(std::io::Error::other)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_stay_in_bounds() {
        let mut o = Octets::new(&[0, 0, 0, 2, b'a', b'b', 9]);
        assert_eq!(o.string(8), Ok(&b"ab"[..]));
        assert_eq!(o.u32(), Err(OctetsError::Short { wanted: 4, left: 1 }));
        assert_eq!(o.end(), Err(OctetsError::Trailing { left: 1 }));
        assert_eq!(Octets::new(&[255; 8]).string(64), Err(OctetsError::Long { len: 0xffff_ffff, max: 64 }));
    }

    proptest! {
        #[test]
        fn hex_survives(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(unhex(&hex(&octets)), Some(octets));
        }
    }
}
