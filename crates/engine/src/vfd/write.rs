//! Opening a file for writing: a new upload, the rest of an interrupted one, or a whole one once more.

use std::sync::Arc;

use base::TransferId;
use db::{NewTransfer, State, Transfer, TransferChange};
use model::DuplicatePolicy;

use crate::admit::{Admitted, Way};
use crate::engine::Engine;
use crate::error::{Cause, TransferError};
use crate::limits::REOPENED_REST;
use crate::transfer::{Base, Extra, Incoming, Offer, db_error};
use crate::vfd::files::{Named, scope};
use crate::vfd::mount::{self, Spot};
use crate::vfd::place::{Folder, Place, View, denied, nothing};
use crate::vfd::{VPath, text_of};

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OpenWrite {
    /// What is there stays, and more comes behind it.
    pub append: bool,
    /// What is there goes.
    pub truncate: bool,
    /// The file may be new.
    pub create: bool,
    /// The file must be new.
    pub exclusive: bool,
}

impl Engine {
    /// Opens a file for writing. The record is on its way to the database before this returns, and durable with the
    /// commit at the latest. An upload of the same name that is still open is interrupted (DESIGN 1.2).
    ///
    /// # Errors
    /// [`Cause::Denied`] without the right to write; [`Cause::Exists`], [`Cause::NotFound`] by the way of opening and
    /// the duplicate policy of the folder; [`Cause::IsDirectory`]; [`Cause::Quota`].
    pub async fn open_write(
        self: &Arc<Self>,
        who: &Admitted,
        path: &VPath,
        how: OpenWrite,
    ) -> Result<Incoming, TransferError> {
        let view = self.view(who)?;
        let meter = self.begin_paced(who, Way::Upload)?;
        let (folder, name) = match view.place(path)? {
            Place::Dir(_) => return Err(TransferError::refuse(Cause::IsDirectory, format!("{path} is a folder"))),
            Place::Mount(dir, below) => {
                let parent = path.parent().unwrap_or_default().text();
                let name = text_of(path.name().unwrap_or_default());
                self.ask_hooks("UPLOAD", &crate::hooks::facts(who, &parent, &name), who).await?;
                let mounted = mount::open_write(self, &Spot::new(&view, (&dir, &below), path), how).await;
                return mounted.map(|file| file.paced(meter));
            }
            Place::File(folder, name) => (folder, name),
        };
        if !view.file_rights(&folder, &name).write {
            return Err(denied("write", path));
        }
        self.ask_hooks("UPLOAD", &crate::hooks::facts(who, &folder.path, &name), who).await?;
        let _alone = self.opening.of(&who.site, &folder.file(&name)).await;
        self.take_over(&who.site, &folder.file(&name)).await;
        let mut named = self.named(&view, &folder, &name).await?;
        let begun_elsewhere = self.leave_elsewhere(&mut named).await?;
        let newer = |w: &&Transfer| !begun_elsewhere && named.partial.as_ref().is_none_or(|p| p.id < w.id);
        let older = named.whole.as_ref().filter(newer);
        if older.is_some() && how.exclusive {
            return Err(TransferError::refuse(Cause::Exists, format!("{path} is there already")));
        }
        if !how.create && older.is_none() && named.partial.is_none() && !begun_elsewhere {
            return Err(nothing(path));
        }
        let base = match (older, named.partial.as_ref()) {
            _ if how.truncate => Base::Fresh,
            (Some(whole), _) => Base::Whole(whole),
            (None, Some(partial)) => Base::Partial(partial),
            (None, None) => Base::Fresh,
        };
        let quotas = self.quotas(who);
        let room = self.room(&quotas, &who.site).await?;
        let replaces = self.make_room(&named, &folder, base).await?;
        let mut offer = offer(&view, &folder, &name, how);
        offer.replaces = replaces;
        offer.owner = self.node.id();
        offer.begun_elsewhere = begun_elsewhere;
        offer.octets_max = [offer.octets_max, room].into_iter().flatten().min();
        offer.quotas = quotas;
        Ok(self.begin(&view, (&folder, base), offer).await?.paced(meter))
    }

