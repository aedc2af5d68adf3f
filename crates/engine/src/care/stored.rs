//! Reading everything that is stored to its end: does it open, and is it what was received?

use aws_lc_rs::digest::{Context, SHA256};
use base::{PayloadId, hex};

use super::error::CareError;
use crate::engine::Engine;
use crate::error::{Cause, TransferError};

/// Payloads asked for at a time.
const BATCH: u32 = 200;
/// Octets read at a time.
const READ_OCTETS: u32 = 1 << 20;
/// Faults that are told one by one; more are counted.
pub const FAULTS_TOLD_MAX: usize = 1000;

/// What a look at everything that is stored found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoreVerified {
    /// Payloads read.
    pub payloads: u64,
    /// Their octets.
    pub octets: u64,
    /// Those that do not open, or are not what was received, a sentence each.
    pub faults: Vec<String>,
    /// How many there are of these.
    pub faulty: u64,
}

impl Engine {
    /// Reads every stored payload to its end, and compares its size and SHA-256 with its record. The gateway goes on
    /// meanwhile; what is purged meanwhile is passed over.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn verify_store(&self) -> Result<StoreVerified, CareError> {
        let mut found = StoreVerified::default();
        let mut after = PayloadId(0);
        loop {
            let batch = self.db.payloads().committed_behind(after, BATCH).await?;
            let Some(last) = batch.last() else { return Ok(found) };
            after = *last;
            for id in batch {
                match self.read_payload(id).await {
                    Ok(octets) => found.octets = found.octets.saturating_add(octets),
                    Err(error) if error.cause == Cause::NotFound => continue,
                    Err(error) => {
                        found.faulty = found.faulty.saturating_add(1);
                        if found.faults.len() < FAULTS_TOLD_MAX {
                            found.faults.push(format!("content {id}: {error}"));
                        }
                    }
                }
                found.payloads = found.payloads.saturating_add(1);
            }
        }
    }

    async fn read_payload(&self, id: PayloadId) -> Result<u64, TransferError> {
        let mut source = self.open_payload(id).await?;
        let (mut hash, mut octets) = (Context::new(&SHA256), 0_u64);
        loop {
            let part = source.read_at(octets, READ_OCTETS).await?;
            if part.is_empty() {
                break;
            }
            hash.update(&part);
            octets = octets.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
        let broken = |text: String| TransferError::park(Cause::Integrity, text);
        if octets != source.size() {
            return Err(broken(format!("it has {octets} octets, {} were received", source.size())));
        }
        let now = hash.finish();
        match source.sha256() {
            Some(wanted) if now.as_ref() != wanted => {
                Err(broken(format!("its SHA-256 is {}, that of the received file {}", hex(now.as_ref()), hex(&wanted))))
            }
            _ => Ok(octets),
        }
    }
}
