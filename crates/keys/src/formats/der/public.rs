//! Public structures: SubjectPublicKeyInfo (RFC 5280 section 4.1, RFC 3279 section 2.3, RFC 5480, RFC 8410) and
//! RSAPublicKey (RFC 8017 appendix A.1.1).

use ::der::Tag;
use ::der::asn1::ObjectIdentifier;

use super::none_or_null;
use crate::KeyError;
use crate::asn1::{NULL, SEQUENCE, Value, Values, bits, integer, integers, oid, sequence, value};
use crate::error::damaged;
use crate::parts::ec::Domain;
use crate::parts::{Curve, DssPublic, EcPublic, Ed25519Public, Number, PssAlgorithm, PublicParts, RsaPublic};

const WHAT: &str = "public key (SubjectPublicKeyInfo)";
const WHAT_RSA: &str = "RSA public key (PKCS#1)";

/// RFC 8017 appendix A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 4055 section 1.2.
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
/// RFC 3279 section 2.3.2.
const DSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
/// RFC 5480 section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 3279 section 2.3.5.
const PRIME_FIELD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.1.1");
/// RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What an AlgorithmIdentifier of a key says.
pub(super) enum KeyKind {
    Rsa,
    /// The content of the AlgorithmIdentifier.
    RsaPss(Vec<u8>),
    /// p, q, g.
    Dss([Number; 3]),
    Ec(Curve),
    Ed25519,
}

/// Reads an AlgorithmIdentifier with its parameters; errors call the whole `what`.
pub(super) fn decode_kind(what: &'static str, value: Value<'_>) -> Result<KeyKind, KeyError> {
    let whole = value.octets;
    let mut values = value.inside(what)?;
    let algorithm = values.next("its algorithm")?.oid(what)?;
    let parameters = values.next_any();
    values.end()?;
    match algorithm {
        RSA => none_or_null(what, parameters).map(|()| KeyKind::Rsa),
        DSS => {
            let mut domain = parameters.ok_or(damaged(what, "its DSS parameters are missing"))?.inside(what)?;
            let numbers = [domain.unsigned()?, domain.unsigned()?, domain.unsigned()?];
            domain.end().map(|()| KeyKind::Dss(numbers))
        }
        EC => curve(parameters.ok_or(damaged(what, "its curve is missing"))?).map(KeyKind::Ec),
        ED25519 if parameters.is_none() => Ok(KeyKind::Ed25519),
        RSA_PSS => match parameters {
            None => Ok(KeyKind::RsaPss(whole.to_vec())),
            Some(value) if value.tag == Tag::Sequence => Ok(KeyKind::RsaPss(whole.to_vec())),
            Some(_) => Err(damaged(what, "its PSS parameters are malformed")),
        },
        other => Err(KeyError::Unsupported { what: format!("key algorithm {other} is not known") }),
    }
}

/// Writes the AlgorithmIdentifier of a key.
pub(super) fn encode_kind(key: &PublicParts) -> Vec<u8> {
    let parts = match key {
        PublicParts::Rsa(RsaPublic { pss: Some(algorithm), .. }) => [value_of(&algorithm.0), value_of(&[])],
        PublicParts::Rsa(_) => [oid(RSA), value_of(NULL)],
        PublicParts::Dss(key) => [oid(DSS), value(SEQUENCE, &[&integers(&[&key.p, &key.q, &key.g])])],
        PublicParts::Ec(key) => [oid(EC), oid(curve_oid(key.curve))],
        PublicParts::Ed25519(_) => [oid(ED25519), value_of(&[])],
    };
    value(SEQUENCE, &parts.each_ref().map(|part| part.as_slice())).to_vec()
}

/// Reads a SubjectPublicKeyInfo.
pub(crate) fn decode_spki(der: &[u8]) -> Result<PublicParts, KeyError> {
    let mut values = sequence(WHAT, der)?;
    let kind = decode_kind(WHAT, values.expect(Tag::Sequence, "its algorithm")?)?;
    let key = values.expect(Tag::BitString, "its key")?.whole_bits(WHAT)?;
    values.end()?;
    Ok(match kind {
        KeyKind::Rsa => decode_rsa(key)?,
        KeyKind::RsaPss(algorithm) => match decode_rsa(key)? {
            PublicParts::Rsa(key) => {
                PublicParts::Rsa(RsaPublic { pss: Some(Box::new(PssAlgorithm(algorithm))), ..key })
            }
            other => other,
        },
        KeyKind::Dss([p, q, g]) => {
            let mut y = Values::one(WHAT, key)?;
            PublicParts::Dss(DssPublic { p, q, g, y: y.unsigned()? })
        }
        KeyKind::Ec(curve) => PublicParts::Ec(EcPublic { curve, point: curve.uncompressed(key)? }),
        KeyKind::Ed25519 => PublicParts::Ed25519(Ed25519Public::new(key)?),
    })
}

