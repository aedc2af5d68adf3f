//! Callers judged by the admission of the gateway.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base::Secret;
use channel::{Ticket, TlsRefusal, TlsServer, TlsSession};
use engine::Engine;
use engine::admit::{AuthAnswer, AuthSession};

use super::server::Reception;
use crate::files::{Folder, PartnerFiles};
use crate::tls::{Line, TlsProfiles};

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

    fn let_in(&self, answer: AuthAnswer) -> Option<Arc<dyn Folder>> {
        let AuthAnswer::Accept(who) = answer else { return None };
        // Its place is free for the next stranger.
        drop(self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take());
        Some(Arc::new(PartnerFiles::new(Arc::clone(&self.engine), who)))
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

    async fn connected(&self, session: Option<&TlsSession>) {
        let session = session.zip(self.tls.as_ref().map(|(server, ..)| server));
        self.login.over(Arc::new(Line::new(Arc::clone(&self.engine), session))).await;
    }

    async fn certificate(&self, login: &[u8]) -> Option<Arc<dyn Folder>> {
        self.let_in(self.login.certificate(login).await)
    }

    async fn password(&self, login: &[u8], password: &Secret<String>) -> Option<Arc<dyn Folder>> {
        self.let_in(self.login.password(login, password).await)
    }
}
