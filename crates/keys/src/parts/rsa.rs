//! RSA keys (RFC 8017 section 3).

use super::Number;
use crate::limits::{RSA_BITS_MAX, RSA_BITS_MIN, RSA_EXPONENT_BITS_MAX};
use crate::{KeyAlgorithm, KeyError};

/// Modulus and public exponent.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct RsaPublic {
    pub(crate) n: Number,
    pub(crate) e: Number,
    /// Says that it makes PSS signatures only.
    pub(crate) pss: Option<Box<PssAlgorithm>>,
}

/// The content of the AlgorithmIdentifier of a key that makes PSS signatures only (RFC 4055 section 1.2).
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct PssAlgorithm(pub(crate) Vec<u8>);

impl RsaPublic {
    /// A key for any signature.
    pub(crate) const fn new(n: Number, e: Number) -> Self {
        Self { n, e, pss: None }
    }

    pub(super) fn check(&self) -> Result<(), KeyError> {
        let bits = self.n.bits();
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(KeyError::Size { algorithm: KeyAlgorithm::Rsa, bits, min: RSA_BITS_MIN, max: RSA_BITS_MAX });
        }
        if !self.n.is_odd() {
            return invalid("its modulus is even");
        }
        if !self.e.is_odd() || self.e.is_one() {
            return invalid("its public exponent is not an odd number from 3");
        }
        if self.e.bits() > RSA_EXPONENT_BITS_MAX {
            return invalid("its public exponent has more than 33 bits");
        }
        Ok(())
    }
}

/// A key of two primes, with what speeds up its use.
pub(crate) struct RsaPrivate {
    pub(crate) public: RsaPublic,
    /// The private exponent.
    pub(crate) d: Number,
    pub(crate) p: Number,
    pub(crate) q: Number,
    /// d modulo p-1; computed where the file does not hold it.
    pub(crate) dp: Number,
    /// d modulo q-1.
    pub(crate) dq: Number,
    /// The inverse of q modulo p.
    pub(crate) iqmp: Number,
}

impl RsaPrivate {
    /// A key of the numbers that an OPENSSH file holds; the two others are computed.
    pub(crate) fn from_ssh_numbers(public: RsaPublic, [d, iqmp, p, q]: [Number; 4]) -> Result<Self, KeyError> {
        let rest = |prime: &Number| d.modulo(&prime.less_one());
        match (rest(&p), rest(&q)) {
            (Some(dp), Some(dq)) => Ok(Self { public, d, p, q, dp, dq, iqmp }),
            _ => invalid("a prime is too small"),
        }
    }

    pub(super) fn check(&self) -> Result<(), KeyError> {
        let RsaPublic { n, e, .. } = &self.public;
        if !self.p.looks_prime() || !self.q.looks_prime() {
            return invalid("a factor of its modulus is not prime");
        }
        let inverse = |rest: &Number, prime: &Number| {
            e.times(rest).modulo(&prime.less_one()).is_some_and(|n| n.is_one())
                && self.d.modulo(&prime.less_one()).as_ref() == Some(rest)
        };
        let belongs = self.p.times(&self.q) == *n
            && self.d.is_below(n)
            && inverse(&self.dp, &self.p)
            && inverse(&self.dq, &self.q)
            && self.q.times(&self.iqmp).modulo(&self.p).is_some_and(|n| n.is_one());
        if belongs { Ok(()) } else { Err(KeyError::Mismatch { algorithm: KeyAlgorithm::Rsa }) }
    }
}

fn invalid<T>(why: &'static str) -> Result<T, KeyError> {
    Err(KeyError::Invalid { algorithm: KeyAlgorithm::Rsa, why })
}
