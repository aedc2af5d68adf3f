//! TLS as server.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::Secret;
use keys::verify::Verified;
use model::tls_suites::TlsVersion;
use model::{ClientAuth, TlsProfile, TlsStart};
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::{CommonState, HandshakeKind, KeyLog, ServerConfig};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::ahead::ReadAhead;
use super::identity::{Own, OwnCertificate};
use super::judge::{HANDSHAKE, HandshakeNotes, Judge, SessionMark, Verdict};
use super::names::{provider, versions};
use super::records::{Handed, Records};
use super::session::{Agreed, Identity, TlsSession};
use super::tickets::{ServerSessions, SessionMarks};
use super::verifier::Verifier;
use super::{Handshake, SecureStream, Secured, TlsRefusal, TrustSource, names, refusal};

/// Tickets for a session: to so many data connections a client comes that uses each only once.
const TICKETS: usize = 8;

/// One SERVER profile, ready for use. Cheap to clone.
#[derive(Clone)]
pub struct TlsServer(Arc<Inner>);

struct Inner {
    profile: TlsProfile,
    config: Arc<ServerConfig>,
    /// The same without tickets: a client that only sends on a data connection leaves them unread, and closing it then
    /// resets it, with its last octets lost on their way.
    of_data: Arc<ServerConfig>,
    verifier: Arc<Verifier>,
}

impl TlsServer {
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
        if let Some(why) = profile.refusal(true) {
            return Err(unusable(why.to_owned()));
        }
        if own.is_empty() {
            return Err(unusable("none of its certificates can be shown".to_owned()));
        }
        let judge = Judge::new(profile, true, Arc::clone(&trust));
        let (verifier, missing) = Verifier::of_clients(profile, judge);
        for authority in missing {
            // CERT-17
            tracing::warn!(profile = %profile.name, authority, "an accepted authority is not in the store or not enabled");
        }
        let provider = provider(profile);
        let own = Own::new(own, trust, (Arc::clone(&provider), profile.server_order));
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions(profile));
        let builder = builder.map_err(|e| unusable(e.to_string()))?;
        let mut config = builder.with_client_cert_verifier(verifier.clone()).with_cert_resolver(own);
        config.ignore_client_order = profile.server_order;
        config.max_early_data_size = 0;
        // TLS-21: sessions of one profile only.
        if profile.cache {
            config.session_storage = Arc::new(ServerSessions::default());
            config.send_tls13_tickets = if profile.tickets { TICKETS } else { 0 };
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let mut of_data = config.clone();
        of_data.send_tls13_tickets = 0;
        of_data.enable_secret_extraction = true;
        of_data.key_log = Arc::new(Kept);
        let (config, of_data) = (Arc::new(config), Arc::new(of_data));
        Ok(Self(Arc::new(Inner { profile: profile.clone(), config, of_data, verifier })))
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

    /// The handshake on a connection on which nothing was read that is not acted on.
    pub(crate) fn accept<'a>(&'a self, stream: TcpStream, data_of: Option<&'a TlsSession>) -> Handshake<'a> {
        let profile = &self.0.profile;
        Box::pin(async move {
            let bound = Duration::from_secs(profile.handshake_timeout_s.into());
            let mark = base::random().map_err(|e| TlsRefusal::Ended(e.to_string()))?;
            let notes = HandshakeNotes::serving(mark);
            let config = if data_of.is_some() { &self.0.of_data } else { &self.0.config };
            let stream = ReadAhead::of(stream, data_of);
            let work = HANDSHAKE.scope(Arc::clone(&notes), handshake(stream, config));
            match timeout(bound, work).await {
                Ok(Ok(stream)) => self.look(stream, &notes, data_of),
                Ok(Err(error)) => Err(refusal::of(&error, &notes, profile)),
                Err(_) => Err(refusal::timeout(profile)),
            }
        })
    }

    /// What was agreed is looked at once more: the library's word that a certificate was verified is not enough.
    fn look(
        &self,
        stream: TlsStream<ReadAhead>,
        notes: &HandshakeNotes,
        data_of: Option<&TlsSession>,
    ) -> Result<Secured, TlsRefusal> {
        let profile = &self.0.profile;
        let (_, connection) = stream.get_ref();
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        if resumed {
            self.judge_again(connection, notes);
        }
        let peer = notes.partner()?;
        if profile.client_auth == ClientAuth::Mandatory && peer.is_none() {
            return Err(TlsRefusal::NoCertificate { profile: profile.name.clone() });
        }
        let (own, named) = {
            let notes = notes.notes();
            (notes.own.clone(), notes.named.filter(|_| resumed))
        };
        let identity = match data_of {
            None => Identity::Server(Arc::new(SessionMarks::new(notes.mark, named))),
            Some(control) => self.belongs(control, (notes.mark, named), peer.as_ref())?,
        };
        let agreed = agreed(connection, (profile, own, peer), identity)?;
        let session = TlsSession(Arc::new(Agreed { is_server: true, resumed, ..agreed }));
        let stream: Box<dyn SecureStream> = match data_of {
            Some(_) if session.version() == TlsVersion::V13 => Box::new(taken_over(stream, notes)?),
            _ => Box::new(stream),
        };
        Ok(Secured { stream, session, close_notify: profile.close_notify })
    }

    /// Whether a data connection is that of the control connection; what it is known by from now on.
    fn belongs(
        &self,
        control: &TlsSession,
        (mark, named): (SessionMark, Option<SessionMark>),
        peer: Option<&Verified>,
    ) -> Result<Identity, TlsRefusal> {
        let not_resumed = || TlsRefusal::NotResumed { profile: self.0.profile.name.clone() };
        let Identity::Server(marks) = &control.0.identity else { return Err(not_resumed()) };
        let goes_on = named.is_some_and(|named| marks.has(named));
        if self.0.profile.start.data_reuse && !goes_on {
            return Err(not_resumed());
        }
        let leaf = |verified: &Verified| verified.path().steps().first().map(|step| *step.certificate.sha256());
        if control.peer().and_then(leaf) != peer.and_then(leaf) {
            return Err(TlsRefusal::OtherClient);
        }
        if goes_on {
            marks.add(mark);
        }
        Ok(control.0.identity.clone())
    }

    /// A resumed session brings the certificate of the first one; it may have been disabled or have expired since.
    fn judge_again(&self, connection: &CommonState, notes: &HandshakeNotes) {
        if let Some(chain) = connection.peer_certificates().filter(|chain| !chain.is_empty()) {
            let verdict = self.0.verifier.judge().verdict(chain, notes.called.as_ref());
            let mut notes = notes.notes();
            notes.proved = matches!(verdict, Verdict::Trusted(_));
            notes.verdict = Some(verdict);
        }
    }
}

