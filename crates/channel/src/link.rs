//! A connection of octets with a partner.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::admission::Ticket;
use crate::listen::{Accepted, canonical};
use crate::tls::{SecureStream, Secured, TlsClient, TlsRefusal, TlsServer, TlsSession};

/// The longest a link waits for room to send what ends it.
const FINISH_TIME_MAX: Duration = Duration::from_secs(10);

/// A connection of octets with a partner: TCP, or TLS on it.
///
/// In TLS a stream that ends without its end being announced ends with an error, [`io::ErrorKind::UnexpectedEof`], unless
/// the profile does without announcements: a cut line is never taken for the end of a file.
pub struct Link {
    stream: Stream,
    local: SocketAddr,
    peer: SocketAddr,
    /// Urgent data come in their place among the others.
    urgent_in_line: bool,
}

enum Stream {
    Clear(TcpStream),
    Secure(Secure),
}

struct Secure {
    stream: Box<dyn SecureStream>,
    session: TlsSession,
    close_notify: bool,
    /// The partner has announced its end.
    announced: bool,
}

impl Link {
    /// A connection without TLS. An IPv4-mapped address is told as IPv4.
    ///
    /// # Errors
    /// The system's: the connection is already gone.
    pub fn clear(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (local, peer) = (canonical(stream.local_addr()?), canonical(stream.peer_addr()?));
        Ok(Self { stream: Stream::Clear(stream), local, peer, urgent_in_line: false })
    }

    /// A connection that was let in, and its place among those not yet logged in.
    #[must_use]
    pub fn accepted(accepted: Accepted) -> (Self, Ticket) {
        let Accepted { stream, local, peer, ticket } = accepted;
        (Self { stream: Stream::Clear(stream), local, peer, urgent_in_line: false }, ticket)
    }

    /// Has urgent data come in their place among the others: clients of FTP send the end of ABOR so (RFC 959 section 4.1.3).
    /// In TLS there are none.
    ///
    /// # Errors
    /// The system's.
    pub fn take_urgent_in_line(&mut self) -> io::Result<()> {
        if let Stream::Clear(stream) = &self.stream {
            rustix::net::sockopt::set_socket_oobinline(stream, true)?;
            self.urgent_in_line = true;
        }
        Ok(())
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

    /// What was negotiated; `None` in clear.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsSession> {
        match &self.stream {
            Stream::Clear(_) => None,
            Stream::Secure(secure) => Some(&secure.session),
        }
    }

    /// Puts TLS on it, as server. The caller has made sure that no octet that was read in clear waits to be acted on.
    ///
    /// `data_of` is the session of the control connection that a data connection belongs to. Its client is then the same,
    /// and where the profile asks for it (`ft_data_reuse`), it goes on from that very session.
    ///
    /// # Errors
    /// [`TlsRefusal`]; the connection is closed.
    pub async fn secure(self, server: &TlsServer, data_of: Option<&TlsSession>) -> Result<Self, TlsRefusal> {
        let (stream, local, peer) = self.into_clear()?;
        Ok(Self::secured(server.accept(stream, data_of).await?, local, peer))
    }

    /// Puts TLS on it, as client of `host`.
    ///
    /// A data connection goes on from the session of its control connection `data_of` where the server lets it, and must
    /// where the profile asks for it (`ft_data_reuse`).
    ///
    /// # Errors
    /// [`TlsRefusal`]; the connection is closed.
    pub async fn call_secure(
        self,
        client: &TlsClient,
        host: &str,
        data_of: Option<&TlsSession>,
    ) -> Result<Self, TlsRefusal> {
        let (stream, local, peer) = self.into_clear()?;
        Ok(Self::secured(client.connect(stream, host, data_of).await?, local, peer))
    }

