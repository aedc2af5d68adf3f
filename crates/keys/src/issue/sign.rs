//! Signatures over certificates and requests (RFC 3279, RFC 5758, RFC 8410).

use der::asn1::ObjectIdentifier;

use crate::asn1::{NULL, SEQUENCE, id, oid, value};
use crate::{KeyAlgorithm, KeyError, PublicKey, SignatureScheme};

/// How a key signs here, and the AlgorithmIdentifier that says so.
pub(super) fn algorithm(key: &PublicKey) -> Result<(SignatureScheme, Vec<u8>), KeyError> {
    let (scheme, name) = match key.algorithm() {
        KeyAlgorithm::Rsa if key.is_pss_only() => return Err(unsupported("a key for PSS signatures only")),
        KeyAlgorithm::Rsa => {
            return Ok((SignatureScheme::RsaPkcs1Sha256, value(SEQUENCE, &[&oid(RSA_SHA256), NULL]).to_vec()));
        }
        KeyAlgorithm::EcdsaNistp256 => (SignatureScheme::EcdsaNistp256Sha256, ECDSA_SHA256),
        KeyAlgorithm::EcdsaNistp384 => (SignatureScheme::EcdsaNistp384Sha384, ECDSA_SHA384),
        KeyAlgorithm::EcdsaNistp521 => (SignatureScheme::EcdsaNistp521Sha512, ECDSA_SHA512),
        KeyAlgorithm::Ed25519 => (SignatureScheme::Ed25519, ED25519),
        KeyAlgorithm::Dss => return Err(unsupported("a DSS key")),
    };
    Ok((scheme, value(SEQUENCE, &[&oid(name)]).to_vec()))
}

fn unsupported(what: &str) -> KeyError {
    KeyError::Unsupported { what: format!("{what} signs no certificate") }
}

const RSA_SHA256: ObjectIdentifier = id("1.2.840.113549.1.1.11");
const ECDSA_SHA256: ObjectIdentifier = id("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = id("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = id("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = id("1.3.101.112");
