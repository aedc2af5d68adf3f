//! Routing: once, with its reasons, and again after a failure.

use db::{Mode, RouteState, State};
use model::{Kind, ObjectState};

use super::house::*;
use crate::{Cause, Why};

#[tokio::test]
async fn a_settled_upload_becomes_a_delivery_with_its_reasons() {
    let house = House::new().await;
    let (received, sent) = house.put_and_route("/in/x", b"hello").await;
    let (r, s) = (house.get(received).await, house.get(sent).await);
    assert_eq!((r.route_state, r.full_state()), (RouteState::Routed, "ended"));
    assert_eq!((s.state, s.mode, s.site.as_str(), s.file_name.as_str()), (State::ToBegin, Mode::Initiator, "B", "x"));
    assert_eq!((s.payload, s.size, s.route_from), (r.payload, Some(5), Some(received)));
    assert_eq!(Why::of(&s).rule, "CGATE GA");
    let story = house.engine.why(sent).await.unwrap();
    assert_eq!((story.rule.as_str(), story.route_from), ("CGATE GA", Some(received)));
    assert!(story.next_step.contains("waits for a connection to site B"), "{}", story.next_step);
    let story = house.engine.why(received).await.unwrap();
    assert_eq!(story.route_to, [sent]);
    assert!(story.lines().iter().any(|l| l.contains("forwarded by transfer")));
}

#[tokio::test]
async fn routing_twice_makes_one_delivery() {
    let house = House::new().await;
    let id = house.put(&partner("A"), "/in/x", b"x").await.transfer.unwrap();
    house.advance(3);
    let (one, two) = tokio::join!(house.engine.route_due(), house.engine.route_due());
    one.unwrap();
    two.unwrap();
    assert_eq!(house.engine.db().transfers().routed_to(id).await.unwrap().len(), 1);
    assert_eq!(house.engine.reroute(id).await.unwrap_err().cause, Cause::Invalid, "it was routed");
    assert_eq!(house.all().await.len(), 2);
}

#[tokio::test] // TRF-14
async fn a_failed_routing_keeps_the_file_and_is_repeated() {
    let house = House::with(&[(
        Kind::Cgate,
        "GA",
        &[("cgategroup", "PARTNERS"), ("login_user", "a"), ("route_remote_agent", "NOBODY")],
    )])
    .await;
    let a = partner("A");
    let id = house.put(&a, "/in/x", b"x").await.transfer.unwrap();
    house.advance(3);
    house.engine.route_due().await.unwrap();
    let t = house.get(id).await;
    assert_eq!(t.route_state, RouteState::Failed);
    assert!(t.err.contains("NOBODY"), "{}", t.err);
    assert_eq!(house.fetch(&a, "/in/x").await.unwrap().0, b"x", "the file is kept");
    assert!(house.engine.why(id).await.unwrap().next_step.contains("route it again"));
    create(house.engine.db(), (Kind::RemoteSite, "NOBODY", &[("dest_address", "n.example/22"), ("login_ident", "g")]))
        .await;
    house.engine.reload().await.unwrap();
    let made = house.engine.reroute(id).await.unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!(house.get(made[0]).await.site, "NOBODY");
    assert_eq!(house.get(id).await.route_state, RouteState::Routed);
}

#[tokio::test]
async fn nothing_matched_is_said_and_explained() {
    let house = House::with(&[(Kind::Cgate, "GA", &[("cgategroup", "PARTNERS"), ("login_user", "a")])]).await;
    let id = house.put(&partner("A"), "/in/x", b"x").await.transfer.unwrap();
    let before = house.engine.explain_route_of(id).await.unwrap();
    house.advance(3);
    house.engine.route_due().await.unwrap();
    let t = house.get(id).await;
    assert_eq!(t.route_state, RouteState::NotRouted);
    assert_eq!(before.result, Ok(Vec::new()), "explain says the same beforehand");
    assert_eq!(house.engine.explain_route_of(id).await.unwrap(), before);
}

#[tokio::test]
async fn a_site_without_address_gets_the_file_put_at_its_disposal() {
    let house = House::new().await;
    let id = house.put(&partner("A"), "/in/x", b"for C").await.transfer.unwrap();
    let to = model::Delivery {
        site: "C".to_owned(),
        file_name: "y".to_owned(),
        dir_name: "out".to_owned(),
        appli: None,
        rule: "DECISION_RULE R".to_owned(),
        rule_object: base::ObjectId(7),
        priority: 0,
        link: true,
        parameters: [String::new(), String::new()],
    };
    let new = house.engine.delivery(&house.get(id).await, &to, &Why::default(), BEGIN).await.unwrap();
    assert_eq!((new.mode, new.dir_name.as_str(), new.listed), (Mode::Responder, "/out", true));
    house.engine.db().transfers().insert(new).await.unwrap();
    assert_eq!(house.fetch(&partner("C"), "/out/y").await.unwrap(), (b"for C".to_vec(), true));
}

#[tokio::test]
async fn a_change_of_configuration_is_used_by_the_next_routing() {
    let house = House::new().await;
    let before = house.engine.snapshot().revision;
    house.set_state(Kind::RemoteSite, "C", ObjectState::Disabled).await;
    assert!(house.engine.snapshot().revision > before);
    assert!(!house.engine.snapshot().site("C").unwrap().enabled);
}

#[tokio::test]
async fn the_routing_task_routes_what_has_settled() {
    let house = House::new().await;
    let task = tokio::spawn(crate::run_routing(house.engine.clone()));
    let mut events = house.engine.events();
    house.put(&partner("A"), "/in/x", b"x").await;
    house.advance(3);
    house.engine.wake();
    let routed = async { while events.recv().await.unwrap().name() != "routed" {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), routed).await.unwrap();
    house.engine.shutdown();
    task.await.unwrap();
    assert_eq!(house.all().await.len(), 2);
}
