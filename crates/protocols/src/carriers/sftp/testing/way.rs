//! A channel in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use channel::Closed;
use tokio::sync::Notify;

use crate::carriers::sftp::line::{Line, LineInput, LineOutput};

/// Both ends of a channel in memory. What one sends and the other has not taken is queued, without bound.
pub(crate) fn pair() -> (Line, Line) {
    let (a, b) = (Arc::new(Way::default()), Arc::new(Way::default()));
    (line(&a, &b), line(&b, &a))
}

/// One end: what comes in and what goes out.
pub(crate) fn line(input: &Arc<Way>, output: &Arc<Way>) -> Line {
    Line { input: Box::new(WayOut(Arc::clone(input))), output: Arc::new(WayIn(Arc::clone(output))) }
}

/// One direction of a channel in memory.
#[derive(Default)]
pub(crate) struct Way {
    state: Mutex<WayState>,
    came: Notify,
    taken: Notify,
}

#[derive(Default)]
struct WayState {
    queue: VecDeque<Bytes>,
    octets: usize,
    is_ended: bool,
}

impl Way {
    pub(crate) fn queued(&self) -> usize {
        self.state.lock().unwrap().octets
    }

    fn end(&self) {
        self.state.lock().unwrap().is_ended = true;
        self.came.notify_one();
        self.taken.notify_waiters();
    }
}

struct WayIn(Arc<Way>);

struct WayOut(Arc<Way>);

impl Drop for WayIn {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for WayOut {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[async_trait]
impl LineInput for WayOut {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            {
                let mut state = self.0.state.lock().unwrap();
                if let Some(piece) = state.queue.pop_front() {
                    state.octets -= piece.len();
                    self.0.taken.notify_waiters();
                    return Some(piece);
                }
                if state.is_ended {
                    return None;
                }
            }
            self.0.came.notified().await;
        }
    }
}

#[async_trait]
impl LineOutput for WayIn {
    fn send(&self, piece: Bytes) -> Result<(), Closed> {
        let mut state = self.0.state.lock().unwrap();
        if state.is_ended {
            return Err(Closed);
        }
        state.octets += piece.len();
        state.queue.push_back(piece);
        self.0.came.notify_one();
        Ok(())
    }

    fn queued(&self) -> usize {
        self.0.queued()
    }

    async fn drained_below(&self, octets: usize) -> Result<(), Closed> {
        loop {
            let taken = self.0.taken.notified();
            {
                let state = self.0.state.lock().unwrap();
                if state.is_ended {
                    return Err(Closed);
                }
                if state.octets < octets {
                    return Ok(());
                }
            }
            taken.await;
        }
    }
}
