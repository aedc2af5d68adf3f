//! A session with a partner's server, as the gateway uses it.

use async_trait::async_trait;
use engine::{JobSource, Secured, TransferError};
use model::{ProxyKind, RemoteSite};

use super::client::{Caller, ClientOptions, FtpClient};
use crate::carriers::{LinkWay, Unopened};
use crate::outward::{Outward, Policies, Seen, deliver_all};

/// A session with a partner's server.
pub(super) struct Session {
    client: FtpClient,
    policies: Policies,
    folder: String,
}

impl Session {
    /// Logs in.
    pub(super) async fn open(way: LinkWay, site: &RemoteSite) -> Result<Self, Unopened> {
        let LinkWay { link, target, proxy, login, password, account, tls } = way;
        let mut options = ClientOptions::of(site);
        if let Some(ProxyKind::Commands { other_address, .. }) = proxy.as_ref().map(|login| &login.proxy.kind) {
            options.other_data_address |= *other_address;
        }
        let caller = Caller { login, password, account, tls, target, proxy };
        let client = FtpClient::start(link, &caller, options).await?;
        Ok(Self { client, policies: Policies::of(site), folder: site.dir_name.clone() })
    }
}

#[async_trait]
impl Outward for Session {
    fn server(&self) -> String {
        self.client.server().to_owned()
    }

    fn algorithms(&self) -> String {
        self.client.algorithms()
    }

    fn secured(&self) -> Option<Secured> {
        self.client.tls().map(crate::tls::secured)
    }

    async fn deliver(&mut self, jobs: &mut dyn JobSource) -> Result<u32, TransferError> {
        deliver_all(&mut self.client, self.policies, jobs).await
    }

    async fn look(&mut self) -> Result<Seen, TransferError> {
        let found = self.client.look_into(self.folder.as_bytes()).await?;
        Ok(Seen::of(&found.path, found.names.iter().map(Vec::as_slice)))
    }

    async fn close(&mut self) {
        self.client.quit().await;
    }
}
