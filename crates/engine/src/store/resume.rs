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
use super::format::{CHUNK, CHUNK_OCTETS, Cipher, HEADER, Header, Suite, chunks, narrow};
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

/// Opens the staged file again; `None` if it is gone although some of it should be there.
pub(super) fn resume(staging: &Arc<Staging>, uuid: FileUuid, saved: &Saved) -> Result<Option<Again>, StoreError> {
    let mut body = Body::new(staging.clone(), uuid);
    let state = State::open(&*staging.parts.keys, uuid, saved);
    let needs_no_file = saved.durable_to == 0 || state.as_ref().is_some_and(|state| state.flushed == 0);
    let file = match staging.parts.disk.open(&body.path, true) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(|e| StoreError::io("opening a staged file", &e))?),
    };
    if let Some(file) = &file
        && !file.lock().map_err(|e| StoreError::io("locking a staged file", &e))?
    {
        return Err(StoreError::Busy { uuid });
    }
    if needs_no_file {
        remove_if_there(staging, &body.path)?;
        let (tail, holes) = state.map(|state| (state.tail, state.holes)).unwrap_or_default();
        return Ok(Some(Again { body, tail, holes }));
    }
    let Some(file) = file else { return Ok(None) };
    let (header, cipher) = read_header(&*file, &*staging.parts.keys, uuid)?;
    let there = file.octets().map_err(|e| StoreError::io("opening a staged file", &e))?;
    let state = state.filter(|state| state.incarnation == header.incarnation);
    let (content, in_place) = (header.suite.content_before(there), header.in_place);
    body.opened = Some(Opened { file, cipher, header, named: true });
    let trusted = state.as_ref().filter(|_| !in_place);
    let tail = match trusted.map(|state| take_state(&mut body, state, content)).transpose()?.flatten() {
        Some(tail) => tail,
        None => read_all(&mut body, saved.durable_to, (content, state.as_ref()))?,
    };
    Ok(Some(Again { body, tail, holes: state.map(|state| state.holes).unwrap_or_default() }))
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

/// Goes on where `state` stood and gives its tail; `None` if the disk has less than it was told to keep.
fn take_state(body: &mut Body, state: &State, content: u64) -> Result<Option<Vec<u8>>, StoreError> {
    if state.flushed > content {
        return Ok(None);
    }
    body.marks = state.marks.clone();
    body.marks.sealed_to = body.marks.sealed_to.max(content.div_ceil(CHUNK_OCTETS));
    body.flushed = state.flushed;
    body.hash = match (body.staging.parts.options.hash, &state.hash) {
        (false, _) => Hash::Off,
        (true, Hash::Off) => Hash::Lost,
        (true, hash) => hash.clone(),
    };
    let last = (state.flushed / CHUNK_OCTETS).checked_sub(1);
    let opens = last.map_or(Ok(true), |last| body.try_load(last).map(|plain| plain.is_some()))?;
    Ok(opens.then(|| state.tail.clone()))
}

/// Reads the file from its start: what opens stays, as far as `state` stood, or, without it, up to `durable_to`. Gives
/// what is behind the last whole chunk.
fn read_all(body: &mut Body, durable_to: u64, (content, state): (u64, Option<&State>)) -> Result<Vec<u8>, StoreError> {
    let sealed = body.opened.as_ref().is_some_and(|opened| opened.cipher.is_some());
    body.marks = Marks { sealed_to: chunks(content), overfull: sealed, ..Marks::default() };
    body.hash = Hash::fresh(body.staging.parts.options.hash);
    body.flushed = 0;
    let limit = state.map_or(durable_to, |state| state.flushed);
    while body.flushed < limit {
        let Some(mut plain) = body.try_load(body.flushed / CHUNK_OCTETS)? else { return Ok(Vec::new()) };
        let want = narrow(limit - body.flushed);
        if want < CHUNK {
            plain.truncate(want);
            return Ok(plain);
        }
        if let Hash::Running(hash) = &mut body.hash {
            hash.update(&plain);
        }
        body.flushed = body.flushed.saturating_add(CHUNK_OCTETS);
    }
    Ok(state.map(|state| state.tail.clone()).unwrap_or_default())
}
