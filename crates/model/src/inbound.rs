//! Which network profile an incoming connection gets (network-profiles.md section 2).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::decision::Decision;
use crate::kinds::network_profile::NetworkProfile;
use crate::kinds::ssh_profile::SshProfile;
use crate::snapshot::Snapshot;

/// The two ends of an incoming connection, IPv4-mapped addresses as IPv4 (NET-8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Inbound {
    /// Our end.
    pub local: SocketAddr,
    /// The caller's end.
    pub peer: SocketAddr,
}

impl Inbound {
    /// Both ends, in canonical form.
    #[must_use]
    pub fn new(local: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            local: canonical(local),
            peer: canonical(peer),
        }
    }
}

fn canonical(end: SocketAddr) -> SocketAddr {
    // A fresh address also drops scope and flow label of IPv6, which patterns never state.
    let ip: IpAddr = end.ip().to_canonical();
    SocketAddr::new(ip, end.port())
}

/// The network profile of a connection, and its security.
#[derive(Clone, Debug)]
pub struct Matched<'a> {
    /// The profile.
    pub network: &'a Arc<NetworkProfile>,
    /// The security.
    pub security: Security<'a>,
}

/// What secures a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Security<'a> {
    /// Nothing. A protocol that needs more refuses (event 107 for SSH).
    Clear,
    /// SSH by this profile: enabled, of type SERVER, with at least one usable key.
    Ssh(&'a Arc<SshProfile>),
}

/// The best network profile for a connection and its security profile, or why there is none.
pub fn match_inbound<'a>(inbound: &Inbound, s: &'a Snapshot) -> Decision<Matched<'a>> {
    let _ = (inbound, s);
    todo!()
}
