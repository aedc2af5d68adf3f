//! What hooks are to be told: events as triggers noted them (migration 6), and the runs that they became.

use base::{TransferId, UtcMicros};

use crate::sql::{Columns, args};
use crate::{Db, DbError};

/// Something that happened to a transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HookEvent {
    /// Its number.
    pub seq: i64,
    /// The transfer.
    pub transfer: TransferId,
    /// `RECEIVED`, `DELIVERED`, …
    pub kind: String,
    /// When.
    pub at: UtcMicros,
}

/// One hook to be told of one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HookRun {
    /// Its number: the same at every try.
    pub id: i64,
    /// The hook.
    pub hook: String,
    /// What happened.
    pub kind: String,
    /// To which transfer.
    pub transfer: TransferId,
    /// When.
    pub at: UtcMicros,
    /// `W` waits, `P` runs, `E` done, `F` given up.
    pub state: String,
    /// Tries so far.
    pub tries: i64,
    /// When it is tried next.
    pub next_at: UtcMicros,
    /// How the last try ended, in words.
    pub exit: String,
    /// The last it printed.
    pub output: String,
}

/// How a try ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HookEnd {
    /// The run.
    pub id: i64,
    /// `W` to be tried again at `next_at`, `E`, `F`.
    pub state: &'static str,
    /// When it is tried next.
    pub next_at: UtcMicros,
    /// In words.
    pub exit: String,
    /// The last it printed.
    pub output: String,
}

/// Hooks of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct HookRuns<'a>(pub(crate) &'a Db);

impl HookRuns<'_> {
    /// Whether anything is noted from now on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn listen(self, wanted: bool) -> Result<(), DbError> {
        let sql = if wanted { LISTEN } else { "DELETE FROM meta WHERE key = 'hooks'" };
        self.0.write(move |conn| conn.run_later(sql, Vec::new())).await
    }

    /// Events that became no runs yet, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn events(self, limit: u32) -> Result<Vec<HookEvent>, DbError> {
        let sql = "SELECT seq, transfer_id, kind, at FROM hook_event ORDER BY seq LIMIT $1";
        let rows = self.0.read().rows(sql, args![i64::from(limit)]).await?;
        let event = |mut row: Columns| {
            Ok(HookEvent {
                seq: row.int()?,
                transfer: TransferId(row.int()?),
                kind: row.text()?,
                at: UtcMicros(row.int()?),
            })
        };
        rows.into_iter().map(event).collect()
    }

    /// Events become runs of these hooks, each once: an event that somebody else has taken meanwhile gives none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn expand(self, all: Vec<(HookEvent, Vec<String>)>) -> Result<(), DbError> {
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    for (event, hooks) in all {
                        let gone = conn.run("DELETE FROM hook_event WHERE seq = $1", args![event.seq]).await?;
                        for hook in hooks.into_iter().filter(|_| gone > 0) {
                            let (kind, at) = (event.kind.clone(), event.at);
                            conn.run(EXPAND, args![hook, kind, event.transfer, at]).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Runs whose turn has come, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn due(self, now: UtcMicros, limit: u32) -> Result<Vec<HookRun>, DbError> {
        let rows = self.0.read().rows(DUE, args![now, i64::from(limit)]).await?;
        rows.into_iter().map(run).collect()
    }

    /// When the next run is due.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn next(self) -> Result<Option<UtcMicros>, DbError> {
        let sql = "SELECT MIN(next_at) FROM hook_run WHERE state IN ('W', 'P') AND state = 'W'";
        let row = self.0.read().row(sql, Vec::new()).await?;
        row.map_or(Ok(None), |mut row| Ok(row.opt_int()?.map(UtcMicros)))
    }

    /// A run begins, if it still waits.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin(self, id: i64, node: &str) -> Result<bool, DbError> {
        let args = args![id, node];
        self.0.write(move |conn| Box::pin(async move { Ok(conn.run(BEGIN, args).await? > 0) })).await
    }

    /// A try has ended.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn end(self, end: HookEnd) -> Result<(), DbError> {
        let ended = (end.state != "W").then(|| self.0.now());
        let args = args![end.id, end.state, end.next_at, end.exit, end.output, ended];
        self.0.write(move |conn| conn.run_later(END, args)).await
    }

    /// What a node ran that is no longer there waits again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn recover(self) -> Result<(), DbError> {
        self.0.write(|conn| conn.run_later(RECOVER, Vec::new())).await
    }

    /// Runs that a transfer led to, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn of(self, transfer: TransferId) -> Result<Vec<HookRun>, DbError> {
        let rows = self.0.read().rows(OF, args![transfer]).await?;
        rows.into_iter().map(run).collect()
    }

    /// Forgets runs that ended before `before`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget(self, before: UtcMicros) -> Result<(), DbError> {
        let sql = "DELETE FROM hook_run WHERE ended_at IS NOT NULL AND ended_at < $1";
        self.0.write(move |conn| conn.run_later(sql, args![before])).await
    }
}

macro_rules! columns {
    () => {
        "SELECT id, hook, kind, transfer_id, at, state, tries, next_at, exit, output FROM hook_run "
    };
}

fn run(mut row: Columns) -> Result<HookRun, DbError> {
    Ok(HookRun {
        id: row.int()?,
        hook: row.text()?,
        kind: row.text()?,
        transfer: TransferId(row.int()?),
        at: UtcMicros(row.int()?),
        state: row.text()?,
        tries: row.int()?,
        next_at: UtcMicros(row.int()?),
        exit: row.text()?,
        output: row.text()?,
    })
}

const LISTEN: &str = "INSERT INTO meta (key, value) VALUES ('hooks', '1') ON CONFLICT (key) DO NOTHING";
const EXPAND: &str = "INSERT INTO hook_run (hook, kind, transfer_id, at, state, tries, next_at, exit, output) \
    VALUES ($1, $2, $3, $4, 'W', 0, $4, '', '')";
const DUE: &str =
    concat!(columns!(), "WHERE state IN ('W', 'P') AND state = 'W' AND next_at <= $1 ORDER BY next_at, id LIMIT $2");
const BEGIN: &str = "UPDATE hook_run SET state = 'P', node_id = $2, tries = tries + 1 WHERE id = $1 AND state = 'W'";
const END: &str = "UPDATE hook_run SET state = $2, next_at = $3, exit = $4, output = $5, ended_at = $6, node_id = NULL \
    WHERE id = $1";
pub(crate) const RECOVER: &str = "UPDATE hook_run SET state = 'W', node_id = NULL WHERE state IN ('W', 'P') AND state = 'P' \
    AND NOT EXISTS (SELECT 1 FROM node WHERE node.id = hook_run.node_id AND node.state = 'U')";
const OF: &str = concat!(columns!(), "WHERE transfer_id = $1 ORDER BY id LIMIT 200");
