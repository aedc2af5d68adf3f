//! A connection to a partner on which the protocol itself makes things secure and logs in.

use std::sync::Arc;

use admin::partner::Stage;
use base::Secret;
use channel::{Target, call_link};
use engine::{Cause, TransferError};
use model::{CallSecurity, HostPort, Proxy, RemoteSite};
use protocols::{CallTls, Carrier, LinkWay, Outward, ProxyLogin, Way};

use super::{CONNECT_MAX, Deliverer, Failed, refused, unopened};

impl Deliverer {
    /// A session over a connection of octets.
    pub(super) async fn by_link(
        &self,
        (carrier, site): (&dyn Carrier, &Arc<RemoteSite>),
        (target, proxy): (&Target, Option<&Arc<Proxy>>),
    ) -> Result<Box<dyn Outward>, Failed> {
        let login = site.login.clone();
        let login = login.ok_or_else(|| refused(format!("site {} has no user name: set login_ident", site.name)))?;
        let tls = self.tls(site, &target.host).await?;
        let password = self.secret(site, site.has_password, "login_password").await?;
        let account = self.secret(site, site.has_account, "password2").await?;
        let proxy = match proxy {
            Some(proxy) => {
                let password = self.proxy_password(proxy).await.map_err(refused)?;
                Some(ProxyLogin { proxy: Arc::clone(proxy), password })
            }
            None => None,
        };
        let called = proxy.as_ref().map(|login| {
            let HostPort { host, port } = &login.proxy.address;
            Target { host: host.clone(), port: *port, ..target.clone() }
        });
        let link = call_link(called.as_ref().unwrap_or(target), CONNECT_MAX)
            .await
            .map_err(|error| (Stage::Address, TransferError::retry(Cause::Connection, error.to_string())))?;
        let way = LinkWay { link, target: target.clone(), proxy, login, password, account, tls };
        carrier.open(Way::Link(Box::new(way)), site).await.map_err(unopened)
    }

    async fn tls(&self, site: &Arc<RemoteSite>, host: &str) -> Result<Option<CallTls>, Failed> {
        match &site.security {
            CallSecurity::Clear => Ok(None),
            CallSecurity::Tls(_) => {
                CallTls::of(&self.profiles, site, host).await.map(Some).map_err(|e| refused(e.to_string()))
            }
            CallSecurity::Ssh => Err(refused(format!("{} does not run over SSH", site.protocol))),
            CallSecurity::Broken(why) => Err(refused(why.clone())),
        }
    }

    async fn secret(&self, site: &RemoteSite, is_set: bool, field: &str) -> Result<Option<Secret<String>>, Failed> {
        if is_set { self.stored_secret(site.id, field).await.map(Some).map_err(refused) } else { Ok(None) }
    }
}
