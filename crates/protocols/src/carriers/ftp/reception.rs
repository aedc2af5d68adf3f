//! Callers judged by the admission of the gateway.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base::Secret;
use channel::{Ticket, TlsRefusal, TlsServer};
use engine::Engine;
use engine::admit::{AuthAnswer, AuthSession};

use super::server::Reception;
use crate::files::{Folder, PartnerFiles};
use crate::tls::TlsProfiles;

/// The admission of one connection.
pub(super) struct Desk {
    login: AuthSession,
    engine: Arc<Engine>,
    ticket: Mutex<Option<Ticket>>,
    /// The profile that the caller came by, who is told of what it refuses, and the caller's address.
    tls: Option<(TlsServer, Arc<TlsProfiles>, IpAddr)>,
}

impl Desk {
    pub(super) fn new(
        login: AuthSession,
        engine: Arc<Engine>,
        ticket: Ticket,
        tls: Option<(TlsServer, Arc<TlsProfiles>, IpAddr)>,
    ) -> Self {
        Self { login, engine, ticket: Mutex::new(Some(ticket)), tls }
    }

    /// The connection is over: failures count towards the lock-out.
    pub(super) async fn ended(&self) {
        self.login.ended().await;
    }
}

#[async_trait]
impl Reception for Desk {
    async fn tls_refused(&self, refusal: &TlsRefusal) {
        if let Some((server, profiles, peer)) = &self.tls {
            profiles.caller_refused(server, *peer, refusal).await;
        }
    }

    async fn password(&self, login: &[u8], password: &Secret<String>) -> Option<Arc<dyn Folder>> {
        match self.login.password(login, password).await {
            AuthAnswer::Accept(who) => {
                // Its place is free for the next stranger.
                drop(self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take());
                Some(Arc::new(PartnerFiles::new(Arc::clone(&self.engine), who)))
            }
            AuthAnswer::Partial(_) | AuthAnswer::Reject(_) => None,
        }
    }
}
