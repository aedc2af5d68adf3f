//! Transfers: TRF-1 to TRF-4, TRF-7, TRF-14, OBJ-34.

use crate::house::on_both;

on_both! {
    numbers_rise_and_never_come_back;
    a_record_reads_back;
    a_received_file_is_committed_at_once;
    only_documented_transitions_happen;
    route_states_follow_their_table;
    routing_twice_makes_one_delivery;
    a_dead_gateway_leaves_nothing_ended;
    turns_go_by_priority_then_time;
    two_takers_share_no_transfer;
    a_folder_shows_the_newest;
    pages_are_newest_first;
    a_payload_lives_as_long_as_it_is_used;
    a_large_file_is_staged_then_committed;
    a_request_takes_its_file_in;
    an_upload_leaves_what_waits_to_be_fetched;
    times_bound_a_page;
    a_running_delivery_is_noted_and_changed_as_it_was_seen;
    what_waits_waits_shorter_after_the_clock_was_set_back;
    /// TRF-5
    what_is_past_its_latest_date_is_found;
    /// FTP-20
    what_was_fetched_is_found_by_its_key;
    old_looks_are_forgotten;
}

mod bodies {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use base::{ObjectId, PayloadId, TransferId, UtcMicros};
    use db::*;

    use crate::house::{House, NOW};

    async fn id(db: &Db) -> TransferId {
        db.transfers().next_id().await.unwrap()
    }

    fn upload(id: TransferId, name: &str) -> NewTransfer {
        NewTransfer {
            gate: "acme".to_owned(),
            dir_name: "/in".to_owned(),
            file_name: name.to_owned(),
            site: "ACME".to_owned(),
            node: Some("n1".to_owned()),
            ..NewTransfer::incoming(id, "SFTP", NOW)
        }
    }

    async fn commit(db: &Db, id: TransferId) -> PayloadId {
        let payload = db.payloads().next_id().await.unwrap();
        db.transfers().commit_received(whole(id, payload)).await.unwrap();
        payload
    }

    fn whole(id: TransferId, payload: PayloadId) -> CommitReceived {
        CommitReceived {
            id,
            payload: NewPayload {
                id: payload,
                body: PayloadBody::Inline(vec![5; 40]),
                size: 12,
                sha256: Some([3; 32]),
            },
            to: State::Ended,
            route_state: RouteState::ToRoute,
            route_after: NOW.plus(Duration::from_secs(2)),
            at: NOW,
            note: "closed".to_owned(),
            owner: None,
        }
    }

    async fn received(db: &Db, name: &str) -> TransferId {
        let id = id(db).await;
        db.transfers().insert(upload(id, name)).await.unwrap();
        commit(db, id).await;
        id
    }

    pub(super) async fn a_running_delivery_is_noted_and_changed_as_it_was_seen(house: House) {
        // DESIGN 1.18: the note before the last step; OBJ-34: a change that lost a race changes nothing.
        let db = house.open().await;
        let id = id(&db).await;
        db.transfers().insert(to_site(id, "B")).await.unwrap();
        let note = || db.transfers().note(id, "n1".to_owned(), "{\"open_end\":true}".to_owned());
        assert_eq!(note().await, Err(DbError::TakenOver { id }));
        let query = DueQuery { site: Some("B".to_owned()), now: NOW, limit: 1, node: "n1".to_owned() };
        let taken = db.transfers().take_due(query).await.unwrap().remove(0);
        note().await.unwrap();
        let noted = db.transfers().get(id).await.unwrap().unwrap();
        assert_eq!((noted.state, noted.extra_json.as_str()), (State::Processing, "{\"open_end\":true}"));
        assert_eq!(noted.revision, taken.revision + 1);
        let end = |revision| {
            let mut change = TransferChange::to(id, State::Ended, NOW);
            change.expected_revision = Some(revision);
            db.transfers().apply(change)
        };
        assert_eq!(end(taken.revision).await, Err(DbError::Unexpected { id, found: State::Processing }));
        assert_eq!(end(noted.revision).await.unwrap().state, State::Ended);
    }

