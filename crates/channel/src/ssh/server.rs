//! The server side of one SSH connection: its parameters, its doors, and the watch over its time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use keys::{PrivateKey, PublicKey};
use model::SshProfile;
use russh::server::{Handle, RunningSession, run_stream};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::error::SshError;
use super::pipe::Pipe;
use super::preferred::server_config;
use super::report::SessionReport;
use super::server_handler::{HandlerError, Phase, ServerHandler, ServerState};
use super::shared::{Shared, Side};
use super::tap::Tap;
use crate::admission::Ticket;

/// Time for goodbyes.
const PARTING: Duration = Duration::from_secs(2);

/// Bounds of one server session.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From accept to login.
    pub login_grace: Duration,
    /// From accept to the end of the first key exchange.
    pub handshake: Duration,
    /// Refused login attempts of one connection; each refused key counts.
    pub auth_tries: usize,
    /// Time without payload after which a session ends; `None`: never.
    pub idle: Option<Duration>,
    /// Silence after which a sign of life is asked for; `None`: never.
    pub keepalive: Option<Duration>,
    /// Time that every refused password takes, the unknown user's as well (SSH-32); a refused key takes a tenth.
    pub refusal_time: Duration,
    /// SFTP channels open at once in one session.
    pub channels_max: usize,
    /// Octets received and not yet taken by the carrier, of one session.
    pub input_octets_max: usize,
    /// Time running channels get when the gateway stops.
    pub drain: Duration,
    /// Whether clients without strict key exchange are refused (CVE-2023-48795).
    pub strict_kex_required: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_grace: Duration::from_secs(60),
            handshake: Duration::from_secs(30),
            auth_tries: 6,
            idle: Some(Duration::from_secs(600)),
            keepalive: Some(Duration::from_secs(60)),
            refusal_time: Duration::from_millis(500),
            channels_max: 8,
            input_octets_max: 4 << 20,
            drain: Duration::from_secs(30),
            strict_kex_required: false,
        }
    }
}

impl Limits {
    /// The bounds that `profile` states, ours for the others.
    #[must_use]
    pub fn of(profile: &SshProfile) -> Self {
        Self {
            login_grace: Duration::from_secs(profile.login_grace_s.into()),
            auth_tries: profile.auth_tries_max.into(),
            idle: Some(Duration::from_secs(profile.idle_timeout_s.into())),
            ..Self::default()
        }
    }
}

/// What a session is served with.
#[derive(Clone)]
pub struct ServerParams {
    /// Profile of type SERVER.
    pub profile: Arc<SshProfile>,
    /// Our host keys; the first of an algorithm counts.
    pub host_keys: Vec<Arc<PrivateKey>>,
    /// Software name in our version line, without a version: `Gatehouse`.
    pub banner: String,
    /// Bounds.
    pub limits: Limits,
    /// Place among the connections not yet logged in; given back at login or at the end.
    pub ticket: Option<Arc<Ticket>>,
}

/// Methods a client may go on with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Methods {
    /// Password.
    pub password: bool,
    /// Public key.
    pub public_key: bool,
}

impl Methods {
    /// Those that are on in `profile`.
    #[must_use]
    pub fn of(profile: &SshProfile) -> Self {
        Self { password: profile.password, public_key: profile.public_key }
    }
}

/// Answer to one attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Logged in (for an offered key: go on and prove it).
    Accept,
    /// Right, and one of these is needed as well.
    Partial {
        /// What is needed.
        left: Methods,
    },
    /// Wrong.
    Reject {
        /// What may be tried.
        left: Methods,
    },
}

/// Decides who logs in. One value serves one connection; all calls of one connection are for the same login.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// A key was named, not proved. `Accept` asks the client to prove it.
    async fn offered_key(&self, login: &[u8], key: &PublicKey) -> Answer;
    /// A key was proved: the signature is verified.
    async fn proved_key(&self, login: &[u8], key: &PublicKey) -> Answer;
    /// A password came.
    async fn password(&self, login: &[u8], password: &Secret<String>) -> Answer;
    /// The connection is over, logged in or not. Called exactly once.
    async fn ended(&self);
}

/// Serves channels.
#[async_trait]
pub trait ChannelService: Send + Sync {
    /// Serves one subsystem channel to its end; only `sftp` arrives here. Runs in its own task; dropping the pipe's
    /// output ends the channel.
    async fn subsystem(&self, name: &str, pipe: Pipe);
}

/// Serves one connection to its end. Dropping the future cuts the connection.
///
/// # Errors
/// [`SshError`] if nobody logged in; what ended a session after login is the reason of its report.
pub async fn serve_ssh(
    stream: TcpStream,
    params: ServerParams,
    auth: Arc<dyn Authenticator>,
    service: Arc<dyn ChannelService>,
    shutdown: watch::Receiver<bool>,
) -> Result<SessionReport, SshError> {
    let end = End { auth: Some(Arc::clone(&auth)) };
    let shared = Shared::new(Side::Server, params.limits.input_octets_max);
    let (state, phase) = ServerState::new(&params);
    let session = Session { shared, state: Arc::clone(&state), limits: params.limits.clone(), phase, shutdown };
    let reason = match server_config(&params) {
        Ok(config) => {
            let handler = ServerHandler::new(&session.shared, &state, (auth, service));
            let tap = Tap::new(stream, Arc::clone(&session.shared), params.limits.strict_kex_required);
            session.run(run_stream(Arc::new(config), tap, handler)).await
        }
        Err(e) => Some(e),
    };
    if let Some(ticket) = &params.ticket {
        ticket.release();
    }
    state.finish_tasks(params.limits.drain).await;
    end.now().await;
    let report = session.report(reason);
    match (&report.login, report.reason.clone()) {
        (None, reason) => Err(reason.unwrap_or(SshError::Closed)),
        (Some(_), _) => Ok(report),
    }
}

