//! Addresses, connections and the pools that hold them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, PgPool, SqlitePool};

use crate::DbError;
use crate::fault::Hook;
use crate::sql::{Args, Columns, Conn, Link, Sql};

/// How long SQLite waits for another process.
const BUSY_MAX: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(5) };
/// Longest wait for a connection of a pool: a busy machine is no fault.
const ACQUIRE_MAX: Duration = Duration::from_secs(5);
/// Reads at a time.
const READERS_MAX: u32 = 4;
/// Prepared statements that each connection keeps.
const STATEMENTS_MAX: usize = 200;

/// Connections to one database.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    links: Links,
    hook: Hook,
}

#[derive(Clone, Debug)]
enum Links {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Where the database is, and which faults its connections have.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    place: Place,
    hook: Hook,
}

#[derive(Clone, Debug)]
enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, DbError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(|e| open_error(url, &e.to_string()))?;
            let options = options.statement_cache_capacity(STATEMENTS_MAX).disable_statement_logging();
            return Ok(Place::Postgres(Box::new(options)).into());
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
        match path {
            "" | ":memory:" => Err(open_error(url, "give the path of a file")),
            path => Ok(Place::Sqlite(PathBuf::from(path)).into()),
        }
    }

    /// The same place, with faults.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn with_faults(self, faults: &crate::fault::Faults) -> Self {
        Self { hook: Hook::of(faults), ..self }
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.place, Place::Postgres(_))
    }

    /// The file, if the database is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite(path) => Some(path),
            Place::Postgres(_) => None,
        }
    }

    /// The one connection that writes. Makes the file, readable by its owner only.
    pub(crate) fn writer(&self) -> Result<Pool, DbError> {
        let links = match &self.place {
            Place::Sqlite(path) => {
                make_file(path)?;
                let options = sqlite_options(path).pragma("cache_size", "-8000");
                Links::Sqlite(sqlite_pool(1).connect_lazy_with(options))
            }
            Place::Postgres(options) => Links::Postgres(pg_pool(1).connect_lazy_with(*options.clone())),
        };
        Ok(Pool { links, hook: self.hook.clone() })
    }

    /// The connection that hears other nodes.
    pub(crate) fn listener(&self) -> Pool {
        let links = match &self.place {
            Place::Sqlite(path) => Links::Sqlite(sqlite_pool(1).connect_lazy_with(sqlite_options(path))),
            // One listens while another one asks how the channel is called.
            Place::Postgres(options) => {
                Links::Postgres(pg_pool(2).min_connections(0).connect_lazy_with(*options.clone()))
            }
        };
        Pool { links, hook: Hook::default() }
    }

    /// Connections that cannot write.
    pub(crate) fn readers(&self) -> Pool {
        let links = match &self.place {
            Place::Sqlite(path) => {
                let options = sqlite_options(path).pragma("query_only", "ON");
                Links::Sqlite(sqlite_pool(READERS_MAX).connect_lazy_with(options))
            }
            Place::Postgres(options) => {
                let options = options.clone().options([("default_transaction_read_only", "on")]);
                Links::Postgres(pg_pool(READERS_MAX).connect_lazy_with(options))
            }
        };
        Pool { links, hook: self.hook.clone() }
    }
}

impl From<Place> for Address {
    fn from(place: Place) -> Self {
        Self { place, hook: Hook::default() }
    }
}

impl From<SqlitePool> for Pool {
    fn from(pool: SqlitePool) -> Self {
        Self { links: Links::Sqlite(pool), hook: Hook::default() }
    }
}

impl Pool {
    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.links, Links::Postgres(_))
    }

    /// The driver's own pool, if the database is a PostgreSQL.
    pub(crate) const fn postgres(&self) -> Option<&PgPool> {
        match &self.links {
            Links::Sqlite(_) => None,
            Links::Postgres(pool) => Some(pool),
        }
    }

    pub(crate) async fn acquire(&self) -> Result<Conn, DbError> {
        let link = match &self.links {
            Links::Sqlite(pool) => Link::Sqlite(pool.acquire().await?),
            Links::Postgres(pool) => Link::Postgres(pool.acquire().await?),
        };
        Ok(Conn::new(link, self.hook.clone()))
    }

    pub(crate) async fn rows(&self, sql: impl Into<Sql>, args: Args) -> Result<Vec<Columns>, DbError> {
        self.acquire().await?.rows(sql, args).await
    }

    pub(crate) async fn row(&self, sql: impl Into<Sql>, args: Args) -> Result<Option<Columns>, DbError> {
        self.acquire().await?.row(sql, args).await
    }

    pub(crate) async fn close(&self) {
        match &self.links {
            Links::Sqlite(pool) => pool.close().await,
            Links::Postgres(pool) => pool.close().await,
        }
    }
}

fn make_file(path: &Path) -> Result<(), DbError> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|e| open_error(&path.display().to_string(), &e.to_string()))
}

pub(crate) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_MAX)
        .pragma("temp_store", "MEMORY")
        .statement_cache_capacity(STATEMENTS_MAX)
        .disable_statement_logging()
}

fn sqlite_pool(connections: u32) -> SqlitePoolOptions {
    // A connection to a file does not break, so it is not tried before each use.
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_MAX)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

fn pg_pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_MAX)
}

/// The address without its password, with the cause.
pub(crate) fn open_error(url: &str, cause: &str) -> DbError {
    let shown = match url.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://…@{host}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    };
    DbError::Open { url: shown, cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let place = |url| Address::parse(url).map(|address| address.place);
        assert!(matches!(place("/var/x.db"), Ok(Place::Sqlite(p)) if p == Path::new("/var/x.db")));
        assert!(matches!(place("sqlite:x.db"), Ok(Place::Sqlite(p)) if p == Path::new("x.db")));
        assert!(matches!(place("postgres://u:p@h/d"), Ok(Place::Postgres(_))));
        assert!(Address::parse(":memory:").is_err());
    }

    // STO-8: no password in an error.
    #[test]
    fn errors_hide_the_password() {
        let error = open_error("postgres://u:geheim@h/d", "no route").to_string();
        assert!(!error.contains("geheim"), "{error}");
        assert!(error.contains("h/d"));
    }
}
