//! Signatures on certificates and revocation lists.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA1_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use super::policy::Algorithms;
use crate::certificate::{Certificate, HashFunction, KeyKind, SignatureAlgorithm, SubjectKey};

/// Why a signature does not count.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureFailure {
    /// It was not made by that key over those octets.
    #[error("its signature was not made by the key of the issuer")]
    Wrong,
    /// The policy does not let it count.
    #[error("it is signed by {0}, which is allowed by the weak switch only")]
    Weak(SignatureAlgorithm),
    /// It can't be verified.
    #[error("it is signed by {0}, which can't be verified here")]
    Unknown(SignatureAlgorithm),
    /// Algorithm and key do not go together.
    #[error("it is signed by {algorithm}, but the key of the issuer is {key}")]
    KeyMismatch {
        /// What the signature says.
        algorithm: SignatureAlgorithm,
        /// What the issuer has.
        key: KeyKind,
    },
}

/// Verifies what `issuer` is said to have signed.
pub(crate) fn verify(
    algorithm: SignatureAlgorithm,
    issuer: &SubjectKey,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), SignatureFailure> {
    let method = method(algorithm, issuer)?;
    UnparsedPublicKey::new(method, &issuer.octets).verify(signed, signature).map_err(|_| SignatureFailure::Wrong)
}

/// Verifies what the holder of `certificate` has signed, as in a handshake. Nothing is said of the certificate itself.
///
/// # Errors
/// [`SignatureFailure`].
pub fn verify_signed(
    certificate: &Certificate,
    algorithm: SignatureAlgorithm,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), SignatureFailure> {
    verify(algorithm, certificate.subject_key(), signed, signature)
}

/// Whether `issuer` has signed `certificate`. Whether it may, is not asked.
#[must_use]
pub fn certifies(issuer: &Certificate, certificate: &Certificate) -> bool {
    verify_certificate(certificate, issuer).is_ok()
}

/// Verifies the signature on `certificate`.
pub(crate) fn verify_certificate(certificate: &Certificate, issuer: &Certificate) -> Result<(), SignatureFailure> {
    let (signed, signature) = (certificate.signed_octets(), certificate.signature_octets());
    verify(certificate.signature_algorithm(), issuer.subject_key(), signed, signature)
}

/// Says whether signatures by `algorithm` count at all.
pub(crate) fn allowed(algorithm: SignatureAlgorithm, policy: Algorithms) -> Result<(), SignatureFailure> {
    match algorithm.hash() {
        Some(HashFunction::Sha1) if !policy.sha1 => Err(SignatureFailure::Weak(algorithm)),
        _ => Ok(()),
    }
}

fn method(
    algorithm: SignatureAlgorithm,
    issuer: &SubjectKey,
) -> Result<&'static dyn VerificationAlgorithm, SignatureFailure> {
    use HashFunction::{Sha1, Sha256, Sha384, Sha512};
    use KeyKind::{P256, P384, P521, Rsa, RsaPss};
    let unknown = Err(SignatureFailure::Unknown(algorithm));
    let method: &'static dyn VerificationAlgorithm = match (algorithm, issuer.kind) {
        (SignatureAlgorithm::Rsa(hash), Rsa) => match hash {
            Sha1 => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Sha256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            Sha512 => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            _ => return unknown,
        },
        (SignatureAlgorithm::RsaPss(hash), Rsa | RsaPss) => match hash {
            Sha256 => &RSA_PSS_2048_8192_SHA256,
            Sha384 => &RSA_PSS_2048_8192_SHA384,
            Sha512 => &RSA_PSS_2048_8192_SHA512,
            _ => return unknown,
        },
        (SignatureAlgorithm::Ecdsa(hash), key @ (P256 | P384 | P521)) => match (key, hash) {
            (P256, Sha1) => &ECDSA_P256_SHA1_ASN1,
            (P256, Sha256) => &ECDSA_P256_SHA256_ASN1,
            (P256, Sha384) => &ECDSA_P256_SHA384_ASN1,
            (P256, Sha512) => &ECDSA_P256_SHA512_ASN1,
            (P384, Sha256) => &ECDSA_P384_SHA256_ASN1,
            (P384, Sha384) => &ECDSA_P384_SHA384_ASN1,
            (P384, Sha512) => &ECDSA_P384_SHA512_ASN1,
            (P521, Sha1) => &ECDSA_P521_SHA1_ASN1,
            (P521, Sha256) => &ECDSA_P521_SHA256_ASN1,
            (P521, Sha384) => &ECDSA_P521_SHA384_ASN1,
            (P521, Sha512) => &ECDSA_P521_SHA512_ASN1,
            _ => return unknown,
        },
        (SignatureAlgorithm::Ed25519, KeyKind::Ed25519) => &ED25519,
        (SignatureAlgorithm::Dsa(_) | SignatureAlgorithm::Other(_), _) => return unknown,
        (_, KeyKind::OtherCurve | KeyKind::Other(_)) => return unknown,
        (algorithm, key) => return Err(SignatureFailure::KeyMismatch { algorithm, key }),
    };
    Ok(method)
}
