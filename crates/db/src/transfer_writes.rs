//! Operations on transfers within a transaction.
//!
//! A change is one trip to the database: the step is written and the record updated only where the state permits it,
//! given as the list of letters from which the new state may be reached. If nothing matched, a second look says why.

use base::{TransferId, UtcMicros};

use crate::DbError;
use crate::records::{CommitReceived, DueQuery, Inserted, NewTransfer, Transfer, TransferChange};
use crate::sql::{Args, Conn, args};
use crate::state::{RouteState, State};
use crate::transfer_rows::{columns, letter, transfer};
use crate::transfers::Routing;

/// Records a transfer and its first step.
pub(crate) async fn insert(conn: &mut Conn, new: NewTransfer) -> Result<Inserted, DbError> {
    if !(new.state.is_beginning() || new.state == State::Servicing) {
        return Err(DbError::NotFirst { id: new.id, state: new.state });
    }
    if let Some(from) = new.route_from {
        let sql = "SELECT id FROM transfer WHERE route_from = $1 AND rule_id = $2 AND site = $3 AND dest_gen = $4";
        let rule = new.rule_id.map_or(0, |id| id.0);
        if let Some(mut row) = conn.row(sql, args![from, rule, new.site.as_str(), new.dest_gen]).await? {
            return Ok(Inserted::Already(TransferId(row.int()?)));
        }
    }
    let sql = if new.payload.is_some() { INSERT_WITH_PAYLOAD } else { INSERT };
    let (id, has_payload) = (new.id, new.payload.is_some());
    let changed = conn.script(sql, insert_args(new)).await?;
    match changed.last() {
        Some(0) if has_payload => Err(DbError::Corrupt { what: format!("transfer {id} without its payload") }),
        _ => Ok(Inserted::New),
    }
}

fn insert_args(new: NewTransfer) -> Args {
    let rule = new.rule_id.map_or(0, |id| id.0);
    let next_try = new.not_before.map_or(new.created_at, |at| at.max(new.created_at));
    args![
        new.id,
        new.kind.letter(),
        new.mode.letter(),
        new.direction.letter(),
        new.protocol,
        new.local,
        new.site,
        new.gate,
        new.login,
        new.appli,
        new.dir_name,
        new.file_name,
        new.state.letter(),
        new.route_state.letter(),
        new.trade_state.letter(),
        new.priority,
        new.listed,
        new.created_at,
        new.not_before,
        new.not_after,
        next_try,
        new.size,
        new.payload,
        new.route_from,
        rule,
        new.dest_gen,
        new.master,
        new.dup_from,
        new.reply_to,
        new.message_id,
        new.why_json,
        new.extra_json,
        new.node,
    ]
}

macro_rules! insert_sql {
    () => {
        "INSERT INTO transfer (id, type, mode, direction, protocol, local_site, site, gate, login, appli, dir_name, \
           file_name, state, route_state, trade_state, priority, listed, created_at, not_before, not_after, \
           next_try_at, size, payload_id, route_from, rule_id, dest_gen, master, dup_from, reply_to, message_id, \
           why_json, extra_json, node_id, retries, done_octets, reason, diag, err, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
           $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, 0, 0, 0, 0, '', 1); \
         INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) VALUES ($1, 1, $18, '', $13, '')"
    };
}

const INSERT: &str = insert_sql!();
const INSERT_WITH_PAYLOAD: &str = concat!(
    insert_sql!(),
    "; UPDATE payload SET refs = refs + 1, purge_after = NULL WHERE id = $23 AND state <> 'PURGED'"
);

/// Changes a transfer.
pub(crate) async fn apply(conn: &mut Conn, change: TransferChange) -> Result<Transfer, DbError> {
    let (id, to, route_to) = (change.id, change.to, change.route_state);
    let from = permitted_from(&change.expected, to);
    let owner = change.owner.clone();
    let sql = if conn.is_postgres() { APPLY_LOCKED } else { APPLY };
    let row = conn.row(sql, apply_args(change, &from)).await?;
    match row {
        Some(row) => transfer(row),
        None => Err(why_not(conn, id, owner.as_deref(), (to, route_to)).await?),
    }
}

