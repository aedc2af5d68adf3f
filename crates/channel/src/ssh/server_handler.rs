//! The library's calls for one server session: logins, and channels of the one subsystem. All else is refused (SSH-31).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::{Secret, octets_text};
use keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Pty};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::SshError;
use super::input::{Incoming, waiting};
use super::output::Outgoing;
use super::pipe::Pipe;
use super::preferred::{key_algorithms, method_set};
use super::server::{Answer, Authenticator, ChannelService, Methods, ServerParams};
use super::shared::Shared;
use crate::admission::Ticket;

/// Octets of a login name.
const LOGIN_OCTETS_MAX: usize = 255;
/// Octets of a password.
const PASSWORD_OCTETS_MAX: usize = 1024;
/// Questions of one connection before it has logged in; offered keys that are taken don't count as tries.
const QUESTIONS_MAX: usize = 64;
/// Channels of one connection in its life: the library keeps a little of each.
const CHANNELS_EVER_MAX: usize = 4096;
/// A refused key takes this part of the time of a refused password.
const KEY_REFUSAL_PART: u32 = 10;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    Handshake,
    Login,
    Open,
}

/// What the handler, the channels' tasks and the watch share.
pub(crate) struct ServerState {
    profile: Arc<model::SshProfile>,
    auth_tries: usize,
    refusal_time: Duration,
    channels_max: usize,
    ticket: Option<Arc<Ticket>>,
    phase: watch::Sender<Phase>,
    is_stopping: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
    running: AtomicUsize,
    open: Mutex<Option<(String, Instant)>>,
}

/// Our errors beside the library's.
#[derive(Debug)]
pub(crate) enum HandlerError {
    Library(russh::Error),
    Own(SshError),
}

/// One connection's handler.
pub(crate) struct ServerHandler {
    shared: Arc<Shared>,
    state: Arc<ServerState>,
    auth: Arc<dyn Authenticator>,
    service: Arc<dyn ChannelService>,
    login: Option<String>,
    refused: usize,
    questions: usize,
    channels: HashMap<ChannelId, Open>,
    channels_ever: usize,
}

/// One channel.
struct Open {
    from_library: ChannelReadHalf,
    to_library: Option<ChannelWriteHalf<Msg>>,
    pipe: Option<(Arc<Incoming>, Arc<Outgoing>)>,
}

impl From<russh::Error> for HandlerError {
    fn from(e: russh::Error) -> Self {
        Self::Library(e)
    }
}

impl HandlerError {
    pub(crate) fn into_ssh(self) -> SshError {
        match self {
            Self::Library(e) => SshError::from_library(e),
            Self::Own(e) => e,
        }
    }
}

impl ServerState {
    pub(crate) fn new(params: &ServerParams) -> (Arc<Self>, watch::Receiver<Phase>) {
        let phase = watch::Sender::new(Phase::Handshake);
        let receiver = phase.subscribe();
        let state = Arc::new(Self {
            profile: Arc::clone(&params.profile),
            auth_tries: params.limits.auth_tries,
            refusal_time: params.limits.refusal_time,
            channels_max: params.limits.channels_max,
            ticket: params.ticket.clone(),
            phase,
            is_stopping: AtomicBool::new(false),
            tasks: Mutex::default(),
            running: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        (state, receiver)
    }

    /// No channel is opened any more; the watch looks when the last one ends.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
    }

    /// Channels whose carrier is still at work.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) fn login(&self) -> Option<String> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(login, _)| login.clone())
    }

    /// When the login was accepted.
    pub(crate) fn opened_at(&self) -> Instant {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map_or_else(Instant::now, |(_, at)| *at)
    }

    fn open(&self, login: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = Some((octets_text(login.as_bytes()), Instant::now()));
        drop(open);
        self.phase.send_replace(Phase::Open);
        if let Some(ticket) = &self.ticket {
            ticket.release();
        }
    }

    /// Starts a carrier for one channel.
    fn spawn(self: &Arc<Self>, service: Arc<dyn ChannelService>, pipe: Pipe) {
        self.running.fetch_add(1, Ordering::SeqCst);
        let place = Place(Arc::clone(self));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let _place = place;
            service.subsystem(SFTP, pipe).await;
        });
    }

    /// Waits for the carriers, which see the end of their pipes; cuts them off after `wait`.
    pub(crate) async fn finish_tasks(&self, wait: Duration) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(wait, all).await.is_err() {
            tracing::warn!(channels = self.running(), "channels did not end in time after their session");
        }
    }
}

