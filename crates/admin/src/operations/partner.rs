//! A partner as one thing (docs/decisions/0012): added, shown, tested, trusted, exported, removed.

use std::collections::BTreeSet;

use db::{State, TransferFilter};
use keys::Fingerprint;
use model::{Field, FieldKind, Kind, Object, Snapshot};
use serde_json::{Value as Json, json};

use super::config::carry_out;
use crate::changes::{self, failed};
use crate::config::{self, Plan, Prune, Wanted};
use crate::partner::{
    Answers, CallPartner, DIRECTIONS, Parts, Sheet, Steps, build, hidden_route, inbound, outbound, page, reaches,
    removal, told, trust as bind,
};
use crate::{Cell, Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::Sites, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "partner add",
        title: "Add a partner with all that it needs, test the connection, print the sheet for it; asks at a terminal",
        right: right('W'),
        effect: Effect::Change,
        params: add_params,
        run: |context, input| Box::pin(add(context, input)),
    },
    Operation {
        name: "partner list",
        title: "List partners",
        right: right('R'),
        effect: Effect::Read,
        params: Vec::new,
        run: |context, _| Box::pin(list(context)),
    },
    Operation {
        name: "partner show",
        title: "Show everything about a partner on one page",
        right: right('R'),
        effect: Effect::Read,
        params: name_params,
        run: |context, input| Box::pin(show(context, input)),
    },
    Operation {
        name: "partner test",
        title: "Test the connection to and from a partner, step by step",
        right: right('A'),
        effect: Effect::Control,
        params: name_params,
        run: |context, input| Box::pin(test(context, input)),
    },
    Operation {
        name: "partner trust",
        title: "Trust the host key with this fingerprint if the partner's server shows it, then test the connection",
        right: right('U'),
        effect: Effect::Change,
        params: trust_params,
        run: |context, input| Box::pin(trust(context, input)),
    },
    Operation {
        name: "partner export",
        title: "Write the objects of a partner as text for apply, or the sheet for it; never a secret",
        right: right('R'),
        effect: Effect::Control,
        params: export_params,
        run: |context, input| Box::pin(export(context, input)),
    },
    Operation {
        name: "partner remove",
        title: "Remove a partner and all that only it uses",
        right: right('D'),
        effect: Effect::Change,
        params: remove_params,
        run: |context, input| Box::pin(remove(context, input)),
    },
];

const NAME: Field = Field::text("name", 20, "name of the partner").shorts(&["n"]).required();
const EXISTING: Field = Field::text("name", 31, "name of the partner").shorts(&["n"]).required();
const DRY_RUN: Field =
    Field::new("dry_run", FieldKind::Flag, "tell what would be done, and do nothing").aliases(&["dry-run"]);
/// Longest public key as a line.
const LINE_CHARS_MAX: u16 = 4096;

fn name_params() -> Vec<Param> {
    vec![Param::of(EXISTING).positional()]
}

fn dry_run() -> Param {
    Param { field: DRY_RUN, ..Param::switch("", "") }
}

