//! Whether a partner's key is good: the rows of ssh-profiles.md section 3.2, the same for logins and for host keys.
//!
//! Pure: what the snapshot holds, what the site, gate and profile ask for, and the key that was shown.

use std::sync::Arc;

use base::Alias;
use keys::{Fingerprint, PublicKey, SizeLimits, check_size};
use model::{KeyEntry, ObjectState, Snapshot};

/// Event of a key that is none of those named for the partner (ssh-profiles.md section 3.2).
pub(super) const NOT_THE_NAMED_KEY: u16 = 140;

/// Event of a key that was captured before and that nobody has enabled.
pub(super) const KNOWN_AND_WAITING: u16 = 136;

/// What is asked of a key. The site's values are already put before the profile's (SSH-15).
#[derive(Clone, Debug, Default)]
pub struct KeyDemand {
    /// The key must be one of these; nothing else is looked at then (AUTO-5, OBJ-12).
    pub aliases: Vec<Alias>,
    /// Keys that a person has bound to this partner by enabling a captured one (DESIGN 1.5).
    pub bound: Vec<Alias>,
    /// Any enabled key of the store will do (SSH-14: of this group, if one is named).
    pub trust_hosted: bool,
    /// The group that hosted keys must be in, and that captured ones are put in.
    pub group: Option<String>,
    /// Unknown keys may be captured.
    pub capture: bool,
    /// Sizes that are taken at all.
    pub sizes: SizeLimits,
}

/// What a key is good for.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyVerdict {
    /// It is the partner's.
    Good(Arc<KeyEntry>),
    /// It is not; `event` is the number of ssh-profiles.md section 3.2.
    Refused {
        /// Event number.
        event: u16,
        /// What was found, for the log.
        text: String,
    },
    /// Never seen; the demand allows to capture it. `alarm`: this partner has other keys.
    Unknown {
        /// A known partner shows another key.
        alarm: bool,
    },
}

/// Judges a key that was shown. A key of a size that is not taken is refused whatever is stored (BP-22).
#[must_use]
pub fn judge(key: &PublicKey, demand: &KeyDemand, snapshot: &Snapshot) -> KeyVerdict {
    match check_size(key, &demand.sizes) {
        Ok(()) => by_fingerprint(&key.fingerprint(), demand, snapshot),
        Err(error) => refused(400, error.to_string()),
    }
}

fn by_fingerprint(fingerprint: &Fingerprint, demand: &KeyDemand, snapshot: &Snapshot) -> KeyVerdict {
    let stored = snapshot.key_by_fingerprint(&fingerprint.0);
    if !demand.aliases.is_empty() {
        return by_alias(fingerprint, &demand.aliases, snapshot);
    }
    match stored {
        Some(key) if demand.bound.contains(&key.alias) => enabled(key, 141),
        Some(key) if demand.trust_hosted => hosted(key, demand.group.as_deref()),
        Some(key) if key.state == ObjectState::Enabled => {
            refused(146, format!("key {} is not bound to this partner", key.alias))
        }
        Some(key) => refused(KNOWN_AND_WAITING, format!("key {} is known and {}", key.alias, key.state.shown())),
        None if demand.capture => KeyVerdict::Unknown { alarm: !demand.bound.is_empty() },
        None => refused(146, format!("key {fingerprint} is unknown")),
    }
}

fn by_alias(fingerprint: &Fingerprint, aliases: &[Alias], snapshot: &Snapshot) -> KeyVerdict {
    let named: Vec<_> = aliases.iter().filter_map(|a| snapshot.key(a.as_str())).collect();
    match named.iter().find(|k| k.fingerprint == fingerprint.0) {
        Some(key) => enabled(key, 141),
        None if named.is_empty() => refused(142, format!("none of the named keys is in the store: {}", list(aliases))),
        None => refused(NOT_THE_NAMED_KEY, format!("key {fingerprint} is none of the named ones: {}", list(aliases))),
    }
}

fn hosted(key: &Arc<KeyEntry>, group: Option<&str>) -> KeyVerdict {
    match group {
        Some(group) if group != key.group => {
            refused(144, format!("key {} is in group {}, not in {group}", key.alias, key.group))
        }
        _ => enabled(key, 145),
    }
}

fn enabled(key: &Arc<KeyEntry>, event: u16) -> KeyVerdict {
    match key.state {
        ObjectState::Enabled => KeyVerdict::Good(Arc::clone(key)),
        state => refused(event, format!("key {} is {}", key.alias, state.shown())),
    }
}

