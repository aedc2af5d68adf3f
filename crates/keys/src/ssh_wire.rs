//! Keys as SSH carries them: the public blob (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4) and the
//! private part inside an OPENSSH file. Encode and decode side by side.

use base::{Octets, OctetsError, octets_text};
use zeroize::Zeroizing;

use crate::limits::{KEY_TEXT_OCTETS_MAX, SSH_BLOB_OCTETS_MAX};
use crate::parts::{
    Curve, DssPrivate, DssPublic, EcPrivate, EcPublic, Ed25519Private, Ed25519Public, Number, PrivateParts,
    PublicParts, RsaPrivate, RsaPublic,
};
use crate::{KeyAlgorithm, KeyError};

/// Octets being written; erased on drop, since a private key may be among them. There is room for any key from the
/// start, so that nothing is left behind in memory by growing.
pub(crate) struct Wire(pub(crate) Zeroizing<Vec<u8>>);

impl Default for Wire {
    fn default() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(WIRE_OCTETS)))
    }
}

impl Wire {
    pub(crate) fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    pub(crate) fn string(&mut self, octets: &[u8]) {
        self.u32(u32::try_from(octets.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(octets);
    }

    fn number(&mut self, n: &Number) {
        self.string(&n.signed_octets());
    }

    fn numbers(&mut self, numbers: &[&Number]) {
        for n in numbers {
            self.number(n);
        }
    }
}

/// The public blob of a key.
pub(crate) fn encode_public(key: &PublicParts) -> Vec<u8> {
    let mut wire = Wire::default();
    wire.string(key.algorithm().ssh_name().as_bytes());
    match key {
        PublicParts::Rsa(key) => wire.numbers(&[&key.e, &key.n]),
        PublicParts::Dss(key) => wire.numbers(&[&key.p, &key.q, &key.g, &key.y]),
        PublicParts::Ec(key) => encode_point(&mut wire, key),
        PublicParts::Ed25519(key) => wire.string(&key.0),
    }
    wire.0.to_vec()
}

/// The key of a public blob, which must be its whole content.
pub(crate) fn decode_public(blob: &[u8]) -> Result<PublicParts, KeyError> {
    if blob.len() > SSH_BLOB_OCTETS_MAX {
        return Err(damaged("it has more octets than any key"));
    }
    let mut wire = Octets::new(blob);
    let key = match decode_algorithm(&mut wire)? {
        KeyAlgorithm::Rsa => {
            let [e, n] = numbers(&mut wire)?;
            PublicParts::Rsa(RsaPublic::new(n, e))
        }
        KeyAlgorithm::Dss => {
            let [p, q, g, y] = numbers(&mut wire)?;
            PublicParts::Dss(DssPublic { p, q, g, y })
        }
        KeyAlgorithm::Ed25519 => PublicParts::Ed25519(Ed25519Public::new(string(&mut wire)?)?),
        other => PublicParts::Ec(decode_point(&mut wire, other)?),
    };
    wire.end().map_err(octets_error)?;
    Ok(key)
}

/// The private part of a key: its name and its numbers, public ones among them, as OPENSSH files hold them.
pub(crate) fn encode_private(wire: &mut Wire, key: &PrivateParts) {
    wire.string(key.public().algorithm().ssh_name().as_bytes());
    match key {
        PrivateParts::Rsa(key) => {
            wire.numbers(&[&key.public.n, &key.public.e, &key.d, &key.iqmp, &key.p, &key.q]);
        }
        PrivateParts::Dss(key) => {
            let DssPublic { p, q, g, y } = &key.public;
            wire.numbers(&[p, q, g, y, &key.x]);
        }
        PrivateParts::Ec(key) => {
            encode_point(wire, &key.public);
            wire.number(&Number::new(&key.scalar));
        }
        PrivateParts::Ed25519(key) => {
            wire.string(&key.public.0);
            wire.string(&Zeroizing::new([key.seed.as_slice(), &key.public.0].concat()));
        }
    }
}

/// The reverse of [`encode_private`].
pub(crate) fn decode_private(wire: &mut Octets<'_>) -> Result<PrivateParts, KeyError> {
    Ok(match decode_algorithm(wire)? {
        KeyAlgorithm::Rsa => {
            let [n, e, d, iqmp, p, q] = numbers(wire)?;
            PrivateParts::Rsa(RsaPrivate::from_ssh_numbers(RsaPublic::new(n, e), [d, iqmp, p, q])?)
        }
        KeyAlgorithm::Dss => {
            let [p, q, g, y, x] = numbers(wire)?;
            PrivateParts::Dss(DssPrivate { public: DssPublic { p, q, g, y }, x })
        }
        KeyAlgorithm::Ed25519 => {
            let public = Ed25519Public::new(string(wire)?)?;
            let (seed, again) = string(wire)?.split_at_checked(32).ok_or(damaged("its private part is too short"))?;
            if again != public.0 {
                return Err(KeyError::Mismatch { algorithm: KeyAlgorithm::Ed25519 });
            }
            PrivateParts::Ed25519(Ed25519Private { public, ..Ed25519Private::from_seed(seed)? })
        }
        other => {
            let public = decode_point(wire, other)?;
            let [scalar] = numbers(wire)?;
            let scalar =
                scalar.padded(public.curve.octets()).unwrap_or_else(|| Zeroizing::new(scalar.octets().to_vec()));
            PrivateParts::Ec(EcPrivate { public: public.clone(), ..EcPrivate::from_scalar(public.curve, &scalar)? })
        }
    })
}

fn encode_point(wire: &mut Wire, key: &EcPublic) {
    wire.string(key.curve.ssh_name().as_bytes());
    wire.string(&key.point);
}

fn decode_point(wire: &mut Octets<'_>, algorithm: KeyAlgorithm) -> Result<EcPublic, KeyError> {
    let name = string(wire)?;
    let curve = Curve::ALL
        .into_iter()
        .find(|curve| curve.ssh_name().as_bytes() == name && curve.algorithm() == algorithm)
        .ok_or(damaged("the name of its curve does not fit its algorithm"))?;
    Ok(EcPublic { curve, point: curve.uncompressed(string(wire)?)? })
}

fn decode_algorithm(wire: &mut Octets<'_>) -> Result<KeyAlgorithm, KeyError> {
    let name = string(wire)?;
    KeyAlgorithm::ALL.into_iter().find(|a| a.ssh_name().as_bytes() == name).ok_or_else(|| {
        let shown = octets_text(name);
        let what = if name.ends_with(b"-cert-v01@openssh.com") {
            format!("an OpenSSH certificate ({shown}) is no bare key")
        } else if name.starts_with(b"sk-") {
            format!("a key on a security token ({shown}) can't be used")
        } else {
            format!("key type {shown} is not known")
        };
        KeyError::Unsupported { what }
    })
}

fn numbers<const N: usize>(wire: &mut Octets<'_>) -> Result<[Number; N], KeyError> {
    let mut read = Vec::with_capacity(N);
    for _ in 0..N {
        let octets = string(wire)?;
        match octets {
            [first, ..] if *first >= 0x80 => return Err(damaged("a number in it is negative")),
            [0, second, ..] if *second < 0x80 => return Err(damaged("a number in it has needless zeros")),
            [0] => return Err(damaged("a number in it has needless zeros")),
            _ => read.push(Number::new(octets)),
        }
    }
    read.try_into().map_err(|_| damaged("numbers are missing"))
}

fn string<'a>(wire: &mut Octets<'a>) -> Result<&'a [u8], KeyError> {
    wire.string(KEY_TEXT_OCTETS_MAX).map_err(octets_error)
}

/// Room for the private part of an RSA key of 8192 bits, with its public part before it.
const WIRE_OCTETS: usize = 6 * 1024;

pub(crate) fn octets_error(error: OctetsError) -> KeyError {
    KeyError::Damaged { what: "SSH key", why: error.to_string() }
}

fn damaged(why: &str) -> KeyError {
    KeyError::Damaged { what: "SSH key", why: why.to_owned() }
}