fn apply_args(change: TransferChange, from: &str) -> Args {
    let ends = change.to.is_some_and(State::is_end);
    let idle = change.to.is_some_and(|to| !matches!(to, State::Processing | State::Servicing));
    let (reason, diag, err) = match change.outcome {
        Some(outcome) => (Some(outcome.reason), Some(outcome.diag), Some(outcome.err)),
        None => (None, None, None),
    };
    let (dir_name, file_name) = change.renamed.unzip();
    let handed_on = |letter: &char| change.unrouted && HANDED_ON.contains(letter);
    let route_from: String = route_from_letters(change.route_state).chars().filter(|l| !handed_on(l)).collect();
    args![
        change.id,
        from,
        change.to.map(State::letter),
        change.at,
        change.note,
        reason,
        diag,
        err,
        change.route_state.map(RouteState::letter),
        route_from,
        change.trade_state.map(crate::TradeState::letter),
        change.next_try_at,
        change.retries,
        change.size,
        change.done_octets,
        dir_name,
        file_name,
        change.listed.map(i64::from),
        change.priority,
        change.payload,
        change.why_json,
        change.extra_json,
        change.node,
        change.owner,
        idle,
        ends.then_some(change.at),
        change.expected_revision,
    ]
}

/// `$2` and `$10` are lists of letters; `LIKE` is the one way to look into them that both databases know. Nodes of a
/// PostgreSQL lock the record first, so that the second of two looks at what the first has made of it.
macro_rules! apply_sql {
    ($lock:literal) => {
        concat!(
            "INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) \
       SELECT id, revision + 1, $4, state, $3, $5 FROM transfer \
       WHERE id = $1 AND $3 IS NOT NULL AND $2 LIKE '%' || state || '%' AND $10 LIKE '%' || route_state || '%' \
         AND revision = COALESCE($27, revision) AND ($24 IS NULL OR node_id = $24)",
            $lock,
            "; \
     UPDATE payload SET refs = refs + 1, purge_after = NULL WHERE id = $20; \
     UPDATE transfer SET state = COALESCE($3, state), reason = COALESCE($6, reason), diag = COALESCE($7, diag), \
       err = COALESCE($8, err), route_state = COALESCE($9, route_state), trade_state = COALESCE($11, trade_state), \
       next_try_at = COALESCE($12, next_try_at), retries = COALESCE($13, retries), size = COALESCE($14, size), \
       done_octets = COALESCE($15, done_octets), dir_name = COALESCE($16, dir_name), \
       file_name = COALESCE($17, file_name), listed = COALESCE($18, listed), priority = COALESCE($19, priority), \
       payload_id = COALESCE($20, payload_id), why_json = COALESCE($21, why_json), \
       extra_json = COALESCE($22, extra_json), \
       node_id = CASE WHEN $25 = 1 THEN NULL ELSE COALESCE($23, node_id) END, \
       ended_at = COALESCE($26, ended_at), revision = revision + 1 \
     WHERE id = $1 AND $2 LIKE '%' || state || '%' AND $10 LIKE '%' || route_state || '%' \
       AND revision = COALESCE($27, revision) AND ($24 IS NULL OR node_id = $24) RETURNING ",
            columns!()
        )
    };
}
const APPLY: &str = apply_sql!("");
const APPLY_LOCKED: &str = apply_sql!(" FOR UPDATE");

/// Changes the protocol's own fields of a running transfer.
pub(crate) async fn note(conn: &mut Conn, id: TransferId, owner: String, extra_json: String) -> Result<(), DbError> {
    match conn.run(NOTE, args![id, extra_json, owner.as_str()]).await? {
        0 => Err(why_not(conn, id, Some(&owner), (None, None)).await?),
        _ => Ok(()),
    }
}

const NOTE: &str = "UPDATE transfer SET extra_json = $2, revision = revision + 1 \
    WHERE id = $1 AND state = 'P' AND node_id = $3";

/// Letters of the states from which the change may start (TRF-3).
fn permitted_from(expected: &[State], to: Option<State>) -> String {
    let all = State::ALL.iter().filter(|s| expected.is_empty() || expected.contains(s));
    all.filter(|s| to.is_none_or(|to| s.may_become(to))).map(|s| s.letter()).collect()
}

/// Route states of what was handed on.
const HANDED_ON: [char; 2] = ['R', 'A'];

fn route_from_letters(to: Option<RouteState>) -> String {
    RouteState::ALL.iter().filter(|s| to.is_none_or(|to| s.may_become(to))).map(|s| s.letter()).collect()
}

/// Why a change matched nothing.
async fn why_not(
    conn: &mut Conn,
    id: TransferId,
    owner: Option<&str>,
    (to, route_to): (Option<State>, Option<RouteState>),
) -> Result<DbError, DbError> {
    let row = conn.row("SELECT state, route_state, node_id FROM transfer WHERE id = $1", args![id]).await?;
    let Some(mut row) = row else { return Ok(DbError::NoTransfer(id)) };
    let found = letter(&mut row, State::parse)?;
    let route = letter(&mut row, RouteState::parse)?;
    let node = row.opt_text()?;
    if owner.is_some_and(|owner| node.as_deref() != Some(owner)) && !found.is_end() {
        return Ok(DbError::TakenOver { id });
    }
    Ok(match (to, route_to) {
        (Some(to), _) if !found.may_become(to) => DbError::Transition { id, found, to },
        (_, Some(to)) if !route.may_become(to) => DbError::RouteTransition { id, found: route, to },
        _ => DbError::Unexpected { id, found },
    })
}

