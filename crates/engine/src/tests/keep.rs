//! How long things are kept, and how much of a partner there may be.

use bytes::Bytes;
use db::{State, TransferFilter, UsageScope};
use model::Kind;
use std::time::Duration;

use super::house::*;
use crate::Cause;
use crate::care::PurgeOrder;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn limited(fields: &'static [(&'static str, &'static str)]) -> Vec<Written<'static>> {
    vec![(Kind::RemoteSite, "A", fields)]
}

/// A delivery to B that has ended.
async fn delivered(house: &House, path: &str) -> (base::TransferId, base::TransferId) {
    let (received, out) = house.put_and_route(path, &content(50_000)).await;
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(house, &carrier);
    running.event("delivered").await;
    running.end().await;
    (received, out)
}

// TRF-23: ended transfers go after 30 days with their files; what waits, is suspended, at disposal or unrouted stays.
#[tokio::test]
async fn ended_transfers_go_after_their_time_and_nothing_else() {
    let house = House::new().await;
    let (received, out) = delivered(&house, "/in/ended").await;
    let waiting = house.put_and_route("/in/waiting", &content(100)).await;
    let offer = house.offer("A", "offer", b"for A").await;
    house.put(&partner("C"), "/in/unrouted", &content(300)).await;
    let mut cut = house.begin(&partner("A"), "/in/cut", NEW).await.unwrap();
    cut.write_at(0, Bytes::from(content(100_000))).await.unwrap();
    cut.interrupt().await;
    let before = house.all().await.len();
    house.clock.advance(DAY * 29);
    assert!(house.engine.purge(&PurgeOrder::default()).await.unwrap().is_empty());
    house.clock.advance(DAY * 2);
    let dry = PurgeOrder { dry_run: true, ..PurgeOrder::default() };
    let would: u64 = house.engine.purge(&dry).await.unwrap().values().map(|sum| sum.transfers).sum();
    assert_eq!((would, house.all().await.len()), (2, before), "a dry run changes nothing");
    let tidied = house.engine.tidy().await.unwrap();
    assert_eq!((tidied.retired, tidied.purged), (2, 1), "two records, one content");
    for gone in [received, out] {
        assert!(house.engine.db().transfers().get(gone).await.unwrap().is_none());
        assert!(house.engine.db().transfers().steps(gone).await.unwrap().is_empty());
    }
    for stays in [waiting.0, waiting.1, offer] {
        house.get(stays).await;
    }
    assert_eq!(house.fetch(&partner("C"), "/in/unrouted").await.unwrap().0, content(300));
    assert_eq!(house.fetch(&partner("A"), "/out/offer").await.unwrap().0, b"for A");
    assert_eq!(house.begin(&partner("A"), "/in/cut", RESUME).await.unwrap().size(), 100_000);
    let sums = house.engine.db().usage();
    assert_eq!(sums.all(UsageScope::Site).await.unwrap().len(), 3);
    let b = sums.of(UsageScope::Site, "B").await.unwrap();
    assert_eq!((b.out_files, b.out_octets), (1, 100));
    assert!(house.engine.db().audit().verify().await.unwrap().fault.is_none());
}

#[tokio::test]
async fn a_partner_and_a_rule_for_what_waits_have_their_own_time() {
    let mut house = House::with(&[(Kind::RemoteSite, "C", &[("retention_days", "3")])]).await;
    let (received, _) = delivered(&house, "/in/ended").await;
    let offer = house.offer("C", "offer", b"for C").await;
    house.options(|options| options.retention.waiting_days = 2).await;
    house.clock.advance(DAY * 3);
    house.engine.tidy().await.unwrap();
    assert_eq!(house.get(offer).await.state, State::Cancelled, "nobody fetched it");
    house.clock.advance(DAY * 4);
    house.engine.tidy().await.unwrap();
    assert!(house.engine.db().transfers().get(offer).await.unwrap().is_none(), "after three days of its own");
    house.get(received).await;
    // A person may ask for less, and for one site alone.
    let order = PurgeOrder { days: Some(1), site: Some("A".to_owned()), ..PurgeOrder::default() };
    let purged = house.engine.purge(&order).await.unwrap();
    assert_eq!(purged.keys().map(|(site, _)| site.as_str()).collect::<Vec<_>>(), ["A"]);
    let left = house.engine.db().transfers().list(TransferFilter::default(), 100).await.unwrap();
    assert_eq!(left.iter().map(|t| t.site.as_str()).collect::<Vec<_>>(), ["B"]);
}

// A limit of the partner refuses the upload (SFTP-13: refusal of new transfers only) and holds under concurrency.
#[tokio::test]
async fn a_partner_has_no_more_than_its_limit_stored() {
    let house = House::with(&limited(&[("max_stored_files", "3"), ("max_stored_size", "1")])).await;
    let a = partner("A");
    house.put(&a, "/in/one", &content(600_000)).await;
    let mut large = house.begin(&a, "/in/two", NEW).await.unwrap();
    let mut other = house.begin(&a, "/in/three", NEW).await.unwrap();
    large.write_at(0, Bytes::from(content(300_000))).await.unwrap();
    other.write_at(0, Bytes::from(content(300_000))).await.unwrap();
    // A fourth file: one is stored, two are on their way.
    assert_eq!(house.begin(&a, "/in/four", NEW).await.unwrap_err().cause, Cause::Quota);
    let beyond = large.write_at(300_000, Bytes::from(content(200_000))).await.unwrap_err();
    assert_eq!(beyond.cause, Cause::Quota);
    other.commit().await.unwrap();
    large.interrupt().await;
    // Each began within the limit; together they would exceed it.
    let mut late = house.begin(&a, "/in/five", NEW).await.unwrap();
    late.write_at(0, Bytes::from(content(90_000))).await.unwrap();
    house.change_site("A", &[("max_stored_files", "2")]).await;
    assert_eq!(house.begin(&a, "/in/six", NEW).await.unwrap_err().cause, Cause::Quota);
    house.put(&partner("C"), "/in/free", &content(2_000_000)).await;
    let sums = house.engine.db().usage().of(UsageScope::Site, "A").await.unwrap();
    assert_eq!((sums.in_files, sums.in_octets), (2, 900_000));
    let gate = house.engine.db().usage().of(UsageScope::Gate, "GA").await.unwrap();
    assert_eq!(gate.in_files, 3, "all came by one gate");
}

#[tokio::test]
async fn two_uploads_that_end_at_once_do_not_share_the_last_room() {
    let house = House::with(&limited(&[("max_stored_size", "1")])).await;
    let a = partner("A");
    let mut both = Vec::new();
    for name in ["/in/one", "/in/two"] {
        both.push(house.begin(&a, name, NEW).await.unwrap());
    }
    for file in &mut both {
        file.write_at(0, Bytes::from(content(600_000))).await.unwrap();
    }
    let (two, one) = (both.pop().unwrap(), both.pop().unwrap());
    let (one, two) = tokio::join!(one.commit(), two.commit());
    let refused: Vec<Cause> = [one.err(), two.err()].into_iter().flatten().map(|e| e.cause).collect();
    assert_eq!(refused, [Cause::Quota]);
    let sums = house.engine.db().usage().of(UsageScope::Site, "A").await.unwrap();
    assert_eq!((sums.in_files, sums.in_octets), (1, 600_000));
}