    pub(super) async fn what_waits_waits_shorter_after_the_clock_was_set_back(house: House) {
        // DESIGN 1.19
        let db = house.open().await;
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let upload = received(&db, "settling").await;
        let (waits, dated) = (id(&db).await, id(&db).await);
        let not_before = NOW.plus(minutes(8));
        db.transfers().insert(to_site(waits, "B")).await.unwrap();
        db.transfers().insert(NewTransfer { not_before: Some(not_before), ..to_site(dated, "B") }).await.unwrap();
        for waiting in [waits, dated] {
            let mut change = TransferChange::fields(waiting, NOW);
            change.next_try_at = Some(NOW.plus(minutes(11)));
            db.transfers().apply(change).await.unwrap();
        }
        let before = UtcMicros(NOW.0 - 600_000_000);
        db.transfers().sooner(before, minutes(10)).await.unwrap();
        let next = async |id| db.transfers().get(id).await.unwrap().unwrap().next_try_at;
        assert_eq!(next(upload).await, before.plus(Duration::from_secs(2)));
        assert_eq!(next(waits).await, NOW.plus(minutes(1)));
        assert_eq!(next(dated).await, not_before, "a date stays");
    }

    fn to_site(id: TransferId, site: &str) -> NewTransfer {
        NewTransfer { site: site.to_owned(), ..NewTransfer::outgoing(id, "SFTP", NOW) }
    }

    async fn get(db: &Db, id: TransferId) -> Transfer {
        db.transfers().get(id).await.unwrap().unwrap()
    }

    // TRF-2
    pub(super) async fn numbers_rise_and_never_come_back(house: House) {
        let mut last = TransferId(0);
        for _ in 0..3 {
            let db = house.open().await;
            for _ in 0..300 {
                let next = id(&db).await;
                assert!(next > last);
                last = next;
            }
            db.close().await;
        }
        let (one, two) = (house.open().await, house.open().await);
        let mut seen = BTreeSet::new();
        for _ in 0..300 {
            assert!(seen.insert(id(&one).await) && seen.insert(id(&two).await));
        }
        assert!(seen.first() > Some(&last));
    }

    pub(super) async fn a_record_reads_back(house: House) {
        let db = house.open().await;
        let id = id(&db).await;
        let new = NewTransfer {
            mode: Mode::Responder,
            local: "US".to_owned(),
            login: "joe".to_owned(),
            appli: "INV".to_owned(),
            gate: "g".to_owned(),
            dir_name: "/out".to_owned(),
            file_name: "é'\";--\u{1}".to_owned(),
            site: "A".to_owned(),
            state: State::Frozen,
            trade_state: TradeState::ToProcess,
            priority: 2,
            listed: true,
            not_before: Some(NOW.plus(Duration::from_secs(9))),
            not_after: Some(UtcMicros(i64::MAX)),
            size: Some(0),
            rule_id: Some(ObjectId(4)),
            master: Some(TransferId(1)),
            dup_from: Some(TransferId(2)),
            reply_to: Some(TransferId(3)),
            message_id: Some("<m@x>".to_owned()),
            why_json: "[1]".to_owned(),
            extra_json: "{}".to_owned(),
            node: Some("n1".to_owned()),
            ..NewTransfer::outgoing(id, "SFTP", NOW)
        };
        assert_eq!(db.transfers().insert(new.clone()).await.unwrap(), Inserted::New);
        let t = get(&db, id).await;
        assert_eq!((t.mode, t.direction, t.kind, t.state), (new.mode, new.direction, new.kind, new.state));
        assert_eq!((&t.local, &t.site, &t.gate, &t.login), (&new.local, &new.site, &new.gate, &new.login));
        assert_eq!((&t.file_name, &t.dir_name, &t.appli), (&new.file_name, &new.dir_name, &new.appli));
        assert_eq!((t.priority, t.listed, t.not_before, t.not_after), (2, true, new.not_before, new.not_after));
        assert_eq!((Some(t.next_try_at), t.size, t.rule_id), (new.not_before, Some(0), new.rule_id));
        assert_eq!((t.master, t.dup_from, t.reply_to), (new.master, new.dup_from, new.reply_to));
        assert_eq!((t.message_id, t.why_json, t.extra_json), (new.message_id, new.why_json, new.extra_json));
        assert_eq!((t.node, t.revision, t.payload, t.route_from), (new.node, 1, None, None));
        let steps = db.transfers().steps(id).await.unwrap();
        assert_eq!((steps.len(), steps[0].from, steps[0].to), (1, None, State::Frozen));
        let ended = NewTransfer { state: State::Ended, ..to_site(TransferId(id.0 + 1), "A") };
        assert!(matches!(db.transfers().insert(ended).await, Err(DbError::NotFirst { .. })));
        assert_eq!(db.transfers().get(TransferId(9999)).await.unwrap(), None);
    }

