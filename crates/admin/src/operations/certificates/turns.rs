//! `gatehouse certs simulate` and `certs timeline`: what a date changes for all that names certificates.

use std::collections::BTreeMap;

use keys::verify::{Algorithms, Outcome, Part, PathMode, PathPolicy, Purpose, Turn, Use, simulate, timeline};
use model::{Field, Kind, Object, ObjectState, Snapshot, TlsTrust, references};

use crate::operations::transfers::moment;
use crate::{Cell, Context, Input, OpError, Output, Param};

const ON: Field = Field::text("on", 40, "the day or moment").required();
const WITHIN: Field = Field::int("within", (1, 36_500), "days", "how far ahead is looked").default("400");

/// Seconds of a day.
const DAY_S: u64 = 86_400;

pub(super) fn simulate_params() -> Vec<Param> {
    vec![Param::time(ON).positional()]
}

pub(super) fn timeline_params() -> Vec<Param> {
    vec![Param::of(WITHIN).positional()]
}

/// What serves each use at a moment, or why nothing does; what breaks first.
pub(super) async fn on_date(context: &Context, input: &Input) -> Result<Output, OpError> {
    let now = context.engine.clock().now();
    let at = moment(input, "on", now)?.unwrap_or(now);
    let snapshot = context.engine.snapshot();
    let store = context.engine.trust_store();
    let outcomes = uses(&snapshot).into_iter().flat_map(|(one, policy)| {
        let outcomes = simulate(&store, std::slice::from_ref(&one), &policy, at);
        outcomes.into_iter().map(move |outcome| (one.clone(), outcome))
    });
    let mut outcomes: Vec<(Use, Outcome)> = outcomes.collect();
    outcomes.sort_by_key(|(_, outcome)| matches!(outcome, Outcome::Served(_)));
    let row = |(one, outcome): (Use, Outcome)| {
        let (state, serves) = match &outcome {
            Outcome::Served(alias) => ("served", alias.as_str()),
            Outcome::Broken(_) => ("broken", ""),
        };
        vec![one.place.into(), one.field.into(), state.into(), Cell::from(serves), outcome.to_string().into()]
    };
    let columns = ["place", "field", "state", "certificate_name", "text"].map(str::to_owned).to_vec();
    Ok(Output::Table { columns, rows: outcomes.into_iter().map(row).collect() })
}

/// Every moment at which another certificate begins to serve a use, or none does any more, in order of time.
pub(super) async fn turns(context: &Context, input: &Input) -> Result<Output, OpError> {
    let now = context.engine.clock().now();
    let days = input.int("within").and_then(|days| u64::try_from(days).ok()).unwrap_or(400);
    let until = now.plus(std::time::Duration::from_secs(days.saturating_mul(DAY_S)));
    let snapshot = context.engine.snapshot();
    let store = context.engine.trust_store();
    let mut found: Vec<(Use, Turn)> = Vec::new();
    for (one, policy) in uses(&snapshot) {
        let turns = timeline(&store, std::slice::from_ref(&one), &policy, (now, until));
        found.extend(turns.into_iter().map(|turn| (one.clone(), turn)));
    }
    found.sort_by_key(|(_, turn)| turn.at);
    let row = |(one, turn): (Use, Turn)| {
        let state = if matches!(turn.after, Outcome::Served(_)) { "served" } else { "broken" };
        vec![
            Cell::from(turn.at.to_string()),
            one.place.into(),
            one.field.into(),
            state.into(),
            turn.before.to_string().into(),
            turn.after.to_string().into(),
        ]
    };
    let columns = ["at", "place", "field", "state", "before", "after"].map(str::to_owned).to_vec();
    Ok(Output::Table { columns, rows: found.into_iter().map(row).collect() })
}

/// Everything that is enabled and names certificates, with the policy that it judges them by.
fn uses(snapshot: &Snapshot) -> Vec<(Use, PathPolicy)> {
    let mut all: BTreeMap<(String, &'static str), (Use, PathPolicy)> = BTreeMap::new();
    for object in snapshot.all_objects().filter(|object| object.state == ObjectState::Enabled) {
        for (field, _, alias) in references(object.kind, &object.body).into_iter().filter(|r| r.1 == Kind::Certificate)
        {
            let place = object.title();
            let part = if field == "accepted_authorities" { Part::Authority } else { Part::Own };
            let (one, _) = all.entry((place.clone(), field)).or_insert_with(|| {
                let one = Use { place, field: field.to_owned(), part, aliases: Vec::new() };
                (one, policy(snapshot, object))
            });
            one.aliases.push(alias);
        }
    }
    all.into_values().collect()
}

fn policy(snapshot: &Snapshot, object: &Object) -> PathPolicy {
    let usual = PathPolicy::new(Purpose::Any);
    let profile = (object.kind == Kind::TlsProfile).then(|| snapshot.tls_profile(&object.name)).flatten();
    profile.map_or(usual, |profile| {
        let TlsTrust { by_key_id, depth, weak_signatures, .. } = profile.trust;
        PathPolicy {
            mode: if by_key_id { PathMode::Rfc4158 } else { PathMode::Legacy },
            depth_max: usize::from(depth),
            algorithms: if weak_signatures { Algorithms::LEGACY } else { usual.algorithms },
            ..usual
        }
    })
}