fn add_params() -> Vec<Param> {
    let directions = FieldKind::List { max: 4, choices: Some(DIRECTIONS) };
    let directions =
        Field::new("directions", directions, "who calls and what for; found from what is given where not stated")
            .shorts(&["dir"])
            .synonyms(&[("1", "THEY_SEND"), ("2", "THEY_FETCH"), ("3", "WE_SEND"), ("4", "WE_FETCH")])
            .detail("THEY_SEND they call and send, THEY_FETCH they call and fetch, WE_SEND we call and send");
    let file = |name, help| Param::file(Field::text(name, 4095, help));
    let text = |name, max, help| Param::of(Field::text(name, max, help));
    let site = |name, help| Param::of(Field::new(name, FieldKind::Ref(Kind::RemoteSite), help));
    let [address, protocol, security, tls_profile] = server_params();
    vec![
        Param::of(NAME).positional(),
        Param::of(directions),
        text("login", 63, "they call: their login name; the partner's name in small letters where none is given"),
        file("key", "they call: file with their public key, or several"),
        text("key_line", LINE_CHARS_MAX, "they call: their public key as one line"),
        Param::switch(
            "capture",
            "they call: take the next unknown key of this login into quarantine, for you to check",
        ),
        Param::of(Field::new("password", FieldKind::Secret { max: 128 }, "they call: password that they log in with")),
        text("folder", 200, "they call: their virtual folder, which they see as /; /NAME where none is given"),
        site("to_site", "they send: site that gets their files"),
        text("listen", 64, "they call: port, or address and port, to listen on; the listener that is there, or 2222"),
        Param::of(Field::text("cgategroup", 32, "they call: gate group, made if it is not there").default("PARTNERS")),
        address,
        protocol,
        security,
        tls_profile,
        text("our_login", 63, "we call: login name that they gave us"),
        Param::of(Field::new("our_password", FieldKind::Secret { max: 127 }, "we call: password that they gave us")),
        Param::of(Field::new(
            "our_key",
            FieldKind::Ref(Kind::Key),
            "we call: key that we show; GATEHOUSE_SSH without password",
        )),
        file("host_key", "we call: file with the host key of their server, as ssh-keyscan or known_hosts has it"),
        text("host_key_line", LINE_CHARS_MAX, "we call: the host key of their server as one line"),
        text("their_dir", 255, "we call: folder at their server; the one the login begins in where none is given"),
        site("from_site", "we send: site whose files go to them"),
        text("from_dir", 255, "we send: virtual folder whose files go to them"),
        text("pattern", 255, "we send: only files with such names; * and ?"),
        text("comments", 255, "free text, such as whom we call there"),
        text("our_host", 255, "name or address under which partners reach this gateway; kept for all sheets"),
        text("our_contact", 255, "whom partners call here; kept for all sheets"),
        text("calls_from", 255, "addresses that our calls come from; kept for all sheets"),
        Param::answers(),
        dry_run(),
        Param::switch("no_test", "do not test the connection"),
        Param::switch("yes", "ask nothing"),
    ]
}

/// Where their server is, and how it is called.
fn server_params() -> [Param; 4] {
    [
        Param::of(Field::text(
            "address",
            261,
            "we call: their server, as HOST or HOST:PORT; ftp:// or ftps:// before it means that protocol",
        )),
        Param::of(Field::choice(
            "protocol",
            &["SFTP", "FTP"],
            "we call: protocol of their server; SFTP if none is named",
        )),
        Param::of(
            Field::choice("network_security_option", &["TLS", "NONE"], "we call by FTP: TLS, or NONE for in clear")
                .shorts(&["nsopt"]),
        ),
        Param::of(
            Field::new("tls_sprof_out", FieldKind::Ref(Kind::TlsProfile), "we call by FTP: TLS profile of type CLIENT")
                .shorts(&["tso"]),
        ),
    ]
}

fn trust_params() -> Vec<Param> {
    let print = Field::text("fingerprint", 64, "fingerprint that the partner told you, as SHA256:...").required();
    vec![Param::of(EXISTING).positional(), Param::of(print).positional()]
}

fn export_params() -> Vec<Param> {
    let format = Field::choice("format", &["TEXT", "MARKDOWN"], "form of the sheet").default("TEXT");
    vec![
        Param::of(EXISTING).positional(),
        Param::switch("sheet", "the sheet to send to the partner, instead of the objects"),
        Param::of(format),
        Param::output(),
        Param::append(),
    ]
}

fn remove_params() -> Vec<Param> {
    vec![
        Param::of(EXISTING).positional(),
        dry_run(),
        Param::switch("force", "also while transfers of it wait or run"),
        Param::switch("yes", "ask nothing"),
    ]
}

fn name_of(input: &Input) -> Result<&str, OpError> {
    input.text("name").ok_or(OpError::Syntax(InputError::Absent("name")))
}

