//! Transfers as rows: columns, filters, queries.

use base::{ObjectId, PayloadId, TransferId, UtcMicros};

use crate::DbError;
use crate::records::{EntryQuery, Transfer, TransferFilter};
use crate::sql::{Args, Columns, Value, args};
use crate::state::{Direction, Mode, RouteState, State, TradeState, TransferType};

/// All columns, in the order of [`transfer`].
macro_rules! columns {
    () => {
        "id, type, mode, direction, protocol, local_site, site, gate, login, appli, dir_name, file_name, state, \
         route_state, trade_state, priority, listed, created_at, not_before, not_after, next_try_at, ended_at, retries, \
         size, done_octets, payload_id, route_from, rule_id, dest_gen, master, dup_from, reply_to, message_id, reason, \
         diag, err, why_json, extra_json, node_id, revision"
    };
}
pub(crate) use columns;

/// Reads a row of `columns!()`.
pub(crate) fn transfer(mut row: Columns) -> Result<Transfer, DbError> {
    let row = &mut row;
    Ok(Transfer {
        id: TransferId(row.int()?),
        kind: letter(row, TransferType::parse)?,
        mode: letter(row, Mode::parse)?,
        direction: letter(row, Direction::parse)?,
        protocol: row.text()?,
        local: row.text()?,
        site: row.text()?,
        gate: row.text()?,
        login: row.text()?,
        appli: row.text()?,
        dir_name: row.text()?,
        file_name: row.text()?,
        state: letter(row, State::parse)?,
        route_state: letter(row, RouteState::parse)?,
        trade_state: letter(row, TradeState::parse)?,
        priority: row.int()?,
        listed: row.int()? != 0,
        created_at: UtcMicros(row.int()?),
        not_before: row.opt_int()?.map(UtcMicros),
        not_after: row.opt_int()?.map(UtcMicros),
        next_try_at: UtcMicros(row.int()?),
        ended_at: row.opt_int()?.map(UtcMicros),
        retries: row.int()?,
        size: row.opt_int()?,
        done_octets: row.int()?,
        payload: row.opt_int()?.map(PayloadId),
        route_from: row.opt_int()?.map(TransferId),
        rule_id: Some(row.int()?).filter(|id| *id != 0).map(ObjectId),
        dest_gen: row.int()?,
        master: row.opt_int()?.map(TransferId),
        dup_from: row.opt_int()?.map(TransferId),
        reply_to: row.opt_int()?.map(TransferId),
        message_id: row.opt_text()?,
        reason: row.int()?,
        diag: row.int()?,
        err: row.text()?,
        why_json: row.text()?,
        extra_json: row.text()?,
        node: row.opt_text()?,
        revision: row.int()?,
    })
}

/// Reads a code; anything else was not written by this program.
pub(crate) fn letter<T>(row: &mut Columns, parse: fn(&str) -> Option<T>) -> Result<T, DbError> {
    let text = row.text()?;
    parse(&text).ok_or_else(|| DbError::Corrupt { what: format!("the code {text:?}") })
}

/// Conditions that a page puts together from fixed pieces.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    args: Args,
}

impl Conditions {
    /// Adds `column op $n`.
    fn add(&mut self, column: &str, value: impl Into<Value>) {
        self.args.push(value.into());
        self.sql.push(format!("{column} ${}", self.args.len()));
    }

    fn add_if<T: Into<Value>>(&mut self, column: &str, value: Option<T>) {
        if let Some(value) = value {
            self.add(column, value);
        }
    }

    fn all(&self) -> String {
        if self.sql.is_empty() { "1 = 1".to_owned() } else { self.sql.join(" AND ") }
    }
}

