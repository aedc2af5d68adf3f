//! Transfers: their records, states and steps.

use base::{TransferId, UtcMicros};

use crate::records::{
    CommitReceived, DueQuery, EntryQuery, Inserted, NewTransfer, Step, Transfer, TransferChange, TransferFilter,
};
use crate::state::{RouteState, State};
use crate::{Db, DbError, Pending, Urgency};

/// What routing decided about a received transfer.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The received transfer.
    pub from: TransferId,
    /// New transfers, `route_from` and `payload` set; one that is there already is not doubled.
    pub deliveries: Vec<NewTransfer>,
    /// Route state of the received transfer afterwards.
    pub route_state: RouteState,
    /// Why, as JSON; kept with the received transfer.
    pub why_json: String,
    /// Cause of a failure in words.
    pub err: String,
    /// Now.
    pub at: UtcMicros,
}

/// Transfers of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Transfers<'a>(pub(crate) &'a Db);

impl Transfers<'_> {
    /// A number that no transfer has or had (TRF-2). Almost always at once: numbers are reserved in blocks.
    ///
    /// # Errors
    /// If a block cannot be reserved.
    pub async fn next_id(&self) -> Result<TransferId, DbError> {
        todo!()
    }
    /// Records a transfer; returns when it is durable (TRF-1).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn insert(&self, new: NewTransfer) -> Result<Inserted, DbError> {
        todo!()
    }
    /// Queues a record without waiting: it becomes durable with the next operation that is waited for (which comes
    /// after it), or within 200 ms.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn insert_lazy(&self, new: NewTransfer) -> Result<Pending<Inserted>, DbError> {
        todo!()
    }
    /// Changes a transfer, if it is in an expected state and the new one is permitted (TRF-3). Returns it as changed.
    ///
    /// # Errors
    /// [`DbError::NoTransfer`], [`DbError::Unexpected`], [`DbError::Transition`], [`DbError::RouteTransition`].
    pub async fn apply(&self, change: TransferChange) -> Result<Transfer, DbError> {
        todo!()
    }
    /// As [`Self::apply`], without waiting.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn apply_lazy(&self, change: TransferChange) -> Result<Pending<Transfer>, DbError> {
        todo!()
    }
    /// A received file is whole: payload, record, step and listing in one transaction. An older entry of the name
    /// leaves the listing.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn commit_received(&self, commit: CommitReceived) -> Result<(), DbError> {
        todo!()
    }
    /// Stores what routing decided. Returns the deliveries' numbers, in order; those made before keep theirs.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn route(&self, routing: Routing) -> Result<Vec<TransferId>, DbError> {
        todo!()
    }
    /// Received transfers that wait for routing, oldest first, whose settle time is over.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn to_route(&self, now: UtcMicros, limit: u32) -> Result<Vec<Transfer>, DbError> {
        todo!()
    }
    /// Takes initiator transfers whose turn has come: by priority, then number. They become PROCESSING and belong to
    /// `node` until `lease_until`, in the same transaction, so that no two takers get one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_due(&self, query: DueQuery) -> Result<Vec<Transfer>, DbError> {
        todo!()
    }
    /// Sites with waiting initiator transfers and the moment the first may be tried.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn due_sites(&self) -> Result<Vec<(String, UtcMicros)>, DbError> {
        todo!()
    }
    /// After a start: what was running when this node stopped becomes TO RESTART (initiator) or INTERRUPTED
    /// (responder), never ENDED (TRF-4). Returns these.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn recover(&self, node: &str, now: UtcMicros) -> Result<Vec<TransferId>, DbError> {
        todo!()
    }
    /// One transfer.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(&self, id: TransferId) -> Result<Option<Transfer>, DbError> {
        todo!()
    }
    /// Transfers, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(&self, filter: TransferFilter, limit: u32) -> Result<Vec<Transfer>, DbError> {
        todo!()
    }
    /// Steps of a transfer, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn steps(&self, id: TransferId) -> Result<Vec<Step>, DbError> {
        todo!()
    }
    /// Transfers that forward this one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn routed_to(&self, id: TransferId) -> Result<Vec<TransferId>, DbError> {
        todo!()
    }
    /// Listed entries of a folder in order of name, the newest record of a name first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn entries(&self, query: EntryQuery) -> Result<Vec<Transfer>, DbError> {
        todo!()
    }
    /// How many transfers are in each state that is not an end.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn live_counts(&self) -> Result<Vec<(State, i64)>, DbError> {
        todo!()
    }
}
