//! The payload file `GHP1`: where what stands, and how it is sealed (DESIGN 4). Pure: keys and nonces are passed in.
//!
//! ```text
//! 0      "GHP1" version=1 suite log2(chunk)=16 0 | file uuid 16 | incarnation 8 | in place 1 | zeros to 512
//! 512    key slot A: length u16, wrapped data key; zeros    2048   key slot B: the same; zeros to 4096
//! 4096   chunk i at 4096 + i * 65564: nonce 12 | ciphertext <= 65536 | tag 16
//! then   list of rewritten chunks, if any: nonce 12 | (index u64, tag 16) each | tag 16
//! end    trailer: nonce 12 | size u64, hashed u8, SHA-256 32, listed u32 | tag 16
//! ```
//!
//! Everything sealed is bound to uuid, index and kind ([`Kind`]): exactly the last chunk is final, an empty file has
//! one. A chunk that was sealed more than once is in the list with the tag that counts, so that an older version of it
//! does not pass. Two key slots let the data key be wrapped anew in place. With sealing off the suite is 0, chunks have
//! neither nonce nor tag, and the key slot holds nothing but a proof that this gateway wrote the header, so that a
//! sealed file can't be replaced by a clear one.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base::{Octets, Secret};

use super::{FileUuid, StoreError, StoredInfo};

/// How the body is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Suite {
    Clear,
    Aes256Gcm,
}

impl Suite {
    /// Octets from the start of one chunk to the next.
    const fn stride(self) -> u64 {
        match self {
            Self::Clear => CHUNK_OCTETS,
            Self::Aes256Gcm => RECORD_OCTETS,
        }
    }

    /// Where chunk `index` begins.
    pub(super) const fn record_at(self, index: u64) -> u64 {
        HEADER_OCTETS.saturating_add(index.saturating_mul(self.stride()))
    }

    /// Where the body of a file of `size` octets ends.
    pub(super) const fn body_end(self, size: u64) -> u64 {
        let seams = chunks(size).saturating_mul(self.stride().saturating_sub(CHUNK_OCTETS));
        HEADER_OCTETS.saturating_add(size).saturating_add(seams)
    }

    /// Octets of the list of rewritten chunks.
    pub(super) fn list_octets(listed: usize) -> usize {
        if listed == 0 { 0 } else { NONCE + listed * LISTED + TAG }
    }

    /// Octets of content in a body that ends at `end`, taking only whole and partial chunks that can exist.
    pub(super) fn content_before(self, end: u64) -> u64 {
        let body = end.saturating_sub(HEADER_OCTETS);
        let seam = self.stride() - CHUNK_OCTETS;
        let (whole, rest) = (body / self.stride(), body % self.stride());
        whole * CHUNK_OCTETS + rest.saturating_sub(seam)
    }
}

/// What a sealed part is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    More,
    Final,
    Trailer,
    List,
}

impl Kind {
    const fn octet(self) -> u8 {
        match self {
            Self::More => 0,
            Self::Final => 1,
            Self::Trailer => 2,
            Self::List => 3,
        }
    }
}

/// The first 4,096 octets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) suite: Suite,
    pub(super) uuid: FileUuid,
    /// Random for each beginning of the file; ties a saved state to it.
    pub(super) incarnation: [u8; 8],
    /// Set before the first chunk is changed that may be durable already; clear in a committed file.
    pub(super) in_place: bool,
    /// Wrapped data key, in one slot or, in the middle of a rewrap, in both.
    pub(super) slots: [Vec<u8>; 2],
}

impl Header {
    /// What the wrapped data key is bound to.
    pub(super) fn bound(&self) -> Vec<u8> {
        let mut aad = b"gatehouse payload key ".to_vec();
        aad.extend_from_slice(&self.fixed());
        aad
    }

    fn fixed(&self) -> Vec<u8> {
        let mut fixed = b"GHP1".to_vec();
        fixed.extend([1, if self.suite == Suite::Clear { 0 } else { 1 }, 16, 0]);
        fixed.extend(self.uuid.0);
        fixed.extend(self.incarnation);
        fixed
    }

