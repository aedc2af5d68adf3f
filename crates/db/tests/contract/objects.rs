//! Objects: OBJ-1, OBJ-3, OBJ-35, KEY-7.

use crate::house::on_both;

on_both! {
    objects_are_stored_and_read_back;
    names_differ_by_more_than_case;
    an_update_keeps_what_it_does_not_name;
    a_stale_update_is_refused;
    a_used_object_is_not_deleted;
    force_empties_references;
    referrers_follow_a_new_name;
    a_missing_reference_refuses_the_whole;
    change_audit_and_object_are_one;
    numbers_of_objects_do_not_come_back;
    a_new_site_name_is_followed_by_waiting_transfers;
    a_set_is_one_whatever_its_order;
    a_set_with_one_wrong_change_changes_nothing;
    a_set_is_refused_if_the_configuration_moved;
    a_key_takes_the_place_of_another;
    the_past_is_told_by_points;
    what_changed_is_enough_to_know_the_whole;
}

mod bodies {
    use base::ObjectId;
    use db::{
        AuditFilter, AuditResult, CHANGES_MAX, Change, ChangeSet, Db, DbError, Deletion, NewCredential, NewObject,
    };
    use db::{NewTransfer, ObjectChange};
    use model::{Body, Kind, Object, ObjectState, Value};

    use crate::house::{House, NOW, actor};

    fn new(kind: Kind, name: &str) -> NewObject {
        NewObject {
            uid: base::hex(&base::random::<16>().unwrap()),
            kind,
            name: name.to_owned(),
            group: "GDEFAULT".to_owned(),
            state: ObjectState::Enabled,
            body: Body::new(),
            secrets: Vec::new(),
            references: Vec::new(),
            credential: None,
        }
    }

    fn profile(name: &str, keys: &[&str]) -> NewObject {
        let list = Value::List(keys.iter().map(|k| (*k).to_owned()).collect());
        NewObject {
            body: Body::from([("private_keys".to_owned(), list), ("role".to_owned(), "SERVER".into())]),
            references: keys.iter().map(|k| ("private_keys".to_owned(), Kind::Key, (*k).to_owned())).collect(),
            ..new(Kind::SshProfile, name)
        }
    }

    fn change(object: &Object) -> Change {
        Change {
            kind: object.kind,
            name: object.name.clone(),
            new_name: None,
            group: object.group.clone(),
            state: object.state,
            body: object.body.clone(),
            secrets: Vec::new(),
            references: Vec::new(),
            expected_revision: None,
            credential: None,
        }
    }

    async fn get(db: &Db, kind: Kind, name: &str) -> Object {
        db.objects().find(kind, name).await.unwrap().unwrap()
    }

    pub(super) async fn objects_are_stored_and_read_back(house: House) {
        let db = house.open().await;
        assert_eq!(db.objects().load_all().await.unwrap(), (vec![], 0));
        let key = NewObject {
            secrets: vec![("password".to_owned(), vec![1, 2, 3])],
            credential: Some(NewCredential {
                class: "KEY".to_owned(),
                algorithm: "ED25519".to_owned(),
                bits: 256,
                fingerprint: [7; 32],
                spki_sha256: [8; 32],
                public_blob: vec![9; 51],
                private_sealed: Some(vec![10; 90]),
            }),
            ..new(Kind::Key, "host")
        };
        let uid = key.uid.clone();
        let made = db.objects().create(key, &actor()).await.unwrap();
        assert_eq!((made.revision, made.created_at), (1, NOW));
        let (all, revision) = db.objects().load_all().await.unwrap();
        assert_eq!(all, vec![made.clone()]);
        assert_eq!(revision, db.objects().revision().await.unwrap());
        assert!(made.secrets.contains("password"));
        assert_eq!(db.objects().secret(made.id, "password").await.unwrap(), Some((uid.clone(), vec![1, 2, 3])));
        assert_eq!(db.objects().secret(made.id, "other").await.unwrap(), None);
        assert_eq!(db.objects().uid(Kind::Key, "host").await.unwrap(), uid);
        let keys = db.credentials().load_all().await.unwrap();
        assert_eq!((keys.len(), keys[0].object_id, keys[0].private), (1, made.id, true));
        assert_eq!(db.credentials().private_sealed(made.id).await.unwrap(), Some((uid, vec![10; 90])));
        assert_eq!(db.credentials().by_fingerprint(&[7; 32]).await.unwrap(), vec![made.id]);
    }

