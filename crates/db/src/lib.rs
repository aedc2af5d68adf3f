//! The database: objects, their history and audit; transfers, payload records, captures, lock-out.
//!
//! One task writes. It gathers operations into a transaction, each in a savepoint of its own, and answers each caller
//! after the commit, so that what a caller was told survives a crash. Reads use a small pool beside it.

use std::sync::{Arc, PoisonError, RwLock};

use base::{Clock, UtcMicros};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::ids::Ids;
use crate::open::{Address, Pool};
use crate::sql::Conn;
use crate::writer::Queue;

mod alarms;
mod audit;
mod audit_chain;
mod backup;
mod captures;
mod error;
mod events;
mod fault;
#[cfg(test)]
mod faults;
mod hooks;
mod ids;
mod listen;
mod logins;
mod migrate;
mod nodes;
mod object_followers;
mod object_sets;
mod object_writes;
mod objects;
mod open;
mod overview;
mod payloads;
#[cfg(any(test, feature = "faults"))]
mod plans;
mod records;
mod restored;
mod retention;
mod sealed;
mod sql;
mod state;
mod tally;
mod transfer_rows;
mod transfer_writes;
mod transfers;
mod unanswered;
mod uploads;
mod usage;
mod writer;

pub use alarms::{Alarm, Alarms, NewAlarm, OPEN_ALARMS_MAX};
pub use audit::{Actor, Audit, AuditFault, AuditFilter, AuditReport, AuditResult, AuditRow, Entry};
pub use backup::{Backups, CopiedPayload, CopyFacts, look_into, users_in_copy};
pub use captures::{Cap, CaptureCaps, CaptureOutcome, CaptureRow, Captures, NewCapture};
pub use error::{DbError, Referrer};
pub use events::{Event, Events, Outbox};
#[cfg(any(test, feature = "faults"))]
pub use fault::{Fault, Faults};
pub use hooks::{HookEnd, HookEvent, HookRun, HookRuns};
pub use logins::{BlockPolicy, LoginBlocks, Meta, SeenKey, SeenKeys};
pub use nodes::{NewNode, NodeRow, NodeState, Nodes, Notice, SiteSwitch, TakenOver};
pub use object_sets::{CHANGES_MAX, ChangeSet, ObjectChange};
pub use objects::{Change, CredentialRow, Credentials, Deletion, HistoryRow, NewCredential, NewObject, Objects};
pub use overview::{LOOKED_AT_MAX, Overview, Overviews, SuspendedSum};
pub use payloads::{INLINE_OCTETS_MAX, Payloads};
#[cfg(any(test, feature = "faults"))]
pub use plans::{Planned, Plans};
pub use records::{
    CommitReceived, DueQuery, EntryQuery, Inserted, NewPayload, NewTransfer, Outcome, Payload, PayloadBody,
    PayloadState, Step, Transfer, TransferChange, TransferFilter,
};
pub use restored::{NUMBERS_LEFT_OUT, PARKED_OFFER, Reconciled, RestoreFacts};
pub use retention::{EndedAfter, Retention};
pub use sealed::{SealedKind, SealedValue, SealedValues};
pub use state::{Direction, Mode, RouteState, State, TradeState, TransferType, full_state};
pub use tally::{Counted, Tallies, Tally};
pub use transfers::{Routing, Transfers};
pub use uploads::StoreUploads;
pub use usage::{Usage, UsageScope, Usages};
pub use writer::Pending;
use writer::Urgency;

/// How to open a database.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// Path of a SQLite file, or `postgres://user:password@host/name`.
    pub url: String,
    /// Where times of history and audit come from.
    pub clock: Arc<dyn Clock>,
}

/// An open database. Clones are the same database.
#[derive(Clone, Debug)]
pub struct Db {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    address: Address,
    readers: Pool,
    /// None once closed.
    queue: RwLock<Option<Queue>>,
    /// Tells that the writing thread has ended.
    writer: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
    transfer_ids: Ids,
    payload_ids: Ids,
}

impl Db {
    /// Opens a database, makes it if it is not there, and brings its schema up to date. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`DbError::Open`], [`DbError::Newer`], [`DbError::MigrationChanged`], [`DbError::Locked`].
    pub async fn open(options: DbOptions) -> Result<Self, DbError> {
        let address = Address::parse(&options.url)?;
        Self::open_at(options, address).await
    }

    /// As [`Db::open`], with statements that fail when a test asks for it.
    ///
    /// # Errors
    /// As there.
    #[cfg(any(test, feature = "faults"))]
    pub async fn open_with_faults(options: DbOptions, faults: &Faults) -> Result<Self, DbError> {
        let address = Address::parse(&options.url)?.with_faults(faults);
        Self::open_at(options, address).await
    }

