//! A group of gates: port and address it serves, template site, and what its gates share (objects.md 7.1).

use base::ObjectId;

use super::addresses::{AddressPattern, CallingRule, PortSet};
use super::transfer_rates::{DOWNLOAD_RATE, DOWNLOAD_REQUESTS, TransferRates, UPLOAD_RATE, UPLOAD_REQUESTS};
use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};
use crate::rights::VfdRight;

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::CgateGroup,
    title: "gate group",
    about: "Gates of one port, or other groups, with what they share.",
    name_field: Field::text("name", 32, "name of the group").shorts(&["n"]).aliases(&["cgg_name"]).required(),
    name_rule: NameRule::Word { max: 32 },
    fields: &[
        Field::new("parent_group", FieldKind::Ref(Kind::CgateGroup), "group that this one is in")
            .shorts(&["pg"])
            .aliases(&["cgg_parent_group", "group"]),
        Field::choice("protocol", super::PARTNER_PROTOCOLS, "protocol of the logins; the parent's, or SFTP")
            .shorts(&["pr"])
            .aliases(&["cgg_protocol"]),
        Field::text("sap", 255, "ports called: *, 22, 2200:2299, several parted by spaces; the parent's, or *")
            .aliases(&["cgg_sap"]),
        Field::text("called_addr", 64, "pattern of our address that was called; the parent's, or *")
            .shorts(&["cedad"])
            .aliases(&["cgg_called_addr"]),
        Field::new("template_site", FieldKind::Ref(Kind::RemoteSite), "template of the sites that logins get")
            .shorts(&["ts"])
            .aliases(&["cgg_template_site"])
            .detail("without one, a site must match the login; $(LOGIN_USER) is replaced"),
        CALLING,
        HOME_DIR,
        ROOT_DIR,
        VFD_RIGHT,
        MAX_UPLOAD,
        UPLOAD_RATE,
        UPLOAD_REQUESTS,
        DOWNLOAD_RATE,
        DOWNLOAD_REQUESTS,
        PARAM1,
        PARAM2,
        COMMENTS,
    ],
    group_field: None,
    state_field: Some(STATE.aliases(&["cgg_state"])),
    summary: &["parent_group", "protocol", "sap", "called_addr", "template_site", "state"],
};

pub(crate) const CALLING: Field = Field::new(
    "calling_addr",
    FieldKind::List { max: 64, choices: None },
    "addresses of callers: pattern:A allows, pattern:D denies",
)
.shorts(&["cinga"])
.aliases(&["cg_calling_addr", "cgg_calling_addr"])
.separators(" \t,;")
.detail("the best match in a list decides; the list nearest the root is looked at first; a network is 10.0.0.0/8:A");
pub(crate) const HOME_DIR: Field = Field::text("home_dir", 255, "virtual folder a session begins in")
    .shorts(&["hd"])
    .aliases(&["cg_home_dir", "cgg_home_dir"])
    .detail("$(LOGIN_USER) is replaced; the value nearest the root wins");
pub(crate) const ROOT_DIR: Field = Field::text("root_dir", 255, "virtual folder that a session can't leave")
    .shorts(&["rd"])
    .aliases(&["cg_root_dir", "cgg_root_dir"])
    .detail("$(LOGIN_USER) is replaced; the value nearest the root wins");
pub(crate) const VFD_RIGHT: Field = Field::new(
    "vfd_right",
    FieldKind::List { max: 300, choices: None },
    "rights: path:file pattern:RWD:LCR:Y|N",
)
.shorts(&["vr"])
.aliases(&["cg_vfd_right", "cgg_vfd_right"])
.separators(";\n")
.detail("files: R read, W write, D delete; folders: L list, C create, R remove; Y for folders below too; all add up");
pub(crate) const MAX_UPLOAD: Field =
    Field::int("max_upload_file_size", (0, 1_000_000_000), "MB", "largest file a partner may send; 0 for any")
        .aliases(&["cg_max_upload_file_size", "cgg_max_upload_file_size"])
        .detail("the value nearest the root wins");
pub(crate) const PARAM1: Field = Field::text("user_param1", 40, "text of the user's own").shorts(&["up1"]);
pub(crate) const PARAM2: Field = Field::text("user_param2", 40, "text of the user's own").shorts(&["up2"]);

/// What groups and gates both have, to be merged.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shared {
    /// Who may call.
    pub calling: Vec<CallingRule>,
    /// Where a session begins.
    pub home_dir: Option<String>,
    /// What a session can't leave.
    pub root_dir: Option<String>,
    /// Rights in virtual folders.
    pub rights: Vec<VfdRight>,
    /// Largest upload in octets; `Some(0)` stands for any.
    pub max_upload_octets: Option<u64>,
    /// How much in a minute.
    pub rates: TransferRates,
    /// Texts of the user's own.
    pub parameters: [String; 2],
}

/// A group of gates or of groups.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CgateGroup {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Group it is in.
    pub parent: Option<String>,
    /// Protocol, if stated here.
    pub protocol: Option<String>,
    /// Ports called, if stated here.
    pub ports: Option<PortSet>,
    /// Our address, if stated here.
    pub called: Option<AddressPattern>,
    /// Template of dynamic sites, if stated here.
    pub template_site: Option<String>,
    /// What its gates share.
    pub shared: Shared,
    /// Free text.
    pub comments: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Why it can't be used: logins that come to it are refused.
    pub broken: Option<String>,
}

impl Meant for CgateGroup {
    fn read(r: &mut Reader<'_>) -> Self {
        let ports = r
            .text("sap")
            .and_then(|text| PortSet::parse(&text).map_err(|wrong| r.error("sap", wrong, "correct the ports")).ok());
        let called = r.text("called_addr").and_then(|text| {
            let parsed = AddressPattern::parse(&text, base::QuestionMark::One);
            parsed.map_err(|wrong| r.error("called_addr", wrong, "give a pattern or a network")).ok()
        });
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            parent: r.text("parent_group"),
            protocol: r.text("protocol").map(|p| p.to_ascii_uppercase()),
            ports,
            called,
            template_site: r.text("template_site"),
            shared: shared(r),
            comments: r.text_or_empty("comments"),
            enabled: r.enabled(),
            broken: r.broken(),
        }
    }
}

/// Reads what groups and gates both have.
pub(crate) fn shared(r: &mut Reader<'_>) -> Shared {
    let mut shared = Shared {
        home_dir: r.text("home_dir"),
        root_dir: r.text("root_dir"),
        max_upload_octets: r.int_given::<u64>("max_upload_file_size").map(|mb| mb.saturating_mul(1_000_000)),
        rates: TransferRates::read(r),
        parameters: [r.text_or_empty("user_param1"), r.text_or_empty("user_param2")],
        ..Shared::default()
    };
    for text in r.list("calling_addr") {
        match CallingRule::parse(&text) {
            Ok(rule) => shared.calling.push(rule),
            Err(wrong) => r.error("calling_addr", wrong, "correct the entry"),
        }
    }
    for text in r.list("vfd_right") {
        match VfdRight::parse(&text) {
            Ok(right) => shared.rights.push(right),
            Err(wrong) => r.error("vfd_right", wrong, "write it as /folder:*:RWD:LCR:Y"),
        }
    }
    for (name, path) in [("home_dir", &shared.home_dir), ("root_dir", &shared.root_dir)] {
        if let Some(path) = path {
            super::check_folder(r, name, path);
        }
    }
    shared
}
