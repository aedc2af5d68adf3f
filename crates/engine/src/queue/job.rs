//! One delivery, as the carrier gets it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use base::{TransferId, UtcMicros};
use model::PartnerCommand;
use tokio::sync::watch;

use crate::error::TransferError;
use crate::fetch::{FetchJob, Fetched};
use crate::sync::lock;
use crate::transfer::{Control, Source};
use crate::watch::StepTimer;

/// What a connection is for.
#[derive(Debug)]
pub enum Job {
    /// A file to be carried to the partner.
    Send(Box<OutgoingJob>),
    /// Files to be fetched from there.
    Fetch(Box<FetchJob>),
}

/// A file to be carried to a partner.
#[derive(Debug)]
pub struct OutgoingJob {
    /// Its number.
    pub id: TransferId,
    /// Name at the partner, as octets.
    pub file_name: Vec<u8>,
    /// Folder at the partner, as octets; empty for the one its login begins in.
    pub dir_name: Vec<u8>,
    /// Name at the partner while it is on its way: the same at every try. None if the site writes under the final name.
    pub temp_name: Option<Vec<u8>>,
    /// Octets of the file.
    pub size: u64,
    /// SHA-256 of the file, if the store keeps it.
    pub sha256: Option<[u8; 32]>,
    /// Time of change to give to the file, if its sender gave one.
    pub modified: Option<UtcMicros>,
    /// The content.
    pub source: Source,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// It was begun before: something of it may be at the partner under its temporary name.
    pub tried_before: bool,
    /// It was about to get its final name, and whether it did is not known: look for the temporary name, then for the
    /// final one, before sending (DESIGN 1.18).
    pub maybe_delivered: bool,
    /// It was noted in its record, by this gateway as it stands, that all but the last step was done: what is found tells
    /// for sure where only we write.
    pub noted: bool,
    /// Commands for the partner's server, before and behind the file.
    pub commands: Vec<PartnerCommand>,
    /// Octets that earlier tries are known to have moved.
    pub done_octets: u64,
}

/// What became of a job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JobOutcome {
    /// The file is at the partner under its final name.
    Delivered,
    /// The folder at the partner was looked into, and what was wanted there is received.
    Fetched(Fetched),
    /// Try again later.
    Retry(TransferError),
    /// It broke off where the file may have arrived: the next try looks before it sends.
    Unknown(TransferError),
    /// A person has to look at it.
    Park(TransferError),
}

/// A job that runs now, seen from outside: an operator can ask it to stop, and wait until it has.
#[derive(Debug)]
pub(crate) struct Running {
    asked: Mutex<Option<Control>>,
    begun: Mutex<Option<StepTimer>>,
    lost: AtomicBool,
    over: watch::Sender<bool>,
    /// It was asked to stop, or lost.
    stop: watch::Sender<bool>,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            asked: Mutex::new(None),
            begun: Mutex::new(Some(StepTimer::begin("deliver"))),
            lost: AtomicBool::new(false),
            over: watch::Sender::new(false),
            stop: watch::Sender::new(false),
        }
    }
}

impl Running {
    /// Asks the job to stop.
    pub(crate) fn ask(&self, action: Control) {
        *lock(&self.asked) = Some(action);
        self.stop.send_replace(true);
    }

    /// What it is asked for.
    pub(crate) fn asked(&self) -> Option<Control> {
        *lock(&self.asked)
    }

    /// Its file is at the partner.
    pub(crate) fn delivered(&self) {
        if let Some(timer) = lock(&self.begun).take() {
            timer.done();
        }
    }

    /// It is no longer this node's: it has to stop.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
    }

    /// Whether it is no longer this node's.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until it was asked to stop, or lost.
    pub(crate) fn stop(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move {
            if stop.wait_for(|stop| *stop).await.is_err() {
                // It is over, and nobody can ask any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Its end is recorded.
    pub(crate) fn over(&self) {
        self.over.send_replace(true);
    }

    /// Waits for that.
    pub(crate) fn end(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }
}
