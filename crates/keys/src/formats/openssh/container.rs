//! What stands in an OPENSSH private key file, below the base 64 (OpenSSH's PROTOCOL.key).

use base::{Octets, Secret, octets_text, random};
use ssh_key::{Cipher, Kdf};
use zeroize::Zeroizing;

use crate::KeyError;
use crate::limits::{
    BCRYPT_ROUNDS, BCRYPT_ROUNDS_MAX, BCRYPT_SALT_OCTETS_MAX, KEY_FILE_OCTETS_MAX, OPENSSH_PADDING_OCTETS_MAX,
    SSH_BLOB_OCTETS_MAX,
};
use crate::parts::PrivateParts;
use crate::pbe::Opening;
use crate::ssh_wire::{self, Wire, octets_error};

/// Opens the container and reads its one key.
pub(super) fn decode(content: &[u8], opening: &Opening<'_>) -> Result<PrivateParts, KeyError> {
    let rest = content.strip_prefix(MAGIC).ok_or(damaged("its first octets are wrong"))?;
    let mut wire = Octets::new(rest);
    let mut string = |max| wire.string(max).map_err(octets_error);
    let (cipher, kdf, options) = (string(NAME_MAX)?, string(NAME_MAX)?, string(NAME_MAX)?);
    match wire.u32().map_err(octets_error)? {
        1 => {}
        0 => return Err(damaged("it has no key")),
        count => return Err(KeyError::Several { count: usize::try_from(count).unwrap_or(usize::MAX) }),
    }
    let public = wire.string(SSH_BLOB_OCTETS_MAX).map_err(octets_error)?;
    let private = wire.string(KEY_FILE_OCTETS_MAX).map_err(octets_error)?;
    let tag = wire.rest();
    let key = match (cipher, kdf) {
        (b"none", b"none") if options.is_empty() && tag.is_empty() => decode_private(private),
        (b"none", _) | (_, b"none") => Err(damaged("its cipher and its key derivation don't fit")),
        (cipher, b"bcrypt") => {
            let password = opening.password()?;
            decode_private(&decrypt(Locked { cipher, options, private, tag }, password)?)
        }
        (_, other) => Err(damaged(&format!("key derivation {} is not known", octets_text(other)))),
    }?;
    if ssh_wire::encode_public(&key.public()) == public {
        Ok(key)
    } else {
        Err(KeyError::Mismatch { algorithm: key.public().algorithm() })
    }
}

/// What a password opens.
struct Locked<'a> {
    cipher: &'a [u8],
    /// Salt and rounds of bcrypt.
    options: &'a [u8],
    private: &'a [u8],
    /// The tag that authenticated ciphers put behind the whole.
    tag: &'a [u8],
}

fn decrypt(locked: Locked<'_>, password: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unknown = || KeyError::Unsupported { what: format!("key cipher {} is not known", octets_text(locked.cipher)) };
    let name = std::str::from_utf8(locked.cipher).map_err(|_| unknown())?;
    let cipher = Cipher::new(name).map_err(|_| unknown())?;
    let mut options = Octets::new(locked.options);
    let salt = options.string(BCRYPT_SALT_OCTETS_MAX).map_err(octets_error)?.to_vec();
    let rounds = options.u32().map_err(octets_error)?;
    options.end().map_err(octets_error)?;
    if salt.is_empty() || !(1..=BCRYPT_ROUNDS_MAX).contains(&rounds) {
        return Err(damaged(&format!("its password was stretched {rounds} times: 1 to {BCRYPT_ROUNDS_MAX} are read")));
    }
    let tag = match (cipher.has_tag(), locked.tag) {
        (false, []) => None,
        (true, tag) => Some(tag.try_into().map_err(|_| damaged("the tag behind it has the wrong length"))?),
        (false, _) => return Err(damaged("something follows behind its end")),
    };
    if locked.private.is_empty() || !locked.private.len().is_multiple_of(cipher.block_size()) {
        return Err(damaged("its private part is not whole"));
    }
    // An empty password opens nothing, and one with a wrong tag or a wrong check number is no other case for a caller.
    let (key, iv) =
        Kdf::Bcrypt { salt, rounds }.derive_key_and_iv(cipher, password).map_err(|_| KeyError::PasswordWrong)?;
    let mut clear = Zeroizing::new(locked.private.to_vec());
    cipher.decrypt(&key, &iv, &mut clear, tag).map_err(|_| KeyError::PasswordWrong)?;
    match clear.as_chunks::<4>().0 {
        [first, second, ..] if first == second => Ok(clear),
        _ => Err(KeyError::PasswordWrong),
    }
}

