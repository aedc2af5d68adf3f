//! Keys and certificates that partners showed and a person must judge (AUTO-1 to AUTO-7).

use db::{CaptureRow, ObjectChange};
use keys::Fingerprint;
use keys::verify::{OwnChain, PathMode};
use model::{Field, Kind, Object, ObjectState, Value};
use serde_json::json;

use super::objects::stored;
use crate::changes::{self, failed};
use crate::{Cell, Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::SecurityObjects, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "quarantine list",
        title: "List keys and certificates that wait for a person",
        right: right('R'),
        effect: Effect::Read,
        params: || vec![Param::switch("all", "also those that were enabled or rejected")],
        run: |context, input| Box::pin(list(context, input)),
    },
    Operation {
        name: "quarantine show",
        title: "Show a key or certificate with what is known of the partner, and words to compare by telephone",
        right: right('R'),
        effect: Effect::Read,
        params: name_params,
        run: |context, input| Box::pin(show(context, input)),
    },
    Operation {
        name: "quarantine enable",
        title: "Accept a key for the partner that showed it, or a certificate",
        right: right('U'),
        effect: Effect::Change,
        params: name_params,
        run: |context, input| Box::pin(enable(context, input)),
    },
    Operation {
        name: "quarantine reject",
        title: "Refuse a key or certificate for good; it stays known and does not come back",
        right: right('U'),
        effect: Effect::Change,
        params: name_params,
        run: |context, input| Box::pin(reject(context, input)),
    },
];

const NAME: Field = Field::text("name", 31, "name of the key, as listed").shorts(&["n"]).required();

/// What stands before the name of a site in a capture of what its server showed.
const SITE: &str = "site:";
/// What stands before the name of the TLS profile that a client came by.
const TLS: &str = "tls:";

fn name_params() -> Vec<Param> {
    vec![Param::of(NAME).positional()]
}

fn name_of(input: &Input) -> Result<&str, OpError> {
    input.text("name").ok_or(OpError::Syntax(InputError::Absent("name")))
}

async fn list(context: &Context, input: &Input) -> Result<Output, OpError> {
    let rows = context.engine.db().captures().list(!input.is_set("all")).await.map_err(failed)?;
    let columns =
        ["Name", "Kind", "State", "Gate", "Login", "From", "First shown", "Times", "Algorithm", "Fingerprint"];
    let row = |c: CaptureRow| {
        vec![
            Cell::from(c.alias),
            c.kind.as_str().into(),
            c.state.into(),
            c.gate.into(),
            c.login.into(),
            c.source.into(),
            c.at.into(),
            c.tries.into(),
            c.algorithm.into(),
            Fingerprint(c.fingerprint).to_string().into(),
        ]
    };
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows: rows.into_iter().map(row).collect() })
}

async fn captured(context: &Context, alias: &str) -> Result<Vec<CaptureRow>, OpError> {
    let rows = context.engine.db().captures().by_alias(alias).await.map_err(failed)?;
    match rows.is_empty() {
        true => Err(OpError::NotFound(format!("nothing captured is called {alias}: see quarantine list"))),
        false => Ok(rows),
    }
}

async fn show(context: &Context, input: &Input) -> Result<Output, OpError> {
    let rows = captured(context, name_of(input)?).await?;
    let mut lines = Vec::new();
    let mut places = Vec::new();
    if let Some(key) = rows.first() {
        let fingerprint = Fingerprint(key.fingerprint);
        lines.extend([
            format!(
                "{:<12} {} ({} {} bits), {}",
                title(key.kind),
                key.alias,
                key.algorithm,
                key.bits,
                key.state.shown()
            ),
            format!("Fingerprint  {fingerprint}"),
            format!("In words     {}", fingerprint.words()),
        ]);
        if key.kind == Kind::Certificate {
            lines.extend(certificate_lines(context, &key.alias));
        }
        lines.push(String::new());
    }
    for row in &rows {
        let (known, data) = partner(context, row);
        lines.push(format!("Shown at {} as {:?} from {}, {} times", row.gate, row.login, row.source, row.tries));
        lines.push(format!("  first {}, last {}", row.at, row.last_at));
        lines.extend(known);
        places.push(data);
    }
    lines.push(String::new());
    lines.push("Ask the partner, by a number you knew before, to read the fingerprint or the words to you.".to_owned());
    lines.push(format!("If they are the same: quarantine enable {0}. If not: quarantine reject {0}", name_of(input)?));
    Ok(Output::Story { lines, facts: json!({ "key": name_of(input)?, "places": places }) })
}

/// What is known of the partner beside the key.
fn partner(context: &Context, row: &CaptureRow) -> (Vec<String>, serde_json::Value) {
    let snapshot = context.engine.snapshot();
    let (kind, name) = place_of(&row.gate);
    let Some(object) = snapshot.object(kind, name) else {
        return (vec!["  this gate or site is gone".to_owned()], json!({ "gate": row.gate }));
    };
    let mut lines = Vec::new();
    for field in
        ["comments", "login_user", "login_ident", "dest_address", "home_dir", "remote_public_key_alias", "bound_keys"]
    {
        if let Some(value) = object.body.get(field) {
            lines.push(format!("  {field}: {}", Cell::from(value)));
        }
    }
    let has_keys = object.body.contains_key("bound_keys");
    match row.kind {
        Kind::Certificate if kind == Kind::TlsProfile => {
            lines.push("  who called is not known: the login would have come after TLS".to_owned());
        }
        Kind::Certificate => {}
        _ => lines.push(match has_keys {
            true => "  ATTENTION: this partner has other keys already; a change should have been announced".to_owned(),
            false => "  this partner has no key yet".to_owned(),
        }),
    }
    (
        lines,
        json!({ "gate": row.gate, "login": row.login, "source": row.source, "tries": row.tries, "has_keys": has_keys }),
    )
}

