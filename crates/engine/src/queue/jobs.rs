//! The jobs of one connection: taken one by one, each with a lease, each stored as it ends.
//!
//! For many small files, what each of them has to record shares one commit: the end of the one before, the note that
//! this one is about to get its final name, and the taking of the next one.

use std::sync::Arc;

use async_trait::async_trait;
use base::{TransferId, UtcMicros};
use db::{DbError, DueQuery, Pending, State, Transfer, TransferChange};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{PartnerCommand, RemoteSite, partner_commands};
use tokio::task::JoinHandle;

use super::JobSource;
use super::ending::Ending;
use super::job::{Job, JobOutcome, OutgoingJob, Running};
use super::outcome::{Ended, ended};
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::fetch::{FetchJob, Filter, FilterError, Intake, is_fetch};
use crate::limits::{CUT_AFTER, PROGRESS_EVERY};
use crate::sync::lock;
use crate::transfer::{Extra, Secured, db_error};
use crate::vfd::octets_of;

/// Steps of a request to fetch that are kept.
const LOOKS_TOLD: u32 = 100;

/// The jobs of one connection to `site`.
pub(super) struct Jobs {
    engine: Arc<Engine>,
    site: Arc<RemoteSite>,
    held: Option<Held>,
    /// Taken before its turn, in a commit of the job before.
    ready: Option<Taken>,
    /// The end of the job before, which is on its way to the disk with the next commit.
    ending: Option<JoinHandle<Result<(), TransferError>>>,
    connected: bool,
    /// How the connection is secured.
    secured: Option<Secured>,
    working: bool,
}

/// A job that is ours.
struct Taken {
    record: Transfer,
    running: Arc<Running>,
}

/// A job that the carrier has.
struct Held {
    taken: Taken,
    told_at: UtcMicros,
    /// It is recorded that it was about to get its final name.
    noted: bool,
}

impl Jobs {
    pub(super) const fn new(engine: Arc<Engine>, site: Arc<RemoteSite>) -> Self {
        Self { engine, site, held: None, ready: None, ending: None, connected: false, secured: None, working: false }
    }

    /// Whether a connection stood.
    pub(super) const fn stood(&self) -> bool {
        self.connected
    }

    /// The connection is over: a job that has no end yet is tried again, one that was not begun is put back.
    pub(super) async fn close(&mut self, error: TransferError) {
        if let Some(held) = &self.held {
            let id = held.taken.record.id;
            // Without a note of its last step it has not got its final name.
            let outcome = if held.noted { JobOutcome::Unknown(error) } else { JobOutcome::Retry(error) };
            if let Err(e) = self.finish(id, outcome).await {
                tracing::warn!(transfer = id.0, error = %e, "the end of a job could not be recorded");
            }
        }
        if let Some(ready) = self.ready.take() {
            self.put_back(ready).await;
        }
        if let Err(e) = self.settle().await {
            tracing::warn!(error = %e, "the end of a job is not recorded yet");
        }
    }

    async fn put_back(&self, ready: Taken) {
        let Taken { record: t, running } = ready;
        let now = self.engine.clock.now();
        let end = match running.asked() {
            Some(_) => {
                let error = TransferError::retry(Cause::Denied, "an operator stopped it");
                ended(&t, JobOutcome::Retry(error), (running.asked(), None), (now, &self.engine.options))
            }
            None => {
                let mut change = TransferChange::to(t.id, State::ToRestart, now);
                change.note = "not begun".to_owned();
                change.owner = t.node.clone();
                Ended { change, event: None }
            }
        };
        let ending = Ending { engine: self.engine.clone(), running, taken: t.revision, end: end.clone() };
        let put_back = self.engine.db.transfers().apply(end.change).await;
        if let Err(e) = ending.told(put_back.map(drop)) {
            tracing::warn!(transfer = t.id.0, error = %e, "a job could not be put back");
        }
    }