    pub(super) async fn a_received_file_is_committed_at_once(house: House) {
        let db = house.open().await;
        let id = id(&db).await;
        let lazy = db.transfers().insert_lazy(upload(id, "f")).await.unwrap();
        let payload = commit(&db, id).await;
        assert_eq!(lazy.done().await.unwrap(), Inserted::New);
        let t = get(&db, id).await;
        assert_eq!((t.state, t.route_state, t.full_state()), (State::Ended, RouteState::ToRoute, "ended routing"));
        assert_eq!((t.size, t.done_octets, t.payload, t.revision), (Some(12), 12, Some(payload), 2));
        assert_eq!((t.ended_at, t.node.as_deref(), t.listed), (Some(NOW), Some("n1"), true), "its node routes it");
        assert_eq!(db.payloads().committed_behind(PayloadId(0), 9).await.unwrap(), [payload]);
        let p = db.payloads().get(payload).await.unwrap().unwrap();
        assert_eq!((p.state, p.size, p.refs, p.sha256), (PayloadState::Committed, 12, 1, Some([3; 32])));
        assert_eq!(p.inline_sealed, Some(vec![5; 40]));
        let steps = db.transfers().steps(id).await.unwrap();
        assert_eq!((steps[1].n, steps[1].from, steps[1].to), (2, Some(State::Servicing), State::Ended));
        assert_eq!(db.transfers().to_route((NOW, NOW), "n1", 10).await.unwrap(), vec![], "not before it has settled");
        assert_eq!(db.transfers().to_route((NOW.plus(Duration::from_secs(2)), NOW), "n1", 10).await.unwrap().len(), 1);
        // A second commit, or one of nothing, changes nothing: not the payload either.
        let other = db.payloads().next_id().await.unwrap();
        let again = db.transfers().commit_received(whole(id, other)).await;
        assert!(matches!(again, Err(DbError::Transition { .. })), "{again:?}");
        let none = db.transfers().commit_received(whole(TransferId(9999), other)).await;
        assert_eq!(none, Err(DbError::NoTransfer(TransferId(9999))));
        assert_eq!(db.payloads().get(other).await.unwrap(), None);
        let large =
            NewPayload { id: other, body: PayloadBody::Inline(vec![0; INLINE_OCTETS_MAX + 1]), size: 1, sha256: None };
        let error = db.transfers().commit_received(CommitReceived { payload: large, ..whole(id, other) }).await;
        assert!(matches!(error, Err(DbError::TooLarge { .. })));
    }

    // TRF-3
    pub(super) async fn only_documented_transitions_happen(house: House) {
        let db = house.open().await;
        let id = id(&db).await;
        db.transfers().insert(to_site(id, "A")).await.unwrap();
        let apply = async |change: TransferChange| db.transfers().apply(change).await;
        let error = apply(TransferChange::to(id, State::Ended, NOW)).await.unwrap_err();
        assert_eq!(error, DbError::Transition { id, found: State::ToBegin, to: State::Ended });
        assert_eq!(get(&db, id).await.revision, 1, "nothing changed");
        let change =
            TransferChange { expected: vec![State::ToRestart], ..TransferChange::to(id, State::Processing, NOW) };
        assert_eq!(apply(change).await.unwrap_err(), DbError::Unexpected { id, found: State::ToBegin });
        let node = Some("n1".to_owned());
        let t = apply(TransferChange { node, ..TransferChange::to(id, State::Processing, NOW) }).await.unwrap();
        assert_eq!((t.state, t.node.as_deref(), t.revision), (State::Processing, Some("n1"), 2));
        let t = apply(TransferChange { done_octets: Some(7), ..TransferChange::fields(id, NOW) }).await.unwrap();
        assert_eq!((t.done_octets, t.state, t.revision), (7, State::Processing, 3));
        let outcome = Some(Outcome { reason: 166, diag: 3, err: "no route".to_owned() });
        let back = TransferChange {
            outcome,
            retries: Some(1),
            next_try_at: Some(NOW.plus(Duration::from_secs(60))),
            ..TransferChange::to(id, State::ToRestart, NOW)
        };
        let t = apply(back).await.unwrap();
        assert_eq!((t.reason, t.diag, t.err.as_str(), t.retries, t.node), (166, 3, "no route", 1, None));
        apply(TransferChange::to(id, State::Cancelled, NOW)).await.unwrap();
        for to in State::ALL {
            assert!(apply(TransferChange::to(id, *to, NOW)).await.is_err(), "cancelled is final, {to}");
        }
        assert_eq!(get(&db, id).await.ended_at, Some(NOW));
        let steps: Vec<_> = db.transfers().steps(id).await.unwrap().iter().map(|s| (s.n, s.to.letter())).collect();
        assert_eq!(steps, [(1, "B"), (2, "P"), (4, "R"), (5, "C")]);
        let none = apply(TransferChange::to(TransferId(9999), State::Cancelled, NOW)).await.unwrap_err();
        assert_eq!(none, DbError::NoTransfer(TransferId(9999)));
    }