/// A received file is whole.
pub(crate) async fn commit_received(conn: &mut Conn, commit: CommitReceived) -> Result<(), DbError> {
    let (id, to, route_state) = (commit.id, commit.to, commit.route_state);
    let (uuid, store, inline) = commit.payload.body.parts()?;
    let args = args![
        id,
        permitted_from(&[State::Servicing, State::Processing], Some(to)),
        to.letter(),
        commit.at,
        commit.note,
        route_state.letter(),
        commit.route_after,
        commit.payload.id,
        uuid,
        store,
        commit.payload.size,
        commit.payload.sha256,
        inline,
        to.is_end().then_some(commit.at),
        commit.owner.as_deref(),
    ];
    let sql = if conn.is_postgres() { COMMIT_LOCKED } else { COMMIT_RECEIVED };
    let changed = conn.script(sql, args).await?;
    match changed.get(2) {
        Some(1) => Ok(()),
        _ => Err(why_not(conn, id, commit.owner.as_deref(), (Some(to), None)).await?),
    }
}

/// The node stays in the record until it is routed: it knows best when that is, and others leave it to it.
macro_rules! commit_sql {
    ($lock:literal) => {
        concat!(
            "INSERT INTO payload (id, file_uuid, store, state, size, sha256, inline_sealed, durable_to, refs) \
      VALUES ($8, $9, $10, 'COMMITTED', $11, $12, $13, $11, 1) \
      ON CONFLICT (id) DO UPDATE SET state = 'COMMITTED', size = excluded.size, sha256 = excluded.sha256, \
        inline_sealed = excluded.inline_sealed, file_uuid = excluded.file_uuid, store = excluded.store, \
        durable_to = excluded.durable_to, hash_state = NULL, refs = 1, purge_after = NULL, holder = NULL; \
    INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) \
      SELECT id, revision + 1, $4, state, $3, $5 FROM transfer WHERE id = $1 AND $2 LIKE '%' || state || '%' \
        AND ($15 IS NULL OR node_id = $15)",
            $lock,
            "; \
    UPDATE transfer SET state = $3, route_state = $6, next_try_at = $7, payload_id = $8, size = $11, \
      done_octets = $11, ended_at = $14, revision = revision + 1 \
      WHERE id = $1 AND $2 LIKE '%' || state || '%' AND ($15 IS NULL OR node_id = $15); \
    UPDATE transfer SET listed = 0, revision = revision + 1 WHERE listed = 1 AND direction = 'I' AND id < $1 \
      AND gate = (SELECT m.gate FROM transfer AS m WHERE m.id = $1 AND m.direction = 'I' AND m.listed = 1) \
      AND dir_name = (SELECT m.dir_name FROM transfer AS m WHERE m.id = $1) \
      AND file_name = (SELECT m.file_name FROM transfer AS m WHERE m.id = $1) \
      AND state || '' NOT IN ('T', 'V', 'P', 'I')"
        )
    };
}
pub(crate) const COMMIT_RECEIVED: &str = commit_sql!("");
const COMMIT_LOCKED: &str = commit_sql!(" FOR UPDATE");

/// Stores what routing decided.
pub(crate) async fn route(conn: &mut Conn, routing: Routing) -> Result<Vec<TransferId>, DbError> {
    if conn.is_postgres() {
        // Of two nodes the second waits here, and then finds the revision changed.
        conn.row("SELECT id FROM transfer WHERE id = $1 FOR UPDATE", args![routing.from]).await?;
    }
    let mut made = Vec::with_capacity(routing.deliveries.len());
    for delivery in routing.deliveries {
        let id = delivery.id;
        made.push(match insert(conn, delivery).await? {
            Inserted::New => id,
            Inserted::Already(id) => id,
        });
    }
    let to = routing.route_state;
    let args = args![
        routing.from,
        routing.at,
        to.letter(),
        route_from_letters(Some(to)),
        routing.why_json,
        routing.err,
        format!("route state {to}"),
        routing.expected_revision,
    ];
    let changed = conn.script(ROUTE, args).await?;
    match changed.last() {
        Some(1) => Ok(made),
        _ => Err(why_not(conn, routing.from, None, (None, Some(to))).await?),
    }
}

const ROUTE: &str = "\
    INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) \
      SELECT id, revision + 1, $2, state, state, $7 FROM transfer \
      WHERE id = $1 AND $4 LIKE '%' || route_state || '%' AND revision = COALESCE($8, revision); \
    UPDATE transfer SET route_state = $3, why_json = $5, err = $6, node_id = NULL, revision = revision + 1, \
      listed = CASE WHEN $3 = 'R' THEN 0 ELSE listed END \
      WHERE id = $1 AND $4 LIKE '%' || route_state || '%' AND revision = COALESCE($8, revision)";

