//! Signatures by a private key, wherever it is: in memory ([`PrivateKey`]) or in a token ([`crate::token::TokenSigner`]).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    VerificationAlgorithm,
};

use crate::asn1::sequence;
use crate::parts::{Curve, PrivateParts};
use crate::ssh_wire::Wire;
use crate::token::TokenError;
use crate::{KeyAlgorithm, KeyError, PrivateKey, PublicKey};

/// A way to sign. Names and meaning are those of TLS (RFC 8446 section 4.2.3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum SignatureScheme {
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    /// The salt is as long as the hash.
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    EcdsaNistp256Sha256,
    EcdsaNistp384Sha384,
    EcdsaNistp521Sha512,
    Ed25519,
}

impl SignatureScheme {
    /// The schemes of a key, the best first. A DSS key, and an RSA key for PSS signatures only, has none here.
    #[must_use]
    pub const fn of(key: &PublicKey) -> &'static [Self] {
        match key.algorithm() {
            KeyAlgorithm::Rsa if key.is_pss_only() => &[],
            KeyAlgorithm::Rsa => &[
                Self::RsaPssSha256,
                Self::RsaPssSha384,
                Self::RsaPssSha512,
                Self::RsaPkcs1Sha256,
                Self::RsaPkcs1Sha384,
                Self::RsaPkcs1Sha512,
            ],
            KeyAlgorithm::EcdsaNistp256 => &[Self::EcdsaNistp256Sha256],
            KeyAlgorithm::EcdsaNistp384 => &[Self::EcdsaNistp384Sha384],
            KeyAlgorithm::EcdsaNistp521 => &[Self::EcdsaNistp521Sha512],
            KeyAlgorithm::Ed25519 => &[Self::Ed25519],
            KeyAlgorithm::Dss => &[],
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::RsaPkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::RsaPkcs1Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPkcs1Sha512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::RsaPssSha256 => &RSA_PSS_2048_8192_SHA256,
            Self::RsaPssSha384 => &RSA_PSS_2048_8192_SHA384,
            Self::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
            Self::EcdsaNistp256Sha256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaNistp384Sha384 => &ECDSA_P384_SHA384_ASN1,
            Self::EcdsaNistp521Sha512 => &ECDSA_P521_SHA512_ASN1,
            Self::Ed25519 => &ED25519,
        }
    }

    const fn rsa_encoding(self) -> Option<&'static dyn RsaEncoding> {
        Some(match self {
            Self::RsaPkcs1Sha256 => &RSA_PKCS1_SHA256,
            Self::RsaPkcs1Sha384 => &RSA_PKCS1_SHA384,
            Self::RsaPkcs1Sha512 => &RSA_PKCS1_SHA512,
            Self::RsaPssSha256 => &RSA_PSS_SHA256,
            Self::RsaPssSha384 => &RSA_PSS_SHA384,
            Self::RsaPssSha512 => &RSA_PSS_SHA512,
            _ => return None,
        })
    }
}

/// Why nothing was signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Key and scheme do not go together.
    #[error("{algorithm} key makes no {scheme:?} signatures")]
    Scheme {
        /// Kind of the key.
        algorithm: KeyAlgorithm,
        /// What was asked for.
        scheme: SignatureScheme,
    },
    /// The key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// A private key that signs. Its octets are not asked for: they may be out of reach.
pub trait Signer: fmt::Debug + Send + Sync {
    /// Its public key.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message`: ECDSA as the ASN.1 structure that TLS and certificates carry (RFC 3279 section 2.2.3), the others
    /// as they are.
    ///
    /// # Errors
    /// [`SignError::Scheme`] for a scheme that [`SignatureScheme::of`] the key does not name; [`SignError::Key`],
    /// [`SignError::Token`].
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Whether [`Self::sign`] may wait for something outside the program, for seconds at worst: then it is not for a thread
    /// that serves others.
    fn may_wait(&self) -> bool {
        false
    }
}

