//! The jobs of one connection: taken one by one, each with a lease, each stored as it ends.

use std::sync::Arc;

use async_trait::async_trait;
use base::{TransferId, UtcMicros};
use db::{DueQuery, STOPPED_NOTE, State, Transfer, TransferChange};
use model::RemoteSite;

use super::JobSource;
use super::job::{JobOutcome, OutgoingJob, Running};
use super::outcome::ended;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::limits::LEASE;
use crate::sync::lock;
use crate::transfer::{Extra, db_error};
use crate::vfd::octets_of;

/// The jobs of one connection to `site`.
pub(super) struct Jobs {
    engine: Arc<Engine>,
    site: Arc<RemoteSite>,
    held: Option<Held>,
    /// Taken with the end of the job before, in one commit.
    ready: Option<Transfer>,
    connected: bool,
    working: bool,
}

/// A job that the carrier has.
struct Held {
    record: Transfer,
    running: Arc<Running>,
    renewed_at: UtcMicros,
}

impl Jobs {
    pub(super) const fn new(engine: Arc<Engine>, site: Arc<RemoteSite>) -> Self {
        Self { engine, site, held: None, ready: None, connected: false, working: false }
    }

    /// Whether a connection stood.
    pub(super) const fn stood(&self) -> bool {
        self.connected
    }

    /// The connection is over: a job that has no end yet is tried again, one that was not begun is put back.
    pub(super) async fn close(&mut self, error: TransferError) {
        if let Some(held) = &self.held {
            let id = held.record.id;
            if let Err(e) = self.finish(id, JobOutcome::Unknown(error)).await {
                tracing::warn!(transfer = id.0, error = %e, "the end of a job could not be recorded");
            }
        }
        if let Some(ready) = self.ready.take() {
            self.put_back(&ready).await;
        }
    }

    async fn put_back(&self, t: &Transfer) {
        let mut change = TransferChange::to(t.id, State::ToRestart, self.engine.clock.now());
        change.note = "not begun".to_owned();
        if let Err(e) = self.engine.db.transfers().apply(change).await {
            tracing::warn!(transfer = t.id.0, error = %e, "a job could not be put back");
        }
    }

    /// Whether this connection may take another job: the site as it is configured now, not as it was.
    fn may_go_on(&self) -> bool {
        let now = self.engine.snapshot();
        let usable = now.site(&self.site.name).is_some_and(|s| s.enabled && s.roles.init_sender);
        usable && !self.engine.is_stopping() && lock(&self.engine.queue.sites).may_go_on(&self.site.name)
    }

    async fn take(&self) -> Result<Option<Transfer>, TransferError> {
        let now = self.engine.clock.now();
        let query = DueQuery {
            site: Some(self.site.name.clone()),
            now,
            limit: 1,
            node: self.engine.options.node.clone(),
            lease_until: now.plus(LEASE),
        };
        let taken = self.engine.db.transfers().take_due(query).await.map_err(|e| db_error(&e))?;
        Ok(taken.into_iter().next())
    }

    /// Opens the content of a taken job. One that can't begin is ended here.
    async fn begin(&mut self, t: Transfer) -> Option<OutgoingJob> {
        let running = Arc::new(Running::default());
        lock(&self.engine.running).insert(t.id, running.clone());
        let now = self.engine.clock.now();
        let id = t.id;
        self.held = Some(Held { record: t.clone(), running, renewed_at: now });
        let opened = if t.not_after.is_some_and(|end| now >= end) {
            Err(TransferError::retry(Cause::Invalid, "its latest date is over"))
        } else {
            self.open(t).await
        };
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

    async fn open(&self, t: Transfer) -> Result<OutgoingJob, TransferError> {
        let payload = t.payload.ok_or_else(|| {
            TransferError::park(Cause::NotFound, format!("transfer {} has no content: submit it again", t.id))
        })?;
        let source = self.engine.open_payload(payload).await?;
        let maybe_delivered = self.may_be_there(&t).await?;
        let temp_name = self.site.temporary_name(&t.file_name, t.id);
        Ok(OutgoingJob {
            id: t.id,
            file_name: octets_of(&t.file_name),
            dir_name: octets_of(&t.dir_name),
            temp_name: temp_name.map(|n| octets_of(&n)),
            size: source.size(),
            sha256: source.sha256(),
            modified: Extra::of(&t).modified,
            source,
            attempt: u32::try_from(t.retries.saturating_add(1)).unwrap_or(u32::MAX),
            maybe_delivered,
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

    /// Whether an earlier try ended without a word: it broke off at its last step, or the gateway died over it.
    async fn may_be_there(&self, t: &Transfer) -> Result<bool, TransferError> {
        if self.may_have_gone_before(t).await? {
            return Ok(true);
        }
        if t.revision <= 2 {
            return Ok(false);
        }
        let steps = self.engine.db.transfers().steps(t.id).await.map_err(|e| db_error(&e))?;
        let died = steps.iter().any(|s| s.from == Some(State::Processing) && s.note == STOPPED_NOTE);
        Ok(died || Extra::of(t).open_end)
    }
}

#[async_trait]
impl JobSource for Jobs {
    fn path_order(&self) -> Vec<usize> {
        lock(&self.engine.queue.sites).path_order(&self.site.name, self.site.addresses.len())
    }

    fn connected(&mut self, path: usize) {
        self.connected = true;
        lock(&self.engine.queue.sites).connected(&self.site.name, Some(path));
    }

    async fn next(&mut self) -> Option<OutgoingJob> {
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
        let Some(held) = self.held.as_mut().filter(|h| h.record.id == id) else { return Ok(()) };
        if held.running.asked().is_some() {
            return Err(TransferError::retry(Cause::Denied, "an operator stopped it"));
        }
        if held.record.not_after.is_some_and(|end| now >= end) {
            return Err(TransferError::retry(Cause::Invalid, "its latest date passed while it ran"));
        }
        if now.since(held.renewed_at) >= LEASE / 3 {
            held.renewed_at = now;
            let mut change = TransferChange::fields(id, now);
            change.done_octets = i64::try_from(octets).ok();
            change.lease = Some((self.engine.options.node.clone(), now.plus(LEASE)));
            drop(self.engine.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
        }
        Ok(())
    }

    async fn finish(&mut self, id: TransferId, outcome: JobOutcome) -> Result<(), TransferError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        if held.record.id != id {
            let text = format!("job {} is running, not {id}", held.record.id);
            self.held = Some(held);
            return Err(TransferError::refuse(Cause::Invalid, text));
        }
        let delivered = outcome == JobOutcome::Delivered;
        let context = (self.engine.clock.now(), &self.engine.options);
        let end = ended(&held.record, outcome, held.running.asked(), context);
        let engine = self.engine.clone();
        let recorded = if delivered && self.may_go_on() {
            // Both are queued together and share one commit: the end is durable when the next job is taken.
            let (recorded, ready) = tokio::join!(engine.db.transfers().apply(end.change), self.take());
            self.ready = ready.unwrap_or_default();
            recorded
        } else {
            engine.db.transfers().apply(end.change).await
        };
        lock(&engine.running).remove(&id);
        held.running.over();
        recorded.map_err(|e| db_error(&e))?;
        engine.events.emit(end.event);
        Ok(())
    }

    fn stopping(&self) -> bool {
        self.engine.is_stopping()
    }
}
