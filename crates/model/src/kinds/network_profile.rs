//! Which security an incoming connection gets, by its addresses (network-profiles.md).

use base::ObjectId;

use super::addresses::EndpointPattern;
use crate::field::{Field, FieldKind, NameRule, ObjectDescriptor, STATE};
use crate::object::Kind;
use crate::read::{Meant, Reader};

pub(crate) static DESCRIPTOR: ObjectDescriptor = ObjectDescriptor {
    kind: Kind::NetworkProfile,
    title: "network profile",
    about: "Maps an incoming connection, by its addresses, to a security profile; the best match is used.",
    name_field: Field::text("nprof_name", 31, "name of the network profile")
        .shorts(&["npn"])
        .aliases(&["np_name", "name"])
        .required(),
    name_rule: NameRule::Word { max: 31 },
    fields: &[
        Field::choice("security_option", &["NONE", "TLS", "SSH"], "security of the connection")
            .shorts(&["sec_opt"])
            .aliases(&["np_security_option"])
            .deprecated(&["tls_option"])
            .synonyms(&[("Y", "TLS"), ("N", "NONE")])
            .required()
            .detail("must be stated: NONE means that everything travels in clear (NET-9)"),
        Field::choice("comm_type", &["TCPIP"], "type of network")
            .shorts(&["ct"])
            .aliases(&["np_comm_type"])
            .default("TCPIP"),
        Field::text("org_address", 128, "address/port pattern of the caller")
            .shorts(&["oa"])
            .aliases(&["np_org_address"])
            .deprecated(&["origin_address"])
            .default("*/*")
            .detail(ADDRESS_DETAIL),
        Field::text("dest_address", 128, "address/port pattern of our side")
            .shorts(&["da"])
            .aliases(&["np_dest_address"])
            .deprecated(&["destination_address"])
            .default("*/*")
            .detail(ADDRESS_DETAIL),
        Field::new("sprof_name", FieldKind::Ref(Kind::SshProfile), "security profile, of type SERVER")
            .detail("a TLS profile with the option TLS, an SSH profile with the option SSH")
            .shorts(&["spn"])
            .aliases(&["np_sprof_name"]),
        Field::text("user_data", 128, "free text").aliases(&["np_user_data"]),
    ],
    group_field: None,
    state_field: Some(STATE.aliases(&["np_state"])),
    summary: &["security_option", "org_address", "dest_address", "sprof_name", "state"],
};

const ADDRESS_DETAIL: &str = "* is any run of characters, ? one or none; without /port any port is meant; a network is \
                              written with its port behind it: 10.0.0.0/8/*";

/// What a network profile asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecurityOption {
    /// A clear connection.
    Clear,
    /// TLS by the profile named.
    Tls(String),
    /// SSH by the profile named.
    Ssh(String),
    /// The profile can't be read: a connection that matches it is refused, for the reason given.
    Broken(String),
}

impl SecurityOption {
    /// The word of the field.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Clear => "NONE",
            Self::Tls(_) => "TLS",
            Self::Ssh(_) => "SSH",
            Self::Broken(_) => "(broken)",
        }
    }
}

/// Maps an incoming connection to its security.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NetworkProfile {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Addresses of the caller.
    pub origin: EndpointPattern,
    /// Addresses of our side.
    pub destination: EndpointPattern,
    /// What a connection gets.
    pub security: SecurityOption,
    /// Type of network: `TCPIP`.
    pub comm_type: String,
    /// Free text.
    pub user_data: String,
    /// Whether it is looked at.
    pub enabled: bool,
}

impl NetworkProfile {
    /// How specific it is: destination port, destination address, origin address, origin port (NET-2).
    #[must_use]
    pub fn weight(&self) -> [u32; 4] {
        let Self { origin, destination, .. } = self;
        [destination.port.weight(), destination.address.weight(), origin.address.weight(), origin.port.weight()]
    }

    /// Whether some connection may match both; may say yes too often.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.destination.port.overlaps(&other.destination.port)
            && self.origin.port.overlaps(&other.origin.port)
            && self.destination.address.overlaps(&other.destination.address)
            && self.origin.address.overlaps(&other.origin.address)
    }
}

impl Meant for NetworkProfile {
    fn read(r: &mut Reader<'_>) -> Self {
        let origin = endpoint(r, "org_address");
        let destination = endpoint(r, "dest_address");
        let profile = r.text("sprof_name");
        let option = r.text_or_empty("security_option").to_ascii_uppercase();
        let security = match (option.as_str(), profile) {
            ("NONE", None) => SecurityOption::Clear,
            ("NONE", Some(_)) => {
                // NET-5
                r.warning(
                    "sprof_name",
                    "ignored, since the security option is NONE",
                    "clear it, or set the option to SSH",
                );
                SecurityOption::Clear
            }
            ("TLS", Some(profile)) => SecurityOption::Tls(profile),
            ("TLS", None) => {
                r.error("sprof_name", "the security option TLS needs a profile", "name a TLS profile for servers");
                SecurityOption::Tls(String::new())
            }
            ("SSH", Some(profile)) => SecurityOption::Ssh(profile),
            ("SSH", None) => {
                r.error("sprof_name", "the security option SSH needs a profile", "name an SSH profile of type SERVER");
                SecurityOption::Ssh(String::new())
            }
            _ => {
                r.error("security_option", "it must be stated", "give it SSH, or NONE for clear connections");
                SecurityOption::Clear
            }
        };
        let comm_type = r.text_or_empty("comm_type");
        let user_data = r.text_or_empty("user_data");
        // NET-3: what can't be read still matches, and refuses: a broader profile must not take its place.
        let security = r.broken().map_or(security, SecurityOption::Broken);
        let (id, name, enabled) = (r.object.id, r.object.name.clone(), r.enabled());
        Self { id, name, origin, destination, security, comm_type, user_data, enabled }
    }
}

fn endpoint(r: &mut Reader<'_>, name: &'static str) -> EndpointPattern {
    let text = r.text_or_empty(name);
    let parsed = EndpointPattern::parse(&text).unwrap_or_else(|wrong| {
        r.error(name, wrong, "write it as address/port, such as */22 or 10.0.0.0/8/*");
        EndpointPattern::any()
    });
    if parsed.address.is_host_name() {
        let fix = "give an address or a network";
        r.warning(name, "host names are not looked up, so this matches no connection", fix);
    }
    if let Some(network) = parsed.looks_like_network(&text) {
        r.warning(name, format!("{text} is one address and a port"), format!("for the network write {network}"));
    }
    parsed
}
