//! How a partner comes in: listen, match, secure, log in, serve. One row of ARCHITECTURE.md after the other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use channel::{
    Accepted, Admission, AdmissionLimits, Answer, Authenticator, ChannelService, Limits, Listener, Methods, Pipe,
    ServerParams, SessionReport, SshError, serve_ssh,
};
use engine::Engine;
use engine::admit::{Admitted, AuthAnswer, AuthSession, MethodsLeft, Vault};
use keys::PublicKey;
use model::{Inbound, Security, SshProfile, match_inbound};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The one protocol that listeners serve so far.
const PROTOCOL: &str = "SFTP";
/// Software name in our version line: no version, so that strangers learn nothing (BP-20).
const BANNER: &str = "Gatehouse";
/// Wait after a failed accept, so that a lack of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open listeners, kept in step with the configuration.
pub(crate) struct Acceptors {
    door: Arc<Door>,
    open: BTreeMap<String, Open>,
}

struct Open {
    wanted: SocketAddr,
    local: SocketAddr,
    task: JoinHandle<()>,
}

/// What every connection needs.
struct Door {
    engine: Arc<Engine>,
    vault: Arc<Vault>,
    admission: Admission,
    drain: Duration,
    sessions: watch::Sender<usize>,
    stopping: watch::Receiver<bool>,
}

impl Acceptors {
    /// No listener is open yet.
    pub(crate) fn new(engine: Arc<Engine>, vault: Arc<Vault>, drain: Duration) -> Self {
        let stopping = engine.stopping();
        let admission = Admission::new(AdmissionLimits::default());
        let door = Door { engine, vault, admission, drain, sessions: watch::Sender::new(0), stopping };
        Self { door: Arc::new(door), open: BTreeMap::new() }
    }

    /// Opens and closes listeners as the running configuration asks. Sessions of a closed one go on.
    pub(crate) async fn follow_configuration(&mut self) {
        let snapshot = self.door.engine.snapshot();
        let node = &self.door.engine.options().node;
        let ours = snapshot.listeners().filter(|l| l.is_open_at(node));
        let wanted: BTreeMap<String, SocketAddr> = ours.map(|l| (l.name.clone(), l.socket_address())).collect();
        self.open.retain(|name, open| {
            let keep = wanted.get(name) == Some(&open.wanted) && !open.task.is_finished();
            if !keep {
                open.task.abort();
                tracing::info!(listener = %name, address = %open.local, "listener closed");
            }
            keep
        });
        for (name, address) in wanted {
            if !self.open.contains_key(&name) {
                self.start(name, address).await;
            }
        }
    }

