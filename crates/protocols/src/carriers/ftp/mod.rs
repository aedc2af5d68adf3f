//! FTP (RFC 959) and FTPS (RFC 4217), server and client.
//!
//! `wire/` is pure; `server/` and `client/` drive it over a control connection and data connections; the partner's files
//! are behind a [`crate::files::Folder`].

pub mod wire;

use super::{Descriptor, Role};

/// What is known of it.
pub static DESCRIPTOR: Descriptor =
    Descriptor { name: "FTP", title: "FTP and FTPS (file transfer)", port: 21, roles: &[Role::Server, Role::Client] };
