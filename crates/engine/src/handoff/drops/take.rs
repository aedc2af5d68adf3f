//! A claimed file becomes a received transfer; then, and only then, it leaves the drop folder.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use base::{TransferId, UtcMicros};
use bytes::Bytes;
use db::{NewTransfer, State, Transfer};
use model::{DropFolder, FOLDER, Readiness};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::claim::{self, Claim, area, gone};
use super::scan::{Candidate, sight};
use crate::engine::Engine;
use crate::error::{Cause, ErrorKind, TransferError};
use crate::handoff::folder::Folder;
use crate::limits::COPY_OCTETS;
use crate::transfer::{Extra, Incoming, Offer, db_error};
use crate::vfd::text_of;

/// A claim of this age whose record is gone may have been taken in, and the record purged.
const UNSURE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Names that a refused or moved file is tried under.
const NAMES_MAX: u32 = 1000;

/// What became of a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    /// It is received, and gone from the folder.
    Received,
    /// It changed while it was read, and went back.
    Changed,
    /// Another gateway has it.
    Elsewhere,
    /// It lies in the folder for errors, with the reason.
    Refused,
}

/// One drop folder at work.
pub(super) struct Taker<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) drop: &'a Arc<DropFolder>,
    pub(super) root: &'a Folder,
}

/// What the record of a claim says to do.
enum Next {
    /// It is received: only the file is still there.
    Finish,
    /// Receive it, from the beginning or going on with the record.
    Receive(Option<Box<Transfer>>),
    /// The number is used up: take another one.
    Renumber,
    /// Leave it to a person.
    Refuse(&'static str),
}

impl Taker<'_> {
    /// A new claim for a file.
    pub(super) async fn claim_for(&self, candidate: &Candidate) -> Result<Claim, TransferError> {
        let id = self.engine.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
        let Candidate { below, name, .. } = candidate.clone();
        Ok(Claim { id, token: token()?, name, below })
    }

    /// Takes a claimed file in. `fresh`: it was claimed just now, so that no record can know it.
    pub(super) async fn take(&self, mut claim: Claim, fresh: bool) -> Result<Taken, TransferError> {
        let wanted = claim.clone();
        let opened = self.root.work(move |root| claim::open(&area(root, &wanted.below)?, &wanted)).await;
        let file = match opened {
            Ok(Some(file)) => Arc::new(file),
            Ok(None) => return Ok(Taken::Elsewhere),
            Err(e) if e.cause == Cause::Denied => {
                return self.refuse_claim(&claim, "the gateway's user may not read it: give it the right").await;
            }
            Err(e) => return Err(e),
        };
        let next = if fresh { Next::Receive(None) } else { self.next(&claim, &file).await? };
        let partial = match next {
            Next::Finish => None,
            Next::Refuse(reason) => return self.refuse_claim(&claim, reason).await,
            Next::Renumber => {
                claim = self.renumber(claim).await?;
                Some(None)
            }
            Next::Receive(partial) => Some(partial),
        };
        if let Some(partial) = partial {
            match self.receive(&claim, &file, partial).await {
                Ok(true) => {}
                Ok(false) => return self.give_back(&claim).await,
                // Only what is wrong with the file itself refuses it: a record that a failing database lost does not.
                Err(e) if e.kind == ErrorKind::Refuse && matches!(e.cause, Cause::Invalid | Cause::Quota) => {
                    return self.refuse_claim(&claim, &e.text).await;
                }
                Err(e) => return Err(e),
            }
        }
        self.finish(claim).await
    }

    async fn next(&self, claim: &Claim, file: &Arc<File>) -> Result<Next, TransferError> {
        let record = self.engine.db.transfers().get(claim.id).await.map_err(|e| db_error(&e))?;
        let Some(t) = record else {
            let held = file.clone();
            let stat = self.root.work(move |_| rustix::fs::fstat(&*held)).await?;
            let since = UtcMicros(stat.st_ctime.saturating_mul(1_000_000));
            let old = self.engine.clock.now().since(since) >= UNSURE_AFTER;
            return Ok(match old || self.engine.frost.is_from_before(since) {
                true => Next::Refuse(
                    "whether it was taken in is not known, since its record is gone: look for it, then put it in again",
                ),
                false => Next::Receive(None),
            });
        };
        let extra = Extra::of(&t);
        Ok(match t.state {
            _ if extra.claim != claim.token => Next::Renumber,
            State::Ended => Next::Finish,
            State::Interrupted if extra.modified == Some(modified(file)?) => Next::Receive(Some(Box::new(t))),
            State::Interrupted => {
                self.engine.give_up(t.id, "the file was changed").await?;
                Next::Renumber
            }
            State::Cancelled => Next::Refuse("an operator cancelled its transfer"),
            State::Servicing | State::Created => {
                return Err(TransferError::retry(Cause::Busy, "its record is still open: it is put in order first"));
            }
            _ => Next::Renumber,
        })
    }

