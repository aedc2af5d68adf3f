//! Passwords that are only checked: Argon2id (STO-13, STO-14).

use std::sync::OnceLock;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, Version};
use base::{Secret, hex, random, same_octets};
use zeroize::Zeroizing;

use crate::limits::PASSWORD_OCTETS_MAX;

/// Why a password or a stored hash was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Empty or too long.
    #[error("password has {len} octets: give it 1 to {PASSWORD_OCTETS_MAX}")]
    Length {
        /// Octets given.
        len: usize,
    },
    /// A text that is no hash of ours.
    #[error("text is no Argon2id password hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash) within the allowed cost")]
    NotAHash,
    /// The cryptographic library or the random source failed.
    #[error("cryptographic operation failed: {what}")]
    Engine {
        /// Which one.
        what: &'static str,
    },
}

/// A stored password hash as PHC text, with its own salt and costs. The password cannot be read back from it.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password with a fresh salt. Takes some 20 ms and 19 MiB: call it where waiting is allowed.
    ///
    /// # Errors
    /// [`PasswordError::Length`], [`PasswordError::Engine`].
    pub fn hash(password: &Secret<String>) -> Result<Self, PasswordError> {
        let len = password.expose().len();
        if !(1..=PASSWORD_OCTETS_MAX).contains(&len) {
            return Err(PasswordError::Length { len });
        }
        let salt: [u8; SALT_OCTETS] =
            random().map_err(|_| PasswordError::Engine { what: "taking random numbers of the system" })?;
        let failed = |_| PasswordError::Engine { what: "hashing a password" };
        let mut digest = [0; HASH_OCTETS];
        argon2(MEMORY_KIB, PASSES, LANES)?
            .hash_password_into(password.expose().as_bytes(), &salt, &mut digest)
            .map_err(failed)?;
        let unprintable = |_| PasswordError::Engine { what: "writing a password hash" };
        let (salt, digest) =
            (phc::Salt::new(&salt).map_err(unprintable)?, phc::Output::new(&digest).map_err(unprintable)?);
        Ok(Self(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}")))
    }

    /// Takes a stored hash. Its costs may differ from ours but are bounded, so that no stored text can stop the program.
    ///
    /// # Errors
    /// [`PasswordError::NotAHash`].
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        match Costs::read(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(PasswordError::NotAHash),
        }
    }

    /// Whether `password` is the one that was hashed. Takes as long for a wrong one. Call it where waiting is allowed.
    #[must_use]
    pub fn verify(&self, password: &Secret<String>) -> bool {
        let Some(costs) = Costs::read(&self.0) else { return false };
        let Ok(engine) = argon2(costs.memory_kib, costs.passes, costs.lanes) else { return false };
        let mut digest = Zeroizing::new(vec![0; costs.digest.len()]);
        engine.hash_password_into(password.expose().as_bytes(), &costs.salt, &mut digest).is_ok()
            && same_octets(&digest, &costs.digest)
    }

    /// Whether the costs are no longer those that new hashes get: hash the password anew at the next good login (STO-14).
    #[must_use]
    pub fn needs_rehash(&self) -> bool {
        Costs::read(&self.0).is_none_or(|costs| {
            (costs.memory_kib, costs.passes, costs.lanes) != (MEMORY_KIB, PASSES, LANES)
                || costs.salt.len() < SALT_OCTETS
                || costs.digest.len() != HASH_OCTETS
        })
    }

    /// The PHC text, to be stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A hash of a random password that nobody knows. To verify against it costs what a real hash costs, so that an
    /// unknown user can't be told from a wrong password by the time it takes. The first call makes it: do that at start.
    #[must_use]
    pub fn decoy() -> &'static Self {
        static DECOY: OnceLock<PasswordHash> = OnceLock::new();
        DECOY.get_or_init(|| {
            let made = random::<32>().map(|octets| Secret::new(hex(&octets))).ok().and_then(|p| Self::hash(&p).ok());
            made.unwrap_or_else(|| Self(DECOY_WITHOUT_RANDOM.to_owned()))
        })
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}

/// What a PHC text says.
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Costs {
    fn read(text: &str) -> Option<Self> {
        let hash = phc::PasswordHash::new(text).ok()?;
        let known = hash.algorithm.as_str() == "argon2id" && hash.version == Some(VERSION) && hash.params.len() < 64;
        let number = |name: &str| hash.params.get_decimal(name);
        let names_known = hash.params.iter().all(|(name, _)| matches!(name.as_str(), "m" | "t" | "p"));
        let costs = Self {
            memory_kib: number("m")?,
            passes: number("t")?,
            lanes: number("p")?,
            salt: hash.salt?.to_vec(),
            digest: hash.hash?.as_bytes().to_vec(),
        };
        let bounded = (8..=MEMORY_KIB_MAX).contains(&costs.memory_kib)
            && (1..=PASSES_MAX).contains(&costs.passes)
            && (1..=LANES_MAX).contains(&costs.lanes)
            && costs.digest.len() >= DIGEST_OCTETS_MIN;
        (known && names_known && bounded).then_some(costs)
    }
}

