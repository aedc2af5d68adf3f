//! X.509 certificates: read, compared, shown.
//!
//! A [`Certificate`] holds its octets and what they say. Reading is strict in what decides (DER, sizes, names) and tolerant
//! in what does not: versions 1 and 2, negative serial numbers, missing or damaged extensions are read and told as
//! [`Oddity`], so that a person can look at what a partner sent. To hold a `Certificate` is no proof of anything: whether
//! it may be trusted is for [`crate::verify`] to say.

mod algorithm;
mod alt_name;
mod display;
mod error;
mod extensions;
mod kind;
mod limits;
mod name;
mod oddity;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use ::der::asn1::AnyRef;
use ::der::{Decode, Reader, SliceReader};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base::{UtcMicros, hex};
use x509_cert::certificate::{CertificateInner, Raw};

pub use algorithm::{HashFunction, KeyKind, SignatureAlgorithm};
pub use alt_name::{AltName, Subtree};
pub use display::Line;
pub use error::CertificateError;
pub use extensions::{BasicConstraints, Extensions, KeyUsage, NameConstraints, Reading, SeenExtension};
pub use kind::{CertificateState, CertificateType, CertificateTypeError};
pub use limits::{
    CERTIFICATE_OCTETS_MAX, EXTENSIONS_MAX, NAME_ATTRIBUTES_MAX, NAME_CHARS_MAX, NAMES_MAX, POLICIES_MAX,
};
pub use name::{Attribute, Name};
pub use oddity::Oddity;

pub(crate) use algorithm::SubjectKey;
pub(crate) use error::damaged;
pub(crate) use oddity::{is_host_pattern, is_mail};

use crate::{KeyError, PublicKey, sha256};

/// A certificate. Cheap to clone; equal if every octet is.
#[derive(Clone)]
pub struct Certificate(Arc<Parts>);

struct Parts {
    der: Box<[u8]>,
    signed: Range<usize>,
    key_info: Range<usize>,
    version: u8,
    serial: Box<[u8]>,
    issuer: Name,
    subject: Name,
    not_before: UtcMicros,
    not_after: UtcMicros,
    key: SubjectKey,
    signature_algorithm: SignatureAlgorithm,
    algorithms_differ: bool,
    signature: Box<[u8]>,
    extensions: Extensions,
    sha256: [u8; 32],
    public_key: OnceLock<Result<PublicKey, KeyError>>,
}

