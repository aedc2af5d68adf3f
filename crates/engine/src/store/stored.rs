//! A committed file, read: chunks are opened once, in steps of 512 KiB, the next step while this one is used.

use std::fmt;
use std::io::IoSliceMut;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use super::disk::DiskFile;
use super::error::Part;
use super::format::{
    CHUNK, CHUNK_OCTETS, Cipher, Kind, LISTED_MAX, Listed, NONCE, Suite, TAG, TRAILER, TRAILER_OCTETS, chunks,
    decode_list, decode_part, decode_trailer, narrow, wide,
};
use super::keywrap::KeyWrap;
use super::resume::read_header;
use super::staged::join;
use super::{FileUuid, StoreError, StoredInfo};

/// A committed file, open for reading.
pub struct Stored {
    info: StoredInfo,
    source: Source,
}

enum Source {
    Memory(Bytes),
    File(Reader),
}

impl Stored {
    /// Content that is in memory already.
    pub(super) const fn in_memory(info: StoredInfo, content: Bytes) -> Self {
        Self { info, source: Source::Memory(content) }
    }

    /// A file whose header and trailer have been checked; it reads `step` octets at once.
    pub(super) fn in_file(sealed: SealedFile, step: usize) -> Self {
        let steps = wide(step / CHUNK).max(1);
        let info = sealed.info;
        let reader = Reader { sealed: Arc::new(sealed), steps, held: None, ahead: None, used: Vec::new() };
        Self { info, source: Source::File(reader) }
    }

    /// Size and digest.
    #[must_use]
    pub const fn info(&self) -> &StoredInfo {
        &self.info
    }

