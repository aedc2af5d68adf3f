//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::admission::{Admission, Ticket};

/// Connections the system keeps for us until we accept them.
const BACKLOG: u32 = 1024;
/// Wait after the system had no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket with its limiter.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    admission: Admission,
}

/// A connection that was let in; no octet of it has been read or written (NET-1).
#[derive(Debug)]
pub struct Accepted {
    /// The connection, without Nagle's delay.
    pub stream: TcpStream,
    /// The address that was called; IPv4-mapped addresses are written as IPv4.
    pub local: SocketAddr,
    /// The caller; IPv4-mapped addresses are written as IPv4.
    pub peer: SocketAddr,
    /// Its place among the connections not yet logged in.
    pub ticket: Ticket,
}

impl Listener {
    /// Binds `address` (port 0: a free one). `[::]` takes IPv4 as well.
    ///
    /// # Errors
    /// The system's: address in use, not ours, not allowed.
    pub async fn bind(address: SocketAddr, admission: Admission) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        if address.ip().is_unspecified() && address.is_ipv6() {
            rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
        }
        socket.bind(address)?;
        Ok(Self { socket: socket.listen(BACKLOG)?, admission })
    }

    /// The bound address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection within the limits; those over them are closed and counted. Dropping the future is safe.
    ///
    /// # Errors
    /// What ends this listener; a lack of descriptors is waited out, a caller that is already gone is passed over.
    pub async fn accept(&self) -> io::Result<Accepted> {
        loop {
            let (stream, peer) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(e) if is_callers_fault(&e) => continue,
                Err(e) if is_shortage(&e) => {
                    tracing::warn!(error = %e, "no connection can be accepted now");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                Err(e) => return Err(e),
            };
            let Ok(ticket) = self.admission.admit(peer.ip()) else { continue };
            let (Ok(local), Ok(())) = (stream.local_addr(), stream.set_nodelay(true)) else { continue };
            return Ok(Accepted { stream, local: canonical(local), peer: canonical(peer), ticket });
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_callers_fault(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}

fn is_shortage(e: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(e).is_some_and(|errno| shortages.contains(&errno))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::admission::AdmissionLimits;

    #[tokio::test] // NET-1, BP-25
    async fn over_the_limit_a_connection_is_closed_without_an_octet() {
        let admission = Admission::new(AdmissionLimits { waiting_per_source_max: 1, ..AdmissionLimits::default() });
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), admission.clone()).await.unwrap();
        let at = listener.local_addr().unwrap();
        let _first = TcpStream::connect(at).await.unwrap();
        let accepted = listener.accept().await.unwrap();
        assert_eq!(accepted.local, at);
        let mut second = TcpStream::connect(at).await.unwrap();
        let mut octets = Vec::new();
        tokio::select! {
            read = second.read_to_end(&mut octets) => assert_eq!((read.unwrap_or(0), octets.len()), (0, 0)),
            other = listener.accept() => panic!("a second connection was let in: {other:?}"),
        }
        assert_eq!(admission.counts().refused_source, 1);
        drop(accepted);
        let _third = TcpStream::connect(at).await.unwrap();
        assert!(listener.accept().await.is_ok(), "its place is free again");
    }

    #[tokio::test]
    async fn both_families_on_one_socket() {
        let Ok(listener) = Listener::bind("[::]:0".parse().unwrap(), Admission::new(AdmissionLimits::default())).await
        else {
            return assert!(TcpSocket::new_v6().is_err() || !std::path::Path::new("/proc/net/if_inet6").exists());
        };
        let port = listener.local_addr().unwrap().port();
        let _caller = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let accepted = listener.accept().await.unwrap();
        assert!(accepted.peer.is_ipv4() && accepted.local.is_ipv4(), "{accepted:?}");
    }
}
