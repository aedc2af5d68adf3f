//! What goes wrong in an SSH connection.

use std::fmt;
use std::io;

use base::octets_text;
use russh::AlgorithmKind;

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
    #[error(
        "no common {class} algorithm: they offer {theirs}, we allow {ours}; change the SSH profile or ask the partner"
    )]
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
    /// The gateway stops.
    #[error("session was ended because the gateway stops")]
    Stopped,
    /// A wait was too long.
    #[error("timeout while waiting for {what}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
    },
}

impl SshError {
    /// What the library's error means to us.
    pub(crate) fn from_library(e: russh::Error) -> Self {
        use russh::Error as E;
        match e {
            E::NoCommonAlgo { kind, ours, theirs } => {
                let list = |names: Vec<String>| octets_text(names.join(",").as_bytes());
                Self::Negotiation { class: AlgorithmClass::of(kind), theirs: list(theirs), ours: list(ours) }
            }
            E::IO(e) if is_end(e.kind()) => Self::Closed,
            E::Disconnect | E::HUP | E::SendError | E::RecvError => Self::Closed,
            E::ConnectionTimeout | E::Elapsed(_) => Self::Timeout { what: "the peer" },
            E::KeepaliveTimeout => Self::Timeout { what: "a sign of life" },
            E::InactivityTimeout => Self::Timeout { what: "the peer to read or write" },
            E::Version => Self::Protocol("no SSH version line came; is this an SSH peer?".to_owned()),
            E::PacketSize(octets) => Self::Protocol(format!("packet of {octets} octets is too large")),
            other => Self::Protocol(octets_text(other.to_string().as_bytes())),
        }
    }
}

impl AlgorithmClass {
    const fn of(kind: AlgorithmKind) -> Self {
        match kind {
            AlgorithmKind::Kex => Self::Kex,
            AlgorithmKind::Key => Self::HostKey,
            AlgorithmKind::Cipher => Self::Cipher,
            AlgorithmKind::Compression => Self::Compression,
            AlgorithmKind::Mac => Self::Mac,
        }
    }
}

const fn is_end(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
    )
}
