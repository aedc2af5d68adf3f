//! Everything about a partner on one page.

use db::{Transfer, TransferFilter, UsageScope};
use engine::admit::LastLogin;
use keys::Fingerprint;
use model::{CallSecurity, HostPort, Problem};
use serde_json::{Value as Json, json};

use super::parts::{KeyUse, Parts};
use super::routes::Route;
use crate::changes::failed;
use crate::{Context, OpError};

/// Transfers that are listed.
const TRANSFERS_MAX: u32 = 10;
/// Width of the names before values.
const NAME_CHARS: usize = 14;

/// What the database knows of a partner.
struct Known {
    usage: db::Usage,
    login: Option<LastLogin>,
    transfers: Vec<Transfer>,
    problems: Vec<String>,
}

/// The page as lines, and as data.
pub(crate) async fn page(context: &Context, parts: &Parts<'_>) -> Result<(Vec<String>, Json), OpError> {
    let name = &parts.site.name;
    let filter = TransferFilter { site: Some(name.clone()), ..TransferFilter::default() };
    let known = Known {
        usage: context.engine.db().usage().of(UsageScope::Site, name).await.map_err(failed)?,
        login: last_login(context, parts).await?,
        transfers: context.engine.db().transfers().list(filter, TRANSFERS_MAX).await.map_err(failed)?,
        problems: problems(context, parts),
    };
    Ok((lines(parts, &known), facts(parts, &known)))
}

fn lines(parts: &Parts<'_>, known: &Known) -> Vec<String> {
    let site = parts.site;
    let or_none = |all: Vec<String>| if all.is_empty() { vec!["none".to_owned()] } else { all };
    let state = if site.enabled { "enabled" } else { "DISABLED" };
    let rows: Vec<(&str, Vec<String>)> = vec![
        ("Partner", vec![format!("{} ({state})", site.name)]),
        ("Comment", Some(site.comments.clone()).filter(|c| !c.is_empty()).into_iter().collect()),
        ("Directions", or_none(Some(parts.directions().join(", ")).filter(|d| !d.is_empty()).into_iter().collect())),
        ("Way in", way_in(parts)),
        ("Folders", parts.folders.iter().map(|dir| dir.path.clone()).collect()),
        ("Way out", way_out(parts)),
        ("Keys", keys(parts)),
        ("Routes from", parts.onward.iter().map(route).collect()),
        ("Routes to", parts.towards.iter().map(route).collect()),
        (
            "Stored",
            vec![format!(
                "{} files ({} octets) from it, {} files ({} octets) for it",
                known.usage.in_files, known.usage.in_octets, known.usage.out_files, known.usage.out_octets
            )],
        ),
        ("Last login", vec![known.login.as_ref().map_or_else(|| "none that is known".to_owned(), login_text)]),
        ("Last transfers", or_none(known.transfers.iter().map(moved).collect())),
        ("Problems", or_none(known.problems.clone())),
        ("Objects", titles(parts)),
    ];
    let mut lines = Vec::new();
    for (name, values) in rows {
        for (n, value) in values.iter().enumerate() {
            let name = if n == 0 { name } else { "" };
            lines.push(format!("{name:<NAME_CHARS$}  {value}"));
        }
    }
    lines
}

fn facts(parts: &Parts<'_>, known: &Known) -> Json {
    let site = parts.site;
    let login = known.login.as_ref();
    json!({
        "name": site.name,
        "state": if site.enabled { "ENABLED" } else { "DISABLED" },
        "comments": site.comments,
        "directions": parts.directions(),
        "login": parts.login(),
        "gates": parts.gates.iter().map(|gate| &gate.name).collect::<Vec<_>>(),
        "addresses": site.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "folders": parts.folders.iter().map(|dir| &dir.path).collect::<Vec<_>>(),
        "keys": key_facts(parts),
        "routes_from": parts.onward.iter().map(route_facts).collect::<Vec<_>>(),
        "routes_to": parts.towards.iter().map(route_facts).collect::<Vec<_>>(),
        "usage": {
            "in_files": known.usage.in_files, "in_octets": known.usage.in_octets,
            "out_files": known.usage.out_files, "out_octets": known.usage.out_octets,
        },
        "last_login": login.map(|l| json!({ "at": l.at.to_string(), "login": l.login, "peer": l.peer, "key": l.key })),
        "transfers": known.transfers.iter().map(transfer_facts).collect::<Vec<_>>(),
        "problems": known.problems,
        "objects": titles(parts),
    })
}

fn titles(parts: &Parts<'_>) -> Vec<String> {
    parts.objects().into_iter().map(|(kind, name)| format!("{kind} {name}")).collect()
}

