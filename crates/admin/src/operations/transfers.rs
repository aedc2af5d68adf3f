//! Transfers: request, list, show, pause, resume, cancel; and the story of one (transfers.md).

use base::{TransferId, UtcMicros};
use db::{Direction, Mode, State, Transfer, TransferFilter};
use engine::fetch::{After, FetchRequest, Listing};
use engine::{Control, Extra, Request, Secured};
use model::{Field, FieldKind, Kind};
use serde_json::json;

use crate::changes::failed;
use crate::{Cell, Context, Effect, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::Transfers, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "peltrans",
        title: "Request a transfer; prints its local identifier",
        right: right('W'),
        effect: Effect::Control,
        params: submit_params,
        run: |context, input| Box::pin(submit(context, input)),
    },
    Operation {
        name: "peldsp select_trans",
        title: "List the identifiers of transfers that fit all criteria, newest first",
        right: right('R'),
        effect: Effect::Read,
        params: criteria,
        run: |context, input| Box::pin(select(context, input)),
    },
    Operation {
        name: "peldsp status_trans",
        title: "List transfers with their main values, newest first",
        right: right('R'),
        effect: Effect::Read,
        params: criteria,
        run: |context, input| Box::pin(status(context, input)),
    },
    Operation {
        name: "peldsp display_trans",
        title: "Show everything about a transfer",
        right: right('R'),
        effect: Effect::Read,
        params: id_params,
        run: |context, input| Box::pin(display(context, input)),
    },
    Operation {
        name: "pelctl control_trans",
        title: "Pause (S), resume (R) or cancel (C) a transfer",
        right: right('A'),
        effect: Effect::Control,
        params: control_params,
        run: |context, input| Box::pin(control(context, input)),
    },
    Operation {
        name: "pelctl start_site",
        title: "Call a site again at once, and take its calls",
        right: Right { resource: Resource::Sites, letter: 'A' },
        effect: Effect::Control,
        params: site_params,
        run: |context, input| Box::pin(switch_site(context, input, true)),
    },
    Operation {
        name: "pelctl stop_site",
        title: "No new connections to or from a site; running transfers finish",
        right: Right { resource: Resource::Sites, letter: 'A' },
        effect: Effect::Control,
        params: site_params,
        run: |context, input| Box::pin(switch_site(context, input, false)),
    },
    Operation {
        name: "route again",
        title: "Route a received file once more",
        right: right('A'),
        effect: Effect::Control,
        params: id_params,
        run: |context, input| Box::pin(reroute(context, input)),
    },
    Operation {
        name: "why",
        title: "Tell the story of a transfer, or of the newest one of a site or file name: what happened, why, what to do",
        right: right('R'),
        effect: Effect::Read,
        params: || vec![Param::of(STORY_OF).positional()],
        run: |context, input| Box::pin(why(context, input)),
    },
];

pub(super) const ID: Field =
    Field::int("local_ident", (1, i64::MAX), "", "local identifier of the transfer").shorts(&["id", "li"]).required();
const SITE: Field = Field::new("alias", FieldKind::Ref(Kind::RemoteSite), "name of the site").shorts(&["a"]).required();

/// The number of a transfer; a site or a file name stand for their newest one.
const STORY_OF: Field =
    Field::text("local_ident", 255, "number of a transfer, or the name of a site, a login or a file")
        .shorts(&["id", "li"])
        .required();

fn id_params() -> Vec<Param> {
    vec![Param::of(ID).positional()]
}

fn site_params() -> Vec<Param> {
    vec![Param::of(SITE).positional()]
}

fn control_params() -> Vec<Param> {
    const ACTION: Field = Field::choice("action", &["S", "R", "C"], "S pause, R resume, C cancel")
        .shorts(&["a"])
        .synonyms(&[("pause", "S"), ("suspend", "S"), ("resume", "R"), ("restart", "R"), ("cancel", "C")])
        .required();
    vec![Param::of(ID).positional(), Param::of(ACTION)]
}

