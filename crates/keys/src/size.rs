//! Which sizes of bare key are allowed.

use crate::{KeyAlgorithm, KeyError, PublicKey};

/// Allowed sizes, in bits, both ends included. Curves have one size each and are not limited here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SizeLimits {
    /// Smallest RSA modulus.
    pub rsa_min: u32,
    /// Largest RSA modulus.
    pub rsa_max: u32,
    /// Smallest DSS modulus.
    pub dss_min: u32,
    /// Largest DSS modulus.
    pub dss_max: u32,
}

impl Default for SizeLimits {
    /// Bare keys: RSA of 2048 to 4096 bits, DSS of 1024 (KEY-1, KEY-2). A setting may lift RSA to 8192.
    fn default() -> Self {
        Self { rsa_min: 2048, rsa_max: 4096, dss_min: 1024, dss_max: 1024 }
    }
}

/// Refuses a key whose size is not allowed.
///
/// # Errors
/// [`KeyError::Size`].
pub fn check_size(key: &PublicKey, limits: &SizeLimits) -> Result<(), KeyError> {
    let (algorithm, bits) = (key.algorithm(), key.bits());
    let (min, max) = match algorithm {
        KeyAlgorithm::Rsa => (limits.rsa_min, limits.rsa_max),
        KeyAlgorithm::Dss => (limits.dss_min, limits.dss_max),
        _ => return Ok(()),
    };
    if (min..=max).contains(&bits) { Ok(()) } else { Err(KeyError::Size { algorithm, bits, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::{Number, PublicParts, RsaPublic};
    use crate::tests::any_key;

    /// A public key is sane from its numbers alone; nobody needs to know the factors of this one.
    fn rsa(bits: u32) -> Result<PublicKey, KeyError> {
        let mut n = vec![0; usize::try_from(bits.div_ceil(8)).unwrap()];
        n[0] = 1 << ((bits - 1) % 8);
        *n.last_mut().unwrap() |= 1;
        PublicKey::from_parts(&PublicParts::Rsa(RsaPublic::new(Number::new(&n), Number::new(&[1, 0, 1]))))
    }

    // KEY-2
    #[test]
    fn rsa_sizes() {
        let lifted = SizeLimits { rsa_max: 8192, ..SizeLimits::default() };
        for (bits, usual, with_setting) in
            [(1024, false, false), (2047, false, false), (2048, true, true), (4096, true, true), (4097, false, true)]
        {
            let key = rsa(bits).unwrap();
            assert_eq!(key.bits(), bits);
            assert_eq!(check_size(&key, &SizeLimits::default()).is_ok(), usual, "{bits}");
            assert_eq!(check_size(&key, &lifted).is_ok(), with_setting, "{bits}");
        }
        assert!(check_size(&rsa(8192).unwrap(), &lifted).is_ok());
        assert!(rsa(1023).is_err() && rsa(8193).is_err());
        let text = check_size(&rsa(8192).unwrap(), &SizeLimits::default()).unwrap_err().to_string();
        assert_eq!(text, "RSA key of 8192 bits: 2048 to 4096 bits are allowed");
    }

    // KEY-1
    #[test]
    fn the_other_kinds_have_allowed_sizes() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(check_size(any_key(algorithm).public(), &SizeLimits::default()), Ok(()), "{algorithm}");
        }
        let none = SizeLimits { dss_max: 0, ..SizeLimits::default() };
        assert!(check_size(any_key(KeyAlgorithm::Dss).public(), &none).is_err());
    }
}
