//! A connection to a partner on which the protocol itself makes things secure and logs in.

use std::sync::Arc;

use admin::partner::Stage;
use channel::{Target, call_link};
use engine::{Cause, TransferError};
use model::RemoteSite;
use protocols::{Carrier, LinkWay, Outward, Way};

use super::{CONNECT_MAX, Deliverer, Failed, refused, unopened};

impl Deliverer {
    /// A session over a connection of octets.
    pub(super) async fn by_link(
        &self,
        (carrier, site): (&dyn Carrier, &Arc<RemoteSite>),
        target: &Target,
    ) -> Result<Box<dyn Outward>, Failed> {
        let login = site.login.clone();
        let login = login.ok_or_else(|| refused(format!("site {} has no user name: set login_ident", site.name)))?;
        let password = if site.has_password { Some(self.password(site).await.map_err(refused)?) } else { None };
        let link = call_link(target, CONNECT_MAX)
            .await
            .map_err(|error| (Stage::Address, TransferError::retry(Cause::Connection, error.to_string())))?;
        let way = LinkWay { link, host: target.host.clone(), login, password };
        carrier.open(Way::Link(way), site).await.map_err(unopened)
    }
}
