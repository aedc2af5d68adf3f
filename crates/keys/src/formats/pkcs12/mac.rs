//! The check value of a PKCS#12 file (RFC 7292 section 4, RFC 9579).

use base::same_octets;
use der::Tag;
use der::asn1::ObjectIdentifier;

use super::WHAT;
use crate::KeyError;
use crate::asn1::{Value, Values};
use crate::error::damaged;
use crate::limits::SALT_OCTETS_MAX;
use crate::pbe::{Hash, Opening, Prf, Purpose, bmp_password, derive_pbkdf2, derive_pkcs12, read_hash, read_pbkdf2};

/// Says whether the password fits the file. With no password the empty one and the absent one are tried, and what fits is
/// what opens the rest.
pub(super) fn check(mac: Value<'_>, content: &[u8], opening: &mut Opening<'_>) -> Result<(), KeyError> {
    let given = opening.password_if_any()?;
    let check = Check::read(mac)?;
    let tried: &[Option<&str>] = if given.is_none_or(str::is_empty) { &[Some(""), None] } else { &[given] };
    for password in tried {
        opening.spend(WHAT, check.work())?;
        if same_octets(&check.value(*password, content), check.expected) {
            if matches!(check.hash(), Hash::Md5 | Hash::Sha1) {
                opening.weak("the check value of a PKCS#12 file with SHA-1");
            }
            opening.take_empty();
            return Ok(());
        }
    }
    Err(if given.is_none() { KeyError::PasswordNeeded } else { KeyError::PasswordWrong })
}

/// How the value is made, and what it must be.
struct Check<'a> {
    method: Method<'a>,
    expected: &'a [u8],
}

enum Method<'a> {
    /// By the derivation of PKCS#12: hash, salt, steps.
    Pkcs12(Hash, &'a [u8], u32),
    /// PBMAC1: hash of PBKDF2, salt, steps, octets of the key, hash of the HMAC.
    Pbmac1 { derivation: Hash, salt: &'a [u8], steps: u32, octets: usize, hmac: Hash },
}

impl<'a> Check<'a> {
    fn read(mac: Value<'a>) -> Result<Self, KeyError> {
        let mut values = mac.inside(WHAT)?;
        let mut digest = values.expect(Tag::Sequence, "its check value")?.inside(WHAT)?;
        let algorithm = digest.expect(Tag::Sequence, "the algorithm of its check value")?;
        let expected = digest.expect(Tag::OctetString, "its check value")?.octets;
        digest.end()?;
        let salt = values.expect(Tag::OctetString, "the salt of its check value")?.octets;
        if salt.len() > SALT_OCTETS_MAX {
            return Err(damaged(WHAT, "its salt is too long"));
        }
        let steps = match values.tags().first() {
            Some(Tag::Integer) => crate::pbe::steps(WHAT, &mut values)?,
            _ => 1,
        };
        values.end()?;
        let mut parts = algorithm.inside(WHAT)?;
        let method = if parts.next("the algorithm of its check value")?.oid(WHAT)? == PBMAC1 {
            Self::read_pbmac1(parts.next("the parameters of its check value")?.inside(WHAT)?)?
        } else {
            Method::Pkcs12(read_hash(WHAT, algorithm)?, salt, steps)
        };
        Ok(Self { method, expected })
    }

    fn read_pbmac1(mut parameters: Values<'a>) -> Result<Method<'a>, KeyError> {
        let mut derivation = parameters.expect(Tag::Sequence, "its key derivation")?.inside(WHAT)?;
        let name = derivation.next("its key derivation")?.oid(WHAT)?;
        if name != PBKDF2 {
            return Err(KeyError::Encryption { what: WHAT, algorithm: format!("key derivation {name}") });
        }
        let read = read_pbkdf2(WHAT, derivation.next("the parameters of its key derivation")?)?;
        let hmac = Prf::read(WHAT, parameters.expect(Tag::Sequence, "its HMAC")?)?;
        parameters.end()?;
        // The length of the key must stand there (RFC 9579 section 5).
        let octets = read.key_octets.filter(|octets| (MAC_KEY_OCTETS_MIN..=MAC_KEY_OCTETS_MAX).contains(octets));
        let octets =
            octets.ok_or(damaged(WHAT, "the length of the key of its check value is missing or out of range"))?;
        Ok(Method::Pbmac1 { derivation: read.hash, salt: read.salt, steps: read.steps, octets, hmac })
    }

    const fn hash(&self) -> Hash {
        match self.method {
            Method::Pkcs12(hash, ..) | Method::Pbmac1 { hmac: hash, .. } => hash,
        }
    }

    fn work(&self) -> u64 {
        match self.method {
            Method::Pkcs12(_, _, steps) => u64::from(steps),
            Method::Pbmac1 { derivation, steps, octets, .. } => {
                let blocks = u64::try_from(octets.div_ceil(derivation.octets())).unwrap_or(u64::MAX);
                u64::from(steps).saturating_mul(blocks)
            }
        }
    }

    fn value(&self, password: Option<&str>, content: &[u8]) -> Vec<u8> {
        match self.method {
            Method::Pkcs12(hash, salt, steps) => {
                let password = bmp_password(password);
                let key = derive_pkcs12((hash, Purpose::Mac), (&password, salt), steps, hash.octets());
                hash.hmac(&key, &[content])
            }
            Method::Pbmac1 { derivation, salt, steps, octets, hmac } => {
                let password = password.unwrap_or_default().as_bytes();
                hmac.hmac(&derive_pbkdf2(derivation, (password, salt), steps, octets), &[content])
            }
        }
    }
}

const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
/// Octets of the key of PBMAC1 (RFC 9579 section 5 has 20 as the least).
const MAC_KEY_OCTETS_MIN: usize = 20;
const MAC_KEY_OCTETS_MAX: usize = 128;