async fn handshake(stream: ReadAhead, config: &Arc<ServerConfig>) -> io::Result<TlsStream<ReadAhead>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let hello = start.client_hello();
    let offered = (hello.cipher_suites().to_vec(), hello.named_groups().unwrap_or_default().to_vec());
    let _inside = HANDSHAKE.try_with(|h| {
        let mut notes = h.notes();
        (notes.suites, notes.groups) = offered;
    });
    start.into_stream(Arc::clone(config)).await
}

/// Takes a session over from the library when its handshake is done.
fn taken_over(stream: TlsStream<ReadAhead>, notes: &HandshakeNotes) -> Result<Records, TlsRefusal> {
    let lost = |text: &str| TlsRefusal::Ended(format!("the session could not be taken over: {text}"));
    let (line, mut connection) = stream.into_inner();
    let mut early = Vec::new();
    let is_closed = match connection.reader().read_to_end(&mut early) {
        Ok(_) => true,
        // The line has ended, announced or not: that is seen by who reads on.
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::UnexpectedEof) => false,
        Err(error) => return Err(TlsRefusal::Ended(error.to_string())),
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite()).ok_or_else(|| lost("no suite"))?;
    let keys = connection.dangerous_extract_secrets().map_err(|e| lost(&e.to_string()))?;
    let secrets = std::mem::take(&mut notes.notes().secrets);
    let records = (keys.rx.0, keys.tx.0);
    Records::new(Handed { line, early, is_closed, suite, records, secrets }).ok_or_else(|| lost("keys are missing"))
}

/// Keeps what the keys of a session follow from, for as long as the handshake takes.
#[derive(Debug)]
struct Kept;

impl KeyLog for Kept {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        let _inside = HANDSHAKE.try_with(|handshake| {
            let mut notes = handshake.notes();
            let place = match label {
                CLIENT_SECRET => &mut notes.secrets.client,
                SERVER_SECRET => &mut notes.secrets.server,
                _ => return,
            };
            *place = Some(Secret::new(secret.to_vec()));
        });
    }

    fn will_log(&self, label: &str) -> bool {
        matches!(label, CLIENT_SECRET | SERVER_SECRET)
    }
}

const CLIENT_SECRET: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER_SECRET: &str = "SERVER_TRAFFIC_SECRET_0";

/// What both sides have in common about a session.
pub(super) fn agreed(
    connection: &CommonState,
    (profile, own, peer): (&TlsProfile, Option<String>, Option<Verified>),
    identity: Identity,
) -> Result<Agreed, TlsRefusal> {
    let unknown = || TlsRefusal::Handshake {
        text: "what was negotiated is not known here".to_owned(),
        fix: "this is a fault of the program: report it".to_owned(),
    };
    let version = connection.protocol_version().and_then(names::version_of).ok_or_else(unknown)?;
    let suite = connection.negotiated_cipher_suite().and_then(|s| names::suite_of(s.suite())).ok_or_else(unknown)?;
    let group = connection.negotiated_key_exchange_group().map(|g| names::group_name(g.name()));
    let profile = profile.name.clone();
    Ok(Agreed { profile, version, suite, group, own, peer, is_server: false, resumed: false, identity })
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsServer({})", self.0.profile.name)
    }
}

impl SecureStream for TlsStream<ReadAhead> {
    fn poll_end_unannounced(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(self.get_mut().get_mut().0).poll_shutdown(cx)
    }
}
