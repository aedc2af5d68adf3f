//! Events to be told to others: kept until they were sent.

use base::UtcMicros;

use crate::sql::args;
use crate::writer::Urgency;
use crate::{Db, DbError, Pending};

/// An event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: UtcMicros,
    /// What kind.
    pub kind: String,
    /// What happened, as JSON.
    pub json: String,
}

/// Events of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Events<'a>(pub(crate) &'a Db);

impl Events<'_> {
    /// Queues an event without waiting.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn push(self, kind: &str, json: String) -> Result<Pending<()>, DbError> {
        let args = args![self.0.now(), kind, json];
        self.0.submit(Urgency::Lazy, move |conn| conn.run_later(PUSH, args)).await
    }

    /// Events that were not sent, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn unsent(self, limit: u32) -> Result<Vec<Event>, DbError> {
        let sql = "SELECT seq, at, kind, json FROM event_out WHERE sent_at IS NULL ORDER BY seq LIMIT $1";
        let rows = self.0.read().rows(sql, args![i64::from(limit)]).await?;
        let event = |mut row: crate::sql::Columns| {
            Ok(Event { seq: row.int()?, at: UtcMicros(row.int()?), kind: row.text()?, json: row.text()? })
        };
        rows.into_iter().map(event).collect()
    }

    /// An event was sent.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn sent(self, seq: i64) -> Result<Pending<()>, DbError> {
        let args = args![seq, self.0.now()];
        self.0.submit(Urgency::Lazy, move |conn| conn.run_later(SENT, args)).await
    }
}

const PUSH: &str = "INSERT INTO event_out (at, kind, json) VALUES ($1, $2, $3)";
const SENT: &str = "UPDATE event_out SET sent_at = $2 WHERE seq = $1";
