//! Where fetched files come in: each is a received transfer, known by what its partner shows of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base::{TransferId, UtcMicros};
use bytes::Bytes;
use db::{Mode, NewTransfer, State, Transfer, TransferChange, TransferFilter, TransferType};
use model::RemoteSite;

use super::Sighted;
use crate::engine::Engine;
use crate::error::TransferError;
use crate::sync::lock;
use crate::transfer::{Committed, Extra, Incoming, Offer, Secured, db_error};
use crate::vfd::text_of;

/// Broken receptions of one request that are looked through at once.
const PARTIAL_MAX: u32 = 1000;

/// What became of a file in a partner's folder that was to be taken.
#[derive(Debug)]
pub enum Taken {
    /// It is being received now; its size so far tells from which octet on. Keep both until it is received.
    Begun(Box<Incoming>, Alone),
    /// This transfer has received it.
    Received(TransferId),
    /// Another request is receiving it, or a person has stopped that.
    Held,
}

/// Keeps others from taking the same file.
#[derive(Debug)]
pub struct Alone {
    engine: Arc<Engine>,
    key: String,
}

impl Alone {
    fn with(engine: &Arc<Engine>, key: &str) -> Option<Self> {
        let is_first = lock(&engine.fetching).insert(key.to_owned());
        is_first.then(|| Self { engine: Arc::clone(engine), key: key.to_owned() })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        lock(&self.engine.fetching).remove(&self.key);
    }
}

/// Where the files of one request come in.
#[derive(Debug)]
pub struct Intake {
    engine: Arc<Engine>,
    site: Arc<RemoteSite>,
    secured: Option<Secured>,
    request: Transfer,
}

impl Intake {
    /// `site` is fetched from, by a connection secured like that.
    pub(crate) fn new(
        engine: Arc<Engine>,
        (site, secured): (Arc<RemoteSite>, Option<Secured>),
        request: Transfer,
    ) -> Self {
        Self { engine, site, secured, request }
    }

    /// Takes a file, unless it is here already.
    ///
    /// # Errors
    /// [`crate::Cause::Integrity`] if what was kept of it is no longer there: the next look begins anew; those of database
    /// and store.
    pub async fn take(&self, file: &Sighted) -> Result<Taken, TransferError> {
        let key = self.key(file);
        let Some(alone) = Alone::with(&self.engine, &format!("{} {key}", self.site.name)) else {
            return Ok(Taken::Held);
        };
        let found = self.engine.db.transfers().of_message(&key, &self.site.name).await.map_err(|e| db_error(&e))?;
        // What was deleted at the partner, or given up here, says nothing of a file that is there now.
        let found = found.into_iter().find(|t| t.state != State::Deleted && !Extra::of(t).left);
        let incoming = match found {
            Some(t) if t.state == State::Interrupted => self.begin(file, Some(&t)).await?,
            // Whom a person has cancelled is not here, and is not to be fetched, nor deleted at the partner.
            Some(t) if t.state.is_end() && t.state != State::Cancelled => return Ok(Taken::Received(t.id)),
            Some(_) => return Ok(Taken::Held),
            None => self.begin(file, None).await?,
        };
        Ok(Taken::Begun(Box::new(incoming), alone))
    }