    pub(super) async fn names_differ_by_more_than_case(house: House) {
        let db = house.open().await;
        db.objects().create(new(Kind::Key, "Partner"), &actor()).await.unwrap();
        let again = db.objects().create(new(Kind::Key, "Partner"), &actor()).await.unwrap_err();
        assert_eq!(again, DbError::Exists { kind: "KEY", name: "Partner".to_owned() });
        let clash = db.objects().create(new(Kind::Key, "PARTNER"), &actor()).await.unwrap_err();
        assert!(matches!(clash, DbError::CaseClash { existing, .. } if existing == "Partner"));
        db.objects().create(new(Kind::RemoteSite, "PARTNER"), &actor()).await.unwrap();
        let key = get(&db, Kind::Key, "Partner").await;
        let renamed = Change { new_name: Some("partner".to_owned()), ..change(&key) };
        assert_eq!(
            db.objects().update(renamed, &actor()).await.unwrap().name,
            "partner",
            "its own name may change case"
        );
    }

    pub(super) async fn an_update_keeps_what_it_does_not_name(house: House) {
        let db = house.open().await;
        let mut site = new(Kind::RemoteSite, "A");
        site.secrets = vec![("password".to_owned(), vec![1]), ("other".to_owned(), vec![2])];
        let old = db.objects().create(site, &actor()).await.unwrap();
        house.clock.advance(std::time::Duration::from_secs(5));
        let edit = Change {
            body: Body::from([("comments".to_owned(), "new".into())]),
            secrets: vec![("other".to_owned(), None), ("third".to_owned(), Some(vec![3]))],
            ..change(&old)
        };
        let now = db.objects().update(edit, &actor()).await.unwrap();
        assert_eq!((now.id, now.revision, now.created_at), (old.id, 2, old.created_at));
        assert_eq!(now.secrets.iter().map(String::as_str).collect::<Vec<_>>(), ["password", "third"]);
        assert_eq!(get(&db, Kind::RemoteSite, "A").await, now);
        let history = db.objects().history(Kind::RemoteSite, "A").await.unwrap();
        assert_eq!(
            history.iter().map(|h| (h.revision, h.op.as_str())).collect::<Vec<_>>(),
            [(1, "CREATE"), (2, "UPDATE")]
        );
        assert_eq!((history[0].body.len(), history[1].body.len()), (0, 1));
    }

    pub(super) async fn a_stale_update_is_refused(house: House) {
        let db = house.open().await;
        let old = db.objects().create(new(Kind::Key, "k"), &actor()).await.unwrap();
        let edit = || Change { expected_revision: Some(1), state: ObjectState::Disabled, ..change(&old) };
        db.objects().update(edit(), &actor()).await.unwrap();
        let error = db.objects().update(edit(), &actor()).await.unwrap_err();
        assert!(matches!(error, DbError::Stale { expected: 1, found: 2, .. }), "{error}");
        assert_eq!(get(&db, Kind::Key, "k").await.revision, 2);
        let gone = db.objects().update(Change { name: "none".to_owned(), ..change(&old) }, &actor()).await;
        assert!(matches!(gone, Err(DbError::NotFound { .. })));
    }

    // OBJ-3
    pub(super) async fn a_used_object_is_not_deleted(house: House) {
        let db = house.open().await;
        db.objects().create(new(Kind::Key, "k1"), &actor()).await.unwrap();
        db.objects().create(profile("P", &["k1"]), &actor()).await.unwrap();
        let error = db.objects().delete(Kind::Key, "k1", false, &actor()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "KEY k1 is used by SSH_PROFILE P (private_keys): change these first, or delete with -force"
        );
        assert_eq!(db.objects().referrers(Kind::Key, "k1").await.unwrap().len(), 1);
        assert_eq!(db.objects().delete(Kind::SshProfile, "P", false, &actor()).await.unwrap(), vec![]);
        db.objects().delete(Kind::Key, "k1", false, &actor()).await.unwrap();
        assert!(db.objects().load_all().await.unwrap().0.is_empty());
    }

