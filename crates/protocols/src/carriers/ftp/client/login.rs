//! From a connection to a session: greeting, TLS, login, what the server can do (RFC 959 section 5.4, RFC 4217).

use base::{Secret, Shown, octets_text};
use channel::{Link, Target, TlsRefusal, TlsSession};
use engine::{Cause, TransferError};
use model::FtPolicy;

use super::control::Control;
use super::error::refused;
use super::names::first_text;
use super::said::say;
use super::{ClientOptions, FtpClient, Lacks, Offers, argument, proxy};
use crate::carriers::ftp::wire::{Argument, Bare, Command, DataType, Named, Protection, Reply};
use crate::carriers::{ProxyLogin, Unopened};
use crate::outward::CallTls;

/// What it takes to log in.
#[derive(Debug)]
pub struct Caller {
    /// User name.
    pub login: String,
    /// Password.
    pub password: Option<Secret<String>>,
    /// What the server may ask for behind that (ACCT).
    pub account: Option<Secret<String>>,
    /// TLS by this; without it everything travels in clear.
    pub tls: Option<CallTls>,
    /// The server, and the way to it; data connections take the same.
    pub target: Target,
    /// Carries out our commands at the server.
    pub proxy: Option<ProxyLogin>,
}

impl FtpClient {
    /// Greets, puts TLS on the connection as the profile says, logs in, and asks what the server can do.
    ///
    /// # Errors
    /// [`Unopened`].
    pub async fn start(link: Link, caller: &Caller, options: ClientOptions) -> Result<Self, Unopened> {
        let mut link = link;
        let implicit = caller.tls.as_ref().filter(|tls| !tls.start().explicit);
        if let Some(tls) = implicit {
            link = tls.secure(link, None).await.map_err(insecure)?;
        }
        let mut control = Control::new(link, options.reply_wait_max);
        let greeting = greeting(&mut control).await?;
        if let (Some(tls), None) = (&caller.tls, implicit) {
            secure(&mut control, tls).await?;
        }
        match &caller.proxy {
            Some(proxy) => proxy::log_in(&mut control, caller, proxy).await?,
            None => log_in(&mut control, caller).await?,
        }
        let server = system(&mut control, &greeting).await?;
        let offers = offers(&mut control).await?;
        let data_tls = match &caller.tls {
            Some(tls) if protect(&mut control, tls).await? => Some(tls.clone()),
            _ => None,
        };
        if offers.utf8 {
            // What is sent is octets anyway; some servers want to be told that these are UTF-8 (RFC 2640).
            let utf8 = Argument::made_to_fit(b"UTF8 ON");
            control.ask(&Command::Named(Named::Opts, utf8)).await?;
        }
        control.ask_done(&Command::Type(DataType::Image)).await?;
        for command in &options.at_login {
            say(&mut control, command).await?;
        }
        let resumes = data_tls.is_some() && control.can_be_resumed();
        let tunnelled = caller.target.through.is_some().then(|| caller.target.clone());
        let lacks = Lacks::default();
        Ok(Self { control, options, offers, server, data_tls, resumes, tunnelled, lacks })
    }

    /// What the control connection has agreed to; empty in clear.
    #[must_use]
    pub fn algorithms(&self) -> String {
        self.tls().map(ToString::to_string).unwrap_or_default()
    }

    /// TLS of the control connection.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsSession> {
        self.control.tls()
    }
}

/// The server's first words. 120 says that it will be ready in some time (RFC 959 section 5.4).
async fn greeting(control: &mut Control) -> Result<String, Unopened> {
    let reply = control.last_reply().await?;
    match reply.code() {
        220..=229 => Ok(octets_text(first_text(&reply).as_bytes())),
        _ => Err(refused("the connection", &reply).into()),
    }
}

/// AUTH TLS (RFC 4217 section 4). A server that refuses gets neither login nor password, whatever the profile's policy
/// says: to go on in clear is for the site to say, not for whoever answers.
async fn secure(control: &mut Control, tls: &CallTls) -> Result<(), Unopened> {
    let reply = control.ask(&Command::Named(Named::Auth, Argument::made_to_fit(b"TLS"))).await?;
    if reply.code() != 234 {
        let text = format!(
            "the partner's server does not begin TLS: it answered AUTH TLS with {reply}; ask the partner whether its port is \
             one of implicit TLS (ft_sec_option of profile {})",
            tls.profile()
        );
        return Err(Unopened::Handshake(TransferError::retry(Cause::Connection, text)));
    }
    let secured = tls.secure(control.take_clear()?, None).await.map_err(insecure)?;
    control.put_back(secured);
    Ok(())
}

