//! Uploads to an object store, written down in the database.

use async_trait::async_trait;
use db::Db;
use std::sync::Arc;

use super::Node;
use crate::store::{FileUuid, UploadLog};

#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) db: Db,
    pub(crate) node: Arc<Node>,
}

#[async_trait]
impl UploadLog for Recorded {
    async fn begin(&self, uuid: FileUuid) -> Result<(), String> {
        self.db.uploads().begin(&uuid.to_string(), &self.node.id()).await.map_err(|e| e.to_string())
    }

    async fn begun(&self, uuid: FileUuid, upload_id: &str) -> Result<(), String> {
        self.db.uploads().begun(&uuid.to_string(), upload_id).await.map_err(|e| e.to_string())
    }

    async fn ended(&self, uuid: FileUuid) -> Result<(), String> {
        self.db.uploads().ended(&uuid.to_string()).await.map_err(|e| e.to_string())
    }

    async fn left(&self) -> Result<Vec<FileUuid>, String> {
        let left = self.db.uploads().left(&self.node.id()).await.map_err(|e| e.to_string())?;
        left.iter().map(|uuid| uuid.parse().map_err(|e: crate::store::StoreError| e.to_string())).collect()
    }
}
