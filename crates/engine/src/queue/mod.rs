//! The delivery side, whatever the protocol: which site is called when, which job is next, what becomes of it.
//!
//! The truth is in the database: a job is taken and becomes *processing* in one transaction, and is *ended* before the
//! next one begins. Here is only what concerns connections: how many, how far apart after failures, which path. Nothing
//! polls: the scheduler sleeps until the next moment that something is due, or until it is woken.

mod backoff;
mod ending;
mod expire;
mod job;
mod jobs;
mod orphans;
mod outcome;
mod place;
mod scheduler;
mod sites;
mod switch;

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use base::TransferId;
use futures_util::future::BoxFuture;
use model::{RemoteSite, Snapshot};
use std::sync::Arc;
use tokio::sync::Notify;

pub use backoff::Backoff;
pub(crate) use job::Running;
pub use job::{Job, JobOutcome, OutgoingJob};
pub use scheduler::run_deliveries;
pub use sites::SiteStatus;

use crate::error::TransferError;
use crate::sync::lock;
use crate::transfer::Secured;
use sites::Sites;

/// Whoever can carry files to partners: the gateway, with its protocols.
#[async_trait]
pub trait Deliver: Send + Sync + 'static {
    /// Connects to `site`, logs in, then takes jobs until there are no more. One connection for each call.
    async fn session(&self, site: Arc<RemoteSite>, jobs: &mut dyn JobSource) -> SessionOutcome;
}

/// The jobs of one connection.
#[async_trait]
pub trait JobSource: Send {
    /// Which of the site's addresses to try, in this order, once each (OBJ-5).
    fn path_order(&self) -> Vec<usize>;

    /// Tells that the connection stands, by this address, and how it is secured. Taking the first job tells it too.
    fn connected(&mut self, path: usize, secured: Option<Secured>);

    /// The next job; none: close the connection. Connect and log in first: a job that is taken counts as tried.
    async fn next(&mut self) -> Option<Job>;

    /// Tells how far a job is; call it at least each minute while it runs.
    ///
    /// # Errors
    /// The job has to stop (an operator, its end date, the end of the gateway): break off and pass this error on as
    /// [`JobOutcome::Retry`].
    async fn progress(&mut self, id: TransferId, octets: u64) -> Result<(), TransferError>;

    /// Tells that a job is about to take the step after which it may count as arrived: the rename to its final name, or
    /// whatever makes its final name appear. Call it when all else is done; when it returns, that is durable. A try that
    /// ends without it has surely not delivered (DESIGN 1.18).
    ///
    /// # Errors
    /// As for [`JobSource::progress`], or the database: do not take the step.
    async fn last_step(&mut self, id: TransferId) -> Result<(), TransferError>;

    /// Tells what became of a job. That is durable when this returns, or the next job's last step, and within 200 ms.
    ///
    /// # Errors
    /// If it, or the end of the job before, could not be stored yet: end the connection. The queue goes on trying.
    async fn finish(&mut self, id: TransferId, outcome: JobOutcome) -> Result<(), TransferError>;

    /// Becomes ready when the job was told to stop, and has had its time for it: the partner is waited for no longer, and
    /// the connection ends. Until then [`JobSource::progress`] is how it learns of that.
    fn cut(&self, id: TransferId) -> BoxFuture<'static, ()>;

    /// Whether to come to an end soon.
    fn stopping(&self) -> bool;
}

/// How a connection went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SessionOutcome {
    /// As it should.
    Ended,
    /// Every path was tried and none led to a connection; `path` is the last one tried.
    ConnectFailed {
        /// Counted from 0 (main).
        path: usize,
        /// Why.
        error: TransferError,
    },
    /// The partner did not let us in.
    LoginRefused(TransferError),
    /// The partner showed a host key that is not trusted.
    HostKeyRefused(TransferError),
    /// The connection was lost.
    Lost(TransferError),
    /// Something in the configuration keeps us from calling.
    Unable(TransferError),
}

/// Pause after the database failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the queue remembers while the program runs.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) sites: Mutex<Sites>,
    pub(crate) expired: expire::LastLook,
    pub(crate) orphans: orphans::Orphans,
    wake: Notify,
    tell: Notify,
}

impl Queue {
    /// Look now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Something could not be recorded: look soon for records that nobody works on.
    pub(crate) fn suspect_orphans(&self) {
        self.orphans.suspect();
        self.wake();
    }

    /// There is a new request for `site`.
    pub(crate) fn new_work(&self, site: &str) {
        lock(&self.sites).new_work(site);
        self.wake();
        self.tell.notify_one();
    }

    /// Waits until there is new work that other nodes should know of.
    pub(crate) async fn to_be_told(&self) {
        self.tell.notified().await;
    }

    /// A new configuration: sites that it changes are called again.
    pub(crate) fn configuration_changed(&self, before: &Snapshot, after: &Snapshot) {
        let mut sites = lock(&self.sites);
        for site in after.sites().filter(|site| before.site(&site.name) != Some(*site)) {
            sites.changed(&site.name);
        }
    }
}
