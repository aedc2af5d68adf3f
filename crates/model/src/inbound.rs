//! Which network profile an incoming connection gets (network-profiles.md section 2).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::decision::{Decision, Refusal, Why};
use crate::kinds::network_profile::{NetworkProfile, SecurityOption};
use crate::kinds::ssh_profile::{SshProfile, SshRole};
use crate::kinds::tls_profile::TlsProfile;
use crate::object::Kind;
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
        Self { local: canonical(local), peer: canonical(peer) }
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
    /// TLS by this profile: enabled, for servers, with a version, a suite and a certificate.
    Tls(&'a Arc<TlsProfile>),
}

/// The best network profile for a connection and its security profile, or why there is none. Events: 105 no profile, 106
/// chosen, 107 chosen without security, 108 profile missing, 109 wrong type, 124 no key, 213 profile disabled.
#[must_use]
pub fn match_inbound<'a>(inbound: &Inbound, s: &'a Snapshot) -> Decision<Matched<'a>> {
    let mut why = Why::default();
    let result = match best(inbound, s, &mut why) {
        Some(network) => secure(network, s, &mut why).map(|security| Matched { network, security }),
        None => Err(Refusal::new(
            105,
            format!("no network profile fits {} calling {}", inbound.peer, inbound.local),
            format!("create one whose dest_address fits {}, with option SSH and a SERVER profile", inbound.local),
        )),
    };
    why.decide(result)
}

/// The profile to use. They are sorted, so the first that fits is the best one (NET-2); the rest of the walk is for `why`.
fn best<'a>(inbound: &Inbound, s: &'a Snapshot, why: &mut Why) -> Option<&'a Arc<NetworkProfile>> {
    let (local, peer) = (End::new(inbound.local), End::new(inbound.peer));
    let mut chosen: Option<&Arc<NetworkProfile>> = None;
    for network in s.network_profiles() {
        match (misses(network, &local, &peer), chosen) {
            (Misses::Many, _) => why.skip(),
            (Misses::One(miss), _) => why.no_with(|| (title(network), format!("nearly fits: {miss}"))),
            (Misses::None, _) if !network.enabled => {
                why.no_with(|| (title(network), "fits, but is disabled: enable it to use it".to_owned()));
            }
            (Misses::None, None) => {
                why.yes(title(network), format!("fits best: {}", patterns(network)));
                chosen = Some(network);
            }
            (Misses::None, Some(better)) => why.no_with(|| {
                (title(network), format!("fits too, but {} is more specific or comes first by name", better.name))
            }),
        }
    }
    chosen
}

fn title(network: &NetworkProfile) -> String {
    format!("NETWORK_PROFILE {}", network.name)
}

fn patterns(network: &NetworkProfile) -> String {
    format!("{} to {}", network.origin, network.destination)
}

/// What does not fit. More than one thing is not looked at further, so that the walk stays cheap (NET-16).
enum Misses {
    None,
    One(Miss),
    Many,
}

fn misses(network: &NetworkProfile, local: &End, peer: &End) -> Misses {
    let NetworkProfile { origin, destination, .. } = network;
    let checks: [(Miss, &dyn Fn() -> bool); 4] = [
        (Miss::DestinationPort, &|| destination.port.matches(local.address.port())),
        (Miss::OriginPort, &|| origin.port.matches(peer.address.port())),
        (Miss::DestinationAddress, &|| destination.address.matches_text(local.address.ip(), &local.text)),
        (Miss::OriginAddress, &|| origin.address.matches_text(peer.address.ip(), &peer.text)),
    ];
    checks.into_iter().fold(Misses::None, |found, (miss, fits)| match found {
        Misses::Many => Misses::Many,
        found if fits() => found,
        Misses::None => Misses::One(miss),
        Misses::One(_) => Misses::Many,
    })
}

/// One of the four things that must fit.
#[derive(Clone, Copy, Debug)]
enum Miss {
    DestinationPort,
    DestinationAddress,
    OriginAddress,
    OriginPort,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DestinationPort => "the port called is not that of its dest_address",
            Self::DestinationAddress => "the address called is not that of its dest_address",
            Self::OriginAddress => "the caller's address is not that of its org_address",
            Self::OriginPort => "the caller's port is not that of its org_address",
        })
    }
}

/// An end of the connection with its address as text, made once.
struct End {
    address: SocketAddr,
    text: String,
}

impl End {
    fn new(address: SocketAddr) -> Self {
        Self { text: address.ip().to_string(), address }
    }
}