fn submit_params() -> Vec<Param> {
    [
        Field::new("dest_alias", FieldKind::Ref(Kind::RemoteSite), "site that gets the file").shorts(&["da"]),
        Field::new("org_alias", FieldKind::Ref(Kind::RemoteSite), "site that files are fetched from").shorts(&["oa"]),
        Field::choice("direction", &["O", "I"], "O a file goes out, I files are fetched from a partner")
            .shorts(&["dir"])
            .default("O"),
        Field::choice(
            "type",
            &["TRANS", "MULTI", "DIR"],
            "what is fetched: files, or the list of the folder as a file (DIR)",
        )
        .shorts(&["t"])
        .default("TRANS"),
        Field::choice("dir_type", &["NAMES", "LONG"], "form of the list").shorts(&["dt"]).default("NAMES"),
        Field::text("file_component", 4095, "path of the local file, as the gateway sees it; needed for what goes out")
            .shorts(&["fc"]),
        Field::text("file_name", 255, "name at the partner; the local file's, or every file, where none is given")
            .shorts(&["fn"]),
        Field::text("dir_name", 255, "folder at the partner, or the virtual folder it waits in").shorts(&["dn"]),
        Field::choice("mode", &["I", "R"], "I we call the partner, R the file waits for the partner")
            .shorts(&["m"])
            .default("I"),
        Field::new("appli", FieldKind::Ref(Kind::Application), "application").shorts(&["ap"]),
        Field::int("priority", (0, 2), "", "0 high, 1 medium, 2 low").shorts(&["prio"]).default("1"),
        Field::flag("frozen_state", "N", "wait until restarted").shorts(&["fs"]),
        Field::flag("permanent", "N", "the partner may fetch it any number of times; or we look again and again")
            .shorts(&["perm"]),
        Field::int("interval", (5, 86_400), "s", "time between two looks of a permanent request to fetch")
            .default("60"),
        Field::text("multi_filter", 255, "which files are fetched")
            .shorts(&["mf"])
            .detail("name=*.csv; 100 < size < 5000; time = last 2 days (rounded; hours, minutes)"),
        Field::choice("after_fetch", &["KEEP", "DELETE"], "what becomes of fetched files at the partner")
            .shorts(&["af"])
            .default("KEEP"),
        Field::int("retry_count_max", (0, 999), "", "tries after the first").shorts(&["rcm"]).default("10"),
        Field::text("ftp_command", 255, "commands for the partner's FTP server, before and behind the file")
            .shorts(&["fcmd"])
            .detail("SITE text;QUOTE text;AE_SITE text;AC_SITE text; else those of the site"),
        Field::text("param1", 40, "text of the user's own, never sent").shorts(&["p1"]),
        Field::text("param2", 40, "text of the user's own, never sent").shorts(&["p2"]),
    ]
    .map(Param::of)
    .into_iter()
    .chain(
        [time("date_to_begin", "not before").shorts(&["dtb"]), time("date_to_end", "cancelled after").shorts(&["dte"])]
            .map(Param::time),
    )
    .collect()
}

/// A parameter that is a time.
const fn time(name: &'static str, help: &'static str) -> Field {
    Field::text(name, 60, help)
        .detail("2026-11-23T14:05:00+01:00; or 2026-11-23T14:05 in the zone of TZ; or +hhmmss from now")
}

fn criteria() -> Vec<Param> {
    [
        Field::text("site", 63, "remote site").shorts(&["s"]).aliases(&["dest_alias", "org_alias"]),
        Field::text("state", 40, "letters of states, as B or PR").shorts(&["st"]),
        Field::choice("direction", &["I", "O"], "I in, O out").shorts(&["dir"]),
        Field::choice("mode", &["I", "R"], "I we called, R the partner called").shorts(&["m"]),
        Field::text("file_name", 255, "name of the file").shorts(&["fn"]),
        Field::int("below", (1, i64::MAX), "", "only identifiers below this one: the next page"),
        Field::int("last", (1, 10_000), "", "how many").default("50"),
    ]
    .map(Param::of)
    .into_iter()
    .chain([time("from", "made at or after"), time("until", "made before")].map(Param::time))
    .collect()
}

