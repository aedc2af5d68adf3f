//! Outgoing TCP connections.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::ssh::error::SshError;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Where to connect: a name or address, and a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Name or address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
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

/// Connects to `target` within `wait`.
pub(crate) async fn dial(target: &Target, wait: Duration) -> Result<TcpStream, SshError> {
    dial_where(target, wait, |_| true).await.map_err(|e| match e {
        DialError::Names => SshError::Timeout { what: "the name server" },
        other => SshError::Connect { target: target.to_string(), text: other.to_string() },
    })
}

/// Connects to one of those addresses of `target` that `keep` leaves, trying one after the other, each with its share of
/// the time left. No name is asked for twice: what was looked at is what is connected to.
pub(crate) async fn dial_where(
    target: &Target,
    wait: Duration,
    keep: impl Fn(&SocketAddr) -> bool + Send,
) -> Result<TcpStream, DialError> {
    let until = Instant::now() + wait;
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
    let mut last = "the name has no address".to_owned();
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len().saturating_sub(tried)).unwrap_or(1).max(1);
        let share = until.saturating_duration_since(Instant::now()) / left;
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|e| failed(e.to_string()))?;
                return Ok(stream);
            }
            Ok(Err(e)) => last = format!("{address}: {e}"),
            Err(_) => last = format!("{address}: no answer in {} s", share.as_secs_f32()),
        }
    }
    Err(failed(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_told_with_its_address() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let target = Target { host: "127.0.0.1".to_owned(), port };
        let refused = dial(&target, Duration::from_secs(5)).await.unwrap_err();
        assert!(
            matches!(&refused, SshError::Connect { target, text } if target.ends_with(&port.to_string()) && text.contains("127.0.0.1")),
            "{refused}"
        );
    }

    #[test]
    fn targets_show_as_they_are_written() {
        assert_eq!(Target { host: "2001:db8::1".to_owned(), port: 22 }.to_string(), "[2001:db8::1]:22");
        assert_eq!(Target { host: "partner.example".to_owned(), port: 22 }.to_string(), "partner.example:22");
    }
}