/// Writes a SubjectPublicKeyInfo.
pub(crate) fn encode_spki(key: &PublicParts) -> Vec<u8> {
    let bits = match key {
        PublicParts::Rsa(key) => bits(&value(SEQUENCE, &[&integers(&[&key.n, &key.e])])),
        PublicParts::Dss(key) => bits(&integer(&key.y)),
        PublicParts::Ec(key) => bits(&key.point),
        PublicParts::Ed25519(key) => bits(&key.0),
    };
    value(SEQUENCE, &[&encode_kind(key), &bits]).to_vec()
}

/// Reads an RSAPublicKey.
pub(super) fn decode_rsa(der: &[u8]) -> Result<PublicParts, KeyError> {
    let mut values = sequence(WHAT_RSA, der)?;
    let key = RsaPublic::new(values.unsigned()?, values.unsigned()?);
    values.end()?;
    Ok(PublicParts::Rsa(key))
}

/// Reads ECParameters: the name of a curve, or a curve written out that is one of those with a name (SEC 1 appendix C.2).
/// The base point is compared too: a known curve with another base point makes keys that anybody can match.
pub(super) fn curve(parameters: Value<'_>) -> Result<Curve, KeyError> {
    if parameters.tag == Tag::ObjectIdentifier {
        let name = parameters.oid(WHAT_CURVE)?;
        return Curve::ALL
            .into_iter()
            .find(|curve| curve_oid(*curve) == name)
            .ok_or_else(|| KeyError::Unsupported { what: format!("curve {name} is not known") });
    }
    if parameters.tag == Tag::Null {
        return Err(damaged(WHAT_CURVE, "the curve is not named"));
    }
    let mut values = parameters.inside(WHAT_CURVE)?;
    values.version(&[1, 2, 3])?;
    let mut field = values.expect(Tag::Sequence, "the field")?.inside(WHAT_CURVE)?;
    if field.next("the kind of field")?.oid(WHAT_CURVE)? != PRIME_FIELD {
        return Err(KeyError::Unsupported { what: "a curve over a binary field is not known".to_owned() });
    }
    let p = field.unsigned()?;
    let mut curve = values.expect(Tag::Sequence, "the curve")?.inside(WHAT_CURVE)?;
    let a = Number::new(curve.expect(Tag::OctetString, "a number of the curve")?.octets);
    let b = Number::new(curve.expect(Tag::OctetString, "a number of the curve")?.octets);
    let base = values.expect(Tag::OctetString, "the base point")?.octets;
    let n = values.unsigned()?;
    let (gx, gy, gy_odd) = base_point(base).ok_or(damaged(WHAT_CURVE, "the base point is malformed"))?;
    Curve::of_domain(&Domain { p, a, b, gx, gy, gy_odd, n })
        .ok_or_else(|| KeyError::Unsupported { what: "the curve is written out and is not known".to_owned() })
}

/// x, y and whether y is odd.
fn base_point(point: &[u8]) -> Option<(Number, Option<Number>, bool)> {
    match point {
        [4, rest @ ..] => {
            let (x, y) = rest.split_at_checked(rest.len() / 2)?;
            let y = Number::new(y);
            let odd = y.is_odd();
            Some((Number::new(x), Some(y), odd))
        }
        [sign @ (2 | 3), x @ ..] => Some((Number::new(x), None, *sign == 3)),
        _ => None,
    }
}

const WHAT_CURVE: &str = "curve of the key";

/// RFC 5480 section 2.1.1.1.
pub(super) const fn curve_oid(curve: Curve) -> ObjectIdentifier {
    match curve {
        Curve::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        Curve::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
        Curve::P521 => ObjectIdentifier::new_unwrap("1.3.132.0.35"),
    }
}

fn value_of(whole: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(whole.to_vec())
}