async fn submit(context: &Context, input: &Input) -> Result<Output, OpError> {
    let now = context.engine.clock().now();
    let given = |name: &str| input.text(name).map(str::to_owned);
    if input.text("direction") == Some("I") {
        return fetch(context, input, now).await;
    }
    needs(input, &["dest_alias", "file_component"], "what goes out")?;
    let request = Request {
        site: given("dest_alias").unwrap_or_default(),
        file: given("file_component").unwrap_or_default().into(),
        file_name: given("file_name"),
        dir_name: given("dir_name").unwrap_or_default(),
        mode: if input.text("mode") == Some("R") { Mode::Responder } else { Mode::Initiator },
        appli: given("appli").unwrap_or_default(),
        priority: input.int("priority"),
        frozen: input.is_set("frozen_state"),
        permanent: input.is_set("permanent"),
        not_before: moment(input, "date_to_begin", now)?,
        not_after: moment(input, "date_to_end", now)?,
        retry_count_max: input.int("retry_count_max").and_then(|n| u32::try_from(n).ok()),
        commands: given("ftp_command").unwrap_or_default(),
        parameters: [given("param1").unwrap_or_default(), given("param2").unwrap_or_default()],
        actor: context.actor.clone(),
        ..Request::default()
    };
    let id = context.engine.submit(request).await.map_err(|e| OpError::Refused(e.to_string()))?;
    let facts = vec![("local_ident".to_owned(), Cell::from(id.0))];
    Ok(Output::Done { text: id.to_string(), facts, warnings: Vec::new() })
}

/// Files are wanted from a partner.
async fn fetch(context: &Context, input: &Input, now: UtcMicros) -> Result<Output, OpError> {
    needs(input, &["org_alias"], "what is fetched")?;
    let given = |name: &str| input.text(name).map(str::to_owned).unwrap_or_default();
    let every = input.int("interval").and_then(|n| u32::try_from(n).ok());
    let request = FetchRequest {
        site: given("org_alias"),
        dir_name: given("dir_name"),
        file_name: input.text("file_name").map(str::to_owned),
        filter: given("multi_filter"),
        after: if input.text("after_fetch") == Some("DELETE") { After::Delete } else { After::Keep },
        listing: (input.text("type") == Some("DIR")).then(|| match input.text("dir_type") {
            Some("LONG") => Listing::Long,
            _ => Listing::Names,
        }),
        every_s: every.filter(|_| input.is_set("permanent")),
        appli: given("appli"),
        priority: input.int("priority").unwrap_or(1),
        not_before: moment(input, "date_to_begin", now)?,
        not_after: moment(input, "date_to_end", now)?,
        frozen: input.is_set("frozen_state"),
        retry_count_max: input.int("retry_count_max").and_then(|n| u32::try_from(n).ok()),
        commands: given("ftp_command"),
        parameters: [given("param1"), given("param2")],
        actor: context.actor.clone(),
    };
    let id = context.engine.submit_fetch(request).await.map_err(|e| OpError::Refused(e.to_string()))?;
    let facts = vec![("local_ident".to_owned(), Cell::from(id.0))];
    Ok(Output::Done { text: id.to_string(), facts, warnings: Vec::new() })
}

/// Refuses a request that lacks a parameter which only this kind of request needs.
fn needs(input: &Input, names: &[&str], what: &str) -> Result<(), OpError> {
    match names.iter().find(|name| input.text(name).is_none()) {
        Some(name) => Err(OpError::Syntax(InputError::Together(format!("{what} needs -{name}")))),
        None => Ok(()),
    }
}

/// A time as RFC 3339, or `+hhmmss` from now (TRF-5).
pub(super) fn moment(input: &Input, name: &'static str, now: UtcMicros) -> Result<Option<UtcMicros>, OpError> {
    let Some(text) = input.text(name) else { return Ok(None) };
    let wrong =
        || OpError::Syntax(InputError::Together(format!("-{name} is {text:?}: give 2026-11-23T14:05:00Z or +hhmmss")));
    let Some(digits) = text.strip_prefix('+') else {
        return UtcMicros::parse(text).map(Some).map_err(|_| wrong());
    };
    let number: u64 = digits.parse().ok().filter(|_| digits.len() == 6).ok_or_else(wrong)?;
    let seconds = number / 10_000 * 3600 + number / 100 % 100 * 60 + number % 100;
    Ok(Some(now.plus(std::time::Duration::from_secs(seconds))))
}