    async fn start(&mut self, name: String, address: SocketAddr) {
        // A listener that was just closed may still hold its port for a moment.
        for last in [false, false, true] {
            let bound = Listener::bind(address, self.door.admission.clone()).await;
            match bound.and_then(|listener| listener.local_addr().map(|local| (listener, local))) {
                Ok((listener, local)) => {
                    tracing::info!(listener = %name, address = %local, "listening");
                    let task = tokio::spawn(accept(listener, Arc::clone(&self.door)));
                    self.open.insert(name, Open { wanted: address, local, task });
                    return;
                }
                Err(error) if last => tracing::error!(listener = %name, %address, %error, "cannot listen"),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Closes all listeners and waits until sessions have ended, at most the drain time.
    pub(crate) async fn stop(mut self) {
        for open in std::mem::take(&mut self.open).into_values() {
            open.task.abort();
        }
        let mut sessions = self.door.sessions.subscribe();
        if tokio::time::timeout(self.door.drain, sessions.wait_for(|n| *n == 0)).await.is_err() {
            tracing::warn!(sessions = *sessions.borrow(), "sessions cut off at the end of the drain time");
        }
    }

    /// Addresses that are listened on, by listener.
    pub(crate) fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        self.open.iter().map(|(name, open)| (name.clone(), open.local)).collect()
    }
}

/// Accepts until the task is aborted. Sessions are detached: closing the listener lets them go on.
async fn accept(listener: Listener, door: Arc<Door>) {
    loop {
        match listener.accept().await {
            Ok(accepted) => drop(tokio::spawn(connection(accepted, Arc::clone(&door)))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Counts a session while it lives.
struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn new(sessions: &'a watch::Sender<usize>) -> Self {
        sessions.send_modify(|n| *n = n.saturating_add(1));
        Self(sessions)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

async fn connection(accepted: Accepted, door: Arc<Door>) {
    let _counted = Counted::new(&door.sessions);
    let inbound = Inbound::new(accepted.local, accepted.peer);
    let snapshot = door.engine.snapshot();
    let decision = match_inbound(&inbound, &snapshot);
    match decision.result.map(|matched| matched.security) {
        Ok(Security::Ssh(profile)) => ssh(accepted, inbound, Arc::clone(profile), &door).await,
        Ok(_) => {
            tracing::warn!(peer = %inbound.peer, local = %inbound.local, event = 107, "closed: SFTP needs a network profile with SSH");
        }
        // Closed before a banner, by dropping the connection (NET-1).
        Err(refusal) => {
            tracing::warn!(peer = %inbound.peer, local = %inbound.local, event = refusal.event, why = %refusal, "closed");
        }
    }
}

async fn ssh(accepted: Accepted, inbound: Inbound, profile: Arc<SshProfile>, door: &Arc<Door>) {
    let snapshot = door.engine.snapshot();
    let host_keys = match door.vault.keys(&door.engine, &snapshot, &profile.private_keys).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::error!(peer = %inbound.peer, profile = %profile.name, event = 124, %error, "closed: no host key");
            return;
        }
    };
    let session = AuthSession::new(Arc::clone(&door.engine), inbound, PROTOCOL, Arc::clone(&profile));
    let login = Arc::new(Login { session, admitted: OnceLock::new(), door: Arc::clone(door) });
    let limits = Limits { drain: door.drain, ..Limits::of(&profile) };
    let params =
        ServerParams { profile, host_keys, banner: BANNER.to_owned(), limits, ticket: Some(Arc::new(accepted.ticket)) };
    let auth: Arc<dyn Authenticator> = login.clone();
    match serve_ssh(accepted.stream, params, auth, login, door.stopping.clone()).await {
        Ok(report) => ended(&report),
        Err(error @ SshError::Negotiation { .. }) => tracing::warn!(peer = %inbound.peer, %error, "handshake failed"),
        Err(error) => tracing::debug!(peer = %inbound.peer, %error, "connection ended without a login"),
    }
}

fn ended(report: &SessionReport) {
    let algorithms = report.negotiated.as_ref().map(|n| format!("{} {} {} {}", n.kex, n.host_key, n.cipher, n.mac));
    tracing::info!(
        login = report.login,
        software = report.banner,
        algorithms,
        octets_in = report.octets_in,
        octets_out = report.octets_out,
        seconds = report.lasted.as_secs(),
        reason = report.reason.as_ref().map(ToString::to_string),
        "session ended"
    );
}

/// One connection's login, and the service of its channels once it is in.
struct Login {
    session: AuthSession,
    admitted: OnceLock<Arc<Admitted>>,
    door: Arc<Door>,
}

impl Login {
    fn answer(&self, answer: AuthAnswer) -> Answer {
        match answer {
            AuthAnswer::Accept(admitted) => {
                self.admitted.get_or_init(|| admitted);
                Answer::Accept
            }
            AuthAnswer::Partial(left) => Answer::Partial { left: methods(left) },
            AuthAnswer::Reject(left) => Answer::Reject { left: methods(left) },
        }
    }
}

const fn methods(left: MethodsLeft) -> Methods {
    Methods { password: left.password, public_key: left.public_key }
}

#[async_trait]
impl Authenticator for Login {
    async fn offered_key(&self, login: &[u8], key: &PublicKey) -> Answer {
        match self.session.offered_key(login, key).await {
            true => Answer::Accept,
            false => Answer::Reject { left: methods(self.session.methods()) },
        }
    }

    async fn proved_key(&self, login: &[u8], key: &PublicKey) -> Answer {
        self.answer(self.session.proved_key(login, key).await)
    }

    async fn password(&self, login: &[u8], password: &Secret<String>) -> Answer {
        self.answer(self.session.password(login, password).await)
    }

    async fn ended(&self) {
        self.session.ended().await;
    }
}

#[async_trait]
impl ChannelService for Login {
    async fn subsystem(&self, _name: &str, pipe: Pipe) {
        let (Some(admitted), Some(carrier)) = (self.admitted.get(), protocols::carrier(PROTOCOL)) else { return };
        let served = carrier.serve(pipe, Arc::clone(&self.door.engine), Arc::clone(admitted)).await;
        tracing::debug!(login = %base::Shown::from(admitted.login.as_str()), ?served, "channel ended");
    }
}
