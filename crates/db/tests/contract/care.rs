//! Retention, restore and sealing anew, as the database does its part of them.

use crate::house::on_both;

on_both! {
    /// TRF-23: what ended goes with its steps, its content when nobody needs it; what something depends on stays.
    ended_transfers_are_purged_and_their_contents_let_go;
    /// DESIGN 1.18 across a restore.
    a_restored_database_is_put_in_order;
    /// STO-25: values are found by the key that sealed them, and replaced if they have not changed meanwhile.
    sealed_values_are_found_by_their_key;
}

mod bodies {
    use std::time::Duration;

    use base::{PayloadId, TransferId};
    use db::{
        Db, EndedAfter, Mode, NUMBERS_LEFT_OUT, NewCredential, NewObject, NewPayload, NewTransfer, PARKED_OFFER,
        PayloadBody, RestoreFacts, SealedKind, State, TransferChange,
    };

    use model::{Body, Kind, ObjectState};

    use crate::house::{House, NOW, actor};

    async fn content(db: &Db, body: PayloadBody) -> PayloadId {
        let id = db.payloads().next_id().await.unwrap();
        db.payloads().add(NewPayload { id, body, size: 5, sha256: None }).await.unwrap().done().await.unwrap();
        id
    }

    fn file(uuid: &str) -> PayloadBody {
        PayloadBody::File { uuid: uuid.to_owned(), store: "local".to_owned() }
    }

    async fn outgoing(
        db: &Db,
        payload: PayloadId,
        states: &[State],
        change: impl FnOnce(&mut NewTransfer),
    ) -> TransferId {
        let id = db.transfers().next_id().await.unwrap();
        let mut new = NewTransfer {
            site: "B".to_owned(),
            payload: Some(payload),
            size: Some(5),
            ..NewTransfer::outgoing(id, "SFTP", NOW)
        };
        change(&mut new);
        db.transfers().insert(new).await.unwrap();
        for to in states {
            db.transfers().apply(TransferChange::to(id, *to, NOW)).await.unwrap();
        }
        id
    }

    /// A key whose uid is its name.
    fn sealed_key(name: &str, sealed: Vec<u8>) -> NewObject {
        let credential = NewCredential {
            class: "KEY".to_owned(),
            algorithm: "ED25519".to_owned(),
            bits: 256,
            fingerprint: [7; 32],
            spki_sha256: [8; 32],
            public_blob: vec![9; 51],
            private_sealed: Some(sealed.clone()),
        };
        NewObject {
            uid: name.to_owned(),
            kind: Kind::Key,
            name: name.to_owned(),
            group: "GDEFAULT".to_owned(),
            state: ObjectState::Enabled,
            body: Body::new(),
            secrets: vec![("password".to_owned(), sealed)],
            references: Vec::new(),
            credential: Some(credential),
        }
    }

    const SENT: &[State] = &[State::Processing, State::Ended];

