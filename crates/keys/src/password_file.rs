//! Passwords that must be presented to others, in files: salt, derived key, encrypted password (passwords-and-storage.md
//! section 2). The configuration holds only the paths.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base::{Secret, random, same_octets};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::Tag;
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::KeyError;
use crate::asn1::{OCTET_STRING, SEQUENCE, sequence, value};
use crate::limits::{DERIVATION_STEPS, PASSWORD_OCTETS_MAX};
use crate::pbe::{self, Hash, derive_pbkdf2};

/// Why a password could not be put into files or taken out of them. No text holds a password or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordFileError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Who else could read or change the file (STO-7).
    #[error("{} {why}", path.display())]
    Unsafe {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: &'static str,
    },
    /// A file that is none of these, or was changed (STO-5).
    #[error("{what} {why}")]
    Damaged {
        /// Which of the three.
        what: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// A password or an input string that is empty or too long.
    #[error("{what} has {len} octets: give it 1 to {PASSWORD_OCTETS_MAX}")]
    Length {
        /// Which of the two.
        what: &'static str,
        /// Octets given.
        len: usize,
    },
    /// The cryptographic library or the random source failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A key that was derived from a text, and the salt that it was derived with.
pub struct DerivedKey {
    salt: [u8; SALT_OCTETS],
    key: Zeroizing<[u8; KEY_OCTETS]>,
}

impl DerivedKey {
    /// Derives a key from a text, with a fresh salt (PBKDF2 with HMAC-SHA-256, RFC 8018 section 5.2).
    ///
    /// # Errors
    /// [`PasswordFileError::Length`], [`PasswordFileError::Key`].
    pub fn generate(input: &Secret<String>) -> Result<Self, PasswordFileError> {
        let text = checked("the input string", input)?;
        let salt = random().map_err(|_| KeyError::Engine { what: "taking random numbers of the system" })?;
        let derived = derive_pbkdf2(Hash::Sha256, (text.as_bytes(), &salt), DERIVATION_STEPS, KEY_OCTETS);
        let key = derived.as_slice().try_into().map_err(|_| KeyError::Engine { what: "deriving a key" })?;
        Ok(Self { salt, key: Zeroizing::new(key) })
    }

    /// A key of files that were written before, as they are or in base 64.
    ///
    /// # Errors
    /// [`PasswordFileError::Damaged`].
    pub fn from_files(salt: &[u8], key: &[u8]) -> Result<Self, PasswordFileError> {
        Ok(Self { salt: *fixed(SALT_FILE, salt)?, key: fixed(KEY_FILE, key)? })
    }

    /// What the salt file holds.
    #[must_use]
    pub const fn salt_file(&self) -> &[u8] {
        &self.salt
    }

    /// What the key file holds. It opens every password that was encrypted with it.
    #[must_use]
    pub fn key_file(&self) -> &[u8] {
        self.key.as_slice()
    }

    /// Encrypts a password: PBES2 with AES-256 in CBC mode, and an HMAC over the whole file.
    ///
    /// # Errors
    /// [`PasswordFileError::Length`], [`PasswordFileError::Key`].
    pub fn encrypt(&self, password: &Secret<String>) -> Result<Vec<u8>, PasswordFileError> {
        let clear = checked("the password", password)?.as_bytes();
        let (algorithm, content) = pbe::encrypt_with((&self.salt, self.key.as_slice()), clear, DERIVATION_STEPS)?;
        let inner = value(SEQUENCE, &[&algorithm, &value(OCTET_STRING, &[&content])]);
        let mut file = [HEAD, &id_of(self.key.as_slice()), &inner].concat();
        let check = mac(self.key.as_slice(), &file);
        file.extend_from_slice(&check);
        Ok(file)
    }
}

/// Takes a password out of the contents of key file and data file, as they are or in base 64.
///
/// # Errors
/// [`PasswordFileError::Damaged`] names the file that was changed.
pub fn open_password(key: &[u8], data: &[u8]) -> Result<Secret<String>, PasswordFileError> {
    let key = fixed::<KEY_OCTETS>(KEY_FILE, key)?;
    let data = plain(data);
    let damaged = |what, why| PasswordFileError::Damaged { what, why };
    let (head, rest) = data.split_at_checked(HEAD.len()).unwrap_or_default();
    if head != HEAD {
        return Err(damaged(DATA_FILE, "holds no password of a version that is known"));
    }
    let (id, rest) = rest.split_at_checked(ID_OCTETS).ok_or(damaged(DATA_FILE, CUT))?;
    if id != id_of(key.as_slice()) {
        return Err(damaged(
            KEY_FILE,
            "and encrypted password file do not belong together, or one of them was changed",
        ));
    }
    let at = rest.len().checked_sub(MAC_OCTETS).ok_or(damaged(DATA_FILE, CUT))?;
    let (inner, check) = rest.split_at_checked(at).ok_or(damaged(DATA_FILE, CUT))?;
    let covered = data.get(..data.len() - MAC_OCTETS).unwrap_or_default();
    if !same_octets(&mac(key.as_slice(), covered), check) {
        return Err(damaged(DATA_FILE, "was changed: encrypt the password anew"));
    }
    let mut values = sequence(DATA_FILE, inner)?;
    let algorithm = values.expect(Tag::Sequence, "its encryption")?;
    let content = values.expect(Tag::OctetString, "its content")?.octets;
    let clear = pbe::decrypt_with(DATA_FILE, (algorithm, content), key.as_slice())?;
    let text = std::str::from_utf8(&clear).map_err(|_| damaged(DATA_FILE, "holds no text"))?;
    Ok(Secret::new(text.to_owned()))
}

/// Reads one of the files. It must be a plain file, no link, of the user that runs this program, and closed to all others
/// (STO-7).
///
/// # Errors
/// [`PasswordFileError::File`], [`PasswordFileError::Unsafe`].
pub fn read_password_file(path: &Path) -> Result<Secret<Vec<u8>>, PasswordFileError> {
    let failed = |source: io::Error| PasswordFileError::File { path: path.to_owned(), source };
    let not_safe = |why| PasswordFileError::Unsafe { path: path.to_owned(), why };
    // NONBLOCK: a pipe in its place must not hold up the start.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => return Err(not_safe("is a symbolic link: put the file itself there")),
        Err(other) => return Err(failed(other.into())),
    };
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(not_safe("is no plain file"));
    }
    if about.uid() != rustix::process::getuid().as_raw() {
        return Err(not_safe("belongs to another user: change its owner"));
    }
    if about.mode() & 0o077 != 0 {
        return Err(not_safe("can be read or changed by others: chmod 600"));
    }
    let mut octets = Vec::with_capacity(FILE_OCTETS_MAX + 1);
    let limit = u64::try_from(FILE_OCTETS_MAX).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut octets).map_err(failed)?;
    if octets.len() > FILE_OCTETS_MAX {
        Err(not_safe("is larger than any of these files"))
    } else {
        Ok(Secret::new(octets))
    }
}

