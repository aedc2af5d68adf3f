//! Logging in through an FTP proxy (OBJ-33): what it is told, command by command.

use base::Secret;
use channel::Target;
use engine::{Cause, TransferError};
use model::{ProxyKind, ProxyStep, ProxyVerb, ProxyWord};

use super::Caller;
use super::argument;
use super::control::Control;
use super::login::{outcome, secret, unfit};
use crate::carriers::ftp::wire::{Command, Named};
use crate::carriers::{ProxyLogin, Unopened};

/// The port that is not named.
const USUAL_PORT: u16 = 21;

/// Carries out the commands of the proxy's login type. Each is answered before the next is sent; a refusal ends the login.
pub(super) async fn log_in(control: &mut Control, caller: &Caller, login: &ProxyLogin) -> Result<(), Unopened> {
    let ProxyKind::Commands { login: steps, .. } = &login.proxy.kind else {
        return Err(unfit("an FTP proxy", "ft_proxy"));
    };
    let mut last = None;
    for step in steps {
        // A proxy without passwords goes on at once, and takes PASS for a mistake.
        if last == Some((ProxyVerb::User, 230)) && step.verb == ProxyVerb::Pass {
            continue;
        }
        let reply = control.ask(&command(step, caller, login)?).await?;
        if reply.code() >= 400 {
            let text =
                format!("proxy {} answered {} with {reply}", login.proxy.name, command(step, caller, login)?.verb());
            return Err(Unopened::Login(TransferError::retry(Cause::Connection, text)));
        }
        last = Some((step.verb, reply.code()));
        if step == steps.last().unwrap_or(step) {
            return match (reply.code(), &caller.account) {
                (332, Some(account)) => outcome(&control.ask(&Command::Acct(secret(account, "password2")?)).await?),
                _ => outcome(&reply),
            };
        }
    }
    Err(unfit("the commands of its login", "script"))
}

fn command(step: &ProxyStep, caller: &Caller, login: &ProxyLogin) -> Result<Command, Unopened> {
    let text = filled(&step.words, caller, login)?;
    let plain = |text: &Secret<String>| argument(text.expose().as_bytes());
    Ok(match step.verb {
        ProxyVerb::User => Command::Named(Named::User, plain(&text)?),
        ProxyVerb::Site => Command::Named(Named::Site, plain(&text)?),
        ProxyVerb::Open => Command::Open(plain(&text)?),
        ProxyVerb::Pass => Command::Pass(secret(&text, "login_password")?),
        ProxyVerb::Acct => Command::Acct(secret(&text, "login_password")?),
    })
}

/// The text of a command. It may hold passwords, whatever the verb: scripts are free.
fn filled(words: &[ProxyWord], caller: &Caller, login: &ProxyLogin) -> Result<Secret<String>, Unopened> {
    let Target { host, port, .. } = &caller.target;
    let password = |given: &Option<Secret<String>>, what: &str, field: &str| {
        given.as_ref().map(|secret| secret.expose().clone()).ok_or_else(|| unfit(what, field))
    };
    let mut text = String::new();
    for word in words {
        text.push_str(&match word {
            ProxyWord::Text(text) => text.clone(),
            ProxyWord::ProxyUser => login.proxy.user.clone().ok_or_else(|| unfit("user name of the proxy", "user"))?,
            ProxyWord::ProxyPassword => password(&login.password, "password of the proxy", "password")?,
            ProxyWord::User => caller.login.clone(),
            ProxyWord::Password => password(&caller.password, "password", "login_password")?,
            ProxyWord::Host => host.clone(),
            ProxyWord::Port => port.to_string(),
            ProxyWord::HostPort if *port == USUAL_PORT => host.clone(),
            ProxyWord::HostPort => format!("{host}:{port}"),
        });
    }
    Ok(Secret::new(text))
}
