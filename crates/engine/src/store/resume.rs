//! Going on with a staged file after a suspension or a crash. Blocking.
//!
//! A saved state is trusted if it belongs to this beginning of the file and nothing durable was changed since; then only
//! the end is looked at. Else the file is read from its start, as far as its chunks open.

use std::io::{self, IoSliceMut};
use std::sync::Arc;

use sha2::Digest;

use super::body::{Body, Opened, Staging, remove_if_there};
use super::disk::DiskFile;
use super::error::Part;
use super::format::{CHUNK, CHUNK_OCTETS, Cipher, HEADER, Header, Suite, chunks, narrow, wide};
use super::keywrap::KeyWrap;
use super::saved::{Hash, Marks, State};
use super::{FileUuid, Saved, StoreError};

/// A body that goes on, with what is not flushed of it.
pub(super) struct Again {
    pub(super) body: Body,
    pub(super) tail: Vec<u8>,
    /// Octets of gaps that the file has had.
    pub(super) holes: u64,
}

/// Opens the staged file again; `None` if there is none.
pub(super) fn resume(staging: &Arc<Staging>, uuid: FileUuid, saved: &Saved) -> Result<Option<Again>, StoreError> {
    let file = match staging.parts.disk.open(&staging.path(uuid), true) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| StoreError::io("opening a staged file", &e))?,
    };
    if !file.lock().map_err(|e| StoreError::io("locking a staged file", &e))? {
        return Err(StoreError::Busy { uuid });
    }
    let mut body = Body::new(staging.clone(), uuid);
    if saved.durable_to == 0 {
        remove_if_there(staging, &body.path)?;
        return Ok(Some(Again { body, tail: Vec::new(), holes: 0 }));
    }
    let (header, cipher) = read_header(&*file, &*staging.parts.keys, uuid)?;
    let there = file.octets().map_err(|e| StoreError::io("opening a staged file", &e))?;
    let state = State::open(&*staging.parts.keys, uuid, saved)
        .filter(|state| state.incarnation == header.incarnation && !header.in_place);
    let content = header.suite.content_before(there);
    body.opened = Some(Opened { file, cipher, header, named: true });
    let trusted = match state {
        Some(state) => take_state(&mut body, state, saved.durable_to, content)?,
        None => None,
    };
    let (tail, holes) = match trusted {
        Some(found) => found,
        None => (read_all(&mut body, saved.durable_to.min(content), content)?, 0),
    };
    Ok(Some(Again { body, tail, holes }))
}

/// Reads and checks the header of a file and opens its data key.
pub(super) fn read_header(
    file: &dyn DiskFile,
    keys: &dyn KeyWrap,
    uuid: FileUuid,
) -> Result<(Header, Option<Cipher>), StoreError> {
    let mut octets = vec![0; HEADER];
    let got = file.read_at(&mut [IoSliceMut::new(&mut octets)], 0);
    let got = got.map_err(|e| StoreError::io("reading a header", &e))?;
    let damaged = StoreError::corrupt(uuid, Part::Header);
    let header = Header::decode(&octets).filter(|header| got == HEADER && header.uuid == uuid);
    let header = header.ok_or_else(|| damaged.clone())?;
    let mut result = Err(damaged.clone());
    for slot in header.slots.iter().filter(|slot| !slot.is_empty()) {
        result = keys.unwrap_key(&header.bound(), slot);
        if result.is_ok() {
            break;
        }
    }
    let key = result?;
    match header.suite {
        Suite::Clear if key.expose().is_empty() => Ok((header, None)),
        Suite::Clear => Err(damaged),
        Suite::Aes256Gcm => Cipher::new(&key, uuid).map(|cipher| (header, Some(cipher))).ok_or(damaged),
    }
}

/// Goes on where `state` stood; `None` if the disk has less than it was told to keep.
fn take_state(
    body: &mut Body,
    state: State,
    durable_to: u64,
    content: u64,
) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
    let want = durable_to.checked_sub(state.flushed).map(narrow).filter(|want| *want <= CHUNK);
    let Some(want) = want.filter(|_| state.flushed <= content) else { return Ok(None) };
    body.marks = state.marks;
    body.flushed = state.flushed;
    body.hash = match (body.staging.parts.options.hash, state.hash) {
        (false, _) => Hash::Off,
        (true, Hash::Off) => Hash::Lost,
        (true, hash) => hash,
    };
    let index = state.flushed / CHUNK_OCTETS;
    if index > 0 && body.try_load(index - 1, CHUNK)?.is_none() {
        return Ok(None);
    }
    let tail = match want {
        0 => Vec::new(),
        _ => load_tail(body, index, &[want, CHUNK])?,
    };
    body.marks.sealed_to = body.marks.sealed_to.max(content.div_ceil(CHUNK_OCTETS));
    Ok(Some((tail, state.holes)))
}

/// The first octets of a chunk, as many as the shortest of `lens` says: it may have been written again with more in it,
/// and then has another of these lengths. Nothing if it does not open.
fn load_tail(body: &mut Body, index: u64, lens: &[usize]) -> Result<Vec<u8>, StoreError> {
    // The saved state can't know the tag of a tail that was written again later.
    body.marks.listed.remove(&index);
    for len in lens {
        if let Some(mut plain) = body.try_load(index, *len)? {
            plain.truncate(lens.iter().min().copied().unwrap_or_default());
            return Ok(plain);
        }
    }
    Ok(Vec::new())
}

/// Reads the file from its start: what opens stays, up to `limit`. Gives what is behind the last whole chunk.
fn read_all(body: &mut Body, limit: u64, content: u64) -> Result<Vec<u8>, StoreError> {
    let sealed = body.opened.as_ref().is_some_and(|opened| opened.cipher.is_some());
    body.marks = Marks { sealed_to: chunks(content), overfull: sealed, ..Marks::default() };
    body.hash = Hash::fresh(body.staging.parts.options.hash);
    body.flushed = 0;
    while body.flushed < limit {
        let index = body.flushed / CHUNK_OCTETS;
        let want = narrow(limit - body.flushed).min(CHUNK);
        if want < CHUNK {
            let there = narrow(content - body.flushed).min(CHUNK);
            return load_tail(body, index, &[want, there]);
        }
        let Some(plain) = body.try_load(index, CHUNK)? else { break };
        if let Hash::Running(hash) = &mut body.hash {
            hash.update(&plain);
        }
        body.flushed = body.flushed.saturating_add(wide(plain.len()));
    }
    Ok(Vec::new())
}
