//! Settings of what is told to people: alarms, mail, traces.

use std::net::IpAddr;
use std::time::Duration;

use engine::watch::{MailPace, Thresholds};
use model::WebAddress;
use serde::{Deserialize, Serialize};

/// `[alarms]`: when a person is needed.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Alarms {
    /// Minutes that deliveries to a partner may keep failing, or events to a webhook.
    pub(crate) failing_min: u32,
    /// Minutes that a transfer may wait to be sent.
    pub(crate) waiting_min: u32,
    /// Logins refused within ten minutes.
    pub(crate) refused_logins: u32,
    /// Days since the last backup, if one was ever made; 0 for any.
    pub(crate) backup_days: u32,
    /// Seconds between two looks.
    pub(crate) every_s: u16,
}

impl Default for Alarms {
    fn default() -> Self {
        Self { failing_min: 15, waiting_min: 60, refused_logins: 100, backup_days: 8, every_s: 15 }
    }
}

impl Alarms {
    /// The same for the engine.
    pub(crate) fn thresholds(&self) -> Thresholds {
        let minutes = |n: u32| Duration::from_secs(u64::from(n).saturating_mul(60));
        Thresholds {
            failing: minutes(self.failing_min),
            waiting: minutes(self.waiting_min),
            refused_logins: u64::from(self.refused_logins).max(1),
            backup_age: Duration::from_secs(u64::from(self.backup_days).saturating_mul(86_400)),
            every: Duration::from_secs(u64::from(self.every_s).max(1)),
        }
    }
}

/// `[traces]`: where traces go; to nobody without an endpoint.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Traces {
    /// Address of an OpenTelemetry collector: `http://127.0.0.1:4318/v1/traces`.
    pub(crate) endpoint: String,
    /// Certificates of authorities that it is verified against; the system's where empty.
    pub(crate) ca_file: String,
}

impl Traces {
    /// The address of the collector, if there is one.
    ///
    /// # Errors
    /// A sentence, if it is none, or would show traces to others.
    pub(crate) fn address(&self) -> Result<Option<WebAddress>, String> {
        if self.endpoint.is_empty() {
            return Ok(None);
        }
        let address =
            WebAddress::parse(&self.endpoint).map_err(|e| format!("gatehouse.toml: [traces] endpoint: {e}"))?;
        match address.secure || address.is_loopback() {
            true => Ok(Some(address)),
            false => Err("gatehouse.toml: [traces] endpoint without TLS is for a collector on this machine".to_owned()),
        }
    }
}

/// `[mail]`: to whom alarms are told; without a server to nobody.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mail {
    /// `HOST:PORT`.
    pub(crate) server: String,
    pub(crate) tls: MailProtection,
    /// Certificates of authorities that the server is verified against; the system's where empty.
    pub(crate) ca_file: String,
    /// Name at the server; empty for none.
    pub(crate) login: String,
    /// File whose first line is the password; the credential `gatehouse.mail_password` where empty.
    pub(crate) password_file: String,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) timeout_s: u16,
    /// Seconds that alarms gather before a letter tells them.
    pub(crate) gather_s: u16,
    /// Seconds between two letters.
    pub(crate) pause_s: u16,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: String::new(),
            tls: MailProtection::Starttls,
            ca_file: String::new(),
            login: String::new(),
            password_file: String::new(),
            from: String::new(),
            to: Vec::new(),
            timeout_s: 30,
            gather_s: 30,
            pause_s: 600,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailProtection {
    Implicit,
    Starttls,
    None,
}

impl Mail {
    /// When letters are sent.
    pub(crate) fn pace(&self) -> MailPace {
        MailPace { gather: Duration::from_secs(self.gather_s.into()), pause: Duration::from_secs(self.pause_s.into()) }
    }

    /// Refuses what could not work, or would show a password or alarms to others.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.server.is_empty() {
            return Ok(());
        }
        let target = crate::tell::target(&self.server).map_err(|text| format!("gatehouse.toml: {text}"))?;
        if self.from.is_empty() || self.to.is_empty() || self.to.len() > channel::RECIPIENTS_MAX {
            return Err(format!(
                "gatehouse.toml: [mail] needs from, and 1 to {} addresses in to",
                channel::RECIPIENTS_MAX
            ));
        }
        let here = target.host == "localhost" || target.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        match self.tls {
            MailProtection::None if !here => Err(format!(
                "gatehouse.toml: [mail] tls = \"none\" is for a relay on this machine, and the server is {}: take \
                 starttls or implicit",
                self.server
            )),
            MailProtection::None if !self.login.is_empty() => {
                Err("gatehouse.toml: [mail] login needs tls: a password never goes in clear".to_owned())
            }
            _ => Ok(()),
        }
    }
}