    /// Gives a claim another number; the lock goes with the file.
    async fn renumber(&self, old: Claim) -> Result<Claim, TransferError> {
        let id = self.engine.db.transfers().next_id().await.map_err(|e| db_error(&e))?;
        let new = Claim { id, token: token()?, ..old.clone() };
        let (to, mark) = (new.clone(), self.mark_of(&old));
        self.root
            .work(move |root| {
                let area = area(root, &old.below)?;
                if let Some(mark) = mark {
                    gone(area.rename(&old.mark(&mark), &area, &to.mark(&mark), true))?;
                }
                area.rename(&old.file(), &area, &to.file(), true)?;
                area.sync()
            })
            .await?;
        Ok(new)
    }

    fn mark_of(&self, claim: &Claim) -> Option<Vec<u8>> {
        match &self.drop.ready {
            Readiness::Marker(marker) => Some(marker.of(&claim.name)),
            _ => None,
        }
    }

    /// Brings the content into the store and commits. False: it changed meanwhile.
    async fn receive(
        &self,
        claim: &Claim,
        file: &Arc<File>,
        partial: Option<Box<Transfer>>,
    ) -> Result<bool, TransferError> {
        let held = file.clone();
        let before = self.root.work(move |_| rustix::fs::fstat(&*held)).await?;
        let mut incoming = self.begin(claim, modified(file)?, partial.as_deref()).await?;
        let mut at = incoming.size();
        loop {
            let held = file.clone();
            let piece = self.root.work(move |_| read(&held, at)).await?;
            if piece.is_empty() {
                break;
            }
            let next = at.saturating_add(u64::try_from(piece.len()).unwrap_or(0));
            incoming.write_at(at, piece).await?;
            at = next;
        }
        let held = file.clone();
        let after = self.root.work(move |_| rustix::fs::fstat(&*held)).await?;
        if sight(&before) != sight(&after) || sight(&after).size != at {
            incoming.interrupt().await;
            self.engine.give_up(claim.id, "the file was changed while it was read").await?;
            return Ok(false);
        }
        incoming.commit().await?;
        Ok(true)
    }

    async fn begin(
        &self,
        claim: &Claim,
        modified: UtcMicros,
        partial: Option<&Transfer>,
    ) -> Result<Incoming, TransferError> {
        let offer = self.offer(claim, modified);
        self.engine.receive(offer, partial, |offer, now| self.record(offer, claim, now)).await
    }

    fn offer(&self, claim: &Claim, modified: UtcMicros) -> Offer {
        let drop = self.drop;
        Offer {
            id: claim.id,
            site: drop.site.clone(),
            path: format!("drop folder {}: {}", drop.name, text_of(&claim.file())),
            file_name: text_of(&claim.name),
            settle: Duration::ZERO,
            octets_max: None,
            quotas: Vec::new(),
            append: true,
            extra: Extra {
                drop: drop.name.clone(),
                claim: claim.token.clone(),
                destination: drop.destination.clone().unwrap_or_default(),
                local_path: format!("{}/{}", drop.path, base::octets_text(&claim.path())),
                modified: Some(modified),
                ..Extra::default()
            },
            replaces: Vec::new(),
            base: None,
            owner: self.engine.node.id(),
            begun_elsewhere: false,
        }
    }

    fn record(&self, offer: &Offer, claim: &Claim, now: UtcMicros) -> NewTransfer {
        let snapshot = self.engine.snapshot();
        let named = snapshot.site(&self.drop.site).and_then(|s| s.local_site.clone());
        let local = named.or_else(|| snapshot.local_sites().next().map(|l| l.name.clone()));
        let below = text_of(&claim.below);
        let dir_name = match (self.drop.dir_name.as_str(), below.as_str()) {
            (dir, "") => dir.to_owned(),
            ("/", below) => format!("/{below}"),
            (dir, below) => format!("{dir}/{below}"),
        };
        NewTransfer {
            local: local.unwrap_or_default(),
            site: offer.site.clone(),
            appli: self.drop.appli.clone(),
            dir_name,
            file_name: offer.file_name.clone(),
            listed: false,
            extra_json: offer.extra.json(),
            node: Some(offer.owner.clone()),
            ..NewTransfer::incoming(offer.id, FOLDER, now)
        }
    }

    /// It is received: the mark goes, then the file, so that a mark alone always means that no file was claimed.
    async fn finish(&self, claim: Claim) -> Result<Taken, TransferError> {
        let (mark, done) = (self.mark_of(&claim), self.drop.done_dir.clone());
        let id = claim.id;
        let finished = self.root.work(move |root| {
            let area = area(root, &claim.below)?;
            if let Some(mark) = mark {
                area.remove(&claim.mark(&mark))?;
            }
            match done {
                Some(done) => {
                    let to = root.child(done.as_bytes(), true)?.below(&claim.below)?;
                    set_aside(&area, &claim.file(), &to, &claim.name).map(drop)
                }
                None => area.remove(&claim.file()),
            }
        });
        if let Err(error) = finished.await {
            tracing::warn!(transfer = id.0, %error, "the file is received, but not yet removed");
        }
        Ok(Taken::Received)
    }

