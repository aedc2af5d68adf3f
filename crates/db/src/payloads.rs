//! Records of stored contents.

use base::{PayloadId, UtcMicros};

use crate::audit_chain::octets;
use crate::records::{NewPayload, Payload, PayloadBody, PayloadState};
use crate::sql::{Columns, args};
use crate::transfer_rows::letter;
use crate::writer::Urgency;
use crate::{Db, DbError, Pending};

macro_rules! columns {
    () => {
        "id, file_uuid, store, state, size, sha256, inline_sealed, durable_to, hash_state, refs, purge_after, holder"
    };
}
/// Most sealed octets of a payload kept in the database: 16 KiB and room for the seal.
pub const INLINE_OCTETS_MAX: usize = 16 * 1024 + 256;

/// Payloads of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Payloads<'a>(pub(crate) &'a Db);

impl Payloads<'_> {
    /// A number that no payload has or had. Almost always at once.
    ///
    /// # Errors
    /// If a block cannot be reserved.
    pub async fn next_id(self) -> Result<PayloadId, DbError> {
        self.0.inner.payload_ids.next(self.0).await.map(PayloadId)
    }

    /// Records a file that is being written, and the mark of the staging folder that holds it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn stage(self, id: PayloadId, uuid: &str, (store, holder): (&str, &str)) -> Result<(), DbError> {
        let args = args![id, uuid, store, holder];
        self.0.write(|conn| conn.run_later(STAGE, args)).await
    }

    /// Queues the record of a whole content that no transfer uses yet, without waiting: a transfer that names it is
    /// inserted after it.
    ///
    /// # Errors
    /// [`DbError::TooLarge`], or if the database is closed.
    pub async fn add(self, new: NewPayload) -> Result<Pending<()>, DbError> {
        let (uuid, store, inline) = new.body.parts()?;
        let args = args![new.id, uuid, store, new.size, new.sha256, inline];
        self.0.submit(Urgency::Lazy, |conn| conn.run_later(ADD, args)).await
    }

    /// Records how far a staged file is durable, and the sealed state of its running hash.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn checkpoint(
        self,
        id: PayloadId,
        durable_to: i64,
        hash_state: Option<Vec<u8>>,
    ) -> Result<Pending<()>, DbError> {
        let args = args![id, durable_to, hash_state];
        self.0.submit(Urgency::Lazy, |conn| conn.run_later(CHECKPOINT, args)).await
    }

    /// One payload, with its inline octets.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(self, id: PayloadId) -> Result<Option<Payload>, DbError> {
        let sql = concat!("SELECT ", columns!(), " FROM payload WHERE id = $1");
        self.0.read().row(sql, args![id]).await?.map(payload).transpose()
    }

    /// The payload of a file of the store (to find files that nobody knows).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_uuid(self, uuid: &str) -> Result<Option<Payload>, DbError> {
        let sql = concat!("SELECT ", columns!(), " FROM payload WHERE file_uuid = $1");
        self.0.read().row(sql, args![uuid]).await?.map(payload).transpose()
    }

    /// A transfer no longer uses it; when nobody does, it may be purged after `purge_after`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn release(self, id: PayloadId, purge_after: UtcMicros) -> Result<(), DbError> {
        let args = args![id, purge_after];
        self.0.write(|conn| conn.run_later(RELEASE, args)).await
    }

    /// Marks payloads that nobody uses and whose time is over as purged, so that nobody can use them again, and returns
    /// them as they were. Their files are then removed; one that a crash leaves is found by [`Self::by_uuid`].
    ///
    /// # Errors
    /// If the database fails.
    pub async fn purge(self, now: UtcMicros, limit: u32) -> Result<Vec<Payload>, DbError> {
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    let rows = conn.rows(PURGEABLE, args![now, i64::from(limit)]).await?;
                    let payloads = rows.into_iter().map(payload).collect::<Result<Vec<_>, _>>()?;
                    for payload in &payloads {
                        conn.script(PURGED, args![payload.id]).await?;
                    }
                    Ok(payloads)
                })
            })
            .await
    }

    /// Payloads still being written, to be matched with files after a crash.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn staging(self) -> Result<Vec<Payload>, DbError> {
        let sql = concat!("SELECT ", columns!(), " FROM payload WHERE state = 'STAGING' ORDER BY id");
        self.0.read().rows(sql, Vec::new()).await?.into_iter().map(payload).collect()
    }

    /// Numbers of at most `limit` whole payloads behind number `after`, in order: to look at all of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn committed_behind(self, after: PayloadId, limit: u32) -> Result<Vec<PayloadId>, DbError> {
        let rows = self.0.read().rows(COMMITTED_BEHIND, args![after, i64::from(limit)]).await?;
        rows.into_iter().map(|mut row| row.int().map(PayloadId)).collect()
    }

    /// Marks a payload as gone: the file of an abandoned upload.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn purged(self, id: PayloadId) -> Result<(), DbError> {
        let args = args![id];
        self.0.write(|conn| conn.run_later(PURGED, args)).await
    }
}

