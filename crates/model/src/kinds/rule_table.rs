//! Decision rules in order, and the transfers they look at (objects.md section 10.1).

use base::ObjectId;

use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::RuleTable,
    title: "rule table",
    about: "Decision rules in order; the first that fits acts.",
    name_field: Field::text("name", 26, "name of the table").shorts(&["n"]).required(),
    name_rule: NameRule::Word { max: 26 },
    fields: &[
        Field::choice("type", &["XFER_CHANGE_STATE"], "what sets the table going")
            .shorts(&["t"])
            .default("XFER_CHANGE_STATE"),
        Field::flag("active", "Y", "the table is looked at").shorts(&["act"]),
        Field::new("rules", FieldKind::RefList(Kind::DecisionRule, 1000), "decision rules in order").shorts(&["rl"]),
        Field::new("default_model", FieldKind::Ref(Kind::TransferModel), "model applied when no rule fits")
            .shorts(&["dm"])
            .aliases(&["default_action"]),
        Field::int("position", (1, 9999), "", "tables are looked at in this order, then by name")
            .shorts(&["pos"])
            .default("100"),
        restriction("state", STATES, "states of the transfer").default("ENDED_ROUTING"),
        restriction("direction", &["I", "O"], "directions: I incoming, O outgoing")
            .default("I")
            .detail("with O a rule sees the transfers it makes itself: loop_max of the rule bounds that"),
        restriction("mode", &["I", "R"], "modes: I we called, R the partner called"),
        restriction("transfer_type", &["TRANS"], "types of transfer: TRANS"),
        restriction("protocol", &["SFTP", "FTP", super::real_folder::FOLDER], "protocols"),
        Field::int("log_level", (0, 2), "", "0 nothing, 1 rules that do not fit, 2 every condition")
            .shorts(&["ll"])
            .default("1"),
        COMMENTS,
    ],
    group_field: None,
    state_field: None,
    summary: &["type", "active", "position", "rules"],
};

const STATES: &[&str] = &["ENDED_ROUTING", "CANCELLED_ROUTING", "ENDED", "CANCELLED", "ACKNOWLEDGED", "REFUSED"];

const fn restriction(name: &'static str, words: &'static [&'static str], help: &'static str) -> Field {
    Field::new(name, FieldKind::List { max: 16, choices: Some(words) }, help).detail("none: all")
}

/// Decision rules in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleTable {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// `XFER_CHANGE_STATE`.
    pub table_type: String,
    /// Whether it is looked at.
    pub active: bool,
    /// Names of its rules.
    pub rules: Vec<String>,
    /// Model applied when no rule fits.
    pub default_model: Option<String>,
    /// Order among tables.
    pub position: u16,
    /// Which transfers it looks at; an empty list is all.
    pub only: TableLimits,
    /// 0 to 2.
    pub log_level: u8,
    /// Free text.
    pub comments: String,
}

/// Which transfers a table looks at; an empty list is all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TableLimits {
    /// States.
    pub states: Vec<String>,
    /// Directions.
    pub directions: Vec<String>,
    /// Modes.
    pub modes: Vec<String>,
    /// Types of transfer.
    pub types: Vec<String>,
    /// Protocols.
    pub protocols: Vec<String>,
}

impl Meant for RuleTable {
    fn read(r: &mut Reader<'_>) -> Self {
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            table_type: r.text_or_empty("type").to_ascii_uppercase(),
            active: r.flag("active"),
            rules: r.list("rules"),
            default_model: r.text("default_model"),
            position: r.int("position"),
            only: TableLimits {
                states: upper(r, "state"),
                directions: upper(r, "direction"),
                modes: upper(r, "mode"),
                types: upper(r, "transfer_type"),
                protocols: upper(r, "protocol"),
            },
            log_level: r.int("log_level"),
            comments: r.text_or_empty("comments"),
        }
    }
}

fn upper(r: &mut Reader<'_>, name: &'static str) -> Vec<String> {
    r.list(name).iter().map(|word| word.to_ascii_uppercase()).collect()
}
