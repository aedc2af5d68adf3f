//! Several gateways on one database: who is there, who has what, and that nobody ends what another one goes on with.

use std::time::Duration;

use base::{PayloadId, TransferId};
use db::*;

use crate::house::{House, NOW, actor, on_both};

/// Declared gone with the first look of another node: the database's clock moves in between.
const NONE: Duration = Duration::ZERO;
pub(crate) const LONG: Duration = Duration::from_secs(600);

pub(crate) fn node(id: &str, lease: Duration) -> NewNode {
    NewNode {
        id: id.to_owned(),
        name: id.to_owned(),
        home: format!("home of {id}"),
        host: "host".to_owned(),
        version: "1".to_owned(),
        lease,
        first: true,
    }
}

async fn begun(db: &Db, owner: &str) -> TransferId {
    let id = db.transfers().next_id().await.unwrap();
    let new = NewTransfer { site: "A".to_owned(), ..NewTransfer::outgoing(id, "SFTP", NOW) };
    db.transfers().insert(new).await.unwrap();
    let query = DueQuery { site: Some("A".to_owned()), now: NOW, limit: 1, node: owner.to_owned() };
    assert_eq!(db.transfers().take_due(query).await.unwrap()[0].id, id);
    id
}

pub(crate) async fn coming(db: &Db, owner: &str) -> TransferId {
    let id = db.transfers().next_id().await.unwrap();
    let node = Some(owner.to_owned());
    db.transfers().insert(NewTransfer { node, ..NewTransfer::incoming(id, "SFTP", NOW) }).await.unwrap();
    id
}

fn ended(id: TransferId, owner: &str) -> TransferChange {
    TransferChange { owner: Some(owner.to_owned()), ..TransferChange::to(id, State::Ended, NOW) }
}

pub(crate) fn whole(id: TransferId, owner: &str) -> CommitReceived {
    CommitReceived {
        id,
        payload: NewPayload { id: PayloadId(id.0), body: PayloadBody::Inline(vec![1; 40]), size: 12, sha256: None },
        to: State::Ended,
        route_state: RouteState::ToRoute,
        route_after: NOW,
        at: NOW,
        note: String::new(),
        owner: Some(owner.to_owned()),
    }
}

async fn state(db: &Db, id: TransferId) -> (State, Option<String>) {
    let t = db.transfers().get(id).await.unwrap().unwrap();
    (t.state, t.node)
}

async fn on_postgres(test: &str) -> Option<(House, Db, Db)> {
    let house = House::all(test).await.into_iter().nth(1)?;
    let (a, b) = (house.open().await, house.open().await);
    Some((house, a, b))
}

on_both! {
    a_start_finds_what_its_predecessor_had;
    what_was_taken_over_is_not_ended_by_the_one_before;
    nodes_are_listed_with_what_they_have;
    places_duties_and_requests_are_shared;
    uploads_into_a_store_are_written_down;
}

mod bodies {
    use super::*;

    // TRF-4: a node's successor need not wait for the lease.
    pub(super) async fn a_start_finds_what_its_predecessor_had(house: House) {
        let db = house.open().await;
        db.nodes().register(node("a1", LONG)).await.unwrap();
        let (out, into) = (begun(&db, "a1").await, coming(&db, "a1").await);
        assert_eq!(db.transfers().recover(NOW).await.unwrap(), [], "its node is there");
        let successor = NewNode { id: "a2".to_owned(), ..node("a1", LONG) };
        db.nodes().register(successor).await.unwrap();
        assert_eq!(db.transfers().recover(NOW).await.unwrap(), [out, into]);
        assert_eq!(state(&db, out).await, (State::ToRestart, None));
        assert_eq!(state(&db, into).await, (State::Interrupted, None));
        assert!(!db.nodes().beat("a1").await.unwrap() && db.nodes().beat("a2").await.unwrap());
    }

    // Fencing: each write of an outcome names the hands that it comes from.
    pub(super) async fn what_was_taken_over_is_not_ended_by_the_one_before(house: House) {
        let db = house.open().await;
        db.nodes().register(node("a1", LONG)).await.unwrap();
        let (out, into) = (begun(&db, "a1").await, coming(&db, "a1").await);
        db.nodes().register(NewNode { id: "a2".to_owned(), ..node("a1", LONG) }).await.unwrap();
        db.transfers().recover(NOW).await.unwrap();
        let late = db.transfers().apply(ended(out, "a1")).await;
        assert_eq!(late, Err(DbError::TakenOver { id: out }));
        let again = DueQuery { site: Some("A".to_owned()), now: NOW, limit: 1, node: "a2".to_owned() };
        assert_eq!(db.transfers().take_due(again).await.unwrap().len(), 1);
        for late in [
            db.transfers().apply(ended(out, "a1")).await.map(drop),
            db.transfers().note(out, "a1".to_owned(), "{}".to_owned()).await,
        ] {
            assert_eq!(late, Err(DbError::TakenOver { id: out }));
        }
        assert_eq!(db.transfers().commit_received(whole(into, "a1")).await, Err(DbError::TakenOver { id: into }));
        assert_eq!(state(&db, out).await, (State::Processing, Some("a2".to_owned())));
        db.transfers().note(out, "a2".to_owned(), "{}".to_owned()).await.unwrap();
        db.transfers().apply(ended(out, "a2")).await.unwrap();
        let steps: Vec<_> = db.transfers().steps(out).await.unwrap().iter().map(|s| s.to.letter()).collect();
        assert_eq!(steps, ["B", "P", "R", "P", "E"]);
        assert_eq!(db.payloads().get(PayloadId(into.0)).await.unwrap(), None, "nothing of the late commit stays");
    }

