//! How the client works.

use std::time::Duration;

use model::{PartnerCommand, RemoteSite};

/// How the client works.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// We open data connections; else the server opens them to us.
    pub passive: bool,
    /// A file is gone on with where an earlier try ended.
    pub restart: bool,
    /// A data connection may lead to another address than the control connection does (`change_data_addr`, FTP-5).
    pub other_data_address: bool,
    /// Commands that the server wants to hear before any file.
    pub at_login: Vec<PartnerCommand>,
    /// Longest wait for the next octet of a reply, and for the server to take what we send.
    pub reply_wait_max: Duration,
    /// Longest wait for a data connection to stand.
    pub connect_wait_max: Duration,
    /// Most names taken from one folder.
    pub names_max: usize,
    /// Most octets taken of a list.
    pub list_octets_max: usize,
}

impl ClientOptions {
    /// As a site says.
    #[must_use]
    pub fn of(site: &RemoteSite) -> Self {
        Self {
            passive: site.data.passive,
            restart: site.restart,
            other_data_address: site.data.other_address,
            at_login: site.commands.at_login.clone(),
            ..Self::default()
        }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            passive: true,
            restart: true,
            other_data_address: false,
            at_login: Vec::new(),
            reply_wait_max: Duration::from_secs(120),
            connect_wait_max: Duration::from_secs(20),
            names_max: 100_000,
            list_octets_max: 16 * 1024 * 1024,
        }
    }
}