/// Reads the private part: two equal check numbers, the key, a comment, padding of 1, 2, 3, …
fn decode_private(clear: &[u8]) -> Result<PrivateParts, KeyError> {
    let mut wire = Octets::new(clear);
    let checks = (wire.u32().map_err(octets_error)?, wire.u32().map_err(octets_error)?);
    if checks.0 != checks.1 {
        return Err(damaged("its check numbers differ"));
    }
    let key = ssh_wire::decode_private(&mut wire)?;
    wire.string(KEY_FILE_OCTETS_MAX).map_err(octets_error)?;
    let padding = wire.rest();
    if padding.len() > OPENSSH_PADDING_OCTETS_MAX || !padding.iter().copied().eq((1..=16).take(padding.len())) {
        return Err(damaged("something follows behind its end"));
    }
    Ok(key)
}

/// Writes the container, protected if there is a password.
pub(super) fn encode(key: &PrivateParts, password: Option<&Secret<String>>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (cipher, kdf) = match password {
        None => (Cipher::None, Kdf::None),
        Some(_) => (Cipher::Aes256Ctr, Kdf::Bcrypt { salt: random_octets::<16>()?.to_vec(), rounds: BCRYPT_ROUNDS }),
    };
    let mut private = encode_private(key, cipher.block_size())?;
    let mut options = Wire::default();
    if let (Some(password), Kdf::Bcrypt { salt, rounds }) = (password, &kdf) {
        options.string(salt);
        options.u32(*rounds);
        let failed = KeyError::Engine { what: "protecting a key" };
        let (secret, iv) = kdf.derive_key_and_iv(cipher, password.expose()).map_err(|_| failed.clone())?;
        cipher.encrypt(&secret, &iv, &mut private).map_err(|_| failed)?;
    }
    let mut wire = Wire::default();
    wire.0.extend_from_slice(MAGIC);
    wire.string(cipher.as_str().as_bytes());
    wire.string(kdf.algorithm().as_str().as_bytes());
    wire.string(&options.0);
    wire.u32(1);
    wire.string(&ssh_wire::encode_public(&key.public()));
    wire.string(&private);
    Ok(wire.0)
}

fn encode_private(key: &PrivateParts, block: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let check = u32::from_be_bytes(random_octets()?);
    let mut wire = Wire::default();
    wire.u32(check);
    wire.u32(check);
    ssh_wire::encode_private(&mut wire, key);
    wire.string(b"");
    let padding = wire.0.len().next_multiple_of(block).saturating_sub(wire.0.len());
    wire.0.extend((1..=16).take(padding));
    Ok(wire.0)
}

fn random_octets<const N: usize>() -> Result<[u8; N], KeyError> {
    random().map_err(|_| KeyError::Engine { what: "taking random numbers of the system" })
}

fn damaged(why: &str) -> KeyError {
    KeyError::Damaged { what: "OPENSSH private key", why: why.to_owned() }
}

