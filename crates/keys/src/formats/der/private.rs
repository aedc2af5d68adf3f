//! Private structures: PKCS#8 (RFC 5208, RFC 5958), RSAPrivateKey (RFC 8017 appendix A.1.2), ECPrivateKey (RFC 5915),
//! the DSA structure of OpenSSL, and CurvePrivateKey (RFC 8410 section 7).

use ::der::Tag;
use base::Secret;

use super::public::{self, KeyKind};
use crate::KeyError;
use crate::asn1::{OCTET_STRING, ONE, SEQUENCE, Values, ZERO, bits, integer, integers, secret, sequence, value};
use crate::error::damaged;
use crate::limits::DERIVATION_STEPS;
use crate::parts::{
    Curve, DssPrivate, DssPublic, EcPrivate, EcPublic, Ed25519Private, Ed25519Public, PrivateParts, PssAlgorithm,
    RsaPrivate, RsaPublic,
};
use crate::pbe::{self, Opening};

const WHAT: &str = "private key (PKCS#8)";
const WHAT_ENCRYPTED: &str = "encrypted private key (PKCS#8)";
const WHAT_RSA: &str = "RSA private key (PKCS#1)";
const WHAT_DSS: &str = "DSA private key";
const WHAT_EC: &str = "EC private key (SEC 1)";

/// Reads a clear PKCS#8 key of version 1 or 2. Attributes are passed over.
pub(crate) fn decode_pkcs8(der: &[u8]) -> Result<PrivateParts, KeyError> {
    let mut values = sequence(WHAT, der)?;
    values.version(&[0, 1])?;
    let kind = public::decode_kind(WHAT, values.expect(Tag::Sequence, "its algorithm")?)?;
    let key = values.expect(Tag::OctetString, "its key")?.octets;
    values.next_context(0);
    let own = values.next_context(1).map(|value| value.whole_bits(WHAT)).transpose()?;
    values.end()?;
    let parts = match kind {
        KeyKind::Rsa => decode_rsa(key)?,
        KeyKind::RsaPss(algorithm) => match decode_rsa(key)? {
            PrivateParts::Rsa(key) => PrivateParts::Rsa(RsaPrivate {
                public: RsaPublic { pss: Some(Box::new(PssAlgorithm(algorithm))), ..key.public },
                ..key
            }),
            other => other,
        },
        KeyKind::Dss([p, q, g]) => {
            let mut values = Values::one(WHAT, key)?;
            let x = values.unsigned()?;
            PrivateParts::Dss(DssPrivate { public: DssPublic::of([p, q, g], &x)?, x })
        }
        KeyKind::Ec(curve) => decode_sec1(key, Some(curve))?,
        KeyKind::Ed25519 => {
            let seed = Values::only(WHAT, key)?;
            if seed.tag != Tag::OctetString {
                return Err(damaged(WHAT, "its key is not an octet string"));
            }
            PrivateParts::Ed25519(Ed25519Private::from_seed(seed.octets)?)
        }
    };
    with_own_public(parts, own)
}

/// Reads an EncryptedPrivateKeyInfo (RFC 5958 section 3).
pub(crate) fn decode_encrypted(der: &[u8], opening: &mut Opening<'_>) -> Result<PrivateParts, KeyError> {
    let mut values = sequence(WHAT_ENCRYPTED, der)?;
    let algorithm = values.expect(Tag::Sequence, "its encryption")?;
    let content = values.expect(Tag::OctetString, "its key")?.octets;
    values.end()?;
    decode_decrypted(&pbe::decrypt(WHAT_ENCRYPTED, (algorithm, content), opening)?)
}

/// Reads what a password opened. One wrong password in 256 leaves padding that looks right: what is no key at all then
/// says that the password is wrong, a key that is not taken says why.
fn decode_decrypted(clear: &[u8]) -> Result<PrivateParts, KeyError> {
    let is_key = sequence(WHAT, clear)
        .is_ok_and(|values| matches!(values.tags().as_slice(), [Tag::Integer, Tag::Sequence, Tag::OctetString, ..]));
    if is_key { decode_pkcs8(clear) } else { Err(KeyError::PasswordWrong) }
}

/// Writes an EncryptedPrivateKeyInfo of a PKCS#8 key.
pub(super) fn encode_encrypted(pkcs8: &[u8], password: &Secret<String>) -> Result<Vec<u8>, KeyError> {
    let (algorithm, content) = pbe::encrypt(pkcs8, password.expose(), DERIVATION_STEPS)?;
    Ok(value(SEQUENCE, &[&algorithm, &value(OCTET_STRING, &[&content])]).to_vec())
}