    // DESIGN 1.16
    pub(super) async fn force_empties_references(house: House) {
        let db = house.open().await;
        for name in ["k1", "k2"] {
            db.objects().create(new(Kind::Key, name), &actor()).await.unwrap();
        }
        db.objects().create(profile("Both", &["k1", "k2"]), &actor()).await.unwrap();
        db.objects().create(profile("One", &["k1"]), &actor()).await.unwrap();
        let cleared = db.objects().delete(Kind::Key, "k1", true, &actor()).await.unwrap();
        assert_eq!(cleared.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["Both", "One"]);
        let both = get(&db, Kind::SshProfile, "Both").await;
        assert_eq!((both.revision, &both.body["private_keys"]), (2, &Value::List(vec!["k2".to_owned()])));
        let one = get(&db, Kind::SshProfile, "One").await;
        assert_eq!((one.revision, one.body.get("private_keys")), (2, None));
        assert_eq!(db.objects().history(Kind::SshProfile, "One").await.unwrap().len(), 2);
        let filter =
            AuditFilter { name: Some("One".to_owned()), action: Some("UPDATE".to_owned()), ..Default::default() };
        let entries = db.audit().list(filter, 10).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert!(entries[0].before_json.as_ref().unwrap().contains("k1"), "OBJ-35: the old value is kept");
    }

    // KEY-7
    pub(super) async fn referrers_follow_a_new_name(house: House) {
        let db = house.open().await;
        let key = db.objects().create(new(Kind::Key, "k1"), &actor()).await.unwrap();
        db.objects().create(new(Kind::Key, "k2"), &actor()).await.unwrap();
        db.objects().create(profile("P", &["k2", "k1"]), &actor()).await.unwrap();
        let renamed = Change { new_name: Some("first".to_owned()), ..change(&key) };
        db.objects().update(renamed, &actor()).await.unwrap();
        let profile = get(&db, Kind::SshProfile, "P").await;
        assert_eq!(profile.body["private_keys"], Value::List(vec!["k2".to_owned(), "first".to_owned()]));
        assert_eq!(profile.revision, 2);
        assert_eq!(db.objects().referrers(Kind::Key, "first").await.unwrap().len(), 1);
        let history = db.objects().history(Kind::Key, "first").await.unwrap();
        assert_eq!(history.iter().map(|h| h.name.as_str()).collect::<Vec<_>>(), ["k1", "first"]);
    }

    pub(super) async fn a_missing_reference_refuses_the_whole(house: House) {
        let db = house.open().await;
        let error = db.objects().create(profile("P", &["nobody"]), &actor()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "SSH_PROFILE P: private_keys names KEY nobody, which does not exist: create it first"
        );
        assert_eq!(db.objects().find(Kind::SshProfile, "P").await.unwrap(), None);
        assert_eq!(db.objects().history(Kind::SshProfile, "P").await.unwrap(), vec![]);
    }

    // DESIGN 5.3, AUD-1, AUD-2
    pub(super) async fn change_audit_and_object_are_one(house: House) {
        let db = house.open().await;
        db.objects().create(new(Kind::Key, "k"), &actor()).await.unwrap();
        db.objects().create(new(Kind::Key, "k"), &actor()).await.unwrap_err();
        let entries = db.audit().list(AuditFilter::default(), 10).await.unwrap();
        let results: Vec<_> = entries.iter().map(|e| (e.seq, e.tag, e.result)).collect();
        use AuditResult::{Attempt, Failed, Success};
        assert_eq!(results, [(1, 1, Attempt), (2, 1, Success), (3, 3, Attempt), (4, 3, Failed)]);
        assert!(entries[3].after_json.as_ref().unwrap().contains("exists already"));
        // An audit that cannot be written refuses the change.
        house.tamper("ALTER TABLE audit RENAME TO audit_away").await;
        let (_, before) = db.objects().load_all().await.unwrap();
        assert!(db.objects().create(new(Kind::Key, "k3"), &actor()).await.is_err());
        assert!(db.objects().delete(Kind::Key, "k", true, &actor()).await.is_err());
        let (objects, after) = db.objects().load_all().await.unwrap();
        assert_eq!((objects.len(), after), (1, before));
        house.tamper("ALTER TABLE audit_away RENAME TO audit").await;
        db.objects().create(new(Kind::Key, "k3"), &actor()).await.unwrap();
        assert_eq!(db.audit().verify().await.unwrap().fault, None);
    }

    pub(super) async fn numbers_of_objects_do_not_come_back(house: House) {
        let db = house.open().await;
        let first: ObjectId = db.objects().create(new(Kind::Key, "k"), &actor()).await.unwrap().id;
        db.objects().delete(Kind::Key, "k", false, &actor()).await.unwrap();
        let second = db.objects().create(new(Kind::Key, "k"), &actor()).await.unwrap().id;
        assert!(second > first);
        let ops: Vec<_> = db.objects().history(Kind::Key, "k").await.unwrap().into_iter().map(|h| h.op).collect();
        assert_eq!(ops, ["CREATE", "DELETE", "CREATE"]);
    }

