//! A partner as one thing: the objects that stand for it, made, shown, tested, exported and removed together
//! (docs/decisions/0012).

mod answers;
mod build;
mod call;
mod draft;
mod keys_given;
mod page;
mod parts;
mod remove;
mod routes;
mod sheet;
mod test;
mod trust;
mod way_in;

pub(crate) use answers::{Answers, DIRECTIONS, address, address_in};
pub use answers::{Question, check_answer, check_keys, questions};
pub(crate) use build::build;
pub use call::{CallPartner, Called, HostKey, HostKeyVerdict, Look, Probe, Stage, TlsProbe};
pub(crate) use page::page;
pub(crate) use parts::{KeyUse, Parts};
pub(crate) use remove::removal;
pub(crate) use routes::hidden as hidden_route;
pub(crate) use sheet::Sheet;
pub(crate) use test::{Steps, inbound, outbound, told};
pub(crate) use trust::trust;
pub(crate) use way_in::reaches;
