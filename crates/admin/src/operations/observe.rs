//! Looking at the gateway: every problem of the configuration, how a connection would fare, the audit.

use std::net::SocketAddr;

use db::{AuditFilter, AuditRow, HistoryRow};
use model::{Field, FieldKind, Inbound, Kind, LoginTls, Problem, Reason, Security, Severity, Snapshot, Value};
use serde_json::json;

use crate::changes::failed;
use crate::{Cell, Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "check",
        title: "Print every problem of the configuration at once",
        right: Right { resource: Resource::Configuration, letter: 'R' },
        effect: Effect::Read,
        params: Vec::new,
        run: |context, _| Box::pin(check(context)),
    },
    Operation {
        name: "explain inbound",
        title: "Say which profile and gate a connection and login would meet, and why",
        right: Right { resource: Resource::Configuration, letter: 'R' },
        effect: Effect::Read,
        params: inbound_params,
        run: |context, input| Box::pin(inbound(context, input)),
    },
    Operation {
        name: "names",
        title: "List the names of the objects of a kind",
        right: Right { resource: Resource::Configuration, letter: 'R' },
        effect: Effect::Read,
        params: || vec![Param::of(KIND).required().positional()],
        run: |context, input| Box::pin(async { names(context, input) }),
    },
    Operation {
        name: "history",
        title: "List every revision of an object, or the newest changes of all, and who made them",
        right: Right { resource: Resource::Configuration, letter: 'R' },
        effect: Effect::Read,
        params: history_params,
        run: |context, input| Box::pin(history(context, input)),
    },
    Operation {
        name: "audit list",
        title: "List the record of changes",
        right: Right { resource: Resource::Audit, letter: 'R' },
        effect: Effect::Read,
        params: audit_params,
        run: |context, input| Box::pin(audit_list(context, input)),
    },
    Operation {
        name: "audit verify",
        title: "Check that nothing was removed from the record of changes, altered or moved",
        right: Right { resource: Resource::Audit, letter: 'R' },
        effect: Effect::Read,
        params: Vec::new,
        run: |context, _| Box::pin(audit_verify(context)),
    },
];

const KIND: Field = Field::text("kind", 31, "kind of object, as SSH_PROFILE");
const NAME: Field = Field::text("name", 255, "name of the object");

async fn check(context: &Context) -> Result<Output, OpError> {
    let problems = context.engine.problems();
    let severity = |p: &Problem| if p.severity == Severity::Error { "error" } else { "warning" };
    let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
    let settings = context.weak_settings().map(|text| format!("warning: settings: {text}"));
    let objects = problems.iter().map(|p| format!("{}: {} {}: {}; {}", severity(p), p.object, p.field, p.text, p.fix));
    let lines: Vec<String> = settings.chain(objects).collect();
    match errors {
        0 => {
            let end = format!("{} problems, none of them an error", lines.len());
            let facts = json!({ "problems": lines });
            Ok(Output::Story { lines: lines.into_iter().chain([end]).collect(), facts })
        }
        _ => Err(OpError::Refused(format!("{}\n{} problems, {errors} of them errors", lines.join("\n"), lines.len()))),
    }
}

fn inbound_params() -> Vec<Param> {
    vec![
        Param::of(Field::text("peer", 64, "address and port of the caller, as 192.0.2.7:40000").required()),
        Param::of(Field::text("local", 64, "our address and port, as 192.0.2.1:22").required()),
        Param::of(Field::text("login", 63, "login name given")),
        Param::of(CERTIFICATE),
    ]
}

/// Whether the caller shows a certificate.
const CERTIFICATE: Field =
    Field::new("certificate", FieldKind::Flag, "the caller shows a TLS certificate that is trusted")
        .detail("where it is not said: as the client_auth_policy of the TLS profile demands");

