//! What became of a commit that was not answered.
//!
//! With PostgreSQL a connection can break while it commits: the transaction is then either there or not, and callers must
//! not be told the wrong thing. So each transaction leaves its number in a row of its writer's own, and if the answer is
//! lost, another connection looks whether it is there. (The server's own transaction numbers do not tell: after a crash
//! it may give one again that it never got to its disk.) SQLite is in this process and answers always: what it did not
//! commit is not there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::DbError;
use crate::open::Pool;
use crate::sql::{Conn, args};

/// How long a database may take to tell; until then callers wait.
const TELL_MAX: Duration = Duration::from_secs(60);
/// Pause between two questions.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Numbers the transactions of one writer.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    key: Option<String>,
    last: i64,
}

/// The number of a transaction, and where it stands.
#[derive(Debug)]
pub(crate) struct Ticket {
    key: String,
    number: String,
}

impl Numbers {
    /// Leaves the next number in the transaction that is open on `conn`, where an answer can get lost.
    pub(crate) async fn next(&mut self, conn: &mut Conn) -> Result<Option<Ticket>, DbError> {
        // Tests lose answers of SQLite, too.
        if !conn.is_postgres() && !conn.is_armed() {
            return Ok(None);
        }
        let key = match &self.key {
            Some(key) => key.clone(),
            None => {
                let random = base::random::<8>().map_err(|e| DbError::Sql(e.to_string()))?;
                self.key.insert(format!("commit.{}", base::hex(&random))).clone()
            }
        };
        self.last = self.last.saturating_add(1);
        let ticket = Ticket { key, number: self.last.to_string() };
        conn.script(LEAVE, args![ticket.key.as_str(), ticket.number.as_str()]).await?;
        Ok(Some(ticket))
    }

    /// The writer ends: its row goes. A writer that dies leaves one short row.
    pub(crate) async fn forget(&self, conn: &mut Conn) -> Result<(), DbError> {
        match &self.key {
            Some(key) => conn.script("DELETE FROM meta WHERE key = $1", args![key.as_str()]).await.map(drop),
            None => Ok(()),
        }
    }
}

impl Ticket {
    /// What became of the transaction; `error` is why its commit was not answered.
    pub(crate) async fn outcome(self, pool: &Pool, error: DbError) -> Result<(), DbError> {
        let until = Instant::now() + TELL_MAX;
        loop {
            match self.is_there(pool).await {
                Ok(true) => {
                    tracing::warn!(%error, "the answer to a commit was lost: it is there");
                    return Ok(());
                }
                Ok(false) => return Err(error),
                Err(still) => tracing::debug!(error = %still, "what became of a commit is not known yet"),
            }
            if Instant::now() >= until {
                return Err(DbError::Unanswered(error.to_string()));
            }
            sleep(ASK_EVERY).await;
        }
    }

    async fn is_there(&self, pool: &Pool) -> Result<bool, DbError> {
        // The lock waits for a server that is still busy with the transaction.
        let lock = if pool.is_postgres() { " FOR UPDATE" } else { "" };
        let sql = format!("SELECT value FROM meta WHERE key = $1{lock}");
        let row = pool.row(sql, args![self.key.as_str()]).await?;
        Ok(row.map(|mut row| row.text()).transpose()? == Some(self.number.clone()))
    }
}

const LEAVE: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
