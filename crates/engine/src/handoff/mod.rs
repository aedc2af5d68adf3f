//! Where the business side of this machine meets the gateway: real folders that files are put into.
//!
//! A *pick-up folder* is a site of the protocol FOLDER: the queue brings files to it as to any partner, only that no
//! connection is opened (docs/decisions/0013).

mod folder;
mod pickup;

pub use pickup::put_all;
