//! Copies of a database that is in use, and a look into one: what a backup is made of.
//!
//! A copy is made by SQLite itself (`VACUUM INTO`) within one read transaction: it is whole, of one moment, needs no
//! write-ahead log beside it, and writers go on meanwhile. A copy that is looked into is never written to.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base::TransferId;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::open::{Pool, open_error, sqlite_options};
use crate::sql::args;
use crate::{Db, DbError};

/// A stored content that a copied database refers to, and that lies outside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CopiedPayload {
    /// Name of its file.
    pub uuid: String,
    /// Backend that holds it.
    pub store: String,
    /// Octets of the content.
    pub size: i64,
}

/// What stands in a copy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CopyFacts {
    /// Number of its schema.
    pub schema: i64,
    /// Eight digits of the gateway that it is of; empty if it never ran.
    pub gateway_id: String,
    /// Transfers recorded.
    pub transfers: i64,
    /// Committed contents outside it, by name.
    pub payloads: Vec<CopiedPayload>,
}

/// Copies of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Backups<'a>(pub(crate) &'a Db);

impl Backups<'_> {
    /// Copies the database, as it is at this moment, into a new file that only its owner may read, and makes it durable.
    /// Writers are not held up.
    ///
    /// # Errors
    /// [`DbError::Copy`] for a PostgreSQL, which has means of its own, and if the file can't be written.
    pub async fn copy_to(self, file: &Path) -> Result<(), DbError> {
        match self.0.inner.address.file() {
            Some(path) => copy(path, file).await,
            None => Err(DbError::Copy {
                cause: "the database is a PostgreSQL: copy it by `pg_dump --format=custom`, then the folder payload/"
                    .to_owned(),
            }),
        }
    }

    /// Whether it is a file that can be copied.
    #[must_use]
    pub fn is_file(self) -> bool {
        self.0.inner.address.file().is_some()
    }
}

/// Copies a SQLite file that may be in use.
pub(crate) async fn copy(from: &Path, to: &Path) -> Result<(), DbError> {
    let failed = |cause: String| DbError::Copy { cause: format!("{}: {cause}", to.display()) };
    // An empty file that is there already is filled, and keeps its mode.
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(to).map_err(|e| failed(e.to_string()))?;
    let name = to.to_str().ok_or_else(|| failed("the name is no UTF-8".to_owned()))?;
    let pool = Pool::from(SqlitePoolOptions::new().max_connections(1).connect_lazy_with(sqlite_options(from)));
    let done = async {
        let mut conn = pool.acquire().await?;
        let copied = conn.run("VACUUM INTO $1", args![name]).await;
        conn.discard().await;
        copied
    };
    let done = done.await;
    pool.close().await;
    if let Err(error) =
        done.map_err(|e| failed(e.to_string())).and_then(|_| synced(to).map_err(|e| failed(e.to_string())))
    {
        // Half a copy is none.
        drop(std::fs::remove_file(to));
        return Err(error);
    }
    Ok(())
}

fn synced(file: &Path) -> std::io::Result<()> {
    File::open(file)?.sync_all()?;
    match file.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Looks into a copy, and has SQLite check it from end to end if `check` is set.
///
/// # Errors
/// [`DbError::Open`], [`DbError::Corrupt`] if it is damaged.
pub async fn look_into(file: &Path, check: bool) -> Result<CopyFacts, DbError> {
    if !file.is_file() {
        return Err(open_error(&file.display().to_string(), "there is no such file"));
    }
    let pool = readers(file);
    let facts = facts(&pool, check).await;
    pool.close().await;
    facts.map_err(|e| match e {
        DbError::Sql(text) => DbError::Corrupt { what: text },
        other => other,
    })
}

/// Transfers of a copy that need the content of this name.
///
/// # Errors
/// If the copy can't be read.
pub async fn users_in_copy(file: &Path, uuid: &str) -> Result<Vec<TransferId>, DbError> {
    let pool = readers(file);
    let sql =
        "SELECT t.id FROM transfer AS t JOIN payload AS p ON p.id = t.payload_id WHERE p.file_uuid = $1 ORDER BY t.id";
    let rows = pool.rows(sql, args![uuid]).await;
    pool.close().await;
    rows?.into_iter().map(|mut row| row.int().map(TransferId)).collect()
}

/// A pool that neither writes nor makes files beside the copy.
fn readers(file: &Path) -> Pool {
    let options =
        SqliteConnectOptions::new().filename(file).read_only(true).immutable(true).disable_statement_logging();
    SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options).into()
}

async fn facts(pool: &Pool, check: bool) -> Result<CopyFacts, DbError> {
    if check {
        let found =
            pool.row("PRAGMA integrity_check(1)", Vec::new()).await?.map_or(Ok(String::new()), |mut r| r.text())?;
        if found != "ok" {
            return Err(DbError::Corrupt { what: found });
        }
    }
    let int = async |sql: &'static str| pool.row(sql, Vec::new()).await?.map_or(Ok(0), |mut row| row.int());
    let mut payloads = Vec::new();
    let sql = "SELECT file_uuid, store, size FROM payload WHERE state = 'COMMITTED' AND inline_sealed IS NULL \
        AND file_uuid IS NOT NULL ORDER BY file_uuid";
    for mut row in pool.rows(sql, Vec::new()).await? {
        payloads.push(CopiedPayload { uuid: row.text()?, store: row.text()?, size: row.int()? });
    }
    let id = pool.row("SELECT value FROM meta WHERE key = 'gateway_id'", Vec::new()).await?;
    Ok(CopyFacts {
        schema: int("SELECT COALESCE(MAX(version), 0) FROM migration").await?,
        gateway_id: id.map_or(Ok(String::new()), |mut row| row.text())?,
        transfers: int("SELECT COUNT(*) FROM transfer").await?,
        payloads,
    })
}
