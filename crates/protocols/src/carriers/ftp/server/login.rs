//! What goes on before the login, and what may come at any time (RFC 959 section 5.4, RFC 4217 sections 4 and 9).

use std::sync::Arc;
use std::time::Duration;

use base::Secret;
use model::FtPolicy;

use super::SessionError;
use super::session::{Next, Session};
use crate::carriers::ftp::wire::{Argument, Bare, Command, Loose, Named, Protection, Reply};
use crate::files::Folder;

/// Doublings of the wait after a wrong login.
const PAUSE_DOUBLINGS_MAX: u32 = 5;

impl Session {
    /// Carries out what needs no login; gives back what does, if there is one.
    pub(super) async fn before_login(&mut self, command: Command) -> Result<Result<Next, Command>, SessionError> {
        let is_in = self.state.folder.is_some();
        if !is_in {
            self.state.strange_commands += 1;
            if self.state.strange_commands > self.settings.strange_commands_max {
                return Err(SessionError::Flood);
            }
        }
        let next = match command {
            Command::Bare(Bare::Quit) => {
                self.say(221, "Goodbye").await?;
                Next::Quit
            }
            Command::Bare(Bare::Noop) => self.say(200, "Yes").await?,
            Command::Bare(Bare::Feat) => self.features().await?,
            Command::Bare(Bare::Ccc) => {
                // FTP-8
                self.refuse(&Reply::new(534, "The control connection stays protected")).await?
            }
            Command::Pbsz(_) => self.buffer_size().await?,
            Command::Prot(protection) => self.protect(protection).await?,
            command if is_in => return Ok(Err(command)),
            Command::Named(Named::User, name) => self.user(&name).await?,
            Command::Named(Named::Auth, mechanism) => self.authenticate(&mechanism).await?,
            Command::Named(Named::Opts, option) => self.options(&option).await?,
            Command::Loose(Loose::Help, _) => self.help().await?,
            Command::Bare(Bare::Syst) => self.say(215, "UNIX Type: L8").await?,
            Command::Pass(password) => self.password(password).await?,
            _ => self.refuse(&Reply::new(530, "Log in with USER and PASS first")).await?,
        };
        Ok(Ok(next))
    }

    fn is_secure(&self) -> bool {
        self.control.tls().is_some()
    }

    /// AUTH TLS: what was said before it is forgotten (RFC 4217 section 4).
    async fn authenticate(&mut self, mechanism: &Argument) -> Result<Next, SessionError> {
        let Some(server) = self.tls.clone() else {
            return self.refuse(&Reply::new(534, "TLS is not configured for this port")).await;
        };
        if self.is_secure() {
            return self.refuse(&Reply::new(503, "The connection has TLS already")).await;
        }
        let known = [&b"TLS"[..], b"TLS-C"].iter().any(|name| mechanism.octets().eq_ignore_ascii_case(name));
        if !known {
            return self.refuse(&Reply::new(504, "Only AUTH TLS is served here")).await;
        }
        if self.control.has_more() {
            return Err(SessionError::Injected);
        }
        self.say(234, "Begin with TLS").await?;
        self.control.secure(&server, self.reception.as_ref()).await?;
        self.reception.connected(self.control.tls().as_ref()).await;
        (self.state.named, self.state.buffer_set) = (None, false);
        Ok(Next::Go)
    }

    async fn buffer_size(&mut self) -> Result<Next, SessionError> {
        if !self.is_secure() {
            return self.refuse(&Reply::new(503, "AUTH TLS first")).await;
        }
        self.state.buffer_set = true;
        self.say(200, "PBSZ=0").await
    }

    async fn protect(&mut self, wanted: Protection) -> Result<Next, SessionError> {
        if !self.state.buffer_set || !self.is_secure() {
            return self.refuse(&Reply::new(503, "AUTH TLS and PBSZ first")).await;
        }
        let policy = self.tls.as_ref().map_or(FtPolicy::Disabled, |tls| tls.start().data);
        match (wanted, policy) {
            (Protection::Safe | Protection::Confidential, _) => {
                self.refuse(&Reply::new(536, "Only PROT C and PROT P are served here")).await
            }
            (Protection::Clear, FtPolicy::Mandatory) => {
                self.refuse(&Reply::new(534, "Data have to be protected here: PROT P")).await
            }
            (Protection::Private, FtPolicy::Disabled) => {
                self.refuse(&Reply::new(534, "Data are not protected here: PROT C")).await
            }
            (Protection::Clear | Protection::Private, _) => {
                self.state.protection = wanted;
                self.say(200, if wanted == Protection::Private { "Data are protected" } else { "Data are clear" }).await
            }
        }
    }

