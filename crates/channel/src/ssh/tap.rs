//! The stream under the library: it reads along in the clear, can be cut, and never stops reading while it writes.
//!
//! The library writes a batch to its end before it reads again. If both sides do so with full socket buffers, neither
//! ever reads; so while a write waits, what arrives is read ahead into a bounded buffer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::SshError;
use super::kexinit::Opening;
use super::shared::Shared;

/// Octets read ahead while a write waits.
const AHEAD_OCTETS_MAX: usize = 4 << 20;
/// Octets asked of the system at once when the library asks for few: it reads the head of each packet by itself.
const READ_OCTETS: usize = 16 << 10;
/// Octets taken from a peer before it has logged in (BP-25); a key exchange and a few logins need some thousand.
const STRANGER_OCTETS_MAX: usize = 1 << 20;

/// A stream that reads along.
#[derive(Debug)]
pub(crate) struct Tap<S> {
    stream: S,
    shared: Arc<Shared>,
    ahead: Ahead,
    from_peer: Opening,
    to_peer: Opening,
    from_stranger: usize,
    strict_kex_required: bool,
}

/// Octets read and not yet asked for: `octets[from..to]`. What is behind is kept, so that it need not be cleared again.
#[derive(Debug, Default)]
struct Ahead {
    octets: Vec<u8>,
    from: usize,
    to: usize,
}

impl Ahead {
    const fn len(&self) -> usize {
        self.to.saturating_sub(self.from)
    }

