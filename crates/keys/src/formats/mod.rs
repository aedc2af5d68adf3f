//! Key file formats: one folder each, one line each in [`FORMATS`].

pub(crate) mod certificates;
pub(crate) mod der;
mod openssh;
pub(crate) mod pem;
mod pkcs12;
mod pkcs7;
mod ppk;
pub(crate) mod private_file;
mod rfc4716;
mod txt;
mod x509;

use std::fmt;
use std::str::FromStr;

pub use pkcs7::write_pkcs7;
pub use pkcs12::write_pkcs12;

use base::{Secret, octets_text};

use crate::limits::KEY_FILE_OCTETS_MAX;
use crate::pbe::Opening;
use crate::{KeyError, KeyMaterial, Weakness};

/// A documented format of key files.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyFileFormat {
    /// Binary: PKCS#1, SEC 1, traditional DSA, PKCS#8, SubjectPublicKeyInfo.
    Der,
    /// The same in base 64 between `-----BEGIN` and `-----END` lines (RFC 7468).
    Pem,
    /// A public key on one line, as in `authorized_keys`.
    Txt,
    /// What `ssh-keygen` writes: private keys, with or without password, and public keys on one line.
    OpenSsh,
    /// A public key between `---- BEGIN SSH2 PUBLIC KEY ----` lines (RFC 4716), as SSH Tectia and PuTTY write it.
    Rfc4716,
    /// A private key of PuTTY, version 2 or 3, with or without password.
    Ppk,
}

impl KeyFileFormat {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Der => "DER",
            Self::Pem => "PEM",
            Self::Txt => "TXT",
            Self::OpenSsh => "OPENSSH",
            Self::Rfc4716 => "RFC4716",
            Self::Ppk => "PPK",
        }
    }
}

impl fmt::Display for KeyFileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyFileFormat {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        FORMATS
            .iter()
            .map(|f| f.format())
            .find(|f| f.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| KeyError::FormatName { text: octets_text(text.as_bytes()) })
    }
}

/// A format: how it is recognised, read and written. Reading gets at most [`KEY_FILE_OCTETS_MAX`] octets.
pub(crate) trait KeyFormat: Sync {
    /// Its documented name.
    fn format(&self) -> KeyFileFormat;

    /// What `file` is, in words, if it is of this format, be it whole or damaged.
    fn recognise(&self, file: &[u8]) -> Option<String>;

