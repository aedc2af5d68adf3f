//! Settings of the instance: `gatehouse.toml` in the data folder. Objects are in the database, not here (DESIGN 1.7).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use db::State;
use engine::care::RetentionRules;
use engine::watch::{MailPace, Thresholds};
use model::WebAddress;
use serde::{Deserialize, Serialize};

use crate::data_dir::DataDir;

/// All settings; every one has a default, unknown names are errors.
#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) shutdown: Shutdown,
    pub(crate) retention: Retention,
    pub(crate) alarms: Alarms,
    pub(crate) mail: Mail,
    pub(crate) traces: Traces,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, or directives such as `info,channel=debug`.
    pub(crate) level: String,
    /// File that log lines go to; empty for standard output. A relative path is below the data folder.
    pub(crate) file: String,
    /// Size in MiB after which a new file begins; 0 for any size.
    pub(crate) max_mib: u32,
    /// Whether a new file begins with each day (UTC).
    pub(crate) daily: bool,
    /// Old files that are kept.
    pub(crate) keep: u32,
}

/// `[alarms]`: when a person is needed.
#[derive(Debug, Deserialize, Eq, PartialEq)]
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
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
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
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
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

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
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
    fn check(&self) -> Result<(), String> {
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

/// `[retention]`: days, 0 for ever.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// Ended transfers with their files.
    pub(crate) days: u32,
    /// The same for some end states: `acknowledged`, `cancelled`, `deleted`, `ended`, `refused_by_gateway`,
    /// `refused_by_user`.
    pub(crate) states: BTreeMap<String, u32>,
    /// Received files that went nowhere.
    pub(crate) unrouted_days: u32,
    /// Files at a partner's disposal and interrupted uploads: then they are cancelled.
    pub(crate) waiting_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        let RetentionRules { days, unrouted_days, waiting_days, .. } = RetentionRules::default();
        Self { days, states: BTreeMap::new(), unrouted_days, waiting_days }
    }
}

impl Retention {
    /// The rules, checked.
    ///
    /// # Errors
    /// A sentence that names the state that is none.
    pub(crate) fn rules(&self) -> Result<RetentionRules, String> {
        let mut states = BTreeMap::new();
        for (word, days) in &self.states {
            let state = State::parse(&word.replace('_', " ")).filter(|state| state.is_end());
            let state = state.ok_or_else(|| {
                let known = State::ALL.iter().filter(|s| s.is_end()).map(|s| s.word().replace(' ', "_"));
                let known: Vec<String> = known.collect();
                format!("gatehouse.toml: [retention.states] {word:?} is no end state: give one of {}", known.join(", "))
            })?;
            states.insert(state.letter(), *days);
        }
        Ok(RetentionRules {
            days: self.days,
            states,
            unrouted_days: self.unrouted_days,
            waiting_days: self.waiting_days,
        })
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// `[metrics]`
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Where `/metrics` and `/health` answer; a loopback address.
    pub(crate) address: SocketAddr,
    /// Numbers of failures name the site: as many series as there are partners.
    pub(crate) sites: bool,
}

/// `[database]`
#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    /// `postgres://…`; empty for the SQLite file in the data folder.
    pub(crate) url: String,
}

/// `[store]`
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// Encrypt stored payloads.
    pub(crate) seal: bool,
    /// Compute SHA-256 of stored payloads.
    pub(crate) hash: bool,
}

/// `[shutdown]`
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shutdown {
    /// Seconds that running sessions may go on after SIGTERM.
    pub(crate) drain_s: u16,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
            file: String::new(),
            max_mib: 100,
            daily: false,
            keep: 10,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)), sites: false }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { seal: true, hash: true }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain_s: 30 }
    }
}

impl Settings {
    /// Reads the settings of a data folder.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(crate) fn of(dir: &DataDir) -> Result<Self, String> {
        let text = dir.settings_text().map_err(|e| format!("{}: {e}", dir.settings_file().display()))?;
        Self::read(&text)
    }

    /// Reads the settings file's text.
    ///
    /// # Errors
    /// A sentence with line and column.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let settings: Self = toml::from_str(text).map_err(|e| format!("gatehouse.toml: {e}"))?;
        settings.retention.rules()?;
        settings.mail.check()?;
        settings.traces.address()?;
        match settings.metrics.address.ip().is_loopback() {
            true => Ok(settings),
            false => Err(format!(
                "gatehouse.toml: [metrics] address {} is reachable from outside: give a loopback address",
                settings.metrics.address
            )),
        }
    }

    /// The file that log lines go to, if they go to one.
    pub(crate) fn log_path(&self, data: &Path) -> Option<PathBuf> {
        Some(self.log.file.as_str()).filter(|name| !name.is_empty()).map(|name| data.join(name))
    }

    /// What weakens the gateway, a sentence each, for `check` and the log.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if !self.store.seal {
            all.push("[store] seal is off: payloads are stored in clear".to_owned());
        }
        if !self.store.hash {
            all.push("[store] hash is off: payloads are stored without SHA-256".to_owned());
        }
        all
    }
}