    /// Moves octets to `buf`.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let end = self.to.min(self.from.saturating_add(buf.remaining()));
        buf.put_slice(self.octets.get(self.from..end).unwrap_or_default());
        self.from = end;
        if self.len() == 0 {
            (self.from, self.to) = (0, 0);
            if self.octets.len() > READ_OCTETS {
                self.octets = Vec::new();
            }
        }
    }

    /// Reads once from `stream`; the number of octets read, 0 at its end.
    fn poll_fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.octets.len().saturating_sub(self.to) < READ_OCTETS / 2 {
            self.octets.resize(self.to.saturating_add(READ_OCTETS), 0);
        }
        let mut room = ReadBuf::new(self.octets.get_mut(self.to..).unwrap_or_default());
        ready!(Pin::new(stream).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.to = self.to.saturating_add(read);
        Poll::Ready(Ok(read))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tap<S> {
    pub(crate) fn new(stream: S, shared: Arc<Shared>, strict_kex_required: bool) -> Self {
        Self {
            stream,
            shared,
            ahead: Ahead::default(),
            from_peer: Opening::default(),
            to_peer: Opening::default(),
            from_stranger: 0,
            strict_kex_required,
        }
    }

    /// While a write waits: takes what is there, up to the bound.
    fn read_ahead(&mut self, cx: &mut Context<'_>) {
        while self.ahead.len() < AHEAD_OCTETS_MAX {
            // An error or the end shows itself again at the next read.
            if !matches!(self.ahead.poll_fill(&mut self.stream, cx), Poll::Ready(Ok(1..))) {
                return;
            }
        }
    }

    /// Gives what was read ahead, or reads.
    fn read_some(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.len() == 0 && buf.remaining() >= READ_OCTETS / 2 {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        if self.ahead.len() == 0 {
            ready!(self.ahead.poll_fill(&mut self.stream, cx))?;
        }
        self.ahead.give(buf);
        Poll::Ready(Ok(()))
    }

    /// Looks at what the library is about to get.
    fn hear(&mut self, octets: &[u8]) -> io::Result<()> {
        if !self.shared.is_open.load(Ordering::Relaxed) {
            self.from_stranger = self.from_stranger.saturating_add(octets.len());
            if self.from_stranger > STRANGER_OCTETS_MAX {
                return Err(self.refuse(SshError::Protocol(format!(
                    "more than {STRANGER_OCTETS_MAX} octets came before a login"
                ))));
            }
        }
        if self.from_peer.is_done() {
            return Ok(());
        }
        let found = self.from_peer.take(octets);
        if let Some(line) = self.from_peer.line() {
            self.shared.hear_banner(line);
        }
        let Some(lists) = found else { return Ok(()) };
        let is_strict = lists.is_strict();
        self.shared.hear_theirs(lists);
        if self.strict_kex_required && !is_strict {
            let text = "the profile requires strict key exchange, which the peer does not offer";
            return Err(self.refuse(SshError::Protocol(text.to_owned())));
        }
        Ok(())
    }

    fn refuse(&self, why: SshError) -> io::Error {
        let text = why.to_string();
        self.shared.fail(why);
        io::Error::other(text)
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "session was ended")
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tap<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        if tap.shared.poll_cut(cx).is_ready() {
            return Poll::Ready(Err(cut()));
        }
        let before = buf.filled().len();
        let read = tap.read_some(cx, buf);
        if !matches!(read, Poll::Ready(Ok(()))) {
            tap.shared.tell();
        }
        ready!(read)?;
        let heard = tap.hear(buf.filled().get(before..).unwrap_or_default());
        if heard.is_err() {
            buf.set_filled(before);
        }
        Poll::Ready(heard)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        if tap.shared.poll_cut(cx).is_ready() {
            return Poll::Ready(Err(cut()));
        }
        let Poll::Ready(written) = Pin::new(&mut tap.stream).poll_write(cx, octets) else {
            tap.shared.tell();
            tap.read_ahead(cx);
            return Poll::Pending;
        };
        let written = written?;
        if !tap.to_peer.is_done()
            && let Some(lists) = tap.to_peer.take(octets.get(..written).unwrap_or_default())
        {
            tap.shared.hear_ours(lists);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        ready!(Pin::new(&mut tap.stream).poll_flush(cx))?;
        tap.shared.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::ssh::shared::Side;

    fn tapped(octets: usize) -> (Tap<tokio::io::DuplexStream>, tokio::io::DuplexStream, Arc<Shared>) {
        let (near, far) = tokio::io::duplex(octets);
        let shared = Shared::new(Side::Server, 1 << 20);
        (Tap::new(near, Arc::clone(&shared), false), far, shared)
    }

    #[tokio::test]
    async fn two_sides_that_write_first_do_not_block_each_other() {
        let (near, far) = tokio::io::duplex(1000);
        let both = [near, far].map(|end| Tap::new(end, Shared::new(Side::Client, 1), false));
        let tasks = both.map(|mut tap| {
            tap.shared.is_open.store(true, Ordering::Relaxed);
            tokio::spawn(async move {
                tap.write_all(&vec![7; 3_000_000]).await.unwrap();
                let mut back = vec![0; 3_000_000];
                tap.read_exact(&mut back).await.unwrap();
                back.iter().all(|o| *o == 7)
            })
        });
        for task in tasks {
            assert!(task.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_cut_wakes_a_reader_and_a_writer() {
        let (mut tap, _far, shared) = tapped(16);
        let reading = tokio::spawn(async move { tap.read_u8().await });
        tokio::task::yield_now().await;
        shared.cut();
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        let (mut tap, _far, shared) = tapped(16);
        let writing = tokio::spawn(async move { tap.write_all(&[0; 64]).await });
        tokio::task::yield_now().await;
        shared.cut();
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test] // BP-25
    async fn a_stranger_may_not_send_without_end() {
        let (mut tap, mut far, shared) = tapped(1 << 16);
        let sending = tokio::spawn(async move { while far.write_all(&[0; 4096]).await.is_ok() {} });
        let mut all = Vec::new();
        assert!(tap.read_to_end(&mut all).await.is_err());
        assert!(all.len() <= STRANGER_OCTETS_MAX);
        assert!(matches!(shared.failure(), Some(SshError::Protocol(_))));
        drop(tap);
        assert!(sending.await.is_ok());
    }
}
