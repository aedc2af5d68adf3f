//! The queue: delivered once, in order, within limits, again after failures.

use db::State;
use model::Kind;

use super::house::*;
use crate::sync::lock;
use crate::{Cause, Event, JobOutcome, TransferError};

#[tokio::test]
async fn received_routed_delivered() {
    let house = House::new().await;
    let data = content(70_000);
    let (_, id) = house.put_and_route("/in/x", &data).await;
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    let event = running.event("delivered").await;
    assert_eq!(event, Event::Delivered { transfer: id, site: "B".to_owned(), octets: 70_000 });
    running.stop().await;
    let seen = lock(&carrier.seen)[0].clone();
    assert_eq!((seen.name.as_str(), seen.attempt, seen.maybe_delivered), ("x", 1, false));
    assert_eq!(seen.content, data);
    let t = house.get(id).await;
    assert_eq!((t.state, t.done_octets), (State::Ended, 70_000));
    assert!(house.engine.running.lock().unwrap().is_empty());
}

#[tokio::test] // OBJ-6
async fn connection_failures_wait_longer_each_time() {
    let house = House::new().await;
    let (_, id) = house.put_and_route("/in/x", b"x").await;
    let carrier = Pretender::new(&vec![Act::NoConnection; 11]);
    let mut running = Running::start(&house, &carrier);
    let mut waits = Vec::new();
    for _ in 0..11 {
        let Event::SiteFailed { next_s, failures, .. } = running.event("site_failed").await else { panic!() };
        assert_eq!(usize::try_from(failures).unwrap(), waits.len() + 1);
        waits.push(next_s);
        house.advance(next_s.unwrap_or(0));
        house.engine.wake();
    }
    let expected: Vec<Option<u64>> =
        [10, 20, 30, 30, 30, 30, 30, 30, 30, 30].map(Some).into_iter().chain([None]).collect();
    assert_eq!(waits, expected);
    let t = house.get(id).await;
    assert_eq!((t.state, t.retries), (State::ToBegin, 0), "no transfer was tried");
    let story = house.engine.why(id).await.unwrap();
    assert!(story.next_step.contains("site B is stopped (no route to host)"), "{}", story.next_step);
    // OBJ-7
    house.engine.start_site("B").await.unwrap();
    running.event("delivered").await;
    running.stop().await;
    assert_eq!(house.engine.site_status("B").failures, 0);
}

#[tokio::test] // transfers.md section 3
async fn transfer_failures_are_counted_on_the_transfer() {
    let house = House::new().await;
    let (_, id) = house.put_and_route("/in/x", b"x").await;
    let fail = JobOutcome::Retry(TransferError::retry(Cause::Partner, "disk quota exceeded"));
    let carrier = Pretender::ending(&[fail.clone(), fail]);
    let mut running = Running::start(&house, &carrier);
    for (attempt, wait) in [(1, 10), (2, 20)] {
        let event = running.event("retried").await;
        let Event::Retried { attempt: got, text, .. } = event else { panic!() };
        assert_eq!((got, text.as_str()), (attempt, "disk quota exceeded"));
        let t = house.get(id).await;
        assert_eq!((t.state, t.retries), (State::ToRestart, i64::from(attempt)));
        assert_eq!(t.next_try_at.since(base::Clock::now(&*house.clock)).as_secs(), wait);
        house.advance(wait);
        house.engine.wake();
    }
    running.event("delivered").await;
    running.stop().await;
    let seen = lock(&carrier.seen).clone();
    assert_eq!(
        seen.iter().map(|s| (s.attempt, s.maybe_delivered)).collect::<Vec<_>>(),
        [(1, false), (2, false), (3, false)],
        "tries that ended in order left nothing to look for"
    );
    assert_eq!(seen[0].temp_name, seen[2].temp_name, "the same at every try (DESIGN 1.18)");
}

