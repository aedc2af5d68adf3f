//! Looking at an FTP server without logging in: greeting, features, and whether it begins TLS.

use std::time::Duration;

use async_trait::async_trait;
use base::{Shown, brief};
use channel::{BeforeTls, Link, Target, call_link};

use super::control::Control;
use super::names::first_text;
use crate::carriers::Looked;
use crate::carriers::ftp::wire::{Argument, Bare, Command, Named, Reply};
use crate::outward::ClientError;

/// Features that are told.
const FEATURES_MAX: usize = 60;
/// Characters of a line of the server's that are told.
const LINE_CHARS_MAX: usize = 120;

/// The longest wait for a reply when TLS is begun.
const REPLY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Calls a server, listens, asks FEAT and AUTH TLS, and hangs up. No login is sent.
///
/// # Errors
/// A sentence: nobody answers, or it is no FTP server.
pub async fn look(target: &Target, wait: Duration) -> Result<Looked, String> {
    let link = call_link(target, wait).await.map_err(|e| e.to_string())?;
    let mut control = Control::new(link, wait);
    let mut seen = Looked::default();
    match control.last_reply().await {
        Ok(reply) if (220..=229).contains(&reply.code()) => {
            seen.greeting = lines(&reply).next().unwrap_or_default();
            if seen.greeting.is_empty() {
                seen.greeting = reply.code().to_string();
            }
        }
        Ok(reply) => {
            return Err(format!(
                "{target} lets nobody in now: it greets with {}",
                brief(&reply.to_string(), LINE_CHARS_MAX)
            ));
        }
        Err(ClientError::Silent { .. }) => return Ok(seen),
        Err(error) => return Err(format!("{target} does not greet as an FTP server: {error}")),
    }
    let told = |error: ClientError| format!("{target} went away while it was looked at: {error}");
    let reply = control.ask(&Command::Bare(Bare::Feat)).await.map_err(told)?;
    if reply.code() == 211 {
        // The first and the last line are only the frame (RFC 2389 section 3.2).
        let all: Vec<String> = lines(&reply).skip(1).collect();
        let inner = all.len().saturating_sub(1);
        seen.features = all.into_iter().take(inner.min(FEATURES_MAX)).collect();
    }
    let reply = control.ask(&auth_tls()).await.map_err(told)?;
    seen.begins_tls = reply.code() == 234;
    seen.answer = brief(&format!("{} {}", reply.code(), Shown(first_text(&reply).as_bytes())), LINE_CHARS_MAX);
    if !seen.begins_tls {
        control.quit(&Command::Bare(Bare::Quit)).await;
    }
    Ok(seen)
}

/// Begins TLS on request (RFC 4217 section 4).
#[derive(Clone, Copy, Debug)]
pub struct AuthTls;

#[async_trait]
impl BeforeTls for AuthTls {
    async fn begin(&self, link: Link) -> Result<Link, String> {
        let mut control = Control::new(link, REPLY_WAIT_MAX);
        control.last_reply().await.map_err(|e| e.to_string())?;
        let reply = control.ask(&auth_tls()).await.map_err(|e| e.to_string())?;
        match reply.code() {
            234 => control.take_clear().map_err(|e| e.to_string()),
            _ => Err(format!("it answered AUTH TLS with {}", brief(&reply.to_string(), LINE_CHARS_MAX))),
        }
    }
}

fn auth_tls() -> Command {
    Command::Named(Named::Auth, Argument::made_to_fit(b"TLS"))
}

fn lines(reply: &Reply) -> impl Iterator<Item = String> {
    reply.lines().map(|line| brief(Shown(line.octets()).to_string().trim(), LINE_CHARS_MAX))
}
