//! A port on which the gateway listens (NET-13: a fresh installation has none).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base::ObjectId;

use super::binding::{Binding, zoned_address};
use crate::field::{COMMENTS, Field, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::Listener,
    title: "listener",
    about: "A port on which the gateway listens for one protocol.",
    name_field: Field::text("name", 31, "name of the listener").shorts(&["n"]).required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::choice("protocol", &["SFTP"], "protocol served on the port").shorts(&["pr"]).default("SFTP"),
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
    /// The protocol served: `SFTP`.
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
            comments: r.text_or_empty("comments"),
            enabled: r.enabled(),
        }
    }
}