    /// The same answer for every name, but for one that the certificate of the session lets in (RFC 4217 section 6: 232).
    async fn user(&mut self, name: &Argument) -> Result<Next, SessionError> {
        let wants_tls = self.tls.as_ref().is_some_and(|tls| tls.start().session == FtPolicy::Mandatory);
        if wants_tls && !self.is_secure() {
            return self.refuse(&Reply::new(530, "AUTH TLS first")).await;
        }
        let shown = self.control.tls().is_some_and(|session| session.client_authenticated());
        if shown && let Some(folder) = self.reception.certificate(name.octets()).await {
            self.enter(folder, name.octets());
            self.state.by_certificate = true;
            return self.say(232, "Logged in by certificate").await;
        }
        self.state.named = Some(name.octets().to_vec());
        self.say(331, "Password, please").await
    }

    async fn password(&mut self, password: Secret<Vec<u8>>) -> Result<Next, SessionError> {
        let Some(login) = self.state.named.take() else {
            return self.refuse(&Reply::new(503, "USER first")).await;
        };
        // A password that is no text can't be right; it costs the same as any other.
        let text = Secret::new(String::from_utf8_lossy(password.expose()).into_owned());
        match self.reception.password(&login, &text).await {
            Some(folder) => {
                self.enter(folder, &login);
                self.say(230, "Logged in").await
            }
            None => self.login_refused().await,
        }
    }

    fn enter(&mut self, folder: Arc<dyn Folder>, login: &[u8]) {
        self.state.here = folder.home();
        self.state.folder = Some(folder);
        self.served.login = Some(base::octets_text(login));
    }

    async fn login_refused(&mut self) -> Result<Next, SessionError> {
        let count = self.state.refused_logins + 1;
        self.state.refused_logins = count;
        tokio::time::sleep(pause(self.settings.login_pause, count)).await;
        if count >= self.settings.login_tries_max {
            self.control.send(&Reply::new(530, "Login is not accepted")).await?;
            return Err(SessionError::Logins { count });
        }
        self.refuse(&Reply::new(530, "Login is not accepted")).await
    }

    async fn features(&mut self) -> Result<Next, SessionError> {
        let mut reply = Reply::new(211, "Features:");
        let tls: &[&str] = if self.tls.is_some() { &["AUTH TLS", "PBSZ", "PROT"] } else { &[] };
        let facts = self.state.facts.feature();
        let plain = ["EPRT", "EPSV", "HASH SHA-256*", "MDTM", "MFMT", &facts, "REST STREAM", "SIZE", "TVFS", "UTF8"];
        for feature in tls.iter().chain(&plain) {
            reply = reply.line(feature);
        }
        self.control.send(&reply.line("End")).await?;
        Ok(Next::Go)
    }

    /// OPTS (RFC 2389 section 4).
    pub(super) async fn options(&mut self, option: &Argument) -> Result<Next, SessionError> {
        let text = base::octets_text(option.octets());
        let (name, value) = text.split_once(' ').unwrap_or((&text, ""));
        match name.to_ascii_uppercase().as_str() {
            "UTF8" | "UTF-8" if !value.eq_ignore_ascii_case("OFF") => self.say(200, "UTF8 is always on").await,
            "MLST" => {
                let told = self.state.facts.choose(value);
                self.say(200, format!("MLST OPTS {told}").trim_end()).await
            }
            "HASH" if value.is_empty() || value.eq_ignore_ascii_case("SHA-256") => self.say(200, "SHA-256").await,
            _ => self.refuse(&Reply::new(501, "No such option here")).await,
        }
    }
}

/// The wait after so many wrong logins.
fn pause(first: Duration, count: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(count.saturating_sub(1).min(PAUSE_DOUBLINGS_MAX)))
}
