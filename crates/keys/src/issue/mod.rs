//! Certificates that sign themselves, and requests for an authority's signature (RFC 5280, RFC 2986).

mod sign;
mod subject;

use base::{UtcMicros, random};
use der::asn1::ObjectIdentifier;
use thiserror::Error;

use crate::asn1::{OCTET_STRING, SEQUENCE, ZERO, bits, id, oid, value};
use crate::{KeyAlgorithm, KeyError, PublicKey, SignError, Signer};

pub use subject::{AlternativeName, Subject};

/// Why no certificate or request was made.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum IssueError {
    /// The name can't be read.
    #[error("subject {why}: write it as C=RO, O=Example, CN=name with C, O, OU, ST, L, CN, DC, SERIALNUMBER or E")]
    Subject {
        /// What is wrong with it.
        why: String,
    },
    /// An alternative name can't be read.
    #[error("alternative name {text:?} is none: write DNS:host.example, IP:192.0.2.1, EMAIL:me@example or URI:…")]
    AlternativeName {
        /// What was given.
        text: String,
    },
    /// The end comes before the start, or too late for any certificate.
    #[error("a certificate is valid for 1 to {VALID_DAYS_MAX} days")]
    Validity,
    /// The key can't sign, or the cryptographic library failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Most days for which a certificate is made.
pub const VALID_DAYS_MAX: u32 = 36_500;

/// What a certificate or request shall say.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// Who it is for.
    pub subject: Subject,
    /// Other names of the same.
    pub alternative_names: Vec<AlternativeName>,
    /// Whether it may sign other certificates.
    pub authority: bool,
}

/// Makes a certificate of `key` that `key` signs, valid from `from` for so many days.
///
/// # Errors
/// [`IssueError::Validity`]; [`IssueError::Key`] for a key that makes no such signatures; [`IssueError::Sign`].
pub fn self_signed(
    key: &dyn Signer,
    request: &IssueRequest,
    from: UtcMicros,
    days: u32,
) -> Result<Vec<u8>, IssueError> {
    if !(1..=VALID_DAYS_MAX).contains(&days) {
        return Err(IssueError::Validity);
    }
    let until = from.plus(std::time::Duration::from_secs(u64::from(days) * 86_400));
    let name = request.subject.der();
    let serial = serial()?;
    let (_, algorithm) = sign::algorithm(key.public_key())?;
    let version = value(CONTEXT_0, &[&[2, 1, 2]]);
    let validity = value(SEQUENCE, &[&time(from), &time(until)]);
    let extensions = value(SEQUENCE, &[&extensions(key.public_key(), request, true)]);
    let content = value(
        SEQUENCE,
        &[
            &version,
            &serial,
            &algorithm,
            name,
            &validity,
            name,
            key.public_key().spki_der(),
            &value(CONTEXT_3, &[&extensions]),
        ],
    );
    signed(key, &content)
}

/// Makes a request for a certificate of `key` (RFC 2986), which `key` signs to show that it is there.
///
/// # Errors
/// [`IssueError::Key`] for a key that makes no such signatures; [`IssueError::Sign`].
pub fn certificate_request(key: &dyn Signer, request: &IssueRequest) -> Result<Vec<u8>, IssueError> {
    let extensions = value(SEQUENCE, &[&extensions(key.public_key(), request, false)]);
    let attribute = value(SEQUENCE, &[&oid(EXTENSION_REQUEST), &value(SET, &[&extensions])]);
    let attributes = value(CONTEXT_0, &[&attribute]);
    let content = value(SEQUENCE, &[ZERO, request.subject.der(), key.public_key().spki_der(), &attributes]);
    signed(key, &content)
}

/// `octets` as PEM between lines that call them `label`: `CERTIFICATE`, `CERTIFICATE REQUEST`, `X509 CRL`, `PKCS7`.
#[must_use]
pub fn pem(label: &str, octets: &[u8]) -> String {
    let text = crate::formats::pem::armour::write(label, 64, octets);
    String::from_utf8_lossy(text.expose()).into_owned()
}

fn signed(key: &dyn Signer, content: &[u8]) -> Result<Vec<u8>, IssueError> {
    let (scheme, algorithm) = sign::algorithm(key.public_key())?;
    let signature = key.sign(scheme, content)?;
    Ok(value(SEQUENCE, &[content, &algorithm, &bits(&signature)]).to_vec())
}

/// A positive number of 127 random bits (RFC 5280 section 4.1.2.2).
fn serial() -> Result<Vec<u8>, IssueError> {
    let mut octets = random::<16>().map_err(|_| KeyError::Engine { what: "taking random numbers of the system" })?;
    if let Some(first) = octets.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    Ok(value(INTEGER, &[&octets]).to_vec())
}

