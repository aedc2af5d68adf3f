//! Settings of the instance: `gatehouse.toml` in the data folder. Objects are in the database, not here (DESIGN 1.7).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use db::State;
use engine::care::RetentionRules;
use engine::store::{local, s3};
use serde::{Deserialize, Serialize};

use crate::data_dir::DataDir;
use telling::Alarms;
pub(crate) use telling::{Mail, MailProtection, Traces};
use tokens::{Master, Module};

mod telling;
mod tokens;

/// All settings; every one has a default, unknown names are errors.
#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) node: Node,
    pub(crate) shutdown: Shutdown,
    pub(crate) partners: Partners,
    pub(crate) retention: Retention,
    pub(crate) alarms: Alarms,
    pub(crate) mail: Mail,
    pub(crate) traces: Traces,
    /// Libraries of PKCS#11 tokens, by name.
    pkcs11: BTreeMap<String, Module>,
    master_key: Master,
    pub(crate) keys: tokens::Keys,
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

/// `[node]`: this gateway as one of several that share a PostgreSQL.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Node {
    /// Its name; empty for the name of the machine.
    pub(crate) name: String,
    /// Seconds without a sign of life after which others take over what it was at work on.
    pub(crate) lease_s: u32,
}

impl Default for Node {
    fn default() -> Self {
        Self { name: String::new(), lease_s: 30 }
    }
}

impl Node {
    /// Bounds of `lease_s`: shorter ones end by a busy machine, longer ones leave partners waiting. A database that leaves
    /// a commit unanswered ([`db::DbError::Unanswered`], after 60 s) has ended each lease, and what the commit took with it.
    const LEASE_S: std::ops::RangeInclusive<u32> = 2..=60;
    const NAME_MAX: usize = 63;

    fn check(&self) -> Result<(), String> {
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.len() > Self::NAME_MAX || !self.name.chars().all(usable) {
            return Err(format!(
                "gatehouse.toml: [node] name {:?}: give up to {} letters, digits, '-', '_' or '.'",
                self.name,
                Self::NAME_MAX
            ));
        }
        match Self::LEASE_S.contains(&self.lease_s) {
            true => Ok(()),
            false => Err(format!(
                "gatehouse.toml: [node] lease_s {}: give {} to {}",
                self.lease_s,
                Self::LEASE_S.start(),
                Self::LEASE_S.end()
            )),
        }
    }

    /// Its name, and that of the machine.
    pub(crate) fn names(&self) -> (String, String) {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        match self.name.as_str() {
            "" => (host.clone(), host),
            name => (name.to_owned(), host),
        }
    }
}

impl Database {
    /// Whether other gateways may use it.
    pub(crate) fn is_shared(&self) -> bool {
        !self.url.is_empty() && !self.url.starts_with("sqlite:") && !self.url.starts_with('/')
    }
}

/// `[store]`
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// `local`: files in a folder; `s3`: objects of an S3-compatible store, and the folder for what arrives.
    pub(crate) kind: String,
    /// Folder of the payloads, absolute; empty for the data folder. Nodes that share it share the files.
    pub(crate) folder: String,
    /// Bucket of the object store.
    pub(crate) bucket: String,
    /// Region of the bucket.
    pub(crate) region: String,
    /// Address of the object store; empty for that of the region.
    pub(crate) endpoint: String,
    /// What stands before the names of all objects.
    pub(crate) prefix: String,
    /// File with the certificates that the object store's is signed by; empty for the system's.
    pub(crate) ca_file: String,
    /// Whether an address without TLS will do.
    pub(crate) allow_http: bool,
    /// File with the right to use the bucket; empty for the credential `gatehouse.s3` of the service manager, or the
    /// environment.
    pub(crate) credentials_file: String,
    /// Encrypt stored payloads.
    pub(crate) seal: bool,
    /// Compute SHA-256 of stored payloads.
    pub(crate) hash: bool,
}

/// `[partners]`
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Partners {
    /// Minutes over which it is counted what a partner transfers; 0: not at all (FTP-15).
    pub(crate) quota_window_min: u16,
}

impl Default for Partners {
    fn default() -> Self {
        Self { quota_window_min: 10 }
    }
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
        Self {
            kind: local::NAME.to_owned(),
            folder: String::new(),
            bucket: String::new(),
            region: "us-east-1".to_owned(),
            endpoint: String::new(),
            prefix: String::new(),
            ca_file: String::new(),
            allow_http: false,
            credentials_file: String::new(),
            seal: true,
            hash: true,
        }
    }
}

impl Store {
    fn check(&self) -> Result<(), String> {
        if !self.folder.is_empty() && !self.folder.starts_with('/') {
            return Err(format!("gatehouse.toml: [store] folder {:?}: give an absolute path", self.folder));
        }
        match self.kind.as_str() {
            local::NAME => Ok(()),
            s3::NAME if self.bucket.is_empty() => {
                Err("gatehouse.toml: [store] kind is s3, bucket is empty: name the bucket".to_owned())
            }
            s3::NAME => Ok(()),
            other => Err(format!("gatehouse.toml: [store] kind {other:?}: give local or s3")),
        }
    }

    /// The object store with the right to use it, if there is to be one.
    ///
    /// # Errors
    /// A sentence that says where the right was looked for; nothing of it.
    pub(crate) fn s3(&self) -> Result<Option<s3::S3Options>, String> {
        if self.kind != s3::NAME {
            return Ok(None);
        }
        Ok(Some(s3::S3Options {
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            prefix: self.prefix.clone(),
            ca_file: Some(self.ca_file.as_str()).filter(|path| !path.is_empty()).map(PathBuf::from),
            allow_http: self.allow_http,
            credentials: Arc::new(self.credentials()?),
        }))
    }

    fn credentials(&self) -> Result<s3::S3Credentials, String> {
        let of_manager = || std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join(S3_CREDENTIAL));
        let file = match self.credentials_file.as_str() {
            "" => of_manager().filter(|path| path.exists()),
            path => Some(PathBuf::from(path)),
        };
        if let Some(path) = file {
            let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
            let text = std::fs::read_to_string(&path).map_err(|e| failed(&e))?;
            return s3::S3Credentials::parse(&text).map_err(|e| failed(&e));
        }
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
            (Some(access_key_id), Some(key)) => Ok(s3::S3Credentials {
                access_key_id,
                secret_access_key: base::Secret::new(key),
                session_token: env("AWS_SESSION_TOKEN").map(base::Secret::new),
            }),
            _ => Err(format!(
                "the object store wants credentials: give [store] credentials_file, the credential {S3_CREDENTIAL} of \
                 the service manager, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )),
        }
    }
}

/// Name of a credential of the service manager.
const S3_CREDENTIAL: &str = "gatehouse.s3";

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
        settings.node.check()?;
        settings.store.check()?;
        settings.mail.check()?;
        settings.traces.address()?;
        settings.keys.sizes()?;
        settings.keeper()?;
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
        if self.database.is_shared() && self.store.folder.is_empty() && self.store.kind == local::NAME {
            all.push(
                "[store] folder is empty and the database is a PostgreSQL: other nodes cannot read the files of this \
                 one; give all of them one shared folder, unless this node stays alone"
                    .to_owned(),
            );
        }
        if self.store.kind == s3::NAME && self.store.endpoint.starts_with("http://") {
            all.push("[store] endpoint has no TLS: who asks for which file can be seen on the way".to_owned());
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
