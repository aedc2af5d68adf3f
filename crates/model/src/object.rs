//! Objects as they are stored: kind, name, state, and a map of typed values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base::{Alias, ObjectId, UtcMicros};
use serde::{Deserialize, Serialize};

/// What an object is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// A port on which the gateway listens.
    Listener,
    /// Which security an incoming connection gets.
    NetworkProfile,
    /// Algorithms, keys and trust of an SSH connection.
    SshProfile,
    /// Versions, suites, certificates and trust of a TLS connection.
    TlsProfile,
    /// A bare key, private or public.
    Key,
    /// An X.509 certificate, with or without its private key.
    Certificate,
    /// A list of revoked certificates.
    Crl,
    /// The gateway itself, as partners know it.
    LocalSite,
    /// A computer between us and a partner.
    Proxy,
    /// A partner.
    RemoteSite,
    /// Gates of one port, with what they share.
    CgateGroup,
    /// Who may log in, and with what rights.
    Cgate,
    /// A virtual folder.
    VfdDir,
    /// A real folder that files are taken from.
    DropFolder,
    /// A program that is asked or told what happens.
    Hook,
    /// How a file is treated.
    Application,
    /// What a transfer made by a rule looks like.
    TransferModel,
    /// When a model is applied.
    DecisionRule,
    /// Decision rules in order.
    RuleTable,
    /// A web server that is told of events.
    Webhook,
}

/// A word that names no [`Kind`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is no kind of object: use one of LISTENER, NETWORK_PROFILE, SSH_PROFILE, TLS_PROFILE, KEY, CERTIFICATE, \
         CRL, LOCAL_SITE, PROXY, SITE, CGATE_GROUP, CGATE, VFD_DIR, DROP_FOLDER, HOOK, APPLICATION, MODEL, \
         DECISION_RULE, RULE_TABLE, WEBHOOK"
)]
pub struct KindError(String);

impl Kind {
    /// Every kind, in the order in which objects can be created without a missing reference.
    pub const ALL: [Self; 20] = [
        Self::Key,
        Self::Certificate,
        Self::Crl,
        Self::SshProfile,
        Self::TlsProfile,
        Self::NetworkProfile,
        Self::Listener,
        Self::LocalSite,
        Self::Application,
        Self::Proxy,
        Self::RemoteSite,
        Self::VfdDir,
        Self::DropFolder,
        Self::Hook,
        Self::CgateGroup,
        Self::Cgate,
        Self::TransferModel,
        Self::DecisionRule,
        Self::RuleTable,
        Self::Webhook,
    ];

    /// The word for it in stored data and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "LISTENER",
            Self::NetworkProfile => "NETWORK_PROFILE",
            Self::SshProfile => "SSH_PROFILE",
            Self::TlsProfile => "TLS_PROFILE",
            Self::Key => "KEY",
            Self::Certificate => "CERTIFICATE",
            Self::Crl => "CRL",
            Self::LocalSite => "LOCAL_SITE",
            Self::Proxy => "PROXY",
            Self::RemoteSite => "SITE",
            Self::CgateGroup => "CGATE_GROUP",
            Self::Cgate => "CGATE",
            Self::VfdDir => "VFD_DIR",
            Self::DropFolder => "DROP_FOLDER",
            Self::Hook => "HOOK",
            Self::Application => "APPLICATION",
            Self::TransferModel => "MODEL",
            Self::DecisionRule => "DECISION_RULE",
            Self::RuleTable => "RULE_TABLE",
            Self::Webhook => "WEBHOOK",
        }
    }

    /// Reads the word, whatever its case.
    ///
    /// # Errors
    /// [`KindError`] if it is none.
    pub fn parse(word: &str) -> Result<Self, KindError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word));
        found.ok_or_else(|| KindError(base::brief(word, 40)))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Kind {
    type Error = KindError;
    fn try_from(word: String) -> Result<Self, KindError> {
        Self::parse(&word)
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.as_str().to_owned()
    }
}

/// Whether an object may be used. Anything but `Enabled` may not.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum ObjectState {
    /// In use.
    #[default]
    Enabled,
    /// Switched off by a person.
    Disabled,
    /// Captured or imported, waiting for a person's decision; a disabled state too.
    ToCheck,
}

/// A word that names no [`ObjectState`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no state: use E (ENABLED), D (DISABLED) or C (TO_CHECK)")]
pub struct StateError(String);

