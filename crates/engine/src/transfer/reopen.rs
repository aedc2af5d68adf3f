//! The content that an upload begins with: nothing, what an interrupted one left, or a whole file that is opened again.

use std::time::Duration;

use base::{PayloadId, TransferId, UtcMicros};
use db::{DbError, PayloadState, RouteState, State, Transfer, TransferChange};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::limits::{COPY_OCTETS, REOPENED_REST};
use crate::store::{FileUuid, Resumed, Saved, StoredInfo};
use crate::transfer::source::payload_uuid;
use crate::transfer::{Body, Extra, Source, db_error, store_error};
use crate::vfd::{Named, is_temporary};

/// What an upload begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Base<'a> {
    /// Nothing.
    Fresh,
    /// An interrupted upload, which it continues.
    Partial(&'a Transfer),
    /// A whole upload that was not routed yet: its content is copied, since what is committed never changes.
    Whole(&'a Transfer),
}

/// What became of a record that was to be given up.
enum Given {
    /// It was not whole, and is ended. It had begun with `base`.
    Partial { base: Option<TransferId> },
    /// It is another one, or not there.
    Other(Option<Box<Transfer>>),
}

impl Engine {
    /// Prepares the content.
    ///
    /// # Errors
    /// [`Cause::Integrity`] if what was durable is no longer there; those of database and store.
    pub(crate) async fn upload_body(&self, base: Base<'_>) -> Result<Body, TransferError> {
        match base {
            Base::Fresh => self.fresh_body().await,
            Base::Partial(partial) => {
                let body = self.partial_body(partial).await;
                if body.as_ref().is_err_and(|e| e.cause == Cause::Integrity) {
                    // Its size is no longer true: the next look finds nothing, and the partner sends the whole file.
                    self.give_up_partial(partial.id, "what was received is no longer there").await?;
                }
                body
            }
            Base::Whole(whole) => {
                let payload = whole.payload.ok_or_else(|| gone(whole.id))?;
                let source = self.open_payload(payload).await?;
                self.copy_body(source).await
            }
        }
    }

    /// Whether what came of an interrupted upload lies where this node can go on with it: in its own staging folder, or in
    /// one that it shares.
    pub(crate) async fn can_go_on_here(&self, partial: &Transfer) -> Result<bool, TransferError> {
        let Some(payload) = partial.payload.filter(|_| self.node.is_shared()) else { return Ok(true) };
        let row = self.db.payloads().get(payload).await.map_err(|e| db_error(&e))?;
        Ok(row.and_then(|row| row.holder).is_none_or(|holder| holder == self.store.holder()))
    }

    /// Gives up an interrupted upload that lies at another node: its partner begins the file anew at this one. Says whether
    /// that upload was the newest of the name.
    pub(crate) async fn leave_elsewhere(&self, named: &mut Named) -> Result<bool, TransferError> {
        let Some(partial) = &named.partial else { return Ok(false) };
        if self.can_go_on_here(partial).await? {
            return Ok(false);
        }
        let why =
            "its beginning lies in the staging folder of another node: the partner began the file anew at this one";
        self.give_up_partial(partial.id, why).await?;
        let is_newest = named.whole.as_ref().is_none_or(|whole| whole.id < partial.id);
        named.partial = None;
        Ok(is_newest)
    }

    pub(crate) async fn fresh_body(&self) -> Result<Body, TransferError> {
        let uuid = FileUuid::random().map_err(|e| store_error(&e))?;
        let payload = self.db.payloads().next_id().await.map_err(|e| db_error(&e))?;
        Ok(Body { staged: self.store.create(uuid), payload, recorded: false })
    }

    async fn partial_body(&self, partial: &Transfer) -> Result<Body, TransferError> {
        let Some(payload) = partial.payload else {
            return self.fresh_body().await;
        };
        let row = self.db.payloads().get(payload).await.map_err(|e| db_error(&e))?.ok_or_else(|| gone(partial.id))?;
        let uuid = payload_uuid(&row).filter(|_| row.state == PayloadState::Staging).ok_or_else(|| gone(partial.id))?;
        let durable_to = u64::try_from(row.durable_to).unwrap_or(0);
        let saved = Saved { durable_to, state: row.hash_state.unwrap_or_default() };
        match self.store.resume(uuid, &saved).await.map_err(|e| store_error(&e))? {
            Resumed::Complete(info) => self.copy_complete(payload, uuid, &info).await,
            Resumed::Staged(staged) if staged.size() < durable_to => Err(gone(partial.id)),
            Resumed::Staged(mut staged) => {
                // The partner was told this size: what came behind it is sent again.
                staged.truncate(durable_to).await.map_err(|e| store_error(&e))?;
                Ok(Body { staged, payload, recorded: true })
            }
        }
    }

    /// A crash came between commit and record: the committed file becomes the beginning of a new one.
    async fn copy_complete(&self, old: PayloadId, uuid: FileUuid, info: &StoredInfo) -> Result<Body, TransferError> {
        let stored = self.store.open(uuid, info).await.map_err(|e| store_error(&e))?;
        let body = self.copy_body(Source::from(stored)).await?;
        self.drop_payload(old).await;
        self.store.remove(uuid).await.map_err(|e| store_error(&e))?;
        Ok(body)
    }

    async fn copy_body(&self, mut source: Source) -> Result<Body, TransferError> {
        let mut body = self.fresh_body().await?;
        let step = u32::try_from(COPY_OCTETS).unwrap_or(u32::MAX);
        let mut at = 0;
        while at < source.size() {
            let octets = source.read_at(at, step).await?;
            if octets.is_empty() {
                return Err(TransferError::park(Cause::Integrity, "a stored file is shorter than its record says"));
            }
            let next = at.saturating_add(u64::try_from(octets.len()).unwrap_or(0));
            body.staged.write_at(at, octets).await.map_err(|e| store_error(&e))?;
            at = next;
        }
        Ok(body)
    }

    /// Removes the content of an upload that nobody will continue. What fails is found again by the sweep.
    pub(crate) async fn drop_payload(&self, payload: PayloadId) {
        let now = self.clock.now();
        let row = self.db.payloads().get(payload).await;
        let staged = row.ok().flatten().filter(|row| row.state == PayloadState::Staging);
        let gone = match &staged {
            Some(_) => self.db.payloads().purged(payload).await,
            None => self.db.payloads().release(payload, now).await,
        };
        if let Some(uuid) = staged.as_ref().and_then(payload_uuid)
            && let Err(e) = self.store.discard(uuid).await
        {
            tracing::warn!(payload = payload.0, error = %e, "a staged file could not be removed yet");
        }
        if let Err(e) = gone {
            tracing::warn!(payload = payload.0, error = %e, "a payload could not be released yet");
        }
    }

    /// An upload that its partner removed or replaced: kept as a record, no longer shown to it, never routed.
    pub(crate) async fn give_up(&self, id: TransferId, why: &str) -> Result<(), TransferError> {
        let alone = self.records.of(id).await;
        let old = match self.end_partial(id, why).await? {
            Given::Partial { base } => {
                drop(alone);
                return self.let_go(base).await;
            }
            Given::Other(None) => return Ok(()),
            Given::Other(Some(old)) => old,
        };
        let now = self.clock.now();
        let mut change = not_routed(&old, now, why);
        change.extra_json = Some(Extra { gone: true, ..Extra::of(&old) }.json());
        change.listed = Some(false);
        change.unrouted = true;
        self.db.transfers().apply(change).await.map(drop).map_err(|e| db_error(&e))
    }

    /// Gives up an upload that is not whole. One that became whole meanwhile was acknowledged: it stays, and goes its way.
    pub(crate) async fn give_up_partial(&self, id: TransferId, why: &str) -> Result<(), TransferError> {
        let alone = self.records.of(id).await;
        let given = self.end_partial(id, why).await?;
        drop(alone);
        match given {
            Given::Partial { base } => self.let_go(base).await,
            Given::Other(_) => Ok(()),
        }
    }

    /// A whole upload goes its way, because what was made of it was given up. Not while a record is held: two may share a
    /// lock.
    pub(crate) async fn let_go(&self, base: Option<TransferId>) -> Result<(), TransferError> {
        match base {
            Some(base) => self.route_again(base, Duration::ZERO).await,
            None => Ok(()),
        }
    }

    /// Ends an upload that is not whole, and gives the record if it is another one.
    ///
    /// One that is still received by its record has lost its session while the database failed, or is open at another
    /// node: that one's commit then finds its record ended.
    async fn end_partial(&self, id: TransferId, why: &str) -> Result<Given, TransferError> {
        const PARTIAL: [State; 3] = [State::Interrupted, State::Created, State::Servicing];
        let old = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
        let old = match old {
            Some(old) if PARTIAL.contains(&old.state) => old,
            other => return Ok(Given::Other(other.map(Box::new))),
        };
        let mut change = TransferChange::to(id, State::Deleted, self.clock.now());
        change.expected = PARTIAL.to_vec();
        change.note = why.to_owned();
        change.listed = Some(false);
        match self.db.transfers().apply(change).await {
            Ok(_) => {}
            // It ended between the two statements.
            Err(DbError::Unexpected { .. } | DbError::Transition { .. }) => {
                let now = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
                return Ok(Given::Other(now.map(Box::new)));
            }
            Err(e) => return Err(db_error(&e)),
        }
        if let Some(payload) = old.payload {
            self.drop_payload(payload).await;
        }
        Ok(Given::Partial { base: old.dup_from })
    }

    /// Keeps a whole upload from being routed while it is open again. Nobody has to let it go: what is forgotten over it
    /// goes its way after [`REOPENED_REST`].
    pub(crate) async fn hold(&self, whole: TransferId) -> Result<(), TransferError> {
        match self.rest(whole, REOPENED_REST).await? {
            true => Ok(()),
            false => Err(TransferError::refuse(
                Cause::Busy,
                "the file has been passed on already: send it again as a new one",
            )),
        }
    }

    /// Lets a whole upload that was held be routed after `settle`, if it has not been.
    pub(crate) async fn route_again(&self, id: TransferId, settle: Duration) -> Result<(), TransferError> {
        self.rest(id, settle).await.map(drop)
    }

    /// Has a whole upload routed after `time` from now, and not before. Says whether it was still here.
    async fn rest(&self, id: TransferId, time: Duration) -> Result<bool, TransferError> {
        let _alone = self.records.of(id).await;
        let found = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
        let Some(whole) = found.filter(is_unrouted) else { return Ok(false) };
        let at = self.clock.now().plus(time);
        let mut change = TransferChange::fields(id, self.clock.now());
        change.next_try_at = Some(at);
        change.unrouted = true;
        if whole.route_state.may_become(RouteState::ToRoute) && !is_temporary(&whole.file_name) {
            change.route_state = Some(RouteState::ToRoute);
        }
        self.db.transfers().apply(change).await.map_err(|e| db_error(&e))?;
        self.settling.at(at);
        Ok(true)
    }
}

/// Whether a record is a whole upload of a partner that has not gone anywhere yet.
pub(crate) fn is_unrouted(t: &Transfer) -> bool {
    t.direction == db::Direction::In
        && t.state == State::Ended
        && !matches!(t.route_state, RouteState::Routed | RouteState::Acknowledged)
        && t.payload.is_some()
        && !Extra::of(t).gone
}

fn not_routed(old: &Transfer, now: UtcMicros, why: &str) -> TransferChange {
    let mut change = TransferChange::fields(old.id, now);
    change.note = why.to_owned();
    if old.route_state.may_become(RouteState::NotRouted) {
        change.route_state = Some(RouteState::NotRouted);
    }
    change
}

fn gone(id: TransferId) -> TransferError {
    TransferError::refuse(
        Cause::Integrity,
        format!("what was received of transfer {id} is no longer there: send the whole file again"),
    )
}
