//! Files that an operator brings or takes away: content as a stream, the record as of any other transfer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::{TransferId, UtcMicros};
use bytes::Bytes;
use db::{Actor, DbError, NewTransfer, State, Transfer, TransferChange};
use model::FOLDER;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::limits::COPY_OCTETS;
use crate::transfer::{Base, Committed, Extra, Incoming, Offer, Source, db_error};
use crate::vfd::{VPath, is_temporary, text_of};

/// A file that comes from here as if a partner had sent it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Brought {
    /// The partner whose file it counts as; an existing site.
    pub site: String,
    /// Virtual folder of its record; empty for none.
    pub dir_name: String,
    /// Its name.
    pub file_name: String,
    /// Application; empty for none.
    pub appli: String,
    /// Who brings it.
    pub actor: Actor,
}

impl Engine {
    /// Receives a file from here. When this returns it is durable; routing follows.
    ///
    /// # Errors
    /// [`Cause::NotFound`] for a site that is not there, [`Cause::Invalid`] for a name that is none; [`Cause::Disk`] if
    /// `content` breaks off: nothing is received then.
    pub async fn bring(
        self: &Arc<Self>,
        file: &Brought,
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Committed, TransferError> {
        let offer = self.brought_offer(file).await?;
        let id = offer.id;
        let mut incoming = self.receive(offer, None, |offer, now| self.brought_record(file, offer, now)).await?;
        match pour(&mut incoming, content).await {
            Ok(()) => incoming.commit().await,
            Err(error) => {
                incoming.interrupt().await;
                self.give_up(id, "the content broke off").await?;
                Err(error)
            }
        }
    }

    /// Begins to receive what no session brings: by a record of its own, which `new` makes, or going on with the broken one
    /// `partial`.
    ///
    /// # Errors
    /// As for [`Self::upload_body`]; those of the database.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        offer: Offer,
        partial: Option<&Transfer>,
        new: impl FnOnce(&Offer, UtcMicros) -> NewTransfer + Send,
    ) -> Result<Incoming, TransferError> {
        let body = self.upload_body(partial.map_or(Base::Fresh, Base::Partial)).await?;
        let _owner = self.queue.orphans.owners.read().await;
        let now = self.clock.now();
        if let Some(partial) = partial {
            let mut change = TransferChange::to(partial.id, State::Servicing, now);
            change.note = format!("goes on at octet {}", body.staged.size());
            change.node = Some(offer.owner.clone());
            drop(self.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
        } else {
            drop(self.db.transfers().insert_lazy(new(&offer, now)).await.map_err(|e| db_error(&e))?);
        }
        Ok(Incoming::begin(self, offer, body))
    }

    async fn brought_offer(&self, file: &Brought) -> Result<Offer, TransferError> {
        let name = VPath::from_text(&file.file_name)?;
        if name.depth() != 1 || file.file_name.contains('/') || is_temporary(&file.file_name) {
            let text = "file_name is one name, without '/', and none that partners use while they write (.tmp, .part)";
            return Err(TransferError::refuse(Cause::Invalid, text));
        }
        if self.snapshot().site(&file.site).is_none() {
            let text = format!("site {} does not exist: create it, or name another", base::Shown::from(&*file.site));
            return Err(TransferError::refuse(Cause::NotFound, text));
        }
        let id = self.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
        Ok(Offer {
            id,
            site: file.site.clone(),
            path: format!("brought as transfer {id}"),
            file_name: file.file_name.clone(),
            settle: Duration::ZERO,
            octets_max: None,
            quotas: Vec::new(),
            append: false,
            extra: Extra { peer: file.actor.origin.clone(), ..Extra::default() },
            replaces: Vec::new(),
            base: None,
            owner: self.node.id(),
            begun_elsewhere: false,
        })
    }

    fn brought_record(&self, file: &Brought, offer: &Offer, now: UtcMicros) -> NewTransfer {
        let snapshot = self.snapshot();
        let named = snapshot.site(&file.site).and_then(|s| s.local_site.clone());
        let local = named.or_else(|| snapshot.local_sites().next().map(|l| l.name.clone()));
        NewTransfer {
            local: local.unwrap_or_default(),
            site: file.site.clone(),
            login: file.actor.name.clone(),
            appli: file.appli.clone(),
            dir_name: file.dir_name.clone(),
            file_name: file.file_name.clone(),
            listed: false,
            extra_json: offer.extra.json(),
            node: Some(offer.owner.clone()),
            ..NewTransfer::incoming(offer.id, FOLDER, now)
        }
    }

    /// A transfer, and its content open for reading.
    ///
    /// # Errors
    /// [`Cause::NotFound`] if there is no such transfer, or its content is not stored (any more).
    pub async fn content(&self, id: TransferId) -> Result<(Transfer, Source), TransferError> {
        let t = self.db.transfers().get(id).await.map_err(|e| db_error(&e))?;
        let t = t.ok_or_else(|| db_error(&DbError::NoTransfer(id)))?;
        let none = || TransferError::refuse(Cause::NotFound, format!("transfer {id} has no stored content"));
        let source = self.open_payload(t.payload.ok_or_else(none)?).await?;
        Ok((t, source))
    }
}

/// The last part of a local path, as a record holds names.
#[must_use]
pub fn name_of_path(path: &str) -> Option<String> {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(path).file_name().map(|name| text_of(name.as_bytes()))
}

async fn pour(incoming: &mut Incoming, content: &mut (dyn AsyncRead + Send + Unpin)) -> Result<(), TransferError> {
    let mut at = 0_u64;
    let mut buffer = vec![0; COPY_OCTETS];
    loop {
        let count = content.read(&mut buffer).await;
        let count = count.map_err(|e| TransferError::refuse(Cause::Disk, format!("the content broke off: {e}")))?;
        if count == 0 {
            return Ok(());
        }
        incoming.write_at(at, Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default())).await?;
        at = at.saturating_add(u64::try_from(count).unwrap_or(0));
    }
}
