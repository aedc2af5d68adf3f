//! Reading ahead of the TLS library, which asks the system for 4 KiB at a time: a record of 16 KiB then takes five calls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::TlsSession;

/// Octets that are read in one call where much is expected.
const BULK_OCTETS: usize = 256 * 1024;

/// A connection that is read ahead: whoever reads gets what has come already. What is written goes straight through.
#[derive(Debug)]
pub(super) struct ReadAhead {
    stream: TcpStream,
    /// What has come; empty where nothing is read ahead.
    buffer: Vec<u8>,
    /// Which part of it was not taken yet.
    left: std::ops::Range<usize>,
}

impl ReadAhead {
    /// Much is expected of the data connection of a session. Other connections may rest for hours, so nothing is kept for them.
    pub(super) fn of(stream: TcpStream, data_of: Option<&TlsSession>) -> Self {
        let octets = if data_of.is_some() { BULK_OCTETS } else { 0 };
        Self { stream, buffer: vec![0; octets], left: 0..0 }
    }

    /// Gives what was read ahead, and reads on if that was nothing.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.left.is_empty() {
            let mut into = ReadBuf::new(&mut self.buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
            self.left = 0..into.filled().len();
        }
        Poll::Ready(Ok(self.buffer.get(self.left.clone()).unwrap_or_default()))
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let some = ready!(self.poll_some(cx))?;
        let taken = some.len().min(buf.remaining());
        buf.put_slice(some.get(..taken).unwrap_or_default());
        self.left.start += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
