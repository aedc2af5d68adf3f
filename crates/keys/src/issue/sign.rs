//! Signatures over certificates and requests (RFC 3279, RFC 5758, RFC 8410).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256,
};
use der::asn1::ObjectIdentifier;

use crate::asn1::{NULL, SEQUENCE, id, oid, value};
use crate::parts::{Curve, PrivateParts};
use crate::{KeyError, PrivateKey};

/// The AlgorithmIdentifier of the signatures that a key makes here.
pub(super) fn algorithm(key: &PrivateKey) -> Result<Vec<u8>, KeyError> {
    let name = match key.parts() {
        PrivateParts::Rsa(_) if !key.public().is_pss_only() => {
            return Ok(value(SEQUENCE, &[&oid(RSA_SHA256), NULL]).to_vec());
        }
        PrivateParts::Ec(key) => match key.public.curve {
            Curve::P256 => ECDSA_SHA256,
            Curve::P384 => ECDSA_SHA384,
            Curve::P521 => ECDSA_SHA512,
        },
        PrivateParts::Ed25519(_) => ED25519,
        PrivateParts::Rsa(_) => return Err(unsupported("a key for PSS signatures only")),
        PrivateParts::Dss(_) => return Err(unsupported("a DSS key")),
    };
    Ok(value(SEQUENCE, &[&oid(name)]).to_vec())
}

/// Signs, as [`algorithm`] says.
pub(super) fn sign(key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let failed = KeyError::Engine { what: "signing" };
    let pkcs8 = key.to_bytes();
    let random = SystemRandom::new();
    match key.parts() {
        PrivateParts::Rsa(_) => {
            let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(pkcs8.expose()).map_err(|_| failed.clone())?;
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| failed)?;
            Ok(signature)
        }
        PrivateParts::Ec(parts) => {
            let pair =
                EcdsaKeyPair::from_pkcs8(ecdsa(parts.public.curve), pkcs8.expose()).map_err(|_| failed.clone())?;
            pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| failed)
        }
        PrivateParts::Ed25519(parts) => {
            let pair =
                Ed25519KeyPair::from_seed_and_public_key(parts.seed.as_slice(), &parts.public.0).map_err(|_| failed)?;
            Ok(pair.sign(message).as_ref().to_vec())
        }
        PrivateParts::Dss(_) => Err(unsupported("a DSS key")),
    }
}

const fn ecdsa(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
    }
}

fn unsupported(what: &str) -> KeyError {
    KeyError::Unsupported { what: format!("{what} signs no certificate") }
}

const RSA_SHA256: ObjectIdentifier = id("1.2.840.113549.1.1.11");
const ECDSA_SHA256: ObjectIdentifier = id("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = id("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = id("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = id("1.3.101.112");
