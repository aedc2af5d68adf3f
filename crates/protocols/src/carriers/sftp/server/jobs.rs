//! The work behind a request: what may wait for disk or database. A job owns what it works with and gives it back.

use std::sync::Arc;

use base::UtcMicros;
use bytes::Bytes;
use engine::{OpenWrite, Space, TransferError, VPath};

use super::READ_OCTETS_MAX;
use super::handles::{Append, Open, OpenUpload, Task, Verb};
use super::listing;
use super::paths::{PathTask, PathVerb};
use super::session::{Done, Origin, read_octets};
use crate::carriers::sftp::replies;
use crate::carriers::sftp::wire::{Attrs, OpenFlags, Pieces, Reply, SpaceInfo};
use crate::files::{Download, Folder};

/// Most octets a file can have here: offsets are signed on disk.
const FILE_OCTETS_MAX: u64 = i64::MAX.unsigned_abs();

/// Carries out a request on what the handle at `place` stands for.
pub(super) async fn on_handle(folder: Arc<dyn Folder>, place: usize, open: Open, task: Task) -> Done {
    let Task { id, verb } = task;
    let read_octets = if let Verb::Read { len, .. } = &verb { read_octets(*len) } else { 0 };
    let (open, result) = match (open, verb) {
        (open, Verb::Close) => (None, close(open).await),
        (Open::Upload(mut up), verb) => {
            let reply = on_upload(&mut up, verb, &folder).await;
            (Some(Open::Upload(up)), reply)
        }
        (Open::Download(mut down), verb) => {
            let reply = on_download(down.as_mut(), verb, &folder).await;
            (Some(Open::Download(down)), reply)
        }
        (Open::Listing(mut names), verb) => {
            let reply = match verb {
                Verb::Readdir if names.is_empty() => Ok(replies::eof()),
                Verb::Readdir => Ok(Reply::Names(listing::batch(&mut names))),
                Verb::Stat => Ok(Reply::Attrs(listing::directory_attrs())),
                Verb::Space => space(&folder).await,
                _ => Ok(replies::wrong_handle()),
            };
            (Some(Open::Listing(names)), reply)
        }
    };
    Done { origin: Origin::Handle { place, open }, id, result, read_octets }
}

/// Carries out a request that names a path.
pub(super) async fn on_path(folder: Arc<dyn Folder>, job: u64, task: PathTask) -> Done {
    let opens = task.opens();
    let PathTask { id, path, verb } = task;
    let mut opened = None;
    let result = match verb {
        PathVerb::Open(flags) => open(folder.as_ref(), &path, flags).await.map(|open| {
            opened = Some(open);
            replies::ok()
        }),
        PathVerb::Opendir => folder.list(&path).await.map(|entries| {
            opened = Some(Open::Listing(listing::names(entries, folder.now())));
            replies::ok()
        }),
        PathVerb::Stat => folder.stat(&path).await.map(|entry| Reply::Attrs(listing::attrs(&entry))),
        PathVerb::SetStat(attrs) => set_stat(folder.as_ref(), &path, &attrs).await,
        PathVerb::Remove => folder.remove(&path).await.map(|()| replies::ok()),
        PathVerb::Mkdir => folder.mkdir(&path).await.map(|()| replies::ok()),
        PathVerb::Rmdir => folder.rmdir(&path).await.map(|()| replies::ok()),
        PathVerb::Rename { to, overwrite } => folder.rename(&path, &to, overwrite).await.map(|()| replies::ok()),
        PathVerb::Space => match folder.stat(&path).await {
            Ok(_) => space(&folder).await,
            Err(e) => Err(e),
        },
    };
    Done { origin: Origin::Path { job, opens, opened, path }, id, result, read_octets: 0 }
}

/// Opens a file as the flags say (draft section 6.3, DESIGN 1.1).
async fn open(folder: &dyn Folder, path: &VPath, flags: OpenFlags) -> Result<Open, TransferError> {
    if !flags.has(OpenFlags::WRITE) {
        // Flags that only mean something for writing are passed over, as POSIX open does.
        return folder.open_read(path).await.map(Open::Download);
    }
    let append = flags.has(OpenFlags::APPEND);
    let how = OpenWrite {
        append,
        truncate: flags.has(OpenFlags::TRUNCATE),
        create: flags.has(OpenFlags::CREATE),
        exclusive: flags.has(OpenFlags::CREATE.and(OpenFlags::EXCLUSIVE)),
    };
    let file = folder.open_write(path, how).await?;
    let append = match (append, how.truncate) {
        (true, _) => Append::Open { told: None },
        (false, false) => Append::Kept { told: None },
        (false, true) => Append::No,
    };
    Ok(Open::Upload(OpenUpload { file, readable: flags.has(OpenFlags::READ), append }))
}