    /// It is still being written: back to where it came from.
    async fn give_back(&self, claim: &Claim) -> Result<Taken, TransferError> {
        let (claim, mark) = (claim.clone(), self.mark_of(claim));
        self.root
            .work(move |root| {
                let (from, area) = (root.below(&claim.below)?, area(root, &claim.below)?);
                let back = claim::put_back(&from, &area, &claim.file(), &claim.name)?;
                if let (Some(mark), Some(())) = (mark, back) {
                    claim::put_back(&from, &area, &claim.mark(&mark), &mark)?;
                }
                Ok(Taken::Changed)
            })
            .await
    }

    /// Moves a claim to where refused files lie.
    async fn refuse_claim(&self, claim: &Claim, reason: &str) -> Result<Taken, TransferError> {
        let (ours, mark) = (claim.clone(), self.mark_of(claim));
        let (error_dir, reason) = (self.drop.error_dir.clone(), reason.to_owned());
        tracing::warn!(drop_folder = self.drop.name, file = %base::octets_text(&claim.path()), reason, "file refused");
        self.root
            .work(move |root| {
                let area = area(root, &ours.below)?;
                if let Some(mark) = mark {
                    area.remove(&ours.mark(&mark))?;
                }
                let to = root.child(error_dir.as_bytes(), true)?.below(&ours.below)?;
                let name = set_aside(&area, &ours.file(), &to, &ours.name)?;
                tell(&to, &name, &reason)?;
                Ok(Taken::Refused)
            })
            .await
    }

    /// Moves what is no file for us to where refused files lie.
    pub(super) async fn refuse(&self, candidate: Candidate, reason: String) -> Result<(), TransferError> {
        let error_dir = self.drop.error_dir.clone();
        let path = base::octets_text(&claim::join(&candidate.below, &candidate.name));
        tracing::warn!(drop_folder = self.drop.name, file = path, reason, "file refused");
        self.root
            .work(move |root| {
                let from = root.below(&candidate.below)?;
                let to = root.child(error_dir.as_bytes(), true)?.below(&candidate.below)?;
                if let Some(mark) = &candidate.mark {
                    from.remove(mark)?;
                }
                let Some(name) = gone(set_aside(&from, &candidate.name, &to, &candidate.name))? else { return Ok(()) };
                tell(&to, &name, &reason)
            })
            .await
    }
}

/// Renames into `to` under the first free of NAME, NAME.1, NAME.2; gives that.
fn set_aside(from: &Folder, ours: &[u8], to: &Folder, name: &[u8]) -> Result<Vec<u8>, Errno> {
    for number in 0..NAMES_MAX {
        let new = if number == 0 { name.to_vec() } else { [name, format!(".{number}").as_bytes()].concat() };
        match from.rename(ours, to, &new, true) {
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
            Ok(()) => return Ok(new),
        }
    }
    Err(Errno::EXIST)
}

/// Writes beside a refused file why it was refused.
fn tell(folder: &Folder, name: &[u8], reason: &str) -> Result<(), Errno> {
    let note = [name, b".reason.txt"].concat();
    let how = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let file = File::from(folder.open_file(&note, how, mode)?);
    rustix::fs::fchmod(&file, mode)?;
    file.write_all_at(format!("{reason}\n").as_bytes(), 0).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
}

fn read(file: &File, at: u64) -> Result<Bytes, Errno> {
    let mut octets = vec![0; COPY_OCTETS];
    let count = file.read_at(&mut octets, at).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    octets.truncate(count);
    Ok(Bytes::from(octets))
}

fn modified(file: &File) -> Result<UtcMicros, TransferError> {
    let failed = |e: Errno| TransferError::retry(Cause::Disk, format!("the file can't be looked at: {e}"));
    let nanoseconds = sight(&rustix::fs::fstat(file).map_err(failed)?).modified;
    Ok(UtcMicros(i64::try_from(nanoseconds / 1000).unwrap_or(0)))
}

fn token() -> Result<String, TransferError> {
    let random = base::random::<4>();
    random.map(|r| base::hex(&r)).map_err(|e| TransferError::retry(Cause::Disk, format!("no random numbers: {e}")))
}

/// Marks that were claimed without their file go back.
pub(super) fn lonely_mark(root: &Folder, mark: &Claim) -> Result<(), Errno> {
    let (to, area) = (root.below(&mark.below)?, area(root, &mark.below)?);
    let ours = mark.mark(&mark.name);
    match claim::put_back(&to, &area, &ours, &mark.name)? {
        Some(()) => Ok(()),
        None => area.remove(&ours),
    }
}

/// Number of the transfer, for those who look at claims.
pub(super) const fn number(claim: &Claim) -> TransferId {
    claim.id
}
