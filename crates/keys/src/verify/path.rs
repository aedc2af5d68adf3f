//! A path, or why there is none.

use std::fmt;

use ::der::asn1::ObjectIdentifier;
use base::{UtcMicros, brief};

use super::policy::{Purpose, TRIED_MAX};
use super::signature::SignatureFailure;
use crate::certificate::{Certificate, CertificateState, KeyUsage, Name, Oddity};

/// Where a certificate of a path came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// From the peer.
    Peer,
    /// From the store, under that name.
    Store(String),
}

/// One certificate of a path.
#[derive(Clone, Debug)]
pub struct Step {
    /// The certificate.
    pub certificate: Certificate,
    /// Where it came from.
    pub origin: Origin,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = brief(&self.certificate.subject().to_string(), SUBJECT_CHARS_MAX);
        match &self.origin {
            Origin::Peer => f.write_str(&subject),
            Origin::Store(alias) => write!(f, "{alias} ({subject})"),
        }
    }
}

/// Characters of a subject in a sentence.
const SUBJECT_CHARS_MAX: usize = 80;

/// A path that holds to its policy: from the end entity to a root that is stored and enabled. Only the verification makes
/// one.
#[derive(Clone, Debug)]
pub struct Path {
    steps: Vec<Step>,
}

impl Path {
    pub(super) const fn new(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    /// The end entity first, the root last.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Where the path ends.
    #[must_use]
    pub fn root(&self) -> Option<&Step> {
        self.steps.last()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_steps(&self.steps, f)
    }
}

fn write_steps(steps: &[Step], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, step) in steps.iter().enumerate() {
        write!(f, "{}{step}", if at == 0 { "" } else { " <- " })?;
    }
    Ok(())
}

