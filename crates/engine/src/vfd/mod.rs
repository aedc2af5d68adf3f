//! What a partner sees: virtual folders whose files are transfer records, and mounted real folders.
//!
//! A session sees below its `root_dir`: folders by right; the files put at its site's disposal; its own uploads as long
//! as they went nowhere, so that a client that looks after `put` is content; and, by `stat` alone, its own interrupted
//! uploads, so that it can resume them (DESIGN 1.1). Of equal names the newest wins (DESIGN 1.19).

mod change;
mod entry;
mod files;
mod look;
pub(crate) mod mount;
mod path;
mod place;
mod write;

pub use entry::{Entry, EntryKind, Space};
pub(crate) use files::{Named, scope};
pub use path::{PathError, VPath, is_temporary, octets_of, same_look, text_of};
pub use write::OpenWrite;
