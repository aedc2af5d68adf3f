//! How events and alarms leave the house: posts to webhooks, letters through a mail server.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base::Secret;
use bytes::Bytes;
use channel::{Envelope, MailDoor, MailLogin, MailTls, Target, WebAnswer, WebDoor, WebError, WebLine, send_mail};
use engine::watch::{Answer, Courier, Letter, Parcel};
use mail_builder::MessageBuilder;

use crate::settings::{Mail, MailProtection, Traces};

/// Octets of an answer that are read.
const ANSWER_OCTETS_MAX: usize = 4 * 1024;
/// Connections that are kept.
const LINES_MAX: usize = 64;
/// Longest wait for the collector of traces.
const TRACE_MAX: Duration = Duration::from_secs(5);
/// Name under which its connection is kept; none of a webhook.
const COLLECTOR: &str = "@traces";
/// Octets of the file that holds the password of the mail server.
const PASSWORD_OCTETS_MAX: u64 = 4 * 1024;
/// Credential of the service manager that holds it, where no file is named.
const CREDENTIAL: &str = "gatehouse.mail_password";

/// Carries events and letters.
pub(crate) struct Teller {
    /// Connections to webhooks, by name.
    lines: Mutex<HashMap<String, WebLine>>,
    mail: Mail,
    /// The collector of traces.
    collector: Option<WebDoor>,
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

impl Teller {
    /// # Errors
    /// A sentence, if the collector of traces has no address.
    pub(crate) fn new(mail: Mail, traces: &Traces) -> Result<Self, String> {
        let door = |address| WebDoor {
            address,
            // A collector is chosen in the settings of the instance, which an operator of objects cannot change.
            allow_private: true,
            ca_file: Some(traces.ca_file.as_str()).filter(|file| !file.is_empty()).map(PathBuf::from),
            wait: TRACE_MAX,
            answer_octets_max: ANSWER_OCTETS_MAX,
        };
        Ok(Self { lines: Mutex::default(), mail, collector: traces.address()?.map(door) })
    }

