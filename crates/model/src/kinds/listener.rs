//! A port on which the gateway listens (NET-13: a fresh installation has none).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use base::{ObjectId, QuestionMark};

use super::PARTNER_PROTOCOLS;
use super::addresses::AddressPattern;
use super::binding::{Binding, zoned_address};
use crate::field::{COMMENTS, Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Listener,
    title: "listener",
    about: "A port on which the gateway listens for one protocol.",
    name_field: Field::text("name", 31, "name of the listener").shorts(&["n"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::choice("protocol", PARTNER_PROTOCOLS, "protocol served on the port").shorts(&["pr"]).default("SFTP"),
        Field::text("address", 61, "local IP address to listen on").shorts(&["addr"]).default("0.0.0.0").detail(
            "0.0.0.0 is every IPv4 address, :: every address; a link-local one names its interface: fe80::1%eth0",
        ),
        Field::int("port", (0, 65_535), "", "TCP port to listen on")
            .shorts(&["p"])
            .required()
            .detail("0 takes any free port, for trials; ports below 1024 need a right of the operating system"),
        Field::flag("ipv6_only", "N", "whether the address :: takes IPv6 only")
            .shorts(&["v6"])
            .detail("N takes IPv4 on the same port; other addresses are of one family anyway"),
        Field::text("node", 63, "only this node listens; empty for every one")
            .detail("several gateways that share a PostgreSQL are nodes, each with a name in its gatehouse.toml"),
        Field::text("passive_ports", 11, "FTP: ports for data connections of partners; empty for any")
            .detail("written as 50000:50999; a firewall has to let partners in there"),
        Field::new("external_address", FieldKind::List { max: 16, choices: None }, "FTP: IPv4 address that PASV tells")
            .detail("where partners reach the gateway under another address than it has; 10.0.0.0/8=10.0.0.5 is for callers \
                     from there, the first that fits counts, and none tells the address that was called"),
        Field::int("pre_resp_timer", (0, 60), "seconds", "FTP: wait between an upload's data and its acknowledgement")
            .default("0")
            .detail("in clear FTP a broken upload looks complete; with a wait, ABOR or the end of the connection still undo it"),
        Field::int("idle_timeout_s", (10, 86_400), "seconds", "FTP: time without a command after which a session ends")
            .default("600"),
        COMMENTS,
    ],
    group_field: None,
    state_field: Some(STATE),
    summary: &["protocol", "address", "port", "state"],
};

/// A port on which the gateway listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// The protocol served: `SFTP` or `FTP`.
    pub protocol: String,
    /// Local address; unspecified for every one.
    pub address: IpAddr,
    /// TCP port; 0 for any free one.
    pub port: u16,
    /// Network interface of a link-local address.
    pub zone: Option<String>,
    /// `::` takes no IPv4.
    pub ipv6_only: bool,
    /// The one node that listens; empty for every one.
    pub node: String,
    /// Ports for data connections of partners; none: any.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// Addresses under which partners reach it, by the caller's.
    pub external: Vec<(AddressPattern, Ipv4Addr)>,
    /// Seconds between the end of an upload's data and its acknowledgement.
    pub pre_response_s: u8,
    /// Seconds without a command after which a session ends.
    pub idle_timeout_s: u32,
    /// Free text.
    pub comments: String,
    /// Whether it listens.
    pub enabled: bool,
}

impl Listener {
    /// Whether it is open at this node.
    #[must_use]
    pub fn is_open_at(&self, node: &str) -> bool {
        self.enabled && (self.node.is_empty() || self.node == node)
    }

    /// Whether its protocol runs over SSH; the others bring their own login, in clear or over TLS.
    #[must_use]
    pub fn over_ssh(&self) -> bool {
        self.protocol == "SFTP"
    }

    /// The address that a caller from `peer` is told; none: the one that was called.
    #[must_use]
    pub fn external_for(&self, peer: IpAddr) -> Option<Ipv4Addr> {
        let peer = peer.to_canonical();
        self.external.iter().find(|(callers, _)| callers.matches(peer)).map(|(_, address)| *address)
    }

    /// Where it listens.
    #[must_use]
    pub fn binding(&self) -> Binding {
        let address = SocketAddr::new(self.address, self.port);
        Binding { address, zone: self.zone.clone(), ipv6_only: self.ipv6_only }
    }
}