    pub(super) async fn nodes_are_listed_with_what_they_have(house: House) {
        let db = house.open().await;
        db.nodes().register(node("a1", LONG)).await.unwrap();
        begun(&db, "a1").await;
        coming(&db, "a1").await;
        let rows = db.nodes().list().await.unwrap();
        let row = &rows[0];
        assert_eq!((row.name.as_str(), row.state, row.sending, row.serving), ("a1", NodeState::Up, 1, 1));
        assert!(row.silent < LONG);
        assert_eq!(db.nodes().others("a1").await.unwrap(), [""; 0]);
        db.nodes().leave("a1").await.unwrap();
        assert_eq!(db.nodes().list().await.unwrap()[0].state, NodeState::Left);
    }

    pub(super) async fn places_duties_and_requests_are_shared(house: House) {
        let (a, b) = (house.open().await, house.open().await);
        a.nodes().register(node("a", NONE)).await.unwrap();
        b.nodes().register(node("b", LONG)).await.unwrap();
        assert_eq!(a.nodes().take_place("S", 2, "a").await.unwrap(), Some(0));
        assert_eq!(b.nodes().take_place("S", 2, "b").await.unwrap(), Some(1));
        assert_eq!(b.nodes().take_place("S", 2, "b").await.unwrap(), None, "TRF-8 over all nodes");
        assert_eq!(b.nodes().take_place("T", 1, "b").await.unwrap(), Some(0));
        b.nodes().leave_place("S", 1, "b").await.unwrap().done().await.unwrap();
        assert_eq!(a.nodes().take_place("S", 2, "a").await.unwrap(), Some(1));
        let out = begun(&a, "a").await;
        assert_eq!((a.nodes().held("a").await.unwrap(), b.nodes().held("b").await.unwrap()), (vec![out], vec![]));
        b.nodes().ask(out, "S", NOW).await.unwrap();
        assert_eq!(a.nodes().asked("a").await.unwrap(), [(out, "S".to_owned())]);
        assert_eq!(b.nodes().asked("b").await.unwrap(), []);
        b.nodes().switch_site("S", false, "by an operator").await.unwrap();
        b.nodes().switch_site("S", true, "").await.unwrap();
        let switch = SiteSwitch { site: "S".to_owned(), active: true, seq: 2, text: String::new() };
        assert_eq!(a.nodes().switches().await.unwrap(), [switch]);
        assert_eq!(a.nodes().name_of("b").await.unwrap().as_deref(), Some("b"));
        assert!(a.nodes().take_duty("tidy", "a", LONG).await.unwrap());
        if a.nodes().are_possible() {
            assert!(!b.nodes().take_duty("tidy", "b", LONG).await.unwrap(), "one at a time");
            b.nodes().take_over("b", NOW).await.unwrap();
            assert_eq!(b.nodes().take_place("S", 2, "b").await.unwrap(), Some(0), "places of a lost node are free");
            assert!(b.nodes().take_duty("tidy", "b", LONG).await.unwrap(), "and so are its duties");
        }
        a.nodes().answered(out).await.unwrap().done().await.unwrap();
        assert_eq!(a.nodes().asked("a").await.unwrap(), []);
    }

