//! The task of a session: takes commands, carries them out, answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use channel::{Link, TlsServer};
use engine::{TransferError, VPath};
use model::FtPolicy;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::control::Control;
use super::data::Door;
use super::listing::Facts;
use super::{Parts, Reception, Served, SessionError};
use crate::carriers::ftp::replies;
use crate::carriers::ftp::settings::ServerSettings;
use crate::carriers::ftp::wire::{
    Argument, Bare, Command, DataType, Loose, Mode, Named, Protection, Reply, Structure, verbs,
};
use crate::files::Folder;

/// Most commands that HELP shows on a line.
const HELP_WORDS: usize = 8;

/// One session.
pub(super) struct Session {
    pub(super) control: Control,
    pub(super) tls: Option<TlsServer>,
    pub(super) reception: Arc<dyn Reception>,
    pub(super) settings: ServerSettings,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) state: State,
    pub(super) served: Served,
}

/// What commands have set so far.
pub(super) struct State {
    pub(super) began: Instant,
    /// Name given by USER, for the next PASS.
    pub(super) named: Option<Vec<u8>>,
    pub(super) folder: Option<Arc<dyn Folder>>,
    /// A certificate has let in; a password that comes all the same is not looked at.
    pub(super) by_certificate: bool,
    pub(super) here: VPath,
    pub(super) data_type: DataType,
    pub(super) door: Door,
    /// EPSV ALL: no other way to a data connection any more (RFC 2428 section 4).
    pub(super) epsv_only: bool,
    pub(super) buffer_set: bool,
    pub(super) protection: Protection,
    /// Where the next transfer begins.
    pub(super) offset: u64,
    pub(super) rename_from: Option<VPath>,
    pub(super) facts: Facts,
    pub(super) strange_commands: u32,
    pub(super) refused_logins: u32,
    pub(super) refused_in_a_row: u32,
}

/// What a transfer did beside the control connection.
pub(super) enum Beside<T> {
    Done(T),
    /// ABOR came.
    Aborted,
    /// The control connection, or the gateway, is at its end.
    Ended(SessionError),
}

/// Whether the session goes on.
pub(super) enum Next {
    Go,
    Quit,
}

impl Session {
    pub(super) fn new(link: Link, parts: Parts) -> Self {
        let Parts { settings, tls, reception, stopping } = parts;
        let control = Control::new(link, settings.commands_per_s_max);
        let implicit = tls.as_ref().is_some_and(|tls| !tls.start().explicit);
        // Where TLS is there from the start, data have it as well unless the client says otherwise.
        let protected = implicit && tls.as_ref().is_some_and(|tls| tls.start().data != FtPolicy::Disabled);
        let state = State {
            began: Instant::now(),
            named: None,
            folder: None,
            by_certificate: false,
            here: VPath::root(),
            data_type: DataType::Ascii,
            door: Door::Shut,
            epsv_only: false,
            buffer_set: implicit,
            protection: if protected { Protection::Private } else { Protection::Clear },
            offset: 0,
            rename_from: None,
            facts: Facts::default(),
            strange_commands: 0,
            refused_logins: 0,
            refused_in_a_row: 0,
        };
        Self { control, tls, reception, settings, stopping, state, served: Served::default() }
    }

    pub(super) async fn serve(mut self) -> Served {
        let error = self.run().await.err();
        if let Some(reply) = error.as_ref().and_then(parting) {
            // A peer that is gone reads no goodbye.
            let _ = self.control.send(&reply).await;
        }
        if !matches!(error, Some(SessionError::Closed | SessionError::Lost { .. } | SessionError::Tls { .. })) {
            self.control.finish().await;
        }
        Served { error, ..self.served }
    }

    async fn run(&mut self) -> Result<(), SessionError> {
        if let Some(server) = self.tls.clone().filter(|tls| !tls.start().explicit) {
            self.control.secure(&server, self.reception.as_ref()).await?;
        }
        self.reception.connected(self.control.tls().as_ref()).await;
        self.control.send(&Reply::new(220, "Ready")).await?;
        loop {
            let line = self.line().await?;
            self.served.requests += 1;
            let next = match Command::decode(&line) {
                Ok(command) => {
                    // Never the argument: it may hold a password typed in the wrong place.
                    tracing::trace!(verb = command.verb(), "command");
                    self.take(command).await?
                }
                Err(error) => self.refuse(&replies::malformed(&error)).await?,
            };
            if matches!(next, Next::Quit) {
                return Ok(());
            }
        }
    }

    /// The next line, if it comes in time.
    async fn line(&mut self) -> Result<Bytes, SessionError> {
        let late = match self.state.folder {
            None => SessionError::NoLogin { seconds: self.settings.login_grace.as_secs() },
            Some(_) => SessionError::Idle { seconds: self.settings.idle.as_secs() },
        };
        let until = match self.state.folder {
            None => self.state.began + self.settings.login_grace,
            Some(_) => Instant::now() + self.settings.idle,
        };
        let mut stopping = self.stopping.clone();
        tokio::select! {
            line = timeout_at(until, self.control.next()) => line.map_err(|_| late)?,
            true = is_set(&mut stopping) => Err(SessionError::Stopped),
        }
    }

