//! What became of a commit that was not answered.
//!
//! With PostgreSQL a connection can break while it commits: the transaction is then either there or not, and callers must
//! not be told the wrong thing. So each transaction takes its number before the commit, and another connection asks
//! what became of that number. SQLite is in this process and answers always: what it did not commit is not there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::DbError;
use crate::open::Pool;
use crate::sql::{Conn, args};

/// How long a database may take to tell; until then callers wait.
const TELL_MAX: Duration = Duration::from_secs(60);
/// Pause between two questions.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The number of a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ticket {
    /// PostgreSQL's own.
    Postgres(i64),
    /// For tests that lose answers of SQLite: the number that the transaction leaves in the file.
    Sqlite(i64),
}

impl Ticket {
    /// Of the transaction that is open on `conn`.
    pub(crate) async fn of(conn: &mut Conn) -> Result<Option<Self>, DbError> {
        if conn.is_postgres() {
            let row = conn.row("SELECT txid_current()", Vec::new()).await?;
            return row.map(|mut row| row.int().map(Self::Postgres)).transpose();
        }
        if !conn.is_armed() {
            return Ok(None);
        }
        let row = conn.row("PRAGMA user_version", Vec::new()).await?;
        let next = row.map_or(Ok(0), |mut row| row.int())?.saturating_add(1);
        conn.script(format!("PRAGMA user_version = {next}"), Vec::new()).await?;
        Ok(Some(Self::Sqlite(next)))
    }

    /// What became of it; `error` is why the commit was not answered.
    pub(crate) async fn outcome(self, pool: &Pool, error: DbError) -> Result<(), DbError> {
        let until = Instant::now() + TELL_MAX;
        loop {
            match self.ask(pool).await {
                Ok(Some(true)) => {
                    tracing::warn!(%error, "the answer to a commit was lost: it is there");
                    return Ok(());
                }
                Ok(Some(false)) => return Err(error),
                // Not decided yet, or the database does not answer.
                Ok(None) => {}
                Err(still) => tracing::debug!(error = %still, "what became of a commit is not known yet"),
            }
            if Instant::now() >= until {
                return Err(DbError::Unanswered(error.to_string()));
            }
            sleep(ASK_EVERY).await;
        }
    }

    async fn ask(self, pool: &Pool) -> Result<Option<bool>, DbError> {
        match self {
            Self::Postgres(number) => {
                let row = pool.row("SELECT txid_status($1)", args![number]).await?;
                let word = row.map(|mut row| row.opt_text()).transpose()?.flatten();
                Ok(match word.as_deref() {
                    Some("committed") => Some(true),
                    Some("in progress") => None,
                    _ => Some(false),
                })
            }
            Self::Sqlite(number) => {
                let row = pool.row("PRAGMA user_version", Vec::new()).await?;
                Ok(Some(row.map_or(Ok(0), |mut row| row.int())? >= number))
            }
        }
    }
}
