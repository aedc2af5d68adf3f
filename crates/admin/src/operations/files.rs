//! Files that are stored: list them, take one out, bring one in.

use base::{Pattern, QuestionMark, TransferId};
use db::{Direction, Mode, RouteState, State, Transfer, TransferFilter};
use engine::{Brought, Digest, Request, name_of_path};
use model::{Field, FieldKind, Kind};
use tokio::io::AsyncWriteExt;

use super::transfers::{ID, ident, moment};
use crate::changes::failed;
use crate::{Cell, Context, Effect, Form, Input, InputError, OpError, Operation, Output, Param, Resource, Right};

/// Records of one page of a search.
const PAGE: u32 = 500;
/// Most pages that one search reads.
const PAGES_MAX: u32 = 200;
/// Octets read from the store at once.
const PIECE_OCTETS: u32 = 256 * 1024;

const fn right(letter: char) -> Right {
    Right { resource: Resource::Transfers, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "file list",
        title: "List files that are stored, newest first",
        right: right('R'),
        effect: Effect::Read,
        params: list_params,
        run: |context, input| Box::pin(list(context, input)),
    },
    Operation {
        name: "file info",
        title: "Show what is known of a stored file",
        right: right('R'),
        effect: Effect::Read,
        params: || vec![Param::of(ID).positional()],
        run: |context, input| Box::pin(info(context, input)),
    },
    Operation {
        name: "file get",
        title: "Write a stored file into a file of yours, or to standard output",
        right: right('R'),
        effect: Effect::Control,
        params: take_out_params,
        run: |context, input| Box::pin(get(context, input)),
    },
    Operation {
        name: "file put",
        title: "Bring a file: to send it to a partner, or as if one had sent it",
        right: right('W'),
        effect: Effect::Control,
        params: put_params,
        run: |context, input| Box::pin(put(context, input)),
    },
];

fn list_params() -> Vec<Param> {
    [
        Field::text("site", 63, "partner that sent it, or gets it").shorts(&["s"]).aliases(&["partner"]),
        Field::text("dir_name", 255, "virtual folder").shorts(&["dn"]).aliases(&["folder"]),
        Field::text("file_name", 255, "name of the file, with * and ?").shorts(&["fn"]).aliases(&["pattern"]),
        Field::choice("direction", &["I", "O"], "I received, O to be sent").shorts(&["dir"]).default("I"),
        Field::choice("state", &["ANY", "UNROUTED", "FAILED", "ROUTED"], "what became of it")
            .shorts(&["st"])
            .default("ANY"),
        Field::text("since", 40, "stored at or after: 2026-11-23T14:05:00Z").aliases(&["from"]),
        Field::text("until", 40, "stored before"),
        Field::int("last", (1, 10_000), "", "how many").default("50"),
    ]
    .map(Param::of)
    .to_vec()
}

fn take_out_params() -> Vec<Param> {
    let to = Field::text("to", 4095, "file of yours that gets it; - for standard output")
        .shorts(&["t"])
        .detail("where it is not given: a file of its name in the folder you are in");
    let target = Param { form: Form::Receive, ..Param::of(to).positional() };
    vec![Param::of(ID).positional(), target, Param::switch("replace", "put it in the place of a file that is there")]
}

fn put_params() -> Vec<Param> {
    let from = Field::text("from", 4095, "file of yours; - for standard input").shorts(&["f"]).required();
    let source = Param { form: Form::Send, ..Param::of(from).positional() };
    let values = [
        Field::new("dest_alias", FieldKind::Ref(Kind::RemoteSite), "partner that gets it")
            .shorts(&["da"])
            .aliases(&["to"]),
        Field::new("org_alias", FieldKind::Ref(Kind::RemoteSite), "partner that it counts as sent by; it is routed")
            .shorts(&["oa"])
            .aliases(&["from_site"]),
        Field::text("file_name", 255, "its name; your file's where none is given").shorts(&["fn"]),
        Field::text("dir_name", 255, "folder at the partner, or virtual folder").shorts(&["dn"]).aliases(&["folder"]),
        Field::new("appli", FieldKind::Ref(Kind::Application), "application").shorts(&["ap"]),
        Field::int("priority", (0, 2), "", "0 high, 1 medium, 2 low").shorts(&["prio"]).default("1"),
    ];
    std::iter::once(source).chain(values.map(Param::of)).collect()
}