/// The query of a page, newest first.
///
/// What names few transfers (a file, what they forward) has an index that gives the order; the rest is looked at in that
/// index or row by row, and kept from being taken for another one (`|| ''`, `+ 0`). States, directions and modes name many: the
/// page is put together from the newest of each combination that is asked for, all found in one index. In both cases the
/// numbers come first, then their records.
pub(crate) fn page(filter: &TransferFilter, limit: u32) -> (String, Args) {
    let mut c = Conditions::default();
    c.add_if("route_from =", filter.route_from);
    c.add_if("master =", filter.master);
    c.add_if("message_id =", filter.message_id.as_deref());
    let is_narrow = !c.sql.is_empty() || filter.file_name.is_some();
    c.add_if(if c.sql.is_empty() { "file_name =" } else { "file_name || '' =" }, filter.file_name.as_deref());
    c.add_if(if is_narrow { "site || '' =" } else { "site =" }, filter.site.as_deref());
    c.add_if("created_at + 0 >=", filter.from);
    c.add_if("created_at + 0 <", filter.until);
    c.add_if("id <", filter.below);
    c.add_if("id >=", filter.not_below);
    let ways = ways(filter);
    let asks_ways = !filter.states.is_empty() || filter.direction.is_some() || filter.mode.is_some();
    if is_narrow && asks_ways {
        let columns =
            if ways.iter().all(|way| way.0.is_none()) { "direction || mode" } else { "state || direction || mode" };
        let list = ways.iter().map(|way| format!("'{way}'")).collect::<Vec<_>>().join(", ");
        c.sql.push(format!("{columns} IN ({list})"));
    }
    let rest = c.all();
    let found = if is_narrow {
        format!("SELECT id AS found FROM transfer WHERE {rest} ORDER BY id DESC LIMIT {limit}")
    } else if asks_ways {
        let newest = ways.iter().map(|way| way.newest(&rest, limit)).collect::<Vec<_>>().join(" UNION ALL ");
        format!("SELECT found FROM ({newest}) AS each_way ORDER BY found DESC LIMIT {limit}")
    } else {
        let sql = format!("SELECT {} FROM transfer WHERE {rest} ORDER BY id DESC LIMIT {limit}", columns!());
        return (sql, c.args);
    };
    // SQLite takes the tables of a CROSS JOIN in this order.
    let sql =
        format!("SELECT {} FROM ({found}) AS newest CROSS JOIN transfer WHERE id = found ORDER BY id DESC", columns!());
    (sql, c.args)
}

/// A combination of the three; without a state, of all states.
struct Way(Option<State>, Direction, Mode);

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.0.map(|state| state.letter().to_string()).unwrap_or_default();
        write!(f, "{state}{}{}", self.1.letter(), self.2.letter())
    }
}

impl Way {
    /// The query of its newest numbers.
    fn newest(&self, rest: &str, limit: u32) -> String {
        let Self(state, direction, mode) = self;
        let state = state.map(|state| format!("state = '{}' AND ", state.letter())).unwrap_or_default();
        let (direction, mode) = (direction.letter(), mode.letter());
        format!(
            "SELECT found FROM (SELECT id AS found FROM transfer WHERE {state}direction = '{direction}' \
             AND mode = '{mode}' AND {rest} ORDER BY id DESC LIMIT {limit}) AS way_{self}"
        )
    }
}

/// The combinations that a filter asks for.
fn ways(filter: &TransferFilter) -> Vec<Way> {
    let asked = |state: &&State| filter.states.is_empty() || filter.states.contains(state);
    let states = match filter.states.is_empty() && (filter.site.is_none() || filter.file_name.is_some()) {
        true => vec![None],
        // Of one site there is an index with the state only.
        false => State::ALL.iter().filter(asked).map(|state| Some(*state)).collect::<Vec<_>>(),
    };
    let directions = filter.direction.map_or_else(|| vec![Direction::In, Direction::Out], |only| vec![only]);
    let modes = filter.mode.map_or_else(|| vec![Mode::Initiator, Mode::Responder], |only| vec![only]);
    let mut ways = Vec::new();
    for state in states {
        for direction in &directions {
            ways.extend(modes.iter().map(|mode| Way(state, *direction, *mode)));
        }
    }
    ways
}

/// The first number of a moment or later.
pub(crate) const AT: &str = "SELECT id FROM transfer WHERE created_at >= $1 ORDER BY created_at, id LIMIT 1";

/// The query of a folder.
pub(crate) fn entries(query: EntryQuery) -> (&'static str, Args) {
    let limit = i64::from(query.limit);
    match query.file_name {
        Some(name) => (
            concat!(
                "SELECT ",
                columns!(),
                " FROM transfer WHERE listed = 1 AND gate = $1 AND dir_name = $2 AND file_name = $3 ",
                "ORDER BY id DESC LIMIT $4"
            ),
            args![query.gate, query.dir_name, name, limit],
        ),
        None => (
            concat!(
                "SELECT ",
                columns!(),
                " FROM transfer WHERE listed = 1 AND gate = $1 AND dir_name = $2 AND file_name > $3 ",
                "ORDER BY file_name, id DESC LIMIT $4"
            ),
            args![query.gate, query.dir_name, query.after.unwrap_or_default(), limit],
        ),
    }
}

