//! The end of a file that has not gone to the disk yet: received pieces, kept as they came.
//!
//! Pure. It always is the tail of the file and begins at a chunk, so that a piece is copied only when it is sealed.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::format::{narrow, wide};

/// Pieces from `start` to the end of the file.
#[derive(Debug, Default)]
pub(super) struct Window {
    start: u64,
    pieces: VecDeque<Bytes>,
    /// Small pieces that came last, joined.
    small: BytesMut,
    len: usize,
}

impl Window {
    /// A window at `start` that holds `tail`.
    pub(super) fn at(start: u64, tail: Bytes) -> Self {
        let mut window = Self { start, ..Self::default() };
        window.push(tail);
        window
    }

    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(wide(self.len))
    }

    /// Adds `piece` at the end. Small ones are copied, so that they do not hold large buffers.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        if piece.len() < SMALL {
            self.small.extend_from_slice(&piece);
        } else {
            self.settle();
            self.pieces.push_back(piece);
        }
    }

    /// Puts `piece` over what is at `offset`; all of it lies inside the window.
    pub(super) fn overlay(&mut self, offset: u64, piece: Bytes) {
        let from = narrow(offset.saturating_sub(self.start));
        let after = self.split_off(from.saturating_add(piece.len()));
        drop(self.split_off(from));
        self.len += piece.len() + after.iter().map(Bytes::len).sum::<usize>();
        self.pieces.push_back(piece);
        self.pieces.extend(after);
        if self.pieces.len() > PIECES_MAX {
            let all = self.copy(self.start, self.len);
            self.pieces = VecDeque::from([all]);
        }
    }

    /// Takes the first `len` octets out; the window then begins behind them.
    pub(super) fn take(&mut self, len: usize) -> Vec<Bytes> {
        let after = self.split_off(len);
        let taken = std::mem::replace(&mut self.pieces, after);
        self.start = self.end();
        self.len = self.pieces.iter().map(Bytes::len).sum();
        taken.into()
    }

    /// All pieces; they stay.
    pub(super) fn pieces(&mut self) -> Vec<Bytes> {
        self.settle();
        self.pieces.iter().cloned().collect()
    }

    /// Cuts the file to `end`, which is inside the window.
    pub(super) fn cut(&mut self, end: u64) {
        drop(self.split_off(narrow(end.saturating_sub(self.start))));
    }

    /// A copy of up to `len` octets from `offset`.
    pub(super) fn copy(&mut self, offset: u64, len: usize) -> Bytes {
        self.settle();
        let mut skip = narrow(offset.saturating_sub(self.start));
        let mut out = BytesMut::with_capacity(len.min(self.len));
        for piece in &self.pieces {
            let part = piece.get(skip.min(piece.len())..).unwrap_or_default();
            skip = skip.saturating_sub(piece.len());
            out.extend_from_slice(part.get(..part.len().min(len - out.len())).unwrap_or_default());
        }
        out.freeze()
    }

    /// Keeps the first `at` octets and gives the pieces behind them.
    fn split_off(&mut self, at: usize) -> VecDeque<Bytes> {
        self.settle();
        let mut before = 0;
        let cut = self.pieces.iter().position(|piece| {
            let found = before + piece.len() > at;
            if !found {
                before += piece.len();
            }
            found
        });
        let Some(cut) = cut else { return VecDeque::new() };
        let mut after = self.pieces.split_off(cut);
        if at > before
            && let Some(piece) = after.front_mut()
        {
            self.pieces.push_back(piece.split_to(at - before));
        }
        self.len = at;
        after
    }

    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push_back(self.small.split().freeze());
        }
    }
}

/// Octets below which a piece is copied.
const SMALL: usize = 8 << 10;
/// Pieces above which overlaid ones are joined.
const PIECES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Overlay(usize, usize),
        Take(usize),
        Cut(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop_oneof![1..40usize, 8000..20_000usize].prop_map(Step::Push),
            (any::<usize>(), 1..9000usize).prop_map(|(at, len)| Step::Overlay(at, len)),
            any::<usize>().prop_map(Step::Take),
            any::<usize>().prop_map(Step::Cut),
        ]
    }

    proptest! {
        #[test]
        fn a_window_is_the_tail_of_a_vector(steps in proptest::collection::vec(step(), 1..40)) {
            let (mut window, mut model, mut taken) = (Window::default(), Vec::new(), Vec::new());
            for (n, step) in steps.into_iter().enumerate() {
                let fill = u8::try_from(n + 1).unwrap();
                let len = window.len();
                match step {
                    Step::Push(n) => {
                        model.resize(model.len() + n, fill);
                        window.push(vec![fill; n].into());
                    }
                    Step::Overlay(at, n) => {
                        let at = at % (len + 1);
                        let n = n.min(len - at);
                        let from = taken.len() + at;
                        model[from..from + n].fill(fill);
                        window.overlay(wide(from), vec![fill; n].into());
                    }
                    Step::Take(n) => taken.extend(window.take(n % (len + 1)).concat()),
                    Step::Cut(n) => {
                        model.truncate(taken.len() + n % (len + 1));
                        window.cut(wide(model.len()));
                    }
                }
                prop_assert_eq!(window.end(), wide(model.len()));
                prop_assert_eq!(&taken[..], &model[..taken.len()]);
                prop_assert_eq!(&window.copy(window.start(), window.len())[..], &model[taken.len()..]);
                prop_assert_eq!(window.pieces().concat(), &model[taken.len()..]);
            }
        }
    }

    #[test]
    fn many_overlays_stay_few_pieces() {
        let mut window = Window::at(0, vec![0; 100_000].into());
        for i in 0..10_000 {
            window.overlay(i * 10, Bytes::from_static(&[1]));
        }
        assert!(window.pieces().len() <= PIECES_MAX + 3);
        assert_eq!(window.copy(0, 100_000).iter().filter(|o| **o == 1).count(), 10_000);
    }
}
