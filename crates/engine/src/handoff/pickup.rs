//! Putting files into a real folder, each exactly once: under a hidden name, synced, then renamed.
//!
//! Before the rename it is noted in the record that it is about to come (as for every delivery, page 0007). On a local
//! disk that note decides alone: it is made when the hidden file is durable, so that after a crash the hidden file is
//! there and the rename has not happened, or it is gone and has, even if the business side took the file away at once.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use base::UtcMicros;
use bytes::Bytes;
use model::{FolderPlace, Marker, RemoteSite, RenamePolicy, VerifyPolicy};
use rustix::fs::{Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::folder::Folder;
use crate::error::{Cause, ErrorKind, TransferError};
use crate::queue::{Job, JobOutcome, JobSource, OutgoingJob, SessionOutcome};

/// Octets written at once.
const PIECE_OCTETS: u32 = 1024 * 1024;
/// Highest number that a file gets beside others of its name.
const NUMBER_MAX: u32 = 9999;
/// Octets of a mark that are read back.
const MARK_OCTETS_MAX: usize = 1024;
/// Longest name that the disk takes.
const NAME_OCTETS_MAX: usize = 255;

/// Puts jobs into the folder that `site` is until there are no more. `data` is the gateway's own folder, which no file
/// may come into.
pub async fn put_all(site: &RemoteSite, place: &FolderPlace, data: &Path, jobs: &mut dyn JobSource) -> SessionOutcome {
    let root = match Folder::open(&place.path, data).await {
        Ok(root) => root,
        Err(error) => return SessionOutcome::ConnectFailed { path: 0, error },
    };
    jobs.connected(0, None);
    while let Some(job) = jobs.next().await {
        let mut job = match job {
            Job::Send(job) => job,
            Job::Fetch(job) => {
                let text =
                    format!("site {} is a folder of this machine: a drop folder takes files from there", site.name);
                let error = TransferError::park(Cause::Unsupported, text);
                if let Err(error) = jobs.finish(job.id, JobOutcome::Park(error)).await {
                    return SessionOutcome::Lost(error);
                }
                continue;
            }
        };
        let id = job.id;
        let put = Put { site, place, root: &root };
        let outcome = match put.put(&mut job, jobs).await {
            Ok(how) => {
                tracing::debug!(transfer = id.0, how, octets = job.size, "file is in the folder");
                JobOutcome::Delivered
            }
            Err(outcome) => {
                if let JobOutcome::Retry(error) | JobOutcome::Unknown(error) | JobOutcome::Park(error) = &outcome {
                    tracing::info!(transfer = id.0, attempt = job.attempt, %error, "file could not be put");
                }
                outcome
            }
        };
        if let Err(error) = jobs.finish(id, outcome).await {
            return SessionOutcome::Lost(error);
        }
    }
    SessionOutcome::Ended
}

impl From<TransferError> for JobOutcome {
    fn from(error: TransferError) -> Self {
        if error.kind == ErrorKind::Retry { Self::Retry(error) } else { Self::Park(error) }
    }
}

struct Put<'a> {
    site: &'a RemoteSite,
    place: &'a FolderPlace,
    root: &'a Folder,
}

/// Names of one file in its folder.
#[derive(Clone, Debug)]
struct Names {
    folder: Folder,
    /// The final name.
    name: Vec<u8>,
    /// The hidden one while it is written.
    part: Vec<u8>,
    /// The hidden one of its mark until that is due.
    mark: Option<(Marker, Vec<u8>)>,
    existing: RenamePolicy,
}

/// What an earlier try has left.
enum Left {
    /// Nothing that helps.
    Nothing,
    /// The whole file, durable, under its hidden name.
    Whole,
    /// The file is there, or was.
    Arrived,
}