/// Puts the public key that a PKCS#8 key of version 2 holds in the place of the computed one, where `check` compares it.
fn with_own_public(parts: PrivateParts, own: Option<&[u8]>) -> Result<PrivateParts, KeyError> {
    Ok(match (parts, own) {
        (PrivateParts::Ed25519(key), Some(own)) => {
            PrivateParts::Ed25519(Ed25519Private { public: Ed25519Public::new(own)?, ..key })
        }
        (PrivateParts::Ec(key), Some(own)) => {
            let curve = key.public.curve;
            PrivateParts::Ec(EcPrivate { public: EcPublic { curve, point: curve.uncompressed(own)? }, ..key })
        }
        (parts, _) => parts,
    })
}

/// Writes a clear PKCS#8 key of version 1.
pub(crate) fn encode_pkcs8(key: &PrivateParts) -> Secret<Vec<u8>> {
    let inner = match key {
        PrivateParts::Rsa(key) => {
            let RsaPublic { n, e, .. } = &key.public;
            let numbers = integers(&[n, e, &key.d, &key.p, &key.q, &key.dp, &key.dq, &key.iqmp]);
            value(SEQUENCE, &[ZERO, &numbers])
        }
        PrivateParts::Dss(key) => integer(&key.x),
        PrivateParts::Ec(key) => {
            let point = value(CONTEXT_1, &[&bits(&key.public.point)]);
            value(SEQUENCE, &[ONE, &value(OCTET_STRING, &[&key.scalar]), &point])
        }
        PrivateParts::Ed25519(key) => value(OCTET_STRING, &[key.seed.as_slice()]),
    };
    secret(value(SEQUENCE, &[ZERO, &public::encode_kind(&key.public()), &value(OCTET_STRING, &[&inner])]))
}

/// The tag of `[1] EXPLICIT`.
const CONTEXT_1: u8 = 0xa1;

/// Reads an RSAPrivateKey of two primes.
pub(super) fn decode_rsa(der: &[u8]) -> Result<PrivateParts, KeyError> {
    let mut values = sequence(WHAT_RSA, der)?;
    if values.tags().last() == Some(&Tag::Sequence) {
        return Err(KeyError::Unsupported { what: "an RSA key of more than two primes can't be used".to_owned() });
    }
    values.version(&[0])?;
    let mut next = || values.unsigned();
    let public = RsaPublic::new(next()?, next()?);
    let [d, p, q, dp, dq, iqmp] = [next()?, next()?, next()?, next()?, next()?, next()?];
    values.end()?;
    Ok(PrivateParts::Rsa(RsaPrivate { public, d, p, q, dp, dq, iqmp }))
}

/// Reads the traditional DSA structure: version, p, q, g, y, x.
pub(super) fn decode_dss(der: &[u8]) -> Result<PrivateParts, KeyError> {
    let mut values = sequence(WHAT_DSS, der)?;
    values.version(&[0])?;
    let mut next = || values.unsigned();
    let public = DssPublic { p: next()?, q: next()?, g: next()?, y: next()? };
    let x = next()?;
    values.end()?;
    Ok(PrivateParts::Dss(DssPrivate { public, x }))
}

/// Reads an ECPrivateKey. Inside PKCS#8 the curve is `outer`, and one that stands here too must be the same.
pub(super) fn decode_sec1(der: &[u8], outer: Option<Curve>) -> Result<PrivateParts, KeyError> {
    let mut values = sequence(WHAT_EC, der)?;
    values.version(&[1])?;
    let scalar = values.expect(Tag::OctetString, "its key")?.octets;
    let inner = values.next_context(0).map(|value| public::curve(Values::only(WHAT_EC, value.octets)?)).transpose()?;
    let point =
        values.next_context(1).map(|value| Values::only(WHAT_EC, value.octets)?.whole_bits(WHAT_EC)).transpose()?;
    values.end()?;
    let curve = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => return Err(damaged(WHAT_EC, "it names two different curves")),
        (Some(curve), _) | (None, Some(curve)) => curve,
        (None, None) => return Err(damaged(WHAT_EC, "its curve is not named")),
    };
    let key = EcPrivate::from_scalar(curve, scalar)?;
    Ok(PrivateParts::Ec(match point {
        Some(point) => EcPrivate { public: EcPublic { curve, point: curve.uncompressed(point)? }, ..key },
        None => key,
    }))
}
