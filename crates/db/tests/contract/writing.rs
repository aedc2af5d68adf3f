//! The writer: DESIGN 5.3.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::house::on_both;

on_both! {
    a_failing_operation_sinks_no_other;
    lazy_operations_commit_with_the_next_one;
    lazy_operations_commit_alone_in_time;
    a_dropped_caller_changes_nothing;
    closing_writes_what_is_queued;
    many_writers_in_two_processes;
}

/// OBJ-34: kill -9 in the middle of writing; what was answered is there, whole. The test is its own victim: with the
/// variable set it writes until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_keeps_what_it_answered() {
    const VICTIM: &str = "GATEHOUSE_TEST_VICTIM";
    if let Ok(url) = std::env::var(VICTIM) {
        bodies::write_until_killed(url).await;
    }
    let house = crate::house::House::sqlite();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writing::a_killed_process_keeps_what_it_answered", "--nocapture"])
        .env(VICTIM, &house.url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let answers = lines.filter_map(|line| line.unwrap().strip_prefix("answered ").map(|n| n.parse().unwrap()));
    let answered: Vec<i64> = answers.take(200).collect();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let db = house.open().await;
    for id in answered {
        let id = base::TransferId(id);
        assert!(db.transfers().get(id).await.unwrap().is_some(), "{id} was answered");
        assert_eq!(db.transfers().steps(id).await.unwrap().len(), 1);
    }
    assert_eq!(db.transfers().recover(crate::house::NOW).await.unwrap().len(), 0, "nothing was running");
}

mod bodies {
    use db::{Db, DbError, Inserted, NewTransfer};

    use crate::house::{House, NOW};

    async fn new(db: &Db) -> NewTransfer {
        NewTransfer::outgoing(db.transfers().next_id().await.unwrap(), "SFTP", NOW)
    }

    pub(super) async fn a_failing_operation_sinks_no_other(house: House) {
        let db = house.open().await;
        let (first, last) = (new(&db).await, new(&db).await);
        let bad_priority = NewTransfer { priority: 9, ..new(&db).await };
        let a = db.transfers().insert_lazy(first.clone()).await.unwrap();
        let b = db.transfers().insert_lazy(first.clone()).await.unwrap(); // the same number again
        let c = db.transfers().insert_lazy(bad_priority.clone()).await.unwrap();
        assert_eq!(db.transfers().insert(last.clone()).await.unwrap(), Inserted::New);
        assert_eq!(a.done().await.unwrap(), Inserted::New);
        assert!(matches!(b.done().await, Err(DbError::Sql(_))));
        assert!(matches!(c.done().await, Err(DbError::Sql(_))));
        assert!(db.transfers().get(first.id).await.unwrap().is_some());
        assert!(db.transfers().get(last.id).await.unwrap().is_some());
        assert_eq!(db.transfers().get(bad_priority.id).await.unwrap(), None);
    }

    pub(super) async fn lazy_operations_commit_with_the_next_one(house: House) {
        let db = house.open().await;
        let (lazy, now) = (new(&db).await, new(&db).await);
        drop(db.transfers().insert_lazy(lazy.clone()).await.unwrap());
        db.transfers().insert(now).await.unwrap();
        assert!(db.transfers().get(lazy.id).await.unwrap().is_some());
    }

    pub(super) async fn lazy_operations_commit_alone_in_time(house: House) {
        let db = house.open().await;
        let lazy = new(&db).await;
        let pending = db.transfers().insert_lazy(lazy.clone()).await.unwrap();
        assert_eq!(pending.done().await.unwrap(), Inserted::New);
        assert!(db.transfers().get(lazy.id).await.unwrap().is_some());
    }

    pub(super) async fn a_dropped_caller_changes_nothing(house: House) {
        let db = house.open().await;
        let mut ids = Vec::new();
        for _ in 0..50 {
            let new = new(&db).await;
            ids.push(new.id);
            let insert = db.transfers().insert(new);
            // Asked once, then dropped: queued, or not at all.
            drop(futures_util::poll!(Box::pin(insert)));
        }
        let last = new(&db).await;
        db.transfers().insert(last).await.unwrap();
        for id in ids {
            let steps = db.transfers().steps(id).await.unwrap().len();
            let there = db.transfers().get(id).await.unwrap().is_some();
            assert_eq!(steps, usize::from(there), "record and step are one");
        }
    }

    pub(super) async fn closing_writes_what_is_queued(house: House) {
        let db = house.open().await;
        let lazy = new(&db).await;
        drop(db.transfers().insert_lazy(lazy.clone()).await.unwrap());
        db.close().await;
        assert_eq!(db.transfers().insert(lazy.clone()).await, Err(DbError::Closed));
        let db = house.open().await;
        assert!(db.transfers().get(lazy.id).await.unwrap().is_some());
    }

    pub(super) async fn many_writers_in_two_processes(house: House) {
        let dbs = [house.open().await, house.open().await];
        let tasks: Vec<_> = (0..40)
            .map(|n: usize| {
                let db = dbs[n % 2].clone();
                tokio::spawn(async move {
                    let new = new(&db).await;
                    db.transfers().insert(new).await.unwrap();
                    db.meta().set("last", &n.to_string()).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(dbs[0].transfers().list(Default::default(), 100).await.unwrap().len(), 40);
    }

    pub(super) async fn write_until_killed(url: String) {
        let clock = std::sync::Arc::new(base::TestClock::at(NOW));
        let db = Db::open(db::DbOptions { url, clock }).await.unwrap();
        let writers = (0..8).map(|_| {
            let db = db.clone();
            async move {
                loop {
                    let new = new(&db).await;
                    let id = new.id;
                    db.transfers().insert(new).await.unwrap();
                    println!("\nanswered {id}");
                }
            }
        });
        let _never: Vec<()> = futures_util::future::join_all(writers).await;
    }
}