    /// The octets; an error if a wrapped key does not fit its slot.
    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let mut all = self.fixed();
        all.push(u8::from(self.in_place));
        for (slot, at) in self.slots.iter().zip(SLOT_AT) {
            all.resize(at, 0);
            all.extend(encode_slot(slot)?);
        }
        all.resize(HEADER, 0);
        Ok(all)
    }

    /// Reads it; `None` unless every octet is as `encode` would write it.
    pub(super) fn decode(all: &[u8]) -> Option<Self> {
        let mut o = Octets::new(all);
        let magic = o.take(5).ok()?;
        let suite = match o.u8().ok()? {
            0 => Suite::Clear,
            1 => Suite::Aes256Gcm,
            _ => return None,
        };
        let (log2, zero) = (o.u8().ok()?, o.u8().ok()?);
        let uuid = FileUuid(o.take(16).ok()?.try_into().ok()?);
        let incarnation = o.take(8).ok()?.try_into().ok()?;
        let in_place = o.u8().ok()? == 1;
        let slot = |at: usize| {
            let mut o = Octets::new(all.get(at..)?);
            let len = usize::from(o.u8().ok()?) << 8 | usize::from(o.u8().ok()?);
            o.take(len.min(SLOT_MAX)).ok().map(<[u8]>::to_vec)
        };
        let [a, b] = SLOT_AT;
        let header = Self { suite, uuid, incarnation, in_place, slots: [slot(a)?, slot(b)?] };
        let same = magic == b"GHP1\x01" && log2 == 16 && zero == 0 && header.encode().is_ok_and(|again| again == all);
        same.then_some(header)
    }
}

/// A key slot: length, wrapped key, zeros.
pub(super) fn encode_slot(wrapped: &[u8]) -> Result<Vec<u8>, StoreError> {
    let fits = u16::try_from(wrapped.len()).ok().filter(|_| wrapped.len() <= SLOT_MAX);
    let len =
        fits.ok_or_else(|| StoreError::Key { doing: "wrapped", why: "it is too long for its slot".to_owned() })?;
    let mut slot = len.to_be_bytes().to_vec();
    slot.extend_from_slice(wrapped);
    slot.resize(SLOT_MAX + 2, 0);
    Ok(slot)
}

/// The data key of one file, scheduled once.
pub(super) struct Cipher {
    key: LessSafeKey,
    uuid: FileUuid,
}

impl Cipher {
    /// Takes a data key of 32 octets; `None` for another length.
    pub(super) fn new(key: &Secret<Vec<u8>>, uuid: FileUuid) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, key.expose()).ok()?;
        Some(Self { key: LessSafeKey::new(key), uuid })
    }

    /// Seals `plain` in place and gives its tag. A nonce must be new for each call.
    pub(super) fn seal(
        &self,
        (index, kind): (u64, Kind),
        nonce: [u8; NONCE],
        plain: &mut [u8],
    ) -> Result<[u8; TAG], StoreError> {
        let aad = Aad::from(self.bound(index, kind));
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, plain);
        tag.ok()
            .and_then(|tag| tag.as_ref().try_into().ok())
            .ok_or_else(|| StoreError::Key { doing: "used", why: "the cipher refused the chunk".to_owned() })
    }

    /// Opens `sealed` in place; `false` if it is not what was sealed under this index and kind.
    pub(super) fn open(
        &self,
        (index, kind): (u64, Kind),
        (nonce, tag): (&[u8; NONCE], &[u8; TAG]),
        sealed: &mut [u8],
    ) -> bool {
        let aad = Aad::from(self.bound(index, kind));
        self.key.open_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), aad, tag, sealed).is_ok()
    }

    fn bound(&self, index: u64, kind: Kind) -> [u8; 25] {
        let mut aad = [0; 25];
        let parts = self.uuid.0.into_iter().chain(index.to_be_bytes()).chain([kind.octet()]);
        aad.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        aad
    }
}

