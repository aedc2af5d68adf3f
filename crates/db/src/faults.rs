//! Tests that look behind the public doors: query plans, a full disk, a locked file, a broken connection.

use std::sync::Arc;

use base::{TestClock, UtcMicros};
use futures_util::future::BoxFuture;

use crate::records::{EntryQuery, TransferFilter};
use crate::sql::{Conn, args};
use crate::state::{Direction, State};
use crate::writer::Urgency;
use crate::{Db, DbError, DbOptions, Fault, Faults, NewTransfer};
use crate::{alarms, events, overview};
use crate::{object_writes, payloads, transfer_rows, transfer_writes};

async fn open(folder: &tempfile::TempDir) -> Db {
    let url = folder.path().join("g.db").to_str().unwrap().to_owned();
    Db::open(DbOptions { url, clock: Arc::new(TestClock::at(UtcMicros(0))) }).await.unwrap()
}

async fn plan(db: &Db, sql: &str) -> Vec<String> {
    let rows = db.read().rows(format!("EXPLAIN QUERY PLAN {sql}"), Vec::new()).await.unwrap();
    let detail = |mut row: crate::sql::Columns| {
        let _ids = (row.int().unwrap(), row.int().unwrap(), row.int().unwrap());
        row.text().unwrap()
    };
    rows.into_iter().map(detail).collect()
}

/// Every query that runs often finds its rows by an index, in order where order is asked for.
#[tokio::test]
async fn hot_queries_use_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder).await;
    let folder_query = |file: Option<&str>| EntryQuery {
        gate: String::new(),
        dir_name: String::new(),
        file_name: file.map(str::to_owned),
        after: None,
        limit: 9,
    };
    let site = TransferFilter { site: Some("A".to_owned()), ..Default::default() };
    let received = TransferFilter { direction: Some(Direction::In), ..Default::default() };
    let waiting = TransferFilter { states: vec![State::ToBegin], ..Default::default() };
    let file = TransferFilter { file_name: Some("f".to_owned()), direction: Some(Direction::In), ..site.clone() };
    let commit: Vec<&str> = transfer_writes::COMMIT_RECEIVED.split(';').collect();
    for (sql, index) in [
        (transfer_writes::DUE.to_owned(), "transfer_due (site=? AND priority=? AND next_try_at<?)"),
        (transfer_rows::due_sites(false).to_owned(), "transfer_due"),
        (transfer_rows::TO_ROUTE.to_owned(), "transfer_to_route (next_try_at<?)"),
        (transfer_rows::LIVE_COUNTS.to_owned(), "transfer_state (state=?)"),
        (transfer_writes::RUNNING.to_owned(), "transfer_state (state=?)"),
        (
            transfer_rows::entries(folder_query(None)).0.to_owned(),
            "transfer_listed (gate=? AND dir_name=? AND file_name>?)",
        ),
        (
            transfer_rows::entries(folder_query(Some("f"))).0.to_owned(),
            "transfer_listed (gate=? AND dir_name=? AND file_name=?)",
        ),
        (transfer_rows::page(&site, 9).0, "transfer_site (site=?)"),
        (transfer_rows::OVERDUE.to_owned(), "transfer_not_after (not_after>? AND not_after<?)"),
        (transfer_rows::page(&received, 9).0, "transfer_way (direction=? AND mode=?)"),
        (transfer_rows::page(&waiting, 9).0, "transfer_state (state=? AND direction=? AND mode=?)"),
        (
            transfer_rows::page(&TransferFilter { site: site.site.clone(), ..waiting }, 9).0,
            "transfer_site_state (site=? AND state=? AND direction=? AND mode=?)",
        ),
        (transfer_rows::page(&file, 9).0, "transfer_file (file_name=?)"),
        (commit[3].to_owned(), "transfer_listed (gate=? AND dir_name=? AND file_name=? AND id<?)"),
        (payloads::PURGEABLE.to_owned(), "payload_free (purge_after>? AND purge_after<?)"),
        (object_writes::REFERRING.to_owned(), "object_ref_to (to_id=?)"),
        ("SELECT id FROM transfer WHERE route_from = 1".to_owned(), "transfer_route (route_from=?)"),
        ("DELETE FROM login_block WHERE last_at < 5 AND until < 5".to_owned(), "login_block_last (last_at<?)"),
        (overview::to_send(false).to_owned(), "transfer_due"),
        (overview::IN_STATE.to_owned(), "transfer_state (state=?)"),
        (overview::SUSPENDED.to_owned(), "transfer_state (state=?)"),
        (overview::NEWEST_OF_SITE.to_owned(), "transfer_site (site=?)"),
        (events::WAITING.to_owned(), "event_out_webhook (webhook=? AND parked=?)"),
        (alarms::OPEN.to_owned(), "alarm_opened"),
        (alarms::TO_MAIL.to_owned(), "alarm_to_mail"),
    ] {
        let steps = plan(&db, &sql).await;
        // A page of rows, what a bounded look gave, or the few that refer to an object.
        let few = sql.contains("AS newest") || sql == overview::SUSPENDED || index.contains("object_ref");
        assert!(steps.iter().any(|step| step.contains(index)), "{sql}\n{steps:#?}");
        for step in &steps {
            let scans = step.starts_with("SCAN transfer") && !step.contains("transfer_due");
            assert!(!scans && (!step.contains("TEMP B-TREE FOR ORDER BY") || few), "{sql}\n{steps:#?}");
        }
    }
    let newest = plan(&db, &transfer_rows::page(&TransferFilter::default(), 9).0).await;
    assert_eq!(newest, ["SCAN transfer"], "the newest page walks the numbers backwards, without sorting");
}

