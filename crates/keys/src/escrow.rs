//! The master key sealed under a passphrase, to be kept away from the machine: without it no backup can be opened.
//!
//! One line of text: `gatehouse-escrow 1`, the key's id, `argon2id`, its costs (KiB, passes, lanes), salt, nonce, and the
//! sealed key, in hexadecimal. All that stands before the nonce is authenticated. The costs are far above those of a login
//! password: an escrow is made rarely, opened almost never, and whoever steals it can try passphrases for years.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base::{Secret, hex, random, unhex};
use zeroize::Zeroizing;

use crate::limits::PASSWORD_OCTETS_MAX;
use crate::seal::{KEY_OCTETS, SealError, plain_text, write_file};
use crate::{MasterKeeper, MasterKey};

/// Fewest characters of a passphrase.
pub const PASSPHRASE_CHARS_MIN: usize = 12;

/// Why an escrow was not made or not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EscrowError {
    /// Too easy to guess, or too long.
    #[error(
        "the passphrase has {chars} characters: give it at least {PASSPHRASE_CHARS_MIN}, some words in a row are best"
    )]
    Passphrase {
        /// Characters given.
        chars: usize,
    },
    /// No text of ours.
    #[error("this is no escrow of a master key in a version that is known: give the file that `backup escrow` wrote")]
    NotAnEscrow,
    /// The wrong passphrase, or the text was changed.
    #[error("the escrow of master key {id} does not open: the passphrase is another, or the file was changed")]
    Wrong {
        /// Id of the key in it.
        id: String,
    },
    /// The master key's file.
    #[error(transparent)]
    Key(#[from] SealError),
}

/// Seals a master key. Takes a second and 256 MiB.
///
/// # Errors
/// [`EscrowError::Passphrase`]; [`EscrowError::Key`] if the cryptographic library fails.
pub fn seal_escrow(key: &LooseKey, passphrase: &Secret<String>) -> Result<String, EscrowError> {
    let chars = passphrase.expose().chars().count();
    if chars < PASSPHRASE_CHARS_MIN || passphrase.expose().len() > PASSWORD_OCTETS_MAX {
        return Err(EscrowError::Passphrase { chars });
    }
    let LooseKey { octets, id } = key;
    let salt: [u8; SALT_OCTETS] = random().map_err(|_| engine("taking random numbers of the system"))?;
    let nonce: [u8; NONCE_LEN] = random().map_err(|_| engine("taking random numbers of the system"))?;
    let head = format!("{HEAD} {id} argon2id {MEMORY_KIB} {PASSES} {LANES} {}", hex(&salt));
    let key = stretched(passphrase, &salt, (MEMORY_KIB, PASSES, LANES))?;
    let mut body = Vec::with_capacity(KEY_OCTETS + AES_256_GCM.tag_len());
    body.extend_from_slice(octets.as_slice());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(head.as_bytes()), &mut body)
        .map_err(|_| engine("sealing an escrow"))?;
    Ok(format!("{head} {} {}\n", hex(&nonce), hex(&body)))
}

/// A master key on its way to a file, in memory only.
pub struct LooseKey {
    octets: Zeroizing<[u8; KEY_OCTETS]>,
    id: String,
}

impl LooseKey {
    /// Reads a master key's file.
    ///
    /// # Errors
    /// As [`MasterKeeper::load`].
    pub fn from_file(path: &Path, keeper: &MasterKeeper) -> Result<Self, SealError> {
        let octets = keeper.read(path)?;
        let id = MasterKey::from_octets(&octets)?.id();
        Ok(Self { octets, id })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Makes its file at `path`, which must not exist. There it is not wrapped: the next change of the master key sees to
    /// that.
    ///
    /// # Errors
    /// As [`MasterKey::create`].
    pub fn write(&self, path: &Path) -> Result<MasterKey, SealError> {
        write_file(path, &plain_text(&self.id, &self.octets))?;
        MasterKey::from_octets(&self.octets)
    }
}

impl std::fmt::Debug for LooseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LooseKey({}, redacted)", self.id)
    }
}

/// Opens an escrow.
///
/// # Errors
/// [`EscrowError::NotAnEscrow`], [`EscrowError::Wrong`], [`EscrowError::Key`].
pub fn open_escrow(text: &str, passphrase: &Secret<String>) -> Result<LooseKey, EscrowError> {
    let parts = Parts::read(text.trim_end_matches('\n')).ok_or(EscrowError::NotAnEscrow)?;
    let wrong = || EscrowError::Wrong { id: parts.id.to_owned() };
    let key = stretched(passphrase, &parts.salt, parts.costs)?;
    let mut body = Zeroizing::new(parts.sealed);
    let aad = Aad::from(parts.head.as_bytes());
    let clear = key.open_in_place(Nonce::assume_unique_for_key(parts.nonce), aad, &mut body).map_err(|_| wrong())?;
    let octets: Zeroizing<[u8; KEY_OCTETS]> = Zeroizing::new((&*clear).try_into().map_err(|_| wrong())?);
    // The id is authenticated, so that the key is the one it names.
    Ok(LooseKey { octets, id: parts.id.to_owned() })
}

