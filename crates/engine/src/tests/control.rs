//! What operators do to transfers (TRF-3, TRF-5, TRF-6).

use base::Clock;
use bytes::Bytes;
use db::State;
use std::time::Duration;

use super::house::*;
use crate::sync::lock;
use crate::{Cause, Control};

#[tokio::test]
async fn waiting_requests_are_paused_restarted_cancelled() {
    let house = House::new().await;
    let id = house.engine.submit(house.request("B", "x", b"x")).await.unwrap();
    let control = async |action| house.engine.control(id, action, &actor()).await;
    assert_eq!(control(Control::Suspend).await, Ok(State::Suspended));
    assert_eq!(control(Control::Suspend).await.unwrap_err().cause, Cause::Invalid, "twice");
    assert_eq!(house.get(id).await.state, State::Suspended, "and nothing changed");
    assert_eq!(control(Control::Restart).await, Ok(State::ToBegin));
    assert_eq!(control(Control::Restart).await.unwrap_err().cause, Cause::Invalid);
    assert_eq!(control(Control::Cancel).await, Ok(State::Cancelled));
    for action in [Control::Suspend, Control::Restart, Control::Cancel] {
        assert_eq!(control(action).await.unwrap_err().cause, Cause::Invalid, "{action:?} after the end");
    }
    let nobody = house.engine.control(base::TransferId(999_999), Control::Cancel, &actor()).await;
    assert_eq!(nobody.unwrap_err().cause, Cause::NotFound);
}

#[tokio::test] // TRF-6
async fn frozen_requests_wait_for_a_restart() {
    let house = House::new().await;
    let frozen = crate::Request { frozen: true, ..house.request("B", "x", b"x") };
    let id = house.engine.submit(frozen).await.unwrap();
    assert_eq!(house.get(id).await.state, State::Frozen);
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    let other = house.engine.submit(house.request("B", "y", b"y")).await.unwrap();
    running.event("delivered").await;
    assert_eq!(carrier.ids(), [other]);
    house.engine.control(id, Control::Restart, &actor()).await.unwrap();
    running.event("delivered").await;
    running.stop().await;
    assert_eq!(carrier.ids(), [other, id]);
}

#[tokio::test] // TRF-5
async fn dates_hold_and_end_requests() {
    let house = House::new().await;
    let now = house.clock.now();
    let later = |s| Some(now.plus(Duration::from_secs(s)));
    let early = crate::Request { not_before: later(100), ..house.request("B", "early", b"x") };
    let early = house.engine.submit(early).await.unwrap();
    assert_eq!(house.get(early).await.state, State::Delayed);
    let over = crate::Request { not_after: later(50), ..house.request("C2", "over", b"x") };
    assert_eq!(house.engine.submit(over.clone()).await.unwrap_err().cause, Cause::NotFound, "no such site");
    let over = crate::Request { frozen: true, site: "B".to_owned(), ..over };
    let over = house.engine.submit(over).await.unwrap();
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    house.advance(70);
    house.engine.wake();
    running.event("cancelled").await;
    assert_eq!(house.get(over).await.state, State::Cancelled);
    assert_eq!(house.get(early).await.state, State::Delayed);
    house.advance(30);
    house.engine.wake();
    running.event("delivered").await;
    running.stop().await;
    assert_eq!(carrier.ids(), [early]);
    let past = crate::Request { not_after: Some(now), ..house.request("B", "past", b"x") };
    assert_eq!(house.engine.submit(past).await.unwrap_err().cause, Cause::Invalid);
}

#[tokio::test] // TRF-5: also while it runs
async fn a_running_transfer_past_its_end_date_is_cancelled() {
    let house = House::new().await;
    let request = crate::Request {
        not_after: Some(house.clock.now().plus(Duration::from_secs(50))),
        ..house.request("B", "x", b"x")
    };
    let id = house.engine.submit(request).await.unwrap();
    let carrier = Pretender::new(&[Act::Hold]);
    let mut running = Running::start(&house, &carrier);
    until("it runs", async || lock(&carrier.seen).len() == 1).await;
    house.advance(50);
    running.event("failed").await;
    running.stop().await;
    assert_eq!(house.get(id).await.state, State::Cancelled);
}

#[tokio::test]
async fn a_running_delivery_is_stopped_and_goes_on_later() {
    let house = House::new().await;
    let id = house.engine.submit(house.request("B", "x", b"x")).await.unwrap();
    let carrier = Pretender::new(&[Act::Hold]);
    let mut running = Running::start(&house, &carrier);
    until("it runs", async || lock(&carrier.seen).len() == 1).await;
    assert_eq!(house.engine.control(id, Control::Suspend, &actor()).await, Ok(State::Suspended));
    running.event("suspended").await;
    assert_eq!(house.engine.control(id, Control::Restart, &actor()).await, Ok(State::ToRestart));
    running.event("delivered").await;
    running.stop().await;
    assert_eq!(house.get(id).await.state, State::Ended);
    assert!(!lock(&carrier.seen)[1].maybe_delivered, "it ended in order");
}

#[tokio::test]
async fn a_restart_stops_no_try() {
    // A try that had just begun again took the restart for a wish to stop, and the transfer was suspended.
    let house = House::new().await;
    let id = house.engine.submit(house.request("B", "x", b"x")).await.unwrap();
    let carrier = Pretender::new(&[Act::Break]);
    let mut running = Running::start(&house, &carrier);
    running.event("retried").await;
    until("its end is recorded", async || !lock(&house.engine.running).contains_key(&id)).await;
    let next = std::sync::Arc::new(crate::queue::Running::default());
    lock(&house.engine.running).insert(id, next.clone());
    assert_eq!(house.engine.control(id, Control::Restart, &actor()).await, Ok(State::ToRestart));
    assert_eq!(next.asked(), None);
    running.event("delivered").await;
    running.stop().await;
}

#[tokio::test]
async fn an_upload_is_cancelled_under_its_session() {
    let house = House::new().await;
    let a = partner("A");
    let mut file = house.begin(&a, "/in/x", NEW).await.unwrap();
    let id = file.id().unwrap();
    file.write_at(0, Bytes::from_static(b"x")).await.unwrap();
    file.sync().await.unwrap();
    assert_eq!(house.engine.control(id, Control::Cancel, &actor()).await, Ok(State::Cancelled));
    assert_eq!(file.write_at(1, Bytes::from_static(b"y")).await.unwrap_err().cause, Cause::Denied);
    assert_eq!(file.commit().await.unwrap_err().cause, Cause::Denied);
    assert_eq!(house.get(id).await.state, State::Cancelled);
}
