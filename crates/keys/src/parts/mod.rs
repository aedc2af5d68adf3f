//! The numbers and points that a key is made of, one file for each family. What is here has been read but not yet
//! checked: [`PublicParts::check`] and [`PrivateParts::check`] do that, and only `PublicKey` and `PrivateKey` call them.

pub(crate) mod dss;
pub(crate) mod ec;
mod ed25519;
mod number;
pub(crate) mod rsa;

pub(crate) use dss::{DssPrivate, DssPublic};
pub(crate) use ec::{Curve, EcPrivate, EcPublic};
pub(crate) use ed25519::{ED25519_OCTETS, Ed25519Private, Ed25519Public};
pub(crate) use number::Number;
pub(crate) use rsa::{PssAlgorithm, RsaPrivate, RsaPublic};

use crate::{KeyAlgorithm, KeyError};

/// A public key in parts.
#[derive(Clone, Eq, PartialEq)]
pub(crate) enum PublicParts {
    Rsa(RsaPublic),
    Dss(DssPublic),
    Ec(EcPublic),
    Ed25519(Ed25519Public),
}

impl PublicParts {
    pub(crate) const fn algorithm(&self) -> KeyAlgorithm {
        match self {
            Self::Rsa(_) => KeyAlgorithm::Rsa,
            Self::Dss(_) => KeyAlgorithm::Dss,
            Self::Ec(key) => key.curve.algorithm(),
            Self::Ed25519(_) => KeyAlgorithm::Ed25519,
        }
    }

    /// The size that people name the key by.
    pub(crate) fn bits(&self) -> u32 {
        match self {
            Self::Rsa(key) => key.n.bits(),
            Self::Dss(key) => key.p.bits(),
            Self::Ec(key) => key.curve.bits(),
            Self::Ed25519(_) => 256,
        }
    }

    /// Refuses what no honest maker of keys produces, and sizes that are never read.
    pub(crate) fn check(&self) -> Result<(), KeyError> {
        match self {
            Self::Rsa(key) => key.check(),
            Self::Dss(key) => key.check(),
            Self::Ec(key) => key.check(),
            Self::Ed25519(key) => key.check(),
        }
    }
}

/// A private key in parts; every secret part is erased on drop.
pub(crate) enum PrivateParts {
    Rsa(RsaPrivate),
    Dss(DssPrivate),
    Ec(EcPrivate),
    Ed25519(Ed25519Private),
}

impl PrivateParts {
    pub(crate) fn public(&self) -> PublicParts {
        match self {
            Self::Rsa(key) => PublicParts::Rsa(key.public.clone()),
            Self::Dss(key) => PublicParts::Dss(key.public.clone()),
            Self::Ec(key) => PublicParts::Ec(key.public.clone()),
            Self::Ed25519(key) => PublicParts::Ed25519(key.public.clone()),
        }
    }

    /// Refuses a private part that does not belong to its public part. The public part has been checked before.
    pub(crate) fn check(&self) -> Result<(), KeyError> {
        match self {
            Self::Rsa(key) => key.check(),
            Self::Dss(key) => key.check(),
            Self::Ec(key) => key.check(),
            Self::Ed25519(key) => key.check(),
        }
    }
}