impl Put<'_> {
    async fn put(&self, job: &mut OutgoingJob, jobs: &mut dyn JobSource) -> Result<&'static str, JobOutcome> {
        let dir = job.dir_name.clone();
        let folder = self.root.work(move |root| root.below(&dir)).await?;
        let names = self.names(folder, job)?;
        match self.left(&names, job).await? {
            Left::Arrived => {
                let found = names.clone();
                names.folder.work(move |_| found.mark_late()).await?;
                return Ok("an earlier try had brought it");
            }
            Left::Whole => {}
            Left::Nothing => {
                self.check_free(&names).await?;
                if let Err(error) = self.write(&names, job, jobs).await {
                    self.give_up(&names, job, &error).await;
                    return Err(error.into());
                }
            }
        }
        jobs.progress(job.id, job.size).await?;
        let digest = job.sha256;
        let ready = names.clone();
        let target = names.folder.work(move |_| ready.prepare(digest.as_ref())).await?;
        jobs.last_step(job.id).await?;
        let published = names.clone();
        let done = names.folder.work(move |_| published.publish(target, digest.as_ref())).await;
        done.map_err(|error| match error.cause {
            // Nothing was renamed: the name was taken in the meantime.
            Cause::Exists => JobOutcome::Park(error),
            _ => JobOutcome::Unknown(error),
        })?;
        Ok("it was put there now")
    }

    fn names(&self, folder: Folder, job: &OutgoingJob) -> Result<Names, JobOutcome> {
        let name = job.file_name.clone();
        let hidden = job.temp_name.clone().unwrap_or_else(|| format!(".{}.part", job.id).into_bytes());
        let mark = self.place.marker.clone().map(|m| (m, format!(".gatehouse-{}.mark", job.id).into_bytes()));
        let longest = mark.as_ref().map_or(name.len(), |(marker, _)| marker.of(&name).len());
        if name.is_empty() || name.contains(&b'/') || longest > NAME_OCTETS_MAX {
            let text = format!("{} is no name for a file here: give file_name another", base::octets_text(&name));
            return Err(JobOutcome::Park(TransferError::park(Cause::Invalid, text)));
        }
        Ok(Names { folder, name, part: hidden, mark, existing: self.site.rename_policy })
    }

    /// What an earlier try has left (DESIGN 1.18).
    async fn left(&self, names: &Names, job: &OutgoingJob) -> Result<Left, JobOutcome> {
        if !job.maybe_delivered {
            return Ok(Left::Nothing);
        }
        let (here, size) = (names.clone(), job.size);
        let (part, there) =
            names.folder.work(move |folder| Ok((folder.look(&here.part)?, folder.look(&here.name)?))).await?;
        match part {
            // Linked but not yet unlinked, where the disk can't rename without replacing.
            Some(stat) if job.noted && stat.st_nlink > 1 => return Ok(Left::Arrived),
            Some(stat) if job.noted && octets(stat.st_size) == size => return Ok(Left::Whole),
            Some(_) => return Ok(Left::Nothing),
            None if job.noted => return Ok(Left::Arrived),
            None => {}
        }
        // Restored from a backup that is older than its end: the note is missing, only the file itself could tell.
        if there.is_some_and(|stat| octets(stat.st_size) == size) {
            return Ok(Left::Arrived);
        }
        match self.site.verify_policy {
            VerifyPolicy::Accept => Ok(Left::Arrived),
            VerifyPolicy::Resend => Ok(Left::Nothing),
            VerifyPolicy::Ask => {
                let text = format!(
                    "nothing tells whether {} was put there before the restore: look, then restart or cancel it",
                    base::octets_text(&job.file_name)
                );
                Err(JobOutcome::Park(TransferError::park(Cause::Unclear, text)))
            }
        }
    }

    async fn check_free(&self, names: &Names) -> Result<(), JobOutcome> {
        let name = names.name.clone();
        let taken = names.existing == RenamePolicy::Keep
            && names.folder.work(move |folder| folder.look(&name)).await?.is_some();
        match taken {
            true => Err(JobOutcome::Park(taken_name(&names.name))),
            false => Ok(()),
        }
    }

    async fn write(&self, names: &Names, job: &mut OutgoingJob, jobs: &mut dyn JobSource) -> Result<(), TransferError> {
        let part = names.part.clone();
        let how = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let made = names.folder.work(move |f| f.open_file(&part, how, Mode::RUSR | Mode::WUSR)).await?;
        let file = Arc::new(File::from(made));
        let mut at = 0;
        while at < job.size {
            let piece = job.source.read_at(at, PIECE_OCTETS).await?;
            if piece.is_empty() {
                return Err(TransferError::park(Cause::Integrity, "the stored file is shorter than it was"));
            }
            let len = u64::try_from(piece.len()).unwrap_or(0);
            write_at(&names.folder, &file, at, piece).await?;
            at = at.saturating_add(len);
            jobs.progress(job.id, at).await?;
        }
        let (mode, owner, modified) = (self.place.mode, self.place.owner, job.modified);
        names
            .folder
            .work(move |folder| {
                finish(&file, mode, owner, modified)?;
                folder.sync()
            })
            .await
    }

    /// What was begun takes no room that others need. If a try before came to its last step, what is there tells of it.
    async fn give_up(&self, names: &Names, job: &OutgoingJob, error: &TransferError) {
        if job.noted || error.cause != Cause::NoSpace {
            return;
        }
        let part = names.part.clone();
        if let Err(error) = names.folder.work(move |folder| folder.remove(&part)).await {
            tracing::debug!(transfer = job.id.0, %error, "what was begun stays for the next try");
        }
    }
}

impl Names {
    /// The name that the file will have, and its mark ready to be renamed, durable before the last step.
    fn prepare(&self, digest: Option<&[u8; 32]>) -> Result<Vec<u8>, Errno> {
        let target = self.target(0)?.1;
        self.write_mark(&target, digest)?;
        self.folder.sync()?;
        Ok(target)
    }

    /// The first free name from number `from` on.
    fn target(&self, from: u32) -> Result<(u32, Vec<u8>), Errno> {
        if self.existing != RenamePolicy::Number {
            return Ok((0, self.name.clone()));
        }
        for number in from..=NUMBER_MAX {
            let name = numbered(&self.name, number);
            let mark = self.mark.as_ref().map(|(marker, _)| marker.of(&name));
            let marked = mark.map_or(Ok(None), |mark| self.folder.look(&mark))?;
            if self.folder.look(&name)?.is_none() && marked.is_none() {
                return Ok((number, name));
            }
        }
        Err(Errno::EXIST)
    }