impl Meant for Listener {
    fn read(r: &mut Reader<'_>) -> Self {
        let address = r.text_or_empty("address");
        let (address, zone) = zoned_address(&address).unwrap_or_else(|| {
            let fix = "give it as 192.0.2.7, 0.0.0.0, :: or fe80::1%eth0";
            r.error("address", format!("{address:?} is no IP address"), fix);
            (IpAddr::V4(Ipv4Addr::LOCALHOST), None)
        });
        Self {
            id: r.object.id,
            name: r.object.name.clone(),
            protocol: r.text_or_empty("protocol").to_ascii_uppercase(),
            address,
            port: r.int("port"),
            zone,
            ipv6_only: r.flag("ipv6_only"),
            node: r.text_or_empty("node"),
            passive_ports: passive_ports(r),
            external: external(r),
            pre_response_s: r.int("pre_resp_timer"),
            idle_timeout_s: r.int("idle_timeout_s"),
            comments: r.text_or_empty("comments"),
            enabled: r.enabled(),
        }
    }
}

/// Ports below this are those of services.
const DATA_PORT_MIN: u16 = 1024;

fn passive_ports(r: &mut Reader<'_>) -> Option<RangeInclusive<u16>> {
    const FIELD: &str = "passive_ports";
    let text = r.text(FIELD)?;
    let (from, to) = text.split_once(':').unwrap_or((&text, &text));
    match (from.trim().parse::<u16>(), to.trim().parse::<u16>()) {
        (Ok(from), Ok(to)) if from <= to && from >= DATA_PORT_MIN => Some(from..=to),
        _ => {
            r.error(FIELD, format!("{text:?} is no range of ports above 1023"), "give it as 50000:50999");
            None
        }
    }
}

fn external(r: &mut Reader<'_>) -> Vec<(AddressPattern, Ipv4Addr)> {
    const FIELD: &str = "external_address";
    let one = |text: &String| {
        let (callers, address) = text.split_once('=').unwrap_or(("*", text));
        let callers = AddressPattern::parse(callers, QuestionMark::One)?;
        let address = address.trim().parse().map_err(|_| format!("{text:?} has no IPv4 address"))?;
        Ok::<_, String>((callers, address))
    };
    let mut read = Vec::new();
    for text in r.list(FIELD) {
        match one(&text) {
            Ok(rule) => read.push(rule),
            Err(wrong) => r.error(FIELD, wrong, "give it as 203.0.113.5 or 10.0.0.0/8=10.0.0.5"),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_body;
    use crate::object::Value;
    use crate::read::read;
    use crate::testing::object;

    const FTP: [(&str, &str); 2] = [("port", "21"), ("protocol", "FTP")];

    fn listener(fields: &[(&str, &str)]) -> Listener {
        let fields: Vec<_> = FTP.iter().chain(fields).copied().collect();
        read::<Listener>(&object(Kind::Listener, "L", &fields)).0
    }

    fn is_refused(field: (&str, &str)) -> bool {
        let given = FTP.iter().chain([&field]).map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect();
        check_body(Kind::Listener, &given).is_err()
    }

    #[test]
    fn ports_for_data_are_a_range_above_those_of_services() {
        // FTP-4
        assert_eq!(listener(&[("passive_ports", "50000:50009")]).passive_ports, Some(50_000..=50_009));
        assert_eq!(listener(&[]).passive_ports, None);
        for bad in ["1000:2000", "50009:50000", "x", "50000:70000", "50000-50009"] {
            assert!(is_refused(("passive_ports", bad)), "{bad}");
        }
    }

    #[test]
    fn the_address_told_goes_by_the_caller() {
        // FTP-27, without a program of one's own
        let listener = listener(&[("external_address", "10.0.0.0/8=10.0.0.5,203.0.113.5")]);
        for (peer, told) in [("10.1.2.3", "10.0.0.5"), ("192.0.2.7", "203.0.113.5"), ("::ffff:10.1.2.3", "10.0.0.5")] {
            assert_eq!(listener.external_for(peer.parse().unwrap()).unwrap().to_string(), told, "{peer}");
        }
        assert_eq!(self::listener(&[]).external_for("192.0.2.7".parse().unwrap()), None);
        assert!(is_refused(("external_address", "10.0.0.0/8=::1")));
    }
}
