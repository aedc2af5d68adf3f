//! One connection to either database, with one spelling of SQL: `$1` parameters, values that are integers, texts or
//! octets, and scripts of several statements that share their parameters.
//!
//! Why not sqlx's `Any`: it cannot open SQLite with our pragmas, copies each row with its column names, and hides the
//! several-statements-in-one-trip that makes a small file cheap (SQLite runs in a thread; each trip costs two wake-ups).

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Either, Executor, PgConnection, Postgres, Row as _, Sqlite, SqliteConnection};

use crate::DbError;
use crate::fault::Hook;

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

/// Parameters `$1`, `$2`, …
pub(crate) type Args = Vec<Value>;

/// Parameters from anything that is an integer, a text or octets.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::Value::from($value)),*] };
}
pub(crate) use args;

/// SQL fixed in the program, or put together from fixed pieces.
#[derive(Clone, Debug)]
pub(crate) enum Sql {
    Fixed(&'static str),
    Built(String),
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conn {
    link: Link,
    /// Statements that go before the next ones, in the same trip.
    before: Option<&'static str>,
    hook: Hook,
}

#[derive(Debug)]
pub(crate) enum Link {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A row of a result; its columns are taken from left to right.
pub(crate) struct Columns {
    row: Row,
    next: usize,
}

enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Conn {
    pub(crate) const fn new(link: Link, hook: Hook) -> Self {
        Self { link, before: None, hook }
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.link, Link::Postgres(_))
    }

    /// Whether a test asks for faults on it.
    pub(crate) const fn is_armed(&self) -> bool {
        self.hook.is_armed()
    }

    /// Whether each statement is a trip of its own.
    const fn goes_one_by_one(&self) -> bool {
        self.is_postgres() || self.hook.is_armed()
    }

    /// Runs statements that have no parameters: with SQLite not now but in one trip with what comes next.
    pub(crate) async fn first(&mut self, sql: &'static str) -> Result<(), DbError> {
        if self.is_postgres() {
            self.script(sql, Vec::new()).await?;
        } else {
            self.before = Some(sql);
        }
        Ok(())
    }

    /// What [`Self::first`] was given, while nothing has come after it.
    pub(crate) const fn waiting(&self) -> Option<&'static str> {
        self.before
    }

    /// Takes back what [`Self::first`] was given, if nothing came after it.
    pub(crate) const fn take_first(&mut self) -> Option<&'static str> {
        self.before.take()
    }

    /// `sql` behind what must come before it; and how many statements that is.
    fn joined(&mut self, sql: Sql) -> (Sql, usize) {
        match self.before.take() {
            None => (sql, 0),
            Some(before) => {
                let text = match sql {
                    Sql::Fixed(text) => format!("{before}; {text}"),
                    Sql::Built(text) => format!("{before}; {text}"),
                };
                (Sql::Built(text), before.split(';').count())
            }
        }
    }

    /// Lets no other process do what also asks for this, until the transaction ends. SQLite has one writer anyway.
    pub(crate) async fn exclusive(&mut self) -> Result<(), DbError> {
        if self.is_postgres() {
            // The cast makes the result a text, which the driver can read.
            let sql = "SELECT pg_advisory_xact_lock(hashtext('gatehouse.' || current_schema()))::text";
            self.rows(sql, Vec::new()).await?;
        }
        Ok(())
    }

    /// Never to be used again, also not by others of the pool.
    pub(crate) async fn discard(self) {
        let result = match self.link {
            Link::Sqlite(conn) => conn.close().await,
            Link::Postgres(conn) => conn.close().await,
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a broken database connection did not close cleanly");
        }
    }

    /// Runs statements divided by `;`, all with the same parameters. Returns how many rows each changed.
    pub(crate) async fn script(&mut self, sql: impl Into<Sql>, args: Args) -> Result<Vec<u64>, DbError> {
        let sql = sql.into();
        self.hook.asked_for(&sql, &args, self.is_postgres());
        let (sql, skipped) = self.joined(sql);
        let mut changed = Vec::new();
        if self.goes_one_by_one() {
            for statement in sql.statements() {
                self.hook.before(statement)?;
                changed.push(self.link.execute(statement, args.clone()).await?);
                self.hook.after()?;
            }
        } else if let Link::Sqlite(conn) = &mut self.link {
            let conn: &mut SqliteConnection = conn;
            let args = sqlite_args(args)?;
            let mut results = match sql {
                Sql::Fixed(text) => conn.fetch_many(sqlx::query_with(text, args)),
                Sql::Built(text) => conn.fetch_many(sqlx::query_with(AssertSqlSafe(text), args)),
            };
            while let Some(item) = results.try_next().await? {
                if let Either::Left(done) = item {
                    changed.push(done.rows_affected());
                }
            }
        }
        Ok(changed.into_iter().skip(skipped).collect())
    }