async fn on_upload(up: &mut OpenUpload, verb: Verb, folder: &Arc<dyn Folder>) -> Result<Reply, TransferError> {
    match verb {
        Verb::Write { data, .. } if data.is_empty() => Ok(replies::ok()),
        Verb::Write { offset, data } => {
            let at = up.append.place(offset, up.file.size())?;
            match end_of(at, data.len()) {
                Some(_) => write(up, at, data).await.map(|()| replies::ok()),
                None => Ok(replies::invalid("offset is beyond any file")),
            }
        }
        Verb::Read { .. } if !up.readable => Ok(replies::wrong_handle()),
        Verb::Read { offset, len, .. } if len > 0 && offset >= up.file.size() => Ok(replies::eof()),
        Verb::Read { offset, len, .. } => up.file.read_at(offset, len.min(READ_OCTETS_MAX)).await.map(|d| data(len, d)),
        Verb::Stat => Ok(Reply::Attrs(listing::file_attrs(up.file.size(), None))),
        Verb::SetStat(attrs) => {
            if let Some(size) = attrs.size {
                // OpenSSH's client does this after a write that was refused.
                up.append.may_cut()?;
                up.file.truncate(size).await?;
            }
            if let Some(modified) = modified(&attrs) {
                up.file.set_times(modified).await?;
            }
            Ok(replies::ok())
        }
        Verb::Sync => up.file.sync().await.map(|()| replies::ok()),
        Verb::Space => space(folder).await,
        Verb::Readdir | Verb::Close => Ok(replies::wrong_handle()),
    }
}

/// Writes piece by piece, as they came from the network.
async fn write(up: &mut OpenUpload, offset: u64, data: Pieces) -> Result<(), TransferError> {
    let mut at = offset;
    for piece in data {
        let octets = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        up.file.write_at(at, piece).await?;
        at = at.saturating_add(octets);
    }
    Ok(())
}

async fn on_download(down: &mut dyn Download, verb: Verb, folder: &Arc<dyn Folder>) -> Result<Reply, TransferError> {
    match verb {
        Verb::Read { offset, len, .. } if len > 0 && offset >= down.size() => Ok(replies::eof()),
        Verb::Read { offset, len, .. } => down.read_at(offset, len.min(READ_OCTETS_MAX)).await.map(|d| data(len, d)),
        Verb::Stat => Ok(Reply::Attrs(listing::file_attrs(down.size(), Some(down.modified())))),
        // Rights and owners are not kept, so setting them changes nothing and is no error.
        Verb::SetStat(attrs) if attrs.size.is_none() && attrs.times.is_none() => Ok(replies::ok()),
        // Nothing was written through this handle, so there is nothing to bring to the disk.
        Verb::Sync => Ok(replies::ok()),
        Verb::Space => space(folder).await,
        _ => Ok(replies::wrong_handle()),
    }
}

/// A read of nothing gives nothing; any other read that gives nothing is at the end.
fn data(wanted: u32, data: Bytes) -> Reply {
    if data.is_empty() && wanted > 0 { replies::eof() } else { Reply::Data(data) }
}

/// Ends a handle. An upload is committed in a task of its own, so that it is finished even if the session is cut short.
async fn close(open: Open) -> Result<Reply, TransferError> {
    match open {
        Open::Upload(up) if up.append == Append::Moved => {
            up.file.interrupt().await;
            Err(Append::moved())
        }
        Open::Upload(up) => match tokio::spawn(up.file.commit()).await {
            Ok(committed) => committed.map(|proof| {
                tracing::debug!(octets = proof.size(), "upload is durable");
                replies::committed(&proof)
            }),
            Err(_) => Ok(replies::invalid("server could not complete the file, send it again")),
        },
        Open::Download(down) => down.finish(true).await.map(|()| replies::ok()),
        Open::Listing(_) => Ok(replies::ok()),
    }
}

/// Sets what can be set of a file by name: time of last change, and the size of an upload that is still one's own.
///
/// Rights and owners are not kept here. Clients such as WinSCP set them after each upload and take an error as its
/// failure, so they are accepted, and change nothing.
async fn set_stat(folder: &dyn Folder, path: &VPath, attrs: &Attrs) -> Result<Reply, TransferError> {
    if let Some(size) = attrs.size {
        let mut file = folder.open_write(path, OpenWrite::default()).await?;
        match file.truncate(size).await {
            Ok(()) => {
                file.commit().await?;
            }
            Err(error) => {
                file.interrupt().await;
                return Err(error);
            }
        }
    }
    match modified(attrs) {
        Some(modified) => folder.set_times(path, modified).await?,
        None => drop(folder.stat(path).await?),
    }
    Ok(replies::ok())
}

fn modified(attrs: &Attrs) -> Option<UtcMicros> {
    attrs.times.map(|(_, modified)| UtcMicros(i64::from(modified) * 1_000_000))
}

async fn space(folder: &Arc<dyn Folder>) -> Result<Reply, TransferError> {
    let Space { block, blocks, free, names } = folder.space().await?;
    let info = SpaceInfo {
        block_octets: block,
        fragment_octets: block,
        fragments: blocks,
        fragments_free: free,
        fragments_available: free,
        name_octets_max: names,
        ..SpaceInfo::default()
    };
    Ok(Reply::Extended(info.encode()))
}

fn end_of(offset: u64, octets: usize) -> Option<u64> {
    offset.checked_add(u64::try_from(octets).ok()?).filter(|end| *end <= FILE_OCTETS_MAX)
}
