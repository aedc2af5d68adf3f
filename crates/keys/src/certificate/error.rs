//! Why octets are no certificate.

use super::limits::CERTIFICATE_OCTETS_MAX;

/// Why a certificate or a revocation list was not read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Longer than any certificate.
    #[error("certificate has {len} octets: at most {CERTIFICATE_OCTETS_MAX} are read")]
    TooLarge {
        /// Octets found.
        len: usize,
    },
    /// A revocation list longer than any that is read.
    #[error("revocation list has {len} octets: at most {max} are read")]
    ListTooLarge {
        /// Octets found.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// The structure is broken.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// The structure.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// More of something than any honest certificate has.
    #[error("certificate has {count} {what}: at most {max} are read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were found.
        count: usize,
        /// The bound.
        max: usize,
    },
}

/// `found`, if there are no more than `max` of it.
pub(super) fn bounded<T>(what: &'static str, found: Vec<T>, max: usize) -> Result<Vec<T>, CertificateError> {
    let count = found.len();
    if count > max { Err(CertificateError::TooMany { what, count, max }) } else { Ok(found) }
}

pub(crate) fn damaged(what: &'static str, why: impl ToString) -> CertificateError {
    CertificateError::Damaged { what, why: why.to_string() }
}
