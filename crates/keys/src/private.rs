//! Private keys: made, kept in one internal form, handed to the SSH library.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use base::{Secret, random};
use ssh_key::Mpint;
use ssh_key::private::{
    DsaKeypair, DsaPrivateKey, EcdsaKeypair, EcdsaPrivateKey, Ed25519Keypair, Ed25519PrivateKey, KeypairData,
    RsaKeypair, RsaPrivateKey,
};
use ssh_key::public::{DsaPublicKey, EcdsaPublicKey, Ed25519PublicKey, RsaPublicKey};
use zeroize::Zeroizing;

use crate::formats::der;
use crate::parts::{
    Curve, DssPrivate, DssPublic, EcPrivate, Ed25519Private, Number, PrivateParts, PublicParts, RsaPrivate,
};
use crate::signer::Pair;
use crate::{KeyAlgorithm, KeyError, PublicKey};

/// A private key. To hold one is proof that its private part belongs to its public part. It cannot be cloned or
/// printed, and is erased on drop.
pub struct PrivateKey {
    public: PublicKey,
    parts: Box<PrivateParts>,
    /// Made at the first signature: reading the key each time costs more than most signatures.
    pair: OnceLock<Result<Box<Pair>, KeyError>>,
}

impl PrivateKey {
    /// Makes a fresh key from the random numbers of the system.
    ///
    /// `bits` is for RSA: 2048, 3072 (default) or 4096, also 8192; others take their only size or `None`.
    ///
    /// # Errors
    /// [`KeyError::NotMade`] for other sizes and for DSS, which is only read; [`KeyError::Engine`].
    pub fn generate(algorithm: KeyAlgorithm, bits: Option<u32>) -> Result<Self, KeyError> {
        Self::from_parts(match (algorithm, bits) {
            (KeyAlgorithm::Rsa, bits) => generate_rsa(bits.unwrap_or(RSA_BITS_DEFAULT))?,
            (KeyAlgorithm::EcdsaNistp256, None | Some(256)) => generate_ec(Curve::P256)?,
            (KeyAlgorithm::EcdsaNistp384, None | Some(384)) => generate_ec(Curve::P384)?,
            (KeyAlgorithm::EcdsaNistp521, None | Some(521)) => generate_ec(Curve::P521)?,
            (KeyAlgorithm::Ed25519, None | Some(256)) => generate_ed25519()?,
            (KeyAlgorithm::Dss, bits) => {
                let advice = "DSS is only read for old partners, make an ED25519 key";
                return Err(KeyError::NotMade { algorithm, bits: bits.unwrap_or(1024), advice });
            }
            (_, Some(bits)) => {
                return Err(KeyError::NotMade {
                    algorithm,
                    bits,
                    advice: "leave the size out, the algorithm has only one",
                });
            }
        })
    }

    /// Its public key.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The one internal form: clear PKCS#8 in DER, to be sealed before it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        der::encode_pkcs8(&self.parts)
    }

    /// The reverse of [`Self::to_bytes`].
    ///
    /// # Errors
    /// As [`crate::read_key`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_parts(der::decode_pkcs8(bytes)?)
    }

    /// The key as the SSH library takes it. The copy is erased on drop too.
    ///
    /// # Errors
    /// [`KeyError::Engine`] if that library refuses it.
    pub fn ssh_key(&self) -> Result<ssh_key::PrivateKey, KeyError> {
        let data = match &*self.parts {
            PrivateParts::Rsa(_) if self.public.is_pss_only() => {
                let what = "an RSA key for PSS signatures only can't serve SSH".to_owned();
                return Err(KeyError::Unsupported { what });
            }
            PrivateParts::Rsa(key) => KeypairData::Rsa(ssh_rsa(key)?),
            PrivateParts::Dss(key) => KeypairData::Dsa(ssh_dss(key)?),
            PrivateParts::Ec(key) => KeypairData::Ecdsa(ssh_ec(key)?),
            PrivateParts::Ed25519(key) => KeypairData::Ed25519(Ed25519Keypair {
                public: Ed25519PublicKey(key.public.0),
                private: Ed25519PrivateKey::from_bytes(&key.seed),
            }),
        };
        ssh_key::PrivateKey::new(data, "").map_err(refused)
    }

    pub(crate) fn from_parts(parts: PrivateParts) -> Result<Self, KeyError> {
        let public = PublicKey::from_parts(&parts.public())?;
        parts.check()?;
        Ok(Self { public, parts: Box::new(parts), pair: OnceLock::new() })
    }

    pub(crate) fn pair(&self) -> Result<&Pair, KeyError> {
        self.pair.get_or_init(|| Pair::of(self).map(Box::new)).as_deref().map_err(KeyError::clone)
    }

    pub(crate) fn parts(&self) -> &PrivateParts {
        &self.parts
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(redacted, {:?})", self.public)
    }
}