    /// Waits until the end of the job before is recorded.
    async fn settle(&mut self) -> Result<(), TransferError> {
        match self.ending.take() {
            Some(ending) => ending.await.unwrap_or_else(|e| {
                Err(TransferError::retry(Cause::Stopping, format!("the end of a job was not recorded: {e}")))
            }),
            None => Ok(()),
        }
    }

    /// Whether this connection may take another job: the site as it is configured now, not as it was.
    fn may_go_on(&self) -> bool {
        let now = self.engine.snapshot();
        let usable = now.site(&self.site.name).is_some_and(|s| s.enabled && s.is_called());
        usable && !self.engine.is_stopping() && lock(&self.engine.queue.sites).may_go_on(&self.site.name)
    }

    async fn take(&self) -> Result<Option<Taken>, TransferError> {
        let now = self.engine.clock.now();
        if self.engine.may_go_on(None).is_err() {
            return Ok(None);
        }
        let query = DueQuery { site: Some(self.site.name.clone()), now, limit: 1, node: self.engine.node.id() };
        // Until it stands among the running ones, nobody may think that a taken job has no owner.
        let _owner = self.engine.queue.orphans.owners.read().await;
        let taken = self.engine.db.transfers().take_due(query).await.map_err(|e| {
            self.engine.queue.orphans.suspect();
            db_error(&e)
        })?;
        Ok(taken.into_iter().next().map(|record| {
            let running = Arc::new(Running::default());
            lock(&self.engine.running).insert(record.id, running.clone());
            Taken { record, running }
        }))
    }

    /// Opens the content of a taken job. One that can't begin is ended here.
    async fn begin(&mut self, taken: Taken) -> Option<Job> {
        let (now, t) = (self.engine.clock.now(), taken.record.clone());
        let id = t.id;
        let opened = if taken.running.is_lost() {
            self.engine.may_go_on(t.node.as_deref()).and(Err(lost()))
        } else if t.not_after.is_some_and(|end| now >= end) {
            Err(TransferError::retry(Cause::Invalid, "its latest date is over"))
        } else if taken.running.asked().is_some() {
            Err(TransferError::retry(Cause::Denied, "an operator stopped it"))
        } else if is_fetch(&t) {
            self.fetch(t, now).map(|job| Job::Fetch(Box::new(job)))
        } else {
            self.open(t).await.map(|job| Job::Send(Box::new(job)))
        };
        self.held = Some(Held { taken, told_at: now, noted: false });
        match opened {
            Ok(job) => Some(job),
            Err(e) => {
                let outcome = if e.may_retry() { JobOutcome::Retry(e) } else { JobOutcome::Park(e) };
                if let Err(e) = self.finish(id, outcome).await {
                    tracing::warn!(transfer = id.0, error = %e, "the end of a job could not be recorded");
                }
                None
            }
        }
    }

    /// Commands for the partner's server: those of the request, else those of the site.
    fn commands(&self, t: &Transfer) -> Result<Vec<PartnerCommand>, TransferError> {
        match Extra::of(t).commands {
            text if text.is_empty() => Ok(self.site.commands.at_file.clone()),
            text => partner_commands(&text).map_err(|wrong| TransferError::park(Cause::Invalid, wrong)),
        }
    }

    fn fetch(&self, t: Transfer, now: UtcMicros) -> Result<FetchJob, TransferError> {
        let plan = Extra::of(&t).fetch.unwrap_or_default();
        let unread = |e: FilterError| TransferError::park(Cause::Invalid, e.to_string());
        Ok(FetchJob {
            id: t.id,
            dir_name: octets_of(&t.dir_name),
            name: plan.one.then(|| octets_of(&t.file_name)),
            filter: Filter::parse(&plan.filter).map_err(unread)?,
            listing: plan.listing,
            commands: self.commands(&t)?,
            after: plan.after,
            now,
            intake: Intake::new(self.engine.clone(), (self.site.clone(), self.secured.clone()), t),
        })
    }

