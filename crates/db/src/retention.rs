//! Removing records of transfers that ended long ago.

use base::{TransferId, UtcMicros};

use crate::records::{PayloadState, Transfer};
use crate::sql::{Conn, args};
use crate::transfer_rows as rows;
use crate::{Db, DbError};

/// Where a look for old transfers goes on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EndedAfter {
    /// End of the last one seen.
    pub ended_at: UtcMicros,
    /// Its number.
    pub id: TransferId,
}

/// Old transfers of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Retention<'a>(pub(crate) &'a Db);

impl Retention<'_> {
    /// Transfers that ended before `before` and that nothing depends on any more, the longest ended first: none of the
    /// transfers that forward, repeat or make up one of them is still to do.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn ended(self, before: UtcMicros, after: EndedAfter, limit: u32) -> Result<Vec<Transfer>, DbError> {
        let args = args![before, after.ended_at, after.id, i64::from(limit)];
        self.0.read().rows(rows::ENDED_BEFORE, args).await?.into_iter().map(rows::transfer).collect()
    }

    /// Transfers that a partner never fetched, or never went on with, the oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn abandoned(self, before: UtcMicros, limit: u32) -> Result<Vec<Transfer>, DbError> {
        self.0
            .read()
            .rows(rows::ABANDONED, args![before, i64::from(limit)])
            .await?
            .into_iter()
            .map(rows::transfer)
            .collect()
    }

    /// Removes the records of these transfers with their steps, if they are still at the revision that was looked at, and
    /// lets go of their contents, which housekeeping then removes. Returns how many it were.
    ///
    /// # Errors
    /// If the database fails; none is removed then.
    pub async fn purge(self, which: Vec<(TransferId, i64)>, now: UtcMicros) -> Result<u64, DbError> {
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    let mut purged = 0_u64;
                    for (id, revision) in which {
                        purged = purged.saturating_add(u64::from(purge(conn, (id, revision), now).await?));
                    }
                    Ok(purged)
                })
            })
            .await
    }

    /// Forgets contents whose files are gone, and keys of duplicates that are over.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn sweep(self, now: UtcMicros) -> Result<(), DbError> {
        let args = args![now];
        self.0.write(|conn| conn.run_later(SWEEP, args)).await
    }
}

async fn purge(conn: &mut Conn, (id, revision): (TransferId, i64), now: UtcMicros) -> Result<bool, DbError> {
    let sql = "DELETE FROM transfer WHERE id = $1 AND revision = $2 RETURNING payload_id, size, state";
    let Some(mut row) = conn.row(sql, args![id, revision]).await? else { return Ok(false) };
    let (payload, size, state) = (row.opt_int()?, row.opt_int()?, row.text()?);
    conn.run("DELETE FROM transfer_step WHERE transfer_id = $1", args![id]).await?;
    if let Some(payload) = payload {
        // A content that never became whole, or was given up, was let go of when that happened.
        let counted = size.is_some() && state != crate::State::Deleted.letter();
        let sql = if counted { RELEASE } else { FORGET };
        conn.run(sql, args![payload, now, PayloadState::Committed.as_str()]).await?;
    }
    Ok(true)
}

const RELEASE: &str = "UPDATE payload SET refs = refs - 1, purge_after = CASE WHEN refs <= 1 THEN $2 ELSE purge_after END \
    WHERE id = $1 AND refs > 0 AND state = $3";
const FORGET: &str = "UPDATE payload SET refs = 0, purge_after = CASE WHEN state = $3 THEN purge_after ELSE $2 END \
    WHERE id = $1 AND state <> $3";
const SWEEP: &str = "\
    DELETE FROM payload WHERE state = 'PURGED' AND refs <= 0; \
    DELETE FROM seen WHERE until < $1";