    pub(super) async fn uploads_into_a_store_are_written_down(house: House) {
        let db = house.open().await;
        db.nodes().register(node("a", LONG)).await.unwrap();
        for (uuid, by) in [("u1", "a"), ("u2", "one that is gone")] {
            db.uploads().begin(uuid, by).await.unwrap();
            db.uploads().begun(uuid, "number").await.unwrap();
        }
        assert_eq!(db.uploads().left("a").await.unwrap(), ["u1", "u2"], "its own, and those of nobody");
        assert_eq!(db.uploads().left("b").await.unwrap(), ["u2"]);
        db.uploads().ended("u1").await.unwrap();
        let late = db.uploads().begun("u1", "number").await;
        assert!(matches!(late, Err(DbError::NotFound { .. })), "another node has given it up: {late:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_node_is_declared_gone_and_its_work_goes_on() {
    let Some((_house, a, b)) = on_postgres("late_node").await else { return };
    a.nodes().register(node("a", NONE)).await.unwrap();
    b.nodes().register(node("b", LONG)).await.unwrap();
    let (out, into) = (begun(&a, "a").await, coming(&a, "a").await);
    let mine = begun(&b, "b").await;
    let taken = b.nodes().take_over("b", NOW).await.unwrap();
    assert_eq!(taken, TakenOver { nodes: vec!["a".to_owned()], transfers: vec![out, into] });
    assert_eq!(b.nodes().take_over("b", NOW).await.unwrap(), TakenOver::default());
    assert!(!a.nodes().beat("a").await.unwrap(), "it hears that it is gone");
    assert_eq!(a.transfers().apply(ended(out, "a")).await, Err(DbError::TakenOver { id: out }));
    assert_eq!(state(&b, mine).await, (State::Processing, Some("b".to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_of_one_name_do_not_run_together() {
    let Some((_house, a, b)) = on_postgres("node_names").await else { return };
    a.nodes().register(node("a", LONG)).await.unwrap();
    let other = NewNode { id: "b".to_owned(), home: "elsewhere".to_owned(), ..node("a", LONG) };
    let refused = b.nodes().register(other.clone()).await;
    assert_eq!(refused, Err(DbError::NodeNamed { name: "a".to_owned(), host: "host".to_owned() }));
    // One that lost its lease does not push another one of its data folder aside: that would never end.
    let again = NewNode { id: "c".to_owned(), first: false, ..node("a", LONG) };
    assert!(matches!(b.nodes().register(again).await, Err(DbError::NodeNamed { .. })));
    a.nodes().leave("a").await.unwrap();
    b.nodes().register(other).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_changes_the_other_hears() {
    let Some((_house, a, b)) = on_postgres("node_notices").await else { return };
    let mut heard = b.notices();
    // The first two say only that it listens now.
    assert_eq!((heard.recv().await, heard.recv().await), (Some(Notice::Config), Some(Notice::Work)));
    a.nodes().tell(Notice::Work).await.unwrap();
    assert_eq!(heard.recv().await, Some(Notice::Work));
    let new = NewObject {
        uid: "ab".to_owned(),
        kind: model::Kind::VfdDir,
        name: "/in".to_owned(),
        group: String::new(),
        state: model::ObjectState::Enabled,
        body: model::Body::new(),
        secrets: Vec::new(),
        references: Vec::new(),
        credential: None,
    };
    a.objects().create(new, &actor()).await.unwrap();
    assert_eq!(heard.recv().await, Some(Notice::Config));
    assert_eq!(b.objects().revision().await.unwrap(), a.objects().revision().await.unwrap());
}

/// Many takers at the same time, of one queue, on connections of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_nodes_take_one_transfer() {
    let Some((_house, a, b)) = on_postgres("node_queue").await else { return };
    let mut all = Vec::new();
    for _ in 0..200 {
        let id = a.transfers().next_id().await.unwrap();
        let new = NewTransfer { site: "A".to_owned(), ..NewTransfer::outgoing(id, "SFTP", NOW) };
        all.push(a.transfers().insert_lazy(new).await.unwrap());
    }
    for inserted in all {
        inserted.done().await.unwrap();
    }
    let take = async |db: &Db, node: &str| {
        let mut mine = Vec::new();
        loop {
            let query = DueQuery { site: Some("A".to_owned()), now: NOW, limit: 3, node: node.to_owned() };
            let some = db.transfers().take_due(query).await.unwrap();
            if some.is_empty() {
                return mine;
            }
            mine.extend(some.into_iter().map(|t| t.id));
        }
    };
    let (mut one, other) = tokio::join!(take(&a, "a"), take(&b, "b"));
    one.extend(other);
    one.sort_unstable();
    let count = one.len();
    one.dedup();
    assert_eq!((one.len(), count), (200, 200), "each was taken once");
}

/// Lock-out and the chain of the audit, written by both at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lock_out_and_audit_are_one_for_all() {
    let Some((_house, a, b)) = on_postgres("node_audit").await else { return };
    let policy = BlockPolicy { fails_max: 4, window: LONG, lockout: LONG };
    for db in [&a, &b, &a] {
        assert_eq!(db.login_blocks().failed("G", "192.0.2.1", NOW, policy).await.unwrap(), None);
    }
    assert!(b.login_blocks().failed("G", "192.0.2.1", NOW, policy).await.unwrap().is_some());
    assert!(a.login_blocks().blocked("G", "192.0.2.1", NOW).await.unwrap().is_some());
    let write = async |db: &Db, by: &str| {
        for n in 0..40 {
            let entry = Entry {
                tag: None,
                actor: actor(),
                action: format!("{by} {n}"),
                result: AuditResult::Success,
                kind: String::new(),
                name: String::new(),
                before_json: None,
                after_json: None,
            };
            db.audit().append(entry).await.unwrap();
        }
    };
    tokio::join!(write(&a, "a"), write(&b, "b"));
    let report = b.audit().verify().await.unwrap();
    assert_eq!((report.fault, report.entries), (None, 80));
}
