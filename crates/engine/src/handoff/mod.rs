//! Where the business side of this machine meets the gateway: real folders that files are put into and taken from.
//!
//! A *drop folder* is watched: what the business side puts into it is received and routed.
//! A *pick-up folder* is a site of the protocol FOLDER: the queue brings files to it as to any partner, only that no
//! connection is opened (docs/decisions/0013).

mod drops;
mod folder;
mod pickup;

pub use drops::run_drop_folders;
pub use pickup::put_all;