/// Id of the master key that an escrow holds.
#[must_use]
pub fn escrow_key_id(text: &str) -> Option<String> {
    Parts::read(text.trim_end_matches('\n')).map(|parts| parts.id.to_owned())
}

struct Parts<'a> {
    head: &'a str,
    id: &'a str,
    costs: (u32, u32, u32),
    salt: Vec<u8>,
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let body = text.strip_prefix(HEAD)?.strip_prefix(' ')?;
        let words: Vec<&str> = body.split(' ').collect();
        let [id, "argon2id", memory, passes, lanes, salt, nonce, sealed] = words.as_slice() else { return None };
        let behind = nonce.len().checked_add(sealed.len())?.checked_add(2)?;
        let costs: (u32, u32, u32) = (memory.parse().ok()?, passes.parse().ok()?, lanes.parse().ok()?);
        // No text may stop the program for long or take all memory.
        let bounded =
            (8..=MEMORY_KIB_MAX).contains(&costs.0) && (1..=16).contains(&costs.1) && (1..=16).contains(&costs.2);
        let salt = unhex(salt).filter(|salt| (8..=64).contains(&salt.len()))?;
        let head = text.get(..text.len().checked_sub(behind)?)?;
        let parts = Self { head, id, costs, salt, nonce: unhex(nonce)?.try_into().ok()?, sealed: unhex(sealed)? };
        bounded.then_some(parts)
    }
}

fn stretched(
    passphrase: &Secret<String>,
    salt: &[u8],
    (memory, passes, lanes): (u32, u32, u32),
) -> Result<LessSafeKey, SealError> {
    let failed = || engine("deriving a key from a passphrase");
    let params = Params::new(memory, passes, lanes, Some(KEY_OCTETS)).map_err(|_| failed())?;
    let mut octets = Zeroizing::new([0; KEY_OCTETS]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose().as_bytes(), salt, octets.as_mut_slice())
        .map_err(|_| failed())?;
    UnboundKey::new(&AES_256_GCM, octets.as_slice()).map(LessSafeKey::new).map_err(|_| failed())
}

const fn engine(what: &'static str) -> SealError {
    SealError::Engine { what }
}

/// What it is, and its version.
const HEAD: &str = "gatehouse-escrow 1";
/// Costs of a new escrow: beyond the second choice of RFC 9106 section 4 in memory, so that a guess stays dear.
const MEMORY_KIB: u32 = 256 * 1024;
const PASSES: u32 = 4;
const LANES: u32 = 1;
/// Most memory that opening one takes.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const SALT_OCTETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn loose(path: &Path) -> LooseKey {
        LooseKey::from_file(path, &MasterKeeper::default()).unwrap()
    }

    fn words(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    // STO-7: what leaves the machine is sealed, opens with its passphrase only, and gives the same key back.
    #[test]
    fn an_escrow_gives_back_the_key_and_only_to_its_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let (path, back) = (folder.path().join("master.key"), folder.path().join("back.key"));
        let master = MasterKey::create(&path).unwrap();
        let text = seal_escrow(&loose(&path), &words("four words in a row")).unwrap();
        let digits = std::fs::read_to_string(&path).unwrap().split(' ').nth(3).unwrap().trim().to_owned();
        assert!(!text.contains(&digits) && !text.contains("four"), "{text}");
        assert_eq!(escrow_key_id(&text), Some(master.id()));
        let wrong = open_escrow(&text, &words("five words in a row")).unwrap_err().to_string();
        assert!(wrong.contains(&master.id()) && !wrong.contains("five"), "{wrong}");
        let other_id = text.replacen(&master.id(), &"0".repeat(16), 1);
        assert!(matches!(open_escrow(&other_id, &words("four words in a row")), Err(EscrowError::Wrong { .. })));
        let again = open_escrow(&text, &words("four words in a row")).unwrap();
        assert_eq!((again.id(), again.id().len()), (master.id().as_str(), 16));
        assert!(!format!("{again:?}").contains(&digits));
        let again = again.write(&back).unwrap();
        let sealed = master.seal(b"place", b"secret").unwrap();
        assert_eq!(again.open(b"place", &sealed).unwrap().expose(), b"secret");
        assert_eq!(MasterKey::load(&back).unwrap().id(), master.id());
    }

    #[test]
    fn what_is_no_escrow_and_what_is_easy_to_guess_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::create(&path).unwrap();
        assert!(matches!(seal_escrow(&loose(&path), &words("short")), Err(EscrowError::Passphrase { chars: 5 })));
        let dear = format!("{HEAD} {} argon2id 99999999 4 1 {} {} 00", "0".repeat(16), "0".repeat(32), "0".repeat(24));
        for text in ["", "gatehouse-escrow 1", "gatehouse-escrow 2 a b", dear.as_str()] {
            let opened = open_escrow(text, &words("x"));
            assert!(matches!(opened, Err(EscrowError::NotAnEscrow)), "{text}");
        }
    }
}