/// Uuid, store, inline octets.
type BodyParts = (Option<String>, String, Option<Vec<u8>>);

impl PayloadBody {
    pub(crate) fn parts(self) -> Result<BodyParts, DbError> {
        match self {
            Self::File { uuid, store } => Ok((Some(uuid), store, None)),
            Self::Inline(sealed) if sealed.len() <= INLINE_OCTETS_MAX => Ok((None, String::new(), Some(sealed))),
            Self::Inline(sealed) => {
                Err(DbError::TooLarge { what: "an inline payload", found: sealed.len(), max: INLINE_OCTETS_MAX })
            }
        }
    }
}

impl PayloadState {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "STAGING",
            Self::Committed => "COMMITTED",
            Self::Purged => "PURGED",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Staging, Self::Committed, Self::Purged].into_iter().find(|state| state.as_str() == word)
    }
}

fn payload(mut row: Columns) -> Result<Payload, DbError> {
    let row = &mut row;
    Ok(Payload {
        id: PayloadId(row.int()?),
        file_uuid: row.opt_text()?,
        store: row.text()?,
        state: letter(row, PayloadState::parse)?,
        size: row.int()?,
        sha256: row.opt_blob()?.map(octets).transpose()?,
        inline_sealed: row.opt_blob()?,
        durable_to: row.int()?,
        hash_state: row.opt_blob()?,
        refs: row.int()?,
        purge_after: row.opt_int()?.map(UtcMicros),
        holder: row.opt_text()?,
    })
}

const STAGE: &str = "INSERT INTO payload (id, file_uuid, store, state, size, durable_to, refs, holder) \
    VALUES ($1, $2, $3, 'STAGING', 0, 0, 0, $4)";
const ADD: &str = "INSERT INTO payload (id, file_uuid, store, state, size, sha256, inline_sealed, durable_to, refs) \
    VALUES ($1, $2, $3, 'COMMITTED', $4, $5, $6, $4, 0)";
const CHECKPOINT: &str = "UPDATE payload SET durable_to = $2, hash_state = $3 WHERE id = $1 AND state = 'STAGING'";
const RELEASE: &str = "UPDATE payload SET refs = refs - 1, purge_after = CASE WHEN refs <= 1 THEN $2 ELSE NULL END \
    WHERE id = $1 AND refs > 0";
pub(crate) const PURGEABLE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM payload WHERE purge_after IS NOT NULL AND purge_after <= $1 AND refs = 0 AND state <> 'PURGED' ",
    "ORDER BY purge_after, id LIMIT $2"
);
const COMMITTED_BEHIND: &str = "SELECT id FROM payload WHERE id > $1 AND state = 'COMMITTED' ORDER BY id LIMIT $2";
const PURGED: &str = "UPDATE payload SET state = 'PURGED', inline_sealed = NULL, hash_state = NULL, purge_after = NULL \
    WHERE id = $1";
