//! Handing a letter to a mail server (RFC 5321): with TLS from the start, after STARTTLS (RFC 3207), or in clear to a relay
//! on this machine. The server is verified; a password never goes in clear.

use std::path::PathBuf;
use std::time::Duration;

use base::Secret;
use smtp_proto::response::parser::ResponseReceiver;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::dial::{Target, dial_where};
use crate::tls::{TlsError, Trust, told};

/// Octets of one reply.
const REPLY_OCTETS_MAX: usize = 16 * 1024;
/// Addresses of one letter.
pub const RECIPIENTS_MAX: usize = 32;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailTls {
    /// From the start (usually port 465).
    Implicit,
    /// By STARTTLS (usually port 587 or 25); a server without it is not used.
    StartTls,
    /// Not at all: a relay on this machine.
    None,
}

/// How a mail server is reached.
#[derive(Clone, Debug)]
pub struct MailDoor {
    /// Where.
    pub target: Target,
    /// How.
    pub tls: MailTls,
    /// Authorities; the system's where none are named.
    pub ca_file: Option<PathBuf>,
    /// Our name in EHLO.
    pub own_name: String,
    /// Longest wait for the whole.
    pub wait: Duration,
}

/// A login at the mail server.
pub struct MailLogin {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Secret<String>,
}

/// A letter as it travels.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Sender.
    pub from: &'a str,
    /// Recipients.
    pub to: &'a [String],
    /// The letter with its headers, lines ended by CR LF.
    pub letter: &'a [u8],
}