    /// Posts on the connection that is kept under `name`, or on a fresh one.
    async fn post_to(
        &self,
        name: &str,
        door: &WebDoor,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Answer, String> {
        if let Some(mut line) = self.take_line(name, door) {
            match line.post(headers, body.clone()).await {
                Ok(answer) => {
                    self.keep_line(name, line);
                    return Ok(told(answer));
                }
                // The server may have closed a line that rested; a fresh one tells more.
                Err(WebError::Answer(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        let mut line = WebLine::open(door).await.map_err(|e| e.to_string())?;
        let answer = line.post(headers, body).await.map_err(|e| e.to_string())?;
        self.keep_line(name, line);
        Ok(told(answer))
    }

    fn take_line(&self, name: &str, door: &WebDoor) -> Option<WebLine> {
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        line.filter(|line| line.fits(door))
    }

    fn keep_line(&self, name: &str, line: WebLine) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.insert(name.to_owned(), line);
        }
    }
}

#[async_trait]
impl Courier for Teller {
    async fn post(&self, parcel: Parcel) -> Result<Answer, String> {
        let hook = &parcel.hook;
        let door = WebDoor {
            address: hook.address.clone(),
            allow_private: hook.allow_private,
            ca_file: hook.ca_file.as_ref().map(PathBuf::from),
            wait: hook.timeout,
            answer_octets_max: ANSWER_OCTETS_MAX,
        };
        self.post_to(&hook.name, &door, &parcel.headers, Bytes::from(parcel.body)).await
    }

    async fn mail(&self, letter: Letter) -> Result<(), String> {
        let door = MailDoor {
            target: target(&self.mail.server)?,
            tls: match self.mail.tls {
                MailProtection::Implicit => MailTls::Implicit,
                MailProtection::Starttls => MailTls::StartTls,
                MailProtection::None => MailTls::None,
            },
            ca_file: Some(self.mail.ca_file.as_str()).filter(|file| !file.is_empty()).map(PathBuf::from),
            own_name: "localhost".to_owned(),
            wait: Duration::from_secs(self.mail.timeout_s.into()),
        };
        let login = match self.mail.login.as_str() {
            "" => None,
            user => Some(MailLogin { user: user.to_owned(), password: password(&self.mail.password_file)? }),
        };
        let text = written(&self.mail, letter)?;
        let envelope = Envelope { from: &self.mail.from, to: &self.mail.to, letter: &text };
        send_mail(&door, login.as_ref(), envelope).await.map_err(|e| e.to_string())
    }

    fn has_mail(&self) -> bool {
        !self.mail.server.is_empty()
    }

    async fn trace(&self, body: Vec<u8>) -> Result<Answer, String> {
        let door = self.collector.as_ref().ok_or("no collector is configured")?;
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        self.post_to(COLLECTOR, door, &headers, Bytes::from(body)).await
    }

    fn has_traces(&self) -> bool {
        self.collector.is_some()
    }
}

fn told(answer: WebAnswer) -> Answer {
    let text = base::octets_text(&answer.body);
    Answer { status: answer.status, retry_after_s: answer.retry_after_s, text }
}

/// `HOST:PORT`, an IPv6 address in brackets.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    let wrong = || format!("[mail] server is {text:?}: give HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    if host.is_empty() { Err(wrong()) } else { Ok(Target::new(host, port)) }
}

fn written(mail: &Mail, letter: Letter) -> Result<Vec<u8>, String> {
    let to: Vec<&str> = mail.to.iter().map(String::as_str).collect();
    let id = base::hex(&base::random::<16>().map_err(|e| e.to_string())?);
    let domain = mail.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    MessageBuilder::new()
        .from(mail.from.as_str())
        .to(to)
        .subject(letter.subject)
        .message_id(format!("{id}@{domain}"))
        // RFC 3834: no robot answers a robot.
        .header("Auto-Submitted", mail_builder::headers::raw::Raw::new("auto-generated"))
        .text_body(letter.text)
        .write_to_vec()
        .map_err(|e| e.to_string())
}

/// The password of the mail server: read each time, so that a new one needs no restart.
fn password(file: &str) -> Result<Secret<String>, String> {
    use std::io::Read;
    let path = match (file, std::env::var_os("CREDENTIALS_DIRECTORY")) {
        ("", None) => return Err("[mail] login needs password_file".to_owned()),
        ("", Some(folder)) => PathBuf::from(folder).join(CREDENTIAL),
        (file, _) => PathBuf::from(file),
    };
    let failed = |e: std::io::Error| format!("[mail] password_file {}: {e}", path.display());
    let mut text = String::new();
    std::fs::File::open(&path).map_err(failed)?.take(PASSWORD_OCTETS_MAX).read_to_string(&mut text).map_err(failed)?;
    let first = text.lines().next().unwrap_or_default().to_owned();
    drop(Secret::new(text));
    Ok(Secret::new(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_one_of_mail() {
        let mail = Mail { from: "g@example.org".to_owned(), to: vec!["a@b.c".to_owned()], ..Mail::default() };
        let letter = Letter { subject: "[gatehouse main] 1 open: ä".to_owned(), text: "cause: ö\n.\n".to_owned() };
        let text = String::from_utf8(written(&mail, letter).unwrap()).unwrap();
        assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
        assert!(
            text.is_ascii() && text.contains("From: ") && text.contains("<a@b.c>") && text.contains("Date: "),
            "{text}"
        );
    }

    #[test]
    fn servers_are_named_with_a_port() {
        assert_eq!(target("[::1]:25").unwrap().to_string(), "[::1]:25");
        assert_eq!(target("mail.example.org:587").unwrap().port, 587);
        for text in ["mail", ":25", "mail:0", "mail:x"] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
