//! PEM files: the DER structures in base 64 between lines that name them (RFC 7468, and what OpenSSL wrote before).

pub(crate) mod armour;

use base::{Secret, unhex};

use self::armour::Block;
use super::{KeyFormat, der, openssh};
use crate::pbe::{Cipher, Opening, derive_from_header};
use crate::{KeyAlgorithm, KeyError, KeyFileFormat, KeyMaterial};

/// The format's registration.
pub(super) struct Pem;

impl KeyFormat for Pem {
    fn format(&self) -> KeyFileFormat {
        KeyFileFormat::Pem
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        let label = armour::first_label(file)?;
        (label != openssh::LABEL).then(|| format!("a PEM file with {}", base::octets_text(label.as_bytes())))
    }

    fn read(&self, file: &[u8], opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
        let blocks = armour::read(file)?;
        let keys = blocks.iter().filter(|block| block.label.ends_with("KEY")).count();
        match blocks.as_slice() {
            _ if keys > 1 => Err(KeyError::Several { count: keys }),
            [key] => read_block(key, opening),
            [parameters, key] if parameters.label == EC_PARAMETERS => {
                let read = read_block(key, opening)?;
                let curve = der::curve_of_parameters(&parameters.content)?;
                if curve.algorithm() == read.public().algorithm() {
                    Ok(read)
                } else {
                    Err(damaged("its EC PARAMETERS name another curve than its key"))
                }
            }
            [.., other] if keys == 0 => read_block(other, opening),
            _ => Err(damaged("beside the key it holds something else: leave the key alone in the file")),
        }
    }

