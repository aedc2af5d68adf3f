//! Octets of a TCP connection, read ahead while much comes.
//!
//! The TLS library asks for 4 KiB at a time: four calls of the system for each record. Who asks for little and gets all of it
//! is followed by more, so what comes next is read in one large step. Connections on which little comes have no buffer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Octets read in one step while much comes: a socket's usual receive buffer.
const AHEAD_OCTETS: usize = 128 * 1024;
/// A step that brings no more than this gives the buffer back.
const LITTLE_OCTETS: usize = 4 * 1024;

/// A connection, and what was read of it ahead.
#[derive(Debug)]
pub(crate) struct ReadAhead<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    /// How far it is handed on, and how far it is filled.
    taken: usize,
    filled: usize,
    /// The last read got all that it had asked for.
    is_much: bool,
}

impl<S> ReadAhead<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), taken: 0, filled: 0, is_much: false }
    }

    /// Hands on what is there; `false` if nothing is.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(waiting) = self.buffer.get(self.taken..self.filled).filter(|waiting| !waiting.is_empty()) else {
            return false;
        };
        let (now, _) = waiting.split_at(waiting.len().min(buf.remaining()));
        buf.put_slice(now);
        self.taken += now.len();
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 || this.hand_on(buf) {
            return Poll::Ready(Ok(()));
        }
        if !this.is_much {
            this.buffer = Vec::new();
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            this.is_much = buf.remaining() == 0 && buf.filled().len() > before;
            return Poll::Ready(Ok(()));
        }
        if this.buffer.is_empty() {
            this.buffer = vec![0; AHEAD_OCTETS];
        }
        (this.taken, this.filled) = (0, 0);
        let mut ahead = ReadBuf::new(&mut this.buffer);
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut ahead))?;
        this.filled = ahead.filled().len();
        this.is_much = this.filled > LITTLE_OCTETS;
        this.hand_on(buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_comes_is_handed_on_in_its_order_whatever_is_asked_for() {
        let sent: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        for (writes, reads) in [(100_000, 4096), (1000, 4096), (5000, 5), (300_000, 70_000)] {
            let (mut far, near) = tokio::io::duplex(200_000);
            let mut near = ReadAhead::new(near);
            let writing = async {
                for piece in sent.chunks(writes) {
                    far.write_all(piece).await.unwrap();
                }
                far.shutdown().await.unwrap();
            };
            let reading = async {
                let mut came = Vec::new();
                let mut piece = vec![0; reads];
                loop {
                    match near.read(&mut piece).await.unwrap() {
                        0 => break came,
                        n => came.extend_from_slice(&piece[..n]),
                    }
                }
            };
            let ((), came) = tokio::join!(writing, reading);
            assert!(came == sent, "{writes} {reads}");
        }
    }

    #[tokio::test]
    async fn while_little_comes_there_is_no_buffer() {
        let (mut far, near) = tokio::io::duplex(1 << 20);
        let mut near = ReadAhead::new(near);
        far.write_all(&[7; 50_000]).await.unwrap();
        let mut piece = [0; 4096];
        let mut read = 0;
        while read < 50_000 {
            read += near.read(&mut piece).await.unwrap();
        }
        assert!(near.buffer.len() == AHEAD_OCTETS, "most was read ahead");
        for _ in 0..2 {
            far.write_all(b"more").await.unwrap();
            assert_eq!(near.read(&mut piece).await.unwrap(), 4);
        }
        assert!(near.buffer.is_empty());
    }
}