async fn new(db: &Db, note: String) -> NewTransfer {
    let id = db.transfers().next_id().await.unwrap();
    NewTransfer { extra_json: note, ..NewTransfer::outgoing(id, "SFTP", UtcMicros(0)) }
}

/// A full disk: every operation of the batch hears it, none is half done, and the writer goes on when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_reported_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder).await;
    let first = new(&db, String::new()).await;
    db.transfers().insert(first).await.unwrap();
    let pages = |pages: &'static str| {
        let db = db.clone();
        async move { db.write(move |conn| Box::pin(async move { conn.rows(pages, Vec::new()).await.map(drop) })).await }
    };
    pages("PRAGMA max_page_count = 60").await.unwrap();
    let small = new(&db, String::new()).await;
    let large = new(&db, "x".repeat(1_000_000)).await;
    let lazy = db.transfers().insert_lazy(small.clone()).await.unwrap();
    assert_eq!(db.transfers().insert(large.clone()).await, Err(DbError::Full));
    let lazy = lazy.done().await;
    let there = db.transfers().get(small.id).await.unwrap().is_some();
    assert_eq!(lazy.is_ok(), there, "told is what happened: {lazy:?}");
    assert_eq!(db.transfers().get(large.id).await.unwrap(), None);
    pages("PRAGMA max_page_count = 1000000").await.unwrap();
    db.transfers().insert(large.clone()).await.unwrap();
    assert!(db.transfers().get(large.id).await.unwrap().is_some());
}

/// Another program holds the file: the caller hears it, and the next write works when the other lets go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_file_is_reported_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder).await;
    let address = crate::open::Address::parse(folder.path().join("g.db").to_str().unwrap()).unwrap();
    let pool = address.writer().unwrap();
    let mut other = pool.acquire().await.unwrap();
    other.run("BEGIN IMMEDIATE", Vec::new()).await.unwrap();
    assert_eq!(db.meta().set("a", "1").await, Err(DbError::Locked));
    assert_eq!(db.meta().get("a").await.unwrap(), None, "reading goes on");
    other.run("COMMIT", Vec::new()).await.unwrap();
    db.meta().set("a", "2").await.unwrap();
    assert_eq!(db.meta().get("a").await.unwrap().as_deref(), Some("2"));
}

/// The transaction is gone in the middle of a batch: nobody is told that it worked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_transaction_fails_the_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder).await;
    let before = db.submit(Urgency::Lazy, |conn| set(conn, "before")).await.unwrap();
    let lost = db.write(|conn| Box::pin(async move { conn.run("ROLLBACK", Vec::new()).await.map(drop) })).await;
    assert!(lost.is_err());
    let there = db.meta().get("before").await.unwrap().is_some();
    assert_eq!(before.done().await.is_ok(), there, "told is what happened");
    db.meta().set("after", "1").await.unwrap();
    assert_eq!(db.meta().get("after").await.unwrap().as_deref(), Some("1"));
}

fn set<'c>(conn: &'c mut Conn, key: &'static str) -> BoxFuture<'c, Result<(), DbError>> {
    Box::pin(async move { conn.run("INSERT INTO meta (key, value) VALUES ($1, 'x')", args![key]).await.map(drop) })
}

/// An operation that panics is undone; the writer lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_one_failed_operation() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder).await;
    let panics = db.submit(Urgency::Lazy, |conn| {
        Box::pin(async move {
            set(conn, "half").await?;
            panic!("on purpose")
        })
    });
    let panics: crate::Pending<()> = panics.await.unwrap();
    db.meta().set("other", "1").await.unwrap();
    assert_eq!(panics.done().await, Err(DbError::Sql("an operation panicked".to_owned())));
    assert_eq!(db.meta().get("half").await.unwrap(), None);
    assert_eq!(db.meta().get("other").await.unwrap().as_deref(), Some("1"));
}

