//! Calling a partner to see how far a connection comes. Whoever has the protocols does it; here is what is asked and told.

use std::sync::Arc;

use async_trait::async_trait;
use keys::certificate::Certificate;
use keys::{Fingerprint, PublicKey};
use model::ssh_algorithms::Class;
use model::{HostPort, RemoteSite, SshProfile};

/// Whoever can call partners: the gateway, with its protocols.
#[async_trait]
pub trait CallPartner: Send + Sync {
    /// Calls as a delivery would, logs in, looks into the folder and hangs up. An unknown host key is kept for a person to
    /// look at, and the call ends there, unless it is the `trusted` one. Nothing is changed at the partner.
    async fn call(&self, site: &Arc<RemoteSite>, trusted: Option<Fingerprint>) -> Called;

    /// Calls a server only to see what it is, with the algorithms of `profile`. Nobody logs in.
    ///
    /// # Errors
    /// A sentence: nobody answers.
    async fn probe(&self, at: &HostPort, profile: &SshProfile) -> Result<Probe, String>;

    /// Calls a server only to see what it is in TLS. Nothing but handshakes is sent.
    ///
    /// # Errors
    /// A sentence: nobody answers.
    async fn probe_tls(&self, at: &HostPort) -> Result<TlsProbe, String>;

    /// Calls a server of `protocol` only to see what it is before a login, with its TLS. Nobody logs in.
    ///
    /// # Errors
    /// A sentence: nobody answers, or no server of the protocol does.
    async fn look(&self, protocol: &str, at: &HostPort) -> Result<Look, String>;
}

/// What a server is before a login, safe to show.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Its first words; empty if it waits for TLS.
    pub greeting: String,
    /// What it says that it can do.
    pub features: Vec<String>,
    /// How it answered when it was asked to begin TLS; empty if it was not asked.
    pub answer: String,
    /// Its TLS; none if it begins none.
    pub tls: Option<TlsProbe>,
}

/// What a server is in TLS, safe to show.
#[derive(Clone, Debug, Default)]
pub struct TlsProbe {
    /// Versions that it speaks.
    pub versions: Vec<String>,
    /// Suites that it takes, each with the key exchange that it chose.
    pub suites: Vec<(String, String)>,
    /// Its certificates, its own first.
    pub chain: Vec<Certificate>,
    /// Whether it asks for a certificate, and of which authorities.
    pub asks: Option<Vec<String>>,
    /// What it answered where it took nothing.
    pub failure: String,
    /// Each enabled CLIENT profile: how it would do, or why it would not.
    pub profiles: Vec<(String, Result<String, String>)>,
}

/// What a server is, by names on the wire, safe to show.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// Its version line.
    pub server: String,
    /// Each class of algorithms and what it offers of it, preferred ones first; empty if it did not come so far.
    pub offered: Vec<(Class, Vec<String>)>,
    /// The host key that it proved to hold.
    pub host_key: Option<PublicKey>,
    /// Why it showed none.
    pub failure: String,
}

/// Steps of a call, in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// What is configured is enough to call.
    Settings,
    /// The address answers.
    Address,
    /// It speaks the protocol, with an algorithm that we allow.
    Handshake,
    /// It is the partner.
    HostKey,
    /// It lets us in.
    Login,
    /// It offers the service.
    Service,
    /// The folder for our files can be listed.
    Folder,
}

/// What became of a call.
#[derive(Clone, Debug, Default)]
pub struct Called {
    /// Where; the last one that was tried.
    pub address: String,
    /// What the server showed.
    pub host_key: Option<HostKey>,
    /// The server's version line, safe to show.
    pub server: String,
    /// Algorithms in use, by their names on the wire.
    pub algorithms: String,
    /// The folder, its whole path.
    pub folder: String,
    /// Some of the names in it.
    pub names: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// Where it ended before its end, and why.
    pub failed: Option<(Stage, String)>,
}

/// A host key that a server showed.
#[derive(Clone, Debug)]
pub struct HostKey {
    /// The key.
    pub key: PublicKey,
    /// What it is to us.
    pub verdict: HostKeyVerdict,
}

/// What a host key is to us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostKeyVerdict {
    /// The partner's; the name of the key.
    Known(String),
    /// The one that the operator named just now.
    Confirmed,
    /// None of this partner is known yet.
    New,
    /// Another one is known.
    Changed,
    /// It is known and must not be used, or it is not the one that was named.
    Refused(String),
}
