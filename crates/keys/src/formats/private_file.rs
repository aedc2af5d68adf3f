//! Files that hold the private key of a certificate, by the names that the documentation has for them (CERT-32).

use std::fmt;
use std::str::FromStr;

use base::{Secret, octets_text};
use der::Tag;
use thiserror::Error;

use super::pem::armour;
use super::{OpenedKey, without_mark};
use crate::asn1::sequence;
use crate::limits::KEY_FILE_OCTETS_MAX;
use crate::pbe::Opening;
use crate::{KeyError, KeyFileFormat};

/// A documented type of private key files.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PrivateKeyFileType {
    /// A key by itself: PKCS#1, SEC 1 or traditional DSA.
    Der,
    /// PKCS#8, clear.
    Pkcs8,
    /// PKCS#8, encrypted.
    CrPkcs8,
    /// Any of these in base 64.
    Base64,
}

impl PrivateKeyFileType {
    const ALL: [Self; 4] = [Self::Der, Self::Pkcs8, Self::CrPkcs8, Self::Base64];

    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Der => "DER",
            Self::Pkcs8 => "PKCS8",
            Self::CrPkcs8 => "CR_PKCS8",
            Self::Base64 => "BASE64",
        }
    }
}

impl fmt::Display for PrivateKeyFileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PrivateKeyFileType {
    type Err = PrivateKeyFileError;
    fn from_str(text: &str) -> Result<Self, PrivateKeyFileError> {
        let named = Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text));
        named.ok_or_else(|| PrivateKeyFileError::TypeName { text: octets_text(text.as_bytes()) })
    }
}

/// Why a private key file was refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PrivateKeyFileError {
    /// The given type does not fit.
    #[error("type {given} was given but the file is {found}: give the right type")]
    WrongType {
        /// The type asked for.
        given: PrivateKeyFileType,
        /// What the file is.
        found: String,
    },
    /// No such type name.
    #[error("no type of private key files {text:?}: use DER, PKCS8, CR_PKCS8 or BASE64")]
    TypeName {
        /// What was given.
        text: String,
    },
    /// The key or its password was refused.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What a private key file looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecognisedPrivateKey {
    /// Its type.
    pub kind: PrivateKeyFileType,
    /// Whether a password protects it.
    pub protected: bool,
}