    async fn open(&self, t: Transfer) -> Result<OutgoingJob, TransferError> {
        let payload = t.payload.ok_or_else(|| {
            TransferError::park(Cause::NotFound, format!("transfer {} has no content: submit it again", t.id))
        })?;
        let source = self.engine.open_payload(payload).await?;
        let gone_before = self.may_have_gone_before(&t).await?;
        let tried_before = gone_before || self.was_begun_before(&t).await?;
        let temp_name = self.site.temporary_name(&t.file_name, t.id);
        let extra = Extra::of(&t);
        Ok(OutgoingJob {
            id: t.id,
            file_name: octets_of(&t.file_name),
            dir_name: octets_of(&t.dir_name),
            temp_name: temp_name.map(|n| octets_of(&n)),
            size: source.size(),
            sha256: source.sha256(),
            modified: extra.modified,
            source,
            attempt: u32::try_from(t.retries.saturating_add(1)).unwrap_or(u32::MAX),
            tried_before,
            maybe_delivered: gone_before || extra.open_end,
            noted: extra.open_end && !gone_before,
            commands: self.commands(&t)?,
            done_octets: u64::try_from(t.done_octets).unwrap_or(0),
        })
    }

    /// Whether the gateway may have delivered it after the backup that it was restored from: it, or the file that it
    /// forwards, is older than the restore.
    async fn may_have_gone_before(&self, t: &Transfer) -> Result<bool, TransferError> {
        let frost = &self.engine.frost;
        if frost.is_from_before(t.created_at) {
            return Ok(true);
        }
        match t.route_from.filter(|_| frost.was_restored()) {
            Some(from) => {
                let from = self.engine.db.transfers().get(from).await.map_err(|e| db_error(&e))?;
                Ok(from.is_some_and(|from| frost.is_from_before(from.created_at)))
            }
            None => Ok(false),
        }
    }

    /// Whether it was taken before, by this gateway or by one that died over it.
    async fn was_begun_before(&self, t: &Transfer) -> Result<bool, TransferError> {
        if t.revision <= 2 {
            return Ok(false);
        }
        let steps = self.engine.db.transfers().steps(t.id).await.map_err(|e| db_error(&e))?;
        Ok(steps.iter().any(|s| s.from == Some(State::Processing)))
    }

    /// Whether the next job can be taken together with what has to be recorded now.
    fn may_take_next(&self) -> bool {
        self.ready.is_none() && self.may_go_on()
    }

    /// Takes the next job in the commit that records what was `queued`, and waits for that.
    async fn with_next<T>(&mut self, queued: Result<Pending<T>, DbError>) -> Result<T, DbError> {
        self.ready = self.take().await.unwrap_or_default();
        queued?.done().await
    }
}

#[async_trait]
impl JobSource for Jobs {
    fn path_order(&self) -> Vec<usize> {
        lock(&self.engine.queue.sites).path_order(&self.site.name, self.site.addresses.len())
    }

    fn connected(&mut self, path: usize, secured: Option<Secured>) {
        self.connected = true;
        self.secured = secured;
        lock(&self.engine.queue.sites).connected(&self.site.name, Some(path));
    }

    async fn next(&mut self) -> Option<Job> {
        if !self.connected {
            self.connected = true;
            lock(&self.engine.queue.sites).connected(&self.site.name, None);
        }
        loop {
            if !self.may_go_on() {
                return None;
            }
            let taken = match self.ready.take() {
                Some(ready) => Some(ready),
                None => self.take().await.unwrap_or_else(|e| {
                    tracing::error!(site = %self.site.name, error = %e, "no job could be taken");
                    None
                }),
            };
            let job = self.begin(taken?).await;
            if job.is_some() {
                // There may be more than one connection's worth: the next one follows this one's first job.
                if !std::mem::replace(&mut self.working, true) {
                    self.engine.queue.wake();
                }
                return job;
            }
        }
    }