    /// Runs statements without parameters that may hold statements themselves.
    pub(crate) async fn whole(&mut self, sql: String) -> Result<(), DbError> {
        let (sql, _) = self.joined(Sql::Built(sql));
        let text = match sql {
            Sql::Fixed(text) => text.to_owned(),
            Sql::Built(text) => text,
        };
        match &mut self.link {
            Link::Sqlite(conn) => sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut **conn).await.map(drop)?,
            Link::Postgres(conn) => sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut **conn).await.map(drop)?,
        }
        Ok(())
    }

    /// Runs one statement. Returns how many rows it changed.
    pub(crate) async fn run(&mut self, sql: impl Into<Sql>, args: Args) -> Result<u64, DbError> {
        Ok(self.script(sql, args).await?.into_iter().sum())
    }

    /// As an operation of the writer: runs statements, whatever they change.
    pub(crate) fn run_later(&mut self, sql: &'static str, args: Args) -> BoxFuture<'_, Result<(), DbError>> {
        Box::pin(async move { self.script(sql, args).await.map(drop) })
    }

    /// All rows of the last of some statements; the others give none.
    pub(crate) async fn rows(&mut self, sql: impl Into<Sql>, args: Args) -> Result<Vec<Columns>, DbError> {
        let sql = sql.into();
        self.hook.asked_for(&sql, &args, self.is_postgres());
        let (sql, _) = self.joined(sql);
        let mut rows: Vec<Row> = Vec::new();
        if self.goes_one_by_one() {
            for statement in sql.statements() {
                self.hook.before(statement)?;
                rows = self.link.fetch(statement, args.clone()).await?;
                self.hook.after()?;
            }
        } else if let Link::Sqlite(conn) = &mut self.link {
            let conn: &mut SqliteConnection = conn;
            let args = sqlite_args(args)?;
            let found = match sql {
                Sql::Fixed(text) => conn.fetch_all(sqlx::query_with(text, args)).await?,
                Sql::Built(text) => conn.fetch_all(sqlx::query_with(AssertSqlSafe(text), args)).await?,
            };
            rows = found.into_iter().map(Row::Sqlite).collect();
        }
        Ok(rows.into_iter().map(|row| Columns { row, next: 0 }).collect())
    }

    /// The first row of the last of some statements.
    pub(crate) async fn row(&mut self, sql: impl Into<Sql>, args: Args) -> Result<Option<Columns>, DbError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }
}

impl Link {
    /// Runs one statement. Returns how many rows it changed.
    async fn execute(&mut self, statement: &str, args: Args) -> Result<u64, DbError> {
        let sql = AssertSqlSafe(statement.to_owned());
        Ok(match self {
            Self::Sqlite(conn) => {
                let conn: &mut SqliteConnection = conn;
                conn.execute(sqlx::query_with(sql, sqlite_args(args)?)).await?.rows_affected()
            }
            Self::Postgres(conn) => {
                let conn: &mut PgConnection = conn;
                conn.execute(sqlx::query_with(sql, pg_args(args)?)).await?.rows_affected()
            }
        })
    }