    async fn open_at(options: DbOptions, address: Address) -> Result<Self, DbError> {
        let failed = |cause: String| open::open_error(&options.url, &cause);
        let pool = address.writer()?;
        let mut conn = pool.acquire().await.map_err(|e| failed(e.to_string()))?;
        let now = options.clock.now();
        let copied = match address.file() {
            Some(file) => migrate::copy_before(&mut conn, file, now).await,
            // Its own means are better, and may not be ours to use.
            None => Ok(()),
        };
        let migrated = match copied {
            Ok(()) => migrate::migrate(&mut conn, now).await,
            Err(error) => Err(error),
        };
        conn.discard().await;
        pool.close().await;
        migrated?;
        let readers = address.readers();
        let (queue, ended) = writer::start(address.clone()).map_err(|e| failed(e.to_string()))?;
        let inner = Inner {
            clock: options.clock,
            address,
            readers,
            queue: RwLock::new(Some(queue)),
            writer: tokio::sync::Mutex::new(Some(ended)),
            transfer_ids: Ids::of("next_transfer_id"),
            payload_ids: Ids::of("next_payload_id"),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes what is queued and closes all connections. Operations of other clones then fail with
    /// [`DbError::Closed`].
    pub async fn close(&self) {
        drop(self.inner.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(ended) = self.inner.writer.lock().await.take()
            && ended.await.is_err()
        {
            tracing::error!("the thread that writes to the database died");
        }
        self.inner.readers.close().await;
    }

    /// Whether the database answers (readiness).
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), DbError> {
        self.inner.readers.row("SELECT value FROM meta WHERE key = $1", sql::args!["ping"]).await.map(drop)
    }

    fn now(&self) -> UtcMicros {
        self.inner.clock.now()
    }

    fn read(&self) -> &Pool {
        &self.inner.readers
    }

    /// Queues a write.
    async fn submit<T, F>(&self, urgency: Urgency, op: F) -> Result<Pending<T>, DbError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, DbError>> + Send + 'static,
    {
        let queue = self.inner.queue.read().unwrap_or_else(PoisonError::into_inner).clone();
        queue.ok_or(DbError::Closed)?.send(urgency, op).await
    }

    /// Writes, and waits for the commit.
    async fn write<T, F>(&self, op: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, DbError>> + Send + 'static,
    {
        self.submit(Urgency::Now, op).await?.done().await
    }

    /// Configured objects.
    #[must_use]
    pub const fn objects(&self) -> Objects<'_> {
        Objects(self)
    }
    /// Keys.
    #[must_use]
    pub const fn credentials(&self) -> Credentials<'_> {
        Credentials(self)
    }
    /// Captured keys.
    #[must_use]
    pub const fn captures(&self) -> Captures<'_> {
        Captures(self)
    }
    /// The audit.
    #[must_use]
    pub const fn audit(&self) -> Audit<'_> {
        Audit(self)
    }
    /// Transfers.
    #[must_use]
    pub const fn transfers(&self) -> Transfers<'_> {
        Transfers(self)
    }
    /// Stored contents.
    #[must_use]
    pub const fn payloads(&self) -> Payloads<'_> {
        Payloads(self)
    }
    /// Lock-out.
    #[must_use]
    pub const fn login_blocks(&self) -> LoginBlocks<'_> {
        LoginBlocks(self)
    }
    /// Settings and marks.
    #[must_use]
    pub const fn meta(&self) -> Meta<'_> {
        Meta(self)
    }
    /// What is stored of each partner.
    #[must_use]
    pub const fn usage(&self) -> Usages<'_> {
        Usages(self)
    }
    /// Records of transfers that ended long ago.
    #[must_use]
    pub const fn retention(&self) -> Retention<'_> {
        Retention(self)
    }
    /// Uploads to an object store.
    #[must_use]
    pub const fn uploads(&self) -> StoreUploads<'_> {
        StoreUploads(self)
    }
    /// Gateways that share it.
    #[must_use]
    pub const fn nodes(&self) -> Nodes<'_> {
        Nodes(self)
    }
    /// Sealed values.
    #[must_use]
    pub const fn sealed(&self) -> SealedValues<'_> {
        SealedValues(self)
    }
    /// Copies of it.
    #[must_use]
    pub const fn backups(&self) -> Backups<'_> {
        Backups(self)
    }
    /// What hooks are to be told.
    #[must_use]
    pub const fn hooks(&self) -> HookRuns<'_> {
        HookRuns(self)
    }

    /// Events for others.
    #[must_use]
    pub const fn events(&self) -> Events<'_> {
        Events(self)
    }

    /// Sums by hour.
    #[must_use]
    pub const fn tally(&self) -> Tallies<'_> {
        Tallies(self)
    }
    /// Alarms.
    #[must_use]
    pub const fn alarms(&self) -> Alarms<'_> {
        Alarms(self)
    }
    /// The queue at a glance.
    #[must_use]
    pub const fn overview(&self) -> Overviews<'_> {
        Overviews(self)
    }
    /// How it finds rows.
    #[cfg(any(test, feature = "faults"))]
    #[must_use]
    pub const fn plans(&self) -> Plans<'_> {
        Plans(self)
    }

    /// Duplicates.
    #[must_use]
    pub const fn seen(&self) -> SeenKeys<'_> {
        SeenKeys(self)
    }
}
