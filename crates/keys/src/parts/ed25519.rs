//! Ed25519 keys (RFC 8032).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::{KeyAlgorithm, KeyError};

/// Octets of a public key, and of a seed.
pub(crate) const ED25519_OCTETS: usize = 32;

/// A point, encoded.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Ed25519Public(pub(crate) [u8; ED25519_OCTETS]);

impl Ed25519Public {
    pub(crate) fn new(octets: &[u8]) -> Result<Self, KeyError> {
        match octets.try_into() {
            Ok(point) => Ok(Self(point)),
            Err(_) => {
                Err(KeyError::Invalid { algorithm: KeyAlgorithm::Ed25519, why: "its public part has not 32 octets" })
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), KeyError> {
        let why = match ed25519_dalek::VerifyingKey::from_bytes(&self.0) {
            Ok(point) if !point.is_weak() => return Ok(()),
            // Such a key accepts signatures that anybody can make.
            Ok(_) => "its public part is a point of small order",
            Err(_) => "its public part is no point of the curve",
        };
        Err(KeyError::Invalid { algorithm: KeyAlgorithm::Ed25519, why })
    }
}

/// A seed and its point.
pub(crate) struct Ed25519Private {
    pub(crate) public: Ed25519Public,
    pub(crate) seed: Zeroizing<[u8; ED25519_OCTETS]>,
}

impl Ed25519Private {
    /// The key of a seed.
    pub(crate) fn from_seed(seed: &[u8]) -> Result<Self, KeyError> {
        let seed: Zeroizing<[u8; ED25519_OCTETS]> = Zeroizing::new(seed.try_into().map_err(|_| KeyError::Invalid {
            algorithm: KeyAlgorithm::Ed25519,
            why: "its private part has not 32 octets",
        })?);
        Ok(Self { public: public_of(&seed)?, seed })
    }

    pub(super) fn check(&self) -> Result<(), KeyError> {
        if public_of(&self.seed)? == self.public {
            Ok(())
        } else {
            Err(KeyError::Mismatch { algorithm: KeyAlgorithm::Ed25519 })
        }
    }
}

fn public_of(seed: &[u8; ED25519_OCTETS]) -> Result<Ed25519Public, KeyError> {
    let pair =
        Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Engine { what: "making an Ed25519 key" })?;
    Ed25519Public::new(pair.public_key().as_ref())
}
