//! Sealing of secrets at rest: AES-256-GCM under a master key that stands in a file of its own (STO-7, STO-15, STO-16).

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use base::{Secret, hex, random, unhex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::limits::SEAL_OCTETS_MAX;

/// Why sealing or opening failed. No text holds what is sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A file could not be read or written.
    #[error("master key file {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An operator's file that is no key for exports.
    #[error("a file of {len} octets is no key: give it 32 octets, 64 hexadecimal digits, or 44 characters of base 64")]
    NotKey {
        /// Its length.
        len: usize,
    },
    /// Who else could read the file (STO-7).
    #[error("master key file {} {why}", path.display())]
    Unsafe {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// The file is no master key.
    #[error("master key file {} is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// Too long to be sealed.
    #[error("secret has {len} octets: at most {SEAL_OCTETS_MAX} are sealed")]
    TooLong {
        /// Octets given.
        len: usize,
    },
    /// Not something that was sealed here.
    #[error("value is no sealed secret of a version that is known")]
    NotSealed,
    /// Sealed under another master key.
    #[error("secret was sealed under master key {theirs}, this is master key {ours}: give the right one")]
    OtherKey {
        /// Id of the key that would open it.
        theirs: String,
        /// Id of this key.
        ours: String,
    },
    /// Changed, cut, or put in another place.
    #[error("sealed secret does not open: it was changed, or belongs to another record")]
    Forged,
    /// The cryptographic library or the random source failed.
    #[error("cryptographic operation failed: {what}")]
    Engine {
        /// Which one.
        what: &'static str,
    },
}

/// The key that seals every secret at rest, and older ones that still open what they sealed while a change of the key is
/// under way. It is never printed or cloned; its id is no secret.
///
/// A sealed value is `GHSEAL`, a version octet, a zero octet, the id of the key (8 octets), a random salt (16 octets), a
/// random nonce (12 octets), the ciphertext, and a tag (16 octets). What stands before the salt and the caller's `aad` are
/// authenticated with it, so that a value opens only in the place it was sealed for. Each value has a key of its own,
/// expanded from the master key and the salt (HKDF, RFC 5869), so that the bound of 2^32 random nonces for one key (NIST
/// SP 800-38D section 8.3) is never near, although every stored payload is sealed once.
pub struct MasterKey {
    /// The first seals, all open. Never empty.
    ring: RwLock<Vec<Arc<Key>>>,
}

/// One key of the ring.
struct Key {
    root: Prk,
    id: String,
    id_octets: [u8; ID_OCTETS],
}

impl MasterKey {
    /// Makes a key that stands in no file.
    ///
    /// # Errors
    /// [`SealError::Engine`].
    pub fn generate() -> Result<Self, SealError> {
        Key::from_octets(&*fresh()?).map(Self::of)
    }

    /// Makes a key and its file, readable by its owner only. The file appears whole or not at all, is on the disk when
    /// this returns, and never takes the place of another.
    ///
    /// # Errors
    /// [`SealError::File`], with [`io::ErrorKind::AlreadyExists`] if there is such a file; [`SealError::Engine`].
    pub fn create(path: &Path) -> Result<Self, SealError> {
        Self::write(path, &*fresh()?)
    }

    /// Makes the file of a key whose octets are known.
    pub(crate) fn write(path: &Path, octets: &[u8; KEY_OCTETS]) -> Result<Self, SealError> {
        let key = Key::from_octets(octets)?;
        let text = Zeroizing::new(format!("{FILE_HEAD} {} {}\n", key.id, *Zeroizing::new(hex(octets.as_slice()))));
        write_new(path, text.as_bytes()).map_err(|source| SealError::File { path: path.to_owned(), source })?;
        Ok(Self::of(key))
    }

    /// Reads the file that [`Self::create`] wrote. It must be a plain file, no link, of the user that runs this program,
    /// and closed to all others (STO-7).
    ///
    /// # Errors
    /// [`SealError::File`], [`SealError::Unsafe`], [`SealError::Damaged`].
    pub fn load(path: &Path) -> Result<Self, SealError> {
        read_file(path).and_then(|octets| Key::from_octets(&octets)).map(Self::of)
    }

    /// The key that an operator's file holds for exports: 32 octets as they are, as 64 hexadecimal digits or in base 64.
    ///
    /// # Errors
    /// [`SealError::NotKey`].
    pub fn from_key_file(file: &[u8]) -> Result<Self, SealError> {
        if let Ok(octets) = file.try_into() {
            return Key::from_octets(octets).map(Self::of);
        }
        let text = std::str::from_utf8(file.trim_ascii()).ok();
        let base64 = |text: &str| STANDARD.decode(text).ok().filter(|octets| octets.len() == KEY_OCTETS);
        let octets = text.and_then(|text| base64(text).or_else(|| unhex(text)));
        let octets = Zeroizing::new(octets.unwrap_or_default());
        let octets = octets.as_slice().try_into().map_err(|_| SealError::NotKey { len: file.len() })?;
        Key::from_octets(octets).map(Self::of)
    }

    fn of(key: Key) -> Self {
        Self { ring: RwLock::new(vec![Arc::new(key)]) }
    }

    /// A short name of the key that seals, to tell several apart: 16 hexadecimal digits, computed from the key, not
    /// secret.
    #[must_use]
    pub fn id(&self) -> String {
        self.ids().into_iter().next().unwrap_or_default()
    }

    /// Names of all keys that open, that of the one that seals first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).iter().map(|key| key.id.clone()).collect()
    }

    /// Lets the keys of `other` open what they sealed.
    pub fn admit(&self, other: Self) {
        let other = other.ring.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        for key in other {
            if !ring.iter().any(|known| known.id == key.id) {
                ring.push(key);
            }
        }
    }

    /// From now on the key called `id`, which must have been admitted, seals; the others open. `false` if it is none of
    /// them.
    pub fn seal_with(&self, id: &str) -> bool {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let at = ring.iter().position(|key| key.id == id);
        if let Some(part) = at.and_then(|at| ring.get_mut(..=at)) {
            part.rotate_right(1);
        }
        at.is_some()
    }

    /// Forgets every key but the one that seals.
    pub fn forget_others(&self) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).truncate(1);
    }

    fn key(&self, id: Option<&str>) -> Option<Arc<Key>> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.iter().find(|key| id.is_none_or(|id| key.id == id)).cloned()
    }

    /// Seals `plain` for the place that `aad` names.
    ///
    /// # Errors
    /// [`SealError::TooLong`], [`SealError::Engine`].
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.key(None).ok_or(SealError::Engine { what: "finding the master key" })?.seal(aad, plain)
    }

    /// Opens what [`Self::seal`] made for the same `aad`.
    ///
    /// # Errors
    /// [`SealError::NotSealed`], [`SealError::OtherKey`], [`SealError::Forged`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let theirs = sealed_key_id(sealed).ok_or(SealError::NotSealed)?;
        match self.key(Some(&theirs)) {
            Some(key) => key.open(aad, sealed),
            None => Err(SealError::OtherKey { theirs, ours: self.id() }),
        }
    }
}