/// Records read at a time: of a long list only what is shown stays in memory.
const PAGE: u32 = 500;

/// Rows of the transfers that fit, newest first.
async fn found(context: &Context, input: &Input, row: fn(Transfer) -> Vec<Cell>) -> Result<Vec<Vec<Cell>>, OpError> {
    let mut filter = filter(context, input)?;
    let mut left = input.int("last").and_then(|n| u32::try_from(n).ok()).unwrap_or(50);
    let mut rows = Vec::new();
    while left > 0 {
        let asked = left.min(PAGE);
        let page = context.engine.db().transfers().list(filter.clone(), asked).await.map_err(failed)?;
        let count = u32::try_from(page.len()).unwrap_or(asked);
        filter.below = page.last().map(|t| t.id);
        rows.extend(page.into_iter().map(row));
        left = if count < asked { 0 } else { left.saturating_sub(count) };
    }
    Ok(rows)
}

fn filter(context: &Context, input: &Input) -> Result<TransferFilter, OpError> {
    let now = context.engine.clock().now();
    let mut states = Vec::new();
    for letter in input.text("state").unwrap_or_default().chars() {
        let state = State::parse(&letter.to_string());
        states
            .push(state.ok_or_else(|| OpError::Syntax(InputError::Together(format!("-state: {letter} is no state"))))?);
    }
    Ok(TransferFilter {
        states,
        site: input.text("site").map(str::to_owned),
        direction: input.text("direction").and_then(Direction::parse),
        mode: input.text("mode").and_then(Mode::parse),
        file_name: input.text("file_name").map(str::to_owned),
        from: moment(input, "from", now)?,
        until: moment(input, "until", now)?,
        below: input.int("below").map(TransferId),
        ..TransferFilter::default()
    })
}

async fn select(context: &Context, input: &Input) -> Result<Output, OpError> {
    let rows = found(context, input, |t| vec![Cell::from(t.id.0)]).await?;
    Ok(Output::Table { columns: vec!["Ident".to_owned()], rows })
}

async fn status(context: &Context, input: &Input) -> Result<Output, OpError> {
    let columns =
        ["Ident", "Dir", "Mode", "Site", "Folder", "File", "Octets", "State", "Route", "Tries", "Created", "Cause"];
    let row = |t: Transfer| {
        vec![
            Cell::from(t.id.0),
            t.direction.letter().into(),
            t.mode.letter().into(),
            t.site.as_str().into(),
            t.dir_name.as_str().into(),
            t.file_name.as_str().into(),
            t.size.map_or(Cell::None, Cell::from),
            t.full_state().into(),
            t.route_state.word().into(),
            t.retries.into(),
            t.created_at.into(),
            t.err.as_str().into(),
        ]
    };
    let rows = found(context, input, row).await?;
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}

pub(super) fn ident(input: &Input) -> Result<TransferId, OpError> {
    input.int("local_ident").map(TransferId).ok_or(OpError::Syntax(InputError::Absent("local_ident")))
}

async fn display(context: &Context, input: &Input) -> Result<Output, OpError> {
    let id = ident(input)?;
    let transfers = context.engine.db().transfers();
    let found = transfers.get(id).await.map_err(failed)?;
    let t = found.ok_or_else(|| OpError::NotFound(format!("transfer {id} does not exist")))?;
    let payload = match t.payload {
        Some(payload) => context.engine.db().payloads().get(payload).await.map_err(failed)?,
        None => None,
    };
    let sha256 = payload.and_then(|p| p.sha256).map_or(Cell::None, |hash| base::hex(&hash).into());
    let routed = transfers.routed_to(id).await.map_err(failed)?;
    let mut fields = record(&t);
    fields.push(("x_sha256", sha256));
    fields.push(("x_route_to_xfer", Cell::List(routed.iter().map(ToString::to_string).collect())));
    Ok(Output::Record { fields: fields.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect() })
}

