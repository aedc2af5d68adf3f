//! Where a received file goes next (transfers.md section 5, objects.md section 10).

use base::{ObjectId, TransferId};

use crate::decision::Decision;
use crate::snapshot::Snapshot;

/// Deepest chain of transfers that rules make, whatever their own limits (OBJ-29).
pub const ROUTE_DEPTH_MAX: u32 = 16;

/// What routing knows of a transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteFacts {
    /// The transfer.
    pub transfer: TransferId,
    /// Its protocol: `SFTP`.
    pub protocol: String,
    /// The partner's site, static or dynamic.
    pub site: String,
    /// The gate it came through; empty for none.
    pub gate: String,
    /// The login it came with; empty for none.
    pub login: String,
    /// Virtual folder it lies in.
    pub dir_name: String,
    /// Its name.
    pub file_name: String,
    /// Its application; empty for none.
    pub appli: String,
    /// Its size in octets.
    pub size: u64,
    /// Who sent it, in the protocol's words; empty if not said.
    pub originator: String,
    /// To whom, in the protocol's words.
    pub destination: Option<String>,
    /// State that asks for routing: `ENDED_ROUTING`.
    pub state: String,
    /// `I` incoming or `O` outgoing.
    pub direction: String,
    /// `I` we called or `R` the partner called.
    pub mode: String,
    /// `TRANS`.
    pub transfer_type: String,
    /// How many transfers made by rules lie before this one.
    pub depth: u32,
    /// Rules that made them, oldest first; may be shorter than `depth` if not all are known.
    pub trail: Vec<ObjectId>,
}

impl Default for RouteFacts {
    /// A file of no size that a partner sent.
    fn default() -> Self {
        let empty = String::new;
        Self {
            transfer: TransferId(0),
            protocol: "SFTP".into(),
            site: empty(),
            gate: empty(),
            login: empty(),
            dir_name: empty(),
            file_name: empty(),
            appli: empty(),
            size: 0,
            originator: empty(),
            destination: None,
            state: "ENDED_ROUTING".into(),
            direction: "I".into(),
            mode: "R".into(),
            transfer_type: "TRANS".into(),
            depth: 0,
            trail: Vec::new(),
        }
    }
}

/// A transfer to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Site that gets the file: an existing static site.
    pub site: String,
    /// Name at the partner.
    pub file_name: String,
    /// Folder at the partner; empty for the one its login begins in.
    pub dir_name: String,
    /// Application.
    pub appli: Option<String>,
    /// What decided, as `DECISION_RULE TO_B` or `CGATE ACME`.
    pub rule: String,
    /// Number of that object.
    pub rule_object: ObjectId,
    /// 0 high, 1 medium, 2 low.
    pub priority: u8,
    /// Both transfers are linked.
    pub link: bool,
    /// Texts of the user's own.
    pub parameters: [String; 2],
}

/// Where a file goes next: by rule and model, else by the gate, its folder or its site. Nothing matched is no refusal but
/// an empty list (route state NOT_ROUTED); a refusal means that routing failed (TRF-14).
pub fn routes_for(facts: &RouteFacts, s: &Snapshot) -> Decision<Vec<Delivery>> {
    let _ = (facts, s);
    todo!()
}