/// The first octets of the container.
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Longest name of a cipher or a key derivation, and longest options of the latter, in octets.
const NAME_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::{EcPrivate, PublicParts};
    use crate::tests::{any_key, armoured};
    use crate::{KeyAlgorithm, KeyFileFormat, KeyMaterial, PrivateKey, read_key, write_key};

    fn password(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn read(content: &[u8]) -> Result<KeyMaterial, KeyError> {
        read_key(armoured("OPENSSH PRIVATE KEY", content).as_bytes(), Some(KeyFileFormat::OpenSsh), None)
    }

    #[test]
    fn a_password_opens_its_key_only() {
        let key = any_key(KeyAlgorithm::Ed25519);
        let own = key.to_bytes();
        let material = KeyMaterial::Private(key);
        let file = write_key(&material, KeyFileFormat::OpenSsh, Some(&password("open sesame"))).unwrap();
        let opened = |with: Option<&Secret<String>>| read_key(file.expose(), None, with);
        let Ok(KeyMaterial::Private(again)) = opened(Some(&password("open sesame"))) else { panic!("does not open") };
        assert_eq!(again.to_bytes().expose(), own.expose());
        assert_eq!(opened(None).unwrap_err(), KeyError::PasswordNeeded);
        assert_eq!(opened(Some(&password("wrong"))).unwrap_err(), KeyError::PasswordWrong);
        assert_eq!(opened(Some(&password(""))).unwrap_err(), KeyError::PasswordWrong);
        let clear = write_key(&material, KeyFileFormat::OpenSsh, None).unwrap();
        assert!(read_key(clear.expose(), None, Some(&password("not needed"))).is_ok());
    }

    // The SSH library's own reader agrees with our writer.
    #[test]
    fn the_ssh_library_reads_what_we_write() {
        for algorithm in KeyAlgorithm::ALL {
            let key = any_key(algorithm);
            let blob = key.public().ssh_blob().to_vec();
            let file = write_key(&KeyMaterial::Private(key), KeyFileFormat::OpenSsh, None).unwrap();
            let theirs = ssh_key::PrivateKey::from_openssh(file.expose()).unwrap();
            assert_eq!(theirs.public_key().to_bytes().unwrap(), blob, "{algorithm}");
        }
    }

    // One P-256 key in 256 has a secret number that begins with a zero octet, which OpenSSH leaves out.
    #[test]
    fn a_short_secret_number_is_read() {
        let mut scalar = [7; 32];
        scalar[..2].fill(0);
        let parts = PrivateParts::Ec(EcPrivate::from_scalar(crate::parts::Curve::P256, &scalar).unwrap());
        let key = PrivateKey::from_parts(parts).unwrap();
        assert!(key.ssh_key().is_ok());
        let public = key.public().clone();
        let file = write_key(&KeyMaterial::Private(key), KeyFileFormat::OpenSsh, None).unwrap();
        assert_eq!(read_key(file.expose(), None, None).unwrap().public(), &public);
    }

    #[test]
    fn containers_that_do_not_fit_are_refused() {
        let key = any_key(KeyAlgorithm::Ed25519);
        let other = any_key(KeyAlgorithm::Ed25519);
        let content = encode(key.parts(), None).unwrap();
        assert!(read(&content).is_ok());
        assert!(read(&[content.as_slice(), &[0]].concat()).is_err(), "something behind");

        let PublicParts::Ed25519(own) = key.parts().public() else { panic!("other kind") };
        let PublicParts::Ed25519(foreign) = other.parts().public() else { panic!("other kind") };
        let mut mixed = content.to_vec();
        let at = mixed.windows(32).position(|w| w == own.0).unwrap();
        mixed[at..at + 32].copy_from_slice(&foreign.0);
        assert_eq!(read(&mixed).unwrap_err(), KeyError::Mismatch { algorithm: KeyAlgorithm::Ed25519 });

        let count = MAGIC.len() + 8 + 8 + 4 + 3;
        let mut several = content.to_vec();
        assert_eq!(several[count], 1);
        several[count] = 2;
        assert_eq!(read(&several).unwrap_err(), KeyError::Several { count: 2 });
        several[count] = 0;
        assert!(read(&several).unwrap_err().to_string().contains("no key"));
    }

    // A file cannot make us stretch a password for hours.
    #[test]
    fn rounds_are_bounded() {
        let locked = |rounds: u32| {
            let mut options = Wire::default();
            options.string(&[1; 16]);
            options.u32(rounds);
            let mut wire = Wire::default();
            wire.0.extend_from_slice(MAGIC);
            wire.string(b"aes256-ctr");
            wire.string(b"bcrypt");
            wire.string(&options.0);
            wire.u32(1);
            wire.string(any_key(KeyAlgorithm::Ed25519).public().ssh_blob());
            wire.string(&[0; 64]);
            decode(&wire.0, &Opening::new(Some(&password("x")))).err().unwrap()
        };
        assert!(locked(u32::MAX).to_string().contains("1 to 512"));
        assert!(locked(0).to_string().contains("1 to 512"));
        assert_eq!(locked(1), KeyError::PasswordWrong);
    }
}
