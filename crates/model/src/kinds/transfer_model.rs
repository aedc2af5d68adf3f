//! What a transfer made by a rule looks like (objects.md section 5).

use base::ObjectId;

use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor};
use crate::object::Kind;
use crate::read::{Meant, Reader};
use crate::variables;

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::TransferModel,
    title: "model",
    about: "What a transfer made by a rule looks like; &(name) is replaced from the transfer that caused it.",
    name_field: Field::text("name", 25, "name of the model").shorts(&["n"]).aliases(&["model"]).required(),
    name_rule: NameRule::Word { max: 25 },
    fields: &[
        Field::new("dest_alias", FieldKind::Ref(Kind::RemoteSite), "site that gets the file")
            .shorts(&["da"])
            .detail("may hold variables, such as &(destination)"),
        Field::text("remote_agent", 63, "site that gets the file where dest_alias is not given").shorts(&["ra"]),
        Field::text("file_name", 255, "name at the partner; the application's or the file's own where none is given")
            .shorts(&["fn"])
            .aliases(&["file_component"]),
        Field::text("dir_name", 255, "folder at the partner; the site's where none is given").shorts(&["dn"]),
        Field::new("appli", FieldKind::Ref(Kind::Application), "application of the new transfer").shorts(&["ap"]),
        Field::int("priority", (0, 2), "", "0 high, 1 medium, 2 low").shorts(&["prio"]).default("1"),
        Field::text("param1", 40, "text of the user's own, never sent").shorts(&["p1"]),
        Field::text("param2", 40, "text of the user's own, never sent").shorts(&["p2"]),
        COMMENTS,
    ],
    group_field: None,
    state_field: None,
    summary: &["dest_alias", "file_name", "dir_name", "appli"],
};

/// What a transfer made by a rule looks like. Texts may hold variables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferModel {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Site that gets the file.
    pub destination: String,
    /// Name at the partner.
    pub file_name: Option<String>,
    /// Folder at the partner.
    pub dir_name: Option<String>,
    /// Application of the new transfer.
    pub appli: Option<String>,
    /// 0 high, 1 medium, 2 low.
    pub priority: u8,
    /// Texts of the user's own.
    pub parameters: [String; 2],
    /// Free text.
    pub comments: String,
}

impl Meant for TransferModel {
    fn read(r: &mut Reader<'_>) -> Self {
        let (alias, agent) = (r.text("dest_alias"), r.text("remote_agent"));
        let destination = alias.or(agent).unwrap_or_default();
        if destination.is_empty() {
            r.error("dest_alias", "a model names the site that gets the file", "give dest_alias or remote_agent");
        }
        let model = Self {
            id: r.object.id,
            name: r.object.name.clone(),
            destination,
            file_name: r.text("file_name"),
            dir_name: r.text("dir_name"),
            appli: r.text("appli"),
            priority: r.int("priority"),
            parameters: [r.text_or_empty("param1"), r.text_or_empty("param2")],
            comments: r.text_or_empty("comments"),
        };
        let texts = [
            ("dest_alias", model.destination.as_str()),
            ("file_name", model.file_name.as_deref().unwrap_or_default()),
            ("dir_name", model.dir_name.as_deref().unwrap_or_default()),
            ("appli", model.appli.as_deref().unwrap_or_default()),
        ];
        for (field, text) in texts {
            if let Err(wrong) = variables::check(text) {
                r.error(field, wrong, format!("use some of {}", variables::names()));
            }
        }
        model
    }
}
