//! Sums by hour: what was received, delivered, refused, and what failed why. An operator's day in a few rows, however
//! many transfers there are.

use base::{TransferId, UtcMicros};

use crate::sql::{Columns, args};
use crate::writer::{Pending, Urgency};
use crate::{Db, DbError};

/// Microseconds of an hour.
const HOUR_US: i64 = 3_600_000_000;
/// Characters of a cause that are kept.
const TEXT_CHARS_MAX: usize = 300;
/// Rows that one look gives.
const ROWS_MAX: i64 = 2_000;

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Counted {
    /// Files that partners sent.
    Received,
    /// Files that partners got.
    Delivered,
    /// Tries that failed.
    Failed,
    /// Logins that were refused.
    Refused,
}

impl Counted {
    const fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// A sum.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Whose; empty for all together.
    pub site: String,
    /// Why, as a stable word; empty where there is no why.
    pub cause: String,
    /// How many times.
    pub times: i64,
    /// Octets.
    pub octets: i64,
    /// The last time.
    pub last_at: UtcMicros,
    /// The last transfer.
    pub last_transfer: Option<TransferId>,
    /// The last cause in words.
    pub last_text: String,
}

/// Sums of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Tallies<'a>(pub(crate) &'a Db);

impl Tallies<'_> {
    /// Adds to the sums of the hours in which they happened, without waiting.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn add(self, added: Vec<(Counted, Tally)>) -> Result<Pending<()>, DbError> {
        let op = async move |conn: &mut crate::sql::Conn| {
            for (what, one) in added {
                let hour = one.last_at.0.div_euclid(HOUR_US);
                let text = base::brief(&one.last_text, TEXT_CHARS_MAX);
                let args = args![
                    what.word(),
                    hour,
                    one.site,
                    one.cause,
                    one.times,
                    one.octets,
                    one.last_at,
                    one.last_transfer,
                    text
                ];
                conn.run(ADD, args).await?;
            }
            Ok(())
        };
        self.0.submit(Urgency::Lazy, |conn| Box::pin(op(conn))).await
    }

    /// Sums since the hour of `from`, by site and cause, those with the most first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn since(self, what: Counted, from: UtcMicros) -> Result<Vec<Tally>, DbError> {
        let args = args![what.word(), from.0.div_euclid(HOUR_US), ROWS_MAX];
        self.0.read().rows(SINCE, args).await?.into_iter().map(tally).collect()
    }

    /// Forgets sums of hours before `before`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget(self, before: UtcMicros) -> Result<(), DbError> {
        let args = args![before.0.div_euclid(HOUR_US)];
        self.0.write(|conn| conn.run_later(FORGET, args)).await
    }
}

fn tally(mut row: Columns) -> Result<Tally, DbError> {
    Ok(Tally {
        site: row.text()?,
        cause: row.text()?,
        times: row.int()?,
        octets: row.int()?,
        last_at: UtcMicros(row.int()?),
        last_transfer: row.opt_int()?.map(TransferId),
        last_text: row.text()?,
    })
}

const ADD: &str = "INSERT INTO tally (what, hour, site, cause, times, octets, last_at, last_transfer, last_text) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (what, hour, site, cause) DO UPDATE SET \
      times = tally.times + excluded.times, octets = tally.octets + excluded.octets, last_at = excluded.last_at, \
      last_transfer = excluded.last_transfer, last_text = excluded.last_text";

/// The words of the newest hour stand for all of them.
pub(crate) const SINCE: &str = "SELECT s.site, s.cause, s.times, s.octets, t.last_at, t.last_transfer, t.last_text FROM (\
      SELECT site, cause, CAST(SUM(times) AS BIGINT) AS times, CAST(SUM(octets) AS BIGINT) AS octets, MAX(hour) AS hour \
      FROM tally WHERE what = $1 AND hour >= $2 GROUP BY site, cause) AS s \
    JOIN tally AS t ON t.what = $1 AND t.hour = s.hour AND t.site = s.site AND t.cause = s.cause \
    ORDER BY s.times DESC, s.site, s.cause LIMIT $3";

const FORGET: &str = "DELETE FROM tally WHERE what IN ('received', 'delivered', 'failed', 'refused') AND hour < $1";
