//! SSH (RFC 4251 to 4254) by the library; nothing of it leaves this folder.

pub(crate) mod client;
mod client_handler;
pub(crate) mod error;
mod input;
mod kexinit;
mod login;
mod output;
pub(crate) mod pipe;
mod preferred;
pub(crate) mod probe;
pub(crate) mod report;
pub(crate) mod server;
mod server_handler;
mod shared;
mod tap;
