//! FTP (RFC 959) and FTPS (RFC 4217), server and client.
//!
//! `wire/` is pure; `server/` and `client/` drive it over a control connection and data connections; the partner's files
//! are behind a [`crate::files::Folder`]. What is below is where they meet the gateway.

pub mod client;
mod outgoing;
mod reception;
pub mod replies;
pub mod server;
pub mod settings;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub mod trial;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channel::{BeforeTls, Target};
use model::RemoteSite;

use super::{Call, Carrier, Descriptor, Inward, Looked, Role, Served, Transport, Unopened, Way};
use crate::outward::Outward;

use reception::Desk;
use server::{Parts, Reception, serve};
use settings::ServerSettings;

/// The carrier.
#[derive(Clone, Copy, Debug)]
pub struct Ftp;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "FTP",
    title: "FTP and FTPS (file transfer)",
    port: 21,
    roles: &[Role::Server, Role::Client],
    transport: Transport::Link,
};

#[async_trait]
impl Carrier for Ftp {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    async fn serve(&self, inward: Inward) -> Served {
        let Inward::Link(call) = inward else { return Served::unfit("a connection of octets") };
        let Call { link, tls, profiles, login, engine, listener, ticket, stopping, drain } = *call;
        let settings = ServerSettings::of(&listener, link.peer().ip(), drain);
        let told = tls.clone().map(|server| (server, profiles, link.peer().ip()));
        let desk = Arc::new(Desk::new(login, engine, ticket, told));
        let reception: Arc<dyn Reception> = desk.clone();
        let done = serve(link, Parts { settings, tls, reception, stopping }).await;
        desk.ended().await;
        Served {
            login: done.login,
            requests: done.requests,
            octets_in: done.octets_in,
            octets_out: done.octets_out,
            error: done.error.map(|e| e.to_string()),
        }
    }

    async fn open(&self, way: Way, site: &RemoteSite) -> Result<Box<dyn Outward>, Unopened> {
        let Way::Link(way) = way else { return Err(Unopened::transport("a connection of octets")) };
        Ok(Box::new(outgoing::Session::open(*way, site).await?))
    }

    async fn look(&self, target: &Target, wait: Duration) -> Result<Looked, String> {
        client::look(target, wait).await
    }

    fn before_tls(&self) -> Option<&'static dyn BeforeTls> {
        Some(&client::AuthTls)
    }
}