    /// Runs one statement. Returns its rows.
    async fn fetch(&mut self, statement: &str, args: Args) -> Result<Vec<Row>, DbError> {
        let sql = AssertSqlSafe(statement.to_owned());
        Ok(match self {
            Self::Sqlite(conn) => {
                let conn: &mut SqliteConnection = conn;
                let rows = conn.fetch_all(sqlx::query_with(sql, sqlite_args(args)?)).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(conn) => {
                let conn: &mut PgConnection = conn;
                let rows = conn.fetch_all(sqlx::query_with(sql, pg_args(args)?)).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }
}

impl Columns {
    pub(crate) fn int(&mut self) -> Result<i64, DbError> {
        self.opt_int()?.ok_or_else(|| self.missing())
    }

    pub(crate) fn text(&mut self) -> Result<String, DbError> {
        self.opt_text()?.ok_or_else(|| self.missing())
    }

    pub(crate) fn blob(&mut self) -> Result<Vec<u8>, DbError> {
        self.opt_blob()?.ok_or_else(|| self.missing())
    }

    pub(crate) fn opt_int(&mut self) -> Result<Option<i64>, DbError> {
        let at = self.step();
        Ok(match &self.row {
            Row::Sqlite(row) => row.try_get_unchecked(at)?,
            Row::Postgres(row) => row.try_get(at)?,
        })
    }

    pub(crate) fn opt_text(&mut self) -> Result<Option<String>, DbError> {
        let at = self.step();
        Ok(match &self.row {
            Row::Sqlite(row) => row.try_get_unchecked(at)?,
            Row::Postgres(row) => row.try_get(at)?,
        })
    }

    pub(crate) fn opt_blob(&mut self) -> Result<Option<Vec<u8>>, DbError> {
        let at = self.step();
        Ok(match &self.row {
            Row::Sqlite(row) => row.try_get_unchecked(at)?,
            Row::Postgres(row) => row.try_get(at)?,
        })
    }

    fn step(&mut self) -> usize {
        let at = self.next;
        self.next = at.saturating_add(1);
        at
    }

    fn missing(&self) -> DbError {
        DbError::Corrupt { what: format!("nothing in column {}, where a value belongs", self.next) }
    }
}

impl Sql {
    /// One by one.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &str> {
        let text = match self {
            Self::Fixed(text) => text,
            Self::Built(text) => text.as_str(),
        };
        text.split(';').map(str::trim).filter(|statement| !statement.is_empty())
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self::Built(text)
    }
}

macro_rules! value_from {
    ($($source:ty => $variant:ident, $convert:expr;)+) => { $(
        impl From<$source> for Value {
            fn from(value: $source) -> Self {
                let convert: fn($source) -> _ = $convert;
                Self::$variant(convert(value))
            }
        }
    )+ };
}

value_from! {
    i64 => Int, Some;
    Option<i64> => Int, |v| v;
    bool => Int, |v| Some(i64::from(v));
    base::UtcMicros => Int, |v| Some(v.0);
    Option<base::UtcMicros> => Int, |v| v.map(|t| t.0);
    base::ObjectId => Int, |v| Some(v.0);
    Option<base::ObjectId> => Int, |v| v.map(|t| t.0);
    base::TransferId => Int, |v| Some(v.0);
    Option<base::TransferId> => Int, |v| v.map(|t| t.0);
    base::PayloadId => Int, |v| Some(v.0);
    Option<base::PayloadId> => Int, |v| v.map(|t| t.0);
    &str => Text, |v| Some(v.to_owned());
    String => Text, Some;
    &String => Text, |v| Some(v.clone());
    Option<String> => Text, |v| v;
    Option<&str> => Text, |v| v.map(str::to_owned);
    Vec<u8> => Blob, Some;
    &[u8] => Blob, |v| Some(v.to_vec());
    [u8; 32] => Blob, |v| Some(v.to_vec());
    Option<[u8; 32]> => Blob, |v| v.map(|o| o.to_vec());
    Option<Vec<u8>> => Blob, |v| v;
}

fn sqlite_args(args: Args) -> Result<SqliteArguments, DbError> {
    let mut out = SqliteArguments::default();
    for arg in args {
        match arg {
            Value::Int(v) => out.add(v),
            Value::Text(v) => out.add(v),
            Value::Blob(v) => out.add(v),
        }
        .map_err(|e| DbError::Sql(e.to_string()))?;
    }
    Ok(out)
}

fn pg_args(args: Args) -> Result<PgArguments, DbError> {
    let mut out = PgArguments::default();
    for arg in args {
        match arg {
            Value::Int(v) => out.add(v),
            Value::Text(v) => out.add(v),
            Value::Blob(v) => out.add(v),
        }
        .map_err(|e| DbError::Sql(e.to_string()))?;
    }
    Ok(out)
}
