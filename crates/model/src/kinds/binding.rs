//! Where to listen: an address with its port, the zone that a link-local one needs, and which families it takes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Longest name of a network interface, in characters (Linux).
const ZONE_CHARACTERS_MAX: usize = 15;

/// Where a listener listens.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Binding {
    /// Address and port.
    pub address: SocketAddr,
    /// Network interface of a link-local address (RFC 4007 section 11).
    pub zone: Option<String>,
    /// `::` takes no IPv4.
    pub ipv6_only: bool,
}

impl Binding {
    /// Whether both can't be listened on at a time.
    #[must_use]
    pub fn clashes(&self, other: &Self) -> bool {
        let same = self.address.ip() == other.address.ip() && self.zone == other.zone;
        self.address.port() == other.address.port()
            && self.address.port() > 0
            && (same || self.covers(other) || other.covers(self))
    }

    /// Whether this is every address of a family, or of both, and the other is one of them.
    fn covers(&self, other: &Self) -> bool {
        match self.address.ip() {
            IpAddr::V4(all) => all.is_unspecified() && other.takes_ipv4(),
            IpAddr::V6(all) => all.is_unspecified() && (!self.ipv6_only || other.address.is_ipv6()),
        }
    }

    fn takes_ipv4(&self) -> bool {
        match self.address.ip() {
            IpAddr::V4(_) => true,
            IpAddr::V6(address) => address.is_unspecified() && !self.ipv6_only,
        }
    }
}

impl From<SocketAddr> for Binding {
    fn from(address: SocketAddr) -> Self {
        Self { address, zone: None, ipv6_only: false }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "[{}%{zone}]:{}", self.address.ip(), self.address.port()),
            None => write!(f, "{}", self.address),
        }
    }
}

/// Reads an IP address; a link-local one may name its zone, as `fe80::1%eth0`.
pub(crate) fn zoned_address(text: &str) -> Option<(IpAddr, Option<String>)> {
    let Some((address, zone)) = text.split_once('%') else {
        return text.parse().ok().map(|address| (address, None));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let named = (1..=ZONE_CHARACTERS_MAX).contains(&zone.len()) && zone.chars().all(good);
    (named && address.is_unicast_link_local()).then(|| (address.into(), Some(zone.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(text: &str) -> Binding {
        let (text, ipv6_only) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
        Binding { ipv6_only, ..Binding::from(text.parse::<SocketAddr>().unwrap()) }
    }

    #[test] // NET-8: what one socket takes, another can't
    fn places_that_take_the_same_connections_clash() {
        for (a, b, clash) in [
            ("0.0.0.0:22", "[::]:22", true),
            ("0.0.0.0:22", "[::]:22!", false),
            ("0.0.0.0:22", "192.0.2.1:22", true),
            ("[::]:22", "192.0.2.1:22", true),
            ("[::]:22!", "192.0.2.1:22", false),
            ("[::]:22!", "[2001:db8::1]:22", true),
            ("192.0.2.1:22", "192.0.2.2:22", false),
            ("192.0.2.1:22", "192.0.2.1:22", true),
            ("192.0.2.1:22", "0.0.0.0:23", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            assert_eq!(binding(a).clashes(&binding(b)), clash, "{a} {b}");
            assert_eq!(binding(b).clashes(&binding(a)), clash, "{b} {a}");
        }
    }

    #[test] // RFC 4007 section 11
    fn zones_belong_to_link_local_addresses() {
        assert_eq!(zoned_address("fe80::1%eth0"), Some(("fe80::1".parse().unwrap(), Some("eth0".to_owned()))));
        assert_eq!(zoned_address("192.0.2.1"), Some(("192.0.2.1".parse().unwrap(), None)));
        for wrong in ["2001:db8::1%eth0", "fe80::1%", "fe80::1%a/b", "fe80::1%0123456789abcdef", "192.0.2.1%eth0"] {
            assert_eq!(zoned_address(wrong), None, "{wrong}");
        }
        let shown = Binding { zone: Some("eth0".to_owned()), ..binding("[fe80::1]:22") };
        assert_eq!(shown.to_string(), "[fe80::1%eth0]:22");
    }
}
