//! SFTP version 3 over an SSH channel (draft-ietf-secsh-filexfer-02), server and client.
//!
//! `wire/` is pure; `server/` and `client/` drive it over a [`Line`]; the partner's files are behind a [`crate::files::Folder`]. What is
//! below is where the three meet the gateway.

pub mod client;
mod line;
pub mod replies;
pub mod server;
pub mod settings;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use engine::{JobSource, TransferError};
use model::RemoteSite;

use super::{Carrier, Descriptor, Inward, Role, Served, Transport, Unopened, Way};
use crate::files::PartnerFiles;
use crate::outward::{Outward, Policies, Seen, deliver_all};

pub use crate::outward::{ClientError, NoProgress, Progress, Sink, Source};
pub use client::{RemoteFile, SftpClient};
pub use line::{Line, LineInput, LineOutput};
pub use server::{ServerLimits, SessionError, serve};
pub use settings::ClientOptions;

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

    async fn open(&self, way: Way, site: &RemoteSite) -> Result<Box<dyn Outward>, Unopened> {
        let Way::Ssh(pipe) = way else { return Err(Unopened::transport("SSH")) };
        let client = SftpClient::start(pipe, ClientOptions::with_window(site.check_window)).await?;
        Ok(Box::new(Session { client, policies: Policies::of(site), folder: site.dir_name.clone() }))
    }
}

/// A session with a partner's server.
struct Session {
    client: SftpClient,
    policies: Policies,
    folder: String,
}

#[async_trait]
impl Outward for Session {
    async fn deliver(&mut self, jobs: &mut dyn JobSource) -> Result<u32, TransferError> {
        deliver_all(&mut self.client, self.policies, jobs).await
    }

    async fn look(&mut self) -> Result<Seen, TransferError> {
        let wanted = if self.folder.is_empty() { "." } else { self.folder.as_str() };
        let folder = self.client.real_path(wanted.as_bytes()).await?;
        let found = self.client.list(wanted.as_bytes()).await?;
        Ok(Seen::of(&folder, found.iter().map(|file| &file.name[..])))
    }
}