/// The one subsystem.
const SFTP: &str = "sftp";

/// A running carrier; dropping it counts it off, even after a panic.
struct Place(Arc<ServerState>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.phase.send_modify(|_| {});
    }
}

impl ServerHandler {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        state: &Arc<ServerState>,
        (auth, service): (Arc<dyn Authenticator>, Arc<dyn ChannelService>),
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            state: Arc::clone(state),
            auth,
            service,
            login: None,
            refused: 0,
            questions: 0,
            channels: HashMap::new(),
            channels_ever: 0,
        }
    }

    /// Checks the frame of one attempt: its name is bounded and stays the same, and there are not too many.
    ///
    /// Whoever has shown one factor of one login can't go on with another one, as with OpenSSH.
    fn question(&mut self, login: &str) -> Result<(), HandlerError> {
        let end = |text: String| Err(HandlerError::Own(SshError::Protocol(text)));
        self.questions = self.questions.saturating_add(1);
        if self.questions > QUESTIONS_MAX {
            return end(format!("more than {QUESTIONS_MAX} login requests"));
        }
        if login.len() > LOGIN_OCTETS_MAX {
            return end(format!("login of {} octets: at most {LOGIN_OCTETS_MAX} are allowed", login.len()));
        }
        match &self.login {
            Some(known) if known != login => end("the login name changed within one connection".to_owned()),
            Some(_) => Ok(()),
            None => {
                self.login = Some(login.to_owned());
                Ok(())
            }
        }
    }

    fn methods(&self) -> Methods {
        Methods::of(&self.state.profile)
    }

    /// Turns an answer into the library's words; a refusal lasts `floor` from `start` (SSH-32).
    async fn answered(&mut self, answer: Answer, start: Instant, floor: Duration) -> Auth {
        let (left, partial_success) = match answer {
            Answer::Accept => return Auth::Accept,
            Answer::Partial { left } => (left, true),
            Answer::Reject { left } => {
                self.refused = self.refused.saturating_add(1);
                sleep_until(start + floor).await;
                (left, false)
            }
        };
        let on = self.methods();
        let left = Methods { password: left.password && on.password, public_key: left.public_key && on.public_key };
        Auth::Reject { proceed_with_methods: Some(method_set(left)), partial_success }
    }

    fn is_exhausted(&self) -> bool {
        self.refused >= self.state.auth_tries
    }

    fn refusal(&self) -> Answer {
        Answer::Reject { left: self.methods() }
    }

    /// The key in our form, if the profile has its method and its algorithm.
    fn usable_key(&self, key: &russh::keys::PublicKey, algorithm: &russh::keys::Algorithm) -> Option<PublicKey> {
        if !self.state.profile.public_key || !key_algorithms(&self.state.profile).contains(algorithm) {
            return None;
        }
        PublicKey::from_ssh_blob(&key.to_bytes().ok()?).ok()
    }

    /// Takes what the library has put into a channel's queue before it called us.
    fn pull(&mut self, id: ChannelId) {
        let Some(open) = self.channels.get_mut(&id) else { return };
        while let Some(message) = waiting(&mut open.from_library) {
            if let (ChannelMsg::Data { data }, Some((incoming, _))) = (message, &open.pipe) {
                incoming.push(data);
            }
        }
    }

    fn may_open(&mut self) -> bool {
        self.channels.retain(|_, open| !open.pipe.as_ref().is_some_and(|(_, out)| out.is_finished()));
        self.channels_ever = self.channels_ever.saturating_add(1);
        let is_room = self.channels.len().max(self.state.running()) < self.state.channels_max;
        is_room && self.channels_ever <= CHANNELS_EVER_MAX && !self.state.is_stopping.load(Ordering::SeqCst)
    }

    /// Starts the carrier of a channel; `false` if it has one.
    fn start(&mut self, id: ChannelId) -> bool {
        let Some(open) = self.channels.get_mut(&id) else { return false };
        let Some(half) = open.to_library.take() else { return false };
        let incoming = Incoming::new(Arc::clone(&self.shared));
        let outgoing = Outgoing::start(Arc::new(half), &incoming, &self.shared);
        let pipe = Pipe { input: incoming.reader(), output: outgoing.writer() };
        open.pipe = Some((incoming, outgoing));
        self.state.spawn(Arc::clone(&self.service), pipe);
        true
    }
}

