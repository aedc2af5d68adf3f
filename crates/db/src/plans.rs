//! How the database finds the rows of each statement that was sent to it. For the test that allows no full scan; without
//! the feature `faults` this is not there.

use crate::fault::{issued, note_issued};
use crate::sql::{Args, Columns, args};
use crate::{Db, DbError};

/// A statement that was sent.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its text.
    pub statement: String,
    /// What the database says it does for it, line by line.
    pub steps: Vec<String>,
}

/// Plans of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Plans<'a>(pub(crate) &'a Db);

impl Plans<'_> {
    /// From now on this process remembers what it sends to databases.
    pub fn remember() {
        note_issued();
    }

    /// The texts of all statements that were sent since, to any database.
    #[must_use]
    pub fn sent() -> Vec<String> {
        issued().into_keys().map(|(_, statement)| statement).collect()
    }

    /// The plan of each statement that was sent to databases of this kind. A PostgreSQL is told to read whole tables only
    /// where it has no other way: its tables are almost empty here.
    ///
    /// # Errors
    /// If the database refuses to explain one.
    pub async fn explain(self) -> Result<Vec<Planned>, DbError> {
        let mut conn = self.0.read().acquire().await?;
        let postgres = conn.is_postgres();
        if postgres {
            conn.script("SET enable_seqscan = off", Args::new()).await?;
        }
        let words = if postgres { "EXPLAIN (COSTS OFF)" } else { "EXPLAIN QUERY PLAN" };
        let mut plans = Vec::new();
        for ((of_postgres, statement), args) in issued() {
            if of_postgres != postgres || !is_planned(&statement) {
                continue;
            }
            let args = if postgres { args } else { args![] };
            let rows = conn.rows(format!("{words} {statement}"), args).await;
            let rows = rows.map_err(|e| DbError::Sql(format!("{statement}: {e}")))?;
            let steps = rows.into_iter().map(|row| step(row, postgres)).collect::<Result<_, _>>()?;
            plans.push(Planned { statement, steps });
        }
        conn.discard().await;
        Ok(plans)
    }
}

fn is_planned(statement: &str) -> bool {
    ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].iter().any(|word| statement.starts_with(word))
}

/// A line of a plan; SQLite puts three numbers before it.
fn step(mut row: Columns, postgres: bool) -> Result<String, DbError> {
    if !postgres {
        for _ in 0..3 {
            row.int()?;
        }
    }
    row.text()
}
