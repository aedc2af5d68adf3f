//! How a file is treated (objects.md section 4), as far as SFTP needs it.

use base::ObjectId;

use crate::field::{COMMENTS, Field, GROUP, NameRule, ObjectDescriptor};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Application,
    title: "application",
    about: "How a kind of file is treated.",
    name_field: Field::text("name", 16, "name of the application").shorts(&["n"]).aliases(&["appli"]).required(),
    name_rule: NameRule::Word { max: 16 },
    fields: &[
        Field::choice("direction_allowed", &["I", "O", "B"], "incoming, outgoing, both").shorts(&["da"]).default("B"),
        Field::text("local_dir_name", 127, "virtual folder of files that partners fetch").shorts(&["ldn"]),
        Field::text("local_file_name", 255, "name of files that partners fetch").shorts(&["lfn"]),
        Field::text("remote_dir_name", 255, "folder at the partner for files we deliver").shorts(&["rdn"]),
        Field::text("remote_file_name", 255, "name at the partner of files we deliver").shorts(&["rfn"]),
        Field::text("param1", 40, "text of the user's own").shorts(&["p1"]),
        Field::text("param2", 40, "text of the user's own").shorts(&["p2"]),
        COMMENTS,
    ],
    group_field: Some(GROUP),
    state_field: None,
    summary: &["direction_allowed", "group", "comments"],
};

/// Directions that an application allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransferDirections {
    /// To us.
    In,
    /// From us.
    Out,
    /// Both.
    Both,
}

impl TransferDirections {
    /// Whether files may come in.
    #[must_use]
    pub const fn incoming(self) -> bool {
        matches!(self, Self::In | Self::Both)
    }

    /// Whether files may go out.
    #[must_use]
    pub const fn outgoing(self) -> bool {
        matches!(self, Self::Out | Self::Both)
    }
}

/// How a kind of file is treated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Application {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Name space: must be the site's (OBJ-9).
    pub group: String,
    /// Directions allowed.
    pub directions: TransferDirections,
    /// Virtual folder of files that partners fetch.
    pub local_dir_name: Option<String>,
    /// Name of files that partners fetch.
    pub local_file_name: Option<String>,
    /// Folder at the partner.
    pub remote_dir_name: Option<String>,
    /// Name at the partner.
    pub remote_file_name: Option<String>,
    /// Texts of the user's own.
    pub parameters: [String; 2],
    /// Free text.
    pub comments: String,
}

impl Meant for Application {
    fn read(r: &mut Reader<'_>) -> Self {
        use TransferDirections::{Both, In, Out};
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            group: r.object.group.clone(),
            directions: r.choice("direction_allowed", &[("I", In), ("O", Out), ("B", Both)], Both),
            local_dir_name: r.text("local_dir_name"),
            local_file_name: r.text("local_file_name"),
            remote_dir_name: r.text("remote_dir_name"),
            remote_file_name: r.text("remote_file_name"),
            parameters: [r.text_or_empty("param1"), r.text_or_empty("param2")],
            comments: r.text_or_empty("comments"),
        }
    }
}
