//! How a partner comes in: listen, match, secure, log in, serve. One row of ARCHITECTURE.md after the other.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::Secret;
use channel::{
    Accepted, Admission, AdmissionLimits, Answer, Authenticator, ChannelService, Limits, Link, Listener, Methods, Pipe,
    ServerParams, SessionReport, SshError, TlsServer, serve_ssh,
};
use engine::admit::{Admitted, AuthAnswer, AuthSession, LoginRules, MethodsLeft, Vault};
use engine::{Engine, ListenerStand};
use keys::PublicKey;
use model::{Binding, Inbound, Security, SshProfile, match_inbound};
use protocols::{Call, Carrier, Inward, Served, TlsProfiles, Transport};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::system::HandedSockets;

/// Software name in our version line: no version, so that strangers learn nothing (BP-20).
const BANNER: &str = "Gatehouse";
/// Wait after a failed accept, so that a lack of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open listeners, kept in step with the configuration.
pub(crate) struct Acceptors {
    door: Arc<Door>,
    open: BTreeMap<String, Open>,
    handed: HandedSockets,
    /// What turns away the callers of sockets that were handed over and belong to no listener now.
    unclaimed: BTreeMap<String, Vec<Accepting>>,
    /// Listeners that could not be opened, and why.
    failed: BTreeMap<String, (SocketAddr, String)>,
}

struct Open {
    wanted: Binding,
    local: SocketAddr,
    /// One for each socket: several may be handed over for one listener.
    tasks: Vec<Accepting>,
}

