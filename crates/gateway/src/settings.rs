//! Settings of the instance: `gatehouse.toml` in the data folder. Objects are in the database, not here (DESIGN 1.7).

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

/// All settings; every one has a default, unknown names are errors.
#[derive(Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) shutdown: Shutdown,
}

/// `[log]`
#[derive(Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, or directives such as `info,channel=debug`.
    pub(crate) level: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// `[metrics]`
#[derive(Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Where `/metrics` and `/health` answer; a loopback address.
    pub(crate) address: SocketAddr,
}

/// `[database]`
#[derive(Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    /// `postgres://…`; empty for the SQLite file in the data folder.
    pub(crate) url: String,
}

/// `[store]`
#[derive(Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// Encrypt stored payloads.
    pub(crate) seal: bool,
    /// Compute SHA-256 of stored payloads.
    pub(crate) hash: bool,
}

/// `[shutdown]`
#[derive(Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shutdown {
    /// Seconds that running sessions may go on after SIGTERM.
    pub(crate) drain_s: u16,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)) }
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
    /// Reads the settings file's text.
    ///
    /// # Errors
    /// A sentence with line and column.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let settings: Self = toml::from_str(text).map_err(|e| format!("gatehouse.toml: {e}"))?;
        match settings.metrics.address.ip().is_loopback() {
            true => Ok(settings),
            false => Err(format!(
                "gatehouse.toml: [metrics] address {} is reachable from outside: give a loopback address",
                settings.metrics.address
            )),
        }
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
    fn unknown_names_and_open_ports_are_errors() {
        let text = Settings::read("[store]\nseel = true\n").unwrap_err();
        assert!(text.contains("seel") && text.contains("line 2"), "{text}");
        assert!(Settings::read("[metrics]\naddress = \"0.0.0.0:9464\"\n").unwrap_err().contains("loopback"));
        assert_eq!(Settings::read("[store]\nseal = false\n").unwrap().warnings().len(), 1);
    }
}
