//! ECDSA keys on the three NIST curves (FIPS 186-4 appendix D, SEC 1).

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use base::unhex;
use zeroize::Zeroizing;

use super::Number;
use crate::{KeyAlgorithm, KeyError};

/// One of the three curves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(crate) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    pub(crate) const fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::P256 => KeyAlgorithm::EcdsaNistp256,
            Self::P384 => KeyAlgorithm::EcdsaNistp384,
            Self::P521 => KeyAlgorithm::EcdsaNistp521,
        }
    }

    pub(crate) const fn bits(self) -> u32 {
        match self {
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// Octets of a coordinate, and of a secret number.
    pub(crate) const fn octets(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The name inside SSH messages (RFC 5656 section 10.1).
    pub(crate) const fn ssh_name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
            Self::P521 => &ECDSA_P521_SHA512_ASN1,
        }
    }

    fn agreement(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::P384 => &ECDH_P384,
            Self::P521 => &ECDH_P521,
        }
    }

    const fn domain_hex(self) -> [&'static str; 5] {
        match self {
            Self::P256 => P256,
            Self::P384 => P384,
            Self::P521 => P521,
        }
    }

    /// The curve whose domain is `given`, so that a key with its parameters written out is named rightly.
    pub(crate) fn of_domain(given: &Domain) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.domain().is_some_and(|own| own == *given))
    }

    fn domain(self) -> Option<Domain> {
        let [p, b, gx, gy, n] = self.domain_hex().map(|text| unhex(text).map(|octets| Number::new(&octets)));
        let p = p?;
        let a = p.less_one().less_one().less_one();
        Some(Domain { p, a, b: b?, gx: gx?, gy_odd: gy.as_ref().is_some_and(Number::is_odd), gy, n: n? })
    }

    /// The uncompressed form of a point, which may be compressed (SEC 1 section 2.3.4). Whether it lies on the curve is
    /// not looked at yet.
    pub(crate) fn uncompressed(self, point: &[u8]) -> Result<Vec<u8>, KeyError> {
        match point {
            [4, rest @ ..] if rest.len() == 2 * self.octets() => Ok(point.to_vec()),
            [sign @ (2 | 3), x @ ..] if x.len() == self.octets() => {
                let y = self.other_coordinate(&Number::new(x), *sign == 3).ok_or(self.invalid(NO_POINT))?;
                let y = y.padded(self.octets()).ok_or(self.invalid(NO_POINT))?;
                Ok([&[4], x, y.as_slice()].concat())
            }
            _ => Err(self.invalid("its public part has the wrong length")),
        }
    }

    /// y of x: the square root of x³ - 3x + b, which is a power since p ≡ 3 (mod 4) for all three curves.
    fn other_coordinate(self, x: &Number, odd: bool) -> Option<Number> {
        let Domain { p, b, .. } = self.domain()?;
        if !x.is_below(&p) {
            return None;
        }
        let cube = x.times(x).times(x);
        let square = cube.plus(&x.times(&p.less_one().less_one().less_one())).plus(&b).modulo(&p)?;
        let root = square.power(&p.plus_one_quarter(), &p)?;
        if root.times(&root).modulo(&p)? != square {
            return None;
        }
        if root.is_odd() == odd { Some(root) } else { p.minus(&root) }
    }

    fn invalid(self, why: &'static str) -> KeyError {
        KeyError::Invalid { algorithm: self.algorithm(), why }
    }
}

/// A curve written out: y² = x³ + ax + b over p, with a base point of order n. A base point may be compressed, then of
/// its y only the last bit is known.
pub(crate) struct Domain {
    pub(crate) p: Number,
    pub(crate) a: Number,
    pub(crate) b: Number,
    pub(crate) gx: Number,
    pub(crate) gy: Option<Number>,
    pub(crate) gy_odd: bool,
    pub(crate) n: Number,
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        let same_y = match (&self.gy, &other.gy) {
            (Some(own), Some(other)) => own == other,
            _ => self.gy_odd == other.gy_odd,
        };
        same_y && (&self.p, &self.a, &self.b, &self.gx, &self.n) == (&other.p, &other.a, &other.b, &other.gx, &other.n)
    }
}

/// A point.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct EcPublic {
    pub(crate) curve: Curve,
    /// Uncompressed (SEC 1 section 2.3.3): 4, x, y.
    pub(crate) point: Vec<u8>,
}

