//! A revocation list as an object; its octets are a [`CrlEntry`].

use std::sync::Arc;

use base::{ObjectId, UtcMicros};

use crate::field::{Field, NameRule, ObjectDescriptor, STATE};
use crate::object::{Kind, ObjectState};
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Crl,
    title: "revocation list",
    about: "A list of certificates that their authority has revoked (RFC 5280 section 5).",
    name_field: Field::text("crl_name", 31, "name of the revocation list").aliases(&["name"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::text("comments", 255, "free text").shorts(&["cts"]),
        Field::text("issuer_name", 512, "the authority that wrote it").shorts(&["cin"]).read_only(),
        Field::text("this_update", 40, "when it was written").read_only(),
        Field::text("next_update", 40, "when the next one is due").read_only(),
        Field::text("crl_number", 80, "its number").read_only(),
        Field::int("revoked", (0, i64::MAX), "", "how many certificates it revokes").read_only(),
    ],
    group_field: None,
    state_field: Some(STATE),
    summary: &["state", "next_update", "revoked", "issuer_name"],
};

/// A revocation list as an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrlObject {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Whether it is looked at.
    pub state: ObjectState,
    /// Free text.
    pub comments: String,
    /// Its authority, as the gateway noted it.
    pub issuer: String,
    /// When it was written, as the gateway noted it.
    pub this_update: Option<UtcMicros>,
    /// When the next one is due, as the gateway noted it.
    pub next_update: Option<UtcMicros>,
    /// Its number, as the gateway noted it.
    pub number: Option<String>,
    /// How many certificates it revokes, as the gateway noted it.
    pub revoked: Option<i64>,
}

impl Meant for CrlObject {
    fn read(r: &mut Reader<'_>) -> Self {
        let time = |text: Option<String>| text.and_then(|text| UtcMicros::parse(&text).ok());
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            state: r.object.state,
            comments: r.text_or_empty("comments"),
            issuer: r.text_or_empty("issuer_name"),
            this_update: time(r.text("this_update")),
            next_update: time(r.text("next_update")),
            number: r.text("crl_number"),
            revoked: r.int_given("revoked"),
        }
    }
}

/// A stored revocation list, as the gateway uses it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrlEntry {
    /// Number of its object.
    pub id: ObjectId,
    /// Name of its object.
    pub name: String,
    /// Whether it is looked at.
    pub state: ObjectState,
    /// Its octets.
    pub der: Arc<[u8]>,
}
