//! The writer: DESIGN 5.3.

use crate::house::on_both;

on_both! {
    a_failing_operation_sinks_no_other;
    lazy_operations_commit_with_the_next_one;
    lazy_operations_commit_alone_in_time;
    a_dropped_caller_changes_nothing;
    what_was_answered_survives;
    closing_writes_what_is_queued;
    many_writers_in_two_processes;
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

    // OBJ-34: the runtime dies in the middle of writing, as with kill -9; what was answered is there.
    pub(super) async fn what_was_answered_survives(house: House) {
        let (url, clock) = (house.url.clone(), house.clock.clone());
        let answered = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let (tell, told) = std::sync::mpsc::channel();
            runtime.spawn(async move {
                let db = Db::open(db::DbOptions { url, clock }).await.unwrap();
                for _ in 0..8 {
                    let (db, tell) = (db.clone(), tell.clone());
                    tokio::spawn(async move {
                        loop {
                            let new = new(&db).await;
                            let id = new.id;
                            if db.transfers().insert(new).await.is_err() || tell.send(id).is_err() {
                                break;
                            }
                        }
                    });
                }
            });
            let some: Vec<_> = told.iter().take(100).collect();
            runtime.shutdown_background();
            some
        })
        .join()
        .unwrap();
        let db = house.open().await;
        for id in answered {
            assert!(db.transfers().get(id).await.unwrap().is_some(), "{id} was answered");
            assert_eq!(db.transfers().steps(id).await.unwrap().len(), 1);
        }
        assert!(db.transfers().insert(new(&db).await).await.is_ok());
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
}