/// The partner, or what was probably meant.
fn parts<'a>(s: &'a Snapshot, name: &str) -> Result<Parts<'a>, OpError> {
    Parts::of(s, name).ok_or_else(|| {
        let names = s.sites().filter(|site| !site.template).map(|site| site.name.as_str());
        let meant = model::nearest(name, names).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        OpError::NotFound(format!("partner {name} does not exist{meant}: see `gatehouse partner list`"))
    })
}

async fn add(context: &Context, input: &Input) -> Result<Output, OpError> {
    let answers = Answers::read(input)?;
    let stored = context.engine.stored().await.map_err(failed)?;
    let (snapshot, _) = stored.build();
    let built = build(&answers, &snapshot)?;
    let (way_in, routes) = (built.way_in, built.routes);
    let mut plan = config::plan(context, built.draft.wanted, &Prune::Nothing(BTreeSet::new()), false).await?;
    let would_be = changes::would_be(&stored, &plan.changes(context, false).await?)?;
    if let Some((local, login)) = &way_in {
        let reached = reaches(&would_be, *local, login, (&answers.name, &answers.name));
        reached.map_err(|why| OpError::Refused(format!("the login would not be let in: {why}")))?;
    }
    plan.warnings.extend(built.draft.notes);
    plan.warnings.extend(routes.iter().filter_map(|(rule, to)| hidden_route(&would_be, rule, to)));
    let dry_run = input.is_set("dry_run");
    let (planned, mut data) = story(carry_out(context, ("partner add", &answers.name), plan, dry_run).await?);
    if dry_run {
        return Ok(Output::Story { lines: planned, facts: data });
    }
    let (end, preview) = planned.split_last().map_or((String::new(), &[][..]), |(end, rest)| (end.clone(), rest));
    let loaded = context.engine.reload().await;
    loaded.map_err(|e| OpError::Failed(format!("saved, but not yet in force: {e}")))?;
    let snapshot = context.engine.snapshot();
    let parts = parts(&snapshot, &answers.name)?;
    let tests = if input.is_set("no_test") { Vec::new() } else { tests(context, &parts).await };
    let sheet = Sheet::of(&parts);
    let mut lines = preview.to_vec();
    for steps in &tests {
        lines.push(String::new());
        lines.extend(steps.lines());
    }
    let (sheet_lines, next) = (sheet.lines(), next(&parts, &tests, &sheet));
    lines.push(String::new());
    lines.extend(sheet_lines.clone());
    lines.push(String::new());
    lines.extend(next.iter().map(|text| format!("next: {text}")));
    lines.push(end.clone());
    if let Some(data) = data.as_object_mut() {
        data.insert("name".to_owned(), answers.name.clone().into());
        data.insert("done".to_owned(), end.into());
        data.insert("tests".to_owned(), tests.iter().map(Steps::facts).collect());
        data.insert("sheet".to_owned(), sheet.facts());
        data.insert("sheet_lines".to_owned(), sheet_lines.into());
        data.insert("next".to_owned(), next.into());
        data.insert("called".to_owned(), parts.is_called().into());
    }
    Ok(Output::Story { lines, facts: data })
}

fn story(output: Output) -> (Vec<String>, Json) {
    match output {
        Output::Story { lines, facts } => (lines, facts),
        other => (Vec::new(), other.json()),
    }
}

/// What to do after a partner is added.
fn next(parts: &Parts<'_>, tests: &[Steps], sheet: &Sheet) -> Vec<String> {
    let name = &parts.site.name;
    let mut all: Vec<String> = sheet.missing.iter().map(|text| format!("the sheet lacks {text}")).collect();
    all.push(format!("send the sheet to the partner: gatehouse partner export {name} -sheet"));
    let waits_for_key = parts.login().is_some()
        && !parts.gates.iter().any(|gate| gate.has_password)
        && parts.keys.iter().all(|(usage, _)| *usage != crate::partner::KeyUse::Login);
    if waits_for_key {
        all.push("let them connect once, then: gatehouse quarantine list".to_owned());
    }
    if tests.iter().any(|steps| !steps.is_good()) {
        all.push(format!("do what the failed step says, then: gatehouse partner test {name}"));
    }
    all.push(format!("see how it goes: gatehouse partner show {name}"));
    all
}

