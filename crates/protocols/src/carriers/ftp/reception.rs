//! Callers judged by the admission of the gateway.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base::Secret;
use channel::{Ticket, TlsRefusal, TlsServer, TlsSession};
use engine::admit::{AuthAnswer, AuthSession};
use engine::{Admitted, Engine, Event};
use model::Inbound;

use super::server::Reception;
use crate::files::{Folder, PartnerFiles};
use crate::tls::{TlsProfiles, session_fits_site};

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

    async fn password(&self, session: Option<&TlsSession>, given: (&[u8], &Secret<String>)) -> Option<Arc<dyn Folder>> {
        match self.login.password(given.0, given.1).await {
            AuthAnswer::Accept(who) => {
                if let Err(text) = fits_site(&self.engine, &who, session) {
                    let (login, peer) = (who.login.clone(), who.peer.ip());
                    self.engine.emit(Event::LoginRefused { login, peer, text });
                    return None;
                }
                // Its place is free for the next stranger.
                drop(self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take());
                Some(Arc::new(PartnerFiles::new(Arc::clone(&self.engine), who)))
            }
            AuthAnswer::Partial(_) | AuthAnswer::Reject(_) => None,
        }
    }
}

/// Whether the connection is as the partner's site, or the template of it, asks for (TLS-27).
fn fits_site(engine: &Engine, who: &Admitted, session: Option<&TlsSession>) -> Result<(), String> {
    let snapshot = engine.snapshot();
    let inbound = Inbound::new(who.local, who.peer);
    let gate = model::choose_gate(&inbound, who.protocol, &who.login, &snapshot).result;
    let gate = gate.map_err(|refusal| refusal.to_string())?;
    session_fits_site(engine, gate.site.site(), session)
}