impl Certificate {
    /// Reads one certificate in DER, with nothing behind it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_OCTETS_MAX {
            return Err(CertificateError::TooLarge { len: der.len() });
        }
        let raw = CertificateInner::<Raw>::from_der(der).map_err(|e| damaged(WHAT, e))?;
        let tbs = raw.tbs_certificate();
        let (signed, fields) = layout(der).map_err(|e| damaged(WHAT, e))?;
        // With the version before it, the key information is the seventh field, else the sixth.
        let at = if der.get(signed.clone()).and_then(version_tag).is_some() { 6 } else { 5 };
        let key_info = fields.get(at).cloned().ok_or_else(|| damaged(WHAT, "its key is missing"))?;
        let serial = serial_octets(der, &fields, at)?;
        let validity = tbs.validity();
        let parts = Parts {
            signed,
            key_info,
            version: match tbs.version() {
                x509_cert::Version::V1 => 1,
                x509_cert::Version::V2 => 2,
                x509_cert::Version::V3 => 3,
            },
            serial,
            issuer: Name::new(tbs.issuer())?,
            subject: Name::new(tbs.subject())?,
            not_before: moment(validity.not_before.to_unix_duration()),
            not_after: moment(validity.not_after.to_unix_duration()),
            key: SubjectKey::new(tbs.subject_public_key_info()),
            signature_algorithm: SignatureAlgorithm::new(raw.signature_algorithm()),
            algorithms_differ: raw.signature_algorithm() != tbs.signature(),
            signature: raw
                .signature()
                .as_bytes()
                .ok_or_else(|| damaged(WHAT, "its signature does not end at an octet"))?
                .into(),
            extensions: Extensions::new(tbs.extensions().map_or(&[][..], |e| e.as_slice()))?,
            sha256: sha256(der),
            public_key: OnceLock::new(),
            der: der.into(),
        };
        Ok(Self(Arc::new(parts)))
    }

    /// Its octets.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// 1, 2 or 3.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.0.version
    }

    /// The serial number as it stands in the certificate: two's complement, most significant octet first.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// The serial number in hexadecimal digits.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        hex(&self.0.serial)
    }

    /// Who is certified.
    #[must_use]
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// Who certifies.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// First moment of its validity.
    #[must_use]
    pub fn not_before(&self) -> UtcMicros {
        self.0.not_before
    }

    /// Last second of its validity.
    #[must_use]
    pub fn not_after(&self) -> UtcMicros {
        self.0.not_after
    }

    /// Whether `at` is inside its validity. Both ends are inside, and count whole seconds as the certificate does.
    #[must_use]
    pub fn is_valid_at(&self, at: UtcMicros) -> bool {
        (self.0.not_before.seconds()..=self.0.not_after.seconds()).contains(&at.seconds())
    }

    /// Whether subject and issuer have the same name.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.0.subject == self.0.issuer
    }

    /// What its extensions say.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// How it is signed.
    #[must_use]
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.0.signature_algorithm
    }

    /// The key, as DER `SubjectPublicKeyInfo`, octet for octet as in the certificate.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        self.0.der.get(self.0.key_info.clone()).unwrap_or_default()
    }

    /// What kind of key it has.
    #[must_use]
    pub fn key_kind(&self) -> KeyKind {
        self.0.key.kind
    }

    /// Size of its key in bits; 0 where it can't be told.
    #[must_use]
    pub fn key_bits(&self) -> u32 {
        self.0.key.bits
    }

    /// The key, checked.
    ///
    /// # Errors
    /// [`KeyError`] if it is of a kind that we do not use, or no sane key.
    pub fn public_key(&self) -> Result<&PublicKey, KeyError> {
        self.0.public_key.get_or_init(|| PublicKey::from_spki_der(self.spki_der())).as_ref().map_err(Clone::clone)
    }

    /// SHA-256 of its octets: what it is known by.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.0.sha256
    }

    /// SHA-1 of its octets, which older products show. Nothing is decided by it.
    #[must_use]
    pub fn sha1(&self) -> Vec<u8> {
        digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.0.der).as_ref().to_vec()
    }

    /// SHA-256 of its key, the same for all certificates of one key.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(self.spki_der())
    }

    /// Where it leaves the rules.
    #[must_use]
    pub fn oddities(&self) -> Vec<Oddity> {
        oddity::oddities(&self.0)
    }

    /// The part that is signed.
    pub(crate) fn signed_octets(&self) -> &[u8] {
        self.0.der.get(self.0.signed.clone()).unwrap_or_default()
    }

    pub(crate) fn signature_octets(&self) -> &[u8] {
        &self.0.signature
    }

    pub(crate) fn subject_key(&self) -> &SubjectKey {
        &self.0.key
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl Hash for Certificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.sha256.hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} by {}, serial {})", self.subject(), self.issuer(), self.serial_hex())
    }
}

const WHAT: &str = "certificate";

/// Longest serial number (RFC 5280 section 4.1.2.2).
const SERIAL_OCTETS_MAX: usize = 20;

/// Where the signed part is, and where its fields are.
fn layout(der: &[u8]) -> ::der::Result<(Range<usize>, Vec<Range<usize>>)> {
    let content = AnyRef::from_der(der)?.value();
    let start = der.len().saturating_sub(content.len());
    let signed = SliceReader::new(content)?.tlv_bytes()?;
    let inner = AnyRef::from_der(signed)?.value();
    let inner_start = (start + signed.len()).saturating_sub(inner.len());
    let mut reader = SliceReader::new(inner)?;
    let mut fields = Vec::new();
    let mut at = inner_start;
    while !reader.is_finished() {
        let field = reader.tlv_bytes()?;
        fields.push(at..at + field.len());
        at += field.len();
    }
    Ok((start..start + signed.len(), fields))
}

/// The tag `[0]` of a version, if the signed part begins with one.
fn version_tag(signed: &[u8]) -> Option<u8> {
    let content = AnyRef::from_der(signed).ok()?.value();
    content.first().copied().filter(|tag| *tag == 0xa0)
}

/// The octets of the serial number, which stands five fields before the key information.
fn serial_octets(der: &[u8], fields: &[Range<usize>], key_at: usize) -> Result<Box<[u8]>, CertificateError> {
    let field = fields.get(key_at.saturating_sub(5)).and_then(|range| der.get(range.clone())).unwrap_or_default();
    AnyRef::from_der(field).map(|serial| serial.value().into()).map_err(|e| damaged(WHAT, e))
}

pub(crate) fn moment(since_1970: std::time::Duration) -> UtcMicros {
    UtcMicros::default().plus(since_1970)
}

#[cfg(test)]
mod tests;