    /// Reads the one key of `file`. A password that is not needed does no harm.
    fn read(&self, file: &[u8], opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError>;

    /// Writes a key; a private one is protected if there is a password.
    fn write(&self, key: &KeyMaterial, password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError>;
}

/// Every format, in the order in which they are tried. A new one is its folder and one line here.
pub(crate) static FORMATS: &[&dyn KeyFormat] =
    &[&openssh::OpenSsh, &pem::Pem, &ppk::Ppk, &rfc4716::Rfc4716, &txt::Txt, &der::Der];

/// A key, and what a person should know about the file that it came in.
#[derive(Debug)]
pub struct OpenedKey {
    /// The key.
    pub material: KeyMaterial,
    /// What in the file protects little, a sentence each (CERT-15).
    pub weaknesses: Vec<Weakness>,
}

/// Reads the one key of a file.
///
/// Without `format` the file tells. The password is used here and kept nowhere.
///
/// # Errors
/// [`KeyError`]: what was found and what to do. A file with several keys, with something behind its key, with a private
/// part that does not belong to its public part, or protected in a way that is not read (KEY-9) is refused.
pub fn read_key(
    file: &[u8],
    format: Option<KeyFileFormat>,
    password: Option<&Secret<String>>,
) -> Result<KeyMaterial, KeyError> {
    open_key(file, format, password).map(|opened| opened.material)
}

/// As [`read_key`], and tells what in the file protects little.
///
/// # Errors
/// As [`read_key`].
pub fn open_key(
    file: &[u8],
    format: Option<KeyFileFormat>,
    password: Option<&Secret<String>>,
) -> Result<OpenedKey, KeyError> {
    let mut opening = Opening::new(password);
    let material = read(file, format, &mut opening)?;
    Ok(OpenedKey { material, weaknesses: opening.into_weaknesses() })
}

pub(crate) fn read(
    file: &[u8],
    format: Option<KeyFileFormat>,
    opening: &mut Opening<'_>,
) -> Result<KeyMaterial, KeyError> {
    if file.len() > KEY_FILE_OCTETS_MAX {
        return Err(KeyError::TooLarge { len: file.len() });
    }
    let found = FORMATS.iter().find_map(|f| f.recognise(file).map(|what| (f, what)));
    match (format, found) {
        (None, Some((found, _))) => found.read(file, opening),
        (Some(given), found) => match FORMATS.iter().find(|f| f.format() == given && f.recognise(file).is_some()) {
            Some(fitting) => fitting.read(file, opening),
            None => {
                let found = found.map_or_else(|| guess(file).to_owned(), |(_, what)| what);
                Err(KeyError::WrongFormat { given, found })
            }
        },
        (None, None) => Err(KeyError::NotRecognised { hint: guess(file) }),
    }
}

/// The format that `file` looks like, be it whole or damaged; `None` if like none.
#[must_use]
pub fn recognise_key(file: &[u8]) -> Option<KeyFileFormat> {
    FORMATS.iter().find(|f| f.recognise(file).is_some()).map(|f| f.format())
}

/// Writes a key as a file. Private keys come out clear unless there is a password.
///
/// # Errors
/// [`KeyError::NotWritable`] if the format can't hold the key, or not with a password; [`KeyError::Engine`].
pub fn write_key(
    key: &KeyMaterial,
    format: KeyFileFormat,
    password: Option<&Secret<String>>,
) -> Result<Secret<Vec<u8>>, KeyError> {
    let keeps_pss = matches!(format, KeyFileFormat::Der | KeyFileFormat::Pem);
    if key.public().is_pss_only() && !keeps_pss {
        return Err(KeyError::NotWritable { format, what: "a key for PSS signatures only" });
    }
    let writer =
        FORMATS.iter().find(|f| f.format() == format).ok_or(KeyError::NotWritable { format, what: "keys yet" })?;
    writer.write(key, password)
}

/// What a file that no format recognises looks like.
fn guess(file: &[u8]) -> &'static str {
    let text = file.trim_ascii_start();
    match text {
        [] => "an empty file",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 text, to be saved as plain text first",
        _ if text.starts_with(b"PuTTY-User-Key-File-1") => {
            "a PuTTY key of version 1, to be saved anew by puttygen first"
        }
        _ if text.starts_with(b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY") => {
            "a private key of SSH Tectia, to be converted by ssh-keygen -i or puttygen first"
        }
        _ => "something else",
    }
}

/// `file` without the mark that some editors put before UTF-8 text.
fn without_mark(file: &[u8]) -> &[u8] {
    file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::any_key;
    use crate::{KeyAlgorithm, PrivateKey};
    use proptest::prelude::*;

    const FORMAT_OPTIONS: [Option<KeyFileFormat>; 7] = [
        None,
        Some(KeyFileFormat::Rfc4716),
        Some(KeyFileFormat::Ppk),
        Some(KeyFileFormat::Der),
        Some(KeyFileFormat::Pem),
        Some(KeyFileFormat::Txt),
        Some(KeyFileFormat::OpenSsh),
    ];

    fn private_material(key: &PrivateKey) -> KeyMaterial {
        KeyMaterial::Private(PrivateKey::from_bytes(key.to_bytes().expose()).unwrap())
    }

    // KEY-1, KEY-3: every algorithm in every format, format given or not.
    #[test]
    fn every_key_survives_every_format() {
        for algorithm in KeyAlgorithm::ALL {
            let key = any_key(algorithm);
            for format in FORMATS.iter().map(|f| f.format()) {
                let public = write_key(&KeyMaterial::Public(key.public().clone()), format, None);
                match public {
                    Err(error) => assert!(format == KeyFileFormat::Ppk, "{algorithm} as {format}: {error}"),
                    Ok(file) => {
                        for hint in [None, Some(format)] {
                            let read = read_key(file.expose(), hint, None).unwrap();
                            assert!(!read.is_private());
                            assert_eq!(read.public(), key.public(), "{algorithm} public as {format}");
                        }
                    }
                }
                let private = write_key(&private_material(&key), format, None);
                if matches!(format, KeyFileFormat::Txt | KeyFileFormat::Rfc4716) {
                    assert!(matches!(private, Err(KeyError::NotWritable { .. })));
                    continue;
                }
                for hint in [None, Some(format)] {
                    let KeyMaterial::Private(read) = read_key(private.as_ref().unwrap().expose(), hint, None).unwrap()
                    else {
                        panic!("{algorithm} as {format} is no longer private")
                    };
                    assert_eq!(read.to_bytes().expose(), key.to_bytes().expose(), "{algorithm} private as {format}");
                }
            }
        }
    }

    // KEY-3
    #[test]
    fn a_format_that_does_not_fit_is_named() {
        let key = KeyMaterial::Public(any_key(KeyAlgorithm::Ed25519).public().clone());
        let refused = |file: &[u8], given| read_key(file, Some(given), None).unwrap_err().to_string();
        let pem = write_key(&key, KeyFileFormat::Pem, None).unwrap();
        let text = refused(pem.expose(), KeyFileFormat::Der);
        assert_eq!(
            text,
            "format DER was given but the file is a PEM file with PUBLIC KEY: give the right format or leave it out"
        );
        assert!(refused(pem.expose(), KeyFileFormat::OpenSsh).contains("is a PEM file"));
        let line = write_key(&key, KeyFileFormat::Txt, None).unwrap();
        assert!(refused(line.expose(), KeyFileFormat::Pem).contains("one-line OpenSSH public key"));
        let der = write_key(&key, KeyFileFormat::Der, None).unwrap();
        assert!(refused(der.expose(), KeyFileFormat::Txt).contains("a DER structure"));
        assert!(refused(b"PuTTY-User-Key-File-2: ssh-rsa", KeyFileFormat::Pem).contains("PuTTY"));
    }

    #[test]
    fn unknown_files_get_a_hint() {
        let hint = |file: &[u8]| match read_key(file, None, None) {
            Err(KeyError::NotRecognised { hint }) => hint,
            other => panic!("{other:?}"),
        };
        assert_eq!(hint(b" \n"), "an empty file");
        assert!(hint(b"\xff\xfe-\0-\0").contains("UTF-16"));
        assert!(hint(b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n").contains("Tectia"));
        assert!(hint(b"PuTTY-User-Key-File-1: ssh-rsa\n").contains("PuTTY"));
        assert!(hint(b"hello\n").contains("something else"));
        let large = vec![b' '; KEY_FILE_OCTETS_MAX + 1];
        assert_eq!(read_key(&large, None, None).unwrap_err(), KeyError::TooLarge { len: KEY_FILE_OCTETS_MAX + 1 });
    }

    #[test]
    fn names_survive() {
        for format in FORMATS.iter().map(|f| f.format()) {
            assert_eq!(format.to_string().to_lowercase().parse(), Ok(format));
        }
        assert!("JKS".parse::<KeyFileFormat>().is_err());
    }

    // Each octet of each kind of file is changed, cut off or followed by more: an error or the same key, never a panic.
    #[test]
    fn damaged_files_are_refused() {
        for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaNistp256] {
            let key = any_key(algorithm);
            for (format, is_private) in [
                (KeyFileFormat::Der, true),
                (KeyFileFormat::Der, false),
                (KeyFileFormat::Pem, true),
                (KeyFileFormat::OpenSsh, true),
                (KeyFileFormat::Txt, false),
            ] {
                let material =
                    if is_private { private_material(&key) } else { KeyMaterial::Public(key.public().clone()) };
                let file = write_key(&material, format, None).unwrap();
                let file = file.expose();
                for cut in 0..file.trim_ascii_end().len() {
                    let read = read_key(&file[..cut], None, None);
                    assert!(read.is_err() || format == KeyFileFormat::Txt, "{algorithm} {format} cut at {cut}");
                }
                for at in 0..file.len() {
                    let mut changed = file.clone();
                    changed[at] ^= 1;
                    if let Ok(KeyMaterial::Private(read)) = read_key(&changed, None, None) {
                        assert_eq!(read.public().bits(), 256, "{algorithm} {format} changed at {at}");
                    }
                }
                assert!(read_key(&[file, &b"xyz"[..]].concat(), None, None).is_err(), "{algorithm} {format} and more");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn any_octets_give_an_error_and_no_panic(
            octets in proptest::collection::vec(any::<u8>(), 0..600),
            format in proptest::sample::select(&FORMAT_OPTIONS[..]),
        ) {
            let password = Secret::new("password".to_owned());
            prop_assert!(read_key(&octets, format, Some(&password)).is_err());
        }

        #[test]
        fn any_der_shape_gives_an_error_and_no_panic(
            inner in proptest::collection::vec((prop_oneof![Just(2_u8), Just(3), Just(4), Just(5), Just(6), Just(0x30),
                Just(0xa0), Just(0xa1), any::<u8>()], proptest::collection::vec(any::<u8>(), 0..40)), 0..10),
        ) {
            let body: Vec<u8> = inner.iter().flat_map(|(tag, octets)| {
                [&[*tag, u8::try_from(octets.len()).unwrap()], octets.as_slice()].concat()
            }).collect();
            let file = [&[0x30, 0x82], u16::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &body].concat();
            prop_assert!(read_key(&file, Some(KeyFileFormat::Der), None).is_err());
        }

        #[test]
        fn any_text_in_armour_gives_an_error_and_no_panic(
            label in "(OPENSSH |RSA |EC |DSA |ENCRYPTED )?(PRIVATE|PUBLIC) KEY",
            body in "[A-Za-z0-9+/=\n :,-]{0,200}",
            format in proptest::sample::select(&FORMAT_OPTIONS[..]),
        ) {
            let file = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
            prop_assert!(read_key(file.as_bytes(), format, None).is_err());
        }

        #[test]
        fn any_blob_gives_an_error_and_no_panic(
            algorithm in proptest::sample::select(&KeyAlgorithm::ALL[..]),
            fields in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70), 0..6),
        ) {
            let mut wire = crate::ssh_wire::Wire::default();
            wire.string(algorithm.ssh_name().as_bytes());
            fields.iter().for_each(|field| wire.string(field));
            if let Ok(key) = crate::PublicKey::from_ssh_blob(&wire.0) {
                // Half of all strings of 32 octets are a point.
                prop_assert_eq!(key.algorithm(), KeyAlgorithm::Ed25519);
            }
        }
    }
}
