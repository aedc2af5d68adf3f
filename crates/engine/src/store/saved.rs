//! State of an upload that outlives a crash: the running hash, which chunks were sealed more than once, and the tail.
//!
//! The tail, less than a chunk or one, goes with the state into the database and not to the disk: no durable octet is
//! ever written over by what comes next, and a small upload that is interrupted needs no file. It is all sealed. It is
//! bound to the incarnation of the file: a state of an earlier
//! beginning is refused, and resuming then reads the file from its start.

use base::{Octets, Secret};
use sha2::Sha256;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

use super::format::{CHUNK, LISTED_MAX, Listed, decode_list, encode_list, wide};
use super::keywrap::KeyWrap;
use super::{FileUuid, Saved, StoreError};

/// What the hash of a file is worth at the moment.
#[derive(Clone)]
pub(super) enum Hash {
    /// The store hashes nothing.
    Off,
    /// Covers the file up to where it is flushed.
    Running(Box<Sha256>),
    /// Content that it covered was changed: the file is read at commit.
    Lost,
}

impl Hash {
    /// At the beginning of a file.
    pub(super) fn fresh(on: bool) -> Self {
        if on { Self::Running(Box::default()) } else { Self::Off }
    }

    /// Content below where it stands was changed.
    pub(super) fn lose(&mut self) {
        if matches!(self, Self::Running(_)) {
            *self = Self::Lost;
        }
    }
}

/// Which chunks have been sealed how often, since the file began.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Chunks below this were sealed at least once.
    pub(super) sealed_to: u64,
    /// Those that were sealed again, with the tag that counts.
    pub(super) listed: Listed,
    /// There are more of them than the list takes, or it is not known which.
    pub(super) overfull: bool,
}

impl Marks {
    /// Chunk `index` was sealed with `tag`; the list takes `max` chunks.
    pub(super) fn note(&mut self, index: u64, tag: [u8; 16], max: usize) {
        if index >= self.sealed_to {
            self.sealed_to = index.saturating_add(1);
        } else if self.listed.len() < max.min(LISTED_MAX) || self.listed.contains_key(&index) {
            self.listed.insert(index, tag);
        } else {
            self.overfull = true;
        }
    }

    /// The file now has `chunks` chunks; marks of those behind would name chunks that it does not have.
    pub(super) fn cut(&mut self, chunks: u64) {
        drop(self.listed.split_off(&chunks));
    }
}

/// All that a saved state tells.
#[derive(Clone)]
pub(super) struct State {
    pub(super) incarnation: [u8; 8],
    pub(super) flushed: u64,
    pub(super) holes: u64,
    pub(super) hash: Hash,
    pub(super) marks: Marks,
    /// What comes behind `flushed`.
    pub(super) tail: Vec<u8>,
}

impl State {
    /// Octets from the start that this state, with the file, keeps.
    fn durable_to(&self) -> u64 {
        self.flushed.saturating_add(wide(self.tail.len()))
    }

    /// Seals it for the database.
    pub(super) fn seal(&self, keys: &dyn KeyWrap, uuid: FileUuid) -> Result<Saved, StoreError> {
        let durable_to = self.durable_to();
        let mut plain = vec![VERSION];
        plain.extend(self.incarnation);
        for number in [self.flushed, self.holes, self.marks.sealed_to] {
            plain.extend(number.to_be_bytes());
        }
        plain.push(u8::from(self.marks.overfull));
        match &self.hash {
            Hash::Off => plain.push(0),
            Hash::Lost => plain.push(1),
            Hash::Running(hash) => {
                plain.push(2);
                plain.extend(hash.serialize());
            }
        }
        plain.extend(u32::try_from(self.tail.len()).unwrap_or(u32::MAX).to_be_bytes());
        plain.extend(&self.tail);
        plain.extend(encode_list(&self.marks.listed));
        let plain = Secret::new(plain);
        Ok(Saved { durable_to, state: keys.wrap(&bound(uuid, durable_to), plain.expose())? })
    }

    /// Opens what `seal` gave; `None` if it is damaged, foreign, or of another version: it can be done without.
    pub(super) fn open(keys: &dyn KeyWrap, uuid: FileUuid, saved: &Saved) -> Option<Self> {
        let plain = keys.unwrap_key(&bound(uuid, saved.durable_to), &saved.state).ok()?;
        let mut o = Octets::new(plain.expose());
        if o.u8().ok()? != VERSION {
            return None;
        }
        let incarnation = o.take(8).ok()?.try_into().ok()?;
        let (flushed, holes, sealed_to) = (o.u64().ok()?, o.u64().ok()?, o.u64().ok()?);
        let overfull = o.u8().ok()? != 0;
        let hash = match o.u8().ok()? {
            0 => Hash::Off,
            1 => Hash::Lost,
            _ => Hash::Running(Box::new(read_hash(&mut o)?)),
        };
        let tail = o.string(CHUNK).ok()?.to_vec();
        let marks = Marks { sealed_to, listed: decode_list(o.rest())?, overfull };
        let state = Self { incarnation, flushed, holes, hash, marks, tail };
        (state.durable_to() == saved.durable_to).then_some(state)
    }
}

fn read_hash(o: &mut Octets<'_>) -> Option<Sha256> {
    let state = SerializedState::<Sha256>::default();
    let state = SerializedState::<Sha256>::try_from(o.take(state.len()).ok()?).ok()?;
    Sha256::deserialize(&state).ok()
}

/// What a state is bound to.
pub(crate) fn bound(uuid: FileUuid, durable_to: u64) -> Vec<u8> {
    let mut aad = b"gatehouse upload state ".to_vec();
    aad.extend(uuid.0);
    aad.extend(durable_to.to_be_bytes());
    aad
}

/// Version of the state, which also covers that of the hash library.
const VERSION: u8 = 1;
