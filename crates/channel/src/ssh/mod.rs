//! SSH (RFC 4251 to 4254) by the library; nothing of it leaves this folder.

pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod pipe;
pub(crate) mod report;
pub(crate) mod server;
