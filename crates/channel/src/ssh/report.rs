//! What a finished session tells.

use std::time::Duration;

use super::error::SshError;

/// Algorithms in use, by their names on the wire.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Negotiated {
    /// Key exchange.
    pub kex: String,
    /// Host key.
    pub host_key: String,
    /// Cipher.
    pub cipher: String,
    /// Message authentication; empty where the cipher does it itself.
    pub mac: String,
    /// Compression.
    pub compression: String,
    /// Strict key exchange (against prefix truncation).
    pub strict_kex: bool,
}

/// What a finished session tells.
#[derive(Clone, Debug)]
pub struct SessionReport {
    /// Algorithms of the first key exchange; `None` if none came about.
    pub negotiated: Option<Negotiated>,
    /// The peer's version line, bounded and safe to show.
    pub banner: String,
    /// The login that was accepted, safe to show.
    pub login: Option<String>,
    /// Payload octets received on channels.
    pub octets_in: u64,
    /// Payload octets sent on channels.
    pub octets_out: u64,
    /// Most octets that were received and not yet taken by a carrier, with 128 for each piece.
    pub held_octets_peak: usize,
    /// Time from start to end.
    pub lasted: Duration,
    /// Why it ended; `None` is the ordinary end.
    pub reason: Option<SshError>,
}
