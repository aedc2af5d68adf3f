//! Requests on their way.

/// One READ or WRITE that is not answered yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Flight {
    pub(super) id: u32,
    pub(super) offset: u64,
    pub(super) len: u32,
}

/// At most as many as the window, in the order they were sent.
#[derive(Debug, Default)]
pub(super) struct Flights(Vec<Flight>);

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, flight: Flight) {
        self.0.push(flight);
    }

    /// Takes the one that was answered.
    pub(super) fn land(&mut self, id: u32) -> Option<Flight> {
        let at = self.0.iter().position(|f| f.id == id)?;
        Some(self.0.remove(at))
    }

    /// The lowest offset that is still on its way, or `next` if there is none.
    pub(super) fn reached(&self, next: u64) -> u64 {
        self.0.iter().map(|f| f.offset).min().unwrap_or(next).min(next)
    }
}
