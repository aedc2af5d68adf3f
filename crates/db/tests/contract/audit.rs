//! The audit: AUD-1 to AUD-5.

use crate::house::on_both;

on_both! {
    a_whole_chain_is_found_whole;
    every_fault_is_found_where_it_is;
    filters_work_alone_and_together;
    secrets_are_not_shown;
    a_chain_grows_while_it_is_verified;
}

mod bodies {
    use db::{Actor, AuditFault, AuditFilter, AuditResult, Db, Entry, NewObject};
    use model::{Body, Kind, ObjectState};

    use crate::house::{House, actor};

    fn entry(action: &str, name: &str) -> Entry {
        Entry {
            tag: None,
            actor: actor(),
            action: action.to_owned(),
            result: AuditResult::Attempt,
            kind: "TRANSFER".to_owned(),
            name: name.to_owned(),
            before_json: None,
            after_json: Some("{}".to_owned()),
        }
    }

    async fn five(house: &House) -> Db {
        let db = house.open().await;
        for name in ["a", "b", "c", "d", "e"] {
            db.audit().append(entry("CANCEL", name)).await.unwrap();
        }
        db
    }

    pub(super) async fn a_whole_chain_is_found_whole(house: House) {
        let db = house.open().await;
        assert_eq!(db.audit().verify().await.unwrap().entries, 0);
        let tag = db.audit().append(entry("LOGIN", "x")).await.unwrap();
        let done = Entry { tag: Some(tag), result: AuditResult::Denied, ..entry("LOGIN", "x") };
        assert_eq!(db.audit().append(done).await.unwrap(), tag + 1);
        db.close().await;
        let db = house.open().await;
        assert_eq!(db.audit().append(entry("LOGIN", "y")).await.unwrap(), tag + 2);
        let report = db.audit().verify().await.unwrap();
        assert_eq!((report.entries, report.fault), (3, None));
        let rows = db.audit().list(AuditFilter::default(), 10).await.unwrap();
        assert_eq!(rows.iter().map(|r| r.tag).collect::<Vec<_>>(), [1, 1, 3]);
        assert_eq!((rows[1].prev, rows[1].result), (rows[0].hash, AuditResult::Denied));
    }

    // AUD-4
    pub(super) async fn every_fault_is_found_where_it_is(house: House) {
        let db = five(&house).await;
        house.tamper("CREATE TABLE kept AS SELECT * FROM audit").await;
        house.tamper("CREATE TABLE head AS SELECT * FROM meta WHERE key = 'audit_head'").await;
        for (fault, sql) in [
            (AuditFault::Missing { from: 2, to: 3 }, "DELETE FROM audit WHERE seq IN (2, 3)"),
            (AuditFault::Missing { from: 1, to: 1 }, "DELETE FROM audit WHERE seq = 1"),
            (AuditFault::Missing { from: 5, to: 5 }, "DELETE FROM audit WHERE seq = 5"),
            (AuditFault::Missing { from: 1, to: 5 }, "DELETE FROM audit"),
            (AuditFault::Changed { seq: 3 }, "UPDATE audit SET name = 'z' WHERE seq = 3"),
            (AuditFault::Changed { seq: 4 }, "UPDATE audit SET after_json = NULL WHERE seq = 4"),
            (AuditFault::Changed { seq: 4 }, "UPDATE audit SET actor = '', origin = actor || origin WHERE seq = 4"),
            (AuditFault::Changed { seq: 5 }, "UPDATE audit SET at = at + 1 WHERE seq = 5"),
            (
                AuditFault::Added { seq: 4 },
                "UPDATE meta SET value = (SELECT '3 ' || substr(value, 3) FROM head) \
                WHERE key = 'audit_head'",
            ),
        ] {
            house.tamper(sql).await;
            let report = db.audit().verify().await.unwrap();
            assert_eq!(report.fault, Some(fault), "after {sql}");
            house.tamper("DELETE FROM audit").await;
            house.tamper("INSERT INTO audit SELECT * FROM kept").await;
            house.tamper("UPDATE meta SET value = (SELECT value FROM head) WHERE key = 'audit_head'").await;
        }
        // Two entries exchanged, numbers and all: each is then not what was written under its number.
        house.tamper("UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)").await;
        house.tamper("UPDATE audit SET seq = -seq WHERE seq < 0").await;
        assert_eq!(db.audit().verify().await.unwrap().fault, Some(AuditFault::Changed { seq: 2 }));
    }

    // AUD-5
    pub(super) async fn filters_work_alone_and_together(house: House) {
        let db = five(&house).await;
        let other = Actor { name: "uid:0".to_owned(), ..actor() };
        db.audit().append(Entry { actor: other, ..entry("PAUSE", "a") }).await.unwrap();
        let names = |filter| {
            let db = db.clone();
            async move { db.audit().list(filter, 10).await.unwrap().iter().map(|r| r.seq).collect::<Vec<_>>() }
        };
        let none = AuditFilter::default;
        assert_eq!(names(AuditFilter { name: Some("a".to_owned()), ..none() }).await, [1, 6]);
        assert_eq!(names(AuditFilter { action: Some("PAUSE".to_owned()), ..none() }).await, [6]);
        assert_eq!(names(AuditFilter { actor: Some("uid:1000".to_owned()), above: 3, ..none() }).await, [4, 5]);
        assert_eq!(names(AuditFilter { until: Some(crate::house::NOW), ..none() }).await.len(), 0);
        assert_eq!(names(AuditFilter { from: Some(crate::house::NOW), above: 5, ..none() }).await, [6]);
        assert_eq!(names(AuditFilter { result: Some(AuditResult::Failed), ..none() }).await.len(), 0);
        let both = AuditFilter { name: Some("a".to_owned()), action: Some("CANCEL".to_owned()), ..none() };
        assert_eq!(names(AuditFilter { kind: Some("TRANSFER".to_owned()), ..both }).await, [1]);
    }

    // AUD-3
    pub(super) async fn secrets_are_not_shown(house: House) {
        let db = house.open().await;
        let object = NewObject {
            uid: "u1".to_owned(),
            kind: Kind::RemoteSite,
            name: "A".to_owned(),
            group: "G".to_owned(),
            state: ObjectState::Enabled,
            body: Body::from([("comments".to_owned(), "seen".into())]),
            secrets: vec![("password".to_owned(), b"sealed".to_vec())],
            references: Vec::new(),
            credential: None,
        };
        db.objects().create(object, &actor()).await.unwrap();
        let rows = db.audit().list(AuditFilter::default(), 10).await.unwrap();
        let after = rows[1].after_json.as_ref().unwrap();
        assert!(
            after.contains(r#""password":"***""#) && after.contains("seen") && !after.contains("sealed"),
            "{after}"
        );
    }

    pub(super) async fn a_chain_grows_while_it_is_verified(house: House) {
        let db = house.open().await;
        let writer = {
            let db = db.clone();
            tokio::spawn(async move {
                for _ in 0..60 {
                    db.audit().append(entry("LOGIN", "x")).await.unwrap();
                }
            })
        };
        while !writer.is_finished() {
            assert_eq!(db.audit().verify().await.unwrap().fault, None);
        }
        writer.await.unwrap();
        assert_eq!(db.audit().verify().await.unwrap().entries, 60);
    }
}