    /// Ends our direction; what the partner still sends can be read.
    ///
    /// # Errors
    /// The system's; `TimedOut` if the partner takes nothing any more.
    pub async fn finish(&mut self) -> io::Result<()> {
        let ended = tokio::time::timeout(FINISH_TIME_MAX, self.shutdown()).await;
        ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    pub(crate) fn into_clear(self) -> Result<(TcpStream, SocketAddr, SocketAddr), TlsRefusal> {
        match self.stream {
            Stream::Clear(stream) => Ok((stream, self.local, self.peer)),
            Stream::Secure(_) => Err(TlsRefusal::Handshake {
                text: "the connection has TLS already".to_owned(),
                fix: "this is a fault of the program: report it".to_owned(),
            }),
        }
    }

    fn secured(secured: Secured, local: SocketAddr, peer: SocketAddr) -> Self {
        let Secured { stream, session, close_notify } = secured;
        let stream = Stream::Secure(Secure { stream, session, close_notify, announced: false });
        Self { stream, local, peer, urgent_in_line: false }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.tls().map(|session| session.version().as_str());
        f.debug_struct("Link").field("local", &self.local).field("peer", &self.peer).field("tls", &tls).finish()
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        let secure = match &mut link.stream {
            Stream::Clear(stream) if link.urgent_in_line => return read_past_mark(stream, cx, buf),
            Stream::Clear(stream) => return Pin::new(stream).poll_read(cx, buf),
            Stream::Secure(secure) => secure,
        };
        let (before, room) = (buf.filled().len(), buf.remaining());
        match ready!(Pin::new(&mut *secure.stream).poll_read(cx, buf)) {
            Ok(()) => {
                secure.announced |= room > 0 && buf.filled().len() == before;
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !secure.close_notify => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// Reads where urgent data may have come. A read ends at the mark of urgent data, with what follows still there; the runtime
/// takes a read that did not fill its buffer for the last, and would wait for octets that have come already. So the system is
/// asked first.
fn read_past_mark(stream: &mut TcpStream, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    match rustix::net::recv(&*stream, buf.initialize_unfilled(), RecvFlags::DONTWAIT) {
        Ok((octets, _)) => {
            buf.advance(octets);
            Poll::Ready(Ok(()))
        }
        Err(Errno::AGAIN | Errno::INTR) => Pin::new(stream).poll_read(cx, buf),
        Err(error) => Poll::Ready(Err(error.into())),
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Clear(stream) => Pin::new(stream).poll_write(cx, octets),
            Stream::Secure(secure) => Pin::new(&mut *secure.stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Secure(secure) => Pin::new(&mut *secure.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            // TLS-20: not announced by us first, but answered.
            Stream::Secure(secure) if !secure.close_notify && !secure.announced => {
                Pin::new(&mut *secure.stream).poll_end_unannounced(cx)
            }
            Stream::Secure(secure) => Pin::new(&mut *secure.stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::SendFlags;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Link, Link) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (called, taken) = tokio::join!(TcpStream::connect(at), listener.accept());
        let (caller, server) = (Link::clear(called.unwrap()).unwrap(), Link::clear(taken.unwrap().0).unwrap());
        assert_eq!((caller.peer(), server.peer()), (at, caller.local()));
        (caller, server)
    }

    // RFC 959 section 4.1.3: the end of ABOR is urgent.
    #[tokio::test]
    async fn urgent_octets_are_read_in_their_place() {
        for _ in 0..20 {
            let (caller, mut server) = pair().await;
            server.take_urgent_in_line().unwrap();
            let Stream::Clear(caller) = &caller.stream else { panic!("it is clear") };
            rustix::net::send(caller, b"before ABOR\r\n", SendFlags::OOB).unwrap();
            rustix::net::send(caller, b"after", SendFlags::empty()).unwrap();
            let mut read = Vec::new();
            while read.len() < 18 {
                server.read_buf(&mut read).await.unwrap();
            }
            assert_eq!(read, b"before ABOR\r\nafter");
        }
    }

    #[tokio::test]
    async fn one_direction_ends_and_the_other_goes_on() {
        let (mut caller, mut server) = pair().await;
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