    fn write(&self, key: &KeyMaterial, password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError> {
        let label = match (key.is_private(), password) {
            (true, Some(_)) => ENCRYPTED,
            (true, None) => "PRIVATE KEY",
            (false, _) => "PUBLIC KEY",
        };
        match der::Der.write(key, password) {
            Err(KeyError::NotWritable { what, .. }) => Err(KeyError::NotWritable { format: self.format(), what }),
            Err(other) => Err(other),
            Ok(der) => Ok(armour::write(label, LINE_CHARACTERS, der.expose())),
        }
    }
}

/// Reads one block by its name. The name `RSA PUBLIC KEY` is met over both structures that there are.
pub(super) fn read_block(block: &Block, opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
    let (named, is_private) = match block.label.as_str() {
        "PRIVATE KEY" => (None, true),
        "RSA PRIVATE KEY" => (Some("RSA"), true),
        "DSA PRIVATE KEY" => (Some("DSA"), true),
        "EC PRIVATE KEY" => (Some("EC"), true),
        "PUBLIC KEY" => (None, false),
        "RSA PUBLIC KEY" => (Some("RSA"), false),
        ENCRYPTED => (None, true),
        other => return Err(KeyError::Unsupported { what: foreign(other) }),
    };
    let key = if block.protected { decrypt(block, opening)? } else { der::decode(&block.content, opening)? };
    if key.is_private() != is_private || named.is_some_and(|named| !fits(key.public().algorithm(), named)) {
        let found = if key.is_private() { "private" } else { "public" };
        let algorithm = key.public().algorithm();
        return Err(damaged(&format!("it is called {} but its key is {found} and {algorithm}", block.label)));
    }
    Ok(key)
}

/// Opens what OpenSSL encrypted before there was PKCS#8: the key is made of the password and the first octets of the
/// initial vector, which the header holds.
fn decrypt(block: &Block, opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
    let info = block.dek.as_deref().ok_or(damaged("it is encrypted, and its DEK-Info line is missing"))?;
    let (name, iv) = info.split_once(',').ok_or(damaged("its DEK-Info line is not a cipher and an initial vector"))?;
    let cipher = CIPHERS.iter().find(|(known, _)| *known == name).map(|(_, cipher)| *cipher);
    let unknown = || KeyError::Encryption { what: WHAT, algorithm: base::octets_text(name.as_bytes()) };
    let cipher = cipher.ok_or_else(unknown)?;
    let iv = unhex(iv.trim()).filter(|iv| iv.len() == cipher.iv_octets());
    let iv = iv.ok_or(damaged("the initial vector in its DEK-Info line is not hexadecimal or has the wrong length"))?;
    let password = opening.password()?;
    let salt = iv.get(..8).unwrap_or_default();
    opening.weak("encryption by the header of a PEM file, with one step of MD5");
    let key = derive_from_header(password.as_bytes(), salt, cipher.key_octets());
    let clear = cipher.decrypt(&key, &iv, &block.content).ok_or(KeyError::PasswordWrong)?;
    // One wrong password in 256 leaves padding that looks right.
    match der::decode(&clear, opening) {
        Err(KeyError::Damaged { .. } | KeyError::Unsupported { .. }) if !der::is_sequence(&clear) => {
            Err(KeyError::PasswordWrong)
        }
        other => other,
    }
}

/// What a `DEK-Info` line calls them.
const CIPHERS: [(&str, Cipher); 6] = [
    ("DES-CBC", Cipher::Des),
    ("DES-EDE3-CBC", Cipher::TripleDes),
    ("AES-128-CBC", Cipher::Aes128),
    ("AES-192-CBC", Cipher::Aes192),
    ("AES-256-CBC", Cipher::Aes256),
    ("RC2-CBC", Cipher::Rc2 { octets: 16, bits: 128 }),
];

const WHAT: &str = "PEM private key";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

fn fits(algorithm: KeyAlgorithm, named: &str) -> bool {
    match algorithm {
        KeyAlgorithm::Rsa => named == "RSA",
        KeyAlgorithm::Dss => named == "DSA",
        KeyAlgorithm::EcdsaNistp256 | KeyAlgorithm::EcdsaNistp384 | KeyAlgorithm::EcdsaNistp521 => named == "EC",
        KeyAlgorithm::Ed25519 => false,
    }
}

/// What a block of another name is.
fn foreign(label: &str) -> String {
    match label {
        EC_PARAMETERS | "DSA PARAMETERS" => "the file has parameters only, no key".to_owned(),
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => "a certificate is no bare key".to_owned(),
        other => format!("PEM block {} is no key that is known", base::octets_text(other.as_bytes())),
    }
}

fn damaged(why: &str) -> KeyError {
    KeyError::Damaged { what: "PEM file", why: why.to_owned() }
}

/// What `openssl ecparam -genkey` writes before its key.
const EC_PARAMETERS: &str = "EC PARAMETERS";

/// Characters of a line of base 64 (RFC 7468 section 2).
const LINE_CHARACTERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{any_key, armoured};
    use crate::{read_key, write_key};

    fn pem(algorithm: KeyAlgorithm, private: bool) -> String {
        let key = any_key(algorithm);
        let key = if private { KeyMaterial::Private(key) } else { KeyMaterial::Public(key.public().clone()) };
        String::from_utf8(write_key(&key, KeyFileFormat::Pem, None).unwrap().expose().clone()).unwrap()
    }

    fn refused(file: &str) -> KeyError {
        read_key(file.as_bytes(), None, None).unwrap_err()
    }

    // KEY-9
    #[test]
    fn protection_that_is_not_known_is_refused_clearly() {
        let traditional = |header: &str| {
            let file = format!(
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n{header}\nAAAA\n-----END RSA PRIVATE KEY-----\n"
            );
            refused(&file)
        };
        let iv = "00".repeat(16);
        assert_eq!(traditional(&format!("DEK-Info: AES-256-CBC,{iv}\n")), KeyError::PasswordNeeded);
        for (header, says) in [
            ("", "DEK-Info line is missing"),
            ("DEK-Info: AES-256-CBC\n", "a cipher and an initial vector"),
            ("DEK-Info: AES-256-CBC,00\n", "wrong length"),
            ("DEK-Info: AES-256-CBC,zz\n", "not hexadecimal"),
            ("DEK-Info: CAMELLIA-256-CBC,00\n", "protected by CAMELLIA-256-CBC, which is not known"),
        ] {
            let text = traditional(header).to_string();
            assert!(text.contains(says), "{header}: {text}");
        }
        // EncryptedPrivateKeyInfo: an AlgorithmIdentifier and an OCTET STRING.
        let pkcs8 = [0x30, 10, 0x30, 5, 6, 1, 0x2a, 5, 0, 4, 1, 0];
        assert!(matches!(read_key(&pkcs8, None, None), Err(KeyError::Encryption { .. })));
        assert!(matches!(refused(&armoured(ENCRYPTED, &pkcs8)), KeyError::Encryption { .. }));
    }

