//! What a path must hold to.

use std::fmt;
use std::str::FromStr;

use ::der::asn1::ObjectIdentifier;

use crate::certificate::KeyUsage;

/// How an issuer is found (certificates-and-keys.md section 5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PathMode {
    /// By name: the issuer's subject is the certificate's issuer. Key identifiers only order the candidates.
    Legacy,
    /// By key identifier (RFC 4158): the issuer's subject key identifier is the certificate's authority key identifier,
    /// and the names fit as well.
    #[default]
    Rfc4158,
}

impl PathMode {
    /// The documented word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Rfc4158 => "rfc4158",
        }
    }
}

impl fmt::Display for PathMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No such mode.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no path build mode {text:?}: use legacy or rfc4158")]
pub struct PathModeError {
    text: String,
}

impl FromStr for PathMode {
    type Err = PathModeError;
    fn from_str(text: &str) -> Result<Self, PathModeError> {
        [Self::Legacy, Self::Rfc4158]
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| PathModeError { text: base::octets_text(text.as_bytes()) })
    }
}

/// What the end entity wants to do with its certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Be a TLS server.
    TlsServer,
    /// Be a TLS client.
    TlsClient,
    /// Sign messages.
    Signing,
    /// Be sent encrypted messages.
    Encryption,
    /// Nothing in particular: purposes and usages are not looked at.
    Any,
}

impl Purpose {
    /// The extended key usage that allows it (RFC 5280 section 4.2.1.12).
    pub(crate) const fn id(self) -> Option<ObjectIdentifier> {
        match self {
            Self::TlsServer => Some(TLS_SERVER),
            Self::TlsClient => Some(TLS_CLIENT),
            Self::Signing | Self::Encryption => Some(MAIL),
            Self::Any => None,
        }
    }

    /// The key usages of which one is needed, if the certificate limits them.
    pub(crate) const fn usages(self) -> Option<KeyUsage> {
        Some(match self {
            // A server of the older suites needs no signature; which suites are allowed is for the profile to say.
            Self::TlsServer => KeyUsage::DIGITAL_SIGNATURE.or(KeyUsage::KEY_ENCIPHERMENT).or(KeyUsage::KEY_AGREEMENT),
            Self::TlsClient => KeyUsage::DIGITAL_SIGNATURE.or(KeyUsage::KEY_AGREEMENT),
            Self::Signing => KeyUsage::DIGITAL_SIGNATURE.or(KeyUsage::NON_REPUDIATION),
            Self::Encryption => KeyUsage::KEY_ENCIPHERMENT.or(KeyUsage::KEY_AGREEMENT),
            Self::Any => return None,
        })
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TlsServer => "TLS server",
            Self::TlsClient => "TLS client",
            Self::Signing => "signing messages",
            Self::Encryption => "encrypted messages",
            Self::Any => "any purpose",
        })
    }
}

/// Which signatures and keys count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Algorithms {
    /// The weak switch: SHA-1 counts (CERT-30).
    pub sha1: bool,
    /// Smallest RSA modulus, in bits. Below 1024 nothing can be verified.
    pub rsa_bits_min: u32,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self { sha1: false, rsa_bits_min: 2048 }
    }
}

impl Algorithms {
    /// What old partners need: SHA-1, and RSA from 1024 bits.
    pub const LEGACY: Self = Self { sha1: true, rsa_bits_min: 1024 };
}

/// Whether revocation lists are asked. They are those of the store: nothing is fetched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Revocation {
    /// Not at all.
    Ignore,
    /// Where the store has a list of the issuer. A list that is out of date, or can't be used, is no good news.
    #[default]
    IfListed,
    /// Every certificate below the root needs a list.
    Required,
}

/// What a path must hold to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PathPolicy {
    /// How issuers are found.
    pub mode: PathMode,
    /// Longest path, in certificates from the end entity to the root, both counted. Authorities that certify a new key of
    /// their own are not counted (RFC 5280 section 4.2.1.9 does not, either).
    pub depth_max: usize,
    /// What the end entity wants to do.
    pub purpose: Purpose,
    /// Whether a TLS client may show a certificate that is for TLS servers only. Public authorities stop issuing any others.
    pub server_as_client: bool,
    /// Which signatures and keys count.
    pub algorithms: Algorithms,
    /// Whether any [`crate::certificate::Oddity`] is a reason to refuse, not only a grave one.
    pub strict: bool,
    /// Whether revocation lists are asked.
    pub revocation: Revocation,
}

impl PathPolicy {
    /// The usual policy for one purpose.
    #[must_use]
    pub fn new(purpose: Purpose) -> Self {
        Self {
            mode: PathMode::default(),
            depth_max: PATH_DEPTH,
            purpose,
            server_as_client: false,
            algorithms: Algorithms::default(),
            strict: false,
            revocation: Revocation::default(),
        }
    }
}

/// Longest path if nobody says otherwise, in certificates.
pub const PATH_DEPTH: usize = 7;

/// Longest path that anybody may allow, in certificates.
pub const PATH_DEPTH_MAX: usize = 15;

/// Most signatures that are verified in search of one path.
pub const SIGNATURE_CHECKS_MAX: usize = 100;

/// Most candidates that are looked at in search of one path.
pub const CANDIDATES_MAX: usize = 1000;

/// Most certificates of a peer that are considered, besides its own. TLS has its own bound, in octets.
pub const SENT_MAX: usize = 200;

/// Most comparisons of a name with a subtree in one path.
pub const NAME_COMPARISONS_MAX: usize = 250_000;

/// Most paths that a report tells of.
pub const TRIED_MAX: usize = 8;

pub(crate) const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
pub(crate) const TLS_SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const TLS_CLIENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const MAIL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
