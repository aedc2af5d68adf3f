//! Fields of a transfer that have no column of their own.

use base::UtcMicros;
use db::Transfer;
use serde::{Deserialize, Serialize};

use super::Secured;
use crate::fetch::FetchPlan;

/// What a record keeps as `extra_json`. A field that is not known here is kept by no one: all of them are listed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Extra {
    /// The gate that admitted the session (the record's own `gate` is the scope of its folder: the site).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gate: String,
    /// Address of the partner.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// How its last connection was secured; none in clear, and where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secured: Option<Secured>,
    /// Time of change that the sender gave the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<UtcMicros>,
    /// Stays for further downloads (OBJ-24).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub permanent: bool,
    /// A try was about to give the file its final name, and nothing says yet that it did or did not (DESIGN 1.18).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub open_end: bool,
    /// It waits for a person who looks at the partner whether the file has arrived.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub to_verify: bool,
    /// Failed tries after which it is given up; the engine's setting if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_count_max: Option<u32>,
    /// Seconds between tries; doubling waits if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u32>,
    /// Protocol-level originator.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub originator: String,
    /// Protocol-level destination.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub destination: String,
    /// Local path that the file was read from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub local_path: String,
    /// Drop folder that it came from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub drop: String,
    /// What its file is claimed by in the drop folder.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub claim: String,
    /// User's own values, never sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub param1: String,
    /// User's own values, never sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub param2: String,
    /// The partner removed it, or a later upload took its place: it is no longer shown to the partner.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// It was fetched, and is no longer at the partner.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
    /// Counts deliveries of one file that are repeated on purpose.
    #[serde(skip_serializing_if = "is_zero")]
    pub generation: u32,
    /// Commands for the partner's server, before and behind the file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commands: String,
    /// What a request to fetch asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<FetchPlan>,
    /// Where a mounted file is, for records of mounts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mount: String,
}

const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Extra {
    /// Of a record. What does not parse counts as empty: these fields never decide about the content.
    #[must_use]
    pub fn of(transfer: &Transfer) -> Self {
        serde_json::from_str(&transfer.extra_json).unwrap_or_default()
    }

    /// For the record.
    #[must_use]
    pub fn json(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_take_no_room() {
        assert_eq!(Extra::default().json(), "");
        let extra = Extra { gate: "G1".to_owned(), permanent: true, ..Extra::default() };
        assert_eq!(extra.json(), r#"{"gate":"G1","permanent":true}"#);
        assert_eq!(serde_json::from_str::<Extra>(&extra.json()).unwrap(), extra);
    }
}
