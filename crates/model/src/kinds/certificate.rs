//! A certificate as an object: what a person decides about it, and what it says, noted by the gateway. Its octets are a
//! [`CertificateEntry`], its private key is sealed elsewhere.

use std::sync::Arc;

use base::{ObjectId, UtcMicros};

use crate::field::{Field, GROUP, NameRule, ObjectDescriptor, STATES};
use crate::object::{Kind, ObjectState};
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Certificate,
    title: "certificate",
    about: "An X.509 certificate: our own with its private key, a partner's, or an authority's \
            (certificates-and-keys.md 1.1).",
    name_field: Field::text("certificate_name", 31, "name of the certificate")
        .shorts(&["ctfn"])
        .aliases(&["name"])
        .required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::choice("certificate_type", TYPES, "USER has a private key here, ROOT signs itself, INTERMEDIATE signs")
            .shorts(&["ctft"])
            .detail("found out where not given, but for certificates of version 1"),
        Field::flag("allow_weak", "N", "taken although its key or signature protects little today"),
        Field::text("comments", 255, "free text; the partner's name for a captured certificate").shorts(&["cts"]),
        Field::text("subject_name", 512, "who is certified").shorts(&["csn"]).read_only(),
        Field::text("subject_alt_name", 4096, "other names of the same").shorts(&["csa"]).read_only(),
        Field::text("issuer_name", 512, "who certifies").shorts(&["cin"]).read_only(),
        Field::text("serial_number", 80, "serial number, in hexadecimal").read_only(),
        Field::text("valid_from", 40, "first moment of validity").read_only(),
        Field::text("valid_until", 40, "last moment of validity").read_only(),
        Field::text("key_kind", 40, "kind and size of its key").read_only(),
        Field::choice("private_part", &["Y", "N"], "whether the private key is in the store").read_only(),
    ],
    group_field: Some(
        Field { kind: crate::field::FieldKind::Text { max: 31 }, ..GROUP }
            .shorts(&["ctfg"])
            .aliases(&["certificate_group"]),
    ),
    state_field: Some(
        Field::choice("status", &["ENABLED", "DISABLED", "TO_CHECK"], "only an enabled certificate is used")
            .shorts(&["cst"])
            .aliases(&["state"])
            .default("ENABLED")
            .synonyms(STATES),
    ),
    summary: &["status", "certificate_type", "valid_until", "private_part", "subject_name", "issuer_name"],
};

/// Types of certificates (certificates-and-keys.md section 1.2).
const TYPES: &[&str] = &["USER", "INTERMEDIATE", "ROOT", "OTHER"];

/// A certificate as an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateObject {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Whether it may be used.
    pub state: ObjectState,
    /// What part it plays, as a person or the gateway noted it.
    pub kind: Option<String>,
    /// Whether the private key is in the store, as the gateway noted it.
    pub private: bool,
    /// Whether it was taken although its key or signature protects little today.
    pub allow_weak: bool,
    /// Free text.
    pub comments: String,
    /// What it says, as the gateway noted it when it was stored.
    pub noted: CertificateNotes,
}

/// What a certificate says, for lists and selection. Nothing is decided by it: the octets decide.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CertificateNotes {
    /// Who is certified.
    pub subject: String,
    /// Other names of the same.
    pub alternative_names: String,
    /// Who certifies.
    pub issuer: String,
    /// Serial number, in hexadecimal.
    pub serial: String,
    /// First moment of its validity.
    pub valid_from: Option<UtcMicros>,
    /// Last moment of its validity.
    pub valid_until: Option<UtcMicros>,
    /// Kind and size of its key.
    pub key: String,
}

impl Meant for CertificateObject {
    fn read(r: &mut Reader<'_>) -> Self {
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            group: r.object.group.clone(),
            state: r.object.state,
            kind: r.text("certificate_type"),
            private: r.text("private_part").is_some_and(|word| word.eq_ignore_ascii_case("Y")),
            allow_weak: r.flag("allow_weak"),
            comments: r.text_or_empty("comments"),
            noted: CertificateNotes {
                subject: r.text_or_empty("subject_name"),
                alternative_names: r.text_or_empty("subject_alt_name"),
                issuer: r.text_or_empty("issuer_name"),
                serial: r.text_or_empty("serial_number"),
                valid_from: r.text("valid_from").and_then(|text| UtcMicros::parse(&text).ok()),
                valid_until: r.text("valid_until").and_then(|text| UtcMicros::parse(&text).ok()),
                key: r.text_or_empty("key_kind"),
            },
        }
    }
}

/// A stored certificate, as the gateway uses it: its octets, and what its object says of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateEntry {
    /// Number of its object.
    pub id: ObjectId,
    /// Name of its object.
    pub name: String,
    /// Group of its object.
    pub group: String,
    /// Whether it may be used: only `Enabled` may (CERT-17).
    pub state: ObjectState,
    /// `USER`, `INTERMEDIATE`, `ROOT` or `OTHER`.
    pub kind: String,
    /// Whether its private key is in the store.
    pub private: bool,
    /// Who is certified, as the gateway noted it.
    pub subject: String,
    /// Last moment of its validity, as the gateway noted it.
    pub valid_until: Option<UtcMicros>,
    /// SHA-256 of its octets.
    pub fingerprint: [u8; 32],
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// Its octets.
    pub der: Arc<[u8]>,
}
