//! Outgoing TCP connections.

use std::fmt;

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
