//! The type of a certificate in the store.

use std::fmt;
use std::str::FromStr;

use super::Certificate;

/// What part a certificate plays (certificates-and-keys.md section 1.2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum CertificateType {
    /// An end entity whose private key we hold.
    User,
    /// An authority that another one signed.
    Intermediate,
    /// A self-signed authority.
    Root,
    /// An end entity whose private key we do not hold, or undetermined.
    Other,
}

impl CertificateType {
    /// Every type, in the order of the manual.
    pub const ALL: [Self; 4] = [Self::User, Self::Intermediate, Self::Root, Self::Other];

    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Intermediate => "INTERMEDIATE",
            Self::Root => "ROOT",
            Self::Other => "OTHER",
        }
    }

    /// The type of a certificate (CERT-10); `None` for one of version 1, which does not tell: a person must (CERT-11).
    #[must_use]
    pub fn detect(certificate: &Certificate, has_private_key: bool) -> Option<Self> {
        match certificate {
            _ if certificate.version() == 1 => None,
            _ if has_private_key => Some(Self::User),
            _ if certificate.is_self_issued() => Some(Self::Root),
            _ if certificate.extensions().is_ca() => Some(Self::Intermediate),
            _ => Some(Self::Other),
        }
    }
}

impl fmt::Display for CertificateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No such type.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no certificate type {text:?}: use USER, INTERMEDIATE, ROOT or OTHER")]
pub struct CertificateTypeError {
    text: String,
}

impl FromStr for CertificateType {
    type Err = CertificateTypeError;
    fn from_str(text: &str) -> Result<Self, CertificateTypeError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| CertificateTypeError { text: base::octets_text(text.as_bytes()) })
    }
}

/// What a person has said of a stored certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum CertificateState {
    /// It may be used and trusted, as far as its path allows.
    Enabled,
    /// A person has said no.
    Disabled,
    /// Captured from a partner: nobody has said anything yet. As good as disabled.
    ToCheck,
}

impl CertificateState {
    /// Whether it may be used. Nothing but `Enabled` may (CERT-17).
    #[must_use]
    pub const fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled)
    }
}

impl fmt::Display for CertificateState {
    /// As people see it (AUTO-7).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::ToCheck => "DISABLED (to check)",
        })
    }
}
