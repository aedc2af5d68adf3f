//! A frozen gateway: it answers its operators and nobody else, until one of them has looked at what was restored.

use base::UtcMicros;
use db::{Actor, Db, DbError, Direction, Mode, PARKED_OFFER, State, TransferFilter};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::error::TransferError;
use crate::transfer::{Control, db_error};

/// Why the gateway is frozen; an empty text if it is not.
const FROZEN: &str = "frozen";
/// When the database was restored from a backup.
const RESTORED_AT: &str = "restored_at";
/// Parked files that one look takes.
const OFFERS_MAX: u32 = 10_000;

/// What a restore left behind.
#[derive(Debug)]
pub(crate) struct Frost {
    frozen: watch::Sender<String>,
    restored_at: Option<UtcMicros>,
}

impl Frost {
    pub(crate) async fn load(db: &Db) -> Result<Self, DbError> {
        let restored_at = db.meta().get(RESTORED_AT).await?.and_then(|text| text.parse().ok()).map(UtcMicros);
        let why = db.meta().get(FROZEN).await?.unwrap_or_default();
        Ok(Self { frozen: watch::Sender::new(why), restored_at })
    }

    /// Whether the database was ever restored from a backup.
    pub(crate) const fn was_restored(&self) -> bool {
        self.restored_at.is_some()
    }

    /// Whether a record of this time was there when the database was restored: what became of it since is unknown.
    pub(crate) fn is_from_before(&self, created_at: UtcMicros) -> bool {
        self.restored_at.is_some_and(|at| created_at <= at)
    }
}

impl Engine {
    /// Why nothing may run, if so.
    #[must_use]
    pub fn frozen(&self) -> Option<String> {
        Some(self.frost.frozen.borrow().clone()).filter(|why| !why.is_empty())
    }

    /// Waits until the gateway is not frozen.
    pub async fn until_unfrozen(&self) {
        let mut frozen = self.frost.frozen.subscribe();
        // The sender is ours: it can't be gone.
        drop(frozen.wait_for(String::is_empty).await);
    }

    /// Lets a frozen gateway run. With `offer_again` files at partners' disposal that the restore parked are offered
    /// again; gives how many.
    ///
    /// # Errors
    /// If the database fails, or a file changed its state meanwhile.
    pub async fn unfreeze(&self, offer_again: bool, actor: &Actor) -> Result<u64, TransferError> {
        let offered = if offer_again { self.offer_parked(actor).await? } else { 0 };
        self.db.meta().set(FROZEN, "").await.map_err(|e| db_error(&e))?;
        self.frost.frozen.send_replace(String::new());
        self.wake();
        Ok(offered)
    }

    async fn offer_parked(&self, actor: &Actor) -> Result<u64, TransferError> {
        let mut offered = 0_u64;
        loop {
            let filter = TransferFilter {
                states: vec![State::Suspended],
                mode: Some(Mode::Responder),
                direction: Some(Direction::Out),
                ..TransferFilter::default()
            };
            let mut parked = self.db.transfers().list(filter, OFFERS_MAX).await.map_err(|e| db_error(&e))?;
            parked.retain(|t| t.err == PARKED_OFFER);
            if parked.is_empty() {
                return Ok(offered);
            }
            for t in parked {
                self.control(t.id, Control::Restart, actor).await?;
                offered = offered.saturating_add(1);
            }
        }
    }
}
