//! The configuration as text: TOML files that declare objects, read into a plan and written from what is stored
//! (docs/decisions/0008). And the older text formats of exports.

mod bundle;
mod export;
mod fields;
mod past;
mod plan;
mod read;
mod resolve;
mod show;

pub(crate) use bundle::WireBundle;
pub use bundle::{Bundle, BundleError, DOCUMENT_OCTETS_MAX, DOCUMENTS_MAX, Document, Reference, references};
pub(crate) use export::{exported, text};
pub(crate) use fields::{Layout, Listed, read as read_fields, write as write_fields};
pub(crate) use past::{at_point, wanted_at};
pub(crate) use plan::{Change, FieldChange, Plan, Prune, differences, plan};
pub(crate) use read::{Declarations, read};
pub(crate) use resolve::{Material, SecretWanted, Wanted, belonging, resolve};
pub(crate) use show::{facts, field_lines, lines};
