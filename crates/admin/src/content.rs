//! Content that streams beside an operation: into it, or out of it. It never stands in memory as a whole.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::OpError;

/// Where content comes from.
pub type Reader = Box<dyn AsyncRead + Send + Sync + Unpin>;
/// Where content goes.
pub type Writer = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// Octets of one piece over the socket.
pub(crate) const PIECE_OCTETS: usize = 256 * 1024;

/// Octets read at once.
const READ_OCTETS: usize = 64 * 1024;

/// The streams of one call; an operation that needs one takes it.
#[derive(Clone, Default)]
pub struct Content(Arc<Mutex<(Option<Reader>, Option<Writer>)>>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}

impl Content {
    /// With these streams.
    #[must_use]
    pub fn new(reader: Option<Reader>, writer: Option<Writer>) -> Self {
        Self(Arc::new(Mutex::new((reader, writer))))
    }

    /// Takes what comes in.
    ///
    /// # Errors
    /// The call came without content.
    pub(crate) fn reader(&self) -> Result<Reader, OpError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.take().ok_or_else(absent)
    }

    /// Takes where to write to.
    ///
    /// # Errors
    /// The call takes no content.
    pub(crate) fn writer(&self) -> Result<Writer, OpError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.take().ok_or_else(absent)
    }
}

fn absent() -> OpError {
    OpError::Refused("this operation streams content: call it by the command gatehouse file".to_owned())
}

/// Reads pieces: each behind its length, an empty one at the end. An end without that is an error, so that half a file is
/// never taken for a whole one.
pub(crate) struct Pieces<R> {
    inner: R,
    head: Vec<u8>,
    left: usize,
    over: bool,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Pieces<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, head: Vec::new(), left: 0, over: false, buffer: vec![0; READ_OCTETS] }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while self.left == 0 && !self.over {
            let mut octet = [0; 1];
            let mut one = ReadBuf::new(&mut octet);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut one))?;
            let Some(octet) = one.filled().first() else { return Poll::Ready(Err(cut_off())) };
            self.head.push(*octet);
            let Ok(head) = <[u8; 4]>::try_from(self.head.as_slice()) else { continue };
            self.head.clear();
            self.left = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
            self.over = self.left == 0;
            if self.left > PIECE_OCTETS {
                return Poll::Ready(Err(std::io::Error::other("a piece of content is too long")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Pieces<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_head(cx))?;
        let most = this.left.min(out.remaining()).min(READ_OCTETS);
        let Some(buffer) = this.buffer.get_mut(..most).filter(|buffer| !this.over && !buffer.is_empty()) else {
            return Poll::Ready(Ok(()));
        };
        let mut part = ReadBuf::new(buffer);
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        if part.filled().is_empty() {
            return Poll::Ready(Err(cut_off()));
        }
        out.put_slice(part.filled());
        this.left = this.left.saturating_sub(part.filled().len());
        Poll::Ready(Ok(()))
    }
}

fn cut_off() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the content was cut off")
}

/// Writes all of `from` as pieces, then the empty one. Gives how many octets.
pub(crate) async fn send_pieces(
    from: &mut (dyn AsyncRead + Send + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<u64> {
    let mut buffer = vec![0; PIECE_OCTETS];
    let mut sent = 0_u64;
    loop {
        let count = from.read(&mut buffer).await?;
        let len = u32::try_from(count).unwrap_or(u32::MAX);
        to.write_all(&len.to_be_bytes()).await?;
        if count == 0 {
            to.flush().await?;
            return Ok(sent);
        }
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        sent = sent.saturating_add(u64::from(len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_come_whole_or_as_an_error() {
        let content: Vec<u8> = (0..600_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut wire = Vec::new();
        let sent = send_pieces(&mut content.as_slice(), &mut wire).await.unwrap();
        assert_eq!(sent, 600_000);
        wire.extend_from_slice(b"reply");
        let mut rest = wire.as_slice();
        let mut back = Vec::new();
        Pieces::new(&mut rest).read_to_end(&mut back).await.unwrap();
        assert!(back == content);
        assert_eq!(rest, b"reply", "what comes behind the content is left");
        for cut in [0, 3, 4, 1000, wire.len() - 6] {
            let mut half = wire.get(..cut).unwrap();
            let cut_off = Pieces::new(&mut half).read_to_end(&mut Vec::new()).await;
            assert_eq!(cut_off.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof, "cut at {cut}");
        }
        let long = u32::MAX.to_be_bytes();
        assert!(Pieces::new(&long[..]).read_to_end(&mut Vec::new()).await.is_err());
    }
}