    pub(super) async fn a_new_site_name_is_followed_by_waiting_transfers(house: House) {
        let db = house.open().await;
        let site = db.objects().create(new(Kind::RemoteSite, "A"), &actor()).await.unwrap();
        let id = db.transfers().next_id().await.unwrap();
        let waiting = NewTransfer { site: "A".to_owned(), ..NewTransfer::outgoing(id, "SFTP", NOW) };
        db.transfers().insert(waiting).await.unwrap();
        let renamed = Change { new_name: Some("B".to_owned()), ..change(&site) };
        db.objects().update(renamed, &actor()).await.unwrap();
        assert_eq!(db.transfers().get(id).await.unwrap().unwrap().site, "B");
    }

    fn gone(kind: Kind, name: &str) -> ObjectChange {
        ObjectChange::Delete(Deletion { kind, name: name.to_owned(), force: false, expected_revision: None })
    }

    fn set(changes: Vec<ObjectChange>) -> ChangeSet {
        ChangeSet { action: "route add".to_owned(), name: "R".to_owned(), changes, expected_revision: None }
    }

    fn credential(octet: u8) -> NewCredential {
        NewCredential {
            class: "KEY".to_owned(),
            algorithm: "ED25519".to_owned(),
            bits: 256,
            fingerprint: [octet; 32],
            spki_sha256: [octet; 32],
            public_blob: vec![octet; 51],
            private_sealed: None,
        }
    }

    /// A profile with one key and another profile: what a set is tried on.
    async fn stage(db: &Db) -> Object {
        db.objects().create(new(Kind::Key, "old"), &actor()).await.unwrap();
        db.objects().create(profile("GONE", &["old"]), &actor()).await.unwrap();
        db.objects().create(profile("P", &["old"]), &actor()).await.unwrap()
    }

    // ARCHITECTURE invariant 7
    pub(super) async fn a_set_is_one_whatever_its_order(house: House) {
        let db = house.open().await;
        let p = stage(&db).await;
        let before = db.audit().list(AuditFilter::default(), 100).await.unwrap().len();
        // Each refers to what comes later, and what goes is named by what goes or changes.
        let changes = vec![
            gone(Kind::Key, "old"),
            ObjectChange::Update(Change { references: profile("P", &["k2"]).references, ..change(&p) }),
            ObjectChange::Create(profile("Q", &["k2", "k1"])),
            ObjectChange::Create(new(Kind::Key, "k1")),
            gone(Kind::SshProfile, "GONE"),
            ObjectChange::Create(new(Kind::Key, "k2")),
        ];
        let made = db.objects().apply(set(changes), &actor()).await.unwrap();
        assert_eq!(made.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["P", "Q", "k1", "k2"]);
        let (all, _) = db.objects().load_all().await.unwrap();
        assert_eq!(
            all.iter().map(Object::title).collect::<Vec<_>>(),
            ["KEY k1", "KEY k2", "SSH_PROFILE P", "SSH_PROFILE Q"]
        );
        assert_eq!(db.objects().referrers(Kind::Key, "k2").await.unwrap().len(), 2);
        assert_eq!(db.objects().history(Kind::SshProfile, "P").await.unwrap().len(), 2);
        // AUD-2: the attempt, each object, the result, all under one number.
        let entries = db.audit().list(AuditFilter::default(), 100).await.unwrap().split_off(before);
        let told: Vec<_> = entries.iter().map(|e| (e.action.as_str(), e.result, e.name.as_str())).collect();
        use AuditResult::{Attempt, Success};
        assert_eq!(told.len(), 8);
        assert_eq!((told[0], told[7]), (("route add", Attempt, "R"), ("route add", Success, "R")));
        assert!(told.contains(&("DELETE", Success, "GONE")) && told.contains(&("CREATE", Success, "Q")));
        assert!(entries.iter().all(|e| e.tag == entries[0].seq));
        assert_eq!(db.audit().verify().await.unwrap().fault, None);
    }

