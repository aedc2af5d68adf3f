//! The part of a staged file that is on the disk. Blocking: every call runs in a worker thread.
//!
//! It holds whole chunks up to `flushed`; the tail behind them is the caller's window. Chunks are sealed in batches in
//! one buffer and written in one call. The final chunk is not sealed before the commit, so that a file that arrives in
//! order seals each chunk once.

use std::io::{self, IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::Digest;

use super::disk::DiskFile;
use super::error::Part;
use super::format::{CHUNK, CHUNK_OCTETS, Cipher, Header, IN_PLACE_AT, Kind, NONCE, RECORD, Suite, TAG, narrow, wide};
use super::past::Past;
use super::saved::{Hash, Marks, State};
use super::{FileUuid, Saved, StoreError, StoreParts};

/// Where staged files are, and with what they are made.
pub(super) struct Staging {
    pub(super) folder: PathBuf,
    pub(super) parts: StoreParts,
}

impl Staging {
    /// Path of a staged file.
    pub(super) fn path(&self, uuid: FileUuid) -> PathBuf {
        self.folder.join(format!("{uuid}.ghs"))
    }

    /// Path of the copy under a fresh key, while it is made.
    pub(super) fn copy_path(&self, uuid: FileUuid) -> PathBuf {
        self.folder.join(format!("{uuid}.copy.ghs"))
    }
}

/// An open staged file.
pub(super) struct Opened {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) cipher: Option<Cipher>,
    pub(super) header: Header,
    /// Its name is durable.
    pub(super) named: bool,
}

/// The flushed part of a staged file.
pub(super) struct Body {
    pub(super) staging: Arc<Staging>,
    pub(super) uuid: FileUuid,
    pub(super) path: PathBuf,
    pub(super) opened: Option<Opened>,
    pub(super) flushed: u64,
    pub(super) hash: Hash,
    pub(super) marks: Marks,
    pub(super) scratch: Vec<u8>,
    pub(super) past: Past,
}

impl Body {
    /// Nothing yet; no file is made before there is something to write.
    pub(super) fn new(staging: Arc<Staging>, uuid: FileUuid) -> Self {
        let (path, hash) = (staging.path(uuid), Hash::fresh(staging.parts.options.hash));
        let (marks, scratch, past) = (Marks::default(), Vec::new(), Past::default());
        Self { staging, uuid, path, opened: None, flushed: 0, hash, marks, scratch, past }
    }

    /// Writes whole chunks behind what is flushed.
    pub(super) fn append(&mut self, pieces: &[Bytes]) -> Result<(), StoreError> {
        let len = pieces.iter().map(Bytes::len).sum::<usize>();
        self.write_chunks(pieces)?;
        self.flushed = self.flushed.saturating_add(wide(len));
        Ok(())
    }

    /// Changes content below what is flushed.
    pub(super) fn patch(&mut self, offset: u64, octets: &[u8]) -> Result<(), StoreError> {
        self.mark_in_place()?;
        self.hash.lose();
        let (mut at, mut rest) = (offset, octets);
        while !rest.is_empty() {
            let (index, skip) = (at / CHUNK_OCTETS, narrow(at % CHUNK_OCTETS));
            let (part, later) = rest.split_at(rest.len().min(CHUNK - skip));
            self.patch_chunk(index, skip, part)?;
            at = at.saturating_add(wide(part.len()));
            rest = later;
        }
        Ok(())
    }

    fn patch_chunk(&mut self, index: u64, skip: usize, part: &[u8]) -> Result<(), StoreError> {
        let opened = self.opened.as_ref().ok_or(StoreError::Absent { uuid: self.uuid })?;
        if opened.cipher.is_none() {
            let at = opened.header.suite.record_at(index).saturating_add(wide(skip));
            return write(&opened.file, &[part], at);
        }
        let mut plain = if part.len() == CHUNK { part.to_vec() } else { self.load(index)? };
        plain.iter_mut().skip(skip).zip(part).for_each(|(to, from)| *to = *from);
        self.write_record(index, Kind::More, &plain)
    }

