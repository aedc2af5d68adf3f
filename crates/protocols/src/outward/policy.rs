//! What a site says of deliveries to it.

use model::{RemoteSite, RenamePolicy, VerifyPolicy};

/// What a site says of deliveries to it.
#[derive(Clone, Copy, Debug)]
pub struct Policies {
    /// When the final name is taken.
    pub existing: Existing,
    /// When nothing tells whether an earlier try arrived.
    pub unclear: Unclear,
}

impl Policies {
    /// Of this site.
    #[must_use]
    pub fn of(site: &RemoteSite) -> Self {
        Self { existing: site.rename_policy.into(), unclear: site.verify_policy.into() }
    }
}

/// What to do when the final name is taken at the partner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    /// The new file takes its place.
    Replace,
    /// It stays, and the delivery fails.
    Keep,
}

/// What to do when nothing tells whether an earlier try has delivered the file (DESIGN 1.18).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unclear {
    /// Fail: a person decides.
    Ask,
    /// Send it again: may double it.
    Resend,
    /// Count it as delivered: may lose it.
    Accept,
}

impl From<RenamePolicy> for Existing {
    fn from(policy: RenamePolicy) -> Self {
        match policy {
            RenamePolicy::Replace => Self::Replace,
            // Numbers are for folders of this machine; a site of another protocol can't have them.
            RenamePolicy::Keep | RenamePolicy::Number => Self::Keep,
        }
    }
}

impl From<VerifyPolicy> for Unclear {
    fn from(policy: VerifyPolicy) -> Self {
        match policy {
            VerifyPolicy::Ask => Self::Ask,
            VerifyPolicy::Resend => Self::Resend,
            VerifyPolicy::Accept => Self::Accept,
        }
    }
}
