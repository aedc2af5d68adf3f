//! PKCS#7 files: the certificates and revocation lists of signed data (RFC 2315 section 9, RFC 5652 section 5). What is
//! signed, if anything, is not looked at.

use der::Tag;
use der::asn1::ObjectIdentifier;

use super::certificates::{
    CertificateFileError, CertificateFileFormat, CertificateFormat, Contents, FoundCertificate, SignedKind, outer_tags,
    signed_kind,
};
use super::pem::armour;
use crate::KeyError;
use crate::asn1::{SEQUENCE, Value, oid, sequence, to_der, value};
use crate::error::damaged;
use crate::limits::CERTIFICATES_MAX;
use crate::pbe::Opening;

/// The format's registration.
pub(super) struct Pkcs7;

impl CertificateFormat for Pkcs7 {
    fn format(&self) -> CertificateFileFormat {
        CertificateFileFormat::Pkcs7
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        let named = armour::labels(file).any(|label| LABELS.contains(&label.as_str()));
        let tagged = || matches!(outer_tags(file)?.as_slice(), [Tag::ObjectIdentifier, ..]).then_some(());
        (named || tagged().is_some()).then(|| "a PKCS#7 container".to_owned())
    }

    fn read(&self, file: &[u8], _opening: &mut Opening<'_>) -> Result<Contents, CertificateFileError> {
        if armour::first_label(file).is_none() {
            return read(file);
        }
        let (blocks, _) = armour::read_some(file, |label| LABELS.contains(&label), CERTIFICATES_MAX)?;
        match blocks.as_slice() {
            [block] => read(&block.content),
            [] => Err(damaged(WHAT, "its lines of base 64 are not whole").into()),
            several => Err(KeyError::Several { count: several.len() }.into()),
        }
    }
}

fn read(file: &[u8]) -> Result<Contents, CertificateFileError> {
    let der = to_der(WHAT, file)?;
    let mut values = sequence(WHAT, &der)?;
    let kind = values.next("its kind")?.oid(WHAT)?;
    if kind != SIGNED_DATA {
        let what = if kind == ENVELOPED_DATA { "encrypted data" } else { "something else than signed data" };
        let why = format!(": it holds {what}, and only signed data has certificates");
        return Err(CertificateFileError::Nothing { what: WHAT, why });
    }
    let content = values.next_context(0).ok_or(damaged(WHAT, "its content is missing"))?;
    let mut values = content.inside(WHAT)?.next("its content")?.inside(WHAT)?;
    values.version(&[1, 3, 4, 5])?;
    values.expect(Tag::Set, "its digest algorithms")?;
    values.expect(Tag::Sequence, "what is signed")?;
    let mut contents = Contents::new(CertificateFileFormat::Pkcs7);
    if let Some(certificates) = values.next_context(0) {
        take_certificates(certificates, &mut contents)?;
    }
    if let Some(lists) = values.next_context(1) {
        let mut lists = lists.inside(WHAT)?;
        while let Some(list) = lists.next_any() {
            let der = value(SEQUENCE, &[list.octets]);
            match list.tag {
                Tag::Sequence if signed_kind(&der) == Some(SignedKind::Crl) => contents.crls.push(der.to_vec()),
                _ => contents.passed_over.push("what stands among the revocation lists is none".to_owned()),
            }
        }
    }
    if contents.certificates.is_empty() && contents.crls.is_empty() {
        return Err(CertificateFileError::Nothing { what: WHAT, why: String::new() });
    }
    Ok(contents)
}

fn take_certificates(certificates: Value<'_>, contents: &mut Contents) -> Result<(), CertificateFileError> {
    let mut values = certificates.inside(WHAT)?;
    while let Some(found) = values.next_any() {
        let der = value(SEQUENCE, &[found.octets]);
        match found.tag {
            Tag::Sequence if signed_kind(&der) == Some(SignedKind::Certificate) => {
                contents.add(FoundCertificate::new(der.to_vec()))?;
            }
            // Attribute certificates and others (RFC 5652 section 10.2.2).
            _ => contents.passed_over.push("what stands among the certificates is none of X.509".to_owned()),
        }
    }
    Ok(())
}

/// Writes certificates as signed data without content and signatures, as authorities send them.
#[must_use]
pub fn write_pkcs7(certificates: &[&[u8]]) -> Vec<u8> {
    const SET: u8 = 0x31;
    const CONTEXT_0: u8 = 0xa0;
    let content = value(SEQUENCE, &[&oid(DATA)]);
    let empty = value(SET, &[]);
    let all = value(CONTEXT_0, certificates);
    let signed = value(SEQUENCE, &[crate::asn1::ONE, &empty, &content, &all, &empty]);
    value(SEQUENCE, &[&oid(SIGNED_DATA), &value(CONTEXT_0, &[&signed])]).to_vec()
}

const WHAT: &str = "PKCS#7 container";
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
/// Names of blocks (RFC 7468 section 8, and older ones).
const LABELS: [&str; 3] = ["PKCS7", "CMS", "PKCS #7 SIGNED DATA"];
