//! Uploads to an object store that are under way: written down before they are begun, so that none is left there.

use crate::sql::args;
use crate::{Db, DbError};

/// Uploads of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct StoreUploads<'a>(pub(crate) &'a Db);

impl StoreUploads<'_> {
    /// An upload is about to be begun by `node`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin(self, uuid: &str, node: &str) -> Result<(), DbError> {
        let args = args![uuid, node, self.0.now()];
        self.0.write(|conn| conn.run_later(BEGIN, args)).await
    }

    /// It has this number.
    ///
    /// # Errors
    /// [`DbError::NotFound`] if another node has given it up, since this one was late; or if the database fails.
    pub async fn begun(self, uuid: &str, upload_id: &str) -> Result<(), DbError> {
        let args = args![uuid, upload_id];
        let sql = "UPDATE store_upload SET upload_id = $2 WHERE file_uuid = $1";
        let gone = DbError::NotFound { kind: "upload", name: uuid.to_owned() };
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    match conn.run(sql, args).await? {
                        0 => Err(gone),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    /// It is finished, or given up.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn ended(self, uuid: &str) -> Result<(), DbError> {
        let args = args![uuid];
        self.0.write(|conn| conn.run_later("DELETE FROM store_upload WHERE file_uuid = $1", args)).await
    }

    /// Those of `node`, and of nodes that are no longer there.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn left(self, node: &str) -> Result<Vec<String>, DbError> {
        let rows = self.0.read().rows(LEFT, args![node]).await?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }
}

const BEGIN: &str = "INSERT INTO store_upload (file_uuid, node_id, at) VALUES ($1, $2, $3) \
    ON CONFLICT (file_uuid) DO UPDATE SET upload_id = NULL, node_id = excluded.node_id, at = excluded.at";
const LEFT: &str = "SELECT u.file_uuid FROM store_upload AS u WHERE u.node_id = $1 \
    OR NOT EXISTS (SELECT 1 FROM node AS n WHERE n.id = u.node_id AND n.state = 'U') ORDER BY u.file_uuid";
