//! Outgoing TCP connections.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::link::Link;
use crate::ssh::error::SshError;
use crate::tunnel::Tunnel;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Time that one address gets to answer before the next is tried beside it (RFC 8305 section 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Where to connect: a name or address, a port, and the way there.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name or address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The proxy that connects us; it looks names up.
    pub through: Option<Arc<Tunnel>>,
}

impl Target {
    /// Reached directly.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, through: None }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("no answer of the name server in time")]
    Names,
    #[error("none of its addresses may be called")]
    NoneLeft,
    #[error("{0}")]
    Failed(String),
}

/// There is no connection.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot connect to {target}: {text}; check host, port and firewall")]
pub struct CallError {
    /// Host and port.
    pub target: String,
    /// The system's words.
    pub text: String,
}

/// Connects to `target` within `wait`. Nothing is said on the connection yet.
///
/// # Errors
/// [`CallError`].
pub async fn call_link(target: &Target, wait: Duration) -> Result<Link, CallError> {
    let failed = |text: String| CallError { target: target.to_string(), text };
    let stream = dial_where(target, wait, |_| true).await.map_err(|e| failed(e.to_string()))?;
    Link::clear(stream).map_err(|e| failed(e.to_string()))
}

/// Connects to `target` within `wait`.
pub(crate) async fn dial(target: &Target, wait: Duration) -> Result<TcpStream, SshError> {
    dial_where(target, wait, |_| true).await.map_err(|e| match e {
        DialError::Names => SshError::Timeout { what: "the name server" },
        other => SshError::Connect { target: target.to_string(), text: other.to_string() },
    })
}

/// Connects to one of those addresses of `target` that `keep` leaves; through a proxy, to whichever it finds. Their families alternate, and the next address is
/// tried when the one before has failed, or has not answered for [`NEXT_AFTER`]; the first that answers wins (RFC 8305
/// sections 4 and 5). No name is asked for twice: what was looked at is what is connected to.
pub(crate) async fn dial_where(
    target: &Target,
    wait: Duration,
    keep: impl Fn(&SocketAddr) -> bool + Send,
) -> Result<TcpStream, DialError> {
    let until = Instant::now() + wait;
    let Some(tunnel) = &target.through else { return dial_directly(target, until, keep).await };
    let mut stream = dial_directly(&tunnel.at, until, |_| true).await.map_err(|e| match e {
        DialError::Failed(text) => DialError::Failed(format!("proxy {tunnel}: {text}")),
        other => other,
    })?;
    match timeout_at(until, tunnel.open(&mut stream, target)).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(refused)) => Err(DialError::Failed(refused.to_string())),
        Err(_) => Err(DialError::Failed(format!("proxy {tunnel}: it did not connect us in time"))),
    }
}

async fn dial_directly(
    target: &Target,
    until: Instant,
    keep: impl Fn(&SocketAddr) -> bool + Send,
) -> Result<TcpStream, DialError> {
    let failed = DialError::Failed;
    let found = timeout_at(until, tokio::net::lookup_host((target.host.as_str(), target.port)))
        .await
        .map_err(|_| DialError::Names)?
        .map_err(|e| failed(e.to_string()))?;
    let all: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    let addresses: Vec<SocketAddr> = all.iter().copied().filter(|address| keep(address)).collect();
    if addresses.is_empty() && !all.is_empty() {
        return Err(DialError::NoneLeft);
    }
    let stream = race(alternate(addresses), until).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(|e| failed(e.to_string()))?;
    Ok(stream)
}

/// The first family is that of the first address, which the system's rules prefer (RFC 6724).
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (preferred, others): (Vec<_>, Vec<_>) = addresses.iter().partition(|a| a.is_ipv4() == first_is_ipv4);
    let longest = preferred.len().max(others.len());
    (0..longest).flat_map(|at| preferred.get(at).into_iter().chain(others.get(at))).copied().collect()
}

/// The connection that stands first; else what each address said.
async fn race(addresses: Vec<SocketAddr>, until: Instant) -> Result<TcpStream, String> {
    let mut waiting = addresses.into_iter();
    // Dropping the set gives up the tries that are under way.
    let mut tries = JoinSet::new();
    let mut said: Vec<String> = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            tries.spawn(async move { TcpStream::connect(address).await.map_err(|e| format!("{address}: {e}")) });
        }
        if tries.is_empty() {
            let none = "the name has no address".to_owned();
            return Err(if said.is_empty() { none } else { said.join("; ") });
        }
        let patience = if waiting.len() == 0 { until } else { until.min(Instant::now() + NEXT_AFTER) };
        match timeout_at(patience, tries.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(text)))) => said.push(text),
            Ok(Some(Err(e))) => said.push(e.to_string()),
            Ok(None) => {}
            Err(_) if Instant::now() < until => {}
            Err(_) => {
                said.push(format!("no answer of {} addresses in time", tries.len()));
                return Err(said.join("; "));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_told_with_its_address() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let target = Target::new("127.0.0.1", port);
        let refused = dial(&target, Duration::from_secs(5)).await.unwrap_err();
        assert!(
            matches!(&refused, SshError::Connect { target, text } if target.ends_with(&port.to_string()) && text.contains("127.0.0.1")),
            "{refused}"
        );
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test] // RFC 8305 section 4
    fn families_alternate_from_the_preferred_one_on() {
        let sorted = alternate(addresses(&["[2001:db8::1]:22", "[2001:db8::2]:22", "192.0.2.1:22", "192.0.2.2:22"]));
        assert_eq!(sorted, addresses(&["[2001:db8::1]:22", "192.0.2.1:22", "[2001:db8::2]:22", "192.0.2.2:22"]));
        let sorted = alternate(addresses(&["192.0.2.1:22", "192.0.2.2:22", "[2001:db8::1]:22"]));
        assert_eq!(sorted, addresses(&["192.0.2.1:22", "[2001:db8::1]:22", "192.0.2.2:22"]));
        assert!(alternate(Vec::new()).is_empty());
    }

    /// An address whose server takes no more connections and does not answer, as behind a firewall that drops them.
    async fn silent() -> (SocketAddr, Vec<TcpStream>, tokio::net::TcpListener) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let address = full.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            held.push(stream);
            assert!(held.len() < 100, "the queue of the listener has no end");
        }
        (address, held, full)
    }

    #[tokio::test] // RFC 8305 section 5
    async fn a_silent_or_closed_address_does_not_keep_the_next_one_waiting() {
        let (dead, _held, _full) = silent().await;
        let alive = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = alive.local_addr().unwrap();
        let closed = {
            let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            free.local_addr().unwrap()
        };
        let until = Instant::now() + Duration::from_secs(60);
        let stream = race(vec![dead, closed, good], until).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let text = race(vec![closed, dead], Instant::now() + Duration::from_millis(600)).await.unwrap_err();
        assert!(text.contains(&closed.to_string()) && text.contains("no answer of 1 addresses"), "{text}");
    }

    #[test]
    fn targets_show_as_they_are_written() {
        assert_eq!(Target::new("2001:db8::1", 22).to_string(), "[2001:db8::1]:22");
        assert_eq!(Target::new("partner.example", 22).to_string(), "partner.example:22");
    }
}
