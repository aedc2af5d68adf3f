//! What goes wrong in an SSH connection.

use std::fmt;

/// Class of algorithms in a negotiation (RFC 4253 section 7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AlgorithmClass {
    /// Key exchange.
    Kex,
    /// Host key.
    HostKey,
    /// Cipher.
    Cipher,
    /// Message authentication.
    Mac,
    /// Compression.
    Compression,
}

impl fmt::Display for AlgorithmClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kex => "key exchange",
            Self::HostKey => "host key",
            Self::Cipher => "cipher",
            Self::Mac => "MAC",
            Self::Compression => "compression",
        })
    }
}

/// Why an SSH connection was not made or ended.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// No TCP connection.
    #[error("cannot connect to {target}: {text}; check host, port and firewall")]
    Connect {
        /// Host and port.
        target: String,
        /// The system's words.
        text: String,
    },
    /// No algorithm in common.
    #[error("no common {class} algorithm: they offer {theirs}, we allow {ours}; change the SSH profile or ask the partner")]
    Negotiation {
        /// Which list.
        class: AlgorithmClass,
        /// Their names, safe to show.
        theirs: String,
        /// Our names.
        ours: String,
    },
    /// The profile cannot be used.
    #[error("ssh profile cannot be used: {0}")]
    Profile(String),
    /// The server's key was not accepted.
    #[error("host key {fingerprint} of the server is not accepted: compare it with the partner and enable it")]
    HostKeyRefused {
        /// `SHA256:…`.
        fingerprint: String,
    },
    /// The server did not let us in.
    #[error("login refused: tried {tried}, the server would still take {left}")]
    AuthRefused {
        /// Methods we tried.
        tried: String,
        /// Methods the server still names, safe to show.
        left: String,
    },
    /// The peer broke the protocol.
    #[error("ssh protocol: {0}")]
    Protocol(String),
    /// The connection is over.
    #[error("connection closed by the peer")]
    Closed,
    /// A wait was too long.
    #[error("timeout while waiting for {what}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
    },
}