async fn list(context: &Context, input: &Input) -> Result<Output, OpError> {
    let columns = ["Ident", "Site", "Folder", "File", "Octets", "Received", "State", "Route"];
    let row = |t: &Transfer| {
        vec![
            Cell::from(t.id.0),
            t.site.as_str().into(),
            t.dir_name.as_str().into(),
            t.file_name.as_str().into(),
            t.size.map_or(Cell::None, Cell::from),
            t.created_at.to_string().into(),
            t.full_state().into(),
            t.route_state.word().into(),
        ]
    };
    let rows = found(context, input).await?.iter().map(row).collect();
    Ok(Output::Table { columns: columns.map(str::to_owned).to_vec(), rows })
}

async fn found(context: &Context, input: &Input) -> Result<Vec<Transfer>, OpError> {
    let now = context.engine.clock().now();
    let pattern = input.text("file_name");
    let exact = pattern.filter(|p| !p.contains(['*', '?'])).map(str::to_owned);
    let route_states = match input.text("state") {
        Some("UNROUTED") => vec![RouteState::NotRouted, RouteState::Failed, RouteState::ToRoute, RouteState::Empty],
        Some("FAILED") => vec![RouteState::Failed],
        Some("ROUTED") => vec![RouteState::Routed, RouteState::Acknowledged],
        _ => Vec::new(),
    };
    let mut filter = TransferFilter {
        site: input.text("site").map(str::to_owned),
        direction: input.text("direction").or(Some("I")).and_then(Direction::parse),
        from: moment(input, "since", now)?,
        until: moment(input, "until", now)?,
        file_name: exact.clone(),
        ..TransferFilter::default()
    };
    let limit = input.int("last").and_then(|n| usize::try_from(n).ok()).unwrap_or(50);
    let wanted = pattern.filter(|_| exact.is_none()).map(Pattern::new);
    let folder = input.text("dir_name");
    let fits = |t: &Transfer| {
        t.payload.is_some()
            && !matches!(t.state, State::Servicing | State::Created | State::Interrupted | State::Deleted)
            && (route_states.is_empty() || route_states.contains(&t.route_state))
            && wanted.as_ref().is_none_or(|p| p.matches(&t.file_name, QuestionMark::One))
            && folder.is_none_or(|folder| t.dir_name == folder)
    };
    let mut all = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = context.engine.db().transfers().list(filter.clone(), PAGE).await.map_err(failed)?;
        let Some(last) = page.last() else { break };
        filter.below = Some(last.id);
        let short = u32::try_from(page.len()).is_ok_and(|len| len < PAGE);
        all.extend(page.into_iter().filter(fits));
        if all.len() >= limit || short {
            break;
        }
    }
    all.truncate(limit);
    Ok(all)
}

async fn info(context: &Context, input: &Input) -> Result<Output, OpError> {
    let id = ident(input)?;
    let (t, source) = open(context, id).await?;
    let digest = source.sha256().map_or(Cell::None, |d| base::hex(&d).into());
    let octets = i64::try_from(source.size()).unwrap_or(i64::MAX);
    let fields = [
        ("ident", Cell::from(id.0)),
        ("file_name", t.file_name.as_str().into()),
        ("dir_name", t.dir_name.as_str().into()),
        ("site", t.site.as_str().into()),
        ("direction", t.direction.letter().into()),
        ("protocol", t.protocol.as_str().into()),
        ("octets", octets.into()),
        ("sha256", digest),
        ("stored", t.ended_at.unwrap_or(t.created_at).to_string().into()),
        ("state", t.full_state().into()),
        ("route_state", t.route_state.word().into()),
    ];
    Ok(Output::Record { fields: fields.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect() })
}

