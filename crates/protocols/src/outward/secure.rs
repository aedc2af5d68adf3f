//! TLS on connections that we open to a partner.

use std::fmt;
use std::sync::Arc;

use channel::{Link, TlsClient, TlsRefusal, TlsSession};
use model::{RemoteSite, TlsStart};

use crate::tls::TlsProfiles;

/// TLS with the server of one site, ready for use.
#[derive(Clone)]
pub struct CallTls {
    profiles: Arc<TlsProfiles>,
    site: Arc<RemoteSite>,
    host: String,
    client: TlsClient,
}

impl CallTls {
    /// By the site's profile; the server's certificate must name `host`, if the profile asks for that.
    ///
    /// # Errors
    /// [`TlsRefusal::Profile`].
    pub async fn of(profiles: &Arc<TlsProfiles>, site: &Arc<RemoteSite>, host: &str) -> Result<Self, TlsRefusal> {
        let client = profiles.client_of(site).await?;
        Ok(Self { profiles: Arc::clone(profiles), site: Arc::clone(site), host: host.to_owned(), client })
    }

    /// When TLS begins, and what may go without.
    pub(crate) fn start(&self) -> TlsStart {
        self.client.start()
    }

    /// The profile's name.
    pub(crate) fn profile(&self) -> &str {
        &self.client.profile().name
    }

    /// Puts TLS on a connection. A data connection belongs to the session `data_of` of its control connection.
    pub(crate) async fn secure(&self, link: Link, data_of: Option<&TlsSession>) -> Result<Link, TlsRefusal> {
        self.profiles.call((&self.site, &self.host), &self.client, link, data_of).await
    }
}

impl fmt::Debug for CallTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTls").field("profile", &self.profile()).field("host", &self.host).finish_non_exhaustive()
    }
}
