//! Payload files in local folders.
use std::sync::Arc;
use crate::store::{Store, StoreError, StoreParts};
/// Name of the backend.
pub const NAME: &str = "local";
/// Opens the local store.
///
/// # Errors
/// Whatever the disk says.
#[allow(clippy::todo)]
pub fn open(_parts: StoreParts) -> Result<Arc<dyn Store>, StoreError> { todo!() }
