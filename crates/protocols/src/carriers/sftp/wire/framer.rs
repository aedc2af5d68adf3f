//! Cutting packets out of a stream that comes in pieces of any size.

use bytes::{Buf, Bytes, BytesMut};

use super::{LENGTH_OCTETS, PACKET_OCTETS_MAX, Pieces};

/// Octets below which a piece is copied, so that many small ones cost no more memory than they hold.
const SMALL_OCTETS: usize = 4096;

/// The stream holds no packet where one should begin. It can't be read any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("packet of {octets} octets: 1 to {PACKET_OCTETS_MAX} expected")]
pub struct FrameError {
    /// The stated length.
    pub octets: u32,
}

/// Gathers pieces, gives packets (without their length field).
///
/// A packet shares the buffers in which it came; only small pieces of one that spans several are joined.
#[derive(Debug, Default)]
pub struct Framer {
    /// What has not been looked at.
    piece: Bytes,
    /// A length field that came in part.
    length: BytesMut,
    /// A packet whose end is still to come.
    started: Option<Started>,
}

#[derive(Debug)]
struct Started {
    missing: usize,
    pieces: Pieces,
    /// Small pieces that came last.
    small: BytesMut,
}

impl Framer {
    /// Adds a piece. Take all packets with [`Framer::next_packet`] before the next one, else pieces are joined by copying.
    pub fn push(&mut self, piece: Bytes) {
        if self.piece.is_empty() {
            self.piece = piece;
        } else {
            self.piece = Pieces::from_iter([std::mem::take(&mut self.piece), piece]).joined();
        }
    }

    /// The next whole packet, if it is there.
    ///
    /// # Errors
    /// [`FrameError`] for a length of 0 or above [`PACKET_OCTETS_MAX`]; again and again from then on.
    pub fn next_packet(&mut self) -> Result<Option<Pieces>, FrameError> {
        let mut started = match self.started.take() {
            Some(started) => started,
            None => match self.length()? {
                Some(octets) => Started { missing: octets, pieces: Pieces::default(), small: BytesMut::new() },
                None => return Ok(None),
            },
        };
        started.take(self.piece.split_to(started.missing.min(self.piece.len())));
        if started.missing > 0 {
            self.started = Some(started);
            return Ok(None);
        }
        Ok(Some(started.pieces))
    }

    /// Whether the stream stands between two packets.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.piece.is_empty() && self.length.is_empty() && self.started.is_none()
    }

    /// Reads a length field, once all of it is there.
    fn length(&mut self) -> Result<Option<usize>, FrameError> {
        let mut field = [0; LENGTH_OCTETS];
        if self.length.is_empty() && self.piece.len() >= LENGTH_OCTETS {
            let octets = stated(self.piece.first_chunk().unwrap_or(&field))?;
            self.piece.advance(LENGTH_OCTETS);
            return Ok(Some(octets));
        }
        let missing = LENGTH_OCTETS.saturating_sub(self.length.len());
        self.length.extend_from_slice(&self.piece.split_to(missing.min(self.piece.len())));
        if self.length.len() < LENGTH_OCTETS {
            return Ok(None);
        }
        field.copy_from_slice(&self.length);
        let octets = stated(&field)?;
        self.length.clear();
        Ok(Some(octets))
    }
}

impl Started {
    fn take(&mut self, piece: Bytes) {
        self.missing = self.missing.saturating_sub(piece.len());
        let is_whole = self.missing == 0 && self.pieces.is_empty() && self.small.is_empty();
        if piece.len() < SMALL_OCTETS && !is_whole {
            self.small.extend_from_slice(&piece);
        } else {
            self.settle();
            self.pieces.push(piece);
        }
        if self.missing == 0 {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.pieces.push(self.small.split().freeze());
    }
}

/// The length that `field` states, if a packet can have it.
fn stated(field: &[u8; LENGTH_OCTETS]) -> Result<usize, FrameError> {
    let octets = u32::from_be_bytes(*field);
    match usize::try_from(octets) {
        Ok(len) if (1..=PACKET_OCTETS_MAX).contains(&len) => Ok(len),
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
                found.push(packet.joined());
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
        assert_eq!(first.list()[0].as_ptr(), piece[4..].as_ptr());
        assert_eq!(framer.next_packet().unwrap().unwrap().joined(), vec![7; 10]);
        assert!(framer.is_between());
    }

    #[test]
    fn large_pieces_are_not_copied_and_small_ones_are_joined() {
        let stream = Bytes::from(stream_of(&[vec![6; 100_000]]));
        let (mut framer, cuts) = (Framer::default(), [50_000, 70_000, 70_001, 70_002, 70_003, 100_004]);
        let mut from = 0;
        for to in cuts {
            assert_eq!(framer.next_packet(), Ok(None));
            framer.push(stream.slice(from..to));
            from = to;
        }
        let packet = framer.next_packet().unwrap().unwrap();
        let places: Vec<(usize, bool)> =
            packet.list().iter().map(|p| (p.len(), stream.as_ptr_range().contains(&p.as_ptr()))).collect();
        assert_eq!(places, [(49_996, true), (20_000, true), (3, false), (30_001, true)]);
        assert_eq!(packet.joined(), stream[4..]);
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