    /// Sends a reply that is no refusal.
    pub(super) async fn say(&mut self, code: u16, text: impl AsRef<[u8]>) -> Result<Next, SessionError> {
        self.state.refused_in_a_row = 0;
        self.control.send(&Reply::new(code, text)).await?;
        Ok(Next::Go)
    }

    /// Sends a refusal; too many in a row end the session.
    pub(super) async fn refuse(&mut self, reply: &Reply) -> Result<Next, SessionError> {
        self.state.refused_in_a_row += 1;
        if self.state.refused_in_a_row > self.settings.refusals_max {
            return Err(SessionError::Flood);
        }
        self.control.send(reply).await?;
        Ok(Next::Go)
    }

    /// Refuses what the engine refused, and logs why.
    pub(super) async fn refuse_for(&mut self, error: &TransferError, path: &VPath) -> Result<Next, SessionError> {
        if error.cause == engine::Cause::NotFound {
            tracing::debug!(%path, %error, "command refused");
        } else {
            tracing::info!(%path, cause = error.cause.as_str(), %error, "command refused");
        }
        self.refuse(&replies::refused(error)).await
    }

    async fn take(&mut self, command: Command) -> Result<Next, SessionError> {
        let command = match self.before_login(command).await? {
            Ok(next) => return Ok(next),
            Err(command) => command,
        };
        // Only the command right behind RNFR, or behind REST, goes on from it (RFC 959 section 5.4).
        if !matches!(command, Command::Named(Named::Rnto, _)) {
            self.state.rename_from = None;
        }
        let keeps_offset = matches!(
            command,
            Command::Named(Named::Retr | Named::Stor | Named::Appe, _)
                | Command::Bare(Bare::Pasv)
                | Command::Port(_)
                | Command::Eprt(_)
                | Command::Epsv(_)
                | Command::Type(_)
        );
        if !keeps_offset {
            self.state.offset = 0;
        }
        match command {
            Command::Bare(verb) => self.take_bare(verb).await,
            Command::Named(verb, name) => self.take_named(verb, &name).await,
            Command::Loose(verb, name) => self.take_loose(verb, name.as_ref()).await,
            Command::Port(address) => self.active(address.into()).await,
            Command::Eprt(address) => self.active(address).await,
            Command::Epsv(family) => self.extended_passive(family).await,
            Command::EpsvAll => {
                self.state.epsv_only = true;
                self.say(200, "EPSV only from now on").await
            }
            Command::Type(of) => {
                self.state.data_type = of;
                self.say(200, if of == DataType::Ascii { "Type is A" } else { "Type is I" }).await
            }
            Command::Mode(Mode::Stream) => self.say(200, "Mode is S").await,
            Command::Structure(Structure::Unstructured) => self.say(200, "Structure is F").await,
            Command::Mode(_) | Command::Structure(_) => {
                self.refuse(&Reply::new(504, "Only MODE S and STRU F are served here")).await
            }
            Command::Allo(octets) => self.allocate(octets).await,
            Command::Rest(offset) => self.restart(offset).await,
            Command::Mfmt(at, name) => self.set_modified(at, &name).await,
            Command::Open(_) | Command::Quote(_) => self.refuse(&Reply::new(502, "Not served here")).await,
            Command::Acct(_) => self.say(202, "No account is needed").await,
            // Clients that send USER and PASS at once have not seen 232.
            Command::Pass(_) if self.state.by_certificate => self.say(202, "No password is needed").await,
            Command::Pass(_) | Command::Pbsz(_) | Command::Prot(_) => {
                self.refuse(&Reply::new(503, "Logged in already")).await
            }
        }
    }

    async fn take_bare(&mut self, verb: Bare) -> Result<Next, SessionError> {
        match verb {
            Bare::Cdup => {
                let up = self.state.here.parent().unwrap_or_default();
                self.go_to(up, 200).await
            }
            Bare::Pasv => self.passive().await,
            Bare::Pwd => {
                let reply = path_reply(&self.state.here, "is the current folder");
                self.say(257, reply).await
            }
            // The transfer it meant is over.
            Bare::Abor => self.say(226, "Nothing to abort").await,
            Bare::Syst => self.say(215, "UNIX Type: L8").await,
            Bare::Quit | Bare::Noop | Bare::Feat | Bare::Ccc => {
                self.refuse(&Reply::new(503, "Not in this place")).await
            }
        }
    }

