//! All operations. A new one is a function and a line in its family's list.

mod care;
mod config;
mod exchange;
mod family;
mod keys;
mod listeners;
mod objects;
mod observe;
mod quarantine;
mod routes;
mod transfers;

use crate::Operation;

pub use objects::create_object;

/// Every operation, by family.
pub static OPERATIONS: &[&[Operation]] = &[
    family::SSH_PROFILES,
    family::TLS_PROFILES,
    family::NETWORK_PROFILES,
    family::LOCAL_SITES,
    family::SITES,
    family::APPLICATIONS,
    family::MODELS,
    family::CGATE_GROUPS,
    family::CGATES,
    family::VFD_DIRS,
    family::DECISION_RULES,
    family::RULE_TABLES,
    keys::OPERATIONS,
    listeners::OPERATIONS,
    quarantine::OPERATIONS,
    routes::OPERATIONS,
    transfers::OPERATIONS,
    observe::OPERATIONS,
    care::OPERATIONS,
    config::OPERATIONS,
    exchange::OPERATIONS,
];

/// The operation called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().copied().flatten().find(|o| o.name == name)
}
