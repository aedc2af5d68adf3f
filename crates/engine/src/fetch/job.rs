//! A look into a partner's folder, as the carrier gets it.

use std::fmt;

use base::{TransferId, UtcMicros};
use model::PartnerCommand;

use super::{After, Filter, Intake, Listing};
use crate::vfd::{VPath, is_temporary, text_of};

/// A file in a partner's folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighted {
    /// Its name, as octets.
    pub name: Vec<u8>,
    /// Its octets, if the server tells.
    pub size: Option<u64>,
    /// Its last change, if the server tells.
    pub modified: Option<UtcMicros>,
}

/// A folder at a partner to look into, and what to fetch from it.
#[derive(Debug)]
pub struct FetchJob {
    /// Number of the request.
    pub id: TransferId,
    /// Folder at the partner, as octets; empty for the one its login begins in.
    pub dir_name: Vec<u8>,
    /// The one file that is wanted; none: every one that the filter takes.
    pub name: Option<Vec<u8>>,
    /// Conditions that files must meet.
    pub filter: Filter,
    /// The list of the folder is wanted, and no file.
    pub listing: Option<Listing>,
    /// Commands for the partner's server, before and behind each file.
    pub commands: Vec<PartnerCommand>,
    /// What becomes of a file at the partner when it is received.
    pub after: After,
    /// Where files are received.
    pub intake: Intake,
    /// When the job began.
    pub now: UtcMicros,
}

impl FetchJob {
    /// Whether a file is wanted. Names that partners use while they write are none, and neither are such as no file of
    /// ours may have.
    #[must_use]
    pub fn wants(&self, file: &Sighted) -> bool {
        let name = text_of(&file.name);
        if name.contains('/') || VPath::from_text(&name).map_or(true, |path| path.depth() != 1) {
            tracing::debug!(transfer = self.id.0, file = %base::Shown(&file.name), "no name of a file: left where it is");
            return false;
        }
        match &self.name {
            Some(name) => file.name == *name,
            None => !is_temporary(&name) && self.filter.takes(&name, file, self.now),
        }
    }
}

/// What a look brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fetched {
    /// Files received.
    pub files: u32,
    /// Their octets.
    pub octets: u64,
    /// Files that were received before and are still there.
    pub known: u32,
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, octets, known } = self;
        write!(f, "{files} files of {octets} octets fetched")?;
        if *known > 0 { write!(f, ", {known} were received before") } else { Ok(()) }
    }
}