/// Sites with waiting transfers, found by jumping from site to site in the index, and for each priority the first time.
/// SQLite would rather read all waiting transfers and sort them, unless it is told.
macro_rules! due_sites {
    ($by:literal) => {
        concat!(
            "WITH RECURSIVE s (site) AS ( \
               SELECT f.site FROM (SELECT site FROM transfer ",
            $by,
            "    WHERE state IN ('B', 'R', 'D') AND mode = 'I' ORDER BY site LIMIT 1) AS f \
               UNION ALL \
               SELECT (SELECT t.site FROM transfer AS t ",
            $by,
            "    WHERE t.state IN ('B', 'R', 'D') AND t.mode = 'I' AND t.site > s.site ORDER BY t.site LIMIT 1) \
               FROM s WHERE s.site IS NOT NULL) \
             SELECT s.site, (SELECT t.next_try_at FROM transfer AS t ",
            $by,
            "    WHERE t.state IN ('B', 'R', 'D') AND t.mode = 'I' AND t.site = s.site AND t.priority = p.n \
                 ORDER BY t.next_try_at LIMIT 1) \
             FROM s CROSS JOIN (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2) AS p \
             WHERE s.site IS NOT NULL"
        )
    };
}

/// See `due_sites!`.
pub(crate) const fn due_sites(postgres: bool) -> &'static str {
    if postgres { due_sites!("") } else { due_sites!("INDEXED BY transfer_due") }
}

/// By Message-ID, the newest first.
pub(crate) const OF_MESSAGE: &str =
    concat!("SELECT ", columns!(), " FROM transfer WHERE message_id = $1 AND site = $2 ORDER BY id DESC LIMIT 50");

/// Received transfers whose settle time is over. (`state || ''` keeps SQLite from the index of states, which finds more.)
pub(crate) const TO_ROUTE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM transfer WHERE route_state = 'T' AND next_try_at <= $1 AND state || '' IN ('E', 'W', 'A', 'C') \
     AND (node_id IS NULL OR node_id = $3 OR next_try_at <= $4) ",
    "ORDER BY next_try_at, id LIMIT $2"
);

/// Waiting, and past the latest date. (`direction || ''` keeps SQLite from the index of directions, which finds half of all.)
pub(crate) const OVERDUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM transfer WHERE not_after IS NOT NULL AND ended_at IS NULL AND not_after <= $1 AND (direction || '' = 'O' OR mode || '' = 'I') \
     AND state || '' IN ('F', 'D', 'B', 'R', 'S') ORDER BY not_after, id LIMIT $2"
);

/// Ended long ago, and nothing that comes from it is still to do.
pub(crate) const ENDED_BEFORE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM transfer WHERE ended_at IS NOT NULL AND ended_at < $1 AND ended_at >= $2 AND (ended_at > $2 OR id > $3) \
     AND state || '' IN ('E', 'A', 'U', 'X', 'C', 'Z') AND route_state NOT IN ('T', 'P') AND trade_state NOT IN ('T', 'P', 'W') \
     AND NOT EXISTS (SELECT 1 FROM transfer AS child WHERE child.route_from = transfer.id AND child.ended_at IS NULL) \
     AND NOT EXISTS (SELECT 1 FROM transfer AS part WHERE part.master = transfer.id AND part.ended_at IS NULL) \
     ORDER BY ended_at, id LIMIT $4"
);

/// Nobody fetched it, or went on with it.
pub(crate) const ABANDONED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM transfer WHERE state <> 'E' AND state IN ('B', 'R', 'D', 'I') AND mode = 'R' AND created_at < $1 \
     ORDER BY id LIMIT $2"
);

/// How many are in each state that is no end.
pub(crate) const LIVE_COUNTS: &str = "SELECT state, COUNT(*) FROM transfer \
     WHERE state <> 'E' AND state IN ('F', 'D', 'B', 'R', 'T', 'G', 'P', 'V', 'S', 'I') GROUP BY state";

/// One transfer.
pub(crate) const ONE: &str = concat!("SELECT ", columns!(), " FROM transfer WHERE id = $1");
