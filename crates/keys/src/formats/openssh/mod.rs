//! OPENSSH files: the private-key container of `ssh-keygen` (OpenSSH's PROTOCOL.key), and the public key on one line.

mod container;

use base::{Secret, octets_text};

use super::pem::armour;
use super::{KeyFormat, txt};
use crate::pbe::Opening;
use crate::{KeyError, KeyFileFormat, KeyMaterial};

/// The format's registration.
pub(super) struct OpenSsh;

impl KeyFormat for OpenSsh {
    fn format(&self) -> KeyFileFormat {
        KeyFileFormat::OpenSsh
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        match armour::first_label(file) {
            Some(label) if label == LABEL => Some("an OPENSSH private key".to_owned()),
            Some(_) => None,
            None => txt::recognise_line(file),
        }
    }

    fn read(&self, file: &[u8], opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
        if armour::first_label(file).is_none() {
            return txt::read_line(file).map(KeyMaterial::Public);
        }
        let blocks = armour::read(file)?;
        match blocks.as_slice() {
            [block] => KeyMaterial::from_private(container::decode(&block.content, opening)?),
            [_, other, ..] if !other.label.ends_with("KEY") => {
                let what =
                    format!("PEM block {} beside an OPENSSH key can't be read", octets_text(other.label.as_bytes()));
                Err(KeyError::Unsupported { what })
            }
            several => Err(KeyError::Several { count: several.len() }),
        }
    }

    fn write(&self, key: &KeyMaterial, password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError> {
        match key {
            KeyMaterial::Public(key) => Ok(txt::write_line(key)),
            KeyMaterial::Private(key) => {
                let content = container::encode(key.parts(), password)?;
                Ok(armour::write(LABEL, LINE_CHARACTERS, &content))
            }
        }
    }
}

/// The name of the block.
pub(super) const LABEL: &str = "OPENSSH PRIVATE KEY";

/// Characters of a line of base 64, as `ssh-keygen` cuts them.
const LINE_CHARACTERS: usize = 70;
