//! Putting a restored database in order: what may have gone on after the backup must not happen twice unseen.

use base::{TransferId, UtcMicros};

use crate::DbError;
use crate::backup::Backups;
use crate::sql::{Conn, args};

/// Numbers that are left out after a restore, since the gateway that made the backup may have given them away: its
/// temporary names at partners hold them.
pub const NUMBERS_LEFT_OUT: i64 = 1_000_000;

/// Cause that a file at a partner's disposal shows when a restore has parked it.
pub const PARKED_OFFER: &str =
    "restored from a backup: the partner may have fetched it since; ask, then restart or cancel it";

/// What was found and done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reconciled {
    /// Files at partners' disposal that wait for a person.
    pub offers_parked: u64,
    /// Deliveries that were to do: each looks at its partner before it sends.
    pub deliveries: u64,
    /// Partial uploads that were not in the backup: their partners begin anew.
    pub partials_dropped: u64,
    /// Transfers whose content is missing and that were suspended for it.
    pub without_content: u64,
}

/// What a restore tells the database.
#[derive(Clone, Debug)]
pub struct RestoreFacts {
    /// When the backup was made, as text for people.
    pub backup_of: String,
    /// Now.
    pub at: UtcMicros,
    /// Names of contents that are missing.
    pub missing: Vec<String>,
}

impl Backups<'_> {
    /// Puts a restored database in order, in one transaction: the gateway that starts on it is frozen; numbers that may
    /// have been given away after the backup are left out; files at partners' disposal and transfers without content
    /// are suspended, each with its cause; partial uploads, which no backup holds, are given up; what was running looks
    /// before it goes on.
    ///
    /// # Errors
    /// If the database fails; nothing is changed then.
    pub async fn reconcile(self, facts: RestoreFacts) -> Result<Reconciled, DbError> {
        self.0.write(move |conn| Box::pin(async move { reconcile(conn, &facts).await })).await
    }
}

async fn reconcile(conn: &mut Conn, facts: &RestoreFacts) -> Result<Reconciled, DbError> {
    let at = facts.at;
    let set = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    let frozen = format!("restored from the backup of {}", facts.backup_of);
    conn.run(set, args!["frozen", frozen]).await?;
    conn.run(set, args!["restored_at", at.0.to_string()]).await?;
    for key in ["next_transfer_id", "next_payload_id"] {
        let sql = "UPDATE meta SET value = CAST(CAST(value AS BIGINT) + $2 AS TEXT) WHERE key = $1";
        conn.run(sql, args![key, NUMBERS_LEFT_OUT]).await?;
    }
    // Left by the gateway that made the backup; a start does the same for its own node only.
    conn.script(STOPPED, args![at]).await?;
    let mut done = Reconciled::default();
    let partials =
        moved(conn, PARTIALS, (at, "Z", "the partial upload is in no backup: the partner begins anew")).await?;
    for id in &partials {
        let sql = "UPDATE payload SET state = 'PURGED', hash_state = NULL, purge_after = NULL \
            WHERE state = 'STAGING' AND id = (SELECT payload_id FROM transfer WHERE id = $1)";
        conn.run(sql, args![*id]).await?;
    }
    done.partials_dropped = count(&partials);
    done.offers_parked = count(&moved(conn, OFFERS, (at, "S", PARKED_OFFER)).await?);
    for uuid in &facts.missing {
        let mut rows = conn.rows(NEEDING, args![uuid]).await?;
        for row in &mut rows {
            let id = TransferId(row.int()?);
            move_one(conn, id, (at, "S", "restored from a backup that does not hold its content: submit it again"))
                .await?;
            done.without_content = done.without_content.saturating_add(1);
        }
    }
    let waiting = "SELECT COUNT(*) FROM transfer WHERE state IN ('B', 'R', 'D') AND mode = 'I'";
    done.deliveries = conn.row(waiting, Vec::new()).await?.map_or(Ok(0), |mut row| row.int())?.unsigned_abs();
    Ok(done)
}

fn count(ids: &[TransferId]) -> u64 {
    u64::try_from(ids.len()).unwrap_or(u64::MAX)
}

/// Moves all that `select` gives to a state, with a cause.
async fn moved(
    conn: &mut Conn,
    select: &'static str,
    how: (UtcMicros, &str, &str),
) -> Result<Vec<TransferId>, DbError> {
    let rows = conn.rows(select, Vec::new()).await?;
    let ids = rows.into_iter().map(|mut row| row.int().map(TransferId)).collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        move_one(conn, *id, how).await?;
    }
    Ok(ids)
}

async fn move_one(conn: &mut Conn, id: TransferId, (at, to, why): (UtcMicros, &str, &str)) -> Result<(), DbError> {
    conn.script(MOVE, args![id, at, to, why]).await.map(drop)
}

const MOVE: &str = "\
    INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) \
      SELECT id, revision + 1, $2, state, $3, $4 FROM transfer WHERE id = $1; \
    UPDATE transfer SET state = $3, err = $4, node_id = NULL, revision = revision + 1, \
      listed = CASE WHEN $3 = 'Z' THEN 0 ELSE listed END, ended_at = CASE WHEN $3 = 'Z' THEN $2 ELSE ended_at END \
      WHERE id = $1";

/// Running: to restart where we called, interrupted where the partner did (TRF-4).
const STOPPED: &str = "\
    INSERT INTO transfer_step (transfer_id, n, at, from_state, to_state, note) \
      SELECT id, revision + 1, $1, state, CASE WHEN state = 'P' THEN 'R' ELSE 'I' END, \
        'the gateway was stopped' FROM transfer \
      WHERE state IN ('P', 'V', 'T'); \
    UPDATE transfer SET state = CASE WHEN state = 'P' THEN 'R' ELSE 'I' END, next_try_at = $1, node_id = NULL, \
      revision = revision + 1 WHERE state IN ('P', 'V', 'T')";

const PARTIALS: &str = "SELECT id FROM transfer WHERE state = 'I' AND direction = 'I' ORDER BY id";

/// What a partner may fetch once. A file that stays for further downloads may be fetched again anyway.
const OFFERS: &str = "SELECT id FROM transfer WHERE state IN ('B', 'R', 'D', 'I') AND mode = 'R' AND direction = 'O' \
    AND extra_json NOT LIKE '%\"permanent\":true%' ORDER BY id";

const NEEDING: &str = "SELECT t.id FROM transfer AS t JOIN payload AS p ON p.id = t.payload_id \
    WHERE p.file_uuid = $1 AND t.state IN ('B', 'R', 'D', 'F', 'G', 'I') ORDER BY t.id";
