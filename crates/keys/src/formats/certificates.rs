//! Files of certificates: one folder each, one line each in [`CERTIFICATE_FORMATS`].

use std::fmt;
use std::str::FromStr;

use base::{Secret, octets_text};
use der::Tag;
use thiserror::Error;

use super::pem::armour;
use super::{pkcs7, pkcs12, x509};
use crate::asn1::{Values, sequence, to_der};
use crate::limits::{CERTIFICATES_MAX, CONTAINER_OCTETS_MAX};
use crate::pbe::Opening;
use crate::{KeyError, PrivateKey, PublicKey, Weakness};

/// A documented format of files that hold certificates.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CertificateFileFormat {
    /// One certificate, binary.
    Der,
    /// Certificates in base 64, with or without `-----BEGIN` and `-----END` lines; private keys may stand beside them.
    Base64,
    /// Certificates and revocation lists of a PKCS#7 container, binary or between lines.
    Pkcs7,
    /// Certificates and their private keys, protected by a password.
    Pkcs12,
}

impl CertificateFileFormat {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Der => "DER",
            Self::Base64 => "BASE64",
            Self::Pkcs7 => "PKCS7",
            Self::Pkcs12 => "PKCS12",
        }
    }
}

impl fmt::Display for CertificateFileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CertificateFileFormat {
    type Err = CertificateFileError;
    fn from_str(text: &str) -> Result<Self, CertificateFileError> {
        let named = CERTIFICATE_FORMATS.iter().map(|f| f.format()).find(|f| f.as_str().eq_ignore_ascii_case(text));
        named.ok_or_else(|| CertificateFileError::FormatName { text: octets_text(text.as_bytes()) })
    }
}

/// Why a file of certificates was refused. No text holds key material or a password.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CertificateFileError {
    /// The file is longer than any.
    #[error("file has {len} octets: a file of certificates has at most {CONTAINER_OCTETS_MAX}")]
    TooLarge {
        /// Octets found.
        len: usize,
    },
    /// More certificates than are read.
    #[error("file holds more than {CERTIFICATES_MAX} certificates: import it in parts")]
    TooMany,
    /// Nothing that is known.
    #[error("file holds no certificate in DER, BASE64, PKCS7 or PKCS12 form: it looks like {hint}")]
    NotRecognised {
        /// What it looks like, and what to do.
        hint: String,
    },
    /// The given format does not fit.
    #[error("format {given} was given but the file is {found}: give the right format or leave it out")]
    WrongFormat {
        /// The format asked for.
        given: CertificateFileFormat,
        /// What the file is.
        found: String,
    },
    /// Of the right form, but empty.
    #[error("{what} holds no certificate{why}")]
    Nothing {
        /// The container.
        what: &'static str,
        /// What was passed over, if anything.
        why: String,
    },
    /// No revocation list where one belongs.
    #[error("file holds no revocation list")]
    NoList,
    /// No such format name.
    #[error("no format of certificate files {text:?}: use DER, BASE64, PKCS7 or PKCS12")]
    FormatName {
        /// What was given.
        text: String,
    },
    /// A structure, a key or a password was refused.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A certificate of a file. Whether it is one that can be read is for who takes it to see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundCertificate {
    /// Its octets.
    pub der: Vec<u8>,
    /// What the file calls it (`friendlyName` of PKCS#12).
    pub name: Option<String>,
    /// What ties it to its key in a PKCS#12 file.
    pub key_id: Option<Vec<u8>>,
}

impl FoundCertificate {
    pub(crate) const fn new(der: Vec<u8>) -> Self {
        Self { der, name: None, key_id: None }
    }
}

/// A private key of a file.
#[derive(Debug)]
pub struct FoundKey {
    /// The key.
    pub key: PrivateKey,
    /// What the file calls it.
    pub name: Option<String>,
    /// What ties it to its certificate in a PKCS#12 file.
    pub key_id: Option<Vec<u8>>,
}