/// Takes transfers whose turn has come, site by site.
pub(crate) async fn take_due(conn: &mut Conn, sites: Vec<String>, query: DueQuery) -> Result<Vec<Transfer>, DbError> {
    let mut taken = Vec::new();
    for site in sites {
        taken.extend(take_due_of(conn, &site, &query).await?);
    }
    Ok(taken)
}

async fn take_due_of(conn: &mut Conn, site: &str, query: &DueQuery) -> Result<Vec<Transfer>, DbError> {
    let mut taken = Vec::new();
    for priority in 0..=2_i64 {
        let left = i64::from(query.limit).saturating_sub(i64::try_from(taken.len()).unwrap_or(i64::MAX));
        if left <= 0 {
            break;
        }
        let sql = if conn.is_postgres() { DUE_LOCKED } else { DUE };
        for mut row in conn.rows(sql, args![site, priority, query.now, left]).await? {
            let id = row.int()?;
            if letter(&mut row, State::parse)? == State::Delayed {
                conn.script(BEGIN_DELAYED, args![id, query.now]).await?;
            }
            let args = args![id, query.now, query.node.as_str()];
            taken.extend(conn.row(TAKE, args).await?.map(transfer).transpose()?);
        }
    }
    Ok(taken)
}

macro_rules! due {
    () => {
        "SELECT id, state FROM transfer WHERE state IN ('B', 'R', 'D') AND mode = 'I' AND site = $1 AND priority = $2 \
         AND next_try_at <= $3 ORDER BY next_try_at, id LIMIT $4"
    };
}
pub(crate) const DUE: &str = due!();
const DUE_LOCKED: &str = concat!(due!(), " FOR UPDATE SKIP LOCKED");

/// Two statements, each on its index: what is to be routed, and what is to be sent.
pub(crate) const SOONER: &str = "\
    UPDATE transfer SET next_try_at = next_try_at - $2, revision = revision + 1 \
      WHERE route_state = 'T' AND next_try_at > $1; \
    UPDATE transfer SET revision = revision + 1, \
      next_try_at = CASE WHEN not_before > next_try_at - $2 THEN not_before ELSE next_try_at - $2 END \
      WHERE state <> 'E' AND state IN ('B', 'R') AND next_try_at > $1";

const BEGIN_DELAYED: &str = "\
    INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) \
      SELECT id, revision + 1, $2, 'D', 'B', '' FROM transfer WHERE id = $1; \
    UPDATE transfer SET state = 'B', revision = revision + 1 WHERE id = $1 AND state = 'D'";

const TAKE: &str = concat!(
    "INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) \
       SELECT id, revision + 1, $2, state, 'P', '' FROM transfer WHERE id = $1; \
     UPDATE transfer SET state = 'P', node_id = $3, revision = revision + 1 \
       WHERE id = $1 AND state IN ('B', 'R') RETURNING ",
    columns!()
);

/// What was running at a node that is no longer there becomes to restart or interrupted (TRF-4). `note` is told in the
/// step.
pub(crate) async fn recover(conn: &mut Conn, now: UtcMicros, note: &str) -> Result<Vec<TransferId>, DbError> {
    let mut ids = Vec::new();
    let sql = if conn.is_postgres() { RUNNING_LOCKED } else { RUNNING };
    for mut row in conn.rows(sql, Vec::new()).await? {
        let id = TransferId(row.int()?);
        let state = letter(&mut row, State::parse)?;
        let to = if state == State::Processing { State::ToRestart } else { State::Interrupted };
        let revision = row.int()?;
        let changed = conn.script(RECOVER, args![id, now, to.letter(), note, revision]).await?;
        if changed.last() == Some(&1) {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

macro_rules! running {
    () => {
        "SELECT id, state, revision FROM transfer WHERE state <> 'E' AND state IN ('P', 'V', 'T') \
         AND NOT EXISTS (SELECT 1 FROM node WHERE node.id = transfer.node_id AND node.state = 'U')"
    };
}
/// At work by its record, but of no node that is there.
pub(crate) const RUNNING: &str = running!();
const RUNNING_LOCKED: &str = concat!(running!(), " FOR UPDATE SKIP LOCKED");

/// Only as it was found: between look and lock another node may have put it in order, and a third begun it.
const RECOVER: &str = "\
    INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) \
      SELECT id, revision + 1, $2, state, $3, $4 FROM transfer WHERE id = $1 AND revision = $5; \
    UPDATE transfer SET state = $3, next_try_at = $2, node_id = NULL, revision = revision + 1 \
      WHERE id = $1 AND state IN ('P', 'V', 'T') AND revision = $5";
