//! PPK files: private keys of PuTTY, versions 2 and 3 (PuTTY manual, appendix C). The public key and the comment are
//! authenticated together with the private part, so all of it is checked before a key is given.

mod text;

use argon2::{Algorithm, Argon2, Params, Version};
use base::{Octets, Secret, random, same_octets};
use zeroize::Zeroizing;

use self::text::{File, Protection};
use super::KeyFormat;
use crate::asn1::secret;
use crate::error::damaged;
use crate::limits::{DERIVATION_KIB_MAX, KEY_FILE_OCTETS_MAX, SALT_OCTETS_MAX};
use crate::parts::{DssPrivate, EcPrivate, Ed25519Private, Number, PrivateParts, PublicParts, RsaPrivate};
use crate::pbe::{Cipher, Hash, Opening, encrypt_aes256_blocks};
use crate::ssh_wire::{self, Wire, octets_error};
use crate::{KeyAlgorithm, KeyError, KeyFileFormat, KeyMaterial};

/// The format's registration.
pub(super) struct Ppk;

impl KeyFormat for Ppk {
    fn format(&self) -> KeyFileFormat {
        KeyFileFormat::Ppk
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        text::version(file).map(|version| format!("a PuTTY private key of version {version}"))
    }

    fn read(&self, file: &[u8], opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
        let file = File::read(file)?;
        let secrets = Secrets::of(&file, opening)?;
        let private = match &secrets.cipher {
            Some((key, iv)) => Cipher::Aes256
                .decrypt_blocks(key, iv, &file.private)
                .ok_or(damaged(WHAT, "its private part is not whole"))?,
            None => Zeroizing::new(file.private.to_vec()),
        };
        let mac = secrets.mac(&file, &private);
        match same_octets(&mac, &file.mac) {
            true => KeyMaterial::from_private(decode(&file, &private)?),
            false if secrets.cipher.is_some() => Err(KeyError::PasswordWrong),
            false => Err(damaged(WHAT, "its Private-MAC does not fit: it was changed")),
        }
    }

    fn write(&self, key: &KeyMaterial, password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError> {
        match key {
            KeyMaterial::Public(_) => {
                Err(KeyError::NotWritable { format: self.format(), what: "a public key: take OPENSSH or RFC4716" })
            }
            KeyMaterial::Private(key) => encode(key.parts(), password),
        }
    }
}

/// What opens and authenticates a file.
struct Secrets {
    hash: Hash,
    mac_key: Zeroizing<Vec<u8>>,
    /// Key and initial vector.
    cipher: Option<(Zeroizing<Vec<u8>>, Vec<u8>)>,
}

impl Secrets {
    fn of(file: &File, opening: &mut Opening<'_>) -> Result<Self, KeyError> {
        match (file.version, &file.protection) {
            (2, None) => Ok(Self { hash: Hash::Sha1, mac_key: Hash::Sha1.of(&[MAC_PREFIX]), cipher: None }),
            (2, Some(_)) => {
                let password = opening.password()?.as_bytes();
                opening.weak("a PuTTY key of version 2, with one step of SHA-1,");
                let mut key = Hash::Sha1.of(&[&[0, 0, 0, 0], password]);
                key.extend_from_slice(&Hash::Sha1.of(&[&[0, 0, 0, 1], password]));
                key.truncate(32);
                let mac_key = Hash::Sha1.of(&[MAC_PREFIX, password]);
                Ok(Self { hash: Hash::Sha1, mac_key, cipher: Some((key, vec![0; 16])) })
            }
            (_, None) => Ok(Self { hash: Hash::Sha256, mac_key: Zeroizing::default(), cipher: None }),
            (_, Some(Protection { derivation: None })) => Err(damaged(WHAT, "its Key-Derivation line is missing")),
            (_, Some(Protection { derivation: Some(derivation) })) => {
                let password = opening.password()?.as_bytes();
                let steps = u64::from(derivation.memory_kib).saturating_mul(u64::from(derivation.passes));
                opening.spend(WHAT, steps)?;
                Self::argon2(derivation, password)
            }
        }
    }