async fn tests(context: &Context, parts: &Parts<'_>) -> Vec<Steps> {
    let mut all = Vec::new();
    if parts.login().is_some() {
        all.push(inbound(context, parts).await);
    }
    if let (true, Some(caller)) = (parts.is_called(), &context.caller) {
        all.push(outbound(caller.as_ref(), parts).await);
    }
    all
}

async fn list(context: &Context) -> Result<Output, OpError> {
    let snapshot = context.engine.snapshot();
    let mut rows = Vec::new();
    for site in snapshot.sites() {
        let Some(parts) = Parts::of(&snapshot, &site.name) else { continue };
        let filter = TransferFilter { site: Some(site.name.clone()), ..TransferFilter::default() };
        let last = context.engine.db().transfers().list(filter, 1).await.map_err(failed)?;
        let last = last.first().map(|t| format!("{} {}", t.created_at, t.full_state()));
        let addresses: Vec<String> = site.addresses.iter().map(ToString::to_string).collect();
        rows.push(vec![
            site.name.as_str().into(),
            if site.enabled { "ENABLED" } else { "DISABLED" }.into(),
            parts.directions().join(", ").into(),
            parts.login().map_or(Cell::None, Cell::from),
            addresses.join(" ").into(),
            last.map_or(Cell::None, Cell::from),
            site.comments.as_str().into(),
        ]);
    }
    let columns = ["Name", "State", "Directions", "Login", "Address", "Last transfer", "Comment"];
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}

async fn show(context: &Context, input: &Input) -> Result<Output, OpError> {
    let snapshot = context.engine.snapshot();
    let (lines, facts) = page(context, &parts(&snapshot, name_of(input)?)?).await?;
    Ok(Output::Story { lines, facts })
}

async fn test(context: &Context, input: &Input) -> Result<Output, OpError> {
    let snapshot = context.engine.snapshot();
    let parts = parts(&snapshot, name_of(input)?)?;
    let all = tests(context, &parts).await;
    if all.is_empty() {
        let name = &parts.site.name;
        return Err(OpError::Refused(format!(
            "partner {name} neither has a login nor an address: there is nothing to test"
        )));
    }
    Ok(verdict(Vec::new(), &all))
}

fn verdict(mut lines: Vec<String>, all: &[Steps]) -> Output {
    let good = all.iter().all(Steps::is_good);
    for steps in all {
        lines.extend(steps.lines());
    }
    lines.push(
        if good { "the connection stands" } else { "the connection does not stand: see the failed step" }.to_owned(),
    );
    let facts = json!({ "ok": good, "tests": all.iter().map(Steps::facts).collect::<Vec<_>>() });
    Output::tested(lines, facts, good)
}

async fn trust(context: &Context, input: &Input) -> Result<Output, OpError> {
    let named = fingerprint(input.text("fingerprint").unwrap_or_default())?;
    let caller = caller(context)?;
    let snapshot = context.engine.snapshot();
    let parts = parts(&snapshot, name_of(input)?)?;
    if !parts.is_called() {
        return Err(OpError::Refused(format!("partner {} has no address: we do not call it", parts.site.name)));
    }
    let called = caller.call(parts.site, Some(named)).await;
    let text = bind(context, &parts.site.name, &named, &called).await?;
    Ok(verdict(vec![text], &[told(&parts, &called)]))
}

fn caller(context: &Context) -> Result<&dyn CallPartner, OpError> {
    context.caller.as_deref().ok_or_else(|| OpError::Failed("nobody here can call partners".to_owned()))
}