    pub(super) async fn ended_transfers_are_purged_and_their_contents_let_go(house: House) {
        let db = house.open().await;
        let payload = content(&db, file("u1")).await;
        let first = outgoing(&db, payload, SENT, |_| {}).await;
        let second = outgoing(&db, payload, SENT, |_| {}).await;
        let parent = outgoing(&db, payload, SENT, |_| {}).await;
        let child = outgoing(&db, payload, &[], |new| new.route_from = Some(parent)).await;
        let later = NOW.plus(Duration::from_secs(1));
        let ended = async || {
            let found = db.retention().ended(later, EndedAfter::default(), 10).await.unwrap();
            found.into_iter().map(|t| (t.id, t.revision)).collect::<Vec<_>>()
        };
        let found = ended().await;
        assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first, second], "the child is still to do");
        assert!(db.retention().ended(NOW, EndedAfter::default(), 10).await.unwrap().is_empty());
        let after = EndedAfter { ended_at: NOW, id: first };
        assert_eq!(db.retention().ended(later, after, 10).await.unwrap().len(), 1);
        let stale = vec![(first, found[0].1 - 1), found[1]];
        assert_eq!(db.retention().purge(stale, later).await.unwrap(), 1, "one has changed since it was looked at");
        assert!(db.transfers().steps(second).await.unwrap().is_empty());
        assert!(db.payloads().purge(later, 10).await.unwrap().is_empty(), "others need the content");
        for to in SENT {
            db.transfers().apply(TransferChange::to(child, *to, NOW)).await.unwrap();
        }
        assert_eq!(db.retention().purge(ended().await, later).await.unwrap(), 3);
        assert_eq!(db.payloads().purge(later, 10).await.unwrap().len(), 1);
        db.retention().sweep(later).await.unwrap();
        assert!(db.payloads().get(payload).await.unwrap().is_none());
        let old = outgoing(&db, content(&db, file("u2")).await, &[], |new| new.mode = Mode::Responder).await;
        let waiting = db.retention().abandoned(later, 10).await.unwrap();
        assert_eq!(waiting.iter().map(|t| t.id).collect::<Vec<_>>(), [old]);
        // One that never became whole.
        db.payloads().stage(PayloadId(901), "u3", ("local", "here")).await.unwrap();
        outgoing(&db, PayloadId(901), SENT, |new| new.size = None).await;
        assert_eq!(db.retention().purge(ended().await, later).await.unwrap(), 1);
        assert_eq!(db.payloads().purge(later, 10).await.unwrap().len(), 1);
    }

    pub(super) async fn a_restored_database_is_put_in_order(house: House) {
        let db = house.open().await;
        let (lost, there) = (content(&db, file("lost")).await, content(&db, file("there")).await);
        let offer = outgoing(&db, there, &[], |new| new.mode = Mode::Responder).await;
        let kept = outgoing(&db, there, &[], |new| {
            new.mode = Mode::Responder;
            new.extra_json = r#"{"permanent":true}"#.to_owned();
        })
        .await;
        let running = outgoing(&db, there, &[State::Processing], |_| {}).await;
        let empty = outgoing(&db, lost, &[], |_| {}).await;
        let partial = db.transfers().next_id().await.unwrap();
        let upload = NewTransfer { site: "A".to_owned(), ..NewTransfer::incoming(partial, "SFTP", NOW) };
        db.transfers().insert(upload).await.unwrap();
        db.payloads().stage(PayloadId(900), "part", ("local", "here")).await.unwrap();
        let attach = TransferChange { payload: Some(PayloadId(900)), ..TransferChange::fields(partial, NOW) };
        db.transfers().apply(attach).await.unwrap();
        let facts = RestoreFacts { backup_of: "monday".to_owned(), at: NOW, missing: vec!["lost".to_owned()] };
        let done = db.backups().reconcile(facts).await.unwrap();
        assert_eq!((done.offers_parked, done.deliveries, done.without_content), (1, 1, 1), "{done:?}");
        assert_eq!(done.partials_dropped, 1, "its octets are in no backup");
        assert_eq!(db.payloads().get(PayloadId(900)).await.unwrap().unwrap().state, db::PayloadState::Purged);
        let state = async |id| db.transfers().get(id).await.unwrap().unwrap();
        assert_eq!((state(offer).await.state, state(offer).await.err.as_str()), (State::Suspended, PARKED_OFFER));
        assert_eq!((state(kept).await.state, state(running).await.state), (State::ToBegin, State::ToRestart));
        assert_eq!(state(empty).await.state, State::Suspended);
        assert_eq!(db.meta().get("restored_at").await.unwrap(), Some(NOW.0.to_string()));
        db.close().await;
        let db = house.open().await;
        assert!(db.transfers().next_id().await.unwrap().0 > NUMBERS_LEFT_OUT);
    }

    pub(super) async fn sealed_values_are_found_by_their_key(house: House) {
        let db = house.open().await;
        let sealed = |key: u8| [b"GHSEAL\x01\x00".as_slice(), &[key; 8], &[9; 50]].concat();
        let (old, new) = ([1; 8], [2; 8]);
        let inline = [[7; 16].as_slice(), &sealed(1)].concat();
        let small = content(&db, PayloadBody::Inline(inline.clone())).await;
        db.payloads().stage(PayloadId(900), "up", ("local", "here")).await.unwrap();
        db.payloads().checkpoint(PayloadId(900), 4, Some(sealed(1))).await.unwrap().done().await.unwrap();
        let key = db.objects().create(sealed_key("K", sealed(1)), &actor()).await.unwrap().id.0;
        for (kind, id, owner, before) in [
            (SealedKind::Inline, small.0, "", inline),
            (SealedKind::Upload, 900, "up", sealed(1)),
            (SealedKind::Secret, key, "K", sealed(1)),
            (SealedKind::PrivateKey, key, "K", sealed(1)),
        ] {
            assert!(db.sealed().under(kind, new, i64::MIN, 10).await.unwrap().is_empty());
            let found = db.sealed().under(kind, old, i64::MIN, 10).await.unwrap();
            assert_eq!(found.len(), 1, "{kind:?}");
            assert!(db.sealed().under(kind, old, id + 1, 10).await.unwrap().is_empty(), "only from that one on");
            assert_eq!((found[0].id, found[0].owner.as_str(), &found[0].sealed), (id, owner, &before));
            let anew = |v: &Vec<u8>| v.iter().map(|o| if *o == 1 { 2 } else { *o }).collect::<Vec<u8>>();
            let changed = db::SealedValue { sealed: sealed(3), ..found[0].clone() };
            db.sealed().replace(kind, vec![(changed, anew(&before))]).await.unwrap();
            assert_eq!(
                db.sealed().under(kind, old, i64::MIN, 10).await.unwrap(),
                found,
                "it was not the value that was read"
            );
            db.sealed().replace(kind, vec![(found[0].clone(), anew(&before))]).await.unwrap();
            assert!(db.sealed().under(kind, old, i64::MIN, 10).await.unwrap().is_empty());
        }
    }
}