    pub(super) async fn a_set_with_one_wrong_change_changes_nothing(house: House) {
        let db = house.open().await;
        let p = stage(&db).await;
        let before = db.objects().load_all().await.unwrap();
        let good = || ObjectChange::Create(new(Kind::Key, "k1"));
        let stale = ObjectChange::Update(Change { expected_revision: Some(9), ..change(&p) });
        for (wrong, words) in [
            (ObjectChange::Create(profile("Q", &["nobody"])), "SSH_PROFILE Q: private_keys names KEY nobody"),
            (ObjectChange::Create(new(Kind::Key, "OLD")), "KEY OLD differs from old by case only"),
            (ObjectChange::Create(new(Kind::Key, "k1")), "KEY k1 is changed twice at once"),
            (
                gone(Kind::Key, "old"),
                "KEY old is used by SSH_PROFILE GONE (private_keys), SSH_PROFILE P (private_keys)",
            ),
            (gone(Kind::Key, "none"), "KEY none does not exist"),
            (stale, "SSH_PROFILE P is at revision 1, not 9"),
        ] {
            let error = db.objects().apply(set(vec![good(), wrong]), &actor()).await.unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
            assert_eq!(db.objects().load_all().await.unwrap(), before, "{words}");
            assert_eq!(db.objects().history(Kind::Key, "k1").await.unwrap(), [], "{words}");
        }
        let entries = db.audit().list(AuditFilter { newest: true, ..AuditFilter::default() }, 1).await.unwrap();
        assert_eq!((entries[0].action.as_str(), entries[0].result), ("route add", AuditResult::Failed));
        assert!(entries[0].after_json.as_ref().unwrap().contains("SSH_PROFILE P is at revision 1"));
        // The audit of one object in the middle of a set cannot be written: nothing is changed, nothing is said.
        let last = entries[0].seq;
        house.tamper(&format!("CREATE UNIQUE INDEX only_once ON audit (action, result) WHERE seq > {last}")).await;
        let two = vec![good(), ObjectChange::Create(new(Kind::Key, "k2"))];
        assert!(db.objects().apply(set(two), &actor()).await.is_err());
        assert_eq!(db.objects().load_all().await.unwrap(), before);
        house.tamper("DROP INDEX only_once").await;
        let many = (0..=CHANGES_MAX).map(|n| gone(Kind::Key, &format!("k{n}"))).collect();
        assert!(matches!(db.objects().apply(set(many), &actor()).await, Err(DbError::TooLarge { .. })));
    }

    pub(super) async fn a_set_is_refused_if_the_configuration_moved(house: House) {
        let db = house.open().await;
        let one = || ChangeSet {
            expected_revision: Some(0),
            ..set(vec![ObjectChange::Create(new(Kind::Key, "a")), ObjectChange::Create(new(Kind::Key, "b"))])
        };
        db.objects().apply(one(), &actor()).await.unwrap();
        let found = db.objects().revision().await.unwrap();
        let again = db.objects().apply(one(), &actor()).await.unwrap_err();
        assert_eq!(again, DbError::Moved { expected: 0, found });
    }

    pub(super) async fn a_key_takes_the_place_of_another(house: House) {
        let db = house.open().await;
        let first = NewObject { credential: Some(credential(1)), ..new(Kind::Key, "k") };
        let key = db.objects().create(first, &actor()).await.unwrap();
        db.objects().create(profile("P", &["k"]), &actor()).await.unwrap();
        let other = Change { credential: Some(credential(2)), ..change(&key) };
        db.objects().update(other, &actor()).await.unwrap();
        assert_eq!(db.credentials().by_fingerprint(&[1; 32]).await.unwrap(), []);
        assert_eq!(db.credentials().by_fingerprint(&[2; 32]).await.unwrap(), [key.id]);
        assert_eq!(db.objects().referrers(Kind::Key, "k").await.unwrap().len(), 1);
    }

    /// What a reader holds who reads only what has changed, and looks each time whether that is the whole.
    #[derive(Default)]
    struct Follower(i64, Vec<Object>, Vec<db::CredentialRow>);

    impl Follower {
        async fn follow(&mut self, db: &Db, step: &str) {
            let (touched, objects) = db.objects().load_since(self.0).await.unwrap();
            let keys = db.credentials().load_since(self.0).await.unwrap();
            assert!(!touched.is_empty(), "{step}: nothing is told");
            self.1.retain(|o| !touched.contains(&o.id));
            self.2.retain(|c| !touched.contains(&c.object_id));
            self.1.extend(objects);
            self.2.extend(keys);
            self.1.sort_by_key(|o| o.id);
            self.2.sort_by_key(|c| c.object_id);
            let (mut whole, revision) = db.objects().load_all().await.unwrap();
            whole.sort_by_key(|o| o.id);
            self.0 = revision;
            assert_eq!((&self.1, &self.2), (&whole, &db.credentials().load_all().await.unwrap()), "{step}");
        }
    }