    #[test]
    fn a_password_opens_its_key_only() {
        let key = KeyMaterial::Private(any_key(KeyAlgorithm::EcdsaNistp256));
        let password = Secret::new("open sesame".to_owned());
        for format in [KeyFileFormat::Pem, KeyFileFormat::Der] {
            let file = write_key(&key, format, Some(&password)).unwrap();
            let read = read_key(file.expose(), None, Some(&password)).unwrap();
            assert!(read.is_private() && read.public() == key.public());
            assert_eq!(read_key(file.expose(), None, None).unwrap_err(), KeyError::PasswordNeeded);
            let wrong = Secret::new("open Sesame".to_owned());
            assert_eq!(read_key(file.expose(), None, Some(&wrong)).unwrap_err(), KeyError::PasswordWrong);
        }
    }

    #[test]
    fn several_keys_are_refused() {
        let (private, public) = (pem(KeyAlgorithm::Ed25519, true), pem(KeyAlgorithm::Ed25519, false));
        assert_eq!(refused(&format!("{private}{public}")), KeyError::Several { count: 2 });
        assert_eq!(refused(&format!("{public}{public}{public}")), KeyError::Several { count: 3 });
        let certificate = armoured("CERTIFICATE", &[0x30, 0]);
        assert!(refused(&certificate).to_string().contains("a certificate is no bare key"));
        assert!(refused(&format!("{private}{certificate}")).to_string().contains("something else"));
    }

    #[test]
    fn parameters_before_a_key() {
        let key = pem(KeyAlgorithm::EcdsaNistp256, true);
        let p256 = armoured(EC_PARAMETERS, &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
        let p384 = armoured(EC_PARAMETERS, &[6, 5, 0x2b, 0x81, 4, 0, 0x22]);
        assert!(read_key(format!("{p256}{key}").as_bytes(), None, None).unwrap().is_private());
        assert!(refused(&format!("{p384}{key}")).to_string().contains("another curve"));
        assert!(refused(&p256).to_string().contains("parameters only"));
    }

    #[test]
    fn names_that_lie_are_refused() {
        for (label, algorithm, private) in [
            ("PUBLIC KEY", KeyAlgorithm::Ed25519, true),
            ("PRIVATE KEY", KeyAlgorithm::Ed25519, false),
            ("EC PRIVATE KEY", KeyAlgorithm::Ed25519, true),
            ("RSA PUBLIC KEY", KeyAlgorithm::EcdsaNistp256, false),
        ] {
            let key = any_key(algorithm);
            let der = if private { key.to_bytes().expose().clone() } else { key.public().spki_der().to_vec() };
            let error = refused(&armoured(label, &der));
            assert!(error.to_string().contains("is called"), "{label}: {error}");
        }
    }

    #[test]
    fn text_before_the_key_and_windows_lines_do_no_harm() {
        let key = pem(KeyAlgorithm::Ed25519, true);
        for file in [
            format!("Bag Attributes\n    friendlyName: me\n{key}"),
            key.replace('\n', "\r\n"),
            format!("\u{feff}{key}"),
            key.trim_end().to_owned(),
            format!("{key}\n\n  \n"),
        ] {
            assert!(read_key(file.as_bytes(), None, None).unwrap().is_private(), "{file}");
        }
    }
}
