//! Which gate a login comes through, and which site it is (objects.md section 7.2).

use std::sync::Arc;

use base::Alias;

use crate::decision::Decision;
use crate::inbound::Inbound;
use crate::kinds::cgate::Cgate;
use crate::kinds::cgate_group::CgateGroup;
use crate::kinds::remote_site::RemoteSite;
use crate::rights::VfdRight;
use crate::snapshot::Snapshot;

/// The gate of a login, its site, and what the hierarchy of groups grants together. Nothing is proved yet.
#[derive(Clone, Debug)]
pub struct GateMatch<'a> {
    /// The gate.
    pub gate: &'a Arc<Cgate>,
    /// Its groups, the root first.
    pub groups: Vec<&'a Arc<CgateGroup>>,
    /// The site.
    pub site: SiteBinding,
    /// The login, as received.
    pub login: String,
    /// Rights of gate and groups together (OBJ-21).
    pub rights: Vec<VfdRight>,
    /// What the session can't leave.
    pub root_dir: String,
    /// Where it begins; inside the root.
    pub home_dir: String,
    /// Keys of which one must be shown; empty: the profile's trust decides (OBJ-12).
    pub keys: Vec<Alias>,
    /// Group that keys must be in, and that captured ones get.
    pub key_group: Option<String>,
    /// Whether the gate has a password stored.
    pub has_password: bool,
    /// Largest upload in octets.
    pub max_upload_octets: Option<u64>,
    /// Quiet seconds before an uploaded file is routed.
    pub settle_s: u16,
    /// The scp command is served.
    pub scp: bool,
    /// Site that gets the files received, `$(…)` replaced.
    pub route_remote_agent: Option<String>,
}

/// The site of a login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SiteBinding {
    /// A configured site.
    Static(Arc<RemoteSite>),
    /// A site made for this login after a template (OBJ-18).
    Dynamic {
        /// `$S_` and the login.
        name: String,
        /// The template.
        template: Arc<RemoteSite>,
    },
}

impl SiteBinding {
    /// The site's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Static(site) => &site.name,
            Self::Dynamic { name, .. } => name,
        }
    }

    /// The configured site behind it: itself or the template.
    #[must_use]
    pub const fn site(&self) -> &Arc<RemoteSite> {
        match self {
            Self::Static(site) | Self::Dynamic { template: site, .. } => site,
        }
    }
}

/// The gate and site of a login, or why there is none.
pub fn choose_gate<'a>(inbound: &Inbound, protocol: &str, login: &str, s: &'a Snapshot) -> Decision<GateMatch<'a>> {
    let _ = (inbound, protocol, login, s);
    todo!()
}
