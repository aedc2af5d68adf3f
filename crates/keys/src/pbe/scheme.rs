//! What an AlgorithmIdentifier says about encryption under a password.

use base::random;
use der::Tag;
use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::cipher::encrypt_aes256;
use super::kdf::{derive_pbkdf1, derive_pbkdf2};
use super::{Cipher, Hash, Opening, Purpose, bmp_password, derive_pkcs12};
use crate::KeyError;
use crate::asn1::{NULL, OCTET_STRING, SEQUENCE, Value, Values, id, integer, oid, value};
use crate::error::damaged;
use crate::limits::{DERIVATION_KIB_MAX, SALT_OCTETS_MAX};
use crate::parts::Number;

/// Opens `content` as `algorithm` says. A password that is wrong and content that is damaged look alike.
pub(crate) fn decrypt(
    what: &'static str,
    (algorithm, content): (Value<'_>, &[u8]),
    opening: &mut Opening<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut values = algorithm.inside(what)?;
    let scheme = values.next("its encryption")?.oid(what)?;
    let parameters = values.next("its parameters of encryption")?;
    values.end()?;
    if scheme == PBES2 {
        return decrypt_pbes2(what, (parameters, content), opening);
    }
    let old = old_scheme(scheme)
        .ok_or_else(|| KeyError::Encryption { what, algorithm: format!("encryption scheme {scheme}") })?;
    let mut values = parameters.inside(what)?;
    let salt = salt(what, &mut values)?;
    let steps = steps(what, &mut values)?;
    values.end()?;
    opening.spend(what, u64::from(steps).saturating_mul(4))?;
    note(old.cipher, opening);
    if old.pkcs12 {
        return decrypt_pkcs12(&old, (salt, steps), content, opening);
    }
    let password = opening.password()?;
    let derived = derive_pbkdf1(old.hash, (password.as_bytes(), salt), steps);
    let (key, iv) = derived.split_at_checked(8).ok_or(KeyError::PasswordWrong)?;
    old.cipher.decrypt(key, iv.get(..8).unwrap_or_default(), content).ok_or(KeyError::PasswordWrong)
}

/// With no password both the absent and the empty one are tried: writers differ.
fn decrypt_pkcs12(
    old: &OldScheme,
    (salt, steps): (&[u8], u32),
    content: &[u8],
    opening: &Opening<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let given = opening.password_if_any()?;
    let tried: &[Option<&str>] = if given.is_none_or(str::is_empty) { &[None, Some("")] } else { &[given] };
    for password in tried {
        let password = bmp_password(*password);
        let derive = |purpose, octets| derive_pkcs12((old.hash, purpose), (password.as_slice(), salt), steps, octets);
        let key = derive(Purpose::Key, old.cipher.key_octets());
        let iv = derive(Purpose::Iv, old.cipher.iv_octets());
        // RC4 has no padding that tells; what it gives must at least be a structure.
        let opened = old.cipher.decrypt(&key, &iv, content).filter(|clear| clear.first() == Some(&SEQUENCE));
        if let Some(clear) = opened {
            return Ok(clear);
        }
    }
    Err(if given.is_none() { KeyError::PasswordNeeded } else { KeyError::PasswordWrong })
}

fn decrypt_pbes2(
    what: &'static str,
    (parameters, content): (Value<'_>, &[u8]),
    opening: &mut Opening<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut values = parameters.inside(what)?;
    let derivation = values.next("its key derivation")?;
    let (cipher, iv) = read_cipher(what, values.next("its cipher")?)?;
    values.end()?;
    note(cipher, opening);
    let password = opening.password()?.as_bytes();
    let mut values = derivation.inside(what)?;
    let name = values.next("its key derivation")?.oid(what)?;
    let parameters = values.next("the parameters of its key derivation")?;
    values.end()?;
    let key = match name {
        PBKDF2 => {
            let read = read_pbkdf2(what, parameters)?;
            // RC2 takes a key of any length: here it stands beside the key derivation.
            let cipher = with_length(what, cipher, read.key_octets)?;
            opening.spend(what, read.work(cipher.key_octets()))?;
            let key = derive_pbkdf2(read.hash, (password, read.salt), read.steps, cipher.key_octets());
            return cipher.decrypt(&key, iv, content).ok_or(KeyError::PasswordWrong);
        }
        SCRYPT => scrypt_key(what, (parameters, password), cipher.key_octets(), opening)?,
        other => return Err(KeyError::Encryption { what, algorithm: format!("key derivation {other}") }),
    };
    cipher.decrypt(&key, iv, content).ok_or(KeyError::PasswordWrong)
}

fn with_length(what: &'static str, cipher: Cipher, octets: Option<usize>) -> Result<Cipher, KeyError> {
    match (cipher, octets) {
        (Cipher::Rc2 { bits, .. }, Some(octets @ 1..=128)) => Ok(Cipher::Rc2 { octets, bits }),
        (cipher, Some(octets)) if octets != cipher.key_octets() => {
            Err(damaged(what, "the length of its key does not fit its cipher"))
        }
        (cipher, _) => Ok(cipher),
    }
}

fn note(cipher: Cipher, opening: &mut Opening<'_>) {
    if let Some(name) = cipher.weak_name() {
        opening.weak(&format!("encryption with {name}"));
    }
}

/// Encrypts by PBES2 with PBKDF2, HMAC-SHA-256 and AES-256 (RFC 8018): the AlgorithmIdentifier and the content.
pub(crate) fn encrypt(clear: &[u8], password: &str, steps: u32) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
    let salt = random::<16>().map_err(|_| NO_RANDOM)?;
    let key = derive_pbkdf2(Hash::Sha256, (password.as_bytes(), &salt), steps, 32);
    encrypt_with((&salt, &key), clear, steps)
}

/// As [`encrypt`], with a key that was derived before, by this salt and so many steps.
pub(crate) fn encrypt_with(
    (salt, key): (&[u8], &[u8]),
    clear: &[u8],
    steps: u32,
) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
    let iv = random::<16>().map_err(|_| NO_RANDOM)?;
    let content = encrypt_aes256(key, &iv, clear).ok_or(KeyError::Engine { what: "encrypting" })?;
    let derivation = value(SEQUENCE, &[&oid(PBKDF2), &pbkdf2_parameters(salt, steps)]);
    let cipher = value(SEQUENCE, &[&oid(AES256), &value(OCTET_STRING, &[&iv])]);
    let parameters = value(SEQUENCE, &[&derivation, &cipher]);
    Ok((value(SEQUENCE, &[&oid(PBES2), &parameters]).to_vec(), content))
}

