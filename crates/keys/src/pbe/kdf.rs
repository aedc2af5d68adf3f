//! Keys from passwords.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use aws_lc_rs::pbkdf2::{
    PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512, derive as derive_fast,
};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use zeroize::Zeroizing;

/// A hash function of these schemes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512T224,
    Sha512T256,
}

/// Calls a generic function with the type of the hash.
macro_rules! with_hash {
    ($hash:expr, $function:ident ( $($argument:expr),* )) => {
        match $hash {
            Hash::Md5 => $function::<Md5>($($argument),*),
            Hash::Sha1 => $function::<Sha1>($($argument),*),
            Hash::Sha224 => $function::<Sha224>($($argument),*),
            Hash::Sha256 => $function::<Sha256>($($argument),*),
            Hash::Sha384 => $function::<Sha384>($($argument),*),
            Hash::Sha512 => $function::<Sha512>($($argument),*),
            Hash::Sha512T224 => $function::<Sha512_224>($($argument),*),
            Hash::Sha512T256 => $function::<Sha512_256>($($argument),*),
        }
    };
}

impl Hash {
    /// Octets of its value.
    pub(crate) const fn octets(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 | Self::Sha512T224 => 28,
            Self::Sha256 | Self::Sha512T256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Octets that it takes in at once.
    const fn block(self) -> usize {
        match self {
            Self::Md5 | Self::Sha1 | Self::Sha224 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 | Self::Sha512T224 | Self::Sha512T256 => 128,
        }
    }

    /// Its value of the parts one behind the other.
    pub(crate) fn of(self, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        // Those that are used today are faster in the one library.
        let fast = match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
            Self::Md5 | Self::Sha224 | Self::Sha512T224 | Self::Sha512T256 => {
                return with_hash!(self, digest(parts));
            }
        };
        let mut hash = Context::new(fast);
        parts.iter().for_each(|part| hash.update(part));
        Zeroizing::new(hash.finish().as_ref().to_vec())
    }

    /// HMAC of the parts one behind the other.
    pub(crate) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        with_hash!(self, hmac(key, parts))
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part));
    Zeroizing::new(hash.finalize().to_vec())
}

fn hmac<D: EagerHash>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // A key of any length is taken.
    let Ok(mut mac) = <Hmac<D> as KeyInit>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// PBKDF2 (RFC 8018 section 5.2).
pub(crate) fn derive_pbkdf2(
    hash: Hash,
    (password, salt): (&[u8], &[u8]),
    steps: u32,
    octets: usize,
) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(vec![0; octets]);
    let fast = match hash {
        Hash::Sha1 => Some(PBKDF2_HMAC_SHA1),
        Hash::Sha256 => Some(PBKDF2_HMAC_SHA256),
        Hash::Sha384 => Some(PBKDF2_HMAC_SHA384),
        Hash::Sha512 => Some(PBKDF2_HMAC_SHA512),
        Hash::Md5 | Hash::Sha224 | Hash::Sha512T224 | Hash::Sha512T256 => None,
    };
    match (fast, NonZeroU32::new(steps)) {
        (Some(algorithm), Some(steps)) => derive_fast(algorithm, steps, salt, password, &mut out),
        _ => with_hash!(hash, pbkdf2_into(password, salt, steps, &mut out)),
    }
    out
}

fn pbkdf2_into<D: EagerHash>(password: &[u8], salt: &[u8], steps: u32, out: &mut [u8]) {
    pbkdf2::pbkdf2_hmac::<D>(password, salt, steps, out);
}

/// PBKDF1 (RFC 8018 section 5.1): at most one value of the hash.
pub(super) fn derive_pbkdf1(hash: Hash, (password, salt): (&[u8], &[u8]), steps: u32) -> Zeroizing<Vec<u8>> {
    let mut key = hash.of(&[password, salt]);
    for _ in 1..steps {
        key = hash.of(&[&key]);
    }
    key
}

/// What OpenSSL does with the salt of a `DEK-Info` header: MD5 of all before, again and again.
pub(crate) fn derive_from_header(password: &[u8], salt: &[u8], octets: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(octets + Hash::Md5.octets()));
    let mut last = Zeroizing::new(Vec::new());
    while out.len() < octets {
        last = Hash::Md5.of(&[&last, password, salt]);
        out.extend_from_slice(&last);
    }
    out.truncate(octets);
    out
}

/// What octets are derived for in PKCS#12 (RFC 7292 appendix B.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Key,
    Iv,
    Mac,
}

impl Purpose {
    const fn id(self) -> u8 {
        match self {
            Self::Key => 1,
            Self::Iv => 2,
            Self::Mac => 3,
        }
    }
}

/// The password as PKCS#12 wants it (RFC 7292 appendix B.1): two octets for each unit of UTF-16, and two zeros. An absent
/// password is empty, which is not the same as an empty one.
pub(crate) fn bmp_password(password: Option<&str>) -> Zeroizing<Vec<u8>> {
    let Some(password) = password else { return Zeroizing::default() };
    // Room for all, so that nothing is left behind in memory by growing.
    let mut out = Zeroizing::new(Vec::with_capacity(password.len() * 2 + 2));
    password.encode_utf16().for_each(|unit| out.extend_from_slice(&unit.to_be_bytes()));
    out.extend_from_slice(&[0, 0]);
    out
}

/// The derivation of PKCS#12 (RFC 7292 appendix B.2), of a password made by [`bmp_password`].
pub(crate) fn derive_pkcs12(
    (hash, purpose): (Hash, Purpose),
    (password, salt): (&[u8], &[u8]),
    steps: u32,
    octets: usize,
) -> Zeroizing<Vec<u8>> {
    let block = hash.block();
    let diversifier = vec![purpose.id(); block];
    let mut input = Zeroizing::new(Vec::with_capacity(filled(salt, block) + filled(password, block)));
    input.extend(salt.iter().cycle().take(filled(salt, block)));
    input.extend(password.iter().cycle().take(filled(password, block)));
    let mut out = Zeroizing::new(Vec::with_capacity(octets + hash.octets()));
    loop {
        let mut value = hash.of(&[&diversifier, &input]);
        for _ in 1..steps {
            value = hash.of(&[&value]);
        }
        out.extend_from_slice(&value);
        if out.len() >= octets {
            out.truncate(octets);
            return out;
        }
        let adder: Zeroizing<Vec<u8>> = Zeroizing::new(value.iter().copied().cycle().take(block).collect());
        input.chunks_mut(block).for_each(|part| add_and_one(part, &adder));
    }
}

/// Octets of as many blocks as `octets` needs.
const fn filled(octets: &[u8], block: usize) -> usize {
    octets.len().div_ceil(block) * block
}

/// `number` = `number` + `other` + 1, without what goes over.
fn add_and_one(number: &mut [u8], other: &[u8]) {
    let mut carry = 1_u16;
    for (own, other) in number.iter_mut().rev().zip(other.iter().rev()) {
        let sum = u16::from(*own) + u16::from(*other) + carry;
        let [high, low] = sum.to_be_bytes();
        *own = low;
        carry = u16::from(high);
    }
}