/// What a key file holds.
#[derive(Debug)]
pub enum KeyMaterial {
    /// A private key, with its public key.
    Private(PrivateKey),
    /// A public key alone.
    Public(PublicKey),
}

impl KeyMaterial {
    /// The public key, which both have.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        match self {
            Self::Private(key) => key.public(),
            Self::Public(key) => key,
        }
    }

    /// Whether there is a private key.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        matches!(self, Self::Private(_))
    }

    pub(crate) fn from_public(parts: &PublicParts) -> Result<Self, KeyError> {
        PublicKey::from_parts(parts).map(Self::Public)
    }

    pub(crate) fn from_private(parts: PrivateParts) -> Result<Self, KeyError> {
        PrivateKey::from_parts(parts).map(Self::Private)
    }
}

/// Bits of an RSA key when none are asked for: NIST SP 800-57 part 1, table 4, asks for 3072 beyond 2030.
const RSA_BITS_DEFAULT: u32 = 3072;

fn generate_rsa(bits: u32) -> Result<PrivateParts, KeyError> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        8192 => KeySize::Rsa8192,
        bits => {
            let advice = "take 2048, 3072, 4096 or 8192 bits";
            return Err(KeyError::NotMade { algorithm: KeyAlgorithm::Rsa, bits, advice });
        }
    };
    let failed = KeyError::Engine { what: "making an RSA key" };
    let pair = RsaKeyPair::generate(size).map_err(|_| failed.clone())?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed)?;
    der::decode_pkcs8(der.as_ref())
}

/// A random number below the order of the curve: one that is not is thrown away, so that each is equally likely.
fn generate_ec(curve: Curve) -> Result<PrivateParts, KeyError> {
    for _ in 0..EC_TRIES_MAX {
        let mut scalar = Zeroizing::new(random_octets::<66>()?.to_vec());
        scalar.truncate(curve.octets());
        if let (Curve::P521, Some(first)) = (curve, scalar.first_mut()) {
            *first &= 1;
        }
        if let Ok(key) = EcPrivate::from_scalar(curve, &scalar) {
            return Ok(PrivateParts::Ec(key));
        }
    }
    Err(KeyError::Engine { what: "making an ECDSA key" })
}

/// Random numbers that are tried for an ECDSA key. The first serves but once in four thousand million times or more.
const EC_TRIES_MAX: u32 = 16;

fn generate_ed25519() -> Result<PrivateParts, KeyError> {
    Ok(PrivateParts::Ed25519(Ed25519Private::from_seed(random_octets::<32>()?.as_slice())?))
}

fn random_octets<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyError> {
    random().map(Zeroizing::new).map_err(|_| KeyError::Engine { what: "taking random numbers of the system" })
}

fn ssh_rsa(key: &RsaPrivate) -> Result<RsaKeypair, KeyError> {
    let public = RsaPublicKey::new(mpint(&key.public.e), mpint(&key.public.n)).map_err(refused)?;
    let private = RsaPrivateKey::new(mpint(&key.d), mpint(&key.iqmp), mpint(&key.p), mpint(&key.q)).map_err(refused)?;
    RsaKeypair::new(public, private).map_err(refused)
}

fn ssh_dss(key: &DssPrivate) -> Result<DsaKeypair, KeyError> {
    let DssPublic { p, q, g, y } = &key.public;
    let public = DsaPublicKey::new(mpint(p), mpint(q), mpint(g), mpint(y)).map_err(refused)?;
    DsaKeypair::new(public, DsaPrivateKey::new(mpint(&key.x)).map_err(refused)?).map_err(refused)
}

fn ssh_ec(key: &EcPrivate) -> Result<EcdsaKeypair, KeyError> {
    Ok(match EcdsaPublicKey::from_sec1_bytes(&key.public.point).map_err(refused)? {
        EcdsaPublicKey::NistP256(public) => EcdsaKeypair::NistP256 { public, private: ssh_scalar(&key.scalar)? },
        EcdsaPublicKey::NistP384(public) => EcdsaKeypair::NistP384 { public, private: ssh_scalar(&key.scalar)? },
        EcdsaPublicKey::NistP521(public) => EcdsaKeypair::NistP521 { public, private: ssh_scalar(&key.scalar)? },
    })
}