async fn open(context: &Context, id: TransferId) -> Result<(Transfer, engine::Source), OpError> {
    let opened = context.engine.content(id).await;
    let (t, source) = opened.map_err(|e| OpError::NotFound(e.to_string()))?;
    if matches!(t.state, State::Servicing | State::Created | State::Interrupted) && t.direction == Direction::In {
        return Err(OpError::Refused(format!("transfer {id} is not whole: see gatehouse why {id}")));
    }
    Ok((t, source))
}

async fn get(context: &Context, input: &Input) -> Result<Output, OpError> {
    let id = ident(input)?;
    let (t, mut source) = open(context, id).await?;
    let mut out = context.content.writer()?;
    let broken = |e: std::io::Error| OpError::Failed(format!("the content could not be handed out: {e}"));
    let (mut at, mut digest) = (0_u64, Digest::default());
    loop {
        let piece = source.read_at(at, PIECE_OCTETS).await.map_err(|e| OpError::Failed(e.to_string()))?;
        if piece.is_empty() {
            break;
        }
        digest.add(&piece);
        out.write_all(&piece).await.map_err(broken)?;
        at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(0));
    }
    out.shutdown().await.map_err(broken)?;
    let digest = digest.end();
    if at != source.size() || source.sha256().is_some_and(|stored| stored != digest) {
        return Err(OpError::Failed(format!("what is stored of transfer {id} is not what it was: do not use it")));
    }
    Ok(Output::Done {
        text: format!("transfer {id}: {at} octets"),
        facts: vec![
            ("local_ident".to_owned(), Cell::from(id.0)),
            ("file_name".to_owned(), t.file_name.as_str().into()),
            ("octets".to_owned(), i64::try_from(at).unwrap_or(i64::MAX).into()),
            ("sha256".to_owned(), base::hex(&digest).into()),
        ],
        warnings: Vec::new(),
    })
}

async fn put(context: &Context, input: &Input) -> Result<Output, OpError> {
    let text = |name: &str| input.text(name).unwrap_or_default().to_owned();
    let name = input.text("file_name").map(str::to_owned).or_else(|| input.text("from").and_then(name_of_path));
    let name = name.filter(|name| name != "-").ok_or(OpError::Syntax(InputError::Absent("file_name")))?;
    let mut content = context.content.reader()?;
    let refused = |e: engine::TransferError| OpError::Refused(e.to_string());
    let id = match (input.text("dest_alias"), input.text("org_alias")) {
        (Some(site), None) => {
            let there = context.engine.snapshot().site(site).is_some_and(|site| site.is_reachable());
            let request = Request {
                site: site.to_owned(),
                mode: if there { Mode::Initiator } else { Mode::Responder },
                file_name: Some(name),
                dir_name: text("dir_name"),
                appli: text("appli"),
                priority: input.int("priority"),
                actor: context.actor.clone(),
                ..Request::default()
            };
            context.engine.submit_content(request, &mut *content).await.map_err(refused)?
        }
        (None, Some(site)) => {
            let file = Brought {
                site: site.to_owned(),
                dir_name: text("dir_name"),
                file_name: name,
                appli: text("appli"),
                actor: context.actor.clone(),
            };
            let done = context.engine.bring(&file, &mut *content).await.map_err(refused)?;
            done.transfer.unwrap_or(TransferId(0))
        }
        _ => {
            let text =
                "give either -dest_alias, the partner that gets the file, or -org_alias, the one it counts as sent by";
            return Err(OpError::Syntax(InputError::Together(text.to_owned())));
        }
    };
    let stored = context.engine.content(id).await.map_err(refused)?.1;
    Ok(Output::Done {
        text: id.to_string(),
        facts: vec![
            ("local_ident".to_owned(), Cell::from(id.0)),
            ("octets".to_owned(), i64::try_from(stored.size()).unwrap_or(i64::MAX).into()),
            ("sha256".to_owned(), stored.sha256().map_or(Cell::None, |d| base::hex(&d).into())),
        ],
        warnings: Vec::new(),
    })
}
