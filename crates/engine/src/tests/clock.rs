//! Clocks that jump while files are received, routed and delivered (DESIGN 1.19, TRF-5).

use db::{RouteState, State};

use super::house::*;
use crate::sync::lock;
use crate::{Cause, JobOutcome, TransferError};

const DAY: i64 = 24 * 3600;
/// Readings of the clock from an upload to the end of its delivery, and some more.
const READINGS_MAX: i64 = 60;

#[tokio::test]
async fn a_file_settles_and_waits_for_its_next_try_as_long_as_ever() {
    for jumps in [[-DAY, -DAY], [-30, 0], [DAY, -DAY], [-DAY, DAY], [DAY, DAY]] {
        let house = House::new().await;
        let a = partner("A");
        let id = house.put(&a, "/in/x", b"once").await.transfer.unwrap();
        house.clock.set(jumps[0]);
        if jumps[0] < 0 {
            house.engine.route_due().await.unwrap();
            assert_eq!(house.get(id).await.route_state, RouteState::ToRoute, "{jumps:?}: still settling");
        }
        house.advance(3);
        house.engine.route_due().await.unwrap();
        let made = house.engine.db.transfers().routed_to(id).await.unwrap();
        assert_eq!(made.len(), 1, "{jumps:?}: routed once its settle time is over");

        let fail = JobOutcome::Retry(TransferError::retry(Cause::Partner, "disk quota exceeded"));
        let carrier = Pretender::ending(&[fail]);
        let mut running = Running::start(&house, &carrier);
        running.event("retried").await;
        house.clock.set(jumps[1]);
        house.advance(11);
        house.engine.wake();
        running.event("delivered").await;
        running.stop().await;
        assert_eq!(lock(&carrier.seen).len(), 2, "{jumps:?}");
        assert_eq!(house.get(made[0]).await.state, State::Ended);
        assert_eq!(house.all().await.len(), 2, "{jumps:?}: nothing doubled");
    }
}

#[tokio::test] // TRF-5
async fn dates_stay_dates() {
    let house = House::new().await;
    let at = base::Clock::now(&*house.clock).plus(std::time::Duration::from_secs(100));
    let request = crate::Request { not_before: Some(at), ..house.request("B", "x", b"x") };
    let id = house.engine.submit(request).await.unwrap();
    house.clock.set(-DAY);
    house.advance(101);
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    until("looked at", async || house.engine.site_status("B").failures == 0).await;
    assert_eq!(house.get(id).await.state, State::Delayed, "its day has not come");
    house.clock.set(DAY);
    house.engine.wake();
    running.event("delivered").await;
    running.stop().await;
}

#[tokio::test]
async fn a_crash_between_two_times_loses_nothing() {
    for jump in [-DAY, DAY] {
        let mut house = House::new().await;
        let (_, id) = house.put_and_route("/in/x", b"once").await;
        let carrier = Pretender::new(&[Act::Hold]);
        let dead = Running::start(&house, &carrier);
        until("it is being sent", async || lock(&carrier.seen).len() == 1).await;
        house.clock.set(jump);
        house.crash().await;
        let second = Pretender::new(&[]);
        let mut running = Running::start(&house, &second);
        running.event("delivered").await;
        running.stop().await;
        assert_eq!(house.get(id).await.state, State::Ended, "{jump}");
        carrier.gate.add_permits(1);
        drop(dead);
    }
}

/// The clock jumps at each single reading of it, from the upload to the end of the delivery.
#[tokio::test]
async fn each_reading_of_the_clock_jumps_once() {
    for by in [-DAY, DAY] {
        let house = House::new().await;
        let mut n = 1;
        // A busy machine looks at the clock more often while it waits.
        while n < READINGS_MAX && one_jump(&house, n, by).await {
            n += 1;
        }
        assert!(n > 10, "{n} readings");
    }
}

/// Sends a file through while the clock jumps at reading `n`. Gives whether it came so far.
async fn one_jump(house: &House, n: i64, by: i64) -> bool {
    house.clock.set_at(n, by);
    let (told, path) = (format!("reading {n} by {by}"), format!("/in/f{n}"));
    let received = house.put(&partner("A"), &path, b"once").await.transfer.unwrap();
    house.advance(3);
    let made = async || house.engine.db.transfers().routed_to(received).await.unwrap();
    // One that jumps between the two looks at it waits for the next round.
    for _ in 0..2 {
        house.engine.route_due().await.unwrap();
    }
    let made = made().await;
    assert_eq!(made.len(), 1, "{told}: routed when its settle time is over");
    let carrier = Pretender::new(&[]);
    let running = Running::start(house, &carrier);
    until("it is delivered", async || {
        house.engine.wake();
        house.get(made[0]).await.state == State::Ended
    })
    .await;
    running.end().await;
    assert_eq!(lock(&carrier.seen).len(), 1, "{told}: once");
    let of_it = house.all().await.iter().filter(|t| t.id == received || t.route_from == Some(received)).count();
    assert_eq!(of_it, 2, "{told}: nothing doubled");
    house.clock.was_set()
}
