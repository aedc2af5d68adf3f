//! Numbers that are never given twice: reserved in blocks, so that a number rarely costs a commit (TRF-2).

use std::ops::Range;

use tokio::sync::Mutex;

use crate::sql::args;
use crate::{Db, DbError};

/// Numbers in a block. What a process does not use of its last block is never used.
const BLOCK: i64 = 256;

/// Numbers of one kind.
#[derive(Debug)]
pub(crate) struct Ids {
    key: &'static str,
    block: Mutex<Range<i64>>,
}

impl Ids {
    pub(crate) fn of(key: &'static str) -> Self {
        Self { key, block: Mutex::new(0..0) }
    }

    pub(crate) async fn next(&self, db: &Db) -> Result<i64, DbError> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(id);
        }
        let end = reserve(db, self.key).await?;
        *block = end.saturating_sub(BLOCK)..end;
        block.next().ok_or(DbError::Closed)
    }
}

/// Reserves a block; returns the number behind it.
async fn reserve(db: &Db, key: &'static str) -> Result<i64, DbError> {
    db.write(move |conn| {
        Box::pin(async move {
            let sql = "UPDATE meta SET value = CAST(CAST(value AS BIGINT) + $2 AS TEXT) WHERE key = $1 RETURNING value";
            let row = conn.row(sql, args![key, BLOCK]).await?;
            let value = row.ok_or(DbError::Corrupt { what: format!("no {key}") })?.text()?;
            value.parse().map_err(|_| DbError::Corrupt { what: format!("{value} as {key}") })
        })
    })
    .await
}