fn ssh_scalar<const N: usize>(scalar: &[u8]) -> Result<EcdsaPrivateKey<N>, KeyError> {
    let octets: Zeroizing<[u8; N]> = Zeroizing::new(scalar.try_into().map_err(|_| SSH_REFUSED)?);
    Ok(EcdsaPrivateKey::from(*octets))
}

fn mpint(n: &Number) -> Mpint {
    Mpint::from_positive_bytes(n.octets())
}

/// Its errors name nothing that our own checks have not refused before.
fn refused(_: ssh_key::Error) -> KeyError {
    SSH_REFUSED
}

const SSH_REFUSED: KeyError = KeyError::Engine { what: "handing the key to the SSH library" };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{any_key, dss_key};

    #[test]
    fn the_internal_form_survives() {
        for algorithm in KeyAlgorithm::ALL {
            let key = any_key(algorithm);
            let again = PrivateKey::from_bytes(key.to_bytes().expose()).unwrap();
            assert_eq!(again.public(), key.public(), "{algorithm}");
            assert_eq!(again.to_bytes().expose(), key.to_bytes().expose(), "{algorithm}");
            assert!(!format!("{key:?}").contains(&base::hex(key.to_bytes().expose())));
        }
    }

    // The SSH library and our own blob agree on every public key, and its signatures verify.
    #[test]
    fn the_ssh_library_takes_every_key() {
        for algorithm in KeyAlgorithm::ALL {
            let key = any_key(algorithm);
            let theirs = key.ssh_key().unwrap();
            assert_eq!(theirs.public_key().to_bytes().unwrap(), key.public().ssh_blob(), "{algorithm}");
            let signed = theirs.sign("test", ssh_key::HashAlg::Sha256, b"message").unwrap();
            let public = ssh_key::PublicKey::from_bytes(key.public().ssh_blob()).unwrap();
            public.verify("test", b"message", &signed).unwrap();
            assert!(public.verify("test", b"other", &signed).is_err(), "{algorithm}");
        }
    }

    #[test]
    fn what_is_not_made() {
        let refused = |algorithm, bits| PrivateKey::generate(algorithm, bits).unwrap_err();
        assert!(refused(KeyAlgorithm::Dss, None).to_string().contains("ED25519"));
        assert!(refused(KeyAlgorithm::Rsa, Some(1024)).to_string().contains("1024"));
        assert!(refused(KeyAlgorithm::Ed25519, Some(512)).to_string().contains("512"));
    }

    #[test]
    fn foreign_parts_are_refused() {
        let (a, b) = (any_key(KeyAlgorithm::Ed25519), any_key(KeyAlgorithm::Ed25519));
        let (PrivateParts::Ed25519(a), PrivateParts::Ed25519(b)) = (a.parts(), b.parts()) else { panic!("other kind") };
        let mixed = Ed25519Private { public: a.public.clone(), seed: b.seed.clone() };
        let error = PrivateKey::from_parts(PrivateParts::Ed25519(mixed)).unwrap_err();
        assert_eq!(error, KeyError::Mismatch { algorithm: KeyAlgorithm::Ed25519 });

        let (key, other) = (dss_key(), dss_key());
        let (PrivateParts::Dss(key), PrivateParts::Dss(other)) = (key.parts(), other.parts()) else { panic!("other") };
        let mixed = DssPrivate { public: key.public.clone(), x: other.x.clone() };
        let error = PrivateKey::from_parts(PrivateParts::Dss(mixed)).unwrap_err();
        assert_eq!(error, KeyError::Mismatch { algorithm: KeyAlgorithm::Dss });
    }

    #[test]
    fn an_rsa_key_with_a_changed_number_is_refused() {
        let key = any_key(KeyAlgorithm::Rsa);
        let PrivateParts::Rsa(key) = key.parts() else { panic!("other kind") };
        let two = Number::new(&[2]);
        for changed in 0..6 {
            let pick = |at: usize, n: &Number| if at == changed { n.plus(&two) } else { n.clone() };
            let parts = RsaPrivate {
                public: key.public.clone(),
                d: pick(0, &key.d),
                p: pick(1, &key.p),
                q: pick(2, &key.q),
                dp: pick(3, &key.dp),
                dq: pick(4, &key.dq),
                iqmp: pick(5, &key.iqmp),
            };
            assert!(PrivateKey::from_parts(PrivateParts::Rsa(parts)).is_err(), "number {changed}");
        }
    }
}
