//! kill -9 at each step of receive, route, deliver: nothing is lost, doubled or half visible (TRF-4, OBJ-34).

use bytes::Bytes;
use db::{RouteState, State};

use super::house::*;
use crate::sync::lock;

#[tokio::test]
async fn while_a_file_arrives() {
    let mut house = House::new().await;
    let a = partner("A");
    let data = content(400_000);
    let mut file = house.begin(&a, "/in/x", NEW).await.unwrap();
    let id = file.id().unwrap();
    file.write_at(0, Bytes::copy_from_slice(&data[..250_000])).await.unwrap();
    file.sync().await.unwrap();
    file.write_at(250_000, Bytes::copy_from_slice(&data[250_000..300_000])).await.unwrap();
    file.die().await;
    house.crash().await;
    assert_eq!(house.engine.recovered().interrupted, 1);
    let t = house.get(id).await;
    assert_eq!((t.state, t.done_octets), (State::Interrupted, 250_000));
    assert_eq!(house.names(&a, "/in").await, Vec::<String>::new());
    let mut rest = house.begin(&a, "/in/x", RESUME).await.unwrap();
    assert_eq!(rest.size(), 250_000, "what was durable");
    rest.write_at(250_000, Bytes::copy_from_slice(&data[250_000..])).await.unwrap();
    let done = rest.commit().await.unwrap();
    assert_eq!((done.transfer, done.sha256), (Some(id), Some(crate::sha256(&data))));
}

#[tokio::test]
async fn before_anything_was_durable() {
    let mut house = House::new().await;
    let a = partner("A");
    let mut file = house.begin(&a, "/in/x", NEW).await.unwrap();
    file.write_at(0, Bytes::from_static(b"lost")).await.unwrap();
    file.die().await;
    house.crash().await;
    assert!(house.all().await.iter().all(|t| t.state == State::Interrupted), "or no record at all");
    house.put(&a, "/in/x", b"whole").await;
    assert_eq!(house.fetch(&a, "/in/x").await.unwrap().0, b"whole");
}

#[tokio::test]
async fn between_commit_of_the_file_and_of_its_record() {
    let mut house = House::new().await;
    let a = partner("A");
    let data = content(100_000);
    let mut file = house.begin(&a, "/in/x", NEW).await.unwrap();
    let id = file.id().unwrap();
    file.write_at(0, Bytes::from(data.clone())).await.unwrap();
    file.sync().await.unwrap();
    let payload = house.get(id).await.payload.unwrap();
    let row = house.engine.db().payloads().get(payload).await.unwrap().unwrap();
    file.die().await;
    house.crash().await;
    // What the dead program did last.
    let uuid = row.file_uuid.unwrap().parse().unwrap();
    let saved = crate::store::Saved { durable_to: 100_000, state: row.hash_state.unwrap_or_default() };
    let crate::store::Resumed::Staged(staged) = house.engine.store().resume(uuid, &saved).await.unwrap() else {
        panic!()
    };
    house.engine.store().commit(staged).await.unwrap();
    house.crash().await;
    assert_eq!(house.get(id).await.state, State::Interrupted, "never ended: its partner was told nothing");
    assert_eq!(house.engine.stat(&a, &at("/in/x")).await.unwrap().size, 100_000);
    let rest = house.begin(&a, "/in/x", RESUME).await.unwrap();
    assert_eq!(rest.size(), 100_000);
    let done = rest.commit().await.unwrap();
    assert_eq!((done.transfer, done.sha256), (Some(id), Some(crate::sha256(&data))));
    assert_eq!(house.fetch(&a, "/in/x").await.unwrap().0, data);
}

#[tokio::test]
async fn after_the_commit_and_before_routing() {
    let mut house = House::new().await;
    let id = house.put(&partner("A"), "/in/x", b"x").await.transfer.unwrap();
    house.crash().await;
    assert_eq!(house.get(id).await.route_state, RouteState::ToRoute);
    house.advance(3);
    assert_eq!(house.engine.route_due().await.unwrap(), 1);
    house.crash().await;
    assert_eq!(house.engine.route_due().await.unwrap(), 0);
    assert_eq!(house.all().await.len(), 2, "routed once");
}

#[tokio::test] // DESIGN 1.18
async fn while_a_file_is_sent() {
    // Before its last step was noted nothing can have arrived: it is tried again. Afterwards the partner tells.
    for (act, maybe_delivered) in [(Act::Hold, false), (Act::HoldLast, true)] {
        killed_while_sending(act, maybe_delivered).await;
    }
}

async fn killed_while_sending(act: Act, maybe_delivered: bool) {
    let mut house = House::new().await;
    let (_, id) = house.put_and_route("/in/x", b"once").await;
    let carrier = Pretender::new(&[act]);
    let dead = Running::start(&house, &carrier);
    until("it is being sent", async || lock(&carrier.seen).len() == 1).await;
    if maybe_delivered {
        carrier.held.acquire().await.unwrap().forget();
    }
    assert_eq!(house.get(id).await.state, State::Processing);
    let old = house.engine.clone();
    house.crash().await;
    assert_eq!(house.engine.recovered().restarted, 1);
    let t = house.get(id).await;
    assert_eq!((t.state, t.retries), (State::ToRestart, 0));
    let second = Pretender::new(&[]);
    let mut running = Running::start(&house, &second);
    running.event("delivered").await;
    running.stop().await;
    let seen = lock(&second.seen)[0].clone();
    assert!(seen.tried_before, "go on with what is under the temporary name");
    assert_eq!(seen.maybe_delivered, maybe_delivered, "look for the final name, too");
    assert_eq!(seen.temp_name, lock(&carrier.seen)[0].temp_name);
    // The dead one comes to an end without a word that counts.
    carrier.gate.add_permits(1);
    old.shutdown();
    drop(dead);
    assert_eq!(house.get(id).await.state, State::Ended);
}

#[tokio::test]
async fn while_a_partner_fetches() {
    let mut house = House::new().await;
    let a = partner("A");
    let id = house.offer("A", "r", &content(5000)).await;
    let mut file = house.engine.open_read(&a, &at("/out/r")).await.unwrap();
    file.read_at(0, 4000).await.unwrap();
    until("recorded", async || house.get(id).await.state == State::Servicing).await;
    std::mem::forget(file);
    house.crash().await;
    assert_ne!(house.get(id).await.state, State::Ended);
    assert_eq!(house.names(&a, "/out").await, ["r"], "still there");
    assert_eq!(house.fetch(&a, "/out/r").await.unwrap(), (content(5000), true));
}
