//! What a date changes: which certificate serves each use then, and what breaks (certificates-and-keys.md section 5).

use std::collections::BTreeSet;
use std::fmt;

use base::UtcMicros;

use super::build::{PathRequest, find_path};
use super::own::{Wanted, choose_own};
use super::policy::{PATH_DEPTH_MAX, PathPolicy, Purpose};
use super::store::{StoredCertificate, TrustStore};

/// What a use needs its certificates for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// We show it: the first that is valid and whose chain reaches a root.
    Own,
    /// A partner shows it, or messages to the partner are encrypted for it: the first that has a trusted path.
    Partner,
    /// Paths may lead to it: the first that is enabled and valid. The others may serve beside it.
    Authority,
}

/// A place in the configuration that names certificates, the preferred ones first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Use {
    /// Where it is: `TLS_PROFILE OUT`.
    pub place: String,
    /// Its field.
    pub field: String,
    /// What for.
    pub part: Part,
    /// The certificates.
    pub aliases: Vec<String>,
}

/// What becomes of a use at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// This certificate serves.
    Served(String),
    /// None does, and why each does not.
    Broken(Vec<(String, String)>),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served(alias) => write!(f, "{alias} serves"),
            Self::Broken(reasons) if reasons.is_empty() => f.write_str("broken: no certificate is named"),
            Self::Broken(reasons) => {
                let each: Vec<String> = reasons.iter().map(|(alias, why)| format!("{alias}: {why}")).collect();
                write!(f, "broken: {}", each.join("; "))
            }
        }
    }
}

/// What becomes of each use at `at`.
#[must_use]
pub fn simulate(store: &TrustStore, uses: &[Use], policy: &PathPolicy, at: UtcMicros) -> Vec<Outcome> {
    uses.iter().map(|one| outcome(store, one, policy, at)).collect()
}

fn outcome(store: &TrustStore, one: &Use, policy: &PathPolicy, at: UtcMicros) -> Outcome {
    if one.part == Part::Own {
        let wanted = Wanted { mode: policy.mode, at, key_fits: &|_| true, accepted: &[] };
        let choice = choose_own(store, &one.aliases, &wanted);
        let taken = choice.chain.and_then(|chain| chain.steps.into_iter().next());
        let taken = taken.and_then(|step| store.entry_of(&step.certificate));
        return match taken {
            Some(entry) => Outcome::Served(entry.alias.clone()),
            None => Outcome::Broken(choice.skipped.into_iter().map(|(alias, why)| (alias, why.to_string())).collect()),
        };
    }
    let mut reasons = Vec::new();
    for alias in &one.aliases {
        match trouble(store, alias, one.part, policy, at) {
            None => return Outcome::Served(alias.clone()),
            Some(why) => reasons.push((alias.clone(), why)),
        }
    }
    Outcome::Broken(reasons)
}

fn trouble(store: &TrustStore, alias: &str, part: Part, policy: &PathPolicy, at: UtcMicros) -> Option<String> {
    let Some(entry) = store.by_alias(alias) else { return Some("it is not in the store".to_owned()) };
    if !entry.state.is_enabled() {
        return Some(format!("it is {}", entry.state));
    }
    if part == Part::Authority {
        let (from, until) = (entry.certificate.not_before(), entry.certificate.not_after());
        return (!entry.certificate.is_valid_at(at)).then(|| format!("it is valid from {from} until {until}"));
    }
    let policy = PathPolicy { purpose: Purpose::Any, ..*policy };
    let request = PathRequest { end_entity: &entry.certificate, sent: &[], store, at, policy: &policy };
    find_path(&request).err().map(|report| report.to_string())
}

/// A moment at which another certificate begins to serve a use, or none does any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turn {
    /// When.
    pub at: UtcMicros,
    /// Which of the uses, by its position.
    pub which: usize,
    /// What was.
    pub before: Outcome,
    /// What is from then on.
    pub after: Outcome,
}

/// Every turn after `from` and not after `until`, in order of time. Only the dates of certificates that a use can come to
/// are looked at.
#[must_use]
pub fn timeline(
    store: &TrustStore,
    uses: &[Use],
    policy: &PathPolicy,
    (from, until): (UtcMicros, UtcMicros),
) -> Vec<Turn> {
    let mut turns = Vec::new();
    for (which, one) in uses.iter().enumerate() {
        let mut before = outcome(store, one, policy, from);
        for at in dates(store, one).into_iter().filter(|at| *at > from && *at <= until).take(TURNS_MAX) {
            let after = outcome(store, one, policy, at);
            if after != before {
                let turn = Turn { at, which, before: std::mem::replace(&mut before, after.clone()), after };
                turns.push(turn);
            }
        }
    }
    turns.sort_by_key(|turn| (turn.at, turn.which));
    turns
}

/// Most dates that are looked at for one use.
const TURNS_MAX: usize = 200;

/// Most certificates whose dates count for one use.
const REACHED_MAX: usize = 100;

/// When a certificate that the use can come to becomes valid, or is no longer.
fn dates(store: &TrustStore, one: &Use) -> BTreeSet<UtcMicros> {
    let mut reached: Vec<&StoredCertificate> = one.aliases.iter().filter_map(|alias| store.by_alias(alias)).collect();
    let mut next = reached.clone();
    for _ in 0..PATH_DEPTH_MAX {
        let issuers = next.iter().flat_map(|entry| store.by_subject(entry.certificate.issuer()));
        let known: BTreeSet<&str> = reached.iter().map(|entry| entry.alias.as_str()).collect();
        next = issuers.filter(|entry| !known.contains(entry.alias.as_str())).take(REACHED_MAX).collect();
        next.sort_by_key(|entry| &entry.alias);
        next.dedup_by_key(|entry| &entry.alias);
        reached.extend(&next);
        if next.is_empty() || reached.len() > REACHED_MAX {
            break;
        }
    }
    let second = |at: UtcMicros| UtcMicros(at.0.saturating_add(1_000_000));
    let both = |entry: &StoredCertificate| [entry.certificate.not_before(), second(entry.certificate.not_after())];
    reached.into_iter().flat_map(both).collect()
}
