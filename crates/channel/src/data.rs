//! Second connections of a protocol that has data connections: one is awaited from, or made to, the partner of a control
//! connection and nobody else (RFC 2577).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{Instant, timeout_at};

use crate::link::Link;
use crate::listen::canonical;

/// Connections that the system keeps for us: the partner's, and some of strangers who guess.
const BACKLOG: u32 = 8;

/// Where the next search of a range begins, so that a port that was just left rests.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// An address at which the partner's data connection is awaited.
#[derive(Debug)]
pub struct DataListener {
    socket: TcpListener,
    local: SocketAddr,
}

impl DataListener {
    /// Listens at `ip`, on some free port of `ports`; none given: any that the system chooses.
    ///
    /// # Errors
    /// `AddrInUse` if all are in use; else the system's.
    pub fn bind(ip: IpAddr, ports: Option<&RangeInclusive<u16>>) -> io::Result<Self> {
        let Some(ports) = ports else { return Self::at(SocketAddr::new(ip, 0)) };
        let count = u32::from(ports.end().saturating_sub(*ports.start())) + 1;
        let first = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        for n in 0..count {
            let step = u16::try_from((first + n) % count).unwrap_or(0);
            match Self::at(SocketAddr::new(ip, ports.start().saturating_add(step))) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                done => return done,
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Left ports can be used again at once; a port that somebody listens on can't.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?;
        let local = canonical(socket.local_addr()?);
        Ok(Self { socket, local })
    }

    /// Where it listens.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The connection of `partner`; others are closed at once (RFC 2577 section 6).
    ///
    /// # Errors
    /// `TimedOut` if it does not come in `wait`; else the system's.
    pub async fn accept(self, partner: IpAddr, wait: Duration) -> io::Result<Link> {
        let until = Instant::now() + wait;
        loop {
            let (stream, peer) =
                timeout_at(until, self.socket.accept()).await.map_err(|_| io::ErrorKind::TimedOut)??;
            if canonical(peer).ip() == partner.to_canonical() {
                return Link::clear(stream);
            }
            tracing::warn!(%peer, %partner, "data connection of a stranger closed");
        }
    }
}

/// Makes a data connection to the partner's `address`, from `ip`.
///
/// # Errors
/// `TimedOut` if there is no answer in `wait`; else the system's.
pub async fn dial_data(ip: IpAddr, address: SocketAddr, wait: Duration) -> io::Result<Link> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if ip.is_ipv4() == address.is_ipv4() {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    let connected = tokio::time::timeout(wait, socket.connect(address)).await;
    Link::clear(connected.map_err(|_| io::ErrorKind::TimedOut)??)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const WAIT: Duration = Duration::from_secs(20);

    /// Two free ports in a row.
    fn free_pair() -> RangeInclusive<u16> {
        loop {
            let first = DataListener::bind(HERE, None).unwrap();
            let port = first.local().port();
            let Some(next) = port.checked_add(1) else { continue };
            if DataListener::at(SocketAddr::new(HERE, next)).is_ok() {
                return port..=next;
            }
        }
    }

    #[tokio::test] // FTP-4
    async fn ports_stay_in_their_range_and_run_out() {
        let ports = free_pair();
        let one = DataListener::bind(HERE, Some(&ports)).unwrap();
        let other = DataListener::bind(HERE, Some(&ports)).unwrap();
        assert!(ports.contains(&one.local().port()) && ports.contains(&other.local().port()));
        let none = DataListener::bind(HERE, Some(&ports)).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::AddrInUse);
        drop(one);
        assert!(DataListener::bind(HERE, Some(&ports)).is_ok());
    }

    #[tokio::test] // FTP-5
    async fn a_stranger_gets_nothing_and_keeps_nobody_out() {
        let listener = DataListener::bind(HERE, None).unwrap();
        let at = listener.local();
        let partner: IpAddr = "127.0.0.2".parse().unwrap();
        let waiting = tokio::spawn(listener.accept(partner, WAIT));
        let stranger = TcpStream::connect(at).await.unwrap();
        let mut one = [0; 1];
        let read = tokio::io::AsyncReadExt::read(&mut { stranger }, &mut one).await;
        assert!(matches!(read, Ok(0) | Err(_)));
        let own = dial_data(partner, at, WAIT).await.unwrap();
        assert_eq!(own.local().ip(), partner);
        assert_eq!(waiting.await.unwrap().unwrap().peer(), own.local());
    }

    #[tokio::test]
    async fn nobody_is_waited_for_for_ever() {
        let listener = DataListener::bind(HERE, None).unwrap();
        let late = listener.accept(HERE, Duration::ZERO).await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}
