//! A bare key as an object; its public part is a [`crate::KeyEntry`], its private part is sealed elsewhere.

use base::ObjectId;

use crate::field::{Field, GROUP, NameRule, ObjectDescriptor, STATES};
use crate::object::{Kind, ObjectState};
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Key,
    title: "key",
    about: "A bare key for SSH, private or public (certificates-and-keys.md 1.3).",
    name_field: Field::text("name", 31, "name of the key").shorts(&["n"]).aliases(&["alias"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::choice("algorithm", ALGORITHMS, "algorithm of the key").shorts(&["algo"]).read_only(),
        Field::choice("type", &["PRIVATE", "PUBLIC"], "whether the private part is in the store")
            .shorts(&["t"])
            .read_only(),
        Field::text("comments", 255, "free text; the partner's name for a captured key").shorts(&["cts"]),
    ],
    group_field: Some(Field { kind: crate::field::FieldKind::Text { max: 31 }, ..GROUP }.shorts(&["g"])),
    state_field: Some(
        Field::choice("state", &["ENABLED", "DISABLED", "TO_CHECK"], "only an enabled key is used")
            .shorts(&["s"])
            .aliases(&["status"])
            .default("ENABLED")
            .synonyms(STATES),
    ),
    summary: &["state", "group", "algorithm", "type", "comments"],
};

/// Names of key algorithms.
pub(crate) const ALGORITHMS: &[&str] = &["RSA", "DSS", "ECDSA_NISTP256", "ECDSA_NISTP384", "ECDSA_NISTP521", "ED25519"];

/// A key as an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyObject {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Whether it may be used.
    pub state: ObjectState,
    /// Its algorithm, as the gateway noted it.
    pub algorithm: Option<String>,
    /// Whether the private part is in the store, as the gateway noted it.
    pub private: bool,
    /// Free text.
    pub comments: String,
}

impl Meant for KeyObject {
    fn read(r: &mut Reader<'_>) -> Self {
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            group: r.object.group.clone(),
            state: r.object.state,
            algorithm: r.text("algorithm"),
            private: r.text("type").is_some_and(|word| word.eq_ignore_ascii_case("PRIVATE")),
            comments: r.text_or_empty("comments"),
        }
    }
}
