//! SFTP version 3 over an SSH channel (draft-ietf-secsh-filexfer-02), server and client.
//!
//! `wire/` is pure; `server/` and `client/` drive it over a [`Line`]; the partner's files are behind a [`crate::files::Folder`]. What is
//! below is where the three meet the gateway.

pub mod client;
mod line;
mod outgoing;
pub mod replies;
pub mod server;
pub mod settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use channel::Pipe;
use engine::{JobSource, TransferError};
use model::RemoteSite;

use super::{Carrier, Descriptor, Inward, Role, SEEN_MAX, Seen, Served, Transport};
use crate::files::PartnerFiles;

use outgoing::Policies;

pub use client::{
    ClientError, Delivered, Errand, Found, Naming, NoProgress, Progress, RemoteFile, SftpClient, Sink, Source,
};
pub use line::{Line, LineInput, LineOutput};
pub use server::{ServerLimits, SessionError, serve};
pub use settings::{ClientOptions, Existing, Unclear};

/// The carrier.
#[derive(Clone, Copy, Debug)]
pub struct Sftp;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "SFTP",
    title: "SFTP (SSH file transfer)",
    port: 22,
    roles: &[Role::Server, Role::Client],
    transport: Transport::Ssh,
};

#[async_trait]
impl Carrier for Sftp {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    async fn serve(&self, inward: Inward) -> Served {
        let Inward::Channel { pipe, engine, who } = inward else { return Served::unfit("a channel of SSH") };
        let folder = Arc::new(PartnerFiles::new(engine, who));
        let done = serve(pipe.into(), folder, ServerLimits::default()).await;
        Served {
            login: None,
            requests: done.requests,
            octets_in: done.octets_in,
            octets_out: done.octets_out,
            error: done.error.map(|e| e.to_string()),
        }
    }

    async fn deliver(&self, pipe: Pipe, site: &RemoteSite, jobs: &mut dyn JobSource) -> Result<u32, TransferError> {
        let client = SftpClient::start(pipe, ClientOptions::with_window(site.check_window)).await?;
        outgoing::deliver_all(client, Policies::of(site), jobs).await
    }

    async fn look(&self, pipe: Pipe, site: &RemoteSite) -> Result<Seen, TransferError> {
        let mut client = SftpClient::start(pipe, ClientOptions::default()).await?;
        let wanted = if site.dir_name.is_empty() { "." } else { site.dir_name.as_str() };
        let folder = client.real_path(wanted.as_bytes()).await?;
        let found = client.list(wanted.as_bytes()).await?;
        let names = found.iter().take(SEEN_MAX).map(|file| base::octets_text(&file.name)).collect();
        Ok(Seen { folder: base::octets_text(&folder), names, count: found.len() })
    }
}
