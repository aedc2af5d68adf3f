//! How master keys stand in their files: as they are, or wrapped by a key of a token (STO-26).
//!
//! A wrapped one is a line of text: `gatehouse-master-key 2`, the key's id, the URI of the token's AES key, and nonce,
//! ciphertext and tag in hexadecimal. All that stands before these is authenticated. The file says by itself which key opens
//! it, so that a change from one to another, or to none, needs nothing but a change of the master key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base::{hex, random, unhex};
use zeroize::Zeroizing;

use crate::MasterKey;
use crate::seal::{KEY_OCTETS, SealError, from_plain_text, plain_text, read_text, write_file};
use crate::token::{TokenUri, Tokens};

/// Reads and makes files of master keys.
#[derive(Clone, Default)]
pub struct MasterKeeper {
    tokens: Arc<Tokens>,
    wrap_by: Option<TokenUri>,
}

impl MasterKeeper {
    /// Reads all that `tokens` open; what is made is wrapped by `wrap_by`, or by nothing.
    #[must_use]
    pub const fn new(tokens: Arc<Tokens>, wrap_by: Option<TokenUri>) -> Self {
        Self { tokens, wrap_by }
    }

    /// The tokens.
    #[must_use]
    pub const fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// The key of a token that wraps what is made.
    #[must_use]
    pub const fn wraps_by(&self) -> Option<&TokenUri> {
        self.wrap_by.as_ref()
    }

    /// Reads a file. It must be a plain file, no link, of the user that runs this program, and closed to all others
    /// (STO-7). May wait for a token.
    ///
    /// # Errors
    /// [`SealError::File`], [`SealError::Unsafe`], [`SealError::Damaged`], [`SealError::Token`].
    pub fn load(&self, path: &Path) -> Result<MasterKey, SealError> {
        MasterKey::from_octets(&*self.read(path)?)
    }

    /// Makes a key and its file, readable by its owner only. The file appears whole or not at all, is on the disk when
    /// this returns, and never takes the place of another. May wait for a token.
    ///
    /// # Errors
    /// [`SealError::File`], with [`std::io::ErrorKind::AlreadyExists`] if there is such a file; [`SealError::Token`];
    /// [`SealError::Engine`].
    pub fn create(&self, path: &Path) -> Result<MasterKey, SealError> {
        let octets: Zeroizing<[u8; KEY_OCTETS]> = random()
            .map(Zeroizing::new)
            .map_err(|_| SealError::Engine { what: "taking random numbers of the system" })?;
        let key = MasterKey::from_octets(&octets)?;
        let text = match &self.wrap_by {
            None => plain_text(&key.id(), &octets),
            Some(uri) => {
                let head = format!("{WRAPPED_HEAD} {} {uri}", key.id());
                let told = |source| SealError::Token { path: path.to_owned(), source };
                let wrapped = self.tokens.wrap(uri, head.as_bytes(), octets.as_slice()).map_err(told)?;
                Zeroizing::new(format!("{head} {}\n", hex(&wrapped)))
            }
        };
        write_file(path, &text)?;
        Ok(key)
    }

    /// Whether a file is wrapped as what is made would be.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn is_current(&self, path: &Path) -> Result<bool, SealError> {
        let text = read_text(path)?;
        let named = parts(&text).map(|parts| parts.uri.to_owned());
        Ok(named == self.wrap_by.as_ref().map(ToString::to_string))
    }

    pub(crate) fn read(&self, path: &Path) -> Result<Zeroizing<[u8; KEY_OCTETS]>, SealError> {
        let text = read_text(path)?;
        if !text.starts_with(WRAPPED_HEAD) {
            return from_plain_text(path, &text);
        }
        let damaged = |why| SealError::Damaged { path: path.to_owned(), why };
        let parts = parts(&text).ok_or_else(|| damaged("it is cut, or was changed: restore it from a copy"))?;
        let told = |source| SealError::Token { path: path.to_owned(), source };
        let uri: TokenUri = parts.uri.parse().map_err(told)?;
        let opened = self.tokens.unwrap(&uri, parts.head.as_bytes(), &parts.wrapped).map_err(told)?;
        let octets: Zeroizing<[u8; KEY_OCTETS]> =
            Zeroizing::new(opened.as_slice().try_into().map_err(|_| damaged("its key has not 256 bits"))?);
        match MasterKey::from_octets(&octets)?.id() == parts.id {
            true => Ok(octets),
            false => Err(damaged("its id does not fit its key: restore it from a copy")),
        }
    }
}

impl fmt::Debug for MasterKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKeeper({:?}, {:?})", self.tokens, self.wrap_by)
    }
}

struct Parts<'a> {
    head: &'a str,
    id: &'a str,
    uri: &'a str,
    wrapped: Vec<u8>,
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let (head, digits) = text.strip_suffix('\n')?.rsplit_once(' ')?;
    let (id, uri) = head.strip_prefix(WRAPPED_HEAD)?.strip_prefix(' ')?.split_once(' ')?;
    Some(Parts { head, id, uri, wrapped: unhex(digits)? })
}

/// The first words of the file of a wrapped key: what it is, its version.
const WRAPPED_HEAD: &str = "gatehouse-master-key 2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_token_it_is_the_file_that_it_always_was() {
        let folder = tempfile::tempdir().unwrap();
        let (path, keeper) = (folder.path().join("master.key"), MasterKeeper::default());
        let made = keeper.create(&path).unwrap();
        assert_eq!(MasterKey::load(&path).unwrap().id(), made.id());
        assert_eq!(keeper.load(&path).unwrap().id(), made.id());
        assert!(keeper.is_current(&path).unwrap());
        let uri: TokenUri = "pkcs11:token=t;object=o?module-name=m".parse().unwrap();
        let other = MasterKeeper::new(Arc::default(), Some(uri));
        assert!(!other.is_current(&path).unwrap(), "it is to be wrapped");
        assert_eq!(other.load(&path).unwrap().id(), made.id(), "and is read meanwhile");
    }

    #[test]
    fn a_wrapped_one_says_whose_it_is_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let write = |text: &str| {
            let _ = std::fs::remove_file(&path);
            write_file(&path, text).unwrap();
            MasterKeeper::default().load(&path).unwrap_err().to_string()
        };
        let told = write("gatehouse-master-key 2 0123456789abcdef pkcs11:token=t;object=o?module-name=hsm 00\n");
        assert!(told.contains("no PKCS#11 module hsm") && told.contains("gatehouse.toml"), "{told}");
        for text in ["gatehouse-master-key 2", "gatehouse-master-key 2 x\n", "gatehouse-master-key 2 x y zz\n"] {
            let told = write(text);
            assert!(told.contains("damaged"), "{text}: {told}");
        }
    }
}