/// Chunks that were sealed more than once, with the tag that counts.
pub(super) type Listed = BTreeMap<u64, [u8; TAG]>;

/// Seals a part that is no chunk; without a cipher it is put down in clear between zeros.
pub(super) fn encode_part(
    cipher: Option<&Cipher>,
    kind: Kind,
    nonce: [u8; NONCE],
    mut plain: Vec<u8>,
) -> Result<Vec<u8>, StoreError> {
    let (nonce, tag) = match cipher {
        Some(cipher) => (nonce, cipher.seal((0, kind), nonce, &mut plain)?),
        None => ([0; NONCE], [0; TAG]),
    };
    Ok([&nonce[..], &plain, &tag].concat())
}

/// Opens what [`encode_part`] made.
pub(super) fn decode_part(cipher: Option<&Cipher>, kind: Kind, part: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = part.split_first_chunk::<NONCE>()?;
    let (sealed, tag) = rest.split_last_chunk::<TAG>()?;
    let mut plain = sealed.to_vec();
    let good = match cipher {
        Some(cipher) => cipher.open((0, kind), (nonce, tag), &mut plain),
        None => *nonce == [0; NONCE] && *tag == [0; TAG],
    };
    good.then_some(plain)
}

/// Content of the trailer.
pub(super) fn encode_trailer(info: &StoredInfo, listed: usize) -> Vec<u8> {
    let mut plain = info.size.to_be_bytes().to_vec();
    plain.push(u8::from(info.sha256.is_some()));
    plain.extend(info.sha256.unwrap_or_default());
    plain.extend(u32::try_from(listed).unwrap_or(u32::MAX).to_be_bytes());
    plain
}

/// Reads the content of the trailer: size, digest, chunks in the list.
pub(super) fn decode_trailer(plain: &[u8]) -> Option<(StoredInfo, usize)> {
    let mut o = Octets::new(plain);
    let (size, hashed) = (o.u64().ok()?, o.u8().ok()?);
    let sha256: [u8; 32] = o.take(32).ok()?.try_into().ok()?;
    let listed = usize::try_from(o.u32().ok()?).ok().filter(|n| *n <= LISTED_MAX)?;
    let sha256 = match hashed {
        0 => None,
        1 => Some(sha256),
        _ => return None,
    };
    (size <= SIZE_OCTETS_MAX && o.end().is_ok()).then_some((StoredInfo { size, sha256 }, listed))
}

/// Content of the list.
pub(super) fn encode_list(listed: &Listed) -> Vec<u8> {
    listed.iter().flat_map(|(index, tag)| index.to_be_bytes().into_iter().chain(*tag)).collect()
}

/// Reads the content of the list.
pub(super) fn decode_list(plain: &[u8]) -> Option<Listed> {
    let mut o = Octets::new(plain);
    let mut listed = Listed::new();
    while !o.rest().is_empty() {
        listed.insert(o.u64().ok()?, o.take(TAG).ok()?.try_into().ok()?);
    }
    Some(listed)
}

/// Chunks of a file of `size` octets.
pub(super) const fn chunks(size: u64) -> u64 {
    if size == 0 { 1 } else { size.div_ceil(CHUNK_OCTETS) }
}