    fn write_mark(&self, target: &[u8], digest: Option<&[u8; 32]>) -> Result<(), Errno> {
        let Some((_, hidden)) = &self.mark else { return Ok(()) };
        let how = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let mut file = File::from(self.folder.open_file(hidden, how, Mode::RUSR | Mode::WUSR | Mode::RGRP)?);
        let digest = digest.map_or_else(|| "-".to_owned(), |d| base::hex(d));
        let text = [digest.as_bytes(), b"  ", target, b"\n"].concat();
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(|e| errno(&e))?;
        Ok(())
    }

    /// The last step: the final name appears, then the mark.
    fn publish(&self, mut target: Vec<u8>, digest: Option<&[u8; 32]>) -> Result<(), Errno> {
        let replaces = self.existing == RenamePolicy::Replace;
        if let Some((marker, _)) = self.mark.as_ref().filter(|_| replaces) {
            // The mark of the file that is replaced must not vouch for the new one.
            self.folder.remove(&marker.of(&target))?;
        }
        let mut number = 0;
        loop {
            match self.folder.rename(&self.part, &self.folder, &target, !replaces) {
                Err(Errno::EXIST) if self.existing == RenamePolicy::Number && number < NUMBER_MAX => {
                    (number, target) = self.target(number.saturating_add(1))?;
                    self.write_mark(&target, digest)?;
                }
                Err(e) => return Err(e),
                Ok(()) => break,
            }
        }
        self.folder.sync()?;
        self.place_mark(&target)
    }

    fn place_mark(&self, target: &[u8]) -> Result<(), Errno> {
        let Some((marker, hidden)) = &self.mark else { return Ok(()) };
        self.folder.rename(hidden, &self.folder, &marker.of(target), false)?;
        self.folder.sync()
    }

    /// After a crash between the last step and its end: the mark still comes if the file is there.
    fn mark_late(&self) -> Result<(), Errno> {
        self.folder.remove(&self.part)?;
        let Some((_, hidden)) = &self.mark else { return Ok(()) };
        if self.folder.look(hidden)?.is_none() {
            return Ok(());
        }
        let file = File::from(self.folder.open_file(hidden, OFlags::RDONLY, Mode::empty())?);
        let mut text = vec![0; MARK_OCTETS_MAX];
        let count = file.read_at(&mut text, 0).map_err(|e| errno(&e))?;
        text.truncate(count);
        let target = text.strip_suffix(b"\n").and_then(|line| {
            let at = line.windows(2).position(|two| two == b"  ")?;
            line.get(at + 2..)
        });
        match target {
            Some(target) if self.folder.look(target)?.is_some() => self.place_mark(target),
            // Taken away without waiting for its mark.
            _ => self.folder.remove(hidden),
        }
    }
}

/// `a.xml`, `a_1.xml`, `a_2.xml`; the name is cut where it would be too long.
fn numbered(name: &[u8], number: u32) -> Vec<u8> {
    if number == 0 {
        return name.to_vec();
    }
    let at = name.iter().rposition(|octet| *octet == b'.').filter(|at| *at > 0).unwrap_or(name.len());
    let (stem, end) = name.split_at(at);
    let tail = [format!("_{number}").as_bytes(), end].concat();
    let room = NAME_OCTETS_MAX.saturating_sub(tail.len());
    [stem.get(..room.min(stem.len())).unwrap_or_default(), &tail].concat()
}

async fn write_at(folder: &Folder, file: &Arc<File>, at: u64, piece: Bytes) -> Result<(), TransferError> {
    let file = file.clone();
    folder.work(move |_| file.write_all_at(&piece, at).map_err(|e| errno(&e))).await
}

/// Time, owner, mode, then all of it on the disk.
fn finish(
    file: &File,
    mode: u32,
    (user, group): (Option<u32>, Option<u32>),
    modified: Option<UtcMicros>,
) -> Result<(), Errno> {
    if user.is_some() || group.is_some() {
        rustix::fs::fchown(file, user.map(Uid::from_raw), group.map(Gid::from_raw))?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    if let Some(modified) = modified {
        let at = Timespec { tv_sec: modified.seconds(), tv_nsec: 0 };
        rustix::fs::futimens(file, &Timestamps { last_access: at, last_modification: at })?;
    }
    rustix::fs::fsync(file)
}

fn taken_name(name: &[u8]) -> TransferError {
    let text = format!("{} is in the folder already, and rename_policy is KEEP", base::octets_text(name));
    TransferError::park(Cause::Exists, text)
}

fn octets(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_before_the_ending() {
        let at = |name: &str, n| String::from_utf8(numbered(name.as_bytes(), n)).unwrap();
        assert_eq!([at("a.xml", 0), at("a.xml", 1), at("a", 12), at(".a", 1)], ["a.xml", "a_1.xml", "a_12", ".a_1"]);
        let long = numbered("x".repeat(255).as_bytes(), 9999);
        assert!(long.len() == 255 && long.ends_with(b"x_9999"));
    }
}