#[tokio::test]
async fn a_transfer_that_used_its_tries_up_waits_for_a_person() {
    let house = House::new().await;
    let fail = JobOutcome::Retry(TransferError::retry(Cause::Partner, "no"));
    let request = crate::Request { retry_count_max: Some(1), ..house.request("B", "x", b"x") };
    let id = house.engine.submit(request).await.unwrap();
    let carrier = Pretender::ending(&[fail.clone(), fail]);
    let mut running = Running::start(&house, &carrier);
    running.event("retried").await;
    house.advance(10);
    house.engine.wake();
    running.event("failed").await;
    let t = house.get(id).await;
    assert_eq!((t.state, t.retries, t.reason), (State::Suspended, 2, 165));
    assert!(house.engine.why(id).await.unwrap().next_step.contains("restart it"));
    house.engine.control(id, crate::Control::Restart, &actor()).await.unwrap();
    running.event("delivered").await;
    running.stop().await;
}

#[tokio::test]
async fn a_parked_job_waits_and_others_go_on() {
    let house = House::new().await;
    let (_, one) = house.put_and_route("/in/1", b"1").await;
    let (_, two) = house.put_and_route("/in/2", b"2").await;
    let park = JobOutcome::Park(TransferError::park(Cause::Exists, "the name is taken at the partner"));
    let carrier = Pretender::ending(&[park]);
    let mut running = Running::start(&house, &carrier);
    running.event("failed").await;
    running.event("delivered").await;
    running.stop().await;
    let mut ends = [house.get(one).await.state, house.get(two).await.state];
    ends.sort();
    assert_eq!(ends, [State::Suspended, State::Ended]);
}

#[tokio::test] // TRF-7
async fn priority_then_order_of_deposit() {
    let house = House::with(&[(
        Kind::RemoteSite,
        "B",
        &[("dest_address", "b.example/22"), ("login_ident", "g"), ("init_conn_max", "1")],
    )])
    .await;
    let mut ids = Vec::new();
    for (name, priority) in [("low", 2), ("first", 1), ("second", 1), ("high", 0)] {
        let request = crate::Request { priority: Some(priority), ..house.request("B", name, b"x") };
        ids.push(house.engine.submit(request).await.unwrap());
    }
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    for _ in 0..4 {
        running.event("delivered").await;
    }
    running.stop().await;
    assert_eq!(carrier.ids(), [ids[3], ids[1], ids[2], ids[0]]);
}