/// UTCTime until 2049, GeneralizedTime from then on (RFC 5280 section 4.1.2.5).
fn time(at: UtcMicros) -> Vec<u8> {
    let digits: String = at.to_string().chars().take_while(|c| *c != '.').filter(char::is_ascii_digit).collect();
    let digits: String = digits.chars().take(14).collect();
    let short = digits.get(2..).filter(|_| digits.as_str() < "20500101000000");
    let (tag, text) = short.map_or((GENERALIZED_TIME, digits.as_str()), |short| (UTC_TIME, short));
    value(tag, &[text.as_bytes(), b"Z"]).to_vec()
}

/// The extensions of a certificate, or those that a request asks for.
fn extensions(key: &PublicKey, request: &IssueRequest, with_key_id: bool) -> Vec<u8> {
    let mut all = Vec::new();
    let mut add = |id: ObjectIdentifier, critical: bool, content: &[u8]| {
        let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
        all.extend_from_slice(&value(SEQUENCE, &[&oid(id), critical, &value(OCTET_STRING, &[content])]));
    };
    let authority: &[u8] = if request.authority { &[1, 1, 0xff] } else { &[] };
    add(BASIC_CONSTRAINTS, true, &value(SEQUENCE, &[authority]));
    add(KEY_USAGE, true, key_usage(key, request.authority));
    if !request.alternative_names.is_empty() {
        let names: Vec<Vec<u8>> = request.alternative_names.iter().map(AlternativeName::der).collect();
        add(ALTERNATIVE_NAMES, false, &value(SEQUENCE, &names.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    }
    if with_key_id {
        // The first 160 bits of SHA-256 of the key (RFC 7093 section 2).
        let hash = key.spki_sha256();
        let id = value(OCTET_STRING, &[hash.get(..20).unwrap_or_default()]);
        add(SUBJECT_KEY_ID, false, &id);
    }
    all
}

/// BIT STRING of KeyUsage: signatures; key encipherment for RSA; certificates and revocation lists for an authority.
fn key_usage(key: &PublicKey, authority: bool) -> &'static [u8] {
    match (authority, key.algorithm()) {
        (true, _) => &[3, 2, 1, 0x86],
        (false, KeyAlgorithm::Rsa) if !key.is_pss_only() => &[3, 2, 5, 0xa0],
        (false, _) => &[3, 2, 7, 0x80],
    }
}

const BASIC_CONSTRAINTS: ObjectIdentifier = id("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = id("2.5.29.15");
const ALTERNATIVE_NAMES: ObjectIdentifier = id("2.5.29.17");
const SUBJECT_KEY_ID: ObjectIdentifier = id("2.5.29.14");
const EXTENSION_REQUEST: ObjectIdentifier = id("1.2.840.113549.1.9.14");
const INTEGER: u8 = 0x02;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::any_key;
    use crate::{CertificateFileFormat, read_certificates};

    fn request(text: &str) -> IssueRequest {
        let names = ["host.example", "192.0.2.1", "2001:db8::1", "me@partner.example", "URI:urn:x"];
        let alternative_names = names.into_iter().map(|text| text.parse().unwrap()).collect();
        IssueRequest { subject: text.parse().unwrap(), alternative_names, authority: false }
    }

    #[test]
    fn every_key_but_dss_signs_itself() {
        for algorithm in KeyAlgorithm::ALL {
            let key = any_key(algorithm);
            let made = self_signed(&key, &request("C=RO, O=Example, CN=me"), UtcMicros::default(), 365);
            if algorithm == KeyAlgorithm::Dss {
                assert!(made.unwrap_err().to_string().contains("DSS"));
                continue;
            }
            let der = made.unwrap();
            let read = read_certificates(&der, None, None).unwrap();
            assert_eq!((read.format, read.certificates.len()), (CertificateFileFormat::Der, 1), "{algorithm}");
            let text = pem("CERTIFICATE", &der);
            assert_eq!(read_certificates(text.as_bytes(), None, None).unwrap().certificates[0].der, der);
        }
    }

    #[test]
    fn a_request_is_no_certificate() {
        let key = any_key(KeyAlgorithm::EcdsaNistp256);
        let der = certificate_request(&key, &request("CN=me")).unwrap();
        let text = read_certificates(&der, None, None).unwrap_err().to_string();
        assert!(text.contains("a certificate request: send it to the authority"), "{text}");
    }

    #[test]
    fn validity_is_bounded() {
        let key = any_key(KeyAlgorithm::Ed25519);
        for days in [0, VALID_DAYS_MAX + 1] {
            let made = self_signed(&key, &request("CN=me"), UtcMicros::default(), days);
            assert_eq!(made.unwrap_err(), IssueError::Validity);
        }
    }

    // CERT-14
    #[test]
    fn dates_from_2050_are_written_as_generalized_time() {
        let day = std::time::Duration::from_secs(86_400);
        assert_eq!(time(UtcMicros::default()), [&[UTC_TIME, 13][..], b"700101000000Z"].concat());
        let late = UtcMicros::default().plus(day * 365 * 90);
        assert_eq!(time(late).first(), Some(&GENERALIZED_TIME));
        assert_eq!(time(late).len(), 17);
    }
}
