//! The bags of a PKCS#12 file (RFC 7292 section 4.2).

use der::Tag;
use der::asn1::ObjectIdentifier;

use super::WHAT;
use crate::asn1::{SEQUENCE, Value, Values, id, sequence, to_der, value};
use crate::error::damaged;
use crate::formats::certificates::{
    CertificateFileError, Contents, FoundCertificate, FoundKey, SignedKind, signed_kind,
};
use crate::formats::der::{decode_encrypted, decode_pkcs8};
use crate::limits::{ASN1_DEPTH_MAX, KEY_TEXT_OCTETS_MAX, KEYS_MAX};
use crate::pbe::Opening;
use crate::{KeyError, PrivateKey};

/// Reads SafeContents. Bags inside bags are bounded by `depth`.
pub(super) fn read(
    octets: &[u8],
    opening: &mut Opening<'_>,
    contents: &mut Contents,
    depth: usize,
) -> Result<(), CertificateFileError> {
    if depth > ASN1_DEPTH_MAX {
        return Err(damaged(WHAT, "it is nested too deeply").into());
    }
    let der = to_der(WHAT, octets)?;
    let mut bags = sequence(WHAT, &der)?;
    while let Some(bag) = bags.next_any() {
        let mut values = bag.inside(WHAT)?;
        let kind = values.next("the kind of a bag")?.oid(WHAT)?;
        let content = values.next_context(0).ok_or(damaged(WHAT, "a bag is empty"))?;
        let tags = match values.next_any() {
            Some(attributes) => Tags::read(attributes)?,
            None => Tags::default(),
        };
        values.end()?;
        if kind == NESTED {
            let inner = content.inside(WHAT)?.expect(Tag::Sequence, "the bags inside a bag")?;
            read(&value(SEQUENCE, &[inner.octets]), opening, contents, depth + 1)?;
            continue;
        }
        let mut content = content.inside(WHAT)?;
        read_bag(kind, &mut content, tags, (&mut *opening, &mut *contents))?;
    }
    Ok(())
}

fn read_bag(
    kind: ObjectIdentifier,
    content: &mut Values<'_>,
    tags: Tags,
    (opening, contents): (&mut Opening<'_>, &mut Contents),
) -> Result<(), CertificateFileError> {
    match kind {
        KEY | SHROUDED_KEY => {
            if contents.keys.len() >= KEYS_MAX {
                return Err(KeyError::Several { count: contents.keys.len() + 1 }.into());
            }
            let key = value(SEQUENCE, &[content.expect(Tag::Sequence, "a private key")?.octets]);
            let parts = if kind == KEY { decode_pkcs8(&key) } else { decode_encrypted(&key, opening) };
            match parts.and_then(PrivateKey::from_parts) {
                Ok(key) => contents.keys.push(FoundKey { key, name: tags.name, key_id: tags.key_id }),
                // A key that can't be used here does not hide the certificates.
                Err(error @ (KeyError::Unsupported { .. } | KeyError::Size { .. } | KeyError::DssSubgroup { .. })) => {
                    contents.passed_over.push(format!("a private key: {error}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        CERTIFICATE => match typed(content, X509_CERTIFICATE)? {
            Some(der) if signed_kind(der) == Some(SignedKind::Certificate) => {
                contents.add(FoundCertificate { der: der.to_vec(), name: tags.name, key_id: tags.key_id })?;
            }
            _ => contents.passed_over.push("a certificate that is none of X.509".to_owned()),
        },
        CRL => match typed(content, X509_CRL)? {
            Some(der) if signed_kind(der) == Some(SignedKind::Crl) => contents.crls.push(der.to_vec()),
            _ => contents.passed_over.push("a revocation list that is none of X.509".to_owned()),
        },
        SECRET => contents.passed_over.push("a secret that is neither key nor certificate".to_owned()),
        other => contents.passed_over.push(format!("a bag of kind {other}, which is not known")),
    }
    Ok(())
}

/// The octets of a value whose type is told before it, if it is of the type `wanted`.
fn typed<'a>(content: &mut Values<'a>, wanted: ObjectIdentifier) -> Result<Option<&'a [u8]>, KeyError> {
    let mut values = content.expect(Tag::Sequence, "the content of a bag")?.inside(WHAT)?;
    if values.next("the type of a bag")?.oid(WHAT)? != wanted {
        return Ok(None);
    }
    super::explicit_string(&mut values).map(Some)
}

/// What a bag is called, and what ties a key to its certificate.
#[derive(Default)]
struct Tags {
    name: Option<String>,
    key_id: Option<Vec<u8>>,
}

impl Tags {
    fn read(attributes: Value<'_>) -> Result<Self, KeyError> {
        let mut tags = Self::default();
        let mut attributes = attributes.inside(WHAT)?;
        while let Some(attribute) = attributes.next_any() {
            let mut values = attribute.inside(WHAT)?;
            let kind = values.next("the type of an attribute")?.oid(WHAT)?;
            let Some(first) = values.expect(Tag::Set, "an attribute")?.inside(WHAT)?.next_any() else { continue };
            if first.octets.len() > KEY_TEXT_OCTETS_MAX {
                return Err(damaged(WHAT, "an attribute is too long"));
            }
            match (kind, first.tag) {
                (FRIENDLY_NAME, Tag::BmpString) => {
                    let units = first.octets.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
                    tags.name = Some(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect());
                }
                (LOCAL_KEY_ID, Tag::OctetString) => tags.key_id = Some(first.octets.to_vec()),
                _ => {}
            }
        }
        Ok(tags)
    }
}

pub(super) const KEY: ObjectIdentifier = id("1.2.840.113549.1.12.10.1.1");
pub(super) const SHROUDED_KEY: ObjectIdentifier = id("1.2.840.113549.1.12.10.1.2");
pub(super) const CERTIFICATE: ObjectIdentifier = id("1.2.840.113549.1.12.10.1.3");
const CRL: ObjectIdentifier = id("1.2.840.113549.1.12.10.1.4");
const SECRET: ObjectIdentifier = id("1.2.840.113549.1.12.10.1.5");
pub(super) const NESTED: ObjectIdentifier = id("1.2.840.113549.1.12.10.1.6");
pub(super) const X509_CERTIFICATE: ObjectIdentifier = id("1.2.840.113549.1.9.22.1");
const X509_CRL: ObjectIdentifier = id("1.2.840.113549.1.9.23.1");
pub(super) const FRIENDLY_NAME: ObjectIdentifier = id("1.2.840.113549.1.9.20");
pub(super) const LOCAL_KEY_ID: ObjectIdentifier = id("1.2.840.113549.1.9.21");