/// Why a path is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody knows its issuer.
    #[error("its issuer {issuer} is not known: import and enable it{hint}")]
    NoIssuer {
        /// The issuer.
        issuer: Name,
        /// What else to look at.
        hint: &'static str,
    },
    /// It is a root, but not stored.
    #[error("this root is not in the store: import and enable it if it is to be trusted")]
    RootUnknown,
    /// It is stored, but not enabled.
    #[error("{alias} is {state} in the store: enable it if it is to be trusted")]
    NotEnabled {
        /// Its name.
        alias: String,
        /// Its state.
        state: CertificateState,
    },
    /// The path is longer than allowed.
    #[error("the path is longer than {max} certificates, which is all that is allowed")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// Too late.
    #[error("it expired on {0}")]
    Expired(UtcMicros),
    /// Too early.
    #[error("it is valid only from {0}")]
    NotYetValid(UtcMicros),
    /// Its signature does not count.
    #[error(transparent)]
    Signature(#[from] SignatureFailure),
    /// Its key identifiers lead to a certificate of another name.
    #[error("its key identifier is that of the issuer, but its name is not (RFC 5280 section 6.1.3)")]
    NameChain,
    /// Its key is too short, or of no use.
    #[error("its key is {key}: {why}")]
    Key {
        /// What it is.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is no authority.
    #[error("it is no authority, so it can't certify others (basic constraints)")]
    NotAnAuthority,
    /// There are more authorities below it than it allows.
    #[error("more authorities follow below it than it allows (path length)")]
    PathLength,
    /// Its key may not be used so.
    #[error("its key usage is {found}, {needed} is needed")]
    KeyUsage {
        /// What it says.
        found: KeyUsage,
        /// What is needed.
        needed: KeyUsage,
    },
    /// It is not for this purpose.
    #[error("it is not for {0} (extended key usage)")]
    Purpose(Purpose),
    /// A name that an authority above does not allow.
    #[error("its name {name} is not allowed by {authority} (name constraints)")]
    NameConstraint {
        /// The name.
        name: String,
        /// Whose constraint it is.
        authority: String,
    },
    /// An extension that must be understood and is not.
    #[error("its critical extension {0} is not known here")]
    CriticalExtension(ObjectIdentifier),
    /// It breaks the rules.
    #[error("{0}")]
    Oddity(Oddity),
    /// The policies of the authorities do not fit together.
    #[error("no certificate policy holds along the path: {0}")]
    Policy(&'static str),
    /// Its issuer has revoked it.
    #[error("it was revoked on {at}: {reason}")]
    Revoked {
        /// When.
        at: UtcMicros,
        /// Why.
        reason: &'static str,
    },
    /// Nobody can tell whether it is revoked.
    #[error("whether it is revoked is not known: {0}")]
    RevocationUnknown(String),
    /// The search was given up.
    #[error("the search was given up after {max} {what}: the certificates refer to each other in too many ways")]
    TooMuchWork {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
}

impl Failure {
    /// The documented class of the failure (certificates-and-keys.md section 5).
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::NoIssuer { .. } | Self::RootUnknown | Self::TooLong { .. } | Self::TooMuchWork { .. } => {
                "root not found"
            }
            Self::NotEnabled { .. } => "root not trusted",
            Self::Expired(_) | Self::NotYetValid(_) => "validity",
            Self::Signature(_) | Self::NameChain | Self::Key { .. } => "signature",
            Self::KeyUsage { .. } | Self::Purpose(_) | Self::NotAnAuthority | Self::PathLength => {
                "key usage not granted"
            }
            Self::NameConstraint { .. } | Self::Policy(_) => "name or policy not allowed",
            Self::CriticalExtension(_) | Self::Oddity(_) => "decoding",
            Self::Revoked { .. } | Self::RevocationUnknown(_) => "revocation",
        }
    }

    /// How far a path with this failure came: where there are several, people want to read of the one that came farthest.
    const fn rank(&self) -> u8 {
        match self {
            Self::NoIssuer { .. } | Self::NameChain => 0,
            Self::TooLong { .. } | Self::TooMuchWork { .. } => 1,
            Self::Signature(_) => 2,
            Self::RootUnknown => 3,
            Self::NotEnabled { .. } => 4,
            _ => 5,
        }
    }
}

/// A path that was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// As far as it went, from the end entity.
    pub steps: Vec<Step>,
    /// Which of the steps is at fault.
    pub at: usize,
    /// Why.
    pub failure: Failure,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_steps(&self.steps, f)?;
        match self.steps.get(self.at) {
            Some(step) => write!(f, ": {step}: {}", self.failure),
            None => write!(f, ": {}", self.failure),
        }
    }
}

/// Why no path was found: every path that was tried, and what was wrong with it.
#[derive(Clone, Debug, Default)]
pub struct PathReport {
    tried: Vec<Tried>,
    more: usize,
}

impl PathReport {
    pub(super) fn note(&mut self, steps: &[Step], at: usize, failure: Failure) {
        if self.tried.len() < TRIED_MAX {
            self.tried.push(Tried { steps: steps.to_vec(), at, failure });
            return;
        }
        self.more += 1;
        // What came farther is worth more than what came first.
        let weakest = self.tried.iter_mut().min_by_key(|t| t.failure.rank());
        if let Some(weakest) = weakest.filter(|t| t.failure.rank() < failure.rank()) {
            *weakest = Tried { steps: steps.to_vec(), at, failure };
        }
    }

    /// The paths that were tried, at most [`TRIED_MAX`].
    #[must_use]
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// How many more were tried than are told of.
    #[must_use]
    pub const fn more(&self) -> usize {
        self.more
    }

    /// The failure of the path that came farthest.
    #[must_use]
    pub fn main(&self) -> Option<&Tried> {
        self.tried.iter().rev().max_by_key(|t| t.failure.rank())
    }
}

impl fmt::Display for PathReport {
    /// One sentence: the path that came farthest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.main() {
            Some(tried) => write!(f, "no trusted path: {tried}"),
            None => f.write_str("no trusted path"),
        }
    }
}

impl std::error::Error for PathReport {}
