//! DSS keys (FIPS 186-2, RFC 4253 section 6.6): for old partners only.

use super::Number;
use crate::limits::{DSS_BITS_MAX, DSS_BITS_MIN, DSS_SUBGROUP_BITS};
use crate::{KeyAlgorithm, KeyError};

/// Domain and public value.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct DssPublic {
    pub(crate) p: Number,
    pub(crate) q: Number,
    pub(crate) g: Number,
    pub(crate) y: Number,
}

impl DssPublic {
    /// Domain and what follows from the secret `x`.
    pub(crate) fn of([p, q, g]: [Number; 3], x: &Number) -> Result<Self, KeyError> {
        let domain = Self { y: Number::new(&[2]), p, q, g };
        domain.check_sizes()?;
        match domain.g.power(x, &domain.p) {
            Some(y) => Ok(Self { y, ..domain }),
            None => invalid("its modulus is even"),
        }
    }

    pub(super) fn check(&self) -> Result<(), KeyError> {
        self.check_sizes()?;
        if !self.p.is_odd() || !self.q.is_odd() {
            return invalid("a prime of it is even");
        }
        if !self.p.less_one().modulo(&self.q).is_some_and(|rest| rest.octets().is_empty()) {
            return invalid("its subgroup does not divide its modulus");
        }
        let in_subgroup =
            |n: &Number| n.is_below(&self.p) && n.bits() > 1 && n.power(&self.q, &self.p).is_some_and(|n| n.is_one());
        if in_subgroup(&self.g) && in_subgroup(&self.y) { Ok(()) } else { invalid("a value lies outside its subgroup") }
    }

    /// Sizes come first, so that the arithmetic is bounded.
    fn check_sizes(&self) -> Result<(), KeyError> {
        let (bits, subgroup) = (self.p.bits(), self.q.bits());
        if !(DSS_BITS_MIN..=DSS_BITS_MAX).contains(&bits) {
            return Err(KeyError::Size { algorithm: KeyAlgorithm::Dss, bits, min: DSS_BITS_MIN, max: DSS_BITS_MAX });
        }
        if subgroup != DSS_SUBGROUP_BITS {
            return Err(KeyError::DssSubgroup { bits: subgroup });
        }
        if self.g.bits() > bits || self.y.bits() > bits {
            return invalid("a value lies outside its subgroup");
        }
        Ok(())
    }
}

/// A private key.
pub(crate) struct DssPrivate {
    pub(crate) public: DssPublic,
    pub(crate) x: Number,
}

impl DssPrivate {
    pub(super) fn check(&self) -> Result<(), KeyError> {
        let DssPublic { p, q, g, y } = &self.public;
        if self.x.octets().is_empty() || !self.x.is_below(q) {
            return invalid("its secret number is out of range");
        }
        if g.power(&self.x, p).as_ref() == Some(y) {
            Ok(())
        } else {
            Err(KeyError::Mismatch { algorithm: KeyAlgorithm::Dss })
        }
    }
}

fn invalid<T>(why: &'static str) -> Result<T, KeyError> {
    Err(KeyError::Invalid { algorithm: KeyAlgorithm::Dss, why })
}