    pub(super) async fn route_states_follow_their_table(house: House) {
        let db = house.open().await;
        let id = received(&db, "f").await;
        let route = async |to| {
            let change = TransferChange { route_state: Some(to), ..TransferChange::fields(id, NOW) };
            db.transfers().apply(change).await.map(|t| t.route_state)
        };
        assert_eq!(
            route(RouteState::Acknowledged).await,
            Err(DbError::RouteTransition { id, found: RouteState::ToRoute, to: RouteState::Acknowledged })
        );
        assert_eq!(route(RouteState::Failed).await, Ok(RouteState::Failed));
        assert_eq!(route(RouteState::ToRoute).await, Ok(RouteState::ToRoute), "TRF-14");
        assert_eq!(route(RouteState::Routed).await, Ok(RouteState::Routed));
        assert!(route(RouteState::ToRoute).await.is_err());
        assert_eq!(route(RouteState::Acknowledged).await, Ok(RouteState::Acknowledged), "TRF-13");
    }

    fn routing(from: TransferId, deliveries: Vec<NewTransfer>) -> Routing {
        Routing {
            from,
            deliveries,
            route_state: RouteState::Routed,
            why_json: "[\"rule\"]".to_owned(),
            err: String::new(),
            at: NOW,
            expected_revision: None,
        }
    }

    pub(super) async fn routing_twice_makes_one_delivery(house: House) {
        let db = house.open().await;
        let from = received(&db, "f").await;
        let payload = get(&db, from).await.payload.unwrap();
        let delivery = |id, gen_| NewTransfer {
            payload: Some(payload),
            route_from: Some(from),
            rule_id: Some(ObjectId(7)),
            dest_gen: gen_,
            ..to_site(id, "B")
        };
        let first = id(&db).await;
        assert_eq!(db.transfers().route(routing(from, vec![delivery(first, 0)])).await.unwrap(), vec![first]);
        let t = get(&db, from).await;
        assert_eq!((t.route_state, t.full_state(), t.why_json.as_str()), (RouteState::Routed, "ended", "[\"rule\"]"));
        let second = id(&db).await;
        let again = db.transfers().route(routing(from, vec![delivery(second, 0)])).await;
        assert!(matches!(again, Err(DbError::RouteTransition { .. })));
        assert_eq!(db.transfers().insert(delivery(second, 0)).await.unwrap(), Inserted::Already(first));
        assert_eq!(db.transfers().routed_to(from).await.unwrap(), vec![first]);
        assert_eq!(db.payloads().get(payload).await.unwrap().unwrap().refs, 2);
        assert_eq!(db.transfers().insert(delivery(second, 1)).await.unwrap(), Inserted::New, "on purpose");
        assert_eq!(db.transfers().routed_to(from).await.unwrap(), vec![first, second]);
        assert_eq!(db.payloads().get(payload).await.unwrap().unwrap().refs, 3);
    }

    // TRF-4, OBJ-34: the old process is gone without a word.
    pub(super) async fn a_dead_gateway_leaves_nothing_ended(house: House) {
        let db = house.open().await;
        let (sending, coming, done, waiting) = (id(&db).await, id(&db).await, id(&db).await, id(&db).await);
        for new in [to_site(sending, "A"), to_site(waiting, "A"), upload(coming, "x"), upload(done, "y")] {
            db.transfers().insert(new).await.unwrap();
        }
        commit(&db, done).await;
        let processing =
            TransferChange { node: Some("n1".to_owned()), ..TransferChange::to(sending, State::Processing, NOW) };
        db.transfers().apply(processing).await.unwrap();
        let elsewhere = id(&db).await;
        db.nodes().register(node("n2")).await.unwrap();
        db.transfers().insert(NewTransfer { node: Some("n2".to_owned()), ..upload(elsewhere, "z") }).await.unwrap();
        drop(db);
        let db = house.open().await;
        assert_eq!(db.transfers().recover(NOW).await.unwrap(), vec![sending, coming]);
        let states = [sending, coming, done, waiting, elsewhere].map(|id| {
            let db = db.clone();
            async move { get(&db, id).await.state.letter() }
        });
        let mut letters = String::new();
        for state in states {
            letters.push_str(state.await);
        }
        assert_eq!(letters, "RIEBV");
        assert_eq!(db.transfers().recover(NOW).await.unwrap(), vec![]);
        let last = db.transfers().steps(coming).await.unwrap().pop().unwrap();
        assert_eq!((last.from, last.to), (Some(State::Servicing), State::Interrupted));
        let live = db.transfers().live_counts().await.unwrap();
        assert_eq!(live.iter().map(|(_, n)| n).sum::<i64>(), 4);
    }