/// The settings file without what is a secret, or may hold one: passwords in addresses, logins, and whatever is called so.
pub(crate) fn without_secrets(text: &str) -> String {
    let Ok(mut table) = text.parse::<toml::Table>() else { return "# it is no TOML\n".to_owned() };
    hide(&mut table);
    toml::to_string(&table).unwrap_or_default()
}

fn hide(table: &mut toml::Table) {
    for (name, value) in table.iter_mut() {
        let named = ["password", "secret", "token", "login", "passphrase"].iter().any(|word| name.contains(word));
        match value {
            toml::Value::Table(below) => hide(below),
            toml::Value::String(text) if text.is_empty() || name.ends_with("_file") => {}
            toml::Value::String(text) if named => "***".clone_into(text),
            toml::Value::String(text) => *text = without_userinfo(text),
            _ => {}
        }
    }
}

/// An address without the user and password in it, or in its query.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let bare = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, host)| format!("***@{host}"));
    let bare = bare.split_once('?').map_or_else(|| bare.clone(), |(before, _)| format!("{before}?***"));
    format!("{scheme}://{bare}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_safe_ones() {
        let settings = Settings::read("").unwrap();
        assert!(settings.store.seal && settings.store.hash && settings.metrics.address.ip().is_loopback());
        assert!(settings.warnings().is_empty());
    }

    #[test]
    fn secrets_of_the_settings_are_hidden() {
        let text = "[database]\nurl = \"postgres://gate:PASS@db/g?password=PASS\"\n[mail]\nlogin = \"PASS\"\n\
                    password_file = \"/etc/x\"\n[other]\napi_token = \"PASS\"\n";
        let hidden = without_secrets(text);
        assert!(
            !hidden.contains("PASS") && hidden.contains("postgres://***@db/g?***") && hidden.contains("/etc/x"),
            "{hidden}"
        );
        assert!(!without_secrets("[mail\nlogin = \"PASS\"").contains("PASS"));
    }

    #[test]
    fn mail_in_clear_stays_on_this_machine() {
        let mail = |more: &str| {
            Settings::read(&format!("[mail]\nfrom = \"g@a\"\nto = [\"o@a\"]\n{more}")).map(|settings| settings.mail.tls)
        };
        assert_eq!(mail("server = \"mail.example.org:587\""), Ok(MailProtection::Starttls));
        assert_eq!(mail("server = \"127.0.0.1:25\"\ntls = \"none\""), Ok(MailProtection::None));
        assert!(mail("server = \"192.0.2.1:25\"\ntls = \"none\"").unwrap_err().contains("relay on this machine"));
        assert!(
            mail("server = \"[::1]:25\"\ntls = \"none\"\nlogin = \"x\"").unwrap_err().contains("never goes in clear")
        );
        assert!(Settings::read("[mail]\nserver = \"a:25\"").unwrap_err().contains("needs from"));
    }

    #[test]
    fn unknown_names_and_open_ports_are_errors() {
        let text = Settings::read("[store]\nseel = true\n").unwrap_err();
        assert!(text.contains("seel") && text.contains("line 2"), "{text}");
        assert!(Settings::read("[metrics]\naddress = \"0.0.0.0:9464\"\n").unwrap_err().contains("loopback"));
        assert_eq!(Settings::read("[store]\nseal = false\n").unwrap().warnings().len(), 1);
        let text = Settings::read("[retention.states]\nservicing = 3\n").unwrap_err();
        assert!(text.contains("no end state") && text.contains("refused_by_user"), "{text}");
        let rules = Settings::read("[retention]\ndays = 7\n[retention.states]\ncancelled = 1\n").unwrap();
        let rules = rules.retention.rules().unwrap();
        assert_eq!((rules.days, rules.states.get("C")), (7, Some(&1)));
    }
}