impl ObjectState {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::ToCheck => "TO_CHECK",
        }
    }

    /// The letter of command lines.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Enabled => 'E',
            Self::Disabled => 'D',
            Self::ToCheck => 'C',
        }
    }

    /// What people read: a key to be checked is disabled, and says so (SSH-17).
    #[must_use]
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::ToCheck => "DISABLED (to check)",
        }
    }

    /// Reads a letter or word, whatever its case.
    ///
    /// # Errors
    /// [`StateError`] if it is none.
    pub fn parse(word: &str) -> Result<Self, StateError> {
        match word.to_ascii_uppercase().as_str() {
            "E" | "ENABLED" => Ok(Self::Enabled),
            "D" | "DISABLED" => Ok(Self::Disabled),
            "C" | "TO_CHECK" => Ok(Self::ToCheck),
            _ => Err(StateError(base::brief(word, 40))),
        }
    }
}

impl fmt::Display for ObjectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for ObjectState {
    type Error = StateError;
    fn try_from(word: String) -> Result<Self, StateError> {
        Self::parse(&word)
    }
}

impl From<ObjectState> for String {
    fn from(state: ObjectState) -> Self {
        state.as_str().to_owned()
    }
}

/// One value of an object's body.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A number, in the unit of its field.
    Int(i64),
    /// A text, a word of a choice, or the name of another object.
    Text(String),
    /// Several texts, in order.
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// As a command line takes it: `Y`, `60`, `text`, `A B C`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(true) => f.write_str("Y"),
            Self::Flag(false) => f.write_str("N"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => f.write_str(&items.join(" ")),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// An object's own values by canonical field name. Secrets are never in it, defaults need not be.
pub type Body = BTreeMap<String, Value>;

/// A stored object.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Object {
    /// Its number.
    pub id: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// Its name, unique in its kind.
    pub name: String,
    /// Name space; `GDEFAULT` where the kind has none.
    pub group: String,
    /// Whether it may be used.
    pub state: ObjectState,
    /// Counts its changes, from 1.
    pub revision: i64,
    /// When it was created.
    pub created_at: UtcMicros,
    /// When it was last changed.
    pub updated_at: UtcMicros,
    /// Its values.
    pub body: Body,
    /// Names of the secret fields that are set.
    pub secrets: BTreeSet<String>,
}

impl Object {
    /// How messages call it: `SSH_PROFILE SFTP_OUT`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// An object still to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Name space.
    pub group: String,
    /// Whether it may be used.
    pub state: ObjectState,
    /// Its values.
    pub body: Body,
}

/// The name space of objects that were given none.
pub const DEFAULT_GROUP: &str = "GDEFAULT";

/// A key of the store, as far as the public may know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyEntry {
    /// Number of its object.
    pub id: ObjectId,
    /// Its name.
    pub alias: Alias,
    /// Its group.
    pub group: String,
    /// Whether it may be used.
    pub state: ObjectState,
    /// RSA, DSS, ECDSA_NISTP256, ECDSA_NISTP384, ECDSA_NISTP521 or ED25519.
    pub algorithm: String,
    /// Size in bits.
    pub bits: u32,
    /// Whether the private part is in the store.
    pub private: bool,
    /// SHA-256 of the SSH wire form of the public part.
    pub fingerprint: [u8; 32],
    /// The SSH wire form of the public part.
    pub ssh_blob: Vec<u8>,
    /// Free text; the partner's name for a captured key.
    pub comments: String,
}

impl KeyEntry {
    /// Whether it may be used.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.state == ObjectState::Enabled
    }
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// The object can't be used; saving it is refused.
    Error,
    /// It works, but a person should look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something wrong with the configuration, and what to do.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Problem {
    /// The object, as `SSH_PROFILE SFTP_OUT`; only the kind while it has no name.
    pub object: String,
    /// The field; empty if it is about the whole object.
    pub field: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.object)?;
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {}; {}", self.text, self.fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(&kind.as_str().to_lowercase()), Ok(kind));
        }
        assert!(Kind::parse("PASSPORT").is_err());
    }

    #[test]
    fn states_have_letters_and_words() {
        for state in [ObjectState::Enabled, ObjectState::Disabled, ObjectState::ToCheck] {
            assert_eq!(ObjectState::parse(&state.letter().to_string()), Ok(state));
            assert_eq!(ObjectState::parse(state.as_str()), Ok(state));
        }
        assert_eq!(ObjectState::ToCheck.shown(), "DISABLED (to check)"); // SSH-17
        assert!(ObjectState::parse("X").is_err());
    }

    #[test]
    fn values_keep_their_type_in_json() {
        for (json, value) in [
            ("true", Value::Flag(true)),
            ("60", Value::Int(60)),
            ("\"60\"", Value::Text("60".into())),
            ("[\"a\",\"b\"]", Value::List(vec!["a".into(), "b".into()])),
        ] {
            assert_eq!(serde_json::from_str::<Value>(json).unwrap(), value);
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
        }
    }
}