/// Reads the octets of the key in a file, and checks file and key (STO-7).
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<[u8; KEY_OCTETS]>, SealError> {
    let file_error = |source| SealError::File { path: path.to_owned(), source };
    // NONBLOCK: a pipe in its place must not hold up the start.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            return Err(not_safe(path, "is a symbolic link: put the file itself there"));
        }
        Err(other) => return Err(file_error(other.into())),
    };
    check_safe(&file.metadata().map_err(file_error)?).map_err(|why| not_safe(path, &why))?;
    let mut text = Zeroizing::new(String::with_capacity(FILE_OCTETS + 1));
    let limit = u64::try_from(FILE_OCTETS).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_string(&mut text).map_err(file_error)?;
    from_file_text(&text).map_err(|why| match why {
        Ok(why) => SealError::Damaged { path: path.to_owned(), why },
        Err(other) => other,
    })
}

/// The key of a file's text; what is wrong with the text is `Err(Ok(..))`.
fn from_file_text(text: &str) -> Result<Zeroizing<[u8; KEY_OCTETS]>, Result<&'static str, SealError>> {
    if text.len() != FILE_OCTETS {
        return Err(Ok("it has not the right length: restore it from a copy"));
    }
    let body = text.strip_prefix(FILE_HEAD).and_then(|t| t.strip_suffix('\n')).and_then(|t| t.strip_prefix(' '));
    let Some((id, digits)) = body.and_then(|t| t.split_once(' ')) else {
        return Err(Ok("it is no master key of a version that is known"));
    };
    let octets = unhex(digits).map(Zeroizing::new).ok_or(Ok("it holds something else than digits"))?;
    let octets: Zeroizing<[u8; KEY_OCTETS]> =
        Zeroizing::new(octets.as_slice().try_into().map_err(|_| Ok("its key has not 256 bits"))?);
    let key = Key::from_octets(&octets).map_err(Err)?;
    if key.id == id { Ok(octets) } else { Err(Ok("its id does not fit its key: restore it from a copy")) }
}