/// What the profile asks for, if it can be had.
fn secure<'a>(network: &NetworkProfile, s: &'a Snapshot, why: &mut Why) -> Result<Security<'a>, Refusal> {
    match &network.security {
        SecurityOption::Clear => {
            why.yes(title(network), "its option is NONE: the connection is clear");
            Ok(Security::Clear)
        }
        SecurityOption::Broken(wrong) => {
            let text = format!("network profile {} has an error: {wrong}", network.name);
            Err(Refusal::new(12, text, format!("correct it: secadm update_netprof -npn {}", network.name)))
        }
        SecurityOption::Tls(name) => tls_profile(name, network, s, why).map(Security::Tls),
        SecurityOption::Ssh(name) => server_profile(name, network, s, why).map(Security::Ssh),
    }
}

/// The profile, if it may serve: there, of type SERVER (SSH-2), enabled (SSH-3), with a key (SSH-9).
fn server_profile<'a>(
    name: &str,
    network: &NetworkProfile,
    s: &'a Snapshot,
    why: &mut Why,
) -> Result<&'a Arc<SshProfile>, Refusal> {
    let object = format!("SSH_PROFILE {name}");
    let Some(profile) = s.ssh_profile(name) else {
        let refusal = match s.broken(Kind::SshProfile, name) {
            Some(wrong) => Refusal::new(108, format!("SSH profile {name} has an error: {wrong}"), "correct it"),
            None => Refusal::new(
                108,
                format!("network profile {} names the SSH profile {name:?}, which does not exist", network.name),
                "create it, or name another",
            ),
        };
        why.no(object, refusal.text.clone());
        return Err(refusal);
    };
    let refusal = if profile.role != SshRole::Server {
        Refusal::new(109, format!("SSH profile {name} is of type CLIENT"), "name a profile of type SERVER")
    } else if !profile.enabled {
        Refusal::new(213, format!("SSH profile {name} is disabled"), "enable it")
    } else if s.host_keys(profile).is_empty() {
        let fix = "set private_key_alias to an enabled private key whose algorithm is in public_key_algos";
        Refusal::new(124, format!("SSH profile {name} has no private key that it can use"), fix)
    } else {
        why.yes(object, format!("named by network profile {}", network.name));
        return Ok(profile);
    };
    why.no(object, refusal.text.clone());
    Err(refusal)
}

