//! TLS as client.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use keys::verify::PeerName;
use model::{ClientAuth, TlsProfile, TlsStart};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ahead::ReadAhead;
use super::identity::{Own, OwnCertificate};
use super::judge::{HANDSHAKE, HandshakeNotes, Judge, Verdict};
use super::names::{provider, versions};
use super::server::agreed;
use super::session::{Agreed, Identity, TlsSession};
use super::tickets::SessionTickets;
use super::verifier::Verifier;
use super::{Handshake, SecureStream, Secured, TlsRefusal, TrustSource, refusal};

/// One CLIENT profile, ready for use. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient(Arc<Inner>);

struct Inner {
    profile: TlsProfile,
    config: ClientConfig,
    verifier: Arc<Verifier>,
}

impl TlsClient {
    /// Makes a profile ready: `own` are those of its certificates that can be shown, in its order.
    ///
    /// # Errors
    /// [`TlsRefusal::Profile`] if it can't be used (TLS-1, TLS-25).
    pub fn new(
        profile: &TlsProfile,
        own: Vec<OwnCertificate>,
        trust: Arc<dyn TrustSource>,
    ) -> Result<Self, TlsRefusal> {
        let unusable = |why: String| TlsRefusal::Profile { profile: profile.name.clone(), why };
        if let Some(why) = profile.refusal(false) {
            return Err(unusable(why.to_owned()));
        }
        let verifier = Verifier::of_servers(Judge::new(profile, false, Arc::clone(&trust)));
        let provider = provider(profile);
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions(profile));
        let builder = builder.map_err(|e| unusable(e.to_string()))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier.clone());
        let mut config = match profile.client_auth {
            ClientAuth::Anonymous => builder.with_no_client_auth(),
            _ => builder.with_client_cert_resolver(Own::new(own, trust, (provider, profile.server_order))),
        };
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(Self(Arc::new(Inner { profile: profile.clone(), config, verifier })))
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &TlsProfile {
        &self.0.profile
    }

    /// When TLS begins, and what may go without.
    #[must_use]
    pub fn start(&self) -> TlsStart {
        self.0.profile.start
    }

    /// The handshake with `host`.
    pub(crate) fn connect<'a>(
        &'a self,
        stream: TcpStream,
        host: &'a str,
        data_of: Option<&'a TlsSession>,
    ) -> Handshake<'a> {
        let profile = &self.0.profile;
        Box::pin(async move {
            let (name, called) = self.name(host)?;
            let tickets = match data_of.map(|session| &session.0.identity) {
                Some(Identity::Client(tickets)) => Arc::clone(tickets),
                _ => Arc::new(SessionTickets::new(profile.tickets)),
            };
            let bound = Duration::from_secs(profile.handshake_timeout_s.into());
            let notes = HandshakeNotes::calling(called);
            let connector = TlsConnector::from(Arc::new(self.config(&tickets)));
            let work = HANDSHAKE.scope(Arc::clone(&notes), connector.connect(name, ReadAhead::of(stream, data_of)));
            match timeout(bound, work).await {
                Ok(Ok(stream)) => self.look(stream, (&notes, tickets), data_of),
                Ok(Err(error)) => Err(refusal::of(&error, &notes, profile)),
                Err(_) => Err(refusal::timeout(profile)),
            }
        })
    }

    /// What is told to the server, which is a name and never an address (TLS-17), and what its certificate must name.
    fn name(&self, host: &str) -> Result<(ServerName<'static>, Option<PeerName>), TlsRefusal> {
        let wrong = |e: &dyn fmt::Display| TlsRefusal::Handshake {
            text: format!("{host:?} can't be called by TLS: {e}"),
            fix: "correct dest_address".to_owned(),
        };
        let called: PeerName = host.parse().map_err(|e| wrong(&e))?;
        let name = match &called {
            PeerName::Dns(name) => ServerName::try_from(name.clone()).map_err(|e| wrong(&e))?,
            PeerName::Ip(address) => ServerName::IpAddress((*address).into()),
        };
        Ok((name, self.0.profile.trust.check_host_name.then_some(called)))
    }

    fn config(&self, tickets: &Arc<SessionTickets>) -> ClientConfig {
        let mut config = self.0.config.clone();
        if self.0.profile.cache {
            let older = if self.0.profile.tickets {
                Tls12Resumption::SessionIdOrTickets
            } else {
                Tls12Resumption::SessionIdOnly
            };
            config.resumption = Resumption::store(tickets.clone()).tls12_resumption(older);
        }
        config
    }

    fn look(
        &self,
        stream: TlsStream<ReadAhead>,
        (notes, tickets): (&HandshakeNotes, Arc<SessionTickets>),
        data_of: Option<&TlsSession>,
    ) -> Result<Secured, TlsRefusal> {
        let profile = &self.0.profile;
        let (_, connection) = stream.get_ref();
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        if resumed {
            let chain = connection.peer_certificates().unwrap_or_default();
            let verdict = self.0.verifier.judge().verdict(chain, notes.called.as_ref());
            let mut notes = notes.notes();
            notes.proved = matches!(verdict, Verdict::Trusted(_));
            notes.verdict = Some(verdict);
        }
        let peer = notes.partner()?;
        if peer.is_none() {
            // Cannot happen: all our suites have the server prove itself.
            let (text, fix) = ("it has shown none".to_owned(), "ask the partner to configure one".to_owned());
            return Err(TlsRefusal::Certificate { text, fix, shown: None, keep: false });
        }
        let (own, no_own) = {
            let notes = notes.notes();
            (notes.own.clone(), notes.no_own.clone())
        };
        if let (ClientAuth::Mandatory, Some(why)) = (profile.client_auth, no_own) {
            return Err(TlsRefusal::NoOwnCertificate { why });
        }
        if data_of.is_some() && profile.start.data_reuse && !resumed {
            return Err(TlsRefusal::NotResumed { profile: profile.name.clone() });
        }
        // What was shown on the control connection holds for those that resume it.
        let own = own.or_else(|| data_of.filter(|_| resumed)?.own_certificate().map(str::to_owned));
        let agreed = agreed(connection, (profile, own, peer), Identity::Client(tickets))?;
        let session = TlsSession(Arc::new(Agreed { resumed, ..agreed }));
        Ok(Secured { stream: Box::new(stream), session, close_notify: profile.close_notify })
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsClient({})", self.0.profile.name)
    }
}

impl SecureStream for TlsStream<ReadAhead> {
    fn poll_end_unannounced(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(self.get_mut().get_mut().0).poll_shutdown(cx)
    }
}