impl Key {
    fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if plain.len() > SEAL_OCTETS_MAX {
            return Err(SealError::TooLong { len: plain.len() });
        }
        let salt: [u8; SALT_OCTETS] = random().map_err(|_| NO_RANDOM)?;
        let nonce: [u8; NONCE_LEN] = random().map_err(|_| NO_RANDOM)?;
        let head = self.head();
        // Grows no more, so that no clear copy is left behind.
        let mut body = Vec::with_capacity(plain.len() + MAX_TAG_LEN);
        body.extend_from_slice(plain);
        self.value_key(&salt)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(&head, aad), &mut body)
            .map_err(|_| SealError::Engine { what: "sealing a secret" })?;
        Ok([head.as_slice(), &salt, &nonce, &body].concat())
    }

    fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let rest = sealed.get(HEAD_OCTETS..).ok_or(SealError::NotSealed)?;
        let (salt, rest) = rest.split_first_chunk::<SALT_OCTETS>().ok_or(SealError::NotSealed)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::NotSealed)?;
        let mut clear = Zeroizing::new(body.to_vec());
        let len = self
            .value_key(salt)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), bound(&self.head(), aad), &mut clear)
            .map_err(|_| SealError::Forged)?
            .len();
        clear.truncate(len);
        Ok(Secret::new(std::mem::take(&mut *clear)))
    }

    /// The key of the one value that has this salt.
    fn value_key(&self, salt: &[u8; SALT_OCTETS]) -> Result<LessSafeKey, SealError> {
        let failed = |_| SealError::Engine { what: "expanding a key" };
        let mut octets = Zeroizing::new([0; KEY_OCTETS]);
        let info = [VALUE_PURPOSE, salt.as_slice()];
        self.root.expand(&info, &AES_256_GCM).and_then(|okm| okm.fill(octets.as_mut_slice())).map_err(failed)?;
        UnboundKey::new(&AES_256_GCM, octets.as_slice()).map(LessSafeKey::new).map_err(failed)
    }

    fn from_octets(octets: &[u8; KEY_OCTETS]) -> Result<Self, SealError> {
        let root = Prk::new_less_safe(HKDF_SHA256, octets);
        let mut hash = Context::new(&SHA256);
        hash.update(ID_PURPOSE);
        hash.update(octets);
        let mut id_octets = [0; ID_OCTETS];
        id_octets.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Self { root, id: hex(&id_octets), id_octets })
    }

    fn head(&self) -> [u8; HEAD_OCTETS] {
        let mut head = [0; HEAD_OCTETS];
        head.iter_mut().zip(SEALED_HEAD.iter().chain(&self.id_octets)).for_each(|(to, from)| *to = *from);
        head
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({}, redacted)", self.id())
    }
}

/// The id of the master key that `sealed` was sealed under, to choose among several; `None` if it is no sealed value.
#[must_use]
pub fn sealed_key_id(sealed: &[u8]) -> Option<String> {
    let rest = sealed.strip_prefix(&SEALED_HEAD)?;
    let (id, body) = rest.split_first_chunk::<ID_OCTETS>()?;
    (body.len() >= SALT_OCTETS + NONCE_LEN + MAX_TAG_LEN).then(|| hex(id))
}

