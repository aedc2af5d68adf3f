//! Where a certificate leaves the rules of RFC 5280 without being unreadable.

use std::fmt;

use ::der::asn1::ObjectIdentifier;

use super::alt_name::{AltName, Subtree};
use super::extensions::{
    AUTHORITY_INFO, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, Extensions, KEY_ID, KeyUsage, NAME_CONSTRAINTS,
    POLICY_CONSTRAINTS, Reading, SUBJECT_ALT_NAME,
};
use super::{Parts, SERIAL_OCTETS_MAX};

/// Something about a certificate that a conforming authority would not have done.
///
/// Certificates with an oddity exist in the field and are read, shown and kept. Those that make it doubtful what the
/// certificate says ([`Oddity::is_grave`]) are never part of a trusted path; the others are refused only by a strict policy.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Oddity {
    /// One extension stands there twice.
    Duplicate(ObjectIdentifier),
    /// An extension that counts is damaged.
    Damaged(ObjectIdentifier, String),
    /// Inside and outside of the signed part name different algorithms.
    AlgorithmsDiffer,
    /// A subtree of a name constraint is malformed.
    Constraint(String),
    /// An alternative name is malformed.
    AltName(String),
    /// A version that does not go with what is inside.
    Version(u8),
    /// A serial number of zero, below zero, or too long.
    Serial(&'static str),
    /// No name where there must be one.
    NoName(&'static str),
    /// An extension is missing that must be there.
    Missing(&'static str),
    /// An extension is critical that must not be, or the other way round.
    Criticality(&'static str),
    /// Statements that contradict each other.
    Contradiction(&'static str),
    /// Something is empty that must not be.
    Empty(&'static str),
}

impl Oddity {
    /// Whether it is doubtful what the certificate says.
    #[must_use]
    pub const fn is_grave(&self) -> bool {
        matches!(self, Self::Duplicate(_) | Self::Damaged(..) | Self::AlgorithmsDiffer | Self::Constraint(_))
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(id) => write!(f, "extension {id} stands in it twice (RFC 5280 section 4.2)"),
            Self::Damaged(id, why) => write!(f, "extension {id} is damaged: {why}"),
            Self::AlgorithmsDiffer => {
                f.write_str("its two statements of the signature algorithm differ (RFC 5280 section 4.1.1.2)")
            }
            Self::Constraint(why) => write!(f, "a name constraint is malformed: {why} (RFC 5280 section 4.2.1.10)"),
            Self::AltName(why) => write!(f, "an alternative name is malformed: {why} (RFC 5280 section 4.2.1.6)"),
            Self::Version(version) => {
                write!(f, "version {version} does not go with its content (RFC 5280 section 4.1.2.1)")
            }
            Self::Serial(what) => write!(f, "its serial number is {what} (RFC 5280 section 4.1.2.2)"),
            Self::NoName(whose) => write!(f, "its {whose} has no name (RFC 5280 section 4.1.2)"),
            Self::Missing(what) => write!(f, "{what} is missing (RFC 5280 section 4.2.1)"),
            Self::Criticality(what) => write!(f, "{what} (RFC 5280 section 4.2.1)"),
            Self::Contradiction(what) => write!(f, "{what} (RFC 5280 section 4.2.1)"),
            Self::Empty(what) => write!(f, "its {what} is empty (RFC 5280 section 4.2.1)"),
        }
    }
}

/// Everything odd about a certificate.
pub(super) fn oddities(parts: &Parts) -> Vec<Oddity> {
    let mut found = Vec::new();
    let extensions = &parts.extensions;
    if parts.algorithms_differ {
        found.push(Oddity::AlgorithmsDiffer);
    }
    for (at, seen) in extensions.seen.iter().enumerate() {
        if extensions.seen.iter().take(at).any(|before| before.id == seen.id) {
            found.push(Oddity::Duplicate(seen.id));
        }
        if let Reading::Damaged(why) = &seen.reading {
            found.push(Oddity::Damaged(seen.id, why.clone()));
        }
    }
    if (parts.version < 3 && !extensions.seen.is_empty()) || parts.version == 2 {
        found.push(Oddity::Version(parts.version));
    }
    // Nobody looks a root up by its number, and roots of good standing have zero.
    if parts.subject != parts.issuer {
        serial(&parts.serial, &mut found);
    }
    if parts.issuer.is_empty() {
        found.push(Oddity::NoName("issuer"));
    }
    if extensions.is_ca() && parts.subject.is_empty() {
        found.push(Oddity::NoName("subject, an authority,"));
    }
    if parts.version == 3 {
        key_ids(parts, &mut found);
    }
    authority(extensions, &mut found);
    names(parts, &mut found);
    found
}

fn serial(octets: &[u8], found: &mut Vec<Oddity>) {
    match octets {
        [] | [0] => found.push(Oddity::Serial("zero")),
        [first, ..] if *first >= 0x80 => found.push(Oddity::Serial("negative")),
        _ if octets.len() > SERIAL_OCTETS_MAX => found.push(Oddity::Serial("longer than 20 octets")),
        _ => {}
    }
}

fn key_ids(parts: &Parts, found: &mut Vec<Oddity>) {
    let extensions = &parts.extensions;
    if extensions.criticality(KEY_ID) == Some(true) {
        found.push(Oddity::Criticality("the subject key identifier is critical"));
    }
    if extensions.criticality(AUTHORITY_KEY_ID) == Some(true) {
        found.push(Oddity::Criticality("the authority key identifier is critical"));
    }
    if extensions.criticality(AUTHORITY_INFO) == Some(true) {
        found.push(Oddity::Criticality("the authority information access is critical"));
    }
    if extensions.is_ca() && extensions.key_id.is_none() {
        found.push(Oddity::Missing("the subject key identifier of an authority"));
    }
    if extensions.authority_key_id.is_none() && parts.subject != parts.issuer {
        found.push(Oddity::Missing("the authority key identifier"));
    }
}

fn authority(extensions: &Extensions, found: &mut Vec<Oddity>) {
    let is_ca = extensions.is_ca();
    let signs = extensions.key_usage.map(|usage| usage.has(KeyUsage::KEY_CERT_SIGN));
    if is_ca && extensions.criticality(BASIC_CONSTRAINTS) == Some(false) {
        found.push(Oddity::Criticality("the basic constraints of an authority are not critical"));
    }
    if !is_ca && signs == Some(true) {
        found.push(Oddity::Contradiction("its key may sign certificates, but it is no authority"));
    }
    if is_ca && signs == Some(false) {
        found.push(Oddity::Contradiction("it is an authority, but its key may not sign certificates"));
    }
    if !is_ca && extensions.basic_constraints.is_some_and(|b| b.path_len.is_some()) {
        found.push(Oddity::Contradiction("it limits the length of paths, but is no authority"));
    }
    if extensions.purposes.as_ref().is_some_and(Vec::is_empty) {
        found.push(Oddity::Empty("list of purposes"));
    }
    if extensions.criticality(POLICY_CONSTRAINTS) == Some(false) {
        found.push(Oddity::Criticality("its policy constraints are not critical"));
    }
    let Some(constraints) = &extensions.name_constraints else { return };
    if extensions.criticality(NAME_CONSTRAINTS) == Some(false) {
        found.push(Oddity::Criticality("its name constraints are not critical"));
    }
    if !is_ca {
        found.push(Oddity::Contradiction("it constrains names, but is no authority"));
    }
    if constraints.permitted.is_empty() && constraints.excluded.is_empty() {
        found.push(Oddity::Empty("name constraint"));
    }
    for subtree in constraints.permitted.iter().chain(&constraints.excluded) {
        if let Subtree::Malformed(why) = subtree {
            found.push(Oddity::Constraint(why.clone()));
        }
    }
}

fn names(parts: &Parts, found: &mut Vec<Oddity>) {
    let extensions = &parts.extensions;
    match extensions.criticality(SUBJECT_ALT_NAME) {
        Some(false) if parts.subject.is_empty() => {
            found.push(Oddity::Criticality("the subject has no name, and its alternative names are not critical"));
        }
        Some(_) if extensions.alt_names.is_empty() => found.push(Oddity::Empty("list of alternative names")),
        None if parts.subject.is_empty() => found.push(Oddity::NoName("subject")),
        _ => {}
    }
    for name in &extensions.alt_names {
        match name {
            AltName::Malformed(why) => found.push(Oddity::AltName(why.clone())),
            AltName::Dns(host) if !is_host_pattern(host) => {
                found.push(Oddity::AltName(format!("{host:?} is no host name")));
            }
            AltName::Mail(address) if !is_mail(address) => {
                found.push(Oddity::AltName(format!("{address:?} is no mail address")));
            }
            _ => {}
        }
    }
}

/// A mailbox at a host.
pub(crate) fn is_mail(address: &str) -> bool {
    address
        .split_once('@')
        .is_some_and(|(mailbox, host)| !mailbox.is_empty() && !host.starts_with('*') && is_host_pattern(host))
}

/// Letters, digits and hyphens in labels (RFC 1034 section 3.5, RFC 1123 section 2.1), the first of which may be `*`; not
/// four numbers.
pub(crate) fn is_host_pattern(host: &str) -> bool {
    let is_label = |label: &str| {
        let plain = label.bytes().all(|o| o.is_ascii_alphanumeric() || o == b'-');
        plain && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    let rest = host.strip_prefix("*.").unwrap_or(host);
    let all_digits = rest.rsplit('.').next().is_some_and(|last| last.bytes().all(|o| o.is_ascii_digit()));
    host.len() <= 253 && rest.split('.').all(is_label) && !all_digits
}