    async fn progress(&mut self, id: TransferId, octets: u64) -> Result<(), TransferError> {
        let now = self.engine.clock.now();
        let Some(held) = self.held.as_mut().filter(|h| h.taken.record.id == id) else { return Ok(()) };
        may_run(&self.engine, &held.taken, now)?;
        if now.since(held.told_at) >= PROGRESS_EVERY {
            held.told_at = now;
            let mut change = TransferChange::fields(id, now);
            change.done_octets = i64::try_from(octets).ok();
            change.owner = held.taken.record.node.clone();
            drop(self.engine.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
        }
        Ok(())
    }

    async fn last_step(&mut self, id: TransferId) -> Result<(), TransferError> {
        let now = self.engine.clock.now();
        let Some(held) = self.held.as_ref().filter(|h| h.taken.record.id == id) else {
            return Err(TransferError::refuse(Cause::Invalid, format!("job {id} is not running")));
        };
        may_run(&self.engine, &held.taken, now)?;
        let extra = Extra::of(&held.taken.record);
        if !extra.open_end && !held.noted {
            let noted = Extra { open_end: true, ..extra }.json();
            let engine = self.engine.clone();
            let owner = held.taken.record.node.clone().unwrap_or_default();
            let done = match self.may_take_next() {
                true => self.with_next(engine.db.transfers().note_lazy(id, owner, noted).await).await,
                false => engine.db.transfers().note(id, owner, noted).await,
            };
            done.map_err(|e| db_error(&e))?;
        }
        if let Some(held) = &mut self.held {
            held.noted = true;
        }
        Ok(())
    }

    async fn finish(&mut self, id: TransferId, outcome: JobOutcome) -> Result<(), TransferError> {
        let before = self.settle().await;
        let Some(held) = self.held.take() else { return before };
        let Held { taken: Taken { record, running }, noted, told_at } = held;
        if record.id != id {
            let text = format!("job {} is running, not {id}", record.id);
            self.held = Some(Held { taken: Taken { record, running }, noted, told_at });
            return Err(TransferError::refuse(Cause::Invalid, text));
        }
        let delivered = matches!(outcome, JobOutcome::Delivered | JobOutcome::Fetched(_));
        let fetches = matches!(outcome, JobOutcome::Fetched(_));
        let how = (running.asked(), self.secured.as_ref());
        let end = ended(&record, outcome, how, (self.engine.clock.now(), &self.engine.options));
        let engine = self.engine.clone();
        let change = end.change.clone();
        let ending = Ending { engine: engine.clone(), running, end, taken: record.revision };
        if delivered && self.ready.is_some() {
            let queued = engine.db.transfers().apply_lazy(change).await;
            self.ending = Some(tokio::spawn(ending.settled(queued)));
            return before;
        }
        if fetches {
            // Looks of a request that stays leave a step each: the last ones are enough.
            drop(engine.db.transfers().forget_steps(id, LOOKS_TOLD).await.map_err(|e| db_error(&e))?);
        }
        let recorded = match delivered && self.may_take_next() {
            true => self.with_next(engine.db.transfers().apply_lazy(change).await).await,
            false => engine.db.transfers().apply(change).await,
        };
        ending.told(recorded.map(drop)).and(before)
    }

    fn cut(&self, id: TransferId) -> BoxFuture<'static, ()> {
        match self.held.as_ref().filter(|held| held.taken.record.id == id) {
            Some(held) => {
                let stop = held.taken.running.stop();
                Box::pin(stop.then(|()| tokio::time::sleep(CUT_AFTER)))
            }
            None => Box::pin(std::future::pending()),
        }
    }

    fn stopping(&self) -> bool {
        self.engine.is_stopping()
    }
}

fn lost() -> TransferError {
    TransferError::retry(Cause::Stopping, "it was ended elsewhere")
}

fn may_run(engine: &Engine, taken: &Taken, now: UtcMicros) -> Result<(), TransferError> {
    engine.may_go_on(taken.record.node.as_deref())?;
    if taken.running.is_lost() {
        return Err(lost());
    }
    if taken.running.asked().is_some() {
        return Err(TransferError::retry(Cause::Denied, "an operator stopped it"));
    }
    if taken.record.not_after.is_some_and(|end| now >= end) {
        return Err(TransferError::retry(Cause::Invalid, "its latest date passed while it ran"));
    }
    Ok(())
}