    /// Gives up what came of files that are no longer among those `there`: nobody can go on with it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn only(&self, there: &[Sighted]) -> Result<(), TransferError> {
        let filter = TransferFilter {
            states: vec![State::Interrupted],
            master: Some(self.request.id),
            ..TransferFilter::default()
        };
        let partial = self.engine.db.transfers().list(filter, PARTIAL_MAX).await.map_err(|e| db_error(&e))?;
        if partial.is_empty() {
            return Ok(());
        }
        let keys: HashSet<String> = there.iter().map(|file| self.key(file)).collect();
        for t in partial.iter().filter(|t| t.message_id.as_ref().is_none_or(|key| !keys.contains(key))) {
            self.give_up(t.id, "the file is no longer at the partner, or was changed there").await?;
        }
        Ok(())
    }

    async fn begin(&self, file: &Sighted, partial: Option<&Transfer>) -> Result<Incoming, TransferError> {
        let offer = self.offer(file, partial).await?;
        self.engine.receive(offer, partial, |offer, now| self.record(offer, file, now)).await
    }

    /// Receives the list of the partner's folder as a file (FTP-21).
    ///
    /// # Errors
    /// Those of database and store.
    pub async fn listing(&self, text: Bytes) -> Result<Committed, TransferError> {
        let name = crate::vfd::octets_of(&self.request.file_name);
        let file = Sighted { name, size: u64::try_from(text.len()).ok(), modified: None };
        let mut incoming = self.begin(&file, None).await?;
        match incoming.write_at(0, text).await {
            Ok(()) => incoming.commit().await,
            Err(error) => {
                incoming.interrupt().await;
                Err(error)
            }
        }
    }

    fn is_listing(&self) -> bool {
        Extra::of(&self.request).fetch.is_some_and(|plan| plan.listing.is_some())
    }

    /// Gives up what has come of a file: it is another one now, or can't be gone on with.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn give_up(&self, id: TransferId, why: &str) -> Result<(), TransferError> {
        self.engine.give_up_partial(id, why).await
    }

    /// Notes that a received file is no longer at the partner: one that looks the same later is another one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn left(&self, id: TransferId) -> Result<(), TransferError> {
        let record = self.engine.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
        let Some(t) = record else { return Ok(()) };
        let mut change = TransferChange::fields(id, self.engine.clock.now());
        change.extra_json = Some(Extra { left: true, ..Extra::of(&t) }.json());
        self.engine.db.transfers().apply(change).await.map(drop).map_err(|e| db_error(&e))
    }

    async fn offer(&self, file: &Sighted, partial: Option<&Transfer>) -> Result<Offer, TransferError> {
        let id = match partial {
            Some(partial) => partial.id,
            None => self.engine.db.transfers().next_id().await.map_err(|e| db_error(&e))?,
        };
        Ok(Offer {
            id,
            site: self.site.name.clone(),
            path: format!("fetched as transfer {id}"),
            file_name: text_of(&file.name),
            settle: Duration::ZERO,
            octets_max: None,
            quotas: Vec::new(),
            append: true,
            extra: Extra { modified: file.modified, secured: self.secured.clone(), ..Extra::default() },
            replaces: Vec::new(),
            base: None,
            owner: self.engine.node.id(),
            begun_elsewhere: false,
        })
    }

    fn record(&self, offer: &Offer, file: &Sighted, now: UtcMicros) -> NewTransfer {
        let (request, is_listing) = (&self.request, self.is_listing());
        NewTransfer {
            kind: if is_listing { TransferType::Dir } else { TransferType::Trans },
            mode: Mode::Initiator,
            local: request.local.clone(),
            site: offer.site.clone(),
            login: self.site.login.clone().unwrap_or_default(),
            appli: request.appli.clone(),
            dir_name: self.site.dir_path.clone().unwrap_or_else(|| request.dir_name.clone()),
            file_name: offer.file_name.clone(),
            priority: request.priority,
            master: Some(request.id),
            // A list is another one each time.
            message_id: (!is_listing).then(|| self.key(file)),
            listed: false,
            extra_json: offer.extra.json(),
            node: Some(offer.owner.clone()),
            ..NewTransfer::incoming(offer.id, &request.protocol, now)
        }
    }

    /// What a file is known by: it, its place, its size and its time of change.
    fn key(&self, file: &Sighted) -> String {
        let mut digest = crate::Digest::default();
        for part in [self.request.dir_name.as_bytes(), &file.name] {
            digest.add(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.add(part);
        }
        let told = format!("{:?} {:?}", file.size, file.modified.map(|at| at.0));
        digest.add(told.as_bytes());
        format!("fetched:{}", base::hex(&digest.end()))
    }
}