    fn argon2(derivation: &Derivation, password: &[u8]) -> Result<Self, KeyError> {
        let Derivation { algorithm, memory_kib, passes, lanes, salt } = derivation;
        if *memory_kib > DERIVATION_KIB_MAX || *lanes > LANES_MAX {
            return Err(KeyError::Derivation { what: WHAT, steps: u64::from(*memory_kib) });
        }
        if salt.len() > SALT_OCTETS_MAX {
            return Err(damaged(WHAT, "its salt is too long"));
        }
        let unfit = |_| damaged(WHAT, "its key derivation asks for what Argon2 can't do");
        let parameters = Params::new(*memory_kib, *passes, *lanes, Some(DERIVED_OCTETS)).map_err(unfit)?;
        let mut derived = Zeroizing::new(vec![0; DERIVED_OCTETS]);
        Argon2::new(*algorithm, Version::V0x13, parameters)
            .hash_password_into(password, salt, &mut derived)
            .map_err(unfit)?;
        let (key, rest) = derived.split_at_checked(32).unwrap_or_default();
        let (iv, mac_key) = rest.split_at_checked(16).unwrap_or_default();
        let cipher = Some((Zeroizing::new(key.to_vec()), iv.to_vec()));
        Ok(Self { hash: Hash::Sha256, mac_key: Zeroizing::new(mac_key.to_vec()), cipher })
    }

