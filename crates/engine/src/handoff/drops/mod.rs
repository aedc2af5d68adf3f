//! Drop folders: what the business side puts into a real folder is taken in once, whatever dies when.
//!
//! One look at a folder goes through these files: [`scan`] lists it and asks [`ready`] which files are whole, [`claim`]
//! renames them into a private folder beside them, [`take`] brings the content into the store and commits, and only then
//! the file is removed or moved. The claim carries the number of the transfer, so that after a crash the record tells
//! how far it came (docs/decisions/0013).

mod claim;
mod ready;
mod scan;
mod take;
mod watch;

pub use watch::run_drop_folders;