/// The head has one length, so that it and the caller's text can't be mixed up.
fn bound(head: &[u8], aad: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([head, aad].concat())
}

fn fresh() -> Result<Zeroizing<[u8; KEY_OCTETS]>, SealError> {
    random().map(Zeroizing::new).map_err(|_| NO_RANDOM)
}

fn not_safe(path: &Path, why: &str) -> SealError {
    SealError::Unsafe { path: path.to_owned(), why: why.to_owned() }
}

/// The user who may read everything anyway.
const SUPER_USER: u32 = 0;

/// Refuses a file that others could read or change; says what is wrong and what to do.
pub(crate) fn check_safe(file: &Metadata) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    if !file.is_file() {
        return Err("is no plain file".to_owned());
    }
    if file.uid() == SUPER_USER && user != SUPER_USER && file.mode() & 0o027 == 0 {
        // A credential of the service manager: root's, readable for us by an access list, whose mask shows as group bits.
        return Ok(());
    }
    if file.uid() != user {
        return Err(format!("belongs to user {}, this program runs as user {user}: change its owner", file.uid()));
    }
    if file.mode() & 0o077 != 0 {
        return Err(format!("is open to others (mode {:04o}): run chmod 600 on it", file.mode() & 0o7777));
    }
    Ok(())
}

/// Writes a file under another name, then gives it its own by a link, which fails if that is taken.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut aside = name.to_owned();
    aside.push(format!(".{}.new", hex(&random::<8>()?)));
    let aside = folder.join(aside);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(&aside, flags, Mode::RUSR | Mode::WUSR)?);
    let written =
        file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| std::fs::hard_link(&aside, path));
    let removed = std::fs::remove_file(&aside);
    written.and(removed)?;
    File::open(folder)?.sync_all()
}

/// Octets of an AES-256 key.
pub(crate) const KEY_OCTETS: usize = 32;
/// Octets of a key's id.
const ID_OCTETS: usize = 8;
/// What is hashed before the key, so that the id is good for nothing else.
const ID_PURPOSE: &[u8] = b"gatehouse master key id, version 1\0";
/// The first words of a master key file: what it is, its version.
const FILE_HEAD: &str = "gatehouse-master-key 1";
/// Octets of a master key file: the head, id and key in hexadecimal, two blanks, a line end.
const FILE_OCTETS: usize = FILE_HEAD.len() + 2 * ID_OCTETS + 2 * KEY_OCTETS + 3;
/// The first octets of a sealed value; the last but one is the version.
const SEALED_HEAD: [u8; 8] = *b"GHSEAL\x01\x00";
/// Octets before the nonce.
/// Random octets from which each value has its key.
const SALT_OCTETS: usize = 16;
const VALUE_PURPOSE: &[u8] = b"gatehouse sealed value, version 1\0";
const HEAD_OCTETS: usize = SEALED_HEAD.len() + ID_OCTETS;