/// A task that accepts until this is dropped.
struct Accepting(JoinHandle<()>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What every connection needs.
struct Door {
    engine: Arc<Engine>,
    vault: Arc<Vault>,
    profiles: Arc<TlsProfiles>,
    admission: Admission,
    drain: Duration,
    stopping: watch::Receiver<bool>,
}

impl Acceptors {
    /// No listener is open yet.
    pub(crate) fn new(engine: Arc<Engine>, vault: Arc<Vault>, drain: Duration, handed: HandedSockets) -> Self {
        let stopping = engine.stopping();
        let admission = Admission::new(AdmissionLimits::default());
        let profiles = Arc::new(TlsProfiles::new(Arc::clone(&engine), Arc::clone(&vault)));
        let door = Door { engine, vault, profiles, admission, drain, stopping };
        let (open, unclaimed, failed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { door: Arc::new(door), open, handed, unclaimed, failed }
    }

    /// Opens and closes listeners as the running configuration asks. Sessions of a closed one go on.
    pub(crate) async fn follow_configuration(&mut self) {
        let snapshot = self.door.engine.snapshot();
        let node = &self.door.engine.options().node;
        let ours = snapshot.listeners().filter(|l| l.is_open_at(node));
        let wanted: BTreeMap<String, Binding> = ours.map(|l| (l.name.clone(), l.binding())).collect();
        self.open.retain(|name, open| {
            let ended = open.tasks.iter().any(|task| task.0.is_finished());
            let keep = wanted.get(name) == Some(&open.wanted) && !ended;
            if !keep {
                tracing::info!(listener = %name, address = %open.local, "listener closed");
            }
            keep
        });
        self.unclaimed.retain(|name, _| !wanted.keys().any(|wanted| wanted.eq_ignore_ascii_case(name)));
        self.failed.clear();
        for (name, place) in wanted {
            if !self.open.contains_key(&name) {
                self.start(name, place).await;
            }
        }
        self.turn_away();
        self.door.engine.vitals().set_listeners(self.stands());
    }

    /// How every listener stands.
    fn stands(&self) -> Vec<ListenerStand> {
        let open = self.open.iter().map(|(name, open)| (name, open.local, String::new()));
        let failed = self.failed.iter().map(|(name, (address, error))| (name, *address, error.clone()));
        open.chain(failed).map(|(name, address, error)| ListenerStand { name: name.clone(), address, error }).collect()
    }

    async fn start(&mut self, name: String, place: Binding) {
        match self.handed.of(&name) {
            Ok(sockets) if sockets.is_empty() => self.bind(name, place).await,
            Ok(sockets) => self.take(name, place, sockets),
            Err(error) => self.unusable(name, &place, &error),
        }
    }

    async fn bind(&mut self, name: String, place: Binding) {
        // A listener that was just closed may still hold its port for a moment.
        for last in [false, false, true] {
            let bound = Listener::bind(place.clone(), self.door.admission.clone()).await;
            match bound.and_then(|listener| listener.local_addr().map(|local| (listener, local))) {
                Ok((listener, local)) => {
                    tracing::info!(listener = %name, address = %local, "listening");
                    let tasks = vec![self.door.serve(listener, &name)];
                    self.open.insert(name, Open { wanted: place, local, tasks });
                    return;
                }
                Err(error) if last => {
                    tracing::error!(listener = %name, address = %place, %error, "cannot listen");
                    self.failed.insert(name.clone(), (place.address, error.to_string()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Serves sockets that the service manager opened for this listener, wherever they listen.
    fn take(&mut self, name: String, place: Binding, sockets: Vec<TcpListener>) {
        let mut open: Option<Open> = None;
        for socket in sockets {
            let taken = Listener::of(socket, self.door.admission.clone());
            match taken.and_then(|listener| listener.local_addr().map(|local| (listener, local))) {
                Ok((listener, local)) => {
                    tracing::info!(listener = %name, address = %local, "listening on the socket handed over");
                    if place.address.port() > 0 && local.port() != place.address.port() {
                        tracing::warn!(listener = %name, object = %place, socket = %local, "the socket has another port than the object says");
                    }
                    let task = self.door.serve(listener, &name);
                    match &mut open {
                        Some(open) => open.tasks.push(task),
                        None => open = Some(Open { wanted: place.clone(), local, tasks: vec![task] }),
                    }
                }
                Err(error) => self.unusable(name.clone(), &place, &error),
            }
        }
        if let Some(open) = open {
            self.open.insert(name, open);
        }
    }

    fn unusable(&mut self, name: String, place: &Binding, error: &std::io::Error) {
        tracing::error!(listener = %name, %error, "the socket handed over cannot be used");
        self.failed.insert(name, (place.address, error.to_string()));
    }

    /// The system takes calls on every socket that was handed over. Where no listener is enabled they are closed at once,
    /// as on a port where nobody listens, instead of being kept waiting (NET-13).
    fn turn_away(&mut self) {
        let open: Vec<String> = self.open.keys().map(|name| name.to_ascii_lowercase()).collect();
        let free = self.handed.names().filter(|name| !open.iter().any(|open| open == name));
        for name in free {
            if self.unclaimed.contains_key(name) {
                continue;
            }
            let sockets = self.handed.of(name).and_then(|sockets| {
                sockets.into_iter().map(|s| Listener::of(s, self.door.admission.clone())).collect::<Result<Vec<_>, _>>()
            });
            match sockets {
                Ok(sockets) => {
                    tracing::warn!(
                        name,
                        "a socket was handed over that no enabled listener has the name of: its callers are turned away"
                    );
                    let tasks = sockets.into_iter().map(|socket| Accepting(tokio::spawn(refuse(socket)))).collect();
                    self.unclaimed.insert(name.to_owned(), tasks);
                }
                Err(error) => tracing::error!(name, %error, "the socket handed over cannot be used"),
            }
        }
    }

    /// Closes all listeners and waits until sessions have ended, at most the drain time.
    pub(crate) async fn stop(mut self) {
        self.open.clear();
        self.unclaimed.clear();
        let mut sessions = self.door.engine.vitals().sessions();
        if tokio::time::timeout(self.door.drain, sessions.wait_for(|n| *n == 0)).await.is_err() {
            tracing::warn!(sessions = *sessions.borrow(), "sessions cut off at the end of the drain time");
        }
    }

    /// Addresses that are listened on, by listener.
    pub(crate) fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        self.open.iter().map(|(name, open)| (name.clone(), open.local)).collect()
    }

    /// How many sessions there are.
    pub(crate) fn sessions(&self) -> watch::Receiver<usize> {
        self.door.engine.vitals().sessions()
    }
}

impl Door {
    fn serve(self: &Arc<Self>, listener: Listener, name: &str) -> Accepting {
        Accepting(tokio::spawn(accept(listener, name.into(), Arc::clone(self))))
    }
}

/// Closes every connection at once, without an octet.
async fn refuse(listener: Listener) {
    loop {
        match listener.accept().await {
            Ok(accepted) => tracing::debug!(peer = %accepted.peer, "closed: no listener is enabled for this socket"),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Accepts until the task is aborted. Sessions are detached: closing the listener lets them go on.
async fn accept(listener: Listener, name: Arc<str>, door: Arc<Door>) {
    loop {
        match listener.accept().await {
            Ok(accepted) => drop(tokio::spawn(connection(accepted, Arc::clone(&name), Arc::clone(&door)))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(accepted: Accepted, name: Arc<str>, door: Arc<Door>) {
    let _counted = door.engine.vitals().session();
    let inbound = Inbound::new(accepted.local, accepted.peer);
    let snapshot = door.engine.snapshot();
    // What it says now counts: a change acts on the next connection.
    let Some(listener) = snapshot.listener(&name) else { return };
    let Some(carrier) = protocols::carrier(&listener.protocol) else { return };
    let decision = match_inbound(&inbound, &snapshot);
    let refused = |what: &str| {
        let protocol = carrier.descriptor().name;
        tracing::warn!(peer = %inbound.peer, local = %inbound.local, event = 107, "closed: {protocol} needs a network profile with {what}");
    };
    match (carrier.descriptor().transport, decision.result.map(|matched| matched.security)) {
        (Transport::Ssh, Ok(Security::Ssh(profile))) => {
            ssh(accepted, (inbound, carrier), Arc::clone(profile), &door).await;
        }
        (Transport::Ssh, Ok(_)) => refused("SSH"),
        (Transport::Link, Ok(Security::Clear)) => call(accepted, carrier, (Arc::clone(listener), None), &door).await,
        (Transport::Link, Ok(Security::Tls(profile))) => match door.profiles.server(profile).await {
            Ok(tls) => call(accepted, carrier, (Arc::clone(listener), Some(tls)), &door).await,
            Err(error) => {
                tracing::error!(peer = %inbound.peer, profile = %profile.name, event = 12, %error, "closed: no TLS");
            }
        },
        (Transport::Link, Ok(_)) => refused("TLS, or NONE for a connection in clear"),
        // Closed before a banner, by dropping the connection (NET-1).
        (_, Err(refusal)) => {
            tracing::warn!(peer = %inbound.peer, local = %inbound.local, event = refusal.event, why = %refusal, "closed");
        }
    }
}

/// A protocol that secures its connection and logs in by itself.
async fn call(
    accepted: Accepted,
    carrier: &'static dyn Carrier,
    (listener, tls): (Arc<model::Listener>, Option<TlsServer>),
    door: &Arc<Door>,
) {
    let inbound = Inbound::new(accepted.local, accepted.peer);
    let protocol = carrier.descriptor().name;
    let login = AuthSession::new(Arc::clone(&door.engine), inbound, protocol, LoginRules::password_or_certificate());
    let (link, ticket) = Link::accepted(accepted);
    let call = Call {
        link,
        tls,
        profiles: Arc::clone(&door.profiles),
        login,
        engine: Arc::clone(&door.engine),
        listener,
        ticket,
        stopping: door.stopping.clone(),
        drain: door.drain,
    };
    let began = Instant::now();
    let Served { login, requests, octets_in, octets_out, error } = carrier.serve(Inward::Link(Box::new(call))).await;
    let (peer, seconds) = (inbound.peer, began.elapsed().as_secs());
    match login {
        Some(login) => {
            tracing::info!(%peer, protocol, login, requests, octets_in, octets_out, seconds, reason = error, "session ended");
        }
        None => tracing::info!(%peer, protocol, requests, reason = error, "connection ended without a login"),
    }
}

async fn ssh(
    accepted: Accepted,
    (inbound, carrier): (Inbound, &'static dyn Carrier),
    profile: Arc<SshProfile>,
    door: &Arc<Door>,
) {
    let snapshot = door.engine.snapshot();
    let host_keys = match door.vault.keys(&door.engine, &snapshot, &profile.private_keys).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::error!(peer = %inbound.peer, profile = %profile.name, event = 124, %error, "closed: no host key");
            return;
        }
    };
    let session = AuthSession::new(Arc::clone(&door.engine), inbound, carrier.descriptor().name, profile.as_ref());
    let login = Arc::new(Login { session, carrier, admitted: OnceLock::new(), door: Arc::clone(door) });
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
    carrier: &'static dyn Carrier,
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
        let Some(admitted) = self.admitted.get() else { return };
        let (engine, who) = (Arc::clone(&self.door.engine), Arc::clone(admitted));
        let served = self.carrier.serve(Inward::Channel { pipe, engine, who }).await;
        tracing::debug!(login = %base::Shown::from(admitted.login.as_str()), ?served, "channel ended");
    }
}