impl EcPublic {
    pub(super) fn check(&self) -> Result<(), KeyError> {
        match ParsedPublicKey::new(self.curve.verification(), &self.point) {
            Ok(_) if self.point.first() == Some(&4) => Ok(()),
            _ => Err(self.curve.invalid(NO_POINT)),
        }
    }
}

/// A secret number and its point.
pub(crate) struct EcPrivate {
    pub(crate) public: EcPublic,
    /// As many octets as a coordinate.
    pub(crate) scalar: Zeroizing<Vec<u8>>,
}

impl EcPrivate {
    /// The key of a secret number. It should have the curve's full length; writers that cut leading zeros are met, so a
    /// few less are taken, but not so few that the number may be of another curve.
    pub(crate) fn from_scalar(curve: Curve, scalar: &[u8]) -> Result<Self, KeyError> {
        let padded = Number::new(scalar)
            .padded(curve.octets())
            .filter(|_| scalar.len() + SCALAR_ZEROS_CUT_MAX >= curve.octets())
            .ok_or(curve.invalid("its private part has the wrong length"))?;
        Ok(Self { public: public_of(curve, &padded)?, scalar: padded })
    }

    pub(super) fn check(&self) -> Result<(), KeyError> {
        let curve = self.public.curve;
        let own = public_of(curve, &self.scalar)?;
        if own == self.public { Ok(()) } else { Err(KeyError::Mismatch { algorithm: curve.algorithm() }) }
    }
}

fn public_of(curve: Curve, scalar: &[u8]) -> Result<EcPublic, KeyError> {
    let bad = || curve.invalid("its private part is out of range");
    let key = agreement::PrivateKey::from_private_key(curve.agreement(), scalar).map_err(|_| bad())?;
    let point = key.compute_public_key().map_err(|_| bad())?;
    Ok(EcPublic { curve, point: point.as_ref().to_vec() })
}

/// Leading zeros of a secret number that a writer may have cut; more than these are a sign of another curve.
const SCALAR_ZEROS_CUT_MAX: usize = 8;

const NO_POINT: &str = "its public part is no point of the curve";

/// p, b, x and y of the base point, its order (FIPS 186-4 appendix D.1.2). a is p - 3.
const P256: [&str; 5] = [
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
];
const P384: [&str; 5] = [
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
    "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
];
const P521: [&str; 5] = [
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
     ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109\
     e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
    "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3d\
     baa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
    "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e66\
     2c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa\
     51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_survive_compression() {
        for curve in Curve::ALL {
            for secret in 1..=4_u8 {
                let mut scalar = vec![0; curve.octets()];
                *scalar.last_mut().unwrap() = secret;
                let key = EcPrivate::from_scalar(curve, &scalar).unwrap();
                let (x, y) = key.public.point[1..].split_at(curve.octets());
                let sign = 2 + (y.last().unwrap() & 1);
                let compressed = [&[sign], x].concat();
                assert!(curve.uncompressed(&compressed).unwrap() == key.public.point, "{curve:?} {secret}");
                let own = curve.domain().unwrap();
                // The secret 1 has the base point for its public part.
                assert_eq!(Number::new(x) == own.gx, secret == 1);
                assert_eq!(Some(Number::new(y)) == own.gy, secret == 1);
            }
            assert!(curve.uncompressed(&[&[2][..], &vec![0xff; curve.octets()]].concat()).is_err());
            assert!(curve.uncompressed(&[]).is_err());
        }
    }

    #[test]
    fn scalars_out_of_range_are_refused() {
        for curve in Curve::ALL {
            let order = curve.domain().unwrap().n;
            assert!(EcPrivate::from_scalar(curve, &vec![0; curve.octets()]).is_err(), "zero on {curve:?}");
            assert!(EcPrivate::from_scalar(curve, &order.padded(curve.octets()).unwrap()).is_err());
            assert!(EcPrivate::from_scalar(curve, &order.less_one().padded(curve.octets()).unwrap()).is_ok());
            assert!(EcPrivate::from_scalar(curve, &[7; 16]).is_err(), "too short for {curve:?}");
            assert!(EcPrivate::from_scalar(curve, &[7; 67]).is_err(), "too long for {curve:?}");
        }
    }
}