const NO_RANDOM: SealError = SealError::Engine { what: "taking random numbers of the system" };

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use proptest::prelude::*;

    fn file_in(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("master.key")
    }

    #[test]
    fn a_key_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(&folder);
        let key = MasterKey::create(&path).unwrap();
        let again = MasterKey::load(&path).unwrap();
        assert_eq!((key.id(), key.id().len()), (again.id(), 16));
        let sealed = key.seal(b"place", b"secret").unwrap();
        assert_eq!(again.open(b"place", &sealed).unwrap().expose(), b"secret");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(
            !format!("{key:?}").contains(std::fs::read_to_string(&path).unwrap().split(' ').nth(3).unwrap().trim())
        );
    }

    // STO-25: while the key is changed both open, the new one seals; then the old one is gone.
    #[test]
    fn a_ring_opens_with_all_its_keys_and_seals_with_one() {
        let (ring, old) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let new = ring.id();
        let before = old.seal(b"place", b"secret").unwrap();
        let old_id = old.id();
        ring.admit(old);
        assert_eq!(ring.ids(), [new.clone(), old_id.clone()]);
        assert_eq!(ring.open(b"place", &before).unwrap().expose(), b"secret");
        assert_eq!(sealed_key_id(&ring.seal(b"", b"").unwrap()).unwrap(), new);
        assert!(ring.seal_with(&old_id) && !ring.seal_with("none"));
        assert_eq!(sealed_key_id(&ring.seal(b"", b"").unwrap()).unwrap(), old_id);
        assert!(ring.seal_with(&new));
        ring.forget_others();
        assert!(matches!(ring.open(b"place", &before), Err(SealError::OtherKey { .. })));
    }

    #[test]
    fn a_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(&folder);
        let first = MasterKey::create(&path).unwrap();
        let error = MasterKey::create(&path).unwrap_err();
        assert!(matches!(&error, SealError::File { source, .. } if source.kind() == io::ErrorKind::AlreadyExists));
        assert_eq!(MasterKey::load(&path).unwrap().id(), first.id());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        assert!(MasterKey::create(&link).is_err());
        assert!(!folder.path().join("nowhere").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    }

    // STO-7
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(&folder);
        MasterKey::create(&path).unwrap();
        for (mode, allowed) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o601, false)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match MasterKey::load(&path) {
                Ok(_) => assert!(allowed, "{mode:o}"),
                Err(error) => assert!(!allowed && error.to_string().contains("chmod 600"), "{mode:o}: {error}"),
            }
        }
    }

    #[test]
    fn links_pipes_and_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(&folder);
        MasterKey::create(&path).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(MasterKey::load(&link).unwrap_err().to_string().contains("symbolic link"));
        assert!(MasterKey::load(folder.path()).unwrap_err().to_string().contains("no plain file"));
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(MasterKey::load(&pipe).unwrap_err().to_string().contains("no plain file"));
        let missing = MasterKey::load(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, SealError::File { source, .. } if source.kind() == io::ErrorKind::NotFound));
    }

    // STO-5: each changed octet is detected.
    #[test]
    fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_in(&folder);
        let id = MasterKey::create(&path).unwrap().id();
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good.len(), FILE_OCTETS);
        let refused = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            MasterKey::load(&path)
        };
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(refused(&changed).is_err(), "octet {at}");
            assert!(refused(&good[..at]).is_err(), "cut at {at}");
        }
        assert!(refused(&[good.as_slice(), b"\n"].concat()).is_err());
        assert!(refused(&[0xff; FILE_OCTETS]).is_err());
        assert_eq!(refused(&good).unwrap().id(), id);
    }

    #[test]
    fn a_value_opens_in_its_place_under_its_key_only() {
        let (key, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let sealed = key.seal(b"credential|a", b"secret").unwrap();
        assert_eq!(sealed_key_id(&sealed).as_deref(), Some(key.id().as_str()));
        assert!(matches!(key.open(b"credential|b", &sealed), Err(SealError::Forged)));
        assert!(
            matches!(other.open(b"credential|a", &sealed), Err(SealError::OtherKey { theirs, .. }) if theirs == key.id())
        );
        assert_ne!(key.seal(b"", b"x").unwrap(), key.seal(b"", b"x").unwrap(), "STO-4: two runs differ");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(b"credential|a", &changed).is_err(), "octet {at}");
            assert!(key.open(b"credential|a", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert!(matches!(key.seal(b"", &vec![0; SEAL_OCTETS_MAX + 1]), Err(SealError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn values_survive(aad in proptest::collection::vec(any::<u8>(), 0..64), plain in proptest::collection::vec(any::<u8>(), 0..512)) {
            let key = MasterKey::generate().unwrap();
            let sealed = key.seal(&aad, &plain).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + 60);
            let opened = key.open(&aad, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &plain);
        }

        #[test]
        fn any_octets_give_an_error_and_no_panic(octets in proptest::collection::vec(any::<u8>(), 0..128)) {
            let key = MasterKey::generate().unwrap();
            prop_assert!(key.open(b"", &octets).is_err());
            let headed = [key.key(None).unwrap().head().as_slice(), &octets].concat();
            prop_assert!(key.open(b"", &headed).is_err());
        }
    }
}