    fn node(id: &str) -> NewNode {
        NewNode {
            id: id.to_owned(),
            name: id.to_owned(),
            home: id.to_owned(),
            host: "host".to_owned(),
            version: "1".to_owned(),
            lease: Duration::from_secs(600),
            first: true,
        }
    }

    fn due(site: Option<&str>, now: UtcMicros, limit: u32) -> DueQuery {
        DueQuery { site: site.map(str::to_owned), now, limit, node: "n1".to_owned() }
    }

    // TRF-6, TRF-7
    pub(super) async fn turns_go_by_priority_then_time(house: House) {
        let db = house.open().await;
        let ids = [id(&db).await, id(&db).await, id(&db).await, id(&db).await, id(&db).await, id(&db).await];
        let later = NOW.plus(Duration::from_secs(60));
        let delayed = NewTransfer { state: State::Delayed, not_before: Some(later), ..to_site(ids[3], "A") };
        for new in [
            NewTransfer { priority: 2, ..to_site(ids[0], "A") },
            to_site(ids[1], "A"),
            NewTransfer { priority: 0, ..to_site(ids[2], "A") },
            delayed,
            NewTransfer { state: State::Frozen, ..to_site(ids[4], "A") },
            NewTransfer { mode: Mode::Responder, ..to_site(ids[5], "B") },
        ] {
            db.transfers().insert(new).await.unwrap();
        }
        assert_eq!(db.transfers().due_sites().await.unwrap(), vec![("A".to_owned(), NOW)]);
        let take = async |now, limit| {
            let taken = db.transfers().take_due(due(Some("A"), now, limit)).await.unwrap();
            assert!(taken.iter().all(|t| t.state == State::Processing && t.node.as_deref() == Some("n1")));
            taken.iter().map(|t| t.id).collect::<Vec<_>>()
        };
        assert_eq!(take(NOW, 2).await, [ids[2], ids[1]]);
        assert_eq!(take(NOW, 9).await, [ids[0]]);
        assert_eq!(take(NOW, 9).await, []);
        assert_eq!(db.transfers().due_sites().await.unwrap(), vec![("A".to_owned(), later)]);
        assert_eq!(take(later, 9).await, [ids[3]]);
        let steps: Vec<_> = db.transfers().steps(ids[3]).await.unwrap().iter().map(|s| s.to.letter()).collect();
        assert_eq!(steps, ["D", "B", "P"]);
        assert_eq!(db.transfers().due_sites().await.unwrap(), vec![]);
    }

    pub(super) async fn two_takers_share_no_transfer(house: House) {
        let (one, two) = (house.open().await, house.open().await);
        for n in 0..20 {
            let site = if n % 2 == 0 { "A" } else { "B" };
            one.transfers().insert(to_site(id(&one).await, site)).await.unwrap();
        }
        let mut seen = BTreeSet::new();
        loop {
            let (a, b) =
                tokio::join!(one.transfers().take_due(due(None, NOW, 2)), two.transfers().take_due(due(None, NOW, 2)));
            let taken: Vec<_> = a.unwrap().into_iter().chain(b.unwrap()).collect();
            if taken.is_empty() {
                break;
            }
            for t in taken {
                assert!(seen.insert(t.id), "{} was taken twice", t.id);
            }
        }
        assert_eq!(seen.len(), 20);
    }

