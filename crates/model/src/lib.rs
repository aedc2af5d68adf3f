//! What the gateway is told to be: objects as stored, then as meant; and the decisions taken from them.
//!
//! Pure: no sockets, files, clock or random numbers. An [`Object`] is a map of typed values, checked by the one list of
//! fields of its kind ([`descriptor`]) and read once into its meant type ([`SshProfile`], [`Cgate`], …). All of them make
//! a [`Snapshot`], from which [`match_inbound`], [`choose_gate`] and [`routes_for`] decide, each with its reasons.

mod certificates;
mod check;
mod decision;
mod defaults;
mod event_types;
mod field;
mod gate;
mod glob;
mod group_chain;
mod inbound;
mod kinds;
mod nearest;
mod object;
mod problems;
mod proxies;
mod read;
mod reading;
mod rights;
mod route;
mod snapshot;
pub mod ssh_algorithms;
#[cfg(test)]
mod testing;
mod tls_offer;
pub mod tls_suites;
mod variables;
mod web_address;

pub use check::{body_warnings, check_body, check_name, check_secret, references, value_from_text};
pub use decision::{Decision, Reason, Refusal, WHY_MAX};
pub use defaults::{CLIENT_PROFILE, GATEHOUSE_KEY, SERVER_PROFILE, SFTP_IN, SFTP_OUT, default_objects};
pub use event_types::{EVENT_TYPE_PREFIX, EVENT_TYPES, EventType, event_types};
pub use field::{Field, FieldKind, NameRule, ObjectDescriptor, Place, descriptor, descriptors};
pub use gate::{GateMatch, LoginTls, SiteBinding, choose_gate};
pub use inbound::{Inbound, Matched, Security, match_inbound};
pub use kinds::addresses::{AddressPattern, CallingRule, EndpointPattern, HostPort, PortPattern, PortSet};
pub use kinds::application::{Application, TransferDirections};
pub use kinds::binding::Binding;
pub use kinds::certificate::{CertificateEntry, CertificateNotes, CertificateObject};
pub use kinds::cgate::{Cgate, GateTls};
pub use kinds::cgate_group::{CgateGroup, Shared};
pub use kinds::crl::{CrlEntry, CrlObject};
pub use kinds::decision_rule::{Condition, DecisionRule, Operator, RuleAction};
pub use kinds::drop_folder::{DropFolder, Owners, Readiness};
pub use kinds::hook::{Hook, hook_variables};
pub use kinds::key::KeyObject;
pub use kinds::listener::Listener;
pub use kinds::local_site::LocalSite;
pub use kinds::network_profile::{NetworkProfile, SecurityOption};
pub use kinds::partner_commands::{CommandTime, PartnerCommand, partner_commands};
pub use kinds::proxy::{Proxy, ProxyKind, ProxyStep, ProxyVerb, ProxyWord};
pub use kinds::real_folder::{FOLDER, FolderPlace, Marker};
pub use kinds::remote_site::{
    CallSecurity, DataConnections, RemoteSite, RenamePolicy, Retry, SiteCommands, SiteRoles, Through, VerifyPolicy,
};
pub use kinds::rule_table::{RuleTable, TableLimits};
pub use kinds::site_tls::SiteTls;
pub use kinds::ssh_profile::{SshCertificates, SshProfile, SshRole};
pub use kinds::store_limits::StoreLimits;
pub use kinds::tls_profile::{
    ClientAuth, FtPolicy, HeaderPolicy, TlsNegotiated, TlsProfile, TlsRevocation, TlsStart, TlsTemplate, TlsTrust,
};
pub use kinds::transfer_model::TransferModel;
pub use kinds::transfer_rates::{TransferRate, TransferRates};
pub use kinds::vfd_dir::{DirType, DisplayOption, DuplicatePolicy, VfdDir};
pub use kinds::webhook::Webhook;
pub use nearest::nearest;
pub use object::{
    Body, DEFAULT_GROUP, Draft, KeyEntry, Kind, KindError, Object, ObjectState, Problem, Severity, StateError, Value,
};
pub use proxies::Proxies;
pub use reading::{Material, Reading};
pub use rights::{DirRights, FileRights, VfdRight, dir_rights, file_rights, within};
pub use route::{Delivery, ROUTE_DEPTH_MAX, RouteFacts, routes_for};
pub use snapshot::{Referrer, Snapshot};
pub use tls_offer::{OfferedVersion, TlsAgreement, TlsMiss, TlsOffer};

pub use web_address::{WebAddress, is_private};
