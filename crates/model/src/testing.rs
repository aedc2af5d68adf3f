//! Short ways to objects, keys and snapshots for the tests of this crate.

use base::{ObjectId, UtcMicros};

use crate::check::check_body;
use crate::object::{DEFAULT_GROUP, KeyEntry, Kind, Object, ObjectState, Problem, Severity, Value};
use crate::snapshot::Snapshot;

/// An enabled object whose fields are given as on a command line; panics if they are refused.
pub(crate) fn object(kind: Kind, name: &str, fields: &[(&str, &str)]) -> Object {
    let given = fields.iter().map(|(field, text)| ((*field).to_owned(), Value::from(*text))).collect();
    let body = check_body(kind, &given).unwrap_or_else(|problems| panic!("{kind} {name}: {problems:?}"));
    raw(kind, name, body)
}

/// An object with a body that nobody checked.
pub(crate) fn raw(kind: Kind, name: &str, body: crate::Body) -> Object {
    Object {
        // Numbers differ by name, so that rules can be told apart.
        id: ObjectId(title_number(&format!("{kind} {name}"))),
        kind,
        name: name.to_owned(),
        group: DEFAULT_GROUP.to_owned(),
        state: ObjectState::Enabled,
        revision: 1,
        created_at: UtcMicros(0),
        updated_at: UtcMicros(0),
        body,
        secrets: std::collections::BTreeSet::new(),
    }
}

fn title_number(title: &str) -> i64 {
    title.bytes().fold(7, |n: i64, b| n.wrapping_mul(31).wrapping_add(i64::from(b)))
}

/// The same object, disabled.
pub(crate) fn disabled(mut object: Object) -> Object {
    object.state = ObjectState::Disabled;
    object
}

/// An enabled key; its fingerprint is made of its name.
pub(crate) fn key(alias: &str, algorithm: &str, private: bool) -> KeyEntry {
    let mut fingerprint = [0; 32];
    for (to, from) in fingerprint.iter_mut().zip(alias.bytes()) {
        *to = from;
    }
    KeyEntry {
        id: ObjectId(1),
        alias: alias.try_into().unwrap(),
        group: DEFAULT_GROUP.to_owned(),
        state: ObjectState::Enabled,
        algorithm: algorithm.to_owned(),
        bits: 256,
        private,
        fingerprint,
        ssh_blob: alias.as_bytes().to_vec(),
        comments: String::new(),
    }
}

/// Two SSH profiles as delivered, their key, and `more`.
pub(crate) fn with_profiles(more: Vec<Object>) -> Snapshot {
    let mut objects = vec![
        object(Kind::SshProfile, "SFTP_IN", &[("type", "SERVER"), ("private_key_alias", "HOST")]),
        object(Kind::SshProfile, "SFTP_OUT", &[("type", "CLIENT")]),
    ];
    objects.extend(more);
    Snapshot::build(objects, vec![key("HOST", "ED25519", true)], 1).0
}

/// Problems of severity Error or Warning whose object and text hold these parts.
pub(crate) fn has(problems: &[Problem], severity: Severity, object: &str, text: &str) -> bool {
    problems.iter().any(|p| p.severity == severity && p.object == object && p.text.contains(text))
}