    pub(super) async fn a_folder_shows_the_newest(house: House) {
        let db = house.open().await;
        let old = received(&db, "b").await;
        let other = received(&db, "a").await;
        let query = |file: Option<&str>, after: Option<&str>, limit| EntryQuery {
            gate: "acme".to_owned(),
            dir_name: "/in".to_owned(),
            file_name: file.map(str::to_owned),
            after: after.map(str::to_owned),
            limit,
        };
        let list = async |q| db.transfers().entries(q).await.unwrap().iter().map(|t| t.id).collect::<Vec<_>>();
        assert_eq!(list(query(None, None, 10)).await, [other, old]);
        let newer = id(&db).await;
        db.transfers().insert(upload(newer, "b")).await.unwrap();
        assert_eq!(list(query(Some("b"), None, 10)).await, [newer, old], "unfinished beside the whole one");
        commit(&db, newer).await;
        assert_eq!(list(query(Some("b"), None, 10)).await, [newer], "DESIGN 1.19: the newest wins");
        assert_eq!(get(&db, old).await.state, State::Ended, "the older record stays");
        assert_eq!(list(query(None, Some("a"), 10)).await, [newer]);
        assert_eq!(list(query(None, None, 1)).await, [other]);
        let rename =
            TransferChange { renamed: Some(("/in".to_owned(), "Z".to_owned())), ..TransferChange::fields(other, NOW) };
        db.transfers().apply(rename).await.unwrap();
        assert_eq!(list(query(None, None, 10)).await, [other, newer], "octet order: Z before b");
        let gone = TransferChange { listed: Some(false), ..TransferChange::fields(other, NOW) };
        db.transfers().apply(gone).await.unwrap();
        assert_eq!(list(query(None, None, 10)).await, [newer]);
    }

    pub(super) async fn pages_are_newest_first(house: House) {
        let db = house.open().await;
        let mut ids = Vec::new();
        for n in 0..6 {
            let site = if n % 2 == 0 { "A" } else { "B" };
            let id = id(&db).await;
            let new = NewTransfer { message_id: Some(format!("m{n}")), ..to_site(id, site) };
            db.transfers().insert(new).await.unwrap();
            ids.push(id);
        }
        db.transfers().apply(TransferChange::to(ids[5], State::Cancelled, NOW)).await.unwrap();
        db.transfers().apply(TransferChange::to(ids[1], State::Suspended, NOW)).await.unwrap();
        let list = async |filter, limit| {
            let rows = db.transfers().list(filter, limit).await.unwrap();
            rows.iter().map(|t| ids.iter().position(|id| *id == t.id).unwrap()).collect::<Vec<_>>()
        };
        let all = TransferFilter::default;
        assert_eq!(list(all(), 4).await, [5, 4, 3, 2]);
        assert_eq!(list(TransferFilter { below: Some(ids[2]), ..all() }, 4).await, [1, 0]);
        assert_eq!(list(TransferFilter { site: Some("B".to_owned()), ..all() }, 9).await, [5, 3, 1]);
        let two = vec![State::Suspended, State::Cancelled];
        assert_eq!(list(TransferFilter { states: two.clone(), ..all() }, 9).await, [5, 1]);
        assert_eq!(list(TransferFilter { states: two.clone(), ..all() }, 1).await, [5]);
        let site = Some("B".to_owned());
        assert_eq!(list(TransferFilter { states: two, site, below: Some(ids[5]), ..all() }, 9).await, [1]);
        assert_eq!(list(TransferFilter { message_id: Some("m3".to_owned()), ..all() }, 9).await, [3]);
        assert_eq!(list(TransferFilter { direction: Some(Direction::In), ..all() }, 9).await.len(), 0);
        assert_eq!(list(TransferFilter { until: Some(NOW), ..all() }, 9).await.len(), 0);
        let out = TransferFilter { direction: Some(Direction::Out), mode: Some(Mode::Initiator), ..all() };
        assert_eq!(list(TransferFilter { from: Some(NOW), ..out.clone() }, 3).await, [5, 4, 3]);
        let ours = TransferFilter { site: Some("B".to_owned()), below: Some(ids[5]), ..out.clone() };
        assert_eq!(list(ours, 9).await, [3, 1]);
        let one = TransferFilter { message_id: Some("m3".to_owned()), site: Some("B".to_owned()), ..out };
        assert_eq!(list(one.clone(), 9).await, [3]);
        assert_eq!(list(TransferFilter { states: vec![State::Cancelled], ..one.clone() }, 9).await.len(), 0);
        assert_eq!(list(TransferFilter { file_name: Some("another".to_owned()), ..one }, 9).await.len(), 0);
    }