/// A length as a position; no memory is larger than that.
pub(super) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A position as a length; beyond memory it is as long as can be.
pub(super) fn narrow(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

pub(super) const HEADER: usize = 4096;
pub(super) const HEADER_OCTETS: u64 = 4096;
pub(super) const CHUNK: usize = 65_536;
pub(super) const CHUNK_OCTETS: u64 = 65_536;
pub(super) const NONCE: usize = 12;
pub(super) const TAG: usize = 16;
pub(super) const RECORD: usize = NONCE + CHUNK + TAG;
pub(super) const RECORD_OCTETS: u64 = 65_564;
pub(super) const TRAILER: usize = NONCE + 45 + TAG;
pub(super) const TRAILER_OCTETS: u64 = 73;
/// Where the key slots begin.
pub(super) const SLOT_AT: [usize; 2] = [512, 2048];
/// Octets of a wrapped data key at most.
const SLOT_MAX: usize = 1534;
/// Where the `in place` octet stands.
pub(super) const IN_PLACE_AT: u64 = 32;
/// Octets of one chunk in the list.
const LISTED: usize = 8 + TAG;
/// Chunks in the list at most (96 KiB); a file with more of them is copied at commit under a fresh key.
pub(super) const LISTED_MAX: usize = 4096;
/// Octets of a file at most: 64 TiB, far below the 2^32 chunks that random nonces allow one key.
pub(super) const SIZE_OCTETS_MAX: u64 = 1 << 46;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let slots = [vec![7; 90], Vec::new()];
        Header { suite: Suite::Aes256Gcm, uuid: FileUuid([9; 16]), incarnation: [3; 8], in_place: false, slots }
    }

    #[test]
    fn a_header_is_read_as_written_and_no_octet_is_free() {
        let octets = header().encode().unwrap();
        assert_eq!((octets.len(), Header::decode(&octets)), (HEADER, Some(header())));
        for at in [0, 4, 5, 6, 7, 33, 511, 700, 2048, 2050, 4095] {
            let mut bad = octets.clone();
            bad[at] ^= 2;
            assert_ne!(Header::decode(&bad), Some(header()), "octet {at}");
        }
        assert_eq!(Header::decode(&octets[..4000]), None);
        assert!(Header { slots: [vec![1; SLOT_MAX + 1], Vec::new()], ..header() }.encode().is_err());
    }

    #[test]
    fn positions() {
        for (size, end) in [(0, 28), (1, 29), (65_536, 65_564), (65_537, 65_593), (131_072, 131_128)] {
            assert_eq!(Suite::Aes256Gcm.body_end(size), 4096 + end, "size {size}");
            assert_eq!(Suite::Aes256Gcm.content_before(4096 + end), size);
            assert_eq!(Suite::Clear.body_end(size), 4096 + size);
        }
        assert_eq!(Suite::Aes256Gcm.record_at(2), 4096 + 2 * 65_564);
        assert_eq!(Suite::Clear.record_at(2), 4096 + 2 * 65_536);
        assert_eq!((wide(HEADER), wide(CHUNK), wide(RECORD), wide(TRAILER)), (4096, 65_536, 65_564, TRAILER_OCTETS));
    }

    #[test]
    fn parts_survive() {
        let cipher = Cipher::new(&Secret::new(vec![1; 32]), FileUuid([2; 16])).unwrap();
        let info = StoredInfo { size: 77, sha256: Some([5; 32]) };
        for cipher in [Some(&cipher), None] {
            let part = encode_part(cipher, Kind::Trailer, [4; NONCE], encode_trailer(&info, 3)).unwrap();
            assert_eq!(part.len(), TRAILER);
            let plain = decode_part(cipher, Kind::Trailer, &part).unwrap();
            assert_eq!(decode_trailer(&plain), Some((info, 3)));
        }
        let list = Listed::from([(1, [1; TAG]), (u64::MAX, [2; TAG])]);
        assert_eq!(decode_list(&encode_list(&list)), Some(list));
        assert_eq!(decode_list(&[0; 25]), None);
    }

    #[test]
    fn a_part_opens_only_as_what_it_is() {
        let cipher = Cipher::new(&Secret::new(vec![1; 32]), FileUuid([2; 16])).unwrap();
        let mut data = *b"data";
        let tag = cipher.seal((5, Kind::More), [0; NONCE], &mut data).unwrap();
        for (index, kind, good) in [(5, Kind::Final, false), (6, Kind::More, false), (5, Kind::More, true)] {
            let mut copy = data;
            assert_eq!(cipher.open((index, kind), (&[0; NONCE], &tag), &mut copy), good, "{index} {kind:?}");
        }
        assert!(Cipher::new(&Secret::new(vec![1; 16]), FileUuid([2; 16])).is_none());
    }
}