fn way_in(parts: &Parts<'_>) -> Vec<String> {
    let Some(login) = parts.login() else { return Vec::new() };
    let mut all = Vec::new();
    for gate in &parts.gates {
        let shared = if gate.is_pattern() { format!(" (it takes {})", gate.login.as_str()) } else { String::new() };
        let password = if gate.has_password { ", password set" } else { "" };
        let state = if gate.enabled { "" } else { ", DISABLED" };
        all.push(format!("login {login} by gate {}{shared}{password}{state}", gate.name));
    }
    for (listener, address, reached) in parts.doors() {
        match reached {
            Ok(_) => all.push(format!("at {address} (listener {listener})")),
            Err(why) => all.push(format!("not at {address} (listener {listener}): {why}")),
        }
    }
    all
}

fn way_out(parts: &Parts<'_>) -> Vec<String> {
    let site = parts.site;
    let login = site.login.as_deref().unwrap_or("(no user name)");
    let proof = if site.has_password { ", password set" } else { "" };
    let folder = if site.dir_name.is_empty() { String::new() } else { format!(", into {}", site.dir_name) };
    let safe = match &site.security {
        CallSecurity::Ssh => "",
        CallSecurity::Tls(_) => ", TLS",
        CallSecurity::Clear => ", IN CLEAR",
        CallSecurity::Broken(_) => ", NOT CALLED: see the problems",
    };
    let way = |address: &HostPort| format!("{address} by {}{safe} as {login}{proof}{folder}", site.protocol);
    site.addresses.iter().map(way).collect()
}

fn keys(parts: &Parts<'_>) -> Vec<String> {
    let line = |(usage, key): &(KeyUse, &std::sync::Arc<model::KeyEntry>)| {
        let print = Fingerprint(key.fingerprint);
        format!("{}: {} {} {print} {}", usage.as_str(), key.alias, key.algorithm, key.state.shown())
    };
    parts.keys.iter().map(line).collect()
}

fn key_facts(parts: &Parts<'_>) -> Vec<Json> {
    let fact = |(usage, key): &(KeyUse, &std::sync::Arc<model::KeyEntry>)| {
        json!({
            "use": usage.as_str(), "name": key.alias.as_str(), "algorithm": key.algorithm,
            "fingerprint": Fingerprint(key.fingerprint).to_string(), "state": key.state.as_str(),
        })
    };
    parts.keys.iter().map(fact).collect()
}

fn route(route: &Route) -> String {
    let to = if route.to.is_empty() { "nowhere" } else { &route.to };
    format!("{}: {} => {to}", route.name, route.conditions.join(" and "))
}

fn route_facts(route: &Route) -> Json {
    json!({ "rule": route.name, "conditions": route.conditions, "model": route.model, "to": route.to })
}

fn moved(t: &Transfer) -> String {
    let arrow = if t.direction == db::Direction::In { "from it" } else { "to it" };
    let cause = if t.err.is_empty() { String::new() } else { format!(" ({})", t.err) };
    let octets = t.size.map_or_else(String::new, |octets| format!(", {octets} octets"));
    let name = base::Shown::from(t.file_name.as_str());
    format!("{} {arrow}: {name}{octets}, {}{cause}, {}", t.id, t.full_state(), t.created_at)
}

fn transfer_facts(t: &Transfer) -> Json {
    json!({
        "ident": t.id.0, "direction": t.direction.letter(), "file": t.file_name, "octets": t.size,
        "state": t.full_state(), "created": t.created_at.to_string(), "cause": t.err,
    })
}

/// The newest login by one of its gates; of a gate for several logins only if it was this one.
async fn last_login(context: &Context, parts: &Parts<'_>) -> Result<Option<LastLogin>, OpError> {
    let mut newest: Option<LastLogin> = None;
    for gate in &parts.gates {
        let found = context.engine.last_login(&gate.name).await.map_err(failed)?;
        let own = found.filter(|login| parts.login() == Some(login.login.as_str()));
        newest = newest.into_iter().chain(own).max_by_key(|login| login.at);
    }
    Ok(newest)
}

fn login_text(login: &LastLogin) -> String {
    let by = login.key.as_ref().map_or_else(|| "password".to_owned(), |key| format!("key {key}"));
    format!("{} as {} from {} by {by}", login.at, base::Shown::from(login.login.as_str()), login.peer)
}

/// What `check` says of its objects.
fn problems(context: &Context, parts: &Parts<'_>) -> Vec<String> {
    let titles = titles(parts);
    let own = |problem: &&Problem| titles.contains(&problem.object);
    context.engine.problems().iter().filter(own).map(ToString::to_string).collect()
}