pub(super) fn address(input: &Input, name: &'static str) -> Result<SocketAddr, OpError> {
    let text = input.text(name).ok_or(InputError::Absent(name))?;
    // The zone of a link-local address decides nothing: it is taken off as on a real connection.
    let zone = text.split_once('%').and_then(|(before, rest)| rest.split_once(']').map(|(_, after)| (before, after)));
    let bare = zone.map_or_else(|| text.to_owned(), |(before, after)| format!("{before}]{after}"));
    bare.parse().map_err(|_| {
        OpError::Syntax(InputError::Together(format!("-{name} is {text:?}: give ADDRESS:PORT, IPv6 as [ADDRESS]:PORT")))
    })
}

async fn inbound(context: &Context, input: &Input) -> Result<Output, OpError> {
    let inbound = Inbound::new(address(input, "local")?, address(input, "peer")?);
    let snapshot = context.engine.snapshot();
    let decision = model::match_inbound(&inbound, &snapshot);
    let listener = snapshot.listener_at(inbound.local);
    let (protocol, over_ssh) = listener.map_or(("SFTP", true), |l| (l.protocol.as_str(), l.over_ssh()));
    let mut lines = reasons(&decision.why);
    let mut tls = None;
    let (outcome, mut facts) = match decision.result {
        Ok(matched) => {
            if let Security::Tls(profile) = &matched.security {
                let shown = input.value("certificate").map(|value| *value == Value::Flag(true));
                tls = Some(shown.map_or_else(|| LoginTls::expected(profile), |shown| LoginTls::of(profile, shown)));
            }
            let profile = match matched.security {
                Security::Ssh(profile) if over_ssh => format!("SSH profile {}", profile.name),
                Security::Tls(profile) if !over_ssh => format!("TLS profile {}", profile.name),
                Security::Clear if !over_ssh => "in clear".to_owned(),
                _ if over_ssh => format!("no SSH: the {protocol} listener closes it (event 107)"),
                _ => format!("SSH: the {protocol} listener closes it (event 107)"),
            };
            let facts = json!({ "network_profile": matched.network.name, "security": profile });
            (format!("=> network profile {}, {profile}", matched.network.name), facts)
        }
        Err(refusal) => (format!("=> closed: {refusal}"), json!({ "refused": refusal })),
    };
    lines.push(outcome);
    if let Some(login) = input.text("login") {
        let (more, gate) = gate((&inbound, protocol, tls.as_ref()), login, &snapshot);
        lines.extend(more);
        if let Some(all) = facts.as_object_mut() {
            all.insert("login".to_owned(), gate);
        }
    }
    Ok(Output::Story { lines, facts })
}

fn gate(
    (inbound, protocol, tls): (&Inbound, &str, Option<&LoginTls>),
    login: &str,
    snapshot: &Snapshot,
) -> (Vec<String>, serde_json::Value) {
    let decision = model::choose_gate(inbound, protocol, tls, login, snapshot);
    let mut lines = vec![String::new(), format!("login {login:?}")];
    lines.extend(reasons(&decision.why));
    let (outcome, facts) = match decision.result {
        Ok(found) => (
            format!(
                "=> gate {}, site {}, begins in {} below {}",
                found.gate.name,
                found.site.name(),
                found.home_dir,
                found.root_dir
            ),
            json!({ "gate": found.gate.name, "site": found.site.name(), "home_dir": found.home_dir, "root_dir": found.root_dir }),
        ),
        Err(refusal) => (format!("=> refused: {refusal}"), json!({ "refused": refusal })),
    };
    lines.push(outcome);
    (lines, facts)
}

/// Reasons, a line each.
pub(super) fn reasons(why: &[Reason]) -> Vec<String> {
    why.iter().map(|r| format!("  {r}")).collect()
}

/// The kind called so, or what was probably meant.
pub(super) fn kind_of(word: &str) -> Result<Kind, OpError> {
    Kind::parse(word).map_err(|error| {
        let meant = model::nearest(word, Kind::ALL.iter().map(|kind| kind.as_str()));
        let hint = meant.map(|kind| format!("; did you mean {kind}?")).unwrap_or_default();
        OpError::Syntax(InputError::Together(format!("{error}{hint}")))
    })
}