    /// Cuts to `size`, which is below what is flushed, and gives back the content behind the last whole chunk.
    pub(super) fn cut(&mut self, size: u64) -> Result<Vec<u8>, StoreError> {
        self.mark_in_place()?;
        self.hash.lose();
        let (index, rest) = (size / CHUNK_OCTETS, narrow(size % CHUNK_OCTETS));
        let mut tail = if rest == 0 { Vec::new() } else { self.load(index)? };
        tail.truncate(rest);
        self.flushed = index.saturating_mul(CHUNK_OCTETS);
        self.marks.cut(index);
        if let Some(opened) = &self.opened {
            let end = opened.header.suite.record_at(index);
            opened.file.set_len(end).map_err(|e| StoreError::io("cutting a staged file", &e))?;
        }
        Ok(tail)
    }

    /// Begins again with nothing, under a fresh key.
    pub(super) fn reset(&mut self) -> Result<(), StoreError> {
        if self.opened.take().is_some() {
            self.staging.parts.disk.remove(&self.path).map_err(|e| StoreError::io("removing a staged file", &e))?;
        }
        *self = Self::new(self.staging.clone(), self.uuid);
        Ok(())
    }

    /// Up to `len` octets from `offset`, all of them flushed.
    pub(super) fn read(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        self.settle()?;
        let (mut at, mut out) = (offset, Vec::with_capacity(len));
        while out.len() < len {
            let plain = self.load(at / CHUNK_OCTETS)?;
            let part = plain.get(narrow(at % CHUNK_OCTETS)..).unwrap_or_default();
            let part = part.get(..part.len().min(len - out.len())).unwrap_or_default();
            out.extend_from_slice(part);
            at = at.saturating_add(wide(part.len()));
        }
        Ok(out)
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.syncer()?.map_or(Ok(()), |syncer| syncer.run())
    }

