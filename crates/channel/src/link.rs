//! A connection of octets with a partner.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::listen::canonical;

/// The longest a link waits for room to send what ends it.
const FINISH_TIME_MAX: Duration = Duration::from_secs(10);

/// A connection of octets with a partner: TCP, or TLS on it.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
}

impl Link {
    /// A connection without TLS. An IPv4-mapped address is told as IPv4.
    ///
    /// # Errors
    /// The system's: the connection is already gone.
    pub fn clear(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (local, peer) = (canonical(stream.local_addr()?), canonical(stream.peer_addr()?));
        Ok(Self { stream, local, peer })
    }

    /// The partner's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our address.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Ends our direction; what the partner still sends can be read.
    ///
    /// # Errors
    /// The system's; `TimedOut` if the partner takes nothing any more.
    pub async fn finish(&mut self) -> io::Result<()> {
        let ended = tokio::time::timeout(FINISH_TIME_MAX, self.stream.shutdown()).await;
        ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, octets)
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
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn one_direction_ends_and_the_other_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (called, taken) = tokio::join!(TcpStream::connect(at), listener.accept());
        let mut caller = Link::clear(called.unwrap()).unwrap();
        let mut server = Link::clear(taken.unwrap().0).unwrap();
        assert_eq!((caller.peer(), server.peer()), (at, caller.local()));
        caller.write_all(b"up").await.unwrap();
        caller.finish().await.unwrap();
        let mut read = Vec::new();
        server.read_to_end(&mut read).await.unwrap();
        server.write_all(b"down").await.unwrap();
        server.finish().await.unwrap();
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).await.unwrap();
        assert_eq!((read.as_slice(), answer.as_slice()), (b"up".as_slice(), b"down".as_slice()));
    }
}
