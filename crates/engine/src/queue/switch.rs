//! Starting and stopping sites in memory (OBJ-7, OBJ-8).

use super::scheduler::rules_of;
use super::sites::SiteStatus;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::sync::lock;
use crate::transfer::db_error;

const BY_OPERATOR: &str = "stopped by an operator";

impl Engine {
    /// Calls a site again: counters are zero and waiting transfers are looked at at once. Lost at restart (OBJ-8).
    ///
    /// # Errors
    /// [`Cause::NotFound`].
    pub async fn start_site(&self, site: &str) -> Result<(), TransferError> {
        self.known_site(site)?;
        self.switch_everywhere(site, true, "").await?;
        lock(&self.queue.sites).start(site);
        self.queue.wake();
        self.events.emit(Event::SiteSwitched { site: site.to_owned(), active: true, text: "started".to_owned() });
        Ok(())
    }

    /// No new connections to a site; running transfers finish. Lost at restart (OBJ-8).
    ///
    /// # Errors
    /// [`Cause::NotFound`].
    pub async fn stop_site(&self, site: &str) -> Result<(), TransferError> {
        self.known_site(site)?;
        self.switch_everywhere(site, false, BY_OPERATOR).await?;
        lock(&self.queue.sites).stop(site, BY_OPERATOR);
        self.events.emit(Event::SiteSwitched { site: site.to_owned(), active: false, text: "stopped".to_owned() });
        Ok(())
    }

    async fn switch_everywhere(&self, site: &str, active: bool, text: &str) -> Result<(), TransferError> {
        match self.node.is_shared() {
            true => self.db.nodes().switch_site(site, active, text).await.map_err(|e| db_error(&e)),
            false => Ok(()),
        }
    }

    /// How a site stands.
    #[must_use]
    pub fn site_status(&self, site: &str) -> SiteStatus {
        let callable = rules_of(&self.snapshot(), site).is_some_and(|r| r.callable);
        lock(&self.queue.sites).status(site, callable, self.clock.monotonic())
    }

    /// How every configured site stands, by name.
    #[must_use]
    pub fn sites_status(&self) -> Vec<(String, SiteStatus)> {
        let snapshot = self.snapshot();
        let mut all: Vec<_> = snapshot.sites().map(|s| (s.name.clone(), self.site_status(&s.name))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Connections to partners now, as initiator.
    #[must_use]
    pub fn outgoing_connections(&self) -> u32 {
        lock(&self.queue.sites).connections()
    }

    fn known_site(&self, site: &str) -> Result<(), TransferError> {
        match self.snapshot().site(site) {
            Some(_) => Ok(()),
            None => {
                let text = format!("site {} does not exist: create it, or name another", base::Shown::from(site));
                Err(TransferError::refuse(Cause::NotFound, text))
            }
        }
    }
}
