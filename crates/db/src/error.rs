//! What can go wrong in the database, in words for the operator.

use base::{Shown, TransferId};

use crate::state::{RouteState, State};

/// Why a database operation did nothing. Every error of one failed commit is the same, so it can be cloned.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// An object of this kind and name is there already.
    #[error("{kind} {name} exists already: choose another name or update it")]
    Exists {
        /// Kind, as `SSH_PROFILE`.
        kind: &'static str,
        /// Name asked for.
        name: String,
    },
    /// Another object's name differs by case only.
    #[error("{kind} {name} differs from {existing} by case only: choose another name")]
    CaseClash {
        /// Kind of both.
        kind: &'static str,
        /// Name asked for.
        name: String,
        /// Name of the one that is there.
        existing: String,
    },
    /// No such object.
    #[error("{kind} {name} does not exist")]
    NotFound {
        /// Kind asked for.
        kind: &'static str,
        /// Name asked for.
        name: String,
    },
    /// Somebody changed the object since it was read.
    #[error("{name} is at revision {found}, not {expected}: read it again and repeat the change")]
    Stale {
        /// Object.
        name: String,
        /// Revision the caller saw.
        expected: i64,
        /// Revision it has.
        found: i64,
    },
    /// Somebody changed some object since the whole configuration was read.
    #[error("the configuration is at revision {found}, not {expected}: look at it again and repeat the change")]
    Moved {
        /// Revision the caller saw.
        expected: i64,
        /// Revision it has.
        found: i64,
    },
    /// A set changes one object twice.
    #[error("{kind} {name} is changed twice at once: state each object once")]
    Twice {
        /// Kind.
        kind: &'static str,
        /// Name.
        name: String,
    },
    /// The object is used by others (OBJ-3).
    #[error("{name} is used by {}: change these first, or delete with -force", referrers(.by))]
    Referenced {
        /// Object.
        name: String,
        /// Who uses it.
        by: Vec<Referrer>,
    },
    /// A field names an object that is not there.
    #[error("{from}: {field} names {kind} {name}, which does not exist: create it first")]
    MissingReference {
        /// The referring object.
        from: String,
        /// Field of the referring object.
        field: String,
        /// Kind it must have.
        kind: &'static str,
        /// Name given.
        name: String,
    },
    /// A state that this record cannot go to (TRF-3).
    #[error("transfer {id} is {found}, which cannot become {to}")]
    Transition {
        /// Transfer.
        id: TransferId,
        /// State it is in.
        found: State,
        /// State asked for.
        to: State,
    },
    /// The record is not in a state that the caller expected: somebody else was faster.
    #[error("transfer {id} is {found}: the change expected another state")]
    Unexpected {
        /// Transfer.
        id: TransferId,
        /// State it is in.
        found: State,
    },
    /// The record was taken over by another node, or by this one under another number.
    #[error("transfer {id} is no longer in these hands: this node lost its lease, and another one goes on with it")]
    TakenOver {
        /// Transfer.
        id: TransferId,
    },
    /// Another gateway has this name of a node.
    #[error("node {name} is running on {host}: give each gateway a [node] name of its own")]
    NodeNamed {
        /// The name.
        name: String,
        /// Where it runs.
        host: String,
    },
    /// A route state that cannot follow.
    #[error("transfer {id} has route state {found}, which cannot become {to}")]
    RouteTransition {
        /// Transfer.
        id: TransferId,
        /// Route state it is in.
        found: RouteState,
        /// Route state asked for.
        to: RouteState,
    },
    /// No such transfer.
    #[error("transfer {0} does not exist")]
    NoTransfer(TransferId),
    /// A record that begins in a state in which nothing begins.
    #[error("transfer {id} cannot begin as {state}")]
    NotFirst {
        /// Transfer.
        id: TransferId,
        /// State given.
        state: State,
    },
    /// A value outside its limits.
    #[error("{what} has {found}: at most {max} are possible")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Size found.
        found: usize,
        /// Largest size.
        max: usize,
    },
    /// The database was written by a newer program.
    #[error("the database has schema {found}, this program knows {known}: start the newer program or restore a backup")]
    Newer {
        /// Schema found.
        found: i64,
        /// Newest schema of this program.
        known: i64,
    },
    /// A migration that was applied is not the one in this program.
    #[error("migration {version} was applied in another form: this database belongs to another build")]
    MigrationChanged {
        /// Its number.
        version: i64,
    },
    /// A copy could not be made.
    #[error("the database could not be copied: {cause}")]
    Copy {
        /// Why, and what to do.
        cause: String,
    },
    /// The address of the database cannot be used.
    #[error("database {url} cannot be opened: {cause}")]
    Open {
        /// Path or address without password.
        url: String,
        /// What the driver says.
        cause: String,
    },
    /// Another process holds the database.
    #[error("the database is locked by another process: try again, or stop that process")]
    Locked,
    /// No room.
    #[error("the disk of the database is full: make room")]
    Full,
    /// A row that this program cannot have written.
    #[error("the database holds {what}, which is not valid: restore it from a backup or ask for help")]
    Corrupt {
        /// What was found.
        what: String,
    },
    /// An operation failed inside.
    #[error("the database refused: {0}")]
    Sql(String),
    /// The connection broke at the end of a transaction, and nothing told in time what became of it.
    #[error("the database did not answer a commit: {0}")]
    Unanswered(String),
    /// The database is being closed.
    #[error("the database is closed")]
    Closed,
}

/// An object that names another one in a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Referrer {
    /// Kind, as `SITE`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The field that holds the reference.
    pub field: String,
}

impl std::fmt::Display for Referrer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.kind, self.name, self.field)
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) => match inner.code().as_deref() {
                // SQLite: primary and extended codes of BUSY and LOCKED; PostgreSQL: lock not available,
                // deadlock of two nodes.
                Some("5" | "6" | "261" | "517" | "773" | "262" | "55P03" | "40P01") => Self::Locked,
                // SQLite FULL, PostgreSQL disk full.
                Some("13" | "53100") => Self::Full,
                _ => Self::Sql(Shown::from(inner.message()).to_string()),
            },
            sqlx::Error::PoolClosed => Self::Closed,
            other => Self::Sql(Shown::from(other.to_string().as_str()).to_string()),
        }
    }
}

fn referrers(list: &[Referrer]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