    async fn take_named(&mut self, verb: Named, name: &Argument) -> Result<Next, SessionError> {
        let path = match VPath::parse(name.octets(), &self.state.here) {
            Ok(path) => path,
            Err(error) => return self.refuse(&replies::refused(&error.into())).await,
        };
        match verb {
            Named::Cwd => self.go_to(path, 250).await,
            Named::Retr => self.retrieve(path).await,
            Named::Stor => self.store(path).await,
            Named::Appe => self.append(path).await,
            Named::Rnfr => self.rename_from(path).await,
            Named::Rnto => self.rename_to(path).await,
            Named::Dele => self.delete(path).await,
            Named::Rmd => self.remove_folder(path).await,
            Named::Mkd => self.make_folder(path).await,
            Named::Size => self.size(path).await,
            Named::Mdtm => self.modified(path).await,
            Named::Hash => self.hash(path, name).await,
            Named::Site => self.site(name).await,
            Named::Opts => self.options(name).await,
            Named::User => self.refuse(&Reply::new(530, "Logged in already: QUIT first")).await,
            Named::Auth => self.refuse(&Reply::new(503, "Logged in already")).await,
        }
    }

    async fn take_loose(&mut self, verb: Loose, name: Option<&Argument>) -> Result<Next, SessionError> {
        match verb {
            Loose::Stou => self.store_unique(name).await,
            Loose::List => self.list(name).await,
            Loose::Nlst => self.names(name).await,
            Loose::Mlsd => self.machine_list(name).await,
            Loose::Mlst => self.machine_entry(name).await,
            Loose::Stat => self.status(name).await,
            Loose::Help => self.help().await,
        }
    }

    pub(super) async fn help(&mut self) -> Result<Next, SessionError> {
        let all: Vec<&str> = verbs().collect();
        let reply =
            all.chunks(HELP_WORDS).fold(Reply::new(214, "Commands:"), |reply, words| reply.line(words.join(" ")));
        self.control.send(&reply.line("End")).await?;
        Ok(Next::Go)
    }

    /// The folder of the partner. Commands that need one are not taken before the login.
    pub(super) fn folder(&self) -> Result<Arc<dyn Folder>, SessionError> {
        self.state.folder.clone().ok_or(SessionError::Closed)
    }

    /// Goes on reading the control connection while `work` goes on. The control connection comes first: who closes both
    /// connections at once has given up.
    pub(super) async fn beside<T>(&mut self, mut work: Pin<&mut (impl Future<Output = T> + Send)>) -> Beside<T> {
        let mut stopping = self.stopping.clone();
        let mut cut_at: Option<Instant> = None;
        loop {
            let cut = async {
                match cut_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                line = self.control.arriving() => match self.during(line).await {
                    Ok(true) => {}
                    Ok(false) => return Beside::Aborted,
                    Err(error) => return Beside::Ended(error),
                },
                done = &mut work => return Beside::Done(done),
                true = is_set(&mut stopping), if cut_at.is_none() => {
                    cut_at = Some(Instant::now() + self.settings.drain);
                }
                () = cut => return Beside::Ended(SessionError::Stopped),
            }
        }
    }

    /// What came during a transfer: ABOR (`false`) and STAT are for now, other commands for after it.
    pub(super) async fn during(&mut self, line: Result<Bytes, SessionError>) -> Result<bool, SessionError> {
        let line = line?;
        match Command::decode(&line) {
            Ok(Command::Bare(Bare::Abor)) => {
                self.served.requests += 1;
                return Ok(false);
            }
            Ok(Command::Loose(Loose::Stat, None)) => {
                self.served.requests += 1;
                self.control.send(&Reply::new(213, "A transfer is under way")).await?;
            }
            _ => self.control.hold(line)?,
        }
        Ok(true)
    }
}

/// Waits until it says so; `false` if nobody is left to say it.
pub(super) async fn is_set(flag: &mut watch::Receiver<bool>) -> bool {
    flag.wait_for(|set| *set).await.is_ok()
}

/// A path in quotes, those in it doubled (RFC 959 appendix II).
pub(super) fn path_reply(path: &VPath, text: &str) -> Vec<u8> {
    let mut out = vec![b'"'];
    for octet in path.octets() {
        if octet == b'"' {
            out.push(b'"');
        }
        out.push(octet);
    }
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(text.as_bytes());
    out
}

/// What the peer reads when a session is ended by us.
fn parting(error: &SessionError) -> Option<Reply> {
    let (code, text) = match error {
        SessionError::Closed | SessionError::Lost { .. } | SessionError::Tls { .. } => return None,
        SessionError::Line(_) => (500, "Line is too long"),
        SessionError::Injected => (421, "Nothing may stand behind AUTH"),
        SessionError::NoLogin { .. } => (421, "Time for the login is over"),
        SessionError::Idle { .. } => (421, "No command came for too long"),
        SessionError::Logins { .. } => (421, "Too many logins were refused"),
        SessionError::Flood => (421, "Too many commands"),
        SessionError::Stopped => (421, "Server is stopping, come back later"),
    };
    Some(Reply::new(code, text))
}
