//! The gateway as partners know it (objects.md section 2).

use base::ObjectId;

use crate::field::{COMMENTS, Field, NameRule, ObjectDescriptor};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::LocalSite,
    title: "local site",
    about: "The gateway itself, as partners know it.",
    name_field: Field::text("alias", 31, "name of the local site").shorts(&["a"]).aliases(&["name"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::text("proto_ident", 25, "identifier in protocols that have one; else the alias").shorts(&["pi"]),
        Field::text("host_name", 255, "name or address under which partners reach the gateway").shorts(&["hn"]),
        Field::text("contact", 255, "whom partners call when something is wrong").shorts(&["ct"]),
        Field::text("calls_from", 255, "addresses that our calls to partners come from").shorts(&["cf"]),
        Field::text("param1", 40, "text of the user's own").shorts(&["p1"]),
        Field::text("param2", 40, "text of the user's own").shorts(&["p2"]),
        COMMENTS,
    ],
    group_field: None,
    state_field: None,
    summary: &["proto_ident", "host_name", "comments"],
};

/// The gateway as partners know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalSite {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Identifier in protocols that have one.
    pub identifier: String,
    /// Name or address under which partners reach it.
    pub host_name: Option<String>,
    /// Whom partners call when something is wrong.
    pub contact: Option<String>,
    /// Addresses that its calls come from.
    pub calls_from: Option<String>,
    /// Texts of the user's own.
    pub parameters: [String; 2],
    /// Free text.
    pub comments: String,
}

impl Meant for LocalSite {
    fn read(r: &mut Reader<'_>) -> Self {
        let name = r.object.name.clone();
        Self {
            id: r.object.id,
            identifier: r.text("proto_ident").unwrap_or_else(|| name.clone()),
            name,
            host_name: r.text("host_name"),
            contact: r.text("contact"),
            calls_from: r.text("calls_from"),
            parameters: [r.text_or_empty("param1"), r.text_or_empty("param2")],
            comments: r.text_or_empty("comments"),
        }
    }
}