    pub(super) async fn a_payload_lives_as_long_as_it_is_used(house: House) {
        let db = house.open().await;
        let from = received(&db, "f").await;
        let payload = get(&db, from).await.payload.unwrap();
        let next = id(&db).await;
        let forward = NewTransfer { payload: Some(payload), route_from: Some(from), ..to_site(next, "B") };
        db.transfers().insert(forward).await.unwrap();
        let later = NOW.plus(Duration::from_secs(60));
        db.payloads().release(payload, later).await.unwrap();
        assert_eq!(db.payloads().purge(later, 10).await.unwrap(), vec![], "one transfer still needs it");
        db.payloads().release(payload, later).await.unwrap();
        assert_eq!(db.payloads().purge(NOW, 10).await.unwrap(), vec![], "not yet");
        let purged = db.payloads().purge(later, 10).await.unwrap();
        assert_eq!((purged.len(), purged[0].id), (1, payload));
        let gone = db.payloads().get(payload).await.unwrap().unwrap();
        assert_eq!((gone.state, gone.inline_sealed), (PayloadState::Purged, None));
        let late = NewTransfer { payload: Some(payload), ..to_site(id(&db).await, "B") };
        assert!(db.transfers().insert(late).await.is_err(), "what is purged cannot be sent");
    }

    pub(super) async fn a_large_file_is_staged_then_committed(house: House) {
        let db = house.open().await;
        let (transfer, payload) = (id(&db).await, db.payloads().next_id().await.unwrap());
        db.transfers().insert(upload(transfer, "big")).await.unwrap();
        db.payloads().stage(payload, "ab12", ("main", "here")).await.unwrap();
        let attach = TransferChange { done_octets: Some(9), ..TransferChange::fields(transfer, NOW) };
        db.payloads().checkpoint(payload, 9, Some(vec![1])).await.unwrap();
        db.transfers().apply(attach).await.unwrap();
        let staging = db.payloads().staging().await.unwrap();
        assert_eq!((staging.len(), staging[0].durable_to, staging[0].refs), (1, 9, 0));
        let file = NewPayload {
            id: payload,
            body: PayloadBody::File { uuid: "ab12".to_owned(), store: "main".to_owned() },
            size: 20,
            sha256: None,
        };
        db.transfers().commit_received(CommitReceived { payload: file, ..whole(transfer, payload) }).await.unwrap();
        let p = db.payloads().by_uuid("ab12").await.unwrap().unwrap();
        assert_eq!((p.id, p.state, p.size, p.refs, p.hash_state), (payload, PayloadState::Committed, 20, 1, None));
        assert_eq!(db.payloads().staging().await.unwrap(), vec![]);
    }

    /// A request made here: its content is whole, the transfer begins.
    pub(super) async fn a_request_takes_its_file_in(house: House) {
        let db = house.open().await;
        let (one, two) = (id(&db).await, id(&db).await);
        db.transfers().insert(NewTransfer { state: State::Servicing, ..to_site(one, "A") }).await.unwrap();
        let payload = db.payloads().next_id().await.unwrap();
        let begin = CommitReceived { to: State::ToBegin, route_state: RouteState::Empty, ..whole(one, payload) };
        db.transfers().commit_received(begin).await.unwrap();
        let t = get(&db, one).await;
        assert_eq!((t.state, t.ended_at, t.payload), (State::ToBegin, None, Some(payload)));
        // Or the content first, then the record.
        let other = db.payloads().next_id().await.unwrap();
        drop(db.payloads().add(NewPayload { id: other, ..whole(two, other).payload }).await.unwrap());
        db.transfers().insert(NewTransfer { payload: Some(other), ..to_site(two, "A") }).await.unwrap();
        assert_eq!(db.payloads().get(other).await.unwrap().unwrap().refs, 1);
        // The content of an abandoned upload goes as well.
        let staged = db.payloads().next_id().await.unwrap();
        db.payloads().stage(staged, "ab13", ("main", "here")).await.unwrap();
        let attach = TransferChange { payload: Some(staged), ..TransferChange::fields(two, NOW) };
        db.transfers().apply(attach).await.unwrap();
        db.payloads().release(staged, NOW).await.unwrap();
        assert_eq!(db.payloads().purge(NOW, 9).await.unwrap().len(), 1);
    }