    fn mac(&self, file: &File, private: &[u8]) -> Vec<u8> {
        let mut wire = Wire::default();
        let encryption = if self.cipher.is_some() { AES } else { "none" };
        for part in [file.algorithm.as_bytes(), encryption.as_bytes(), file.comment.as_bytes(), &file.public, private] {
            wire.string(part);
        }
        self.hash.hmac(&self.mac_key, &[&wire.0])
    }
}

/// How a password of version 3 is stretched.
pub(super) struct Derivation {
    algorithm: Algorithm,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
}

/// The key, its private numbers from a part that has been authenticated.
fn decode(file: &File, private: &[u8]) -> Result<PrivateParts, KeyError> {
    let public = ssh_wire::decode_public(&file.public)?;
    if public.algorithm().ssh_name() != file.algorithm {
        return Err(damaged(WHAT, "its first line names another algorithm than its key"));
    }
    let mut wire = Octets::new(private);
    let mut number = || wire.string(KEY_FILE_OCTETS_MAX).map(Number::new).map_err(octets_error);
    let parts = match public {
        PublicParts::Rsa(public) => {
            let (d, p, q, iqmp) = (number()?, number()?, number()?, number()?);
            PrivateParts::Rsa(RsaPrivate::from_ssh_numbers(public, [d, iqmp, p, q])?)
        }
        PublicParts::Dss(public) => PrivateParts::Dss(DssPrivate { public, x: number()? }),
        PublicParts::Ec(public) => {
            let scalar = number()?.padded(public.curve.octets());
            let scalar = scalar.ok_or(damaged(WHAT, "its private part is too long"))?;
            PrivateParts::Ec(EcPrivate { public: public.clone(), ..EcPrivate::from_scalar(public.curve, &scalar)? })
        }
        PublicParts::Ed25519(public) => {
            let seed = wire.string(KEY_FILE_OCTETS_MAX).map_err(octets_error)?;
            PrivateParts::Ed25519(Ed25519Private { public, ..Ed25519Private::from_seed(seed)? })
        }
    };
    // Padding up to a block of the cipher.
    if wire.rest().len() >= BLOCK { Err(damaged(WHAT, "something follows behind its private part")) } else { Ok(parts) }
}

fn encode_private(key: &PrivateParts) -> Zeroizing<Vec<u8>> {
    let mut wire = Wire::default();
    let mut numbers = |all: &[&Number]| all.iter().for_each(|n| wire.string(&n.signed_octets()));
    match key {
        PrivateParts::Rsa(key) => numbers(&[&key.d, &key.p, &key.q, &key.iqmp]),
        PrivateParts::Dss(key) => numbers(&[&key.x]),
        PrivateParts::Ec(key) => numbers(&[&Number::new(&key.scalar)]),
        PrivateParts::Ed25519(key) => wire.string(key.seed.as_slice()),
    }
    wire.0
}

/// Writes version 3; with a password stretched as `puttygen` does by itself.
fn encode(key: &PrivateParts, password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError> {
    let algorithm: KeyAlgorithm = key.public().algorithm();
    let mut private = encode_private(key);
    let (secrets, protection) = match password {
        None => (Secrets { hash: Hash::Sha256, mac_key: Zeroizing::default(), cipher: None }, None),
        Some(password) => {
            let salt = random::<16>().map_err(|_| KeyError::Engine { what: "taking random numbers of the system" })?;
            let derivation = Derivation {
                algorithm: Algorithm::Argon2id,
                memory_kib: 8192,
                passes: 34,
                lanes: 1,
                salt: salt.to_vec(),
            };
            let secrets = Secrets::argon2(&derivation, password.expose().as_bytes())?;
            let whole = private.len().next_multiple_of(BLOCK);
            let mut padded = Zeroizing::new(Vec::with_capacity(whole));
            padded.extend_from_slice(&private);
            let padding = Hash::Sha1.of(&[&private]);
            padded.extend(padding.iter().take(whole.saturating_sub(private.len())));
            private = padded;
            (secrets, Some(Protection { derivation: Some(derivation) }))
        }
    };
    let mut file = File {
        version: 3,
        algorithm: algorithm.ssh_name().to_owned(),
        comment: String::new(),
        public: ssh_wire::encode_public(&key.public()),
        protection,
        private: Zeroizing::default(),
        mac: Vec::new(),
    };
    file.mac = secrets.mac(&file, &private);
    file.private = match &secrets.cipher {
        None => private,
        Some((key, iv)) => {
            let encrypted = encrypt_aes256_blocks(key, iv, &private);
            Zeroizing::new(encrypted.ok_or(KeyError::Engine { what: "protecting a key" })?)
        }
    };
    Ok(secret(file.write()))
}

const WHAT: &str = "PuTTY private key";
const MAC_PREFIX: &[u8] = b"putty-private-key-file-mac-key";
const AES: &str = "aes256-cbc";
/// Key, initial vector and key of the MAC of version 3.
const DERIVED_OCTETS: usize = 80;
/// Octets of a block of the cipher.
const BLOCK: usize = 16;
/// Most lanes of Argon2; PuTTY takes one.
const LANES_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::any_key;
    use crate::{read_key, write_key};

    fn password(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    // KEY-1
    #[test]
    fn every_key_survives_with_and_without_password() {
        for algorithm in KeyAlgorithm::ALL {
            let key = any_key(algorithm);
            let own = key.to_bytes();
            let material = KeyMaterial::Private(key);
            for with in [None, Some(password("open sesame"))] {
                let file = write_key(&material, KeyFileFormat::Ppk, with.as_ref()).unwrap();
                let KeyMaterial::Private(read) = read_key(file.expose(), None, with.as_ref()).unwrap() else {
                    panic!("{algorithm} is no longer private")
                };
                assert_eq!(read.to_bytes().expose(), own.expose(), "{algorithm}");
                if with.is_some() {
                    assert_eq!(read_key(file.expose(), None, None).unwrap_err(), KeyError::PasswordNeeded);
                    let wrong = read_key(file.expose(), None, Some(&password("wrong")));
                    assert_eq!(wrong.unwrap_err(), KeyError::PasswordWrong);
                }
            }
        }
    }

    #[test]
    fn changed_files_are_refused() {
        let file = write_key(&KeyMaterial::Private(any_key(KeyAlgorithm::Ed25519)), KeyFileFormat::Ppk, None).unwrap();
        let text = String::from_utf8(file.expose().clone()).unwrap();
        let refused = |text: &str| read_key(text.as_bytes(), None, None).unwrap_err().to_string();
        assert!(refused(&text.replace("Comment: ", "Comment: other")).contains("Private-MAC"));
        assert!(refused(&text.replace("File-3", "File-4")).contains("version 2 or 3"));
        assert!(refused(&text.replace("Encryption: none", "Encryption: rot13")).contains("rot13"));
        assert!(refused(&text.replace("Private-Lines: 1", "Private-Lines: 99999999")).contains("cut short"));
        assert!(refused(&text.replace("Private-MAC", "Public-MAC")).contains("Private-MAC"));
        assert!(refused(&format!("{text}more\n")).contains("follows"));
        assert!(refused(&text.replace("Encryption: none", "Encryption: aes256-cbc")).contains("Key-Derivation"));
    }

    // A file cannot make us fill the memory or count for hours.
    #[test]
    fn key_derivation_is_bounded() {
        let key = KeyMaterial::Private(any_key(KeyAlgorithm::Ed25519));
        let with = password("open sesame");
        let file = write_key(&key, KeyFileFormat::Ppk, Some(&with)).unwrap();
        let text = String::from_utf8(file.expose().clone()).unwrap();
        for (line, other) in [
            ("Argon2-Memory: 8192", "Argon2-Memory: 4000000000"),
            ("Argon2-Passes: 34", "Argon2-Passes: 4000000000"),
            ("Argon2-Parallelism: 1", "Argon2-Parallelism: 4000"),
        ] {
            assert!(text.contains(line), "{line}");
            let refused = read_key(text.replace(line, other).as_bytes(), None, Some(&with)).unwrap_err();
            assert!(matches!(refused, KeyError::Derivation { .. } | KeyError::Damaged { .. }), "{other}: {refused}");
        }
    }
}
