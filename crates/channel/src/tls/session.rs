//! What was negotiated.

use std::fmt;
use std::sync::Arc;

use keys::verify::Verified;
use model::TlsNegotiated;
use model::tls_suites::{TlsSuite, TlsVersion};

use super::tickets::{SessionMarks, SessionTickets};

/// A TLS session with a partner, as it was negotiated. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsSession(pub(super) Arc<Agreed>);

#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) profile: String,
    pub(super) version: TlsVersion,
    pub(super) suite: &'static TlsSuite,
    pub(super) group: Option<String>,
    pub(super) own: Option<String>,
    pub(super) peer: Option<Verified>,
    pub(super) is_server: bool,
    pub(super) resumed: bool,
    pub(super) identity: Identity,
}

/// Which session it is, for data connections that belong to it.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// As server: what its sessions are known by.
    Server(Arc<SessionMarks>),
    /// As client: its tickets.
    Client(Arc<SessionTickets>),
}

impl TlsSession {
    /// The profile that it was negotiated by.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.0.profile
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> TlsVersion {
        self.0.version
    }

    /// The cipher suite, by its name in profiles.
    #[must_use]
    pub fn suite(&self) -> &'static str {
        self.0.suite.name
    }

    /// The key exchange, where there was one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.0.group.as_deref()
    }

    /// The certificate of ours that was shown.
    #[must_use]
    pub fn own_certificate(&self) -> Option<&str> {
        self.0.own.as_deref()
    }

    /// The partner's certificate, from its own to the root, if it has shown one.
    #[must_use]
    pub fn peer(&self) -> Option<&Verified> {
        self.0.peer.as_ref()
    }

    /// Whether the client has shown a certificate: the partner to us, or we to the partner.
    #[must_use]
    pub fn client_authenticated(&self) -> bool {
        if self.0.is_server { self.0.peer.is_some() } else { self.0.own.is_some() }
    }

    /// Whether it is our session as client, and another connection can go on from it now.
    #[must_use]
    pub fn can_be_resumed(&self) -> bool {
        matches!(&self.0.identity, Identity::Client(tickets) if tickets.last())
    }

    /// Whether it went on from an earlier session.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.0.resumed
    }

    /// What is compared with the profile of a site (TLS-27).
    #[must_use]
    pub fn negotiated(&self) -> TlsNegotiated<'_> {
        TlsNegotiated {
            version: self.version(),
            suite: self.suite(),
            client_authenticated: self.client_authenticated(),
            own_certificate: self.own_certificate(),
        }
    }
}

impl fmt::Display for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version().as_str(), self.suite())?;
        if let Some(group) = self.group() {
            write!(f, " {group}")?;
        }
        if self.resumed() {
            f.write_str(", resumed")?;
        }
        match self.peer() {
            Some(peer) => write!(f, ", partner {peer}"),
            None => f.write_str(", partner without certificate"),
        }
    }
}