/// Opens what [`encrypt_with`] made with the same key.
pub(crate) fn decrypt_with(
    what: &'static str,
    (algorithm, content): (Value<'_>, &[u8]),
    key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut values = algorithm.inside(what)?;
    values.next("its encryption")?;
    let mut parameters = values.next("its parameters of encryption")?.inside(what)?;
    parameters.next("its key derivation")?;
    let (cipher, iv) = read_cipher(what, parameters.next("its cipher")?)?;
    cipher.decrypt(key, iv, content).ok_or(KeyError::PasswordWrong)
}

const NO_RANDOM: KeyError = KeyError::Engine { what: "taking random numbers of the system" };

/// What PBKDF2 is to do.
pub(crate) struct Pbkdf2<'a> {
    pub(crate) hash: Hash,
    pub(crate) salt: &'a [u8],
    pub(crate) steps: u32,
    pub(crate) key_octets: Option<usize>,
}

impl Pbkdf2<'_> {
    /// Steps that it takes for so many octets.
    pub(crate) fn work(&self, octets: usize) -> u64 {
        u64::from(self.steps).saturating_mul(octets.div_ceil(self.hash.octets()).try_into().unwrap_or(u64::MAX))
    }
}

/// Reads PBKDF2-params (RFC 8018 appendix A.2).
pub(crate) fn read_pbkdf2<'a>(what: &'static str, parameters: Value<'a>) -> Result<Pbkdf2<'a>, KeyError> {
    let mut values = parameters.inside(what)?;
    let salt = salt(what, &mut values)?;
    let steps = steps(what, &mut values)?;
    let mut key_octets = None;
    if values.tags().first() == Some(&Tag::Integer) {
        key_octets = Some(usize::try_from(number(what, &values.unsigned()?)?).unwrap_or(usize::MAX));
    }
    let hash = match values.next_any() {
        None => Hash::Sha1,
        Some(prf) => Prf::read(what, prf)?,
    };
    values.end()?;
    Ok(Pbkdf2 { hash, salt, steps, key_octets })
}