/// The fields of transfers.md section 11 that a transfer of this gateway has.
fn record(t: &Transfer) -> Vec<(&'static str, Cell)> {
    let time = |at: Option<UtcMicros>| at.map_or(Cell::None, Cell::from);
    let link = |id: Option<TransferId>| id.map_or(Cell::None, |id| id.0.into());
    let extra = Extra::of(t);
    let tls = |said: fn(&Secured) -> Cell| extra.secured.as_ref().map_or(Cell::None, said);
    vec![
        ("x_local_ident", t.id.0.into()),
        ("x_type", t.kind.word().into()),
        ("x_mode", t.mode.letter().into()),
        ("x_direction", t.direction.letter().into()),
        ("x_protocol", t.protocol.as_str().into()),
        ("x_local_alias", t.local.as_str().into()),
        ("x_remote_alias", t.site.as_str().into()),
        ("x_gate", extra.gate.into()),
        ("x_tls_profile", tls(|secured| secured.profile.as_str().into())),
        ("x_tls_version", tls(|secured| secured.version.as_str().into())),
        ("x_tls_suite", tls(|secured| secured.suite.as_str().into())),
        ("x_tls_client_auth", tls(|secured| Cell::Flag(secured.client_authenticated))),
        ("x_tls_server_auth", tls(|secured| Cell::Flag(secured.server_authenticated))),
        ("x_username", t.login.as_str().into()),
        ("x_appli", t.appli.as_str().into()),
        ("x_dir_name", t.dir_name.as_str().into()),
        ("x_file_name", t.file_name.as_str().into()),
        ("x_file_size", t.size.map_or(Cell::None, Cell::from)),
        ("x_x_bytes", t.done_octets.into()),
        ("x_state", t.state.letter().into()),
        ("x_full_state", t.full_state().into()),
        ("x_route_state", t.route_state.word().into()),
        ("x_priority", t.priority.into()),
        ("x_create_date", time(Some(t.created_at))),
        ("x_date_to_begin", time(t.not_before)),
        ("x_date_to_end", time(t.not_after)),
        ("x_next_try", time(Some(t.next_try_at))),
        ("x_end_date", time(t.ended_at)),
        ("x_retry_count", t.retries.into()),
        ("x_last_end_reason", t.reason.into()),
        ("x_last_end_diag", t.diag.into()),
        ("x_last_end_err", t.err.as_str().into()),
        ("x_route_from_xfer", link(t.route_from)),
        ("x_dup_from_xfer", link(t.dup_from)),
    ]
}

async fn control(context: &Context, input: &Input) -> Result<Output, OpError> {
    let id = ident(input)?;
    let action = input.text("action").and_then(Control::parse).ok_or(InputError::Absent("action"))?;
    let state =
        context.engine.control(id, action, &context.actor).await.map_err(|e| OpError::Refused(e.to_string()))?;
    Ok(Output::done(format!("transfer {id} is now {}", state.word())))
}

async fn switch_site(context: &Context, input: &Input, start: bool) -> Result<Output, OpError> {
    let name = input.text("alias").ok_or(InputError::Absent("alias"))?;
    let done = if start { context.engine.start_site(name).await } else { context.engine.stop_site(name).await };
    done.map_err(|e| OpError::Refused(e.to_string()))?;
    Ok(Output::done(format!("site {name} {}", if start { "started" } else { "stopped" })))
}

async fn reroute(context: &Context, input: &Input) -> Result<Output, OpError> {
    let id = ident(input)?;
    let made = context.engine.reroute(id).await.map_err(|e| OpError::Refused(e.to_string()))?;
    let made: Vec<String> = made.iter().map(ToString::to_string).collect();
    Ok(Output::Done {
        text: if made.is_empty() {
            format!("transfer {id} went nowhere")
        } else {
            format!("transfer {id} routed as {}", made.join(", "))
        },
        facts: vec![("route_to_xfer".to_owned(), Cell::List(made))],
        warnings: Vec::new(),
    })
}

async fn why(context: &Context, input: &Input) -> Result<Output, OpError> {
    let named = input.text("local_ident").ok_or(InputError::Absent("local_ident"))?;
    let id = match named.parse().ok().filter(|id| *id > 0) {
        Some(id) => TransferId(id),
        None => context.engine.newest(named).await.map_err(|e| OpError::NotFound(e.to_string()))?,
    };
    let story = context.engine.why(id).await.map_err(|e| OpError::NotFound(e.to_string()))?;
    Ok(Output::Story { lines: story.lines(), facts: json!(story) })
}
