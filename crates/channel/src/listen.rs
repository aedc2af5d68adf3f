//! Listening sockets.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use model::Binding;
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
    /// Binds `place` (port 0: a free one). `[::]` takes IPv4 as well unless it says otherwise, whatever the system's
    /// default is; then IPv4-mapped addresses are written as IPv4.
    ///
    /// # Errors
    /// The system's: address in use, not ours, not allowed; no such interface.
    pub async fn bind(place: impl Into<Binding>, admission: Admission) -> io::Result<Self> {
        let place = place.into();
        let socket = if place.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        let mut address = place.address;
        if let SocketAddr::V6(v6) = address {
            let both = v6.ip().is_unspecified() && !place.ipv6_only;
            rustix::net::sockopt::set_ipv6_v6only(&socket, !both)?;
            if let Some(zone) = &place.zone {
                let scope = rustix::net::netdevice::name_to_index(&socket, zone)?;
                address = SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope).into();
            }
        }
        socket.bind(address)?;
        Ok(Self { socket: socket.listen(BACKLOG)?, admission })
    }

    /// Takes a socket that somebody else has bound and that listens.
    ///
    /// # Errors
    /// The system's.
    pub fn of(socket: std::net::TcpListener, admission: Admission) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: TcpListener::from_std(socket)?, admission })
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

/// An address as it is written: one that maps IPv4 as IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
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
        let listener = Listener::bind(local("127.0.0.1:0"), admission.clone()).await.unwrap();
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

    fn local(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Whether this machine has IPv6; then tests of it may not be passed over.
    fn has_ipv6() -> bool {
        std::net::TcpListener::bind("[::1]:0").is_ok()
    }

    async fn bound(place: Binding) -> Listener {
        Listener::bind(place, Admission::new(AdmissionLimits::default())).await.unwrap()
    }

    #[tokio::test] // NET-8
    async fn both_families_on_one_socket_or_one_alone() {
        assert!(has_ipv6() || !std::path::Path::new("/proc/net/if_inet6").exists());
        for ipv6_only in [false, true].into_iter().filter(|_| has_ipv6()) {
            let listener = bound(Binding { ipv6_only, ..local("[::]:0").into() }).await;
            let port = listener.local_addr().unwrap().port();
            let _six = TcpStream::connect(("::1", port)).await.unwrap();
            assert_eq!(listener.accept().await.unwrap().peer.ip().to_string(), "::1");
            let four = TcpStream::connect(("127.0.0.1", port)).await;
            assert_eq!(four.is_ok(), !ipv6_only);
            if !ipv6_only {
                let accepted = listener.accept().await.unwrap();
                assert!(accepted.peer.is_ipv4() && accepted.local.is_ipv4(), "{accepted:?}");
            }
        }
    }

    #[tokio::test] // RFC 4007 section 11
    async fn a_zone_is_an_interface_of_this_machine() {
        let zone = |zone: &str| Binding { zone: Some(zone.to_owned()), ..local("[fe80::1]:0").into() };
        let none = Listener::bind(zone("none-such-if"), Admission::new(AdmissionLimits::default())).await;
        assert!(none.is_err());
        // Each line: address, index, prefix, scope, flags, interface.
        let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        for fields in table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            let [address, _, _, "20", flags, interface] = fields.as_slice() else { continue };
            // Not tentative (RFC 4862 section 5.4).
            if u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & 0x40 == 0) {
                let ip = std::net::Ipv6Addr::from_bits(u128::from_str_radix(address, 16).unwrap());
                let listener =
                    bound(Binding { zone: Some((*interface).to_owned()), ..SocketAddr::new(ip.into(), 0).into() })
                        .await;
                let _caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                assert_eq!(listener.accept().await.unwrap().local.ip(), ip);
            }
        }
    }

    #[tokio::test]
    async fn a_socket_that_somebody_else_opened_is_served() {
        let opened = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Listener::of(opened, Admission::new(AdmissionLimits::default())).unwrap();
        let _caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(listener.accept().await.unwrap().peer.ip().is_loopback());
    }
}