/// Writes one of the files, closed to others (STO-1). A link in its place is refused; a file there is replaced as a whole
/// or not at all, and only if `replace` says so (STO-2).
///
/// # Errors
/// [`PasswordFileError::File`], with [`io::ErrorKind::AlreadyExists`] if there is a file; [`PasswordFileError::Unsafe`].
pub fn write_password_file(path: &Path, content: &[u8], replace: bool) -> Result<(), PasswordFileError> {
    let failed = |source: io::Error| PasswordFileError::File { path: path.to_owned(), source };
    match path.symlink_metadata() {
        Ok(about) if !about.is_file() => {
            return Err(PasswordFileError::Unsafe { path: path.to_owned(), why: "is no plain file, or a link" });
        }
        Ok(_) if !replace => return Err(failed(io::ErrorKind::AlreadyExists.into())),
        _ => {}
    }
    let suffix =
        base::hex(&random::<8>().map_err(|_| KeyError::Engine { what: "taking random numbers of the system" })?);
    let beside = PathBuf::from(format!("{}.{suffix}.new", path.display()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(&beside, flags, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?;
    let mut file = File::from(file);
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // Nothing is left behind; what was there before stays.
        drop(std::fs::remove_file(&beside));
    }
    written.map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn checked<'a>(what: &'static str, text: &'a Secret<String>) -> Result<&'a str, PasswordFileError> {
    match text.expose().len() {
        1..=PASSWORD_OCTETS_MAX => Ok(text.expose()),
        len => Err(PasswordFileError::Length { what, len }),
    }
}

/// The content, out of base 64 if it is in that (STO-6).
fn plain(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let decoded = STANDARD.decode(content.trim_ascii());
    Zeroizing::new(decoded.unwrap_or_else(|_| content.to_vec()))
}

fn fixed<const N: usize>(what: &'static str, content: &[u8]) -> Result<Zeroizing<[u8; N]>, PasswordFileError> {
    let octets = if content.len() == N { Zeroizing::new(content.to_vec()) } else { plain(content) };
    let octets: Result<[u8; N], _> = octets.as_slice().try_into();
    octets.map(Zeroizing::new).map_err(|_| PasswordFileError::Damaged { what, why: "has the wrong length" })
}

fn id_of(key: &[u8]) -> [u8; ID_OCTETS] {
    let hash = Hash::Sha256.of(&[ID_PURPOSE, key]);
    let mut id = [0; ID_OCTETS];
    id.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    id
}

/// HMAC-SHA-256 under a key that is made of the derived key for this purpose alone.
fn mac(key: &[u8], content: &[u8]) -> Vec<u8> {
    let own = Zeroizing::new(Hash::Sha256.hmac(key, &[MAC_PURPOSE]));
    Hash::Sha256.hmac(&own, &[content])
}

/// Name, version 1, purpose 1: a password that is presented to others.
const HEAD: &[u8] = b"GHPASSWD\x01\x01";
const ID_PURPOSE: &[u8] = b"gatehouse password file, id of the key";
const MAC_PURPOSE: &[u8] = b"gatehouse password file, check value";
const SALT_FILE: &str = "salt file";
const KEY_FILE: &str = "derived key file";
const DATA_FILE: &str = "encrypted password file";
const CUT: &str = "is cut short";
const SALT_OCTETS: usize = 16;
const KEY_OCTETS: usize = 32;
const ID_OCTETS: usize = 8;
const MAC_OCTETS: usize = 32;
/// Longest of these files, in octets; a password of 1,024 octets in base 64 has about 1,600.
const FILE_OCTETS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn text(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    // STO-4, STO-5, STO-6
    #[test]
    fn a_password_survives_and_every_changed_octet_is_found() {
        let key = DerivedKey::generate(&text("some input")).unwrap();
        let data = key.encrypt(&text("pässword")).unwrap();
        assert_eq!(open_password(key.key_file(), &data).unwrap().expose(), "pässword");
        let base64 = |octets: &[u8]| format!("{}\n", STANDARD.encode(octets)).into_bytes();
        assert_eq!(open_password(&base64(key.key_file()), &base64(&data)).unwrap().expose(), "pässword");
        let again = DerivedKey::generate(&text("some input")).unwrap();
        assert_ne!(key.key_file(), again.key_file());
        assert_ne!(data, key.encrypt(&text("pässword")).unwrap());
        for at in 0..data.len() {
            let mut changed = data.clone();
            changed[at] ^= 1;
            let error = open_password(key.key_file(), &changed).unwrap_err().to_string();
            assert!(error.contains("file"), "{at}: {error}");
        }
        for at in 0..KEY_OCTETS {
            let mut changed = key.key_file().to_vec();
            changed[at] ^= 1;
            let error = open_password(&changed, &data).unwrap_err().to_string();
            assert!(error.starts_with("derived key file"), "{at}: {error}");
        }
        for cut in 0..data.len() {
            assert!(open_password(key.key_file(), &data[..cut]).is_err(), "cut at {cut}");
        }
        let reused = DerivedKey::from_files(key.salt_file(), key.key_file()).unwrap();
        let other = reused.encrypt(&text("other")).unwrap();
        assert_eq!(open_password(key.key_file(), &other).unwrap().expose(), "other");
    }

    #[test]
    fn lengths_are_bounded() {
        assert!(DerivedKey::generate(&text("")).is_err());
        let key = DerivedKey::from_files(&[1; SALT_OCTETS], &[2; KEY_OCTETS]).unwrap();
        assert!(matches!(key.encrypt(&text("")), Err(PasswordFileError::Length { .. })));
        assert!(key.encrypt(&text(&"x".repeat(PASSWORD_OCTETS_MAX + 1))).is_err());
        assert!(DerivedKey::from_files(&[1; 15], &[2; KEY_OCTETS]).is_err());
        assert!(DerivedKey::from_files(&[1; SALT_OCTETS], &[2; 31]).is_err());
    }

    // STO-1, STO-2, STO-7
    #[test]
    fn files_are_closed_and_links_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_password_file(&path, b"one", false).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_password_file(&path, b"two", false).is_err(), "not replaced without a word");
        write_password_file(&path, b"two", true).unwrap();
        assert_eq!(read_password_file(&path).unwrap().expose(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(write_password_file(&link, b"x", true), Err(PasswordFileError::Unsafe { .. })));
        assert!(matches!(read_password_file(&link), Err(PasswordFileError::Unsafe { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_password_file(&path).unwrap_err().to_string();
        assert!(error.contains("by others: chmod 600"), "{error}");
    }
}