/// What a file holds.
#[derive(Debug)]
pub struct Contents {
    /// What it is.
    pub format: CertificateFileFormat,
    /// Certificates, in the order of the file.
    pub certificates: Vec<FoundCertificate>,
    /// Private keys.
    pub keys: Vec<FoundKey>,
    /// Revocation lists, in DER.
    pub crls: Vec<Vec<u8>>,
    /// What was passed over, and why, a sentence each.
    pub passed_over: Vec<String>,
    /// What in the file protects little, a sentence each (CERT-15).
    pub weaknesses: Vec<Weakness>,
}

impl Contents {
    pub(crate) const fn new(format: CertificateFileFormat) -> Self {
        Self {
            format,
            certificates: Vec::new(),
            keys: Vec::new(),
            crls: Vec::new(),
            passed_over: Vec::new(),
            weaknesses: Vec::new(),
        }
    }

    /// Adds a certificate, within the bound.
    pub(crate) fn add(&mut self, certificate: FoundCertificate) -> Result<(), CertificateFileError> {
        if self.certificates.len() >= CERTIFICATES_MAX {
            return Err(CertificateFileError::TooMany);
        }
        self.certificates.push(certificate);
        Ok(())
    }

    /// Whether the private key that belongs to this public key is there.
    #[must_use]
    pub fn has_key(&self, public: &PublicKey) -> bool {
        self.keys.iter().any(|found| found.key.public() == public)
    }

    /// Takes the private key out that belongs to a certificate with this public key.
    pub fn take_key(&mut self, public: &PublicKey) -> Option<PrivateKey> {
        let at = self.keys.iter().position(|found| found.key.public() == public)?;
        Some(self.keys.swap_remove(at).key)
    }
}

/// A format: how it is recognised and read.
pub(crate) trait CertificateFormat: Sync {
    /// Its documented name.
    fn format(&self) -> CertificateFileFormat;

    /// What `file` is, in words, if it is of this format, be it whole or damaged.
    fn recognise(&self, file: &[u8]) -> Option<String>;