/// Why a letter was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it")]
pub enum MailError {
    #[error("mail server {target}: {cause}")]
    Connect { target: String, cause: String },
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("mail server: no end in {0} s")]
    Timeout(u64),
    #[error("mail server: {0}")]
    Line(String),
    #[error("mail server does not offer {0}")]
    Missing(&'static str),
    #[error("mail server refuses {what}: {reply}")]
    Refused { what: &'static str, reply: String },
    #[error("address {0:?} can't be one of mail")]
    Address(String),
}

/// Hands a letter over; returns when the server has taken it.
///
/// # Errors
/// [`MailError`].
pub async fn send_mail(door: &MailDoor, login: Option<&MailLogin>, envelope: Envelope<'_>) -> Result<(), MailError> {
    let late = || MailError::Timeout(door.wait.as_secs());
    timeout(door.wait, deliver(door, login, envelope)).await.map_err(|_| late())?
}

async fn deliver(door: &MailDoor, login: Option<&MailLogin>, envelope: Envelope<'_>) -> Result<(), MailError> {
    let failed = |cause: String| MailError::Connect { target: door.target.to_string(), cause };
    let stream = dial_where(&door.target, door.wait, |_| true).await.map_err(|e| failed(e.to_string()))?;
    match door.tls {
        MailTls::Implicit => {
            let trust = Trust::read(door.ca_file.as_deref()).await?;
            let mut line = Line::new(trust.connect(&door.target.host, stream).await?);
            line.greeted().await?;
            line.talk(door, login, envelope).await
        }
        MailTls::StartTls => {
            let trust = Trust::read(door.ca_file.as_deref()).await?;
            let mut line = Line::new(stream);
            line.greeted().await?;
            let offers = line.ehlo(&door.own_name).await?;
            if !offers.iter().any(|offer| offer == "STARTTLS") {
                return Err(MailError::Missing("STARTTLS"));
            }
            line.ask("STARTTLS", "STARTTLS\r\n", 220).await?;
            let mut line = Line::new(trust.connect(&door.target.host, line.stream).await?);
            line.talk(door, login, envelope).await
        }
        MailTls::None => {
            if login.is_some() {
                return Err(MailError::Missing("a protected line for the password: set tls"));
            }
            let mut line = Line::new(stream);
            line.greeted().await?;
            line.talk(door, None, envelope).await
        }
    }
}

struct Line<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    const fn new(stream: S) -> Self {
        Self { stream }
    }

    async fn greeted(&mut self) -> Result<(), MailError> {
        self.reply("the connection", 220).await.map(drop)
    }

    /// The capabilities that the server offers, in capitals.
    async fn ehlo(&mut self, own_name: &str) -> Result<Vec<String>, MailError> {
        let offers = self.ask("EHLO", &format!("EHLO {own_name}\r\n"), 250).await?;
        Ok(offers.lines().map(|line| line.trim().to_ascii_uppercase()).collect())
    }

    async fn talk(
        &mut self,
        door: &MailDoor,
        login: Option<&MailLogin>,
        letter: Envelope<'_>,
    ) -> Result<(), MailError> {
        let offers = self.ehlo(&door.own_name).await?;
        if let Some(login) = login {
            self.log_in(login, &offers).await?;
        }
        self.ask("the sender", &format!("MAIL FROM:<{}>\r\n", address(letter.from)?), 250).await?;
        for to in letter.to.iter().take(RECIPIENTS_MAX) {
            self.ask("a recipient", &format!("RCPT TO:<{}>\r\n", address(to)?), 250).await?;
        }
        self.ask("DATA", "DATA\r\n", 354).await?;
        self.write(&stuffed(letter.letter)).await?;
        self.ask("the letter", ".\r\n", 250).await?;
        // It has the letter; how it says good-bye does not matter.
        drop(self.ask("QUIT", "QUIT\r\n", 221).await);
        Ok(())
    }

    async fn log_in(&mut self, login: &MailLogin, offers: &[String]) -> Result<(), MailError> {
        let words = offers.iter().find_map(|offer| offer.strip_prefix("AUTH ")).unwrap_or_default();
        if !words.split(' ').any(|word| word == "PLAIN") {
            return Err(MailError::Missing("AUTH PLAIN"));
        }
        // RFC 4616: nobody on behalf of, name, password.
        let octets = Secret::new(format!("\0{}\0{}", login.user, login.password.expose()).into_bytes());
        let words = Secret::new(base64::Engine::encode(&base64::prelude::BASE64_STANDARD, octets.expose()));
        let line = Secret::new(format!("AUTH PLAIN {}\r\n", words.expose()));
        self.ask("the login", line.expose(), 235).await.map(drop)
    }

    async fn ask(&mut self, what: &'static str, command: &str, expected: u16) -> Result<String, MailError> {
        self.write(command.as_bytes()).await?;
        self.reply(what, expected).await
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), MailError> {
        self.stream.write_all(octets).await.map_err(|e| MailError::Line(told(&e)))?;
        self.stream.flush().await.map_err(|e| MailError::Line(told(&e)))
    }

    async fn reply(&mut self, what: &'static str, expected: u16) -> Result<String, MailError> {
        let (mut receiver, mut octets, mut read) = (ResponseReceiver::default(), [0; 1024], 0_usize);
        loop {
            let n = self.stream.read(&mut octets).await.map_err(|e| MailError::Line(told(&e)))?;
            read = read.saturating_add(n);
            if n == 0 || read > REPLY_OCTETS_MAX {
                return Err(MailError::Line(format!("no whole reply to {what}")));
            }
            let mut more = octets.get(..n).unwrap_or_default().iter();
            match receiver.parse(&mut more) {
                // More than the reply was asked for: with STARTTLS somebody would speak in the server's name.
                Ok(_) if more.next().is_some() => return Err(MailError::Line("it speaks unasked".to_owned())),
                Ok(reply) if reply.code == expected || (expected == 250 && reply.code == 251) => {
                    return Ok(reply.message);
                }
                Ok(reply) => {
                    let text = format!("{} {}", reply.code, base::octets_text(reply.message.as_bytes()));
                    return Err(MailError::Refused { what, reply: text });
                }
                Err(smtp_proto::Error::NeedsMoreData { .. }) => {}
                Err(_) => return Err(MailError::Line(format!("its reply to {what} is none of SMTP"))),
            }
        }
    }
}

/// An address that cannot end a command.
fn address(text: &str) -> Result<&str, MailError> {
    let good = text.contains('@') && text.bytes().all(|o| o.is_ascii_graphic() && !matches!(o, b'<' | b'>'));
    if good { Ok(text) } else { Err(MailError::Address(text.to_owned())) }
}

/// A dot that begins a line is doubled (RFC 5321 section 4.5.2); the last line is ended.
fn stuffed(letter: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(letter.len().saturating_add(64));
    let mut begins = true;
    for octet in letter {
        if begins && *octet == b'.' {
            out.push(b'.');
        }
        out.push(*octet);
        begins = *octet == b'\n';
    }
    if !begins {
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_and_addresses_cannot_speak() {
        assert_eq!(stuffed(b".a\r\nb.\r\n..c"), b"..a\r\nb.\r\n...c\r\n");
        assert!(address("a@b").is_ok());
        for text in ["a", "a@b>\r\nDATA", "a@b c", "<a@b>", "ä@b"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