impl PublicKey {
    /// Whether the private part of this key made `signature` over `message`. RSA keys below 2048 bits never did.
    #[must_use]
    pub fn verifies(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
        SignatureScheme::of(self).contains(&scheme)
            && ParsedPublicKey::new(scheme.verification(), self.spki_der())
                .is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

/// Signs `message` as SSH carries signatures: the name of the algorithm and its octets (RFC 4253 section 6.6, RFC 8332
/// section 3, RFC 5656 section 3.1.2, RFC 8709 section 6). `sha512` is for RSA keys; others have one hash.
///
/// # Errors
/// As [`Signer::sign`].
pub fn ssh_signature(signer: &dyn Signer, sha512: bool, message: &[u8]) -> Result<Vec<u8>, SignError> {
    let key = signer.public_key();
    let (name, scheme) = match key.algorithm() {
        KeyAlgorithm::Rsa if sha512 => ("rsa-sha2-512", SignatureScheme::RsaPkcs1Sha512),
        KeyAlgorithm::Rsa => ("rsa-sha2-256", SignatureScheme::RsaPkcs1Sha256),
        other => match SignatureScheme::of(key) {
            [scheme, ..] => (other.ssh_name(), *scheme),
            [] => return Err(KeyError::Unsupported { what: format!("a {other} key signs nothing here") }.into()),
        },
    };
    let made = signer.sign(scheme, message)?;
    let mut wire = Wire::default();
    wire.string(name.as_bytes());
    match key.algorithm() {
        KeyAlgorithm::EcdsaNistp256 | KeyAlgorithm::EcdsaNistp384 | KeyAlgorithm::EcdsaNistp521 => {
            let mut numbers = Wire::default();
            let mut values = sequence("ECDSA signature", &made)?;
            numbers.string(&values.unsigned()?.signed_octets());
            numbers.string(&values.unsigned()?.signed_octets());
            wire.string(&numbers.0);
        }
        _ => wire.string(&made),
    }
    Ok(wire.0.to_vec())
}

/// A private key as the cryptographic library uses it.
pub(crate) enum Pair {
    Rsa(aws_lc_rs::rsa::KeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    pub(crate) fn of(key: &PrivateKey) -> Result<Self, KeyError> {
        let failed = KeyError::Engine { what: "preparing a key for signing" };
        let pkcs8 = key.to_bytes();
        match key.parts() {
            PrivateParts::Rsa(_) => {
                aws_lc_rs::rsa::KeyPair::from_pkcs8(pkcs8.expose()).map(Self::Rsa).map_err(|_| failed)
            }
            PrivateParts::Ec(parts) => {
                EcdsaKeyPair::from_pkcs8(ecdsa(parts.public.curve), pkcs8.expose()).map(Self::Ec).map_err(|_| failed)
            }
            PrivateParts::Ed25519(parts) => {
                let pair = Ed25519KeyPair::from_seed_and_public_key(parts.seed.as_slice(), &parts.public.0);
                pair.map(Self::Ed25519).map_err(|_| failed)
            }
            PrivateParts::Dss(_) => Err(KeyError::Unsupported { what: "a DSS key signs nothing here".to_owned() }),
        }
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        self.public()
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        fits(self.public(), scheme)?;
        let failed = |_| SignError::Key(KeyError::Engine { what: "signing" });
        match self.pair()? {
            Pair::Rsa(pair) => {
                let algorithm = self.public().algorithm();
                let encoding = scheme.rsa_encoding().ok_or(SignError::Scheme { algorithm, scheme })?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::Ec(pair) => {
                pair.sign(&SystemRandom::new(), message).map(|made| made.as_ref().to_vec()).map_err(failed)
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// Refuses a scheme that the key does not have.
pub(crate) fn fits(key: &PublicKey, scheme: SignatureScheme) -> Result<(), SignError> {
    match SignatureScheme::of(key).contains(&scheme) {
        true => Ok(()),
        false => Err(SignError::Scheme { algorithm: key.algorithm(), scheme }),
    }
}

const fn ecdsa(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::any_key;

    // Whoever holds a key in memory and whoever holds one in a token call the same trait.
    #[test]
    fn every_scheme_of_every_key_signs_and_verifies() {
        for algorithm in KeyAlgorithm::ALL {
            let key = any_key(algorithm);
            let signer: &dyn Signer = &key;
            for scheme in SignatureScheme::of(signer.public_key()) {
                let signature = signer.sign(*scheme, b"message").unwrap();
                assert!(key.public().verifies(*scheme, b"message", &signature), "{algorithm} {scheme:?}");
                assert!(!key.public().verifies(*scheme, b"another", &signature), "{algorithm} {scheme:?}");
            }
            assert!(!signer.may_wait());
        }
    }

    #[test]
    fn a_scheme_of_another_key_is_refused() {
        let key = any_key(KeyAlgorithm::Ed25519);
        let refused = key.sign(SignatureScheme::RsaPssSha256, b"message").unwrap_err();
        assert_eq!(refused.to_string(), "ED25519 key makes no RsaPssSha256 signatures");
        let dss = any_key(KeyAlgorithm::Dss);
        assert!(dss.sign(SignatureScheme::Ed25519, b"message").is_err());
    }
}