    pub(super) async fn what_changed_is_enough_to_know_the_whole(house: House) {
        let db = house.open().await;
        let (objects, mut follower, who) = (db.objects(), Follower::default(), actor());
        for name in ["A", "B", "C"] {
            let key = NewObject { credential: Some(credential(name.as_bytes()[0])), ..new(Kind::Key, name) };
            objects.create(key, &who).await.unwrap();
        }
        objects.create(profile("P", &["A", "B"]), &who).await.unwrap();
        objects.create(profile("Q", &["B", "C"]), &who).await.unwrap();
        follower.follow(&db, "five are created").await;
        let a = get(&db, Kind::Key, "A").await;
        objects.update(Change { new_name: Some("A2".to_owned()), ..change(&a) }, &who).await.unwrap();
        follower.follow(&db, "a new name, which a profile follows").await;
        let a = get(&db, Kind::Key, "A2").await;
        let secrets = vec![("password".to_owned(), Some(vec![1]))];
        objects.update(Change { secrets, ..change(&a) }, &who).await.unwrap();
        follower.follow(&db, "a secret and nothing else").await;
        objects.update(Change { credential: Some(credential(77)), ..change(&a) }, &who).await.unwrap();
        follower.follow(&db, "another key").await;
        objects.update(Change { state: ObjectState::Disabled, ..change(&a) }, &who).await.unwrap();
        follower.follow(&db, "a state").await;
        let force = |name: &str| {
            let name = name.to_owned();
            ObjectChange::Delete(Deletion { kind: Kind::Key, name, force: true, expected_revision: None })
        };
        objects.apply(set(vec![force("B"), ObjectChange::Create(new(Kind::RemoteSite, "S"))]), &who).await.unwrap();
        follower.follow(&db, "one is gone, two profiles forget it, one is new").await;
        objects.apply(set(vec![gone(Kind::SshProfile, "Q"), gone(Kind::RemoteSite, "S")]), &who).await.unwrap();
        follower.follow(&db, "two are gone").await;
    }

    pub(super) async fn the_past_is_told_by_points(house: House) {
        let db = house.open().await;
        let key = NewObject { credential: Some(credential(1)), ..new(Kind::Key, "k") };
        let key = db.objects().create(key, &actor()).await.unwrap();
        let first = db.objects().revision().await.unwrap();
        db.objects().create(profile("P", &["k"]), &actor()).await.unwrap();
        let other = Change { credential: Some(credential(2)), new_name: Some("k2".to_owned()), ..change(&key) };
        db.objects().update(other, &actor()).await.unwrap();
        let second = db.objects().revision().await.unwrap();
        db.objects().delete(Kind::SshProfile, "P", false, &actor()).await.unwrap();
        db.objects().create(new(Kind::SshProfile, "P"), &actor()).await.unwrap();
        let titles =
            |rows: Vec<db::HistoryRow>| rows.iter().map(|r| format!("{} {}", r.kind, r.name)).collect::<Vec<_>>();
        assert_eq!(titles(db.objects().as_of(0).await.unwrap()), [""; 0]);
        let then = db.objects().as_of(first).await.unwrap();
        assert_eq!((then[0].id, then[0].public_blob.as_deref(), then.len()), (key.id, Some(&[1; 51][..]), 1));
        assert!(then[0].body.is_empty(), "the public key is no field");
        let now = db.objects().as_of(second).await.unwrap();
        assert_eq!(titles(now.clone()), ["KEY k2", "SSH_PROFILE P"]);
        assert_eq!(now[0].public_blob.as_deref(), Some(&[2; 51][..]));
        let points: Vec<i64> =
            db.objects().history(Kind::SshProfile, "P").await.unwrap().iter().map(|r| r.point).collect();
        assert_eq!(points.len(), 4, "created, changed by the key's new name, deleted, created again");
        assert!(points.is_sorted() && points[3] == db.objects().revision().await.unwrap());
        let newest = db.objects().changes(2).await.unwrap();
        assert_eq!(
            newest.iter().map(|r| (r.point, r.op.as_str())).collect::<Vec<_>>(),
            [(points[3], "CREATE"), (points[2], "DELETE")]
        );
    }
}