    pub(super) async fn an_upload_leaves_what_waits_to_be_fetched(house: House) {
        let db = house.open().await;
        let waiting = id(&db).await;
        let out = NewTransfer {
            mode: Mode::Responder,
            direction: Direction::Out,
            state: State::ToBegin,
            ..upload(waiting, "f")
        };
        db.transfers().insert(out).await.unwrap();
        let up = received(&db, "f").await;
        assert!(get(&db, waiting).await.listed && get(&db, up).await.listed);
        let next = id(&db).await;
        let out = NewTransfer { route_from: Some(up), ..to_site(next, "B") };
        db.transfers().route(routing(up, vec![out])).await.unwrap();
        assert!(!get(&db, up).await.listed, "what was passed on is no longer in the folder");
    }

    pub(super) async fn times_bound_a_page(house: House) {
        let db = house.open().await;
        let day = Duration::from_secs(86_400);
        let mut ids = Vec::new();
        for n in 0..9 {
            let id = id(&db).await;
            let at = NOW.plus(day * n);
            db.transfers().insert(NewTransfer { created_at: at, ..to_site(id, "A") }).await.unwrap();
            ids.push(id);
        }
        let list = async |from: Option<u32>, until: Option<u32>| {
            let time = |n: u32| NOW.plus(day * n);
            let filter = TransferFilter { from: from.map(time), until: until.map(time), ..Default::default() };
            let rows = db.transfers().list(filter, 20).await.unwrap();
            rows.iter().rev().map(|t| ids.iter().position(|id| *id == t.id).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(list(Some(3), Some(5)).await, [3, 4]);
        assert_eq!(list(None, Some(2)).await, [0, 1]);
        assert_eq!(list(Some(7), None).await, [7, 8]);
        assert_eq!(list(Some(20), None).await.len(), 0);
        assert_eq!(list(None, Some(0)).await.len(), 0);
    }

    pub(super) async fn what_is_past_its_latest_date_is_found(house: House) {
        let db = house.open().await;
        let later = |s: u64| NOW.plus(Duration::from_secs(s));
        let mut ids = Vec::new();
        for (end, state) in [(Some(9), None), (Some(5), None), (None, None), (Some(7), Some(State::Cancelled))] {
            let id = id(&db).await;
            db.transfers().insert(NewTransfer { not_after: end.map(later), ..to_site(id, "B") }).await.unwrap();
            if let Some(state) = state {
                db.transfers().apply(TransferChange::to(id, state, NOW)).await.unwrap();
            }
            ids.push(id);
        }
        let found = async |at| {
            let rows = db.transfers().overdue(later(at), 9).await.unwrap();
            rows.into_iter().map(|t| t.id).collect::<Vec<_>>()
        };
        assert_eq!(found(9).await, [ids[1], ids[0]], "the longest first, what is over is not waiting");
        assert_eq!(found(8).await, [ids[1]]);
        assert!(found(4).await.is_empty());
    }

    pub(super) async fn what_was_fetched_is_found_by_its_key(house: House) {
        let db = house.open().await;
        let mut ids = Vec::new();
        for (site, key) in [("B", Some("k")), ("C", Some("k")), ("B", None), ("B", Some("k")), ("B", Some("other"))] {
            let id = id(&db).await;
            let new = NewTransfer { site: site.to_owned(), message_id: key.map(str::to_owned), ..upload(id, "f") };
            db.transfers().insert(new).await.unwrap();
            ids.push(id);
        }
        let found = db.transfers().of_message("k", "B").await.unwrap();
        assert_eq!(found.into_iter().map(|t| t.id).collect::<Vec<_>>(), [ids[3], ids[0]], "the newest first");
        assert!(db.transfers().of_message("none", "B").await.unwrap().is_empty());
    }

    pub(super) async fn old_looks_are_forgotten(house: House) {
        let db = house.open().await;
        let request = id(&db).await;
        let fetch = NewTransfer { direction: Direction::In, kind: TransferType::Multi, ..to_site(request, "B") };
        db.transfers().insert(fetch).await.unwrap();
        for _ in 0..5 {
            let query = DueQuery { site: Some("B".to_owned()), now: NOW, limit: 1, node: "n1".to_owned() };
            assert_eq!(
                db.transfers().take_due(query).await.unwrap().len(),
                1,
                "what is fetched is due as what is sent"
            );
            db.transfers().apply(TransferChange::to(request, State::ToRestart, NOW)).await.unwrap();
        }
        db.transfers().forget_steps(request, 3).await.unwrap().done().await.unwrap();
        let steps: Vec<i64> = db.transfers().steps(request).await.unwrap().iter().map(|step| step.n).collect();
        assert_eq!(steps, [1, 9, 10, 11], "its beginning and the last ones stay");
    }
}
