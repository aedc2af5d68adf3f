//! Cutting packets out of a stream that comes in pieces of any size.

use bytes::{Buf, Bytes, BytesMut};

use super::{LENGTH_OCTETS, PACKET_OCTETS_MAX};

/// The stream holds no packet where one should begin. It can't be read any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("packet of {octets} octets: 1 to {PACKET_OCTETS_MAX} expected")]
pub struct FrameError {
    /// The stated length.
    pub octets: u32,
}

/// Gathers pieces, gives packets (without their length field).
///
/// A packet inside one piece shares its buffer. One that spans several pieces is copied once, into a buffer of its size.
#[derive(Debug, Default)]
pub struct Framer {
    /// What has not been looked at.
    piece: Bytes,
    /// The start of a packet whose end is still to come, with its length field.
    started: BytesMut,
}

impl Framer {
    /// Adds a piece. Take all packets with [`Framer::next_packet`] before the next one, else pieces are joined by copying.
    pub fn push(&mut self, piece: Bytes) {
        if self.piece.is_empty() {
            self.piece = piece;
        } else {
            let mut joined = BytesMut::with_capacity(self.piece.len() + piece.len());
            joined.extend_from_slice(&self.piece);
            joined.extend_from_slice(&piece);
            self.piece = joined.freeze();
        }
    }

    /// The next whole packet, if it is there.
    ///
    /// # Errors
    /// [`FrameError`] for a length of 0 or above [`PACKET_OCTETS_MAX`]; again and again from then on.
    pub fn next_packet(&mut self) -> Result<Option<Bytes>, FrameError> {
        if !self.started.is_empty() {
            return self.complete();
        }
        match whole_len(&self.piece)? {
            Some(whole) if self.piece.len() >= whole => {
                self.piece.advance(LENGTH_OCTETS);
                Ok(Some(self.piece.split_to(whole - LENGTH_OCTETS)))
            }
            Some(whole) => {
                self.started.reserve(whole);
                self.take_into_started(usize::MAX);
                Ok(None)
            }
            None => {
                self.take_into_started(usize::MAX);
                Ok(None)
            }
        }
    }

    /// Whether the stream stands between two packets.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.piece.is_empty() && self.started.is_empty()
    }

    /// Goes on with the packet that has started.
    fn complete(&mut self) -> Result<Option<Bytes>, FrameError> {
        let missing = LENGTH_OCTETS.saturating_sub(self.started.len());
        self.take_into_started(missing);
        let Some(whole) = whole_len(&self.started)? else { return Ok(None) };
        let missing = whole.saturating_sub(self.started.len());
        self.started.reserve(missing);
        self.take_into_started(missing);
        if self.started.len() < whole {
            return Ok(None);
        }
        let mut packet = std::mem::take(&mut self.started).freeze();
        packet.advance(LENGTH_OCTETS);
        Ok(Some(packet))
    }

    fn take_into_started(&mut self, octets_max: usize) {
        let taken = self.piece.split_to(octets_max.min(self.piece.len()));
        self.started.extend_from_slice(&taken);
    }
}

/// Octets of the packet at the start of `stream`, with its length field; `None` while that is incomplete.
fn whole_len(stream: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(field) = stream.first_chunk::<LENGTH_OCTETS>() else { return Ok(None) };
    let octets = u32::from_be_bytes(*field);
    match usize::try_from(octets) {
        Ok(len) if (1..=PACKET_OCTETS_MAX).contains(&len) => Ok(Some(LENGTH_OCTETS + len)),
        _ => Err(FrameError { octets }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packets_of(stream: &[u8], cuts: &[usize]) -> Result<Vec<Bytes>, FrameError> {
        let (mut framer, mut found, mut rest) = (Framer::default(), Vec::new(), Bytes::copy_from_slice(stream));
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            framer.push(rest.split_to(cut.min(rest.len())));
            while let Some(packet) = framer.next_packet()? {
                found.push(packet);
            }
        }
        Ok(found)
    }

    fn stream_of(bodies: &[Vec<u8>]) -> Vec<u8> {
        bodies.iter().flat_map(|b| [&u32::try_from(b.len()).unwrap().to_be_bytes()[..], b].concat()).collect()
    }

    #[test]
    fn bad_lengths_end_the_stream() {
        // SFTP-20, and the loop on empty packets that other servers had.
        for (octets, stream) in [(0, vec![0; 8]), (u32::MAX, vec![255; 8]), (263_169, vec![0, 4, 4, 1, 5])] {
            assert_eq!(packets_of(&stream, &[]), Err(FrameError { octets }));
            assert_eq!(packets_of(&stream, &[1, 1, 1]), Err(FrameError { octets }));
        }
        assert_eq!(packets_of(&[0, 4, 4, 0, 5], &[]), Ok(vec![]));
    }

    #[test]
    fn a_packet_inside_one_piece_is_not_copied() {
        let piece = Bytes::from(stream_of(&[vec![6; 1000], vec![7; 10]]));
        let mut framer = Framer::default();
        framer.push(piece.clone());
        let first = framer.next_packet().unwrap().unwrap();
        assert_eq!(first.as_ptr(), piece[4..].as_ptr());
        assert_eq!(framer.next_packet().unwrap().unwrap(), vec![7; 10]);
        assert!(framer.is_between());
    }

    proptest! {
        #[test]
        fn split_anywhere_gives_the_same_packets(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..8),
            cuts in proptest::collection::vec(0usize..200, 0..24),
        ) {
            let stream = stream_of(&bodies);
            let expected: Vec<Bytes> = bodies.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(packets_of(&stream, &[]), Ok(expected.clone()));
            prop_assert_eq!(packets_of(&stream, &cuts), Ok(expected));
        }

        #[test]
        fn any_stream_split_anywhere_is_read_alike(
            stream in proptest::collection::vec(prop_oneof![4 => Just(0u8), 1 => any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..20, 0..24),
        ) {
            prop_assert_eq!(packets_of(&stream, &cuts), packets_of(&stream, &[]));
        }
    }
}
