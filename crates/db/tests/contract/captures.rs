//! Captured keys: AUTO-1 to AUTO-7.

use crate::house::on_both;

on_both! {
    a_key_is_stored_once;
    rejected_stays_rejected_and_deleted_comes_back;
    caps_hold_and_the_reserve_is_for_known_partners;
    a_key_at_two_gates_is_one_key;
    many_at_once_store_one;
}

mod bodies {
    use db::{AuditFilter, Cap, CaptureCaps, CaptureOutcome, Change, Db, NewCapture};
    use model::{Kind, ObjectState};

    use crate::house::{House, NOW, actor};

    const CAPS: CaptureCaps = CaptureCaps { per_source: 3, per_gate: 6, total: 10, reserve: 2 };

    fn key(number: u16, source: &str, gate: &str) -> NewCapture {
        let mut fingerprint = [0; 32];
        fingerprint[..2].copy_from_slice(&number.to_be_bytes());
        NewCapture {
            kind: Kind::Key,
            body: model::Body::from([("algorithm".to_owned(), "ED25519".into()), ("type".to_owned(), "PUBLIC".into())]),
            algorithm: "ED25519".to_owned(),
            bits: 256,
            fingerprint,
            spki_sha256: fingerprint,
            public_blob: vec![1; 51],
            gate: gate.to_owned(),
            login: "acme".to_owned(),
            source: source.to_owned(),
            group: "GDEFAULT".to_owned(),
            comment: "Acme".to_owned(),
            known: false,
            uid: base::hex(&base::random::<16>().unwrap()),
            at: NOW,
            caps: CAPS,
        }
    }

    async fn judge(db: &Db, alias: &str, state: ObjectState) {
        let o = db.objects().find(Kind::Key, alias).await.unwrap().unwrap();
        let change = Change {
            kind: o.kind,
            name: o.name,
            new_name: None,
            group: o.group,
            state,
            body: o.body,
            secrets: Vec::new(),
            references: Vec::new(),
            expected_revision: None,
            credential: None,
        };
        db.objects().update(change, &actor()).await.unwrap();
    }

    fn stored(outcome: CaptureOutcome) -> String {
        match outcome {
            CaptureOutcome::Stored { alias, .. } => alias,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn a_key_is_stored_once(house: House) {
        let db = house.open().await;
        let alias = stored(db.captures().record(key(1, "10.0.0.1", "g")).await.unwrap());
        let object = db.objects().find(Kind::Key, &alias).await.unwrap().unwrap();
        assert_eq!(object.state, ObjectState::ToCheck, "AUTO-1, AUTO-7");
        assert_eq!(object.body["comments"], "Acme".into());
        for tries in [2, 3] {
            let again = db.captures().record(key(1, "10.0.0.2", "g")).await.unwrap();
            assert!(
                matches!(&again, CaptureOutcome::Known { alias: a, tries: t, state: ObjectState::ToCheck, .. }
                    if *a == alias && *t == tries),
                "AUTO-2: {again:?}"
            );
            db.audit().append(entry()).await.unwrap(); // the count is lazy: this one commits it
        }
        let rows = db.captures().list(true).await.unwrap();
        assert_eq!((rows.len(), rows[0].tries, rows[0].source.as_str()), (1, 3, "10.0.0.1"));
        assert_eq!(db.captures().by_alias(&alias).await.unwrap(), rows);
        assert_eq!(db.captures().by_fingerprint(&rows[0].fingerprint).await.unwrap(), rows);
        assert_eq!(db.credentials().load_all().await.unwrap().len(), 1);
        let filter = AuditFilter { action: Some("CAPTURE".to_owned()), ..Default::default() };
        assert_eq!(db.audit().list(filter, 10).await.unwrap().len(), 2, "attempt and success");
    }

    fn entry() -> db::Entry {
        db::Entry {
            tag: None,
            actor: actor(),
            action: "LOGIN".to_owned(),
            result: db::AuditResult::Denied,
            kind: "KEY".to_owned(),
            name: "k".to_owned(),
            before_json: None,
            after_json: None,
        }
    }

    // AUTO-3, AUTO-7
    pub(super) async fn rejected_stays_rejected_and_deleted_comes_back(house: House) {
        let db = house.open().await;
        let alias = stored(db.captures().record(key(1, "s", "g")).await.unwrap());
        judge(&db, &alias, ObjectState::Disabled).await;
        let again = db.captures().record(key(1, "s", "g")).await.unwrap();
        assert!(matches!(again, CaptureOutcome::Known { state: ObjectState::Disabled, .. }), "{again:?}");
        assert_eq!(db.captures().list(true).await.unwrap(), vec![]);
        assert_eq!(db.captures().list(false).await.unwrap().len(), 1);
        db.objects().delete(Kind::Key, &alias, false, &actor()).await.unwrap();
        assert_eq!(db.captures().list(false).await.unwrap(), vec![]);
        assert_eq!(stored(db.captures().record(key(1, "s", "g")).await.unwrap()), alias);
    }

    // AUTO-6
    pub(super) async fn caps_hold_and_the_reserve_is_for_known_partners(house: House) {
        let db = house.open().await;
        let record = async |n: u16, source: &str, gate: &str, known: bool| {
            db.captures().record(NewCapture { known, ..key(n, source, gate) }).await.unwrap()
        };
        for n in 0..3 {
            stored(record(n, "s1", "g1", false).await);
        }
        assert_eq!(record(3, "s1", "g1", false).await, CaptureOutcome::Full(Cap::Source));
        for n in 4..7 {
            stored(record(n, "s2", "g1", false).await);
        }
        assert_eq!(record(8, "s3", "g1", false).await, CaptureOutcome::Full(Cap::Gate));
        stored(record(9, "s3", "g2", false).await);
        let last = stored(record(10, "s3", "g2", false).await);
        assert_eq!(record(11, "s4", "g2", false).await, CaptureOutcome::Full(Cap::Reserve));
        stored(record(12, "s4", "g2", true).await);
        stored(record(13, "s5", "g3", true).await);
        assert_eq!(record(14, "s6", "g3", true).await, CaptureOutcome::Full(Cap::Total));
        assert_eq!(db.captures().list(false).await.unwrap().len(), 10);
        // What a person has judged leaves room.
        judge(&db, &last, ObjectState::Enabled).await;
        stored(record(14, "s6", "g3", true).await);
    }

    pub(super) async fn a_key_at_two_gates_is_one_key(house: House) {
        let db = house.open().await;
        let alias = stored(db.captures().record(key(1, "s", "g1")).await.unwrap());
        let other = db.captures().record(key(1, "s", "g2")).await.unwrap();
        assert!(matches!(other, CaptureOutcome::Known { tries: 1, .. }), "{other:?}");
        let gates: Vec<_> = db.captures().by_alias(&alias).await.unwrap().into_iter().map(|r| r.gate).collect();
        assert_eq!(gates, ["g1", "g2"]);
        assert_eq!(db.credentials().load_all().await.unwrap().len(), 1);
    }

    pub(super) async fn many_at_once_store_one(house: House) {
        let (one, two) = (house.open().await, house.open().await);
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let db = if n % 2 == 0 { one.clone() } else { two.clone() };
                tokio::spawn(async move { db.captures().record(key(1, "s", "g")).await.unwrap() })
            })
            .collect();
        let mut fresh = 0;
        for task in tasks {
            fresh += i32::from(matches!(task.await.unwrap(), CaptureOutcome::Stored { .. }));
        }
        assert_eq!(fresh, 1);
        assert_eq!(one.captures().list(false).await.unwrap().len(), 1);
    }
}
