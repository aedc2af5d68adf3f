//! The six kinds of bare key.

use std::fmt;
use std::str::FromStr;

use crate::KeyError;

/// Kind of a bare key, as the commands and the store name it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum KeyAlgorithm {
    /// RSA, signatures by PKCS#1 v1.5 (RFC 8017, RFC 8332).
    Rsa,
    /// The Digital Signature Standard with a 160-bit subgroup (RFC 4253 section 6.6). For old partners only.
    Dss,
    /// ECDSA on NIST P-256 (RFC 5656).
    EcdsaNistp256,
    /// ECDSA on NIST P-384 (RFC 5656).
    EcdsaNistp384,
    /// ECDSA on NIST P-521 (RFC 5656).
    EcdsaNistp521,
    /// Ed25519 (RFC 8709).
    Ed25519,
}

impl KeyAlgorithm {
    /// Every algorithm, in the order of the manual.
    pub const ALL: [Self; 6] =
        [Self::Rsa, Self::Dss, Self::EcdsaNistp256, Self::EcdsaNistp384, Self::EcdsaNistp521, Self::Ed25519];

    /// The documented name: `RSA`, `DSS`, `ECDSA_NISTP256`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Dss => "DSS",
            Self::EcdsaNistp256 => "ECDSA_NISTP256",
            Self::EcdsaNistp384 => "ECDSA_NISTP384",
            Self::EcdsaNistp521 => "ECDSA_NISTP521",
            Self::Ed25519 => "ED25519",
        }
    }

    /// The name inside an SSH key blob (RFC 4253 section 6.6, RFC 5656 section 6.2, RFC 8709 section 4).
    #[must_use]
    pub const fn ssh_name(self) -> &'static str {
        match self {
            Self::Rsa => "ssh-rsa",
            Self::Dss => "ssh-dss",
            Self::EcdsaNistp256 => "ecdsa-sha2-nistp256",
            Self::EcdsaNistp384 => "ecdsa-sha2-nistp384",
            Self::EcdsaNistp521 => "ecdsa-sha2-nistp521",
            Self::Ed25519 => "ssh-ed25519",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| KeyError::AlgorithmName { text: base::octets_text(text.as_bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert_eq!("ed25519".parse(), Ok(KeyAlgorithm::Ed25519));
        assert!("DSA\n".parse::<KeyAlgorithm>().is_err());
    }
}
