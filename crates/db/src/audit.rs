//! The audit: what was asked of the gateway and what came of it, each entry tied to the one before (AUD-*).

use base::UtcMicros;

use crate::audit_chain as chain;
use crate::{Db, DbError};

/// Who does something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    /// As `uid:1000` or `gateway`.
    pub name: String,
    /// As `local socket` or an address.
    pub origin: String,
}

/// What an entry says about its action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuditResult {
    /// It was asked for.
    Attempt,
    /// It was done.
    Success,
    /// It was not done.
    Failed,
    /// It was not permitted.
    Denied,
}

/// An entry to be written. Secrets must be `***` in it already (AUD-3).
#[derive(Clone, Debug)]
pub struct Entry {
    /// The number of the attempt it belongs to; `None`: this entry is the first of its action.
    pub tag: Option<i64>,
    /// Who.
    pub actor: Actor,
    /// As `CREATE`, `LOGIN`, `CANCEL`.
    pub action: String,
    /// Which entry of the action this is.
    pub result: AuditResult,
    /// Kind of the thing, as `KEY` or `TRANSFER`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Values before, as JSON.
    pub before_json: Option<String>,
    /// Values after, or the error, as JSON.
    pub after_json: Option<String>,
}

/// An entry as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditRow {
    /// 1, 2, 3, … without gaps.
    pub seq: i64,
    /// Number of the attempt: the same for all entries of an action.
    pub tag: i64,
    /// When.
    pub at: UtcMicros,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: String,
    /// Attempt or outcome.
    pub result: AuditResult,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Before.
    pub before_json: Option<String>,
    /// After.
    pub after_json: Option<String>,
    /// Hash of the entry before.
    pub prev: [u8; 32],
    /// Hash of this entry.
    pub hash: [u8; 32],
}

/// Which entries to list (AUD-5): conditions are combined.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// At or after.
    pub from: Option<UtcMicros>,
    /// Before.
    pub until: Option<UtcMicros>,
    /// Actor's name.
    pub actor: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Action.
    pub action: Option<String>,
    /// Outcome.
    pub result: Option<AuditResult>,
    /// Numbers above this one (paging).
    pub above: i64,
    /// If not all fit, the newest instead of the first.
    pub newest: bool,
}

/// What a verification found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditReport {
    /// Entries read.
    pub entries: i64,
    /// The first fault; none: the chain is whole.
    pub fault: Option<AuditFault>,
}

/// Where the chain is broken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuditFault {
    /// Entries are not there.
    #[error("entries {from} to {to} are missing")]
    Missing {
        /// First missing.
        from: i64,
        /// Last missing.
        to: i64,
    },
    /// An entry is not what was written.
    #[error("entry {seq} was changed")]
    Changed {
        /// Its number.
        seq: i64,
    },
    /// An entry does not follow the one before: entries were exchanged or inserted.
    #[error("entry {seq} does not follow entry {}", .seq - 1)]
    Order {
        /// Its number.
        seq: i64,
    },
    /// Entries behind the recorded end of the chain.
    #[error("entry {seq} was added behind the recorded end")]
    Added {
        /// Its number.
        seq: i64,
    },
}

/// The audit of a [`crate::Db`].
#[derive(Clone, Copy, Debug)]
pub struct Audit<'a>(pub(crate) &'a Db);

impl Audit<'_> {
    /// Writes an entry; returns its number (the tag for what follows, if `entry.tag` was `None`).
    ///
    /// # Errors
    /// If the database fails: then the action must not be done (AUD-1).
    pub async fn append(self, entry: Entry) -> Result<i64, DbError> {
        let now = self.0.now();
        self.0.write(move |conn| Box::pin(async move { chain::append(conn, entry, now).await })).await
    }

    /// Entries in order of number.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditRow>, DbError> {
        let (sql, args) = chain::page(&filter, limit);
        let mut rows = self.0.read().rows(sql, args).await?;
        if filter.newest {
            rows.reverse();
        }
        rows.into_iter().map(chain::row).collect()
    }

    /// Reads the whole chain and looks for removal, change and reordering (AUD-4).
    ///
    /// # Errors
    /// If the database fails; a broken chain is no error but a report.
    pub async fn verify(self) -> Result<AuditReport, DbError> {
        chain::verify(self.0).await
    }
}

impl AuditResult {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "ATTEMPT",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Denied => "DENIED",
        }
    }

    /// Reads the word, whatever its case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Attempt, Self::Success, Self::Failed, Self::Denied];
        all.into_iter().find(|result| result.as_str().eq_ignore_ascii_case(word))
    }
}
