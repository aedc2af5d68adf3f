//! Lock-out, meta, duplicates, events, schema.

use crate::house::on_both;

on_both! {
    guessing_is_locked_out;
    marks_are_kept;
    the_second_of_a_message_is_seen;
    a_newer_schema_is_refused;
    a_foreign_schema_is_refused;
}

mod bodies {
    use std::time::Duration;

    use base::TransferId;
    use db::{BlockPolicy, DbError, SeenKey};

    use crate::house::{House, NOW};

    pub(super) async fn guessing_is_locked_out(house: House) {
        let db = house.open().await;
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let policy = BlockPolicy { fails_max: 3, window: minute, lockout: hour };
        let fail = async |at| db.login_blocks().failed("g", "10.0.0.1", at, policy).await.unwrap();
        assert_eq!((fail(NOW).await, fail(NOW).await), (None, None));
        let late = NOW.plus(minute * 2);
        assert_eq!((fail(late).await, fail(late).await), (None, None), "older failures are forgotten");
        assert_eq!(fail(late).await, Some(late.plus(hour)));
        let blocked = async |at| db.login_blocks().blocked("g", "10.0.0.1", at).await.unwrap();
        assert_eq!(blocked(late).await, Some(late.plus(hour)));
        assert_eq!(db.login_blocks().blocked("g", "10.0.0.2", late).await.unwrap(), None);
        assert_eq!(blocked(late.plus(hour)).await, None);
        assert_eq!(fail(late.plus(hour)).await, None, "after a lock-out it counts from one");
        db.login_blocks().clear("g", "10.0.0.1").await.unwrap();
        assert_eq!((fail(late).await, fail(late).await), (None, None));
        db.login_blocks().expire(late.plus(hour), minute).await.unwrap();
        assert_eq!((fail(late).await, fail(late).await), (None, None));
        let one = BlockPolicy { fails_max: 1, ..policy };
        assert!(db.login_blocks().failed("h", "s", NOW, one).await.unwrap().is_some());
    }

    pub(super) async fn marks_are_kept(house: House) {
        let db = house.open().await;
        assert_eq!(db.meta().get("store").await.unwrap(), None);
        db.meta().set("store", "1").await.unwrap();
        db.meta().set("store", "2").await.unwrap();
        db.close().await;
        assert_eq!(db.meta().set("store", "3").await, Err(DbError::Closed));
        assert_eq!(db.meta().get("store").await, Err(DbError::Closed));
        let db = house.open().await;
        db.ping().await.unwrap();
        assert_eq!(db.meta().get("store").await.unwrap().as_deref(), Some("2"));
    }

    pub(super) async fn the_second_of_a_message_is_seen(house: House) {
        let db = house.open().await;
        let key = |n| SeenKey { site: "A".to_owned(), protocol: "AS2".to_owned(), hash: [n; 32] };
        let until = NOW.plus(Duration::from_secs(60));
        let remember = async |n, id| db.seen().remember(key(n), TransferId(id), until).await.unwrap();
        assert_eq!(remember(1, 10).await, None);
        assert_eq!(remember(1, 11).await, Some(TransferId(10)));
        assert_eq!(remember(2, 12).await, None);
        house.clock.advance(Duration::from_secs(60));
        let later = until.plus(Duration::from_secs(60));
        assert_eq!(db.seen().remember(key(1), TransferId(13), later).await.unwrap(), None, "its time was over");
        assert_eq!(db.seen().remember(key(1), TransferId(14), later).await.unwrap(), Some(TransferId(13)));
    }

    pub(super) async fn a_newer_schema_is_refused(house: House) {
        house.open().await.close().await;
        house.tamper("INSERT INTO migration (version, sha256, at) VALUES (999, 'x', 0)").await;
        let error = house.try_open().await.unwrap_err();
        assert!(matches!(error, DbError::Newer { found: 999, .. }));
        assert!(error.to_string().contains("start the newer program"), "{error}");
    }

    pub(super) async fn a_foreign_schema_is_refused(house: House) {
        house.open().await.close().await;
        house.open().await.close().await;
        house.tamper("UPDATE migration SET sha256 = 'x'").await;
        assert_eq!(house.try_open().await.unwrap_err(), DbError::MigrationChanged { version: 1 });
    }
}