pub(super) fn insecure(refusal: TlsRefusal) -> Unopened {
    let told = TransferError::retry(Cause::Connection, refusal.to_string());
    match refusal {
        TlsRefusal::Profile { .. } | TlsRefusal::NoOwnCertificate { .. } => {
            Unopened::Unfit(TransferError::park(Cause::Invalid, told.text))
        }
        TlsRefusal::Certificate { .. } => Unopened::Untrusted(told),
        _ => Unopened::Handshake(told),
    }
}

async fn log_in(control: &mut Control, caller: &Caller) -> Result<(), Unopened> {
    let login = argument(caller.login.as_bytes())?;
    let mut reply = control.ask(&Command::Named(Named::User, login)).await?;
    if reply.code() == 331 {
        let password = caller.password.as_ref().ok_or_else(|| unfit("password", "login_password"))?;
        reply = control.ask(&Command::Pass(secret(password, "login_password")?)).await?;
    }
    if reply.code() == 332 {
        let account = caller.account.as_ref().ok_or_else(|| unfit("account (ACCT)", "password2"))?;
        reply = control.ask(&Command::Acct(secret(account, "password2")?)).await?;
    }
    outcome(&reply)
}

/// What the last answer to a login says.
pub(super) fn outcome(reply: &Reply) -> Result<(), Unopened> {
    match reply.code() {
        200..=299 => Ok(()),
        300.. => {
            let text = format!("login refused: the partner's server answered {reply}");
            Err(Unopened::Login(TransferError::retry(Cause::Connection, text)))
        }
        _ => Err(refused("the login", reply).into()),
    }
}

pub(super) fn unfit(what: &str, field: &str) -> Unopened {
    let text = format!("the partner's server asks for a {what}, and the site has none: set {field}");
    Unopened::Unfit(TransferError::park(Cause::Invalid, text))
}

/// A secret as it stands on a line. Cut where the line would end it could only be wrong.
pub(super) fn secret(secret: &Secret<String>, field: &str) -> Result<Secret<Vec<u8>>, Unopened> {
    let octets = secret.expose().as_bytes();
    if octets.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        let text = format!("{field} holds a line end, which can't be sent: set it again");
        return Err(Unopened::Unfit(TransferError::park(Cause::Invalid, text)));
    }
    Ok(Secret::new(octets.to_vec()))
}

/// Greeting and system, for people.
async fn system(control: &mut Control, greeting: &str) -> Result<String, Unopened> {
    const CHARS_MAX: usize = 120;
    let reply = control.ask(&Command::Bare(Bare::Syst)).await?;
    let system =
        if reply.code() == 215 { format!(" ({})", Shown(first_text(&reply).as_bytes())) } else { String::new() };
    Ok(base::brief(&format!("{greeting}{system}"), CHARS_MAX))
}

/// FEAT (RFC 2389).
async fn offers(control: &mut Control) -> Result<Offers, Unopened> {
    let reply = control.ask(&Command::Bare(Bare::Feat)).await?;
    Ok(read_offers(&reply))
}

pub(super) fn read_offers(reply: &Reply) -> Offers {
    let mut offers = Offers::default();
    if reply.code() != 211 {
        return offers;
    }
    for line in reply.lines() {
        let text = String::from_utf8_lossy(line.octets()).trim().to_ascii_uppercase();
        match text.split(' ').next().unwrap_or_default() {
            "MLST" | "MLSD" => offers.facts = true,
            "MFMT" => offers.modify = true,
            "UTF8" => offers.utf8 = true,
            _ => {}
        }
    }
    offers
}

/// PBSZ and PROT (RFC 4217 section 8): whether data connections get TLS.
async fn protect(control: &mut Control, tls: &CallTls) -> Result<bool, Unopened> {
    let policy = tls.start().data;
    let protection = if policy == FtPolicy::Disabled { Protection::Clear } else { Protection::Private };
    control.ask(&Command::Pbsz(0)).await?;
    let reply = control.ask(&Command::Prot(protection)).await?;
    match (reply.code(), policy) {
        (200..=299, policy) => Ok(policy != FtPolicy::Disabled),
        // Clear is what a server does that knows nothing of PROT.
        (_, FtPolicy::Disabled) => Ok(false),
        (_, FtPolicy::Optional) => {
            tracing::warn!(%reply, "the partner's server takes no TLS on data connections: files travel in clear");
            Ok(false)
        }
        (_, FtPolicy::Mandatory) => {
            let text = format!(
                "the partner's server takes no TLS on data connections, which profile {} asks for (ft_data_policy): it \
                 answered {reply}",
                tls.profile()
            );
            Err(Unopened::Handshake(TransferError::retry(Cause::Connection, text)))
        }
    }
}
