//! Open handles, and the requests that wait for each.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use engine::{Cause, TransferError, VPath};

use crate::carriers::sftp::wire::{Attrs, NameEntry, Pieces};
use crate::files::{Download, Upload};

/// What a handle stands for.
pub(super) enum Open {
    Upload(OpenUpload),
    Download(Box<dyn Download>),
    Listing(VecDeque<NameEntry>),
}

impl Open {
    /// Keeps what the session was told of the file's size before it was opened.
    pub(super) fn told(mut self, size: Option<u64>) -> Self {
        if let Self::Upload(OpenUpload { append: Append::Open { told } | Append::Kept { told }, .. }) = &mut self {
            *told = size;
        }
        self
    }
}

/// A file open for writing.
pub(super) struct OpenUpload {
    pub(super) file: Box<dyn Upload>,
    /// Whether it was opened for reading as well.
    pub(super) readable: bool,
    pub(super) append: Append,
}

/// Where writes of a file go whose content was kept when it was opened.
///
/// The draft puts them at the end, whatever their offset; OpenSSH's `reput` and others give offsets that count from the
/// end as STAT told it, and send several at once. Both are served: the first write decides by how much all are shifted.
/// One that goes on at an end that has moved since is refused: the file would get some of its content twice, or zeros
/// where another session began it anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Append {
    /// Offsets as they come.
    No,
    /// Opened neither with APPEND nor with TRUNCATE, nothing written yet; the size that the session was told before.
    Kept { told: Option<u64> },
    /// Opened with APPEND, nothing written yet; the size that the session was told before, if it asked.
    Open { told: Option<u64> },
    /// By so much.
    Shift(u64),
    /// Refused: somebody else has written to the file.
    Moved,
}

impl Append {
    /// Where a write at `offset` goes, if the file has `size` octets now.
    pub(super) fn place(&mut self, offset: u64, size: u64) -> Result<u64, TransferError> {
        *self = match *self {
            Self::Open { told } => {
                let leaves_it_to_us = offset == 0 && told.is_none_or(|told| told > 0);
                match size.checked_sub(offset) {
                    Some(by) if by == 0 || leaves_it_to_us => Self::Shift(by),
                    _ => Self::Moved,
                }
            }
            Self::Kept { told: Some(told) } if told > size => Self::Moved,
            Self::Kept { .. } => Self::No,
            decided => decided,
        };
        match *self {
            Self::Shift(by) => Ok(offset.saturating_add(by)),
            Self::Moved => Err(Self::moved()),
            Self::No | Self::Kept { .. } | Self::Open { .. } => Ok(offset),
        }
    }

    /// A file that somebody else has changed is not made shorter either.
    pub(super) fn may_cut(self) -> Result<(), TransferError> {
        if self == Self::Moved { Err(Self::moved()) } else { Ok(()) }
    }

    /// Why nothing is appended.
    pub(super) fn moved() -> TransferError {
        let text = "another session has changed the file: ask for its size and go on from there";
        TransferError::refuse(Cause::Busy, text)
    }
}

/// A request on a handle.
pub(super) struct Task {
    pub(super) id: u32,
    pub(super) verb: Verb,
}

pub(super) enum Verb {
    /// `count` reads in a row, numbered from the task's id on.
    Read {
        offset: u64,
        len: u32,
        count: u32,
    },
    Write {
        offset: u64,
        data: Pieces,
    },
    Stat,
    SetStat(Attrs),
    Readdir,
    Sync,
    Space,
    Close,
}

impl Verb {
    /// Whether its answer may be large, so that it waits while the peer does not read.
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Readdir)
    }

    /// Octets of file data it brings.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Write { data, .. } => data.len(),
            _ => 0,
        }
    }
}

/// One open handle.
pub(super) struct Slot {
    generation: u32,
    pub(super) path: VPath,
    /// Away while a job works with it.
    pub(super) open: Option<Open>,
    waiting: VecDeque<Task>,
    /// CLOSE has come: nothing more is taken.
    pub(super) closing: bool,
    /// A request on it was refused.
    pub(super) has_failed: bool,
    is_upload: bool,
}

impl Slot {
    /// Puts `task` last. Says whether it took a place of its own: a read that goes on where the one before it ends does
    /// not, so a client that asks for a whole file at once (paramiko's prefetch) costs one place.
    pub(super) fn push(&mut self, task: Task) -> bool {
        if let (Some(last), Verb::Read { offset, len, .. }) = (self.waiting.back_mut(), &task.verb)
            && let Verb::Read { offset: first, len: each, count } = &mut last.verb
            && each == len
            && task.id == last.id.wrapping_add(*count)
            && first.checked_add(u64::from(*each) * u64::from(*count)) == Some(*offset)
            && *count < u32::MAX
        {
            *count += 1;
            return false;
        }
        self.waiting.push_back(task);
        true
    }

    pub(super) fn peek(&self) -> Option<&Verb> {
        self.waiting.front().map(|t| &t.verb)
    }