    /// Has all that was written in the file, not yet on the disk.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        match &self.opened {
            Some(opened) => self.past.settle(&opened.file),
            None => Ok(()),
        }
    }

    /// What has to be synchronised, to be run beside further writes.
    pub(super) fn syncer(&mut self) -> Result<Option<Syncer>, StoreError> {
        self.settle()?;
        let staging = self.staging.clone();
        let Some(opened) = self.opened.as_mut() else { return Ok(None) };
        let name = !std::mem::replace(&mut opened.named, true);
        Ok(Some(Syncer { file: opened.file.clone(), staging, name }))
    }

    /// State to go on from, once what was written is durable; `tail` is what comes behind it.
    pub(super) fn saved(&self, tail: &[Bytes], holes: u64) -> Result<Saved, StoreError> {
        let incarnation = self.opened.as_ref().map(|opened| opened.header.incarnation).unwrap_or_default();
        let (hash, marks, tail) = (self.hash.clone(), self.marks.clone(), tail.concat());
        if self.flushed == 0 && tail.is_empty() {
            return Ok(Saved::default());
        }
        let state = State { incarnation, flushed: self.flushed, holes, hash, marks, tail };
        state.seal(&*self.staging.parts.keys, self.uuid)
    }

    /// Plain content of a whole chunk that is not final.
    pub(super) fn load(&self, index: u64) -> Result<Vec<u8>, StoreError> {
        let plain = self.try_load(index)?;
        plain.ok_or(StoreError::corrupt(self.uuid, Part::Chunk(index)))
    }

    /// The same; `None` if it does not open.
    pub(super) fn try_load(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let opened = self.opened.as_ref().ok_or(StoreError::Absent { uuid: self.uuid })?;
        let (mut nonce, mut tag, mut plain) = ([0; NONCE], [0; TAG], vec![0; CHUNK]);
        let at = opened.header.suite.record_at(index);
        let read = |pieces: &mut [IoSliceMut<'_>]| {
            opened.file.read_at(pieces, at).map_err(|e| StoreError::io("reading a staged file", &e))
        };
        let Some(cipher) = &opened.cipher else {
            let got = read(&mut [IoSliceMut::new(&mut plain)])?;
            return Ok((got == CHUNK).then_some(plain));
        };
        let pieces = [IoSliceMut::new(&mut nonce), IoSliceMut::new(&mut plain), IoSliceMut::new(&mut tag)];
        let whole = read(&mut { pieces })? == RECORD;
        let current = self.marks.listed.get(&index).is_none_or(|counts| *counts == tag);
        let good = whole && current && cipher.open((index, Kind::More), (&nonce, &tag), &mut plain);
        Ok(good.then_some(plain))
    }

    /// Writes `pieces`, whole chunks, from `flushed` on, sealed in batches.
    fn write_chunks(&mut self, pieces: &[Bytes]) -> Result<(), StoreError> {
        self.check_reserve()?;
        self.open()?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let done = self.seal_and_write(pieces, &mut scratch);
        self.scratch = scratch;
        done
    }

    /// Uploads stop before the disk is full, so that the database can still record what happens to them.
    fn check_reserve(&self) -> Result<(), StoreError> {
        let parts = &self.staging.parts;
        let space = parts.disk.space(&self.staging.folder).map_err(|e| StoreError::io("asking for free space", &e))?;
        match space.free < parts.limits.free_octets_min {
            true => Err(StoreError::NoSpace { doing: "writing a payload beside the reserve" }),
            false => Ok(()),
        }
    }

    fn seal_and_write(&mut self, pieces: &[Bytes], scratch: &mut Vec<u8>) -> Result<(), StoreError> {
        let opened = self.opened.as_ref().ok_or(StoreError::Absent { uuid: self.uuid })?;
        let mut hash = match &mut self.hash {
            Hash::Running(hash) => Some(hash),
            _ => None,
        };
        let (suite, mut index) = (opened.header.suite, self.flushed / CHUNK_OCTETS);
        let parts = &self.staging.parts;
        if self.flushed >= parts.limits.cached_octets {
            self.past.turn_on((&*parts.disk, &self.path), &*opened.file, suite.record_at(index))?;
        }
        if opened.cipher.is_none() {
            let slices: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
            if let Some(hash) = &mut hash {
                slices.iter().for_each(|piece| hash.update(piece));
            }
            if self.past.write_as_they_are(&slices, suite.record_at(index))? {
                return Ok(());
            }
            if !self.past.is_on() {
                return write(&opened.file, &slices, suite.record_at(index));
            }
            // It is hashed already.
            hash = None;
        }
        let mut feed = Feed::new(pieces);
        while feed.more() {
            let first = index;
            let lead = self.past.lead(scratch, BATCH * RECORD);
            while feed.more() && index.saturating_sub(first) < wide(BATCH) {
                let nonce = opened.cipher.as_ref().map(|_| nonce()).transpose()?;
                scratch.extend_from_slice(nonce.as_ref().map_or(&[][..], |nonce| &nonce[..]));
                let from = scratch.len();
                feed.fill(scratch, CHUNK);
                let plain = scratch.get_mut(from..).unwrap_or_default();
                if let Some(hash) = &mut hash {
                    hash.update(&*plain);
                }
                if let (Some(cipher), Some(nonce)) = (&opened.cipher, nonce) {
                    let tag = cipher.seal((index, Kind::More), nonce, plain)?;
                    scratch.extend_from_slice(&tag);
                    self.marks.note(index, tag, parts.limits.rewritten_chunks_max);
                }
                index = index.saturating_add(1);
            }
            let content = scratch.get(lead..).unwrap_or_default();
            self.past.write(&opened.file, content, suite.record_at(first))?;
        }
        Ok(())
    }

    /// Writes one chunk wherever it belongs.
    pub(super) fn write_record(&mut self, index: u64, kind: Kind, plain: &[u8]) -> Result<(), StoreError> {
        let opened = self.opened.as_ref().ok_or(StoreError::Absent { uuid: self.uuid })?;
        let (at, max) = (opened.header.suite.record_at(index), self.staging.parts.limits.rewritten_chunks_max);
        let Some(cipher) = &opened.cipher else {
            return write(&opened.file, &[plain], at);
        };
        let (nonce, mut sealed) = (nonce()?, plain.to_vec());
        let tag = cipher.seal((index, kind), nonce, &mut sealed)?;
        write(&opened.file, &[&nonce, &sealed, &tag], at)?;
        self.marks.note(index, tag, max);
        Ok(())
    }

    /// Makes the file, if there is none yet.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        if self.opened.is_some() {
            return Ok(());
        }
        let parts = &self.staging.parts;
        let incarnation = base::random().map_err(|e| StoreError::io("random numbers", &e))?;
        let suite = if parts.options.seal { Suite::Aes256Gcm } else { Suite::Clear };
        let (uuid, slots) = (self.uuid, [Vec::new(), Vec::new()]);
        let mut header = Header { suite, uuid, incarnation, in_place: false, slots };
        let key = base::Secret::new(match suite {
            Suite::Clear => Vec::new(),
            Suite::Aes256Gcm => nonce_of::<32>()?.to_vec(),
        });
        header.slots = [parts.keys.wrap(&header.bound(), key.expose())?, Vec::new()];
        let cipher = if suite == Suite::Clear { None } else { Cipher::new(&key, uuid) };
        let octets = header.encode()?;
        let file = parts.disk.create(&self.path).map_err(|e| StoreError::io("making a staged file", &e))?;
        self.opened = Some(Opened { file: file.clone(), cipher, header, named: false });
        match file.lock() {
            Ok(true) => write(&file, &[&octets], 0),
            Ok(false) => Err(StoreError::Busy { uuid }),
            Err(e) => Err(StoreError::io("locking a staged file", &e)),
        }
    }

    /// Says in the file that durable content is about to change, so that no saved state is trusted any more.
    fn mark_in_place(&mut self) -> Result<(), StoreError> {
        self.settle()?;
        self.past.turn_off();
        let opened = self.opened.as_mut().ok_or(StoreError::Absent { uuid: self.uuid })?;
        if !opened.header.in_place {
            write(&opened.file, &[&[1]], IN_PLACE_AT)?;
            opened.file.sync().map_err(|e| StoreError::io("synchronising a staged file", &e))?;
            opened.header.in_place = true;
        }
        Ok(())
    }
}

