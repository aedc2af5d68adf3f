//! DER files: PKCS#1, SEC 1, traditional DSA, PKCS#8, clear or encrypted, and SubjectPublicKeyInfo, told apart by their
//! structure.

mod private;
mod public;

pub(crate) use private::{decode_encrypted, decode_pkcs8, encode_pkcs8};
pub(crate) use public::{decode_spki, encode_spki};

use ::der::Tag;
use base::Secret;

use super::KeyFormat;
use crate::asn1::{Value, Values, sequence};
use crate::error::damaged;
use crate::parts::Curve;
use crate::pbe::Opening;
use crate::{KeyError, KeyFileFormat, KeyMaterial};

/// The format's registration.
pub(super) struct Der;

impl KeyFormat for Der {
    fn format(&self) -> KeyFileFormat {
        KeyFileFormat::Der
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        // Every key is a SEQUENCE that begins with an INTEGER or another SEQUENCE, a PKCS#7 container one that begins
        // with an object identifier; text never looks so.
        let (0x30, [length, rest @ ..]) = file.split_first().map(|(tag, rest)| (*tag, rest))? else { return None };
        let more = if *length < 0x80 { 0 } else { usize::from(length & 0x7f) };
        matches!(rest.get(more), Some(0x02 | 0x06 | 0x30)).then(|| "a DER structure".to_owned())
    }

    fn read(&self, file: &[u8], opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
        decode(file, opening)
    }

    fn write(&self, key: &KeyMaterial, password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError> {
        match (key, password) {
            (KeyMaterial::Public(key), _) => Ok(Secret::new(key.spki_der().to_vec())),
            (KeyMaterial::Private(key), None) => Ok(key.to_bytes()),
            (KeyMaterial::Private(key), Some(password)) => {
                private::encode_encrypted(key.to_bytes().expose(), password).map(Secret::new)
            }
        }
    }
}

/// Reads any of the structures.
pub(super) fn decode(file: &[u8], opening: &mut Opening<'_>) -> Result<KeyMaterial, KeyError> {
    let mut values = sequence("DER key", file)?;
    let tags: Vec<Tag> = values.tags();
    match tags.as_slice() {
        [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => KeyMaterial::from_private(private::decode_pkcs8(file)?),
        [Tag::Integer, Tag::OctetString, ..] => KeyMaterial::from_private(private::decode_sec1(file, None)?),
        [Tag::Integer, Tag::Integer] => KeyMaterial::from_public(&public::decode_rsa(file)?),
        [Tag::Integer, rest @ ..] if rest.len() >= 8 && rest.iter().take(8).all(|t| *t == Tag::Integer) => {
            KeyMaterial::from_private(private::decode_rsa(file)?)
        }
        [Tag::Integer, rest @ ..] if rest.len() == 5 && rest.iter().all(|t| *t == Tag::Integer) => {
            KeyMaterial::from_private(private::decode_dss(file)?)
        }
        [Tag::Sequence, Tag::BitString] => KeyMaterial::from_public(&public::decode_spki(file)?),
        [Tag::Sequence, Tag::OctetString] => KeyMaterial::from_private(private::decode_encrypted(file, opening)?),
        other => Err(KeyError::Unsupported { what: foreign(other, &mut values).to_owned() }),
    }
}

/// Whether `octets` are one SEQUENCE and nothing else.
pub(super) fn is_sequence(octets: &[u8]) -> bool {
    sequence("DER key", octets).is_ok()
}

/// The curve of an `EC PARAMETERS` block.
pub(super) fn curve_of_parameters(der: &[u8]) -> Result<Curve, KeyError> {
    let value = Values::only("EC parameters", der)?;
    public::curve(value)
}

/// What another structure is, in words.
fn foreign(tags: &[Tag], values: &mut Values<'_>) -> &'static str {
    match tags {
        [Tag::Sequence, Tag::Sequence, Tag::BitString] => "a certificate or certificate request is no bare key",
        [Tag::Integer, Tag::Sequence, ..] if values.unsigned().is_ok_and(|n| n.octets() == [3]) => {
            "a PKCS#12 container is no bare key"
        }
        [Tag::Integer, Tag::Integer, Tag::Integer] => "the file has parameters only, no key",
        [Tag::ObjectIdentifier, ..] => "a PKCS#7 container is no bare key",
        _ => "the DER structure is no key that is known",
    }
}

/// Says that `value` is absent or NULL, as parameters of RSA are.
fn none_or_null(what: &'static str, value: Option<Value<'_>>) -> Result<(), KeyError> {
    match value {
        None => Ok(()),
        Some(value) if value.tag == Tag::Null && value.octets.is_empty() => Ok(()),
        Some(_) => Err(damaged(what, "its algorithm has parameters that it should not have")),
    }
}