    /// Reads all that `file` holds.
    fn read(&self, file: &[u8], opening: &mut Opening<'_>) -> Result<Contents, CertificateFileError>;
}

/// Every format, in the order in which they are tried. A new one is its folder and one line here.
pub(crate) static CERTIFICATE_FORMATS: &[&dyn CertificateFormat] =
    &[&pkcs7::Pkcs7, &pkcs12::Pkcs12, &x509::Base64, &x509::Der];

/// Reads all that a file of certificates holds: certificates, private keys, revocation lists.
///
/// Without `format` the file tells. The password is used here and kept nowhere; a PKCS#12 file is opened only if its
/// check value fits the password.
///
/// # Errors
/// [`CertificateFileError`]: what was found and what to do.
pub fn read_certificates(
    file: &[u8],
    format: Option<CertificateFileFormat>,
    password: Option<&Secret<String>>,
) -> Result<Contents, CertificateFileError> {
    if file.len() > CONTAINER_OCTETS_MAX {
        return Err(CertificateFileError::TooLarge { len: file.len() });
    }
    let found = CERTIFICATE_FORMATS.iter().find_map(|f| f.recognise(file).map(|what| (f, what)));
    let reader = match (format, found) {
        (None, Some((found, _))) => found,
        (None, None) => return Err(CertificateFileError::NotRecognised { hint: guess(file) }),
        (Some(given), found) => {
            let fitting = CERTIFICATE_FORMATS.iter().find(|f| f.format() == given && f.recognise(file).is_some());
            let found = || found.map_or_else(|| guess(file), |(_, what)| what);
            fitting.ok_or_else(|| CertificateFileError::WrongFormat { given, found: found() })?
        }
    };
    let mut opening = Opening::new(password);
    let mut contents = reader.read(file, &mut opening)?;
    contents.weaknesses = opening.into_weaknesses();
    Ok(contents)
}

/// The revocation lists of a file, in DER: one by itself, in base 64, or those of a container.
///
/// # Errors
/// [`CertificateFileError`] if there is none.
pub fn read_crls(file: &[u8]) -> Result<Vec<Vec<u8>>, CertificateFileError> {
    if file.len() > CONTAINER_OCTETS_MAX {
        return Err(CertificateFileError::TooLarge { len: file.len() });
    }
    if signed_kind(file) == Some(SignedKind::Crl) {
        return Ok(vec![file.to_vec()]);
    }
    let lists = match armour::labels(file).any(|label| label == CRL_LABEL) {
        true => {
            let (blocks, _) = armour::read_some(file, |label| label == CRL_LABEL, CERTIFICATES_MAX)?;
            let is_list = |block: &armour::Block| signed_kind(&block.content) == Some(SignedKind::Crl);
            blocks.iter().filter(|block| is_list(block)).map(|block| block.content.to_vec()).collect()
        }
        false => read_certificates(file, None, None)?.crls,
    };
    match lists.is_empty() {
        true => Err(CertificateFileError::NoList),
        false => Ok(lists),
    }
}

/// Name of a PEM block with a revocation list.
pub(super) const CRL_LABEL: &str = "X509 CRL";

/// The format that `file` looks like, be it whole or damaged; `None` if like none.
#[must_use]
pub fn recognise_certificates(file: &[u8]) -> Option<CertificateFileFormat> {
    CERTIFICATE_FORMATS.iter().find(|f| f.recognise(file).is_some()).map(|f| f.format())
}

/// What a file that no format recognises looks like.
fn guess(file: &[u8]) -> String {
    if let Some(label) = armour::first_label(file) {
        return format!("a PEM file with {}", octets_text(label.as_bytes()));
    }
    match signed_kind(file) {
        Some(SignedKind::Request) => "a certificate request: send it to the authority and import the reply".to_owned(),
        Some(SignedKind::Crl) => "a revocation list: import it with secadm import_crl".to_owned(),
        _ => super::recognise_key(file).map_or_else(|| super::guess(file).to_owned(), |f| format!("a key in {f} form")),
    }
}

/// What a signed structure is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignedKind {
    Certificate,
    Request,
    Crl,
}

/// What the DER structure is, told by its shape (RFC 5280 sections 4.1 and 5.1, RFC 2986 section 4.1).
pub(crate) fn signed_kind(der: &[u8]) -> Option<SignedKind> {
    let mut values = sequence("structure", der).ok()?;
    if values.tags() != [Tag::Sequence, Tag::Sequence, Tag::BitString] {
        return None;
    }
    let inner = values.next("its content").ok()?.inside("structure").ok()?;
    let tags = inner.tags();
    let is_version =
        |tag: &Tag| matches!(tag, Tag::ContextSpecific { constructed: true, number } if number.value() == 0);
    match tags.as_slice() {
        [first, Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::Sequence, Tag::Sequence, Tag::Sequence, ..]
            if is_version(first) =>
        {
            Some(SignedKind::Certificate)
        }
        [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::Sequence, Tag::Sequence, Tag::Sequence, ..] => {
            Some(SignedKind::Certificate)
        }
        [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::UtcTime | Tag::GeneralizedTime, ..]
        | [Tag::Sequence, Tag::Sequence, Tag::UtcTime | Tag::GeneralizedTime, ..] => Some(SignedKind::Crl),
        [Tag::Integer, Tag::Sequence, Tag::Sequence, last] if is_version(last) => Some(SignedKind::Request),
        [Tag::Integer, Tag::Sequence, Tag::Sequence] => Some(SignedKind::Request),
        _ => None,
    }
}

/// The values of the SEQUENCE that `file` is, in BER or DER, for recognition only.
pub(crate) fn outer_tags(file: &[u8]) -> Option<Vec<Tag>> {
    let der = to_der("container", file).ok()?;
    let value = Values::only("container", &der).ok()?;
    Some(value.inside("container").ok()?.tags())
}
