//! What objects say about FTP, as server and client need it.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use model::Listener;

/// How one caller of a listener is served.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Ports for data connections of the caller; none: any.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// The address that PASV tells, where it is not the one called.
    pub external: Option<Ipv4Addr>,
    /// Wait between the end of an upload's data and its acknowledgement, in which the caller may still take it back
    /// (FTP-12).
    pub pre_response: Duration,
    /// Time without a command after which a session ends.
    pub idle: Duration,
    /// Time that data may stand still.
    pub data_idle: Duration,
    /// Wait for a data connection.
    pub data_wait: Duration,
    /// From the call to the login.
    pub login_grace: Duration,
    /// Wait after the first wrong login; it doubles (FTP-1).
    pub login_pause: Duration,
    /// Wrong logins after which the connection is closed.
    pub login_tries_max: u32,
    /// Commands before the login.
    pub strange_commands_max: u32,
    /// Commands of a session that are taken at once, and in each second thereafter (FTP-16).
    pub commands_per_s_max: u32,
    /// Commands in a row that are refused, after which the connection is closed (FTP-16).
    pub refusals_max: u32,
    /// Time that running transfers get when the gateway stops.
    pub drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            passive_ports: None,
            external: None,
            pre_response: Duration::ZERO,
            idle: Duration::from_secs(600),
            data_idle: Duration::from_secs(120),
            data_wait: Duration::from_secs(30),
            login_grace: Duration::from_secs(60),
            login_pause: Duration::from_secs(2),
            login_tries_max: 3,
            strange_commands_max: 64,
            commands_per_s_max: 1000,
            refusals_max: 200,
            drain: Duration::from_secs(30),
        }
    }
}

impl ServerSettings {
    /// What `listener` says for a caller from `peer`.
    #[must_use]
    pub fn of(listener: &Listener, peer: IpAddr, drain: Duration) -> Self {
        Self {
            passive_ports: listener.passive_ports.clone(),
            external: listener.external_for(peer),
            pre_response: Duration::from_secs(listener.pre_response_s.into()),
            idle: Duration::from_secs(listener.idle_timeout_s.into()),
            drain,
            ..Self::default()
        }
    }
}
