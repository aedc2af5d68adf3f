//! Sealed values, wherever they stand, by the master key that sealed them: to seal them anew under another one.
//!
//! A sealed value names its key: 8 octets behind the first 8 (`keys::seal`). Inline contents have the 16 octets of their
//! name before that.

use crate::sql::args;
use crate::{Db, DbError};

/// Where sealed values stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SealedKind {
    /// Passwords and other secrets of objects.
    Secret,
    /// Private keys.
    PrivateKey,
    /// Contents of small files.
    Inline,
    /// States of uploads that are not whole.
    Upload,
}

impl SealedKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Secret, Self::PrivateKey, Self::Inline, Self::Upload];
}

/// A sealed value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedValue {
    /// Object or payload that it is of.
    pub id: i64,
    /// Name that it is bound to: the object's uid, the file's name.
    pub owner: String,
    /// Field of the object; empty for others.
    pub field: String,
    /// Octets of the content, or of it that are durable.
    pub size: i64,
    /// The value as it stands, with what comes before the seal.
    pub sealed: Vec<u8>,
}

/// Sealed values of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct SealedValues<'a>(pub(crate) &'a Db);

impl SealedValues<'_> {
    /// Some of the values that the key of these 8 octets sealed, of objects or payloads from `from` on, in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn under(
        self,
        kind: SealedKind,
        key: [u8; 8],
        from: i64,
        limit: u32,
    ) -> Result<Vec<SealedValue>, DbError> {
        let args = args![key.as_slice(), from, i64::from(limit)];
        let rows = self.0.read().rows(kind.select(), args).await?;
        let value = |mut row: crate::sql::Columns| {
            Ok(SealedValue {
                id: row.int()?,
                owner: row.text()?,
                field: row.text()?,
                size: row.int()?,
                sealed: row.blob()?,
            })
        };
        rows.into_iter().map(value).collect()
    }

    /// Puts new values in the place of old ones, all or none. One that has changed since it was read stays as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn replace(self, kind: SealedKind, values: Vec<(SealedValue, Vec<u8>)>) -> Result<(), DbError> {
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    for (old, new) in values {
                        conn.script(kind.update(), args![old.id, old.field, old.sealed, new]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

impl SealedKind {
    const fn select(self) -> &'static str {
        match self {
            Self::Secret => {
                "SELECT s.object_id, o.uid, s.field, CAST(0 AS BIGINT), s.sealed FROM object_secret AS s \
                 JOIN object AS o ON o.id = s.object_id WHERE s.object_id >= $2 AND SUBSTR(s.sealed, 9, 8) = $1 \
                 ORDER BY s.object_id LIMIT $3"
            }
            Self::PrivateKey => {
                "SELECT c.object_id, o.uid, '', CAST(0 AS BIGINT), c.private_sealed FROM credential AS c \
                 JOIN object AS o ON o.id = c.object_id \
                 WHERE c.object_id >= $2 AND c.private_sealed IS NOT NULL AND SUBSTR(c.private_sealed, 9, 8) = $1 \
                 ORDER BY c.object_id LIMIT $3"
            }
            Self::Inline => {
                "SELECT id, '', '', size, inline_sealed FROM payload \
                 WHERE id >= $2 AND inline_sealed IS NOT NULL AND SUBSTR(inline_sealed, 25, 8) = $1 ORDER BY id LIMIT $3"
            }
            Self::Upload => {
                "SELECT id, file_uuid, '', durable_to, hash_state FROM payload \
                 WHERE id >= $2 AND state = 'STAGING' AND hash_state IS NOT NULL AND file_uuid IS NOT NULL \
                   AND SUBSTR(hash_state, 9, 8) = $1 ORDER BY id LIMIT $3"
            }
        }
    }

    const fn update(self) -> &'static str {
        match self {
            Self::Secret => "UPDATE object_secret SET sealed = $4 WHERE object_id = $1 AND field = $2 AND sealed = $3",
            Self::PrivateKey => {
                "UPDATE credential SET private_sealed = $4 WHERE object_id = $1 AND $2 = '' AND private_sealed = $3"
            }
            Self::Inline => "UPDATE payload SET inline_sealed = $4 WHERE id = $1 AND $2 = '' AND inline_sealed = $3",
            Self::Upload => "UPDATE payload SET hash_state = $4 WHERE id = $1 AND $2 = '' AND hash_state = $3",
        }
    }
}