/// What a private key file looks like; `None` if like none.
#[must_use]
pub fn recognise_private_key(file: &[u8]) -> Option<RecognisedPrivateKey> {
    let found = |kind, protected| Some(RecognisedPrivateKey { kind, protected });
    if let Some(label) = armour::first_label(file) {
        let header = without_mark(file).windows(HEADER.len()).any(|window| window == HEADER);
        return found(PrivateKeyFileType::Base64, label == "ENCRYPTED PRIVATE KEY" || header);
    }
    let tags = sequence("private key", file).ok()?.tags();
    match tags.as_slice() {
        [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => found(PrivateKeyFileType::Pkcs8, false),
        [Tag::Sequence, Tag::OctetString] => found(PrivateKeyFileType::CrPkcs8, true),
        [Tag::Integer, Tag::OctetString, ..] => found(PrivateKeyFileType::Der, false),
        [Tag::Integer, rest @ ..] if rest.len() >= 5 && rest.iter().take(5).all(|t| *t == Tag::Integer) => {
            found(PrivateKeyFileType::Der, false)
        }
        _ => None,
    }
}

/// Reads the one private key of a file. Without `kind` the file tells.
///
/// # Errors
/// [`PrivateKeyFileError`]: what was found and what to do. A public key is refused.
pub fn read_private_key(
    file: &[u8],
    kind: Option<PrivateKeyFileType>,
    password: Option<&Secret<String>>,
) -> Result<OpenedKey, PrivateKeyFileError> {
    if file.len() > KEY_FILE_OCTETS_MAX {
        return Err(KeyError::TooLarge { len: file.len() }.into());
    }
    let found = recognise_private_key(file);
    if let Some(given) = kind.filter(|given| found.is_none_or(|found| found.kind != *given)) {
        let found = match found {
            Some(found) => format!("of type {}", found.kind),
            None => {
                super::recognise_key(file).map_or_else(|| "none of them".to_owned(), |f| format!("a key in {f} form"))
            }
        };
        return Err(PrivateKeyFileError::WrongType { given, found });
    }
    let format = found.map(|found| match found.kind {
        PrivateKeyFileType::Base64 => KeyFileFormat::Pem,
        _ => KeyFileFormat::Der,
    });
    let mut opening = Opening::new(password);
    // A PEM file may be one of OpenSSH.
    let format = format.filter(|format| super::recognise_key(file) == Some(*format));
    let material = super::read(file, format, &mut opening)?;
    if !material.is_private() {
        let what = "the file holds a public key, where the private key of a certificate belongs".to_owned();
        return Err(KeyError::Unsupported { what }.into());
    }
    Ok(OpenedKey { material, weaknesses: opening.into_weaknesses() })
}

const HEADER: &[u8] = b"Proc-Type: 4,ENCRYPTED";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{any_key, armoured};
    use crate::{KeyAlgorithm, KeyMaterial, PrivateKey, write_key};

    // CERT-32, as far as this crate goes: the same key of every type, given or not.
    #[test]
    fn a_private_key_is_the_same_of_every_type() {
        let with = Secret::new("open sesame".to_owned());
        for algorithm in [KeyAlgorithm::Rsa, KeyAlgorithm::EcdsaNistp256] {
            let key = any_key(algorithm);
            let pkcs8 = key.to_bytes();
            let own = pkcs8.expose().clone();
            // The key by itself is what the third value of PKCS#8 holds.
            let mut values = sequence("test", &own).unwrap();
            values.next("version").unwrap();
            values.next("algorithm").unwrap();
            let alone = values.next("key").unwrap().octets.to_vec();
            let material = KeyMaterial::Private(PrivateKey::from_bytes(&own).unwrap());
            let locked = write_key(&material, KeyFileFormat::Der, Some(&with)).unwrap().expose().clone();
            let mut files = vec![
                (own.clone(), PrivateKeyFileType::Pkcs8),
                (locked.clone(), PrivateKeyFileType::CrPkcs8),
                (armoured("PRIVATE KEY", &own).into_bytes(), PrivateKeyFileType::Base64),
                (armoured("ENCRYPTED PRIVATE KEY", &locked).into_bytes(), PrivateKeyFileType::Base64),
            ];
            if algorithm == KeyAlgorithm::Rsa {
                files.push((alone.clone(), PrivateKeyFileType::Der));
                files.push((armoured("RSA PRIVATE KEY", &alone).into_bytes(), PrivateKeyFileType::Base64));
            }
            for (file, kind) in files {
                assert_eq!(recognise_private_key(&file).unwrap().kind, kind);
                for given in [None, Some(kind)] {
                    let read = read_private_key(&file, given, Some(&with)).unwrap();
                    assert_eq!(read.material.public(), key.public(), "{algorithm} {kind}");
                }
                for other in PrivateKeyFileType::ALL.into_iter().filter(|other| *other != kind) {
                    let refused = read_private_key(&file, Some(other), Some(&with)).unwrap_err().to_string();
                    assert!(refused.contains(&format!("is of type {kind}")), "{refused}");
                }
            }
        }
    }

    #[test]
    fn public_keys_are_refused() {
        let key = any_key(KeyAlgorithm::Ed25519);
        for file in [key.public().spki_der().to_vec(), armoured("PUBLIC KEY", key.public().spki_der()).into_bytes()] {
            let refused = read_private_key(&file, None, None).unwrap_err().to_string();
            assert!(refused.contains("public key"), "{refused}");
        }
    }

    #[test]
    fn names_survive() {
        for kind in PrivateKeyFileType::ALL {
            assert_eq!(kind.to_string().to_lowercase().parse(), Ok(kind));
        }
        assert!("PEM".parse::<PrivateKeyFileType>().is_err());
    }
}
