//! PKCS#12 files (RFC 7292, RFC 9579). The check value is looked at before anything else is opened.

mod bags;
mod mac;
mod write;

use der::Tag;
use der::asn1::ObjectIdentifier;

use super::certificates::{CertificateFileError, CertificateFileFormat, CertificateFormat, Contents, outer_tags};
use crate::KeyError;
use crate::asn1::{Value, Values, sequence, to_der};
use crate::error::damaged;
use crate::pbe::{self, Opening};

pub use write::write_pkcs12;

/// The format's registration.
pub(super) struct Pkcs12;

impl CertificateFormat for Pkcs12 {
    fn format(&self) -> CertificateFileFormat {
        CertificateFileFormat::Pkcs12
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        let tags = outer_tags(file)?;
        let is_one =
            matches!(tags.as_slice(), [Tag::Integer, Tag::Sequence] | [Tag::Integer, Tag::Sequence, Tag::Sequence]);
        (is_one && version(file)).then(|| "a PKCS#12 container".to_owned())
    }

    fn read(&self, file: &[u8], opening: &mut Opening<'_>) -> Result<Contents, CertificateFileError> {
        let der = to_der(WHAT, file)?;
        let mut values = sequence(WHAT, &der)?;
        values.version(&[3])?;
        let mut safe = values.expect(Tag::Sequence, "its content")?.inside(WHAT)?;
        let kind = safe.next("the kind of its content")?.oid(WHAT)?;
        if kind != DATA {
            let algorithm = "a signature in the place of a password".to_owned();
            return Err(KeyError::Encryption { what: WHAT, algorithm }.into());
        }
        let content = explicit_string(&mut safe)?;
        match values.next_any() {
            Some(check) => mac::check(check, content, opening)?,
            None => opening.weak("a PKCS#12 file without a check value"),
        }
        values.end()?;
        let mut contents = Contents::new(self.format());
        let safes = to_der(WHAT, content)?;
        let mut safes = sequence(WHAT, &safes)?;
        while let Some(safe) = safes.next_any() {
            read_safe(safe, opening, &mut contents)?;
        }
        if contents.certificates.is_empty() && contents.keys.is_empty() {
            let why = contents.passed_over.first().map(|text| format!(": {text}")).unwrap_or_default();
            return Err(CertificateFileError::Nothing { what: WHAT, why });
        }
        Ok(contents)
    }
}

/// Reads one ContentInfo of the AuthenticatedSafe (RFC 7292 section 4.1).
fn read_safe(safe: Value<'_>, opening: &mut Opening<'_>, contents: &mut Contents) -> Result<(), CertificateFileError> {
    let mut values = safe.inside(WHAT)?;
    match values.next("the kind of a part")?.oid(WHAT)? {
        DATA => bags::read(explicit_string(&mut values)?, opening, contents, 0),
        ENCRYPTED_DATA => {
            let content = values.next_context(0).ok_or(damaged(WHAT, "a part is empty"))?;
            let mut values = content.inside(WHAT)?.expect(Tag::Sequence, "encrypted data")?.inside(WHAT)?;
            values.version(&[0, 2])?;
            let mut values = values.expect(Tag::Sequence, "encrypted data")?.inside(WHAT)?;
            values.next("the kind of encrypted data")?;
            let algorithm = values.expect(Tag::Sequence, "its encryption")?;
            let encrypted = values.next_context(0).ok_or(damaged(WHAT, "an encrypted part is empty"))?;
            let clear = pbe::decrypt(WHAT, (algorithm, &implicit_string(encrypted)?), opening)?;
            // One wrong password in 256 leaves padding that looks right.
            sequence_or_wrong(&clear)?;
            bags::read(&clear, opening, contents, 0)
        }
        _ => {
            contents.passed_over.push("a part that is encrypted for somebody's certificate".to_owned());
            Ok(())
        }
    }
}

fn sequence_or_wrong(clear: &[u8]) -> Result<(), KeyError> {
    match to_der(WHAT, clear) {
        Ok(der) if sequence(WHAT, &der).is_ok() => Ok(()),
        _ => Err(KeyError::PasswordWrong),
    }
}

/// The octets of `[0] EXPLICIT OCTET STRING`.
fn explicit_string<'a>(values: &mut Values<'a>) -> Result<&'a [u8], KeyError> {
    let content = values.next_context(0).ok_or(damaged(WHAT, "a part is empty"))?;
    Ok(content.inside(WHAT)?.expect(Tag::OctetString, "the content of a part")?.octets)
}

/// The octets of `[0] IMPLICIT OCTET STRING`, which BER may write in pieces.
fn implicit_string(value: Value<'_>) -> Result<Vec<u8>, KeyError> {
    if !value.tag.is_constructed() {
        return Ok(value.octets.to_vec());
    }
    let mut pieces = value.inside(WHAT)?;
    let mut all = Vec::with_capacity(value.octets.len());
    while let Some(piece) = pieces.next_any() {
        match piece.tag {
            Tag::OctetString => all.extend_from_slice(piece.octets),
            _ => return Err(damaged(WHAT, "an encrypted part is not a string")),
        }
    }
    Ok(all)
}

/// Whether the first number is 3: an RSA key in PKCS#1 has zero there, PKCS#8 zero or one.
fn version(file: &[u8]) -> bool {
    let read = || {
        let der = to_der(WHAT, file).ok()?;
        sequence(WHAT, &der).ok()?.version(&[3]).ok()
    };
    read().is_some()
}

const WHAT: &str = "PKCS#12 container";
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");

#[cfg(test)]
mod tests;