/// A step that fails leaves the schema of before.
#[tokio::test]
async fn a_failing_migration_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder).await;
    let result = db
        .write(|conn| {
            Box::pin(async move {
                let bad = (998, "CREATE TABLE t (a {BLOB}); NONSENSE");
                let steps: Vec<(i64, &str)> = crate::migrate::MIGRATIONS.iter().copied().chain([bad]).collect();
                crate::migrate::apply(conn, &steps, UtcMicros(0)).await
            })
        })
        .await;
    assert!(matches!(result, Err(DbError::Sql(_))), "{result:?}");
    assert!(db.read().rows("SELECT a FROM t", Vec::new()).await.is_err());
    let versions = db.read().rows("SELECT version FROM migration", Vec::new()).await.unwrap().len();
    assert_eq!(versions, crate::migrate::MIGRATIONS.len());
}

/// The file of the database is its owner's alone (DESIGN 1.12).
#[tokio::test]
async fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder).await;
    db.meta().set("a", "1").await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

/// Opens the database of each kind that is there, with statements that can fail. `test` names the schema.
async fn open_all(folder: &tempfile::TempDir, test: &str) -> Vec<(Db, Faults)> {
    let mut urls = vec![folder.path().join("g.db").to_str().unwrap().to_owned()];
    if let Ok(url) = std::env::var("GATEHOUSE_TEST_POSTGRES") {
        let schema = format!("test_{test}");
        let mut conn = crate::open::Address::parse(&url).unwrap().writer().unwrap().acquire().await.unwrap();
        for sql in [format!("DROP SCHEMA IF EXISTS {schema} CASCADE"), format!("CREATE SCHEMA {schema}")] {
            conn.script(sql, Vec::new()).await.unwrap();
        }
        let joint = if url.contains('?') { '&' } else { '?' };
        urls.push(format!("{url}{joint}options=-c%20search_path%3D{schema}"));
    }
    let mut all = Vec::new();
    for url in urls {
        let faults = Faults::default();
        let clock = Arc::new(TestClock::at(UtcMicros(0)));
        all.push((Db::open_with_faults(DbOptions { url, clock }, &faults).await.unwrap(), faults));
    }
    all
}

/// Strikes each statement of a batch of three; what callers are told is what is there (OBJ-34, TRF-1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_is_what_happened_whatever_fails() {
    let folder = tempfile::tempdir().unwrap();
    for (db, faults) in open_all(&folder, "told_is_what_happened").await {
        for fault in [Fault::Refused, Fault::Cut, Fault::Unanswered] {
            for n in 1.. {
                let three =
                    [new(&db, String::new()).await, new(&db, String::new()).await, new(&db, String::new()).await];
                let ids = three.clone().map(|new| new.id);
                let [a, b, c] = three;
                faults.strike("", n, fault);
                let (a, b) =
                    (db.transfers().insert_lazy(a).await.unwrap(), db.transfers().insert_lazy(b).await.unwrap());
                let told = [db.transfers().insert(c).await.is_ok(), a.done().await.is_ok(), b.done().await.is_ok()];
                let struck = faults.struck();
                faults.strike("", u64::MAX, fault);
                for (id, told) in [(ids[2], told[0]), (ids[0], told[1]), (ids[1], told[2])] {
                    let there = db.transfers().get(id).await.unwrap().is_some();
                    assert_eq!(there, told, "{fault:?} at {n}: {struck:?}, {id}");
                    assert_eq!(
                        db.transfers().steps(id).await.unwrap().len(),
                        usize::from(there),
                        "record and step are one"
                    );
                }
                match struck.as_deref() {
                    None => break,
                    // A slow machine makes two batches of it.
                    Some("COMMIT") if fault == Fault::Unanswered => {
                        assert_eq!(told, [true; 3], "a lost answer is found")
                    }
                    Some("COMMIT") => assert!(told.contains(&false), "{fault:?} at {n}"),
                    Some(_) => {}
                }
            }
        }
    }
}

/// The server ends our connection in the middle of a transaction: nobody is told that it worked, and the next one works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_up_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let all = open_all(&folder, "a_server_that_hangs_up").await;
    for (db, _) in all.iter().filter(|(db, _)| db.read().is_postgres()) {
        let before = db.submit(Urgency::Lazy, |conn| set(conn, "before")).await.unwrap();
        let ended = db.write(|conn| {
            Box::pin(async move {
                conn.rows("SELECT pg_terminate_backend(pg_backend_pid())::text", Vec::new()).await.map(drop)
            })
        });
        assert!(ended.await.is_err());
        let there = db.meta().get("before").await.unwrap().is_some();
        assert_eq!(before.done().await.is_ok(), there, "told is what happened");
        db.meta().set("after", "1").await.unwrap();
    }
}