/// Writes PBKDF2-params with HMAC-SHA-256.
pub(crate) fn pbkdf2_parameters(salt: &[u8], steps: u32) -> Vec<u8> {
    let steps = integer(&Number::new(&steps.to_be_bytes()));
    let prf = Prf::write(Hash::Sha256);
    value(SEQUENCE, &[&value(OCTET_STRING, &[salt]), &steps, &prf]).to_vec()
}

/// The HMAC of a scheme, as an AlgorithmIdentifier.
pub(crate) struct Prf;

impl Prf {
    pub(crate) fn read(what: &'static str, algorithm: Value<'_>) -> Result<Hash, KeyError> {
        named(what, algorithm, &HMACS)
    }

    fn write(hash: Hash) -> Vec<u8> {
        let name = HMACS.iter().find(|(_, known)| *known == hash).map_or(HMAC_SHA256, |(id, _)| *id);
        value(SEQUENCE, &[&oid(name), NULL]).to_vec()
    }
}

/// Reads the AlgorithmIdentifier of a hash function.
pub(crate) fn read_hash(what: &'static str, algorithm: Value<'_>) -> Result<Hash, KeyError> {
    named(what, algorithm, &HASHES)
}

/// The hash that an AlgorithmIdentifier names in `table`.
fn named(what: &'static str, algorithm: Value<'_>, table: &[(ObjectIdentifier, Hash)]) -> Result<Hash, KeyError> {
    let mut values = algorithm.inside(what)?;
    let name = values.next("its hash function")?.oid(what)?;
    match values.next_any() {
        None => {}
        Some(value) if value.tag == Tag::Null && value.octets.is_empty() => {}
        Some(_) => return Err(damaged(what, "its hash function has parameters that it should not have")),
    }
    values.end()?;
    let known = table.iter().find(|(id, _)| *id == name).map(|(_, hash)| *hash);
    known.ok_or_else(|| KeyError::Encryption { what, algorithm: format!("hash function {name}") })
}