/// Names of the objects in use, as shells ask for them while somebody types.
fn names(context: &Context, input: &Input) -> Result<Output, OpError> {
    let kind = kind_of(input.text("kind").ok_or(InputError::Absent("kind"))?)?;
    let snapshot = context.engine.snapshot();
    let rows = snapshot.objects(kind).map(|object| vec![Cell::from(object.name.as_str())]).collect();
    Ok(Output::Table { columns: vec!["Name".to_owned()], rows })
}

/// Revisions of one object from the first on, or the newest changes of all of them.
async fn history(context: &Context, input: &Input) -> Result<Output, OpError> {
    let objects = context.engine.db().objects();
    let kind = input.text("kind").map(kind_of).transpose()?;
    let rows = match (kind, input.text("name")) {
        (Some(kind), Some(name)) => {
            let rows = objects.history(kind, name).await.map_err(failed)?;
            if rows.is_empty() {
                return Err(OpError::NotFound(format!("no {kind} was ever called {name}")));
            }
            rows
        }
        (None, _) => {
            let last = input.int("last").and_then(|n| u32::try_from(n).ok()).unwrap_or(50);
            let mut rows = objects.changes(last).await.map_err(failed)?;
            rows.reverse();
            rows
        }
        (Some(_), None) => return Err(InputError::Absent("name").into()),
    };
    let columns = ["Point", "Revision", "Time", "Who", "Change", "Object", "Group", "State", "Values"];
    let row = |r: HistoryRow| {
        let values = r.body.iter().map(|(field, value)| format!("{field}='{value}'")).collect();
        vec![
            Cell::from(r.point),
            r.revision.into(),
            r.at.into(),
            r.actor.into(),
            r.op.into(),
            format!("{} {}", r.kind, r.name).into(),
            r.group.into(),
            r.state.into(),
            Cell::List(values),
        ]
    };
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows: rows.into_iter().map(row).collect() })
}

fn history_params() -> Vec<Param> {
    let last = Field::int("last", (1, 10_000), "", "how many, the newest, where no object is named").default("50");
    vec![Param::of(KIND).positional(), Param::of(NAME).positional(), Param::of(last)]
}

fn audit_params() -> Vec<Param> {
    vec![
        Param::of(Field::text("kind", 31, "kind of object, as SSH_PROFILE")),
        Param::of(Field::text("name", 255, "name of the object")),
        Param::of(Field::text("actor", 63, "who")),
        Param::of(Field::text("action", 31, "what, as CREATE")),
        Param::of(
            Field::new("last", FieldKind::Int { min: 1, max: 10_000, unit: "" }, "how many, the newest").default("50"),
        ),
    ]
}

async fn audit_list(context: &Context, input: &Input) -> Result<Output, OpError> {
    let given = |name: &str| input.text(name).map(str::to_owned);
    let filter = AuditFilter {
        kind: given("kind"),
        name: given("name"),
        actor: given("actor"),
        action: given("action"),
        newest: true,
        ..AuditFilter::default()
    };
    let limit = input.int("last").and_then(|n| u32::try_from(n).ok()).unwrap_or(50);
    let rows = context.engine.db().audit().list(filter, limit).await.map_err(failed)?;
    let columns = ["Number", "Time", "Who", "From", "Action", "Result", "Kind", "Name", "Before", "After"];
    let row = |r: AuditRow| {
        vec![
            Cell::from(r.seq),
            r.at.into(),
            r.actor.name.into(),
            r.actor.origin.into(),
            r.action.into(),
            format!("{:?}", r.result).into(),
            r.kind.into(),
            r.name.into(),
            r.before_json.map_or(Cell::None, Cell::from),
            r.after_json.map_or(Cell::None, Cell::from),
        ]
    };
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows: rows.into_iter().map(row).collect() })
}

async fn audit_verify(context: &Context) -> Result<Output, OpError> {
    let report = context.engine.db().audit().verify().await.map_err(failed)?;
    match report.fault {
        None => Ok(Output::Done {
            text: format!("audit is whole: {} entries", report.entries),
            facts: vec![("entries".to_owned(), Cell::from(report.entries))],
            warnings: Vec::new(),
        }),
        Some(fault) => Err(OpError::Refused(format!("audit is broken: {fault}"))),
    }
}