/// `SHA256:` and base 64, as OpenSSH and the gateway print it.
fn fingerprint(text: &str) -> Result<Fingerprint, OpError> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    let digits = text.trim().strip_prefix("SHA256:").map(|digits| digits.trim_end_matches('='));
    let octets = digits.and_then(|digits| STANDARD_NO_PAD.decode(digits).ok());
    let octets: Option<[u8; 32]> = octets.and_then(|octets| octets.try_into().ok());
    octets.map(Fingerprint).ok_or_else(|| {
        let text = base::brief(text, 60);
        let wrong = format!("-fingerprint is {text:?}: give it as SHA256: and 43 characters, as the partner told you");
        OpError::Syntax(InputError::Together(wrong))
    })
}

async fn export(context: &Context, input: &Input) -> Result<Output, OpError> {
    let snapshot = context.engine.snapshot();
    let parts = parts(&snapshot, name_of(input)?)?;
    if input.is_set("sheet") {
        let sheet = Sheet::of(&parts);
        let lines = if input.text("format") == Some("MARKDOWN") { sheet.markdown() } else { sheet.lines() };
        return Ok(Output::Story { lines, facts: sheet.facts() });
    }
    let own: BTreeSet<(Kind, String)> = parts.objects().into_iter().collect();
    let objects = config::exported(context, |o: &Object| own.contains(&(o.kind, o.name.clone()))).await?;
    let named = objects.iter().flat_map(|o| model::references(o.object.kind, &o.object.body));
    let others: BTreeSet<String> = named
        .filter(|(_, kind, name)| !own.contains(&(*kind, name.clone())))
        .map(|(_, kind, name)| format!("{kind} {name}"))
        .collect();
    let rules: Vec<&str> =
        own.iter().filter(|(kind, _)| *kind == Kind::DecisionRule).map(|(_, n)| n.as_str()).collect();
    let mut lines: Vec<String> = config::text(&objects, false).lines().map(str::to_owned).collect();
    if !others.is_empty() {
        lines.insert(
            1,
            format!("# It needs, and this does not hold: {}", others.into_iter().collect::<Vec<_>>().join(", ")),
        );
    }
    if !rules.is_empty() {
        lines.insert(1, format!("# Rules that a rule table must name to act: {}", rules.join(", ")));
    }
    let text = lines.join("\n") + "\n";
    Ok(Output::Story { lines, facts: json!({ "objects": objects.len(), "text": text }) })
}

async fn remove(context: &Context, input: &Input) -> Result<Output, OpError> {
    let stored = context.engine.stored().await.map_err(failed)?;
    let (snapshot, _) = stored.build();
    let parts = parts(&snapshot, name_of(input)?)?;
    let name = &parts.site.name;
    let waiting = waiting(context, name).await?;
    if waiting > 0 && !input.is_set("force") && !input.is_set("dry_run") {
        return Err(OpError::Refused(format!(
            "{waiting} transfers of {name} wait or run: see `gatehouse peldsp status_trans -site {name}`; cancel them, or use \
             -force"
        )));
    }
    let removal = removal(&parts, &stored);
    let tables = removal.tables.into_iter().map(|table| Wanted::plain(table, "rule table")).collect();
    let mut plan: Plan = config::plan(context, tables, &Prune::Nothing(BTreeSet::new()), false).await?;
    removal.gone.iter().for_each(|object| plan.delete(object));
    plan.warnings.extend(removal.kept.into_iter().map(|text| format!("stays: {text}")));
    let secrets = removal.gone.iter().any(|object| !object.secrets.is_empty());
    plan.warnings.extend(secrets.then(|| "passwords that go can't be brought back by rollback".to_owned()));
    plan.warnings.extend((waiting > 0).then(|| format!("{waiting} transfers of {name} wait or run")));
    carry_out(context, ("partner remove", name), plan, input.is_set("dry_run")).await
}

/// Transfers of a site that are not over.
async fn waiting(context: &Context, site: &str) -> Result<usize, OpError> {
    const COUNTED_MAX: u32 = 1000;
    let states = State::ALL.iter().copied().filter(|state| !state.is_end()).collect();
    let filter = TransferFilter { site: Some(site.to_owned()), states, ..TransferFilter::default() };
    Ok(context.engine.db().transfers().list(filter, COUNTED_MAX).await.map_err(failed)?.len())
}
