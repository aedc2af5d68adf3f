//! Algorithms of signatures and of the keys in certificates.

use std::fmt;

use ::der::asn1::{Any, ObjectIdentifier, UintRef};
use ::der::{Decode, Encode, Sequence};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// A hash function inside a signature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "names of hash functions")]
pub enum HashFunction {
    Md2,
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl fmt::Display for HashFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Md2 => "MD2",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// How a certificate or a revocation list is signed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignatureAlgorithm {
    /// RSA, PKCS#1 v1.5 (RFC 8017 section 8.2).
    Rsa(HashFunction),
    /// RSA-PSS with one hash function for both purposes and a salt of its length (RFC 4055 section 3.1).
    RsaPss(HashFunction),
    /// ECDSA (RFC 5758 section 3.2).
    Ecdsa(HashFunction),
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// DSA (RFC 3279 section 2.2.2).
    Dsa(HashFunction),
    /// Something else; RSA-PSS with mixed parameters is here too.
    Other(ObjectIdentifier),
}

impl SignatureAlgorithm {
    pub(crate) fn new(identifier: &AlgorithmIdentifierOwned) -> Self {
        if identifier.oid == RSA_PSS {
            let hash = identifier.parameters.as_ref().and_then(pss_hash);
            return hash.map_or(Self::Other(identifier.oid), Self::RsaPss);
        }
        let known = SIGNATURES.iter().find(|(oid, _)| *oid == identifier.oid);
        known.map_or(Self::Other(identifier.oid), |(_, algorithm)| *algorithm)
    }

    /// The hash function that it names.
    #[must_use]
    pub const fn hash(self) -> Option<HashFunction> {
        match self {
            Self::Rsa(hash) | Self::RsaPss(hash) | Self::Ecdsa(hash) | Self::Dsa(hash) => Some(hash),
            Self::Ed25519 | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(hash) => write!(f, "RSA with {hash}"),
            Self::RsaPss(hash) => write!(f, "RSA-PSS with {hash}"),
            Self::Ecdsa(hash) => write!(f, "ECDSA with {hash}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Dsa(hash) => write!(f, "DSA with {hash}"),
            Self::Other(oid) if *oid == RSA_PSS => f.write_str("RSA-PSS with unusual parameters"),
            Self::Other(oid) => write!(f, "algorithm {oid}"),
        }
    }
}

/// RFC 4055 section 3.1.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_octets: Option<u32>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u32>,
}

/// The hash function of parameters that the cryptographic library can verify.
fn pss_hash(parameters: &Any) -> Option<HashFunction> {
    let read = PssParameters::from_der(&parameters.to_der().ok()?).ok()?;
    let (hash, mask) = (read.hash?, read.mask?);
    let inner = AlgorithmIdentifierOwned::from_der(&mask.parameters?.to_der().ok()?).ok()?;
    let (_, function, octets) = *HASHES.iter().find(|(oid, ..)| *oid == hash.oid)?;
    let usual =
        mask.oid == MGF1 && inner.oid == hash.oid && read.salt_octets? == octets && read.trailer.unwrap_or(1) == 1;
    usual.then_some(function)
}

/// What kind of key a certificate holds, whether or not we can use it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// RSA.
    Rsa,
    /// RSA that may only sign by PSS.
    RsaPss,
    /// A point of NIST P-256.
    P256,
    /// A point of NIST P-384.
    P384,
    /// A point of NIST P-521.
    P521,
    /// A point of another curve, or of one whose parameters are written out.
    OtherCurve,
    /// Ed25519.
    Ed25519,
    /// DSA.
    Dsa,
    /// Something else.
    Other(ObjectIdentifier),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa => f.write_str("RSA"),
            Self::RsaPss => f.write_str("RSA (PSS only)"),
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::P521 => f.write_str("ECDSA P-521"),
            Self::OtherCurve => f.write_str("ECDSA on another curve"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Dsa => f.write_str("DSA"),
            Self::Other(oid) => write!(f, "algorithm {oid}"),
        }
    }
}

/// The key of a certificate, read as far as its kind needs.
#[derive(Clone, Debug)]
pub(crate) struct SubjectKey {
    pub(crate) kind: KeyKind,
    /// Bits of the modulus or field; 0 where nobody knows.
    pub(crate) bits: u32,
    /// The octets of its BIT STRING.
    pub(crate) octets: Box<[u8]>,
}

#[derive(Sequence)]
struct RsaKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl SubjectKey {
    pub(super) fn new(info: &SubjectPublicKeyInfoOwned) -> Self {
        let octets: Box<[u8]> = info.subject_public_key.as_bytes().unwrap_or_default().into();
        let rsa_bits = || RsaKey::from_der(&octets).map_or(0, |key| bits_of(key.modulus.as_bytes()));
        let (kind, bits) = match info.algorithm.oid {
            RSA => (KeyKind::Rsa, rsa_bits()),
            RSA_PSS => (KeyKind::RsaPss, rsa_bits()),
            DSA => (KeyKind::Dsa, 0),
            ED25519 => (KeyKind::Ed25519, 256),
            EC => curve_of(info.algorithm.parameters.as_ref()),
            other => (KeyKind::Other(other), 0),
        };
        Self { kind, bits, octets }
    }
}

fn curve_of(parameters: Option<&Any>) -> (KeyKind, u32) {
    match parameters.and_then(|p| p.decode_as::<ObjectIdentifier>().ok()) {
        Some(P256) => (KeyKind::P256, 256),
        Some(P384) => (KeyKind::P384, 384),
        Some(P521) => (KeyKind::P521, 521),
        _ => (KeyKind::OtherCurve, 0),
    }
}

/// Bits of a number in octets, most significant first, without leading zeros.
fn bits_of(octets: &[u8]) -> u32 {
    let (Some(first), Ok(len)) = (octets.first(), u32::try_from(octets.len())) else { return 0 };
    len.saturating_mul(8).saturating_sub(first.leading_zeros())
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 5480 section 2.1.1.1.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Hash functions of RSA-PSS, and the octets that they make.
const HASHES: [(ObjectIdentifier, HashFunction, u32); 3] = [
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), HashFunction::Sha256, 32),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"), HashFunction::Sha384, 48),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"), HashFunction::Sha512, 64),
];

/// RFC 3279 section 2.2, RFC 4055 section 5, RFC 5758 section 3, RFC 8410 section 3.
const SIGNATURES: [(ObjectIdentifier, SignatureAlgorithm); 15] = {
    use HashFunction::{Md2, Md5, Sha1, Sha224, Sha256, Sha384, Sha512};
    use SignatureAlgorithm::{Dsa, Ecdsa, Ed25519, Rsa};
    [
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), Rsa(Sha256)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), Rsa(Sha384)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), Rsa(Sha512)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"), Rsa(Sha1)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.14"), Rsa(Sha224)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.4"), Rsa(Md5)),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.2"), Rsa(Md2)),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), Ecdsa(Sha256)),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), Ecdsa(Sha384)),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), Ecdsa(Sha512)),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"), Ecdsa(Sha1)),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.1"), Ecdsa(Sha224)),
        (ObjectIdentifier::new_unwrap("1.3.101.112"), Ed25519),
        (ObjectIdentifier::new_unwrap("1.2.840.10040.4.3"), Dsa(Sha1)),
        (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.2"), Dsa(Sha256)),
    ]
};