#[tokio::test] // TRF-8
async fn limits_of_the_site_are_kept_and_used() {
    let house = House::new().await;
    for i in 0..6 {
        house.engine.submit(house.request("B", &format!("f{i}"), b"x")).await.unwrap();
    }
    let carrier = Pretender::new(&vec![Act::Hold; 6]);
    let mut running = Running::start(&house, &carrier);
    until("both connections work", async || lock(&carrier.seen).len() == 2).await;
    house.engine.wake();
    assert_eq!(house.engine.outgoing_connections(), 2);
    carrier.gate.add_permits(6);
    for _ in 0..6 {
        running.event("delivered").await;
    }
    running.stop().await;
    assert_eq!(*lock(&carrier.most), 2, "init_conn_max of B");
    assert_eq!(house.engine.outgoing_connections(), 0);
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_failure_of_its_job() {
    for (act, maybe_delivered) in [(Act::Break, false), (Act::BreakLast, true)] {
        let house = House::new().await;
        let (_, id) = house.put_and_route("/in/x", b"x").await;
        let carrier = Pretender::new(&[act]);
        let mut running = Running::start(&house, &carrier);
        running.event("retried").await;
        let t = house.get(id).await;
        assert_eq!((t.state, t.reason, t.err.as_str()), (State::ToRestart, 166, "connection reset"));
        assert_eq!(house.engine.site_status("B").failures, 0);
        house.advance(10);
        house.engine.wake();
        running.event("delivered").await;
        running.stop().await;
        let again = lock(&carrier.seen)[1].clone();
        assert!(again.tried_before);
        assert_eq!(again.maybe_delivered, maybe_delivered, "look before sending");
    }
}

#[tokio::test] // OBJ-7, OBJ-8
async fn a_stopped_site_is_not_called_and_running_jobs_finish() {
    let mut house = House::new().await;
    house.engine.submit(house.request("B", "one", b"x")).await.unwrap();
    house.engine.submit(house.request("B", "two", b"x")).await.unwrap();
    let carrier = Pretender::new(&[Act::Hold, Act::Hold]);
    let mut running = Running::start(&house, &carrier);
    until("both run", async || lock(&carrier.seen).len() == 2).await;
    house.engine.stop_site("B").await.unwrap();
    let waiting = house.engine.submit(house.request("B", "three", b"x")).await.unwrap();
    carrier.gate.add_permits(2);
    running.event("delivered").await;
    running.event("delivered").await;
    until("no connection", async || house.engine.outgoing_connections() == 0).await;
    assert_eq!(house.get(waiting).await.state, State::ToBegin);
    assert!(!house.engine.site_status("B").active);
    assert!(house.engine.why(waiting).await.unwrap().next_step.contains("start it with pelctl start_site"));
    running.stop().await;
    house.crash().await;
    assert!(house.engine.site_status("B").active, "lost at restart");
    assert_eq!(house.engine.stop_site("NOBODY").await.unwrap_err().cause, Cause::NotFound);
}

#[tokio::test] // OBJ-5
async fn paths_are_tried_in_order_of_their_success() {
    let addresses = [("dest_address", "b.example/22"), ("dest_address_1", "b2.example/22"), ("login_ident", "g")];
    let house = House::with(&[(Kind::RemoteSite, "B", &addresses)]).await;
    lock(&house.engine.queue.sites).connected("B", Some(1));
    house.engine.submit(house.request("B", "x", b"x")).await.unwrap();
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    running.event("delivered").await;
    running.stop().await;
    assert_eq!(lock(&carrier.paths)[0], [1, 0]);
}

#[tokio::test]
async fn content_that_was_altered_parks_its_job() {
    let house = House::new().await;
    let (_, id) = house.put_and_route("/in/x", &content(100_000)).await;
    let payload = house.get(id).await.payload.unwrap();
    let row = house.engine.db().payloads().get(payload).await.unwrap().unwrap();
    house.engine.store().remove(row.file_uuid.unwrap().parse().unwrap()).await.unwrap();
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    let Event::Failed { cause, .. } = running.event("failed").await else { panic!() };
    assert_eq!(cause, Cause::Integrity);
    running.stop().await;
    assert_eq!((house.get(id).await.state, house.get(id).await.reason), (State::Suspended, 196));
}

#[tokio::test] // DESIGN 1.18
async fn what_a_person_has_verified_is_sent_again() {
    let house = House::new().await;
    let (_, id) = house.put_and_route("/in/x", b"x").await;
    let unclear = JobOutcome::Park(TransferError::park(Cause::Unclear, "neither name tells"));
    let carrier = Pretender::new(&[Act::BreakLast]);
    lock(&carrier.outcomes).push_back(unclear);
    let mut running = Running::start(&house, &carrier);
    running.event("retried").await;
    house.advance(10);
    house.engine.wake();
    running.event("failed").await;
    house.engine.control(id, crate::Control::Restart, &actor()).await.unwrap();
    running.event("delivered").await;
    running.stop().await;
    let seen: Vec<bool> = lock(&carrier.seen).iter().map(|s| s.maybe_delivered).collect();
    assert_eq!(seen, [false, true, false], "the person's word counts");
}

#[tokio::test] // Issue: a small file's notes ride on the commits that are made anyway
async fn many_small_files_share_their_commits() {
    let faults = db::Faults::default();
    let one_line = [("dest_address", "b.example/22"), ("login_ident", "g"), ("init_conn_max", "1")];
    let house = House::with_faults(&faults, &[(Kind::RemoteSite, "B", &one_line)]).await;
    for i in 0..40 {
        house.engine.submit(house.request("B", &format!("f{i}"), b"x")).await.unwrap();
    }
    let before = faults.commits();
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    for _ in 0..40 {
        running.event("delivered").await;
    }
    running.stop().await;
    let commits = faults.commits() - before;
    // Apart they would be 120. A slow machine shares a few commits less.
    assert!(commits < 80, "{commits} commits for 40 files");
}