fn scrypt_key(
    what: &'static str,
    (parameters, password): (Value<'_>, &[u8]),
    octets: usize,
    opening: &mut Opening<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut values = parameters.inside(what)?;
    let salt = salt(what, &mut values)?;
    let cost = number(what, &values.unsigned()?)?;
    let (block, lanes) = (number(what, &values.unsigned()?)?, number(what, &values.unsigned()?)?);
    if values.tags().first() == Some(&Tag::Integer) && number(what, &values.unsigned()?)? != small(octets) {
        return Err(damaged(what, "the length of its key does not fit its cipher"));
    }
    values.end()?;
    let kib = u64::from(cost).saturating_mul(u64::from(block)) / 8;
    if !cost.is_power_of_two() || cost < 2 || block == 0 || lanes == 0 || kib > u64::from(DERIVATION_KIB_MAX) {
        return Err(KeyError::Derivation { what, steps: u64::from(cost).saturating_mul(u64::from(block)) });
    }
    opening.spend(what, kib.saturating_mul(8).saturating_mul(u64::from(lanes)).saturating_mul(2))?;
    let log = u8::try_from(cost.ilog2()).unwrap_or(u8::MAX);
    let unfit = |_| damaged(what, "its key derivation asks for what scrypt can't do");
    let parameters = scrypt::Params::new(log, block, lanes).map_err(unfit)?;
    let mut key = Zeroizing::new(vec![0; octets]);
    scrypt::scrypt(password, salt, &parameters, &mut key)
        .map_err(|_| damaged(what, "its key derivation asks for what scrypt can't do"))?;
    Ok(key)
}

fn small(octets: usize) -> u32 {
    u32::try_from(octets).unwrap_or(u32::MAX)
}

/// The cipher of PBES2 and its initial vector. The key of RC2 has its usual length until the derivation says more.
fn read_cipher<'a>(what: &'static str, algorithm: Value<'a>) -> Result<(Cipher, &'a [u8]), KeyError> {
    let mut values = algorithm.inside(what)?;
    let name = values.next("its cipher")?.oid(what)?;
    let parameters = values.next("the initial vector")?;
    values.end()?;
    let (cipher, iv) = match name {
        RC2 => {
            let mut values = parameters.inside(what)?;
            let bits = match values.tags().first() {
                Some(Tag::Integer) => rc2_bits(what, number(what, &values.unsigned()?)?)?,
                _ => 32,
            };
            let iv = values.expect(Tag::OctetString, "the initial vector")?.octets;
            values.end()?;
            (Cipher::Rc2 { octets: bits / 8, bits }, iv)
        }
        other => {
            let known = CIPHERS.iter().find(|(id, _)| *id == other).map(|(_, cipher)| *cipher);
            let unknown = || KeyError::Encryption { what, algorithm: format!("cipher {other}") };
            let iv = match parameters.tag {
                Tag::OctetString => parameters.octets,
                _ => return Err(damaged(what, "the initial vector is missing")),
            };
            (known.ok_or_else(unknown)?, iv)
        }
    };
    if iv.len() == cipher.iv_octets() {
        Ok((cipher, iv))
    } else {
        Err(damaged(what, "the initial vector has the wrong length"))
    }
}

/// Effective bits of the key from the version number of RC2 (RFC 8018 appendix B.2.3).
fn rc2_bits(what: &'static str, version: u32) -> Result<usize, KeyError> {
    match version {
        160 => Ok(40),
        120 => Ok(64),
        58 => Ok(128),
        256..=1024 => usize::try_from(version).map_err(|_| damaged(what, "its RC2 version is not known")),
        other => Err(KeyError::Encryption { what, algorithm: format!("RC2 of version {other}") }),
    }
}

fn salt<'a>(what: &'static str, values: &mut Values<'a>) -> Result<&'a [u8], KeyError> {
    let salt = values.expect(Tag::OctetString, "its salt")?.octets;
    if salt.len() > SALT_OCTETS_MAX { Err(damaged(what, "its salt is too long")) } else { Ok(salt) }
}

/// How often a password is stretched: at least once.
pub(crate) fn steps(what: &'static str, values: &mut Values<'_>) -> Result<u32, KeyError> {
    match number(what, &values.unsigned()?)? {
        0 => Err(damaged(what, "its password is not stretched: it asks for no step of key derivation")),
        steps => Ok(steps),
    }
}

/// A number of at most 32 bits; a greater one counts as the greatest.
fn number(what: &'static str, number: &Number) -> Result<u32, KeyError> {
    match number.octets() {
        octets @ ([] | [_] | [_, _] | [_, _, _] | [_, _, _, _]) => {
            Ok(octets.iter().fold(0, |n, o| (n << 8) | u32::from(*o)))
        }
        _ => Err(KeyError::Derivation { what, steps: u64::MAX }),
    }
}

/// A scheme from before PBES2.
struct OldScheme {
    hash: Hash,
    cipher: Cipher,
    /// Derived as PKCS#12 does, else by PBKDF1.
    pkcs12: bool,
}