/// The TLS profile, if it may serve: there, enabled, for servers (TLS-25), with what it needs (TLS-1).
fn tls_profile<'a>(
    name: &str,
    network: &NetworkProfile,
    s: &'a Snapshot,
    why: &mut Why,
) -> Result<&'a Arc<TlsProfile>, Refusal> {
    let object = format!("TLS_PROFILE {name}");
    let refusal = match (s.tls_profile(name), s.broken(Kind::TlsProfile, name)) {
        (Some(profile), _) => match profile.refusal(true) {
            None => {
                why.yes(object, format!("named by network profile {}", network.name));
                return Ok(profile);
            }
            Some(text) => {
                let event = if profile.enabled { 109 } else { 213 };
                let fix = format!("correct it: secadm update_sprof -spn {name}");
                Refusal::new(event, format!("TLS profile {name} can't serve: {text}"), fix)
            }
        },
        (None, Some(wrong)) => Refusal::new(108, format!("TLS profile {name} has an error: {wrong}"), "correct it"),
        (None, None) => Refusal::new(
            108,
            format!("network profile {} names the TLS profile {name:?}, which does not exist", network.name),
            "create it, or name another",
        ),
    };
    why.no(object, refusal.text.clone());
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Object, Value};
    use crate::testing::{disabled, object, raw, with_profiles};
    use proptest::prelude::*;

    fn ssh(name: &str, origin: &str, destination: &str) -> Object {
        let fields = [("security_option", "SSH"), ("sprof_name", "SFTP_IN"), ("oa", origin), ("da", destination)];
        object(Kind::NetworkProfile, name, &fields)
    }

    fn clear(name: &str, origin: &str, destination: &str) -> Object {
        object(Kind::NetworkProfile, name, &[("security_option", "NONE"), ("oa", origin), ("da", destination)])
    }

    fn chosen(s: &Snapshot, local: &str, peer: &str) -> Result<String, u16> {
        let decision = match_inbound(&Inbound::new(local.parse().unwrap(), peer.parse().unwrap()), s);
        decision.result.map(|matched| matched.network.name.clone()).map_err(|refusal| refusal.event)
    }

    #[test]
    fn the_examples_of_the_specification() {
        // network-profiles.md section 3, NET-1, NET-2
        let s = with_profiles(vec![
            ssh("SEC", "*/*", "*/2205"),
            ssh("SFTP_ALL", "*.*.*.*", "*.*.*.*/6710"),
            ssh("LOCAL", "10.10.10.*/*", "10.10.10.1/2205"),
            clear("REST", "10.9.*/*", "*/*"),
        ]);
        for (local, peer, expected) in [
            ("10.10.10.1:2205", "10.10.10.7:5000", Ok("LOCAL")),
            ("10.10.10.1:2205", "192.0.2.7:5000", Ok("SEC")),
            ("10.10.10.2:2205", "10.10.10.7:5000", Ok("SEC")),
            ("10.10.10.1:6710", "192.0.2.7:5000", Ok("SFTP_ALL")),
            ("[::1]:6710", "[::1]:5000", Err(105)),
            ("10.10.10.1:22", "10.9.1.1:5000", Ok("REST")),
            ("10.10.10.1:22", "192.0.2.7:5000", Err(105)),
        ] {
            assert_eq!(chosen(&s, local, peer), expected.map(str::to_owned), "{peer} calls {local}");
        }
    }

    #[test]
    fn patterns_addresses_and_networks() {
        for (origin, destination, local, peer, fits) in [
            ("*/*", "*/22?", "10.0.0.1:22", "192.0.2.1:1", true), // NET-6: ? is one character or none
            ("*/*", "*/22?", "10.0.0.1:221", "192.0.2.1:1", true),
            ("*/*", "*/22?", "10.0.0.1:2211", "192.0.2.1:1", false),
            ("192.0.2.?/*", "*/22", "10.0.0.1:22", "192.0.2.1:1", true),
            ("192.0.2.?/*", "*/22", "10.0.0.1:22", "192.0.2.10:1", false),
            ("192.0.2.0/25/*", "*/22", "10.0.0.1:22", "192.0.2.127:1", true), // NET-7
            ("192.0.2.0/25/*", "*/22", "10.0.0.1:22", "192.0.2.128:1", false),
            ("2001:db8::/32/*", "*/22", "[::1]:22", "[2001:db8:1::1]:1", true),
            ("2001:db8::/32/*", "*/22", "[::1]:22", "[2001:db9::1]:1", false),
            ("[2001:DB8::1]/*", "*/22", "[::1]:22", "[2001:db8:0:0::1]:1", true),
            ("192.0.2.1/*", "*/22", "[::ffff:10.0.0.1]:22", "[::ffff:192.0.2.1]:1", true), // NET-8
            ("::ffff:192.0.2.1/*", "*/22", "10.0.0.1:22", "192.0.2.1:1", true),
            ("*/1024", "*/22", "10.0.0.1:22", "192.0.2.1:1024", true),
            ("*/1024", "*/22", "10.0.0.1:22", "192.0.2.1:1025", false),
            ("*", "10.0.0.1/22", "10.0.0.1:22", "192.0.2.1:1025", true), // without a port any port
        ] {
            let s = with_profiles(vec![ssh("P", origin, destination)]);
            assert_eq!(chosen(&s, local, peer).is_ok(), fits, "{peer} calls {local}: {origin} {destination}");
        }
    }

    #[test]
    fn the_more_specific_profile_wins() {
        // NET-2: destination port, destination address, origin address, origin port
        for (better, worse) in [
            (("*/*", "*/22"), ("192.0.2.1/1024", "10.0.0.1/*")),
            (("*/*", "10.0.0.1/22"), ("192.0.2.1/1024", "*/22")),
            (("192.0.2.1/*", "*/22"), ("192.0.2.*/1024", "*/22")),
            (("192.0.2.*/1024", "*/22"), ("192.0.2.*/*", "*/22")),
            (("192.0.2.0/25/*", "*/22"), ("192.0.2.*/*", "*/22")),
            (("192.0.2.*/*", "*/22"), ("192.0.0.0/22/*", "*/22")),
            (("192.0.2.1/*", "*/22"), ("192.0.2.0/31/*", "*/22")),
            (("192.0.2.0/24/*", "*/22"), ("192.0.0.0/16/*", "*/22")),
        ] {
            let (a, b) = (ssh("Z", better.0, better.1), ssh("A", worse.0, worse.1));
            for objects in [vec![a.clone(), b.clone()], vec![b, a]] {
                let s = with_profiles(objects);
                assert_eq!(chosen(&s, "10.0.0.1:22", "192.0.2.1:1024"), Ok("Z".to_owned()), "{better:?} {worse:?}");
            }
        }
    }

    #[test]
    fn a_profile_that_cannot_serve_refuses_with_its_event() {
        let server = [("type", "SERVER"), ("private_key_alias", "HOST")];
        let rsa_only = [("type", "SERVER"), ("private_key_alias", "HOST"), ("public_key_algos", "RSA_SHA2_512")];
        for (profile, name, expected) in [
            (object(Kind::SshProfile, "X", &server), "MISSING", Err(108)), // NET-3
            (object(Kind::SshProfile, "X", &[("type", "CLIENT")]), "X", Err(109)), // SSH-2
            (disabled(object(Kind::SshProfile, "X", &server)), "X", Err(213)), // SSH-3
            (object(Kind::SshProfile, "X", &[("type", "SERVER")]), "X", Err(124)), // SSH-9
            (object(Kind::SshProfile, "X", &rsa_only), "X", Err(124)),
            (object(Kind::SshProfile, "X", &server), "X", Ok("N".to_owned())), // SSH-1
        ] {
            let fields = [("security_option", "SSH"), ("sprof_name", name), ("da", "*/22")];
            let s = with_profiles(vec![profile, object(Kind::NetworkProfile, "N", &fields), clear("REST", "*", "*")]);
            assert_eq!(chosen(&s, "10.0.0.1:22", "192.0.2.1:1"), expected);
        }
    }

    #[test]
    fn a_profile_that_cannot_be_read_refuses_instead_of_making_room() {
        let body = [("security_option".to_owned(), Value::from("SSH")), ("dest_address".to_owned(), "*/22".into())];
        let s = with_profiles(vec![raw(Kind::NetworkProfile, "N", body.into()), clear("REST", "*", "*")]);
        assert_eq!(chosen(&s, "10.0.0.1:22", "192.0.2.1:1"), Err(12));
        // A TLS profile is missing: never in clear instead.
        let body = [("security_option".to_owned(), Value::from("TLS")), ("dest_address".to_owned(), "*/22".into())];
        let s = with_profiles(vec![raw(Kind::NetworkProfile, "N", body.into()), clear("REST", "*", "*")]);
        assert_eq!(chosen(&s, "10.0.0.1:22", "192.0.2.1:1"), Err(12));
    }

    // NET-3, TLS-1, TLS-25
    #[test]
    fn tls_profiles_that_cannot_serve_are_refused() {
        let network = |name: &str| {
            object(Kind::NetworkProfile, "N", &[("security_option", "TLS"), ("sprof_name", name), ("da", "*/990")])
        };
        let tls = |name: &str, fields: &[(&str, &str)]| object(Kind::TlsProfile, name, fields);
        let own = ("user_local_certificate", "OWN");
        for (profile, expected) in [
            (tls("X", &[own]), Ok("N".to_owned())),
            (tls("X", &[own, ("type", "CLIENT_AND_SERVER")]), Ok("N".to_owned())),
            (tls("X", &[own, ("type", "CLIENT")]), Err(109)),
            (tls("X", &[own, ("tls_versions", "SSLv3")]), Err(109)),
            (tls("X", &[]), Err(109)),
            (disabled(tls("X", &[own])), Err(213)),
            (tls("OTHER", &[own]), Err(108)),
        ] {
            let s = with_profiles(vec![network("X"), profile]);
            assert_eq!(chosen(&s, "10.0.0.1:990", "192.0.2.1:1"), expected);
            assert_eq!(s.referrers(Kind::TlsProfile, "X"), [(Kind::NetworkProfile, "N".into(), "sprof_name".into())]);
        }
    }

    #[test]
    fn reasons_tell_what_nearly_fits() {
        let s = with_profiles(vec![
            ssh("BEST", "192.0.2.*/*", "*/22"),
            ssh("BROAD", "*/*", "*/22"),
            disabled(ssh("OFF", "192.0.2.1/*", "*/22")),
            ssh("OTHER_PORT", "*/*", "*/2222"),
            ssh("FAR", "198.51.100.1/*", "*/2222"),
        ]);
        let inbound = Inbound::new("10.0.0.1:22".parse().unwrap(), "192.0.2.1:1".parse().unwrap());
        let why: Vec<String> = match_inbound(&inbound, &s).why.iter().map(ToString::to_string).collect();
        for (object, part) in [
            ("+ NETWORK_PROFILE BEST", "fits best"),
            ("- NETWORK_PROFILE BROAD", "BEST is more specific"),
            ("- NETWORK_PROFILE OFF", "disabled"),
            ("- NETWORK_PROFILE OTHER_PORT", "nearly fits: the port called"),
            ("- ", "1 more objects"),
            ("+ SSH_PROFILE SFTP_IN", "named by"),
        ] {
            assert!(why.iter().any(|line| line.starts_with(object) && line.contains(part)), "{object}: {why:#?}");
        }
    }

    #[test]
    fn ten_thousand_profiles_are_walked_with_few_reasons() {
        // NET-16
        let mut objects: Vec<Object> = (0..10_000_u32)
            .map(|n| ssh(&format!("P{n}"), &format!("10.{}.{}.*/*", n / 250, n % 250), "*/22"))
            .collect();
        objects.push(ssh("LAST", "192.0.2.1/*", "*/22"));
        let s = with_profiles(objects);
        let inbound = Inbound::new("10.0.0.1:22".parse().unwrap(), "192.0.2.1:1".parse().unwrap());
        let decision = match_inbound(&inbound, &s);
        assert_eq!(decision.result.unwrap().network.name, "LAST");
        assert!(decision.why.len() <= crate::WHY_MAX + 4, "{}", decision.why.len());
        assert_eq!(chosen(&s, "10.0.0.1:22", "10.39.249.3:9"), Ok("P9999".to_owned()));
    }

    fn any_profiles() -> impl Strategy<Value = Vec<Object>> {
        let address = prop_oneof![
            Just("*"),
            Just("10.0.0.1"),
            Just("10.0.0.*"),
            Just("10.0.0.0/24"),
            Just("10.0.0.?"),
            Just("10.*.1"),
            Just("::1")
        ];
        let port = prop_oneof![Just("*"), Just("22"), Just("2?"), Just("2222")];
        let end = (address, port).prop_map(|(a, p)| format!("{a}/{p}"));
        let one = (end.clone(), end, any::<bool>(), any::<bool>());
        proptest::collection::vec(one, 0..12).prop_map(|rows| {
            let profile = |(n, (from, to, off, open)): (usize, (String, String, bool, bool))| {
                let name = format!("N{n}");
                let profile = if open { clear(&name, &from, &to) } else { ssh(&name, &from, &to) };
                if off { disabled(profile) } else { profile }
            };
            rows.into_iter().enumerate().map(profile).collect()
        })
    }

    proptest! {
        /// DESIGN 5.10: every decision has its reasons, and the order of creation changes nothing.
        #[test]
        fn decisions_are_total_and_do_not_depend_on_order(
            profiles in any_profiles().prop_shuffle(),
            local in prop_oneof![Just("10.0.0.1:22"), Just("10.0.0.2:2222"), Just("[::1]:22")],
            peer in prop_oneof![Just("10.0.0.1:22"), Just("10.0.9.1:22"), Just("[::1]:2")],
        ) {
            let mut sorted = profiles.clone();
            sorted.sort_by(|a, b| a.name.cmp(&b.name));
            let (one, other) = (with_profiles(profiles), with_profiles(sorted));
            let inbound = Inbound::new(local.parse().unwrap(), peer.parse().unwrap());
            let (a, b) = (match_inbound(&inbound, &one), match_inbound(&inbound, &other));
            prop_assert_eq!(&a.why, &b.why);
            match (a.result, b.result) {
                (Ok(a_match), Ok(b_match)) => {
                    prop_assert_eq!(&a_match.network.name, &b_match.network.name);
                    let title = format!("NETWORK_PROFILE {}", a_match.network.name);
                    prop_assert!(a.why.iter().any(|r| r.matched && r.object == title));
                    prop_assert!(a_match.network.enabled);
                    let rival = one.network_profiles().find(|n| {
                        n.enabled && n.weight() > a_match.network.weight()
                            && n.origin.matches(inbound.peer) && n.destination.matches(inbound.local)
                    });
                    prop_assert!(rival.is_none());
                }
                (Err(a), Err(b)) => {
                    prop_assert_eq!(&a, &b);
                    prop_assert!(!a.fix.is_empty());
                }
                _ => prop_assert!(false, "the order of creation decided"),
            }
        }
    }
}