const fn refused(event: u16, text: String) -> KeyVerdict {
    KeyVerdict::Refused { event, text }
}

fn list(aliases: &[Alias]) -> String {
    aliases.iter().map(Alias::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ObjectId;

    fn key(alias: &str, octet: u8, state: ObjectState, group: &str) -> KeyEntry {
        KeyEntry {
            id: ObjectId(i64::from(octet)),
            alias: Alias::try_from(alias).unwrap(),
            group: group.to_owned(),
            state,
            algorithm: "ED25519".to_owned(),
            bits: 256,
            private: false,
            fingerprint: [octet; 32],
            ssh_blob: vec![octet],
            comments: String::new(),
        }
    }

    fn store() -> Snapshot {
        use ObjectState::{Disabled, Enabled, ToCheck};
        let keys = vec![
            key("ON", 1, Enabled, "GDEFAULT"),
            key("OFF", 2, Disabled, "GDEFAULT"),
            key("CHECK", 3, ToCheck, "GDEFAULT"),
            key("GROUPED", 4, Enabled, "ACME"),
        ];
        Snapshot::build(Vec::new(), keys, 1).0
    }

    fn names(all: &[&str]) -> Vec<Alias> {
        all.iter().map(|a| Alias::try_from(*a).unwrap()).collect()
    }

    /// `Ok(alias)`, `Err(event)`, or `Err(0)` for unknown, `Err(1)` for unknown with alarm.
    fn outcome(octet: u8, demand: &KeyDemand) -> Result<String, u16> {
        match by_fingerprint(&Fingerprint([octet; 32]), demand, &store()) {
            KeyVerdict::Good(key) => Ok(key.alias.to_string()),
            KeyVerdict::Refused { event, .. } => Err(event),
            KeyVerdict::Unknown { alarm } => Err(u16::from(alarm)),
        }
    }

    #[test]
    fn a_named_key_is_the_only_one() {
        // SSH-13 row 1, AUTO-5, OBJ-12: trust-hosted and capture do not soften an alias.
        let demand = |aliases: &[&str]| KeyDemand {
            aliases: names(aliases),
            trust_hosted: true,
            capture: true,
            ..KeyDemand::default()
        };
        assert_eq!(outcome(1, &demand(&["ON"])), Ok("ON".into()));
        assert_eq!(outcome(4, &demand(&["ON", "GROUPED"])), Ok("GROUPED".into()));
        assert_eq!(outcome(4, &demand(&["ON"])), Err(140));
        assert_eq!(outcome(2, &demand(&["OFF"])), Err(141));
        assert_eq!(outcome(3, &demand(&["CHECK"])), Err(141));
        assert_eq!(outcome(1, &demand(&["GONE"])), Err(142));
        assert_eq!(outcome(9, &demand(&["ON"])), Err(140));
    }

    #[test]
    fn hosted_keys_are_trusted_only_where_asked() {
        // SSH-13 rows 2 and 3, SSH-14
        let hosted = KeyDemand { trust_hosted: true, ..KeyDemand::default() };
        assert_eq!(outcome(1, &hosted), Ok("ON".into()));
        assert_eq!(outcome(2, &hosted), Err(145));
        assert_eq!(outcome(3, &hosted), Err(145));
        let grouped = KeyDemand { group: Some("ACME".into()), ..hosted };
        assert_eq!(outcome(4, &grouped), Ok("GROUPED".into()));
        assert_eq!(outcome(1, &grouped), Err(144));
        assert_eq!(outcome(1, &KeyDemand::default()), Err(146), "A's key does not open B's login");
    }

    #[test]
    fn unknown_keys_are_captured_only_where_allowed() {
        // AUTO-1, AUTO-2, AUTO-4
        let capture = KeyDemand { capture: true, ..KeyDemand::default() };
        assert_eq!(outcome(9, &capture), Err(0));
        assert_eq!(outcome(9, &KeyDemand { bound: names(&["ON"]), ..capture.clone() }), Err(1));
        assert_eq!(outcome(3, &capture), Err(136), "captured already");
        assert_eq!(outcome(9, &KeyDemand::default()), Err(146));
        assert_eq!(outcome(1, &KeyDemand { bound: names(&["ON"]), ..capture.clone() }), Ok("ON".into()));
        assert_eq!(outcome(3, &KeyDemand { bound: names(&["CHECK"]), ..capture }), Err(141), "AUTO-7");
    }
}
