//! All operations. A new one is a function and a line in its family's list.

mod alarms;
mod care;
mod certificates;
mod config;
mod crls;
mod exchange;
mod explain_tls;
mod family;
mod files;
mod keys;
mod listeners;
mod nodes;
mod objects;
mod observe;
mod partner;
mod probe;
mod quarantine;
mod routes;
mod status;
mod support;
mod tokens;
mod transfers;
mod webhooks;

use crate::Operation;

pub use objects::create_object;
pub(crate) use routes::TABLE as ROUTE_TABLE;

/// Every operation, by family.
pub static OPERATIONS: &[&[Operation]] = &[
    partner::OPERATIONS,
    probe::OPERATIONS,
    family::SSH_PROFILES,
    family::TLS_PROFILES,
    family::NETWORK_PROFILES,
    family::LOCAL_SITES,
    family::PROXIES,
    family::SITES,
    family::APPLICATIONS,
    family::MODELS,
    family::CGATE_GROUPS,
    family::CGATES,
    family::VFD_DIRS,
    family::DROP_FOLDERS,
    family::HOOKS,
    family::DECISION_RULES,
    family::RULE_TABLES,
    keys::OPERATIONS,
    certificates::OPERATIONS,
    crls::OPERATIONS,
    listeners::OPERATIONS,
    nodes::OPERATIONS,
    quarantine::OPERATIONS,
    routes::OPERATIONS,
    transfers::OPERATIONS,
    files::OPERATIONS,
    observe::OPERATIONS,
    explain_tls::OPERATIONS,
    status::OPERATIONS,
    support::OPERATIONS,
    alarms::OPERATIONS,
    webhooks::OPERATIONS,
    care::OPERATIONS,
    config::OPERATIONS,
    exchange::OPERATIONS,
];

/// The operation called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().copied().flatten().find(|o| o.name == name)
}