impl Open {
    fn end(&self) {
        if let Some((incoming, outgoing)) = &self.pipe {
            outgoing.end();
            incoming.end();
        }
    }
}

impl Drop for ServerHandler {
    fn drop(&mut self) {
        for open in self.channels.values() {
            open.end();
        }
    }
}

impl Handler for ServerHandler {
    type Error = HandlerError;

    async fn authentication_banner(&mut self) -> Result<Option<String>, HandlerError> {
        // The first request under encryption: the key exchange is done.
        self.state.phase.send_replace(Phase::Login);
        Ok(None)
    }

    async fn auth_none(&mut self, user: &str) -> Result<Auth, HandlerError> {
        self.question(user)?;
        Ok(Auth::Reject { proceed_with_methods: Some(method_set(self.methods())), partial_success: false })
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, HandlerError> {
        let start = Instant::now();
        self.question(user)?;
        let is_on = self.state.profile.password && password.len() <= PASSWORD_OCTETS_MAX && !self.is_exhausted();
        let answer = if is_on {
            let password = Secret::new(password.to_owned());
            self.auth.password(user.as_bytes(), &password).await
        } else {
            self.refusal()
        };
        Ok(self.answered(answer, start, self.state.refusal_time).await)
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, HandlerError> {
        let start = Instant::now();
        self.question(user)?;
        let key = self.usable_key(offer.public_key, offer.algorithm).filter(|_| !self.is_exhausted());
        let answer = match key {
            Some(key) => self.auth.offered_key(user.as_bytes(), &key).await,
            None => self.refusal(),
        };
        let answer = if matches!(answer, Answer::Partial { .. }) { Answer::Accept } else { answer };
        Ok(self.answered(answer, start, self.state.refusal_time / KEY_REFUSAL_PART).await)
    }

    async fn auth_publickey(&mut self, user: &str, proved: VerifiedPublicKey<'_>) -> Result<Auth, HandlerError> {
        let start = Instant::now();
        self.question(user)?;
        let key = self.usable_key(proved.public_key, proved.algorithm).filter(|_| !self.is_exhausted());
        let answer = match key {
            Some(key) => self.auth.proved_key(user.as_bytes(), &key).await,
            None => self.refusal(),
        };
        Ok(self.answered(answer, start, self.state.refusal_time / KEY_REFUSAL_PART).await)
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Result<(), HandlerError> {
        self.shared.is_open.store(true, Ordering::Relaxed);
        self.state.open(self.login.as_deref().unwrap_or_default());
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        if !self.may_open() {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let id = channel.id();
        let (from_library, to_library) = channel.split();
        self.channels.insert(id, Open { from_library, to_library: Some(to_library), pipe: None });
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, s: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        if name == SFTP && self.start(id) {
            s.channel_success(id)?
        } else {
            s.channel_failure(id)?
        }
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, _: &[u8], _: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        self.shared.until_room().await.map_err(|e| {
            self.shared.fail(e.clone());
            HandlerError::Own(e)
        })
    }

    async fn extended_data(&mut self, id: ChannelId, _: u32, _: &[u8], _: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(())
    }

    async fn window_adjusted(&mut self, id: ChannelId, _: u32, _: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        if let Some((incoming, _)) = self.channels.get(&id).and_then(|open| open.pipe.as_ref()) {
            incoming.end();
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        if let Some(open) = self.channels.remove(&id) {
            open.end();
        }
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, _: &[u8], s: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(s.channel_failure(id)?)
    }

    async fn shell_request(&mut self, id: ChannelId, s: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(s.channel_failure(id)?)
    }

    async fn env_request(&mut self, id: ChannelId, _: &str, _: &str, s: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(s.channel_failure(id)?)
    }

    async fn agent_request(&mut self, id: ChannelId, _: &mut Session) -> Result<bool, HandlerError> {
        self.pull(id);
        Ok(false)
    }

    async fn signal(&mut self, id: ChannelId, _: russh::Sig, _: &mut Session) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // the library's signature
    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        s: &mut Session,
    ) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(s.channel_failure(id)?)
    }

    #[allow(clippy::too_many_arguments)] // the library's signature
    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        s: &mut Session,
    ) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(s.channel_failure(id)?)
    }

    #[allow(clippy::too_many_arguments)] // the library's signature
    async fn window_change_request(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        s: &mut Session,
    ) -> Result<(), HandlerError> {
        self.pull(id);
        Ok(s.channel_failure(id)?)
    }
}
