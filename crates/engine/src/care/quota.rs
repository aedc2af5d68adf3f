//! How much a partner may have stored here.

use db::UsageScope;

use crate::admit::Admitted;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::sync::lock;
use crate::transfer::db_error;

/// One limit that an upload has to keep.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Quota {
    scope: UsageScope,
    name: String,
    files: Option<u64>,
    octets: Option<u64>,
}

impl Engine {
    /// The limits for uploads of this session; usually none.
    pub(crate) fn quotas(&self, who: &Admitted) -> Vec<Quota> {
        let snapshot = self.snapshot();
        let site = snapshot.site(&who.site).map(|site| (UsageScope::Site, &who.site, site.stored));
        let gate = snapshot.cgate(&who.gate).map(|gate| (UsageScope::Gate, &who.gate, gate.stored));
        let limited = [site, gate].into_iter().flatten().filter(|(_, _, limits)| limits.limits_uploads());
        limited
            .map(|(scope, name, limits)| Quota {
                scope,
                name: name.clone(),
                files: limits.files,
                octets: limits.octets,
            })
            .collect()
    }

    /// Octets that are left for one more file; `None` without a limit. Uploads that are open count with what has come.
    ///
    /// # Errors
    /// [`Cause::Quota`] if there may be no further file, or no further octet.
    pub(crate) async fn room(&self, quotas: &[Quota], site: &str) -> Result<Option<u64>, TransferError> {
        let mut room: Option<u64> = None;
        for quota in quotas {
            let used = self.db.usage().of(quota.scope, &quota.name).await.map_err(|e| db_error(&e))?;
            let (open_files, open_octets) = self.open_uploads(site);
            let files = used.in_files.unsigned_abs().saturating_add(open_files);
            let octets = used.in_octets.unsigned_abs().saturating_add(open_octets);
            if quota.files.is_some_and(|max| files >= max) {
                return Err(full(quota, &format!("{files} files are stored or on their way")));
            }
            if let Some(max) = quota.octets {
                let left = max.checked_sub(octets).filter(|left| *left > 0);
                let left = left.ok_or_else(|| full(quota, &format!("{octets} octets are stored or on their way")))?;
                room = Some(room.map_or(left, |room| room.min(left)));
            }
        }
        Ok(room)
    }

    /// Whether a file of `size` octets may be committed: what others have committed meanwhile counts.
    ///
    /// # Errors
    /// [`Cause::Quota`].
    pub(crate) async fn fits(&self, quotas: &[Quota], size: u64) -> Result<(), TransferError> {
        for quota in quotas {
            let used = self.db.usage().of(quota.scope, &quota.name).await.map_err(|e| db_error(&e))?;
            if quota.files.is_some_and(|max| used.in_files.unsigned_abs() >= max) {
                return Err(full(quota, &format!("{} files are stored", used.in_files)));
            }
            if quota.octets.is_some_and(|max| used.in_octets.unsigned_abs().saturating_add(size) > max) {
                return Err(full(quota, &format!("{} octets are stored, and this file has {size}", used.in_octets)));
            }
        }
        Ok(())
    }

    /// Uploads of a site that are open, and their octets.
    fn open_uploads(&self, site: &str) -> (u64, u64) {
        let open = lock(&self.uploads);
        let sizes = open.iter().filter(|((of, _), _)| of == site).map(|(_, slot)| slot.size());
        sizes.fold((0, 0), |(files, octets), size| (files.saturating_add(1), octets.saturating_add(size)))
    }
}

fn full(quota: &Quota, found: &str) -> TransferError {
    let kind = if quota.scope == UsageScope::Site { "site" } else { "gate" };
    let text = format!(
        "{found} of {kind} {}, its limit is reached: raise max_stored_files or max_stored_size, or purge",
        base::Shown::from(quota.name.as_str())
    );
    TransferError::refuse(Cause::Quota, text)
}