fn place_of(gate: &str) -> (Kind, &str) {
    match (gate.strip_prefix(SITE), gate.strip_prefix(TLS)) {
        (Some(site), _) => (Kind::RemoteSite, site),
        (None, Some(profile)) => (Kind::TlsProfile, profile),
        (None, None) => (Kind::Cgate, gate),
    }
}

const fn title(kind: Kind) -> &'static str {
    if matches!(kind, Kind::Certificate) { "Certificate" } else { "Key" }
}

/// Whose it is, by its own words.
fn certificate_lines(context: &Context, name: &str) -> Vec<String> {
    let snapshot = context.engine.snapshot();
    let Some(object) = snapshot.object(Kind::Certificate, name) else { return Vec::new() };
    let fields = [
        ("Subject", "subject_name"),
        ("Names", "subject_alt_name"),
        ("Issuer", "issuer_name"),
        ("Until", "valid_until"),
    ];
    let line =
        |(title, field): (&str, &str)| object.body.get(field).map(|value| format!("{title:<12} {}", Cell::from(value)));
    fields.into_iter().filter_map(line).collect()
}

/// Enables a certificate. Whom it belongs to is said by sites, not by where it was shown.
async fn enable_certificate(context: &Context, name: &str) -> Result<Output, OpError> {
    let change = in_state(context, Kind::Certificate, name, ObjectState::Enabled).await?;
    let mut warnings = changes::commit(context, ("quarantine enable", name), vec![change]).await?.warnings;
    let store = context.engine.trust_store();
    if let Some(entry) = store.by_alias(name) {
        let chain = OwnChain::follow(&store, entry, PathMode::Rfc4158, context.engine.clock().now());
        warnings.extend(
            chain
                .missing
                .map(|issuer| format!("its issuer {issuer} is not in the store: it is not trusted before that one is")),
        );
        warnings.extend(chain.disabled.map(|(alias, state)| {
            format!("{alias} above it is {state}: it is not trusted before that one is enabled, too")
        }));
    }
    Ok(Output::Done {
        text: format!("certificate {name} enabled"),
        facts: vec![("name".to_owned(), name.into())],
        warnings,
    })
}

/// Binds the key to where it was shown and enables it, together.
async fn enable(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = name_of(input)?;
    let rows = captured(context, name).await?;
    if rows.iter().any(|row| row.kind == Kind::Certificate) {
        return enable_certificate(context, name).await;
    }
    let mut bound = Vec::new();
    let mut warnings = Vec::new();
    let mut all = Vec::new();
    for row in rows {
        let (kind, place) = place_of(&row.gate);
        let object = stored(context, kind, place).await?;
        if object.body.get("login_user").is_some_and(|v| Cell::from(v).to_string().contains(['*', '?'])) {
            warnings.push(format!("gate {place} takes several logins: the key opens all of them"));
        }
        all.push(ObjectChange::Update(changes::update(with_key(object, name), Vec::new())));
        bound.push(row.gate);
    }
    all.push(in_state(context, Kind::Key, name, ObjectState::Enabled).await?);
    warnings.extend(changes::commit(context, ("quarantine enable", name), all).await?.warnings);
    let text = format!("key {name} enabled for {}", bound.join(", "));
    Ok(Output::Done {
        text,
        facts: vec![("name".to_owned(), name.into()), ("bound_to".to_owned(), Cell::List(bound))],
        warnings,
    })
}

/// The gate or site with one more bound key.
fn with_key(mut object: Object, key: &str) -> Object {
    let mut keys = match object.body.remove("bound_keys") {
        Some(Value::List(keys)) => keys,
        _ => Vec::new(),
    };
    if !keys.iter().any(|k| k == key) {
        keys.push(key.to_owned());
    }
    object.body.insert("bound_keys".to_owned(), Value::List(keys));
    object
}

async fn reject(context: &Context, input: &Input) -> Result<Output, OpError> {
    let name = name_of(input)?;
    let rows = captured(context, name).await?;
    let kind = rows.first().map_or(Kind::Key, |row| row.kind);
    let change = in_state(context, kind, name, ObjectState::Disabled).await?;
    changes::commit(context, ("", ""), vec![change]).await?;
    Ok(Output::done(format!("{} {name} rejected: it stays known and disabled", title(kind).to_lowercase())))
}

async fn in_state(context: &Context, kind: Kind, name: &str, state: ObjectState) -> Result<ObjectChange, OpError> {
    let object = stored(context, kind, name).await?;
    Ok(ObjectChange::Update(changes::update(Object { state, ..object }, Vec::new())))
}