    /// Exactly `len` octets from `offset`, fewer only at the end of the file.
    ///
    /// # Errors
    /// Kind `Corrupt` for a chunk that does not open; nothing of it is given out.
    pub async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let left = self.info.size.saturating_sub(offset);
        let len = len.min(narrow(left));
        if len == 0 {
            return Ok(Bytes::new());
        }
        match &mut self.source {
            Source::Memory(content) => Ok(content.slice(narrow(offset)..narrow(offset) + len)),
            Source::File(reader) => reader.read_at(offset, len).await,
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Opened octets of the file from `start`.
struct Segment {
    start: u64,
    octets: Bytes,
}

impl Segment {
    fn end(&self) -> u64 {
        self.start.saturating_add(wide(self.octets.len()))
    }

    fn holds(&self, offset: u64) -> bool {
        (self.start..self.end()).contains(&offset)
    }
}

struct Reader {
    sealed: Arc<SealedFile>,
    /// Chunks read at once when reading in order.
    steps: u64,
    held: Option<Segment>,
    ahead: Option<(u64, JoinHandle<Result<Bytes, StoreError>>)>,
    /// Buffers given out before, used again once nobody holds a part of them.
    used: Vec<Bytes>,
}

impl Reader {
    async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        let first = self.part(offset, len).await?;
        if first.len() == len {
            return Ok(first);
        }
        let mut all = BytesMut::with_capacity(len);
        all.extend_from_slice(&first);
        while all.len() < len {
            let part = self.part(offset.saturating_add(wide(all.len())), len - all.len()).await?;
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    }

    /// Up to `len` octets from `offset`, at least one.
    async fn part(&mut self, offset: u64, len: usize) -> Result<Bytes, StoreError> {
        if !self.held.as_ref().is_some_and(|held| held.holds(offset)) {
            self.step(offset, len).await?;
        }
        let Some(held) = &self.held else {
            return Ok(Bytes::new());
        };
        let from = narrow(offset.saturating_sub(held.start));
        Ok(held.octets.slice(from..held.octets.len().min(from.saturating_add(len))))
    }

    /// Makes the held segment one that has `offset`, and begins to read the next one if reading goes in order.
    async fn step(&mut self, offset: u64, len: usize) -> Result<(), StoreError> {
        let in_order = self.held.as_ref().map_or(0, Segment::end) == offset;
        let index = offset / CHUNK_OCTETS;
        if self.ahead.as_ref().is_none_or(|(ahead, _)| *ahead != index) {
            let wanted = offset.saturating_add(wide(len)).div_ceil(CHUNK_OCTETS) - index;
            let count = if in_order { self.steps } else { wanted.min(self.steps) };
            self.ahead = Some((index, self.fetch(index, count)));
        }
        let Some((_, fetching)) = &mut self.ahead else {
            return Ok(());
        };
        let octets = join(fetching).await;
        self.ahead = None;
        let segment = Segment { start: index * CHUNK_OCTETS, octets: octets? };
        let next = segment.end();
        if let Some(old) = self.held.replace(segment) {
            self.used.truncate(USED_MAX - 1);
            self.used.insert(0, old.octets);
        }
        if in_order && next < self.sealed.info.size {
            self.ahead = Some((next / CHUNK_OCTETS, self.fetch(next / CHUNK_OCTETS, self.steps)));
        }
        Ok(())
    }

    fn fetch(&mut self, index: u64, count: u64) -> JoinHandle<Result<Bytes, StoreError>> {
        let buffer = self.free_buffer();
        let sealed = self.sealed.clone();
        tokio::task::spawn_blocking(move || sealed.open_chunks(index, count, buffer).map(BytesMut::freeze))
    }

    /// A buffer that nobody uses any more, or a new one.
    fn free_buffer(&mut self) -> BytesMut {
        for _ in 0..self.used.len() {
            match self.used.pop().map(Bytes::try_into_mut) {
                Some(Ok(free)) => return free,
                Some(Err(busy)) => self.used.insert(0, busy),
                None => break,
            }
        }
        BytesMut::new()
    }
}

/// A committed `GHP1` file with its key.
pub(super) struct SealedFile {
    file: Arc<dyn DiskFile>,
    uuid: FileUuid,
    suite: Suite,
    cipher: Option<Cipher>,
    listed: Listed,
    pub(super) info: StoredInfo,
}

impl SealedFile {
    /// Reads header, list and trailer and checks them against the length. Blocking.
    pub(super) fn open(file: Arc<dyn DiskFile>, keys: &dyn KeyWrap, uuid: FileUuid) -> Result<Self, StoreError> {
        let (header, cipher) = read_header(&*file, keys, uuid)?;
        let there = file.octets().map_err(|e| StoreError::io("opening a payload", &e))?;
        let read = |len: usize, end: u64| {
            let mut part = vec![0; len];
            let at = end.checked_sub(wide(len)).ok_or(StoreError::corrupt(uuid, Part::Whole))?;
            let got = file.read_at(&mut [IoSliceMut::new(&mut part)], at);
            let got = got.map_err(|e| StoreError::io("reading a payload", &e))?;
            if got == len { Ok(part) } else { Err(StoreError::corrupt(uuid, Part::Whole)) }
        };
        let damaged = || StoreError::corrupt(uuid, Part::Trailer);
        let trailer = decode_part(cipher.as_ref(), Kind::Trailer, &read(TRAILER, there)?);
        let (info, listed) = trailer.and_then(|plain| decode_trailer(&plain)).ok_or_else(damaged)?;
        let list_octets = Suite::list_octets(listed.min(LISTED_MAX));
        let whole = header.suite.body_end(info.size).saturating_add(wide(list_octets)).saturating_add(TRAILER_OCTETS);
        if whole != there || header.in_place {
            return Err(StoreError::corrupt(uuid, Part::Whole));
        }
        let listed = match list_octets {
            0 => Listed::new(),
            _ => {
                let part = read(list_octets, there.saturating_sub(TRAILER_OCTETS))?;
                decode_part(cipher.as_ref(), Kind::List, &part).and_then(|p| decode_list(&p)).ok_or_else(damaged)?
            }
        };
        let sealed = Self { file, uuid, suite: header.suite, cipher, listed, info };
        if info.size == 0 {
            sealed.open_chunks(0, 1, BytesMut::new())?;
        }
        Ok(sealed)
    }

    /// Opens up to `count` chunks from `index` into `buffer`, one behind the other. Blocking.
    fn open_chunks(&self, index: u64, count: u64, mut buffer: BytesMut) -> Result<BytesMut, StoreError> {
        let start = index.saturating_mul(CHUNK_OCTETS);
        let len = count.saturating_mul(CHUNK_OCTETS).min(self.info.size.saturating_sub(start));
        buffer.resize(narrow(len), 0);
        let count = narrow(chunks(len));
        let (mut nonces, mut tags) = (vec![[0; NONCE]; count], vec![[0; TAG]; count]);
        let mut pieces = Vec::with_capacity(count * 3);
        let mut parts: Vec<&mut [u8]> = buffer.chunks_mut(CHUNK).collect();
        parts.resize_with(count, Default::default);
        if self.cipher.is_some() {
            for ((nonce, part), tag) in nonces.iter_mut().zip(&mut parts).zip(&mut tags) {
                pieces.extend([IoSliceMut::new(nonce), IoSliceMut::new(part), IoSliceMut::new(tag)]);
            }
        } else {
            pieces.extend(parts.iter_mut().map(|part| IoSliceMut::new(part)));
        }
        let wanted = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let got = self.file.read_at(&mut pieces, self.suite.record_at(index));
        let got = got.map_err(|e| StoreError::io("reading a payload", &e))?;
        if got != wanted {
            return Err(StoreError::corrupt(self.uuid, Part::Chunk(index)));
        }
        if let Some(cipher) = &self.cipher {
            let last = chunks(self.info.size) - 1;
            for (index, ((nonce, part), tag)) in (index..).zip(nonces.iter().zip(parts).zip(&tags)) {
                let kind = if index == last { Kind::Final } else { Kind::More };
                let current = self.listed.get(&index).is_none_or(|counts| counts == tag);
                if !current || !cipher.open((index, kind), (nonce, tag), part) {
                    return Err(StoreError::corrupt(self.uuid, Part::Chunk(index)));
                }
            }
        }
        Ok(buffer)
    }
}

/// Buffers kept for another use.
const USED_MAX: usize = 4;