/// What makes written octets durable.
pub(super) struct Syncer {
    file: Arc<dyn DiskFile>,
    staging: Arc<Staging>,
    name: bool,
}

impl Syncer {
    pub(super) fn run(self) -> Result<(), StoreError> {
        let doing = "synchronising a staged file";
        self.file.sync().map_err(|e| StoreError::io(doing, &e))?;
        if self.name {
            self.staging.parts.disk.sync_folder(&self.staging.folder).map_err(|e| StoreError::io(doing, &e))?;
        }
        Ok(())
    }
}

/// Pieces, read one behind the other.
struct Feed<'a> {
    rest: &'a [u8],
    later: std::slice::Iter<'a, Bytes>,
}

impl<'a> Feed<'a> {
    fn new(pieces: &'a [Bytes]) -> Self {
        Self { rest: &[], later: pieces.iter() }
    }

    /// Whether something is left.
    fn more(&mut self) -> bool {
        while self.rest.is_empty() {
            match self.later.next() {
                Some(piece) => self.rest = piece,
                None => return false,
            }
        }
        true
    }

    /// Adds up to `len` octets to `out`.
    fn fill(&mut self, out: &mut Vec<u8>, len: usize) {
        let end = out.len() + len;
        while out.len() < end && self.more() {
            let (part, rest) = self.rest.split_at(self.rest.len().min(end - out.len()));
            out.extend_from_slice(part);
            self.rest = rest;
        }
    }
}

/// Removes a file that may be gone already.
pub(super) fn remove_if_there(staging: &Staging, path: &Path) -> Result<(), StoreError> {
    match staging.parts.disk.remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::io("removing a file", &e)),
        _ => Ok(()),
    }
}

/// Writes `pieces` one behind the other from `at` on.
pub(super) fn write(file: &Arc<dyn DiskFile>, pieces: &[&[u8]], at: u64) -> Result<(), StoreError> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    file.write_at(&mut slices, at).map_err(|e| StoreError::io("writing a staged file", &e))
}

/// A nonce that was never used.
pub(super) fn nonce() -> Result<[u8; NONCE], StoreError> {
    nonce_of()
}

fn nonce_of<const N: usize>() -> Result<[u8; N], StoreError> {
    base::random().map_err(|e| StoreError::io("random numbers", &e))
}

/// Chunks sealed and written in one call.
const BATCH: usize = 8;