/// Calls [`Authenticator::ended`] once, even if the future is dropped.
struct End {
    auth: Option<Arc<dyn Authenticator>>,
}

impl End {
    async fn now(mut self) {
        if let Some(auth) = self.auth.take() {
            auth.ended().await;
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let (Some(auth), Ok(runtime)) = (self.auth.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { auth.ended().await });
        }
    }
}

/// The watch over one session.
struct Session {
    shared: Arc<Shared>,
    state: Arc<ServerState>,
    limits: Limits,
    phase: watch::Receiver<Phase>,
    shutdown: watch::Receiver<bool>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.cut();
    }
}

/// Waits for the gateway to stop; `false` if nobody is left to say so.
async fn is_stopped(shutdown: &mut watch::Receiver<bool>) -> bool {
    shutdown.wait_for(|stop| *stop).await.is_ok()
}

/// What the watch found.
enum Found {
    Over(Option<SshError>),
    Phase,
    Late,
    Stop,
}

impl Session {
    /// Runs the session; gives what ended it, `None` for an ordinary end.
    async fn run(
        &self,
        starting: impl Future<Output = Result<RunningSession<ServerHandler>, HandlerError>>,
    ) -> Option<SshError> {
        let until = self.shared.started_at() + self.limits.handshake;
        let mut running = match timeout_at(until, starting).await {
            Ok(Ok(running)) => running,
            Ok(Err(e)) => return Some(self.explain(e)),
            Err(_) => return Some(SshError::Timeout { what: "a version line" }),
        };
        let (mut phase, mut shutdown) = (self.phase.clone(), self.shutdown.clone());
        let mut late = None;
        loop {
            let at = *phase.borrow_and_update();
            let deadline = self.deadline(at, late);
            let found = tokio::select! {
                result = &mut running => Found::Over(result.err().map(|e| self.explain(e))),
                Ok(()) = phase.changed() => Found::Phase,
                () = sleep_until(deadline) => Found::Late,
                true = is_stopped(&mut shutdown), if late.is_none() => Found::Stop,
            };
            match found {
                Found::Over(reason) => return reason,
                Found::Phase => {}
                Found::Stop => {
                    self.state.stop();
                    late = Some(Instant::now() + self.limits.drain);
                }
                Found::Late => {
                    if let Some(why) = self.lateness(at, late) {
                        return self.part(running, why).await;
                    }
                }
            }
        }
    }

    /// When the watch looks again.
    fn deadline(&self, phase: Phase, late: Option<Instant>) -> Instant {
        let start = self.shared.started_at();
        let own = match (phase, late) {
            (Phase::Handshake | Phase::Login, Some(_)) => Instant::now(),
            (Phase::Handshake, None) => start + self.limits.handshake.min(self.limits.login_grace),
            (Phase::Login, None) => start + self.limits.login_grace,
            (Phase::Open, Some(_)) if self.state.running() == 0 => Instant::now(),
            (Phase::Open, None) => match self.limits.idle {
                Some(idle) => self.shared.moved_at().max(self.state.opened_at()) + idle,
                None => Instant::now() + Duration::from_secs(3600),
            },
            (Phase::Open, Some(late)) => late,
        };
        own.min(late.unwrap_or(own))
    }

    /// Why time is up; `None` if it is not.
    fn lateness(&self, phase: Phase, late: Option<Instant>) -> Option<SshError> {
        let what = match (phase, late) {
            (_, Some(_)) => return Some(SshError::Stopped),
            (Phase::Handshake, None) => "the key exchange",
            (Phase::Login, None) => "a login",
            (Phase::Open, None) if Instant::now() < self.deadline(phase, late) || self.shared.held() > 0 => {
                return None;
            }
            (Phase::Open, None) => "anything to do",
        };
        Some(SshError::Timeout { what })
    }

    /// Says goodbye and cuts.
    async fn part(&self, mut running: RunningSession<ServerHandler>, why: SshError) -> Option<SshError> {
        let handle: Handle = running.handle();
        let mut is_over = false;
        if self.shared.is_open.load(Ordering::Relaxed) {
            let goodbye = async {
                let _ = handle.disconnect(russh::Disconnect::ByApplication, String::new(), String::new()).await;
                let _ = (&mut running).await;
            };
            is_over = timeout(PARTING, goodbye).await.is_ok();
        }
        self.shared.cut();
        if !is_over {
            let _ = timeout(PARTING, running).await;
        }
        Some(why)
    }

    /// What the handler or the library says, or the cause we know better.
    fn explain(&self, e: HandlerError) -> SshError {
        self.shared.cause(e.into_ssh())
    }

    fn report(&self, reason: Option<SshError>) -> SessionReport {
        SessionReport {
            negotiated: self.shared.negotiated(),
            banner: self.shared.banner(),
            login: self.state.login(),
            octets_in: self.shared.octets_in.load(Ordering::Relaxed),
            octets_out: self.shared.octets_out.load(Ordering::Relaxed),
            held_octets_peak: self.shared.held_peak(),
            lasted: self.shared.started_at().elapsed(),
            reason,
        }
    }
}