fn old_scheme(name: ObjectIdentifier) -> Option<OldScheme> {
    let (_, hash, cipher, pkcs12) = *OLD.iter().find(|(id, ..)| *id == name)?;
    Some(OldScheme { hash, cipher, pkcs12 })
}

const PBES2: ObjectIdentifier = id("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = id("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = id("1.3.6.1.4.1.11591.4.11");
const RC2: ObjectIdentifier = id("1.2.840.113549.3.2");
const AES256: ObjectIdentifier = id("2.16.840.1.101.3.4.1.42");
const HMAC_SHA256: ObjectIdentifier = id("1.2.840.113549.2.9");

const RC2_OLD: Cipher = Cipher::Rc2 { octets: 8, bits: 64 };

/// RFC 8018 appendix A.3, RFC 7292 appendix C.
const OLD: [(ObjectIdentifier, Hash, Cipher, bool); 10] = [
    (id("1.2.840.113549.1.5.3"), Hash::Md5, Cipher::Des, false),
    (id("1.2.840.113549.1.5.6"), Hash::Md5, RC2_OLD, false),
    (id("1.2.840.113549.1.5.10"), Hash::Sha1, Cipher::Des, false),
    (id("1.2.840.113549.1.5.11"), Hash::Sha1, RC2_OLD, false),
    (id("1.2.840.113549.1.12.1.1"), Hash::Sha1, Cipher::Rc4 { octets: 16 }, true),
    (id("1.2.840.113549.1.12.1.2"), Hash::Sha1, Cipher::Rc4 { octets: 5 }, true),
    (id("1.2.840.113549.1.12.1.3"), Hash::Sha1, Cipher::TripleDes, true),
    (id("1.2.840.113549.1.12.1.4"), Hash::Sha1, Cipher::TripleDesTwoKeys, true),
    (id("1.2.840.113549.1.12.1.5"), Hash::Sha1, Cipher::Rc2 { octets: 16, bits: 128 }, true),
    (id("1.2.840.113549.1.12.1.6"), Hash::Sha1, Cipher::Rc2 { octets: 5, bits: 40 }, true),
];

/// RFC 8018 appendix B.2, RFC 3565.
const CIPHERS: [(ObjectIdentifier, Cipher); 5] = [
    (id("1.3.14.3.2.7"), Cipher::Des),
    (id("1.2.840.113549.3.7"), Cipher::TripleDes),
    (id("2.16.840.1.101.3.4.1.2"), Cipher::Aes128),
    (id("2.16.840.1.101.3.4.1.22"), Cipher::Aes192),
    (AES256, Cipher::Aes256),
];

/// RFC 8018 appendix B.1.
const HMACS: [(ObjectIdentifier, Hash); 7] = [
    (id("1.2.840.113549.2.7"), Hash::Sha1),
    (id("1.2.840.113549.2.8"), Hash::Sha224),
    (HMAC_SHA256, Hash::Sha256),
    (id("1.2.840.113549.2.10"), Hash::Sha384),
    (id("1.2.840.113549.2.11"), Hash::Sha512),
    (id("1.2.840.113549.2.12"), Hash::Sha512T224),
    (id("1.2.840.113549.2.13"), Hash::Sha512T256),
];

/// RFC 8018 appendix B.1.1, RFC 5754 section 2.
const HASHES: [(ObjectIdentifier, Hash); 8] = [
    (id("1.2.840.113549.2.5"), Hash::Md5),
    (id("1.3.14.3.2.26"), Hash::Sha1),
    (id("2.16.840.1.101.3.4.2.4"), Hash::Sha224),
    (id("2.16.840.1.101.3.4.2.1"), Hash::Sha256),
    (id("2.16.840.1.101.3.4.2.2"), Hash::Sha384),
    (id("2.16.840.1.101.3.4.2.3"), Hash::Sha512),
    (id("2.16.840.1.101.3.4.2.5"), Hash::Sha512T224),
    (id("2.16.840.1.101.3.4.2.6"), Hash::Sha512T256),
];
