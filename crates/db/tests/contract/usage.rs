//! The sums of what is stored of each partner.

use crate::house::on_both;

on_both! {
    /// The sums are those of the transfers after every kind of change, by whatever way.
    sums_follow_every_change;
}

mod bodies {
    use base::PayloadId;
    use db::{
        CommitReceived, Db, Mode, NewPayload, NewTransfer, PayloadBody, RouteState, State, TransferChange, Usage,
        UsageScope,
    };

    use crate::house::{House, NOW};

    async fn payload(db: &Db, size: i64) -> NewPayload {
        let id = db.payloads().next_id().await.unwrap();
        NewPayload { id, body: PayloadBody::Inline(vec![1]), size, sha256: None }
    }

    async fn received(db: &Db, size: i64) -> (base::TransferId, PayloadId) {
        let id = db.transfers().next_id().await.unwrap();
        let new = NewTransfer {
            site: "A".to_owned(),
            extra_json: r#"{"gate":"GA","peer":"192.0.2.1:7"}"#.to_owned(),
            ..NewTransfer::incoming(id, "SFTP", NOW)
        };
        db.transfers().insert(new).await.unwrap();
        let payload = payload(db, size).await;
        let content = payload.id;
        let commit = CommitReceived {
            id,
            payload,
            to: State::Ended,
            route_state: RouteState::ToRoute,
            route_after: NOW,
            at: NOW,
            note: String::new(),
            owner: None,
        };
        db.transfers().commit_received(commit).await.unwrap();
        (id, content)
    }

    async fn check(db: &Db, site: Usage, gate: (i64, i64)) {
        for _ in 0..2 {
            assert_eq!(db.usage().of(UsageScope::Site, "A").await.unwrap(), site);
            let of_gate = db.usage().of(UsageScope::Gate, "GA").await.unwrap();
            assert_eq!((of_gate.in_files, of_gate.in_octets), gate);
            let counted = db.usage().counted(UsageScope::Site).await.unwrap();
            let all = db.usage().all(UsageScope::Site).await.unwrap();
            let all: Vec<_> = all.into_iter().filter(|(_, usage)| *usage != Usage::default()).collect();
            assert_eq!(all, counted);
            // The same again after the differences are summed up.
            db.usage().fold().await.unwrap();
        }
    }

    pub(super) async fn sums_follow_every_change(house: House) {
        let db = house.open().await;
        let (_, content) = received(&db, 1000).await;
        let mut now = Usage { in_files: 1, in_octets: 1000, ..Usage::default() };
        check(&db, now, (1, 1000)).await;
        let (_, second) = received(&db, 7).await;
        now = Usage { in_files: 2, in_octets: 1007, ..now };
        check(&db, now, (2, 1007)).await;
        let offer = db.transfers().next_id().await.unwrap();
        let new = NewTransfer {
            site: "A".to_owned(),
            mode: Mode::Responder,
            payload: Some(content),
            size: Some(1000),
            ..NewTransfer::outgoing(offer, "SFTP", NOW)
        };
        db.transfers().insert(new).await.unwrap();
        now = Usage { out_files: 1, out_octets: 1000, disposal_files: 1, disposal_octets: 1000, ..now };
        check(&db, now, (2, 1007)).await;
        for (to, waits) in [(State::Servicing, 1), (State::Interrupted, 1), (State::Servicing, 1), (State::Ended, 0)] {
            db.transfers().apply(TransferChange::to(offer, to, NOW)).await.unwrap();
            now = Usage { disposal_files: waits, disposal_octets: waits * 1000, ..now };
            check(&db, now, (2, 1007)).await;
        }
        // An upload without content, and one that is given up, count for nothing.
        let empty = db.transfers().next_id().await.unwrap();
        let new = NewTransfer { site: "A".to_owned(), ..NewTransfer::incoming(empty, "SFTP", NOW) };
        db.transfers().insert(new).await.unwrap();
        db.payloads().stage(PayloadId(900), "u", ("local", "here")).await.unwrap();
        let change = TransferChange { payload: Some(PayloadId(900)), ..TransferChange::fields(empty, NOW) };
        db.transfers().apply(change).await.unwrap();
        db.transfers().apply(TransferChange::to(empty, State::Deleted, NOW)).await.unwrap();
        check(&db, now, (2, 1007)).await;
        house.tamper(&format!("DELETE FROM transfer WHERE payload_id = {second}")).await;
        now = Usage { in_files: 1, in_octets: 1000, ..now };
        check(&db, now, (1, 1000)).await;
    }
}