fn argon2(memory_kib: u32, passes: u32, lanes: u32) -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(memory_kib, passes, lanes, None)
        .map_err(|_| PasswordError::Engine { what: "setting the costs of Argon2id" })?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Memory in KiB (OWASP Password Storage Cheat Sheet, 2025: Argon2id with 19 MiB, 2 passes, 1 lane).
const MEMORY_KIB: u32 = 19_456;
/// Passes over the memory (same source).
const PASSES: u32 = 2;
/// Lanes (same source).
const LANES: u32 = 1;
/// Argon2 1.3 (RFC 9106 section 3.1).
const VERSION: u32 = 19;
/// Octets of a salt (RFC 9106 section 3.1).
const SALT_OCTETS: usize = 16;
/// Octets of a hash.
const HASH_OCTETS: usize = 32;

/// Highest costs of a stored hash that is still verified: 256 MiB, 16 passes, 16 lanes.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;
/// Shortest hash of a stored text that is still believed, in octets.
const DIGEST_OCTETS_MIN: usize = 16;

/// The decoy of a machine without random numbers: its hash is no hash of anything.
const DECOY_WITHOUT_RANDOM: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Z2F0ZWhvdXNlIGRlY295IQ$bm8gcGFzc3dvcmQgaGFzaGVzIHRvIHRoZXNlIDMyIG8";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    // STO-13
    #[test]
    fn a_password_is_checked_against_its_hash() {
        let hash = PasswordHash::hash(&secret("correct horse")).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert!(hash.verify(&secret("correct horse")));
        assert!(!hash.verify(&secret("correct horse ")));
        assert!(!hash.verify(&secret("")));
        assert_ne!(hash, PasswordHash::hash(&secret("correct horse")).unwrap(), "each hash has its own salt");
        let stored = PasswordHash::parse(hash.as_str()).unwrap();
        assert!(stored.verify(&secret("correct horse")) && !stored.needs_rehash());
        assert!(!format!("{hash:?}").contains("argon2"));
    }

    // STO-14, with the vector "password", "somesalt" of the reference implementation (t=2, m=256 KiB, p=1).
    #[test]
    fn hashes_of_other_costs_are_checked_and_renewed() {
        let old = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let old = PasswordHash::parse(old).unwrap();
        assert!(old.verify(&secret("password")) && !old.verify(&secret("differentpassword")));
        assert!(old.needs_rehash());
    }

    #[test]
    fn the_decoy_costs_the_same_and_opens_nothing() {
        let decoy = PasswordHash::decoy();
        assert!(!decoy.needs_rehash(), "the same costs as a real hash");
        assert!(!decoy.verify(&secret("password")));
        assert!(std::ptr::eq(decoy, PasswordHash::decoy()));
        let fallback = PasswordHash::parse(DECOY_WITHOUT_RANDOM).unwrap();
        assert!(!fallback.needs_rehash() && !fallback.verify(&secret("password")));
    }

    #[test]
    fn passwords_have_a_length() {
        assert_eq!(PasswordHash::hash(&secret("")), Err(PasswordError::Length { len: 0 }));
        assert_eq!(PasswordHash::hash(&secret(&"x".repeat(1025))), Err(PasswordError::Length { len: 1025 }));
    }

    #[test]
    fn texts_that_are_no_hash_or_cost_too_much_are_refused() {
        let good = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(PasswordHash::parse(good).is_ok());
        for bad in [
            String::new(),
            "secret".to_owned(),
            good.replace("argon2id", "argon2i"),
            good.replace("v=19", "v=16"),
            good.replace("$v=19", ""),
            good.replace("m=256", "m=4000000000"),
            good.replace("t=2", "t=17"),
            good.replace("p=1", "p=17"),
            good.replace("p=1", "p=1,x=1"),
            good.replace("nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "nf65EOgLrQM"),
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ".to_owned(),
        ] {
            assert_eq!(PasswordHash::parse(&bad), Err(PasswordError::NotAHash), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_an_error_and_no_panic(text in "[$a-z0-9=,/+]{0,120}") {
            prop_assert!(PasswordHash::parse(&text).is_err());
        }
    }
}