    /// Applies the duplicate policy; gives the older uploads that the new one replaces once it is whole.
    async fn make_room(
        &self,
        named: &Named,
        folder: &Folder,
        base: Base<'_>,
    ) -> Result<Vec<TransferId>, TransferError> {
        let mut replaces = Vec::new();
        match (base, &named.whole, folder.duplicates()) {
            (Base::Fresh, Some(whole), DuplicatePolicy::Forbid) => {
                let text = format!(
                    "{} is there already and its folder forbids a second one",
                    base::Shown::from(&*whole.file_name)
                );
                return Err(TransferError::refuse(Cause::Exists, text));
            }
            (Base::Fresh, Some(whole), DuplicatePolicy::Override) => replaces.push(whole.id),
            (Base::Whole(whole), ..) => {
                replaces.push(whole.id);
                self.hold(whole.id).await?;
            }
            // What was made of a whole upload goes on.
            (Base::Partial(Transfer { dup_from: Some(whole), .. }), ..) => {
                replaces.push(*whole);
                self.route_again(*whole, REOPENED_REST).await?;
            }
            _ => {}
        }
        // A partial upload that is not continued now never will be: its name begins anew.
        if let Some(partial) = &named.partial
            && !matches!(base, Base::Partial(_))
        {
            self.give_up_partial(partial.id, "the partner began the file anew").await?;
        }
        Ok(replaces)
    }

    async fn begin(
        self: &Arc<Self>,
        view: &View<'_>,
        (folder, base): (&Folder, Base<'_>),
        mut offer: Offer,
    ) -> Result<Incoming, TransferError> {
        let body = self.upload_body(base).await?;
        let _owner = self.queue.orphans.owners.read().await;
        let now = self.clock.now();
        match base {
            Base::Partial(partial) => {
                offer.id = partial.id;
                offer.base = partial.dup_from;
                offer.extra.modified = Extra::of(partial).modified;
                if partial.state == State::Interrupted {
                    let mut change = TransferChange::to(partial.id, State::Servicing, now);
                    change.node = Some(offer.owner.clone());
                    change.extra_json = Some(offer.extra.json());
                    change.note = format!("resumed at octet {}", body.staged.size());
                    drop(self.db.transfers().apply_lazy(change).await.map_err(|e| db_error(&e))?);
                }
            }
            Base::Fresh | Base::Whole(_) => {
                offer.id = self.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
                offer.base = if let Base::Whole(whole) = base { Some(whole.id) } else { None };
                let new = self.new_upload(view, folder, &offer);
                drop(self.db.transfers().insert_lazy(new).await.map_err(|e| db_error(&e))?);
            }
        }
        Ok(Incoming::begin(self, offer, body))
    }

    fn new_upload(&self, view: &View<'_>, folder: &Folder, offer: &Offer) -> NewTransfer {
        let who = view.who;
        NewTransfer {
            local: local_site(view),
            site: who.site.clone(),
            gate: scope(&who.site),
            login: who.login.clone(),
            dir_name: folder.path.clone(),
            file_name: offer.file_name.clone(),
            dup_from: offer.base,
            extra_json: offer.extra.json(),
            node: Some(offer.owner.clone()),
            ..NewTransfer::incoming(offer.id, who.protocol, self.clock.now())
        }
    }
}

fn offer(view: &View<'_>, folder: &Folder, name: &str, how: OpenWrite) -> Offer {
    let who = view.who;
    Offer {
        id: TransferId(0),
        site: who.site.clone(),
        path: folder.file(name),
        file_name: name.to_owned(),
        settle: who.settle,
        octets_max: who.max_upload,
        quotas: Vec::new(),
        append: how.append,
        extra: Extra {
            gate: who.gate.clone(),
            peer: who.peer.to_string(),
            secured: who.secured.clone(),
            ..Extra::default()
        },
        replaces: Vec::new(),
        base: None,
        owner: String::new(),
        begun_elsewhere: false,
    }
}

/// The local site of an exchange: the one the partner's site names, else the installation's.
fn local_site(view: &View<'_>) -> String {
    let named = view.snapshot.site(&view.who.site).and_then(|s| s.local_site.clone());
    let first = || view.snapshot.local_sites().next().map(|l| l.name.clone());
    named.or_else(first).unwrap_or_default()
}
