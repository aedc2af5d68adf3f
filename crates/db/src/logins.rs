//! Lock-out of sources that guess, and small things that are remembered.

use std::time::Duration;

use base::{TransferId, UtcMicros};

use crate::sql::args;
use crate::{Db, DbError};

/// When a source is locked out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockPolicy {
    /// Failures until it is locked out.
    pub fails_max: i64,
    /// Failures older than this are forgotten.
    pub window: Duration,
    /// How long it is locked out.
    pub lockout: Duration,
}

/// Failed logins of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct LoginBlocks<'a>(pub(crate) &'a Db);

impl LoginBlocks<'_> {
    /// Counts a failure. Returns until when the source is locked out, if this one made it so.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn failed(
        self,
        gate: &str,
        source: &str,
        now: UtcMicros,
        policy: BlockPolicy,
    ) -> Result<Option<UtcMicros>, DbError> {
        let args = args![
            gate,
            source,
            now,
            UtcMicros(now.0.saturating_sub(UtcMicros(0).plus(policy.window).0)),
            policy.fails_max,
            now.plus(policy.lockout),
        ];
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    let Some(mut row) = conn.row(FAILED, args).await? else { return Ok(None) };
                    let (fails, until) = (row.int()?, row.int()?);
                    Ok((fails >= policy.fails_max).then_some(UtcMicros(until)))
                })
            })
            .await
    }

    /// Until when this source is locked out of this gate.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn blocked(self, gate: &str, source: &str, now: UtcMicros) -> Result<Option<UtcMicros>, DbError> {
        let sql = "SELECT until FROM login_block WHERE gate = $1 AND source = $2 AND until > $3";
        let row = self.0.read().row(sql, args![gate, source, now]).await?;
        row.map(|mut row| row.int().map(UtcMicros)).transpose()
    }

    /// Forgets failures: after a login, or by an operator.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn clear(self, gate: &str, source: &str) -> Result<(), DbError> {
        let args = args![gate, source];
        // Most logins have nothing to forget: look before writing.
        let sql = "SELECT fails FROM login_block WHERE gate = $1 AND source = $2";
        if self.0.read().row(sql, args.clone()).await?.is_none() {
            return Ok(());
        }
        self.0.write(|conn| conn.run_later("DELETE FROM login_block WHERE gate = $1 AND source = $2", args)).await
    }

    /// Removes what is over: no lock-out, and no failure within `window`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn expire(self, now: UtcMicros, window: Duration) -> Result<(), DbError> {
        let args = args![now, UtcMicros(now.0.saturating_sub(UtcMicros(0).plus(window).0))];
        self.0.write(|conn| conn.run_later("DELETE FROM login_block WHERE last_at < $2 AND until < $1", args)).await
    }
}

/// Settings and marks of the instance.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a>(pub(crate) &'a Db);

impl Meta<'_> {
    /// The value of a key.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(self, key: &str) -> Result<Option<String>, DbError> {
        let row = self.0.read().row("SELECT value FROM meta WHERE key = $1", args![key]).await?;
        row.map(|mut row| row.text()).transpose()
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set(self, key: &str, value: &str) -> Result<(), DbError> {
        let args = args![key, value];
        self.0.write(|conn| conn.run_later(SET, args)).await
    }
}

/// Messages and files seen before (duplicates).
#[derive(Clone, Copy, Debug)]
pub struct SeenKeys<'a>(pub(crate) &'a Db);

impl SeenKeys<'_> {
    /// Remembers a key until `until`. Returns the transfer that brought it first, if it was seen before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn remember(self, key: SeenKey, id: TransferId, until: UtcMicros) -> Result<Option<TransferId>, DbError> {
        let now = self.0.now();
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    let args = args![key.site, key.protocol, key.hash, id, until, now];
                    let first = conn.row(SEEN, args.clone()).await?.map(|mut row| row.int()).transpose()?;
                    if first.is_none() {
                        conn.run(REMEMBER, args).await?;
                    }
                    Ok(first.map(TransferId))
                })
            })
            .await
    }
}

/// What makes two messages the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenKey {
    /// Partner.
    pub site: String,
    /// Protocol.
    pub protocol: String,
    /// Hash over the protocol's own key.
    pub hash: [u8; 32],
}

/// A failure after the window, or after a lock-out that is over, is the first again.
const FAILED: &str = "\
    INSERT INTO login_block (gate, source, fails, last_at, until) \
      VALUES ($1, $2, 1, $3, CASE WHEN 1 >= $5 THEN $6 ELSE 0 END) \
      ON CONFLICT (gate, source) DO UPDATE SET \
        fails = CASE WHEN login_block.last_at < $4 OR (login_block.until > 0 AND login_block.until <= $3) THEN 1 \
          ELSE login_block.fails + 1 END, \
        until = CASE WHEN (CASE WHEN login_block.last_at < $4 OR (login_block.until > 0 AND login_block.until <= $3) \
          THEN 1 ELSE login_block.fails + 1 END) >= $5 THEN $6 ELSE 0 END, \
        last_at = $3 \
      RETURNING fails, until";

const SET: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const SEEN: &str = "SELECT transfer_id FROM seen WHERE site = $1 AND protocol = $2 AND key_hash = $3 AND until > $6";

const REMEMBER: &str = "\
    INSERT INTO seen (site, protocol, key_hash, transfer_id, until) VALUES ($1, $2, $3, $4, $5) \
      ON CONFLICT (site, protocol, key_hash) DO UPDATE SET transfer_id = excluded.transfer_id, until = excluded.until";
