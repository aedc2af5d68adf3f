//! Certificates by themselves: one in DER, any number in base 64.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::certificates::{
    CRL_LABEL as CRL, CertificateFileError, CertificateFileFormat, CertificateFormat, Contents, FoundCertificate,
    FoundKey, SignedKind, signed_kind,
};
use super::pem::{self, armour};
use super::without_mark;
use crate::asn1::first_value;
use crate::error::damaged;
use crate::limits::CERTIFICATES_MAX;
use crate::pbe::Opening;
use crate::{KeyError, KeyMaterial};

/// The registration of one certificate in DER.
pub(super) struct Der;

impl CertificateFormat for Der {
    fn format(&self) -> CertificateFileFormat {
        CertificateFileFormat::Der
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        let certificate = first_value(file)?;
        (signed_kind(certificate) == Some(SignedKind::Certificate)).then(|| "a certificate in DER".to_owned())
    }

    fn read(&self, file: &[u8], _opening: &mut Opening<'_>) -> Result<Contents, CertificateFileError> {
        let mut contents = Contents::new(self.format());
        match first_value(file) {
            Some(certificate) if certificate.len() == file.len() => {
                contents.add(FoundCertificate::new(file.to_vec()))?;
                Ok(contents)
            }
            _ => Err(damaged("certificate", "something follows behind its end").into()),
        }
    }
}

/// The registration of certificates in base 64.
pub(super) struct Base64;

impl CertificateFormat for Base64 {
    fn format(&self) -> CertificateFileFormat {
        CertificateFileFormat::Base64
    }

    fn recognise(&self, file: &[u8]) -> Option<String> {
        if armour::labels(file).any(|label| CERTIFICATES.contains(&label.as_str())) {
            return Some("a PEM file with certificates".to_owned());
        }
        bare(file).map(|_| "a certificate in base 64".to_owned())
    }

    fn read(&self, file: &[u8], opening: &mut Opening<'_>) -> Result<Contents, CertificateFileError> {
        let mut contents = Contents::new(self.format());
        if let Some(certificate) = bare(file) {
            contents.add(FoundCertificate::new(certificate))?;
            return Ok(contents);
        }
        let wanted = |label: &str| CERTIFICATES.contains(&label) || label == CRL || label.ends_with("PRIVATE KEY");
        let (blocks, damaged) = armour::read_some(file, wanted, CERTIFICATES_MAX).map_err(too_many)?;
        contents.passed_over.extend(damaged);
        for block in blocks {
            let passed = match block.label.as_str() {
                CRL if signed_kind(&block.content) == Some(SignedKind::Crl) => {
                    contents.crls.push(block.content.to_vec());
                    None
                }
                CRL => Some("it is no revocation list".to_owned()),
                label if CERTIFICATES.contains(&label) => match certificate_of(&block) {
                    Some(der) => {
                        contents.add(FoundCertificate::new(der))?;
                        None
                    }
                    None => Some("it is no certificate".to_owned()),
                },
                _ => key(&block, opening, &mut contents)?,
            };
            contents.passed_over.extend(passed.map(|why| format!("PEM block {}: {why}", block.label)));
        }
        if contents.certificates.is_empty() {
            let why = contents.passed_over.first().map(|text| format!(": {text}")).unwrap_or_default();
            return Err(CertificateFileError::Nothing { what: "PEM file", why });
        }
        Ok(contents)
    }
}

/// Takes a private key of the file; why it was passed over, if it was. A wrong password is never passed over.
fn key(
    block: &armour::Block,
    opening: &mut Opening<'_>,
    contents: &mut Contents,
) -> Result<Option<String>, CertificateFileError> {
    match pem::read_block(block, opening) {
        Ok(KeyMaterial::Private(key)) => {
            contents.keys.push(FoundKey { key, name: None, key_id: None });
            Ok(None)
        }
        Ok(KeyMaterial::Public(_)) => Ok(Some("it is a public key".to_owned())),
        Err(KeyError::PasswordWrong) => Err(KeyError::PasswordWrong.into()),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// The certificate of a block. Behind a `TRUSTED CERTIFICATE` OpenSSL puts what it may be used for, which is not ours.
fn certificate_of(block: &armour::Block) -> Option<Vec<u8>> {
    let der = match block.label.as_str() {
        TRUSTED => first_value(&block.content)?,
        _ => block.content.as_slice(),
    };
    (signed_kind(der) == Some(SignedKind::Certificate)).then(|| der.to_vec())
}

/// A certificate in base 64 without lines around it.
fn bare(file: &[u8]) -> Option<Vec<u8>> {
    let text = without_mark(file);
    // The first octets of any SEQUENCE of more than 127 octets.
    if !text.trim_ascii_start().starts_with(b"MI") {
        return None;
    }
    let base64: Vec<u8> = text.iter().copied().filter(|o| !o.is_ascii_whitespace()).collect();
    let der = LENIENT.decode(base64).ok()?;
    (signed_kind(&der) == Some(SignedKind::Certificate)).then_some(der)
}

fn too_many(error: KeyError) -> CertificateFileError {
    match error {
        KeyError::Several { .. } => CertificateFileError::TooMany,
        other => other.into(),
    }
}

/// Padding may be missing where nothing else marks the end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const TRUSTED: &str = "TRUSTED CERTIFICATE";
/// Names of blocks with a certificate (RFC 7468 section 5, and older ones).
const CERTIFICATES: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", TRUSTED];

#[cfg(test)]
mod tests;
