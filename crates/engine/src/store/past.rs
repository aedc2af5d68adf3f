//! Writing past the system's cache, as large files are written: it costs a fraction of the processor, and pushes nothing out
//! of the cache that somebody will read.
//!
//! Such writes begin and end at multiples of [`ALIGN`], in the file and in memory. What is behind the last of them is carried
//! into the next one; whoever wants all of the file has it written first ([`Past::settle`]).

use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::Arc;

use super::StoreError;
use super::body::write;
use super::disk::{Disk, DiskFile};
use super::format::{narrow, wide};

/// What places and lengths are multiples of: pages of memory, and what disks write at least.
pub(super) const ALIGN: usize = 4096;

/// The way past the cache into one file.
#[derive(Default)]
pub(super) struct Past {
    /// It is not to be used, for good.
    is_off: bool,
    file: Option<Arc<dyn DiskFile>>,
    /// What is in the file behind the last multiple of [`ALIGN`].
    carry: Vec<u8>,
    /// Where the carry ends.
    end: u64,
    /// The carry is in the file, too.
    is_settled: bool,
}

impl Past {
    /// Has what comes next, at `at`, go past the cache, if the disk has a way.
    pub(super) fn turn_on(
        &mut self,
        (disk, path): (&dyn Disk, &Path),
        file: &dyn DiskFile,
        at: u64,
    ) -> Result<(), StoreError> {
        if self.is_off {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = disk.open_past_cache(path);
            self.is_off = self.file.is_none();
        }
        if self.file.is_some() && self.end != at {
            let mut carry = vec![0; narrow(at) % ALIGN];
            let from = at.saturating_sub(wide(carry.len()));
            let got = file.read_at(&mut [IoSliceMut::new(&mut carry)], from);
            let got = got.map_err(|e| StoreError::io("reading a staged file", &e))?;
            if got != carry.len() {
                return Err(StoreError::io("reading a staged file", &io::ErrorKind::UnexpectedEof.into()));
            }
            (self.carry, self.end, self.is_settled) = (carry, at, true);
        }
        Ok(())
    }

    /// Whether the next write goes past the cache.
    pub(super) const fn is_on(&self) -> bool {
        self.file.is_some()
    }

    /// Empties `scratch` for up to `octets` and what has to stand before them. Gives where that begins.
    pub(super) fn lead(&self, scratch: &mut Vec<u8>, octets: usize) -> usize {
        scratch.clear();
        if !self.is_on() {
            scratch.reserve(octets);
            return 0;
        }
        scratch.reserve(octets + 2 * ALIGN);
        // It does not move any more: there is room for all that comes.
        let pad = scratch.as_ptr().align_offset(ALIGN).min(ALIGN);
        scratch.resize(pad, 0);
        scratch.extend_from_slice(&self.carry);
        pad
    }

    /// Writes what stands in `content` behind its lead, at `at` of the file.
    pub(super) fn write(&mut self, file: &Arc<dyn DiskFile>, content: &[u8], at: u64) -> Result<(), StoreError> {
        let Some(past) = &self.file else { return write(file, &[content], at) };
        let begin = at.saturating_sub(wide(self.carry.len()));
        let (whole, rest) = content.split_at(content.len() / ALIGN * ALIGN);
        match past.write_at(&mut [IoSlice::new(whole)], begin) {
            Ok(()) => {
                (self.end, self.is_settled) = (begin.saturating_add(wide(content.len())), rest.is_empty());
                self.carry.clear();
                self.carry.extend_from_slice(rest);
                Ok(())
            }
            // This disk has other rules.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                self.turn_off();
                write(file, &[content], begin)
            }
            Err(e) => Err(StoreError::io("writing a staged file", &e)),
        }
    }

    /// Writes `pieces` at `at` without a copy, if all of them begin and end where they must. Gives whether it did.
    pub(super) fn write_as_they_are(&mut self, pieces: &[&[u8]], at: u64) -> Result<bool, StoreError> {
        let fits = |piece: &&[u8]| piece.len().is_multiple_of(ALIGN) && piece.as_ptr().align_offset(ALIGN) == 0;
        let Some(past) = &self.file else { return Ok(false) };
        if !self.carry.is_empty() || !pieces.iter().all(fits) {
            return Ok(false);
        }
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        match past.write_at(&mut slices, at) {
            Ok(()) => {
                self.end = at.saturating_add(wide(pieces.iter().map(|piece| piece.len()).sum()));
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                self.turn_off();
                Ok(false)
            }
            Err(e) => Err(StoreError::io("writing a staged file", &e)),
        }
    }

    /// Has all that was written in the file.
    pub(super) fn settle(&mut self, file: &Arc<dyn DiskFile>) -> Result<(), StoreError> {
        if self.is_on() && !self.is_settled {
            write(file, &[&self.carry], self.end.saturating_sub(wide(self.carry.len())))?;
            self.is_settled = true;
        }
        Ok(())
    }

    /// Everything that follows goes through the cache. What was carried is settled, or written with that.
    pub(super) fn turn_off(&mut self) {
        *self = Self { is_off: true, ..Self::default() };
    }
}