    /// The next task; of a row of reads, its first. Says whether a place became free.
    pub(super) fn pop(&mut self) -> Option<(Task, bool)> {
        if let Some(Task { id, verb: Verb::Read { offset, len, count } }) = self.waiting.front_mut()
            && *count > 1
        {
            let one = Task { id: *id, verb: Verb::Read { offset: *offset, len: *len, count: 1 } };
            *id = id.wrapping_add(1);
            *offset = offset.saturating_add(u64::from(*len));
            *count -= 1;
            return Some((one, false));
        }
        self.waiting.pop_front().map(|task| (task, true))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// All handles of a session. A handle on the wire is place and generation: one that was closed is not taken for the
/// next in its place.
#[derive(Default)]
pub(super) struct Handles {
    slots: Vec<Option<Slot>>,
    generation: u32,
}

impl Handles {
    /// Handles in use.
    pub(super) fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// A new handle.
    pub(super) fn insert(&mut self, open: Open, path: VPath) -> Bytes {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let is_upload = matches!(open, Open::Upload(_));
        let slot = Slot {
            generation,
            path,
            open: Some(open),
            waiting: VecDeque::new(),
            closing: false,
            has_failed: false,
            is_upload,
        };
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        match self.slots.get_mut(free) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        let mut handle = BytesMut::with_capacity(8);
        handle.put_u32(u32::try_from(free).unwrap_or(u32::MAX));
        handle.put_u32(generation);
        handle.freeze()
    }

    /// The place of a handle from the wire.
    pub(super) fn find(&self, handle: &[u8]) -> Option<usize> {
        let (place, generation) = handle.split_at_checked(4)?;
        let place = usize::try_from(u32::from_be_bytes(place.try_into().ok()?)).ok()?;
        let generation = u32::from_be_bytes(generation.try_into().ok()?);
        self.get(place).filter(|slot| slot.generation == generation && !slot.closing).map(|_| place)
    }

    pub(super) fn get(&self, place: usize) -> Option<&Slot> {
        self.slots.get(place)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Slot> {
        self.slots.get_mut(place)?.as_mut()
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Slot> {
        self.slots.get_mut(place)?.take()
    }

    /// Takes out all that is open.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.drain(..).flatten()
    }

    /// Paths of uploads whose CLOSE has come and is not done.
    pub(super) fn closing(&self) -> impl Iterator<Item = &VPath> {
        self.slots.iter().flatten().filter(|slot| slot.closing && slot.is_upload).map(|slot| &slot.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: u32, offset: u64) -> Task {
        Task { id, verb: Verb::Read { offset, len: 10, count: 1 } }
    }

    fn reads(slot: &mut Slot) -> Vec<(u32, u64)> {
        let mut all = Vec::new();
        while let Some((Task { id, verb: Verb::Read { offset, count: 1, .. } }, _)) = slot.pop() {
            all.push((id, offset));
        }
        all
    }

    #[test]
    fn reads_in_a_row_take_one_place() {
        let mut handles = Handles::default();
        handles.insert(Open::Listing(VecDeque::new()), VPath::root());
        let slot = handles.get_mut(0).unwrap();
        let taken: Vec<bool> =
            [read(u32::MAX, 0), read(0, 10), read(1, 20), read(2, 31), read(9, 41)].map(|t| slot.push(t)).into();
        assert_eq!(taken, [true, false, false, true, true]);
        assert_eq!(reads(slot), [(u32::MAX, 0), (0, 10), (1, 20), (2, 31), (9, 41)]);
        assert!(slot.is_idle());
        slot.push(read(5, u64::MAX));
        assert!(slot.push(read(6, 9)), "offsets do not wrap");
    }

    #[test]
    fn a_closed_handle_is_not_the_next_one() {
        let mut handles = Handles::default();
        let first = handles.insert(Open::Listing(VecDeque::new()), VPath::root());
        let place = handles.find(&first).unwrap();
        handles.remove(place);
        let second = handles.insert(Open::Listing(VecDeque::new()), VPath::root());
        assert_eq!(handles.find(&first), None);
        assert_eq!(handles.find(&second), Some(place));
        for bad in [&b""[..], b"abc", b"\0\0\0\0\0\0\0\x02\0", b"\xff\xff\xff\xff\0\0\0\x02"] {
            assert_eq!(handles.find(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn appended_writes_go_behind_what_is_there() {
        // DESIGN 1.1: `reput` opens with APPEND and gives offsets from the end it saw.
        for (offsets, told, expected) in [
            ([100, 132, 164], Some(100), Some([100, 132, 164])), // OpenSSH reput
            ([100, 132, 164], None, Some([100, 132, 164])),
            ([0, 32, 64], None, Some([100, 132, 164])), // a client that leaves it to the server
            ([0, 32, 64], Some(100), Some([100, 132, 164])),
            ([200, 232, 264], Some(200), None), // reput, and the file was begun anew
            ([200, 232, 264], None, None),
            ([68, 100, 132], Some(68), None), // reput, and the file has grown
            ([68, 100, 132], None, None),
            ([0, 32, 100], Some(0), None),
        ] {
            let mut append = Append::Open { told };
            let mut now = 100;
            for at in 0..3 {
                let place = append.place(offsets[at], now).ok();
                assert_eq!(place, expected.map(|e| e[at]), "{offsets:?} {told:?}");
                now = now.max(place.unwrap_or(0) + 32);
            }
        }
        for (told, expected) in [(None, Some(50)), (Some(0), Some(50)), (Some(100), Some(50)), (Some(101), None)] {
            let mut kept = Append::Kept { told };
            assert_eq!(kept.place(50, 100).ok(), expected, "{told:?}");
            assert_eq!(kept.place(300, 100).ok(), expected.map(|_| 300), "{told:?}: decided by the first write");
            assert_eq!(kept.may_cut().is_ok(), expected.is_some(), "{told:?}");
        }
        assert_eq!(Append::Shift(9).place(u64::MAX, 0).unwrap(), u64::MAX, "is beyond any file");
        assert_eq!(Append::No.place(3, 100).unwrap(), 3);
    }
}
