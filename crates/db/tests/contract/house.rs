//! A database for one test.

use std::sync::Arc;

use base::{TestClock, UtcMicros};
use db::{Actor, Db, DbOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

/// When tests happen.
pub(crate) const NOW: UtcMicros = UtcMicros(1_795_000_000_000_000);

/// Where a test's database is.
pub(crate) struct House {
    pub(crate) url: String,
    pub(crate) clock: Arc<TestClock>,
    /// Kept until the test is over.
    _folder: Option<tempfile::TempDir>,
}

impl House {
    /// One house, or two if a PostgreSQL is there. `test` names the schema.
    pub(crate) async fn all(test: &str) -> Vec<Self> {
        let mut all = vec![Self::sqlite()];
        if let Ok(url) = std::env::var("GATEHOUSE_TEST_POSTGRES") {
            all.push(Self::postgres(&url, test).await);
        }
        all
    }

    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("gatehouse.db").to_str().unwrap().to_owned();
        Self { url, clock: Arc::new(TestClock::at(NOW)), _folder: Some(folder) }
    }

    async fn postgres(url: &str, test: &str) -> Self {
        let schema = format!("test_{test}");
        let mut conn = sqlx::PgConnection::connect(url).await.unwrap();
        let sql = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
        let joint = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{joint}options=-c%20search_path%3D{schema}");
        Self { url, clock: Arc::new(TestClock::at(NOW)), _folder: None }
    }

    pub(crate) async fn open(&self) -> Db {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Db, db::DbError> {
        let clock: Arc<TestClock> = Arc::clone(&self.clock);
        Db::open(DbOptions { url: self.url.clone(), clock }).await
    }

    /// The first column of what a query gives.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.url.starts_with("postgres") {
            let mut conn = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut conn).await.unwrap()
        } else {
            let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(&self.url).connect().await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut conn).await.unwrap()
        }
    }

    /// Does what no operation of the database does.
    pub(crate) async fn tamper(&self, sql: &str) {
        if self.url.starts_with("postgres") {
            let mut conn = sqlx::PgConnection::connect(&self.url).await.unwrap();
            conn.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            conn.close().await.unwrap();
        } else {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&self.url);
            let mut conn = options.connect().await.unwrap();
            conn.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            conn.close().await.unwrap();
        }
    }
}

/// A test.
pub(crate) type Body = fn(House) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

pub(crate) fn actor() -> Actor {
    Actor { name: "uid:1000".to_owned(), origin: "local socket".to_owned() }
}

/// Makes a test of each function: `async fn name(house: House)`.
macro_rules! on_both {
    ($($(#[$about:meta])* $name:ident;)+) => { $(
        $(#[$about])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for house in $crate::house::House::all(concat!(stringify!($name))).await {
                bodies::$name(house).await;
            }
        }
    )+

        /// The same by name, for the test that looks at the statements of all of them.
        pub(crate) const BODIES: &[(&str, $crate::house::Body)] =
            &[$((stringify!($name), |house| Box::pin(bodies::$name(house)))),+];
    };
}
pub(crate) use on_both;
