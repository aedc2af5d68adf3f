//! Uploads: recorded, whole or interrupted, resumed, replaced; what the uploader sees meanwhile.

use bytes::Bytes;
use db::{RouteState, State};

use super::house::*;
use crate::{Cause, Control, OpenWrite};

#[tokio::test] // TRF-1, TRF-20
async fn an_upload_is_recorded_hashed_and_seen_until_routed() {
    let house = House::new().await;
    let a = partner("A");
    let data = content(100_000);
    let mut file = house.begin(&a, "/in/x.dat", NEW).await.unwrap();
    file.write_at(0, Bytes::from(data.clone())).await.unwrap();
    assert_eq!(house.names(&a, "/in").await, Vec::<String>::new(), "hidden while it arrives");
    assert_eq!(house.engine.stat(&a, &at("/in/x.dat")).await.unwrap().size, 100_000, "but its uploader may ask");
    assert_eq!(house.engine.open_read(&a, &at("/in/x.dat")).await.unwrap_err().cause, Cause::NotFound);
    let id = file.id().unwrap();
    let done = file.commit().await.unwrap();
    assert_eq!((done.transfer, done.size), (Some(id), 100_000));
    assert_eq!(done.sha256, Some(crate::sha256(&data)));
    let t = house.get(id).await;
    assert_eq!((t.state, t.route_state, t.full_state()), (State::Ended, RouteState::ToRoute, "ended routing"));
    assert_eq!((t.site.as_str(), t.dir_name.as_str(), t.file_name.as_str()), ("A", "/in", "x.dat"));
    assert_eq!(house.names(&a, "/in").await, ["x.dat"]);
    assert_eq!(house.fetch(&a, "/in/x.dat").await.unwrap(), (data, false));
    house.advance(3);
    assert_eq!(house.engine.route_due().await.unwrap(), 1);
    assert_eq!(house.names(&a, "/in").await, Vec::<String>::new(), "it went on");
    assert_eq!(house.engine.stat(&a, &at("/in/x.dat")).await.unwrap_err().cause, Cause::NotFound);
}

#[tokio::test]
async fn small_and_empty_files_live_in_their_row() {
    let house = House::new().await;
    let a = partner("A");
    for octets in [0, 1, 16 << 10, (16 << 10) + 1] {
        let data = content(octets);
        house.put(&a, "/in/s", &data).await;
        assert_eq!(house.fetch(&a, "/in/s").await.unwrap().0, data, "{octets}");
    }
}

#[tokio::test] // DESIGN 1.1, SFTP-9, SFTP-10, TRF-9
async fn a_cut_upload_is_interrupted_and_resumed() {
    let house = House::new().await;
    let a = partner("A");
    let data = content(300_000);
    let mut file = house.begin(&a, "/in/r", NEW).await.unwrap();
    let id = file.id().unwrap();
    file.write_at(0, Bytes::copy_from_slice(&data[..200_000])).await.unwrap();
    file.interrupt().await;
    let t = house.get(id).await;
    assert_eq!((t.state, t.done_octets), (State::Interrupted, 200_000));
    assert_eq!(house.engine.stat(&a, &at("/in/r")).await.unwrap().size, 200_000);
    assert_eq!(house.names(&a, "/in").await, Vec::<String>::new());
    assert_eq!(house.engine.stat(&partner("C"), &at("/in/r")).await.unwrap_err().cause, Cause::NotFound, "of others");
    let mut rest = house.begin(&a, "/in/r", RESUME).await.unwrap();
    assert_eq!((rest.id(), rest.size(), rest.append()), (Some(id), 200_000, true));
    rest.write_at(200_000, Bytes::copy_from_slice(&data[200_000..])).await.unwrap();
    let done = rest.commit().await.unwrap();
    assert_eq!((done.transfer, done.size, done.sha256), (Some(id), 300_000, Some(crate::sha256(&data))));
    assert_eq!(house.fetch(&a, "/in/r").await.unwrap().0, data);
}

#[tokio::test]
async fn a_dropped_upload_is_interrupted_too() {
    let house = House::new().await;
    let a = partner("A");
    let mut file = house.begin(&a, "/in/d", NEW).await.unwrap();
    let id = file.id().unwrap();
    file.write_at(0, Bytes::from_static(b"some")).await.unwrap();
    drop(file);
    let transfers = house.engine.db().transfers();
    let state = async || transfers.get(id).await.unwrap().map(|t| t.state);
    until("interrupted", async || state().await == Some(State::Interrupted)).await;
    assert_eq!(house.get(id).await.done_octets, 4);
}

#[tokio::test] // DESIGN 1.2: a second open interrupts the first
async fn a_second_session_takes_an_upload_over() {
    let house = House::new().await;
    let a = partner("A");
    let data = content(100_000);
    let mut old = house.begin(&a, "/in/t", NEW).await.unwrap();
    old.write_at(0, Bytes::copy_from_slice(&data[..60_000])).await.unwrap();
    let mut new = house.begin(&a, "/in/t", RESUME).await.unwrap();
    assert_eq!((new.id(), new.size()), (old.id(), 60_000));
    assert_eq!(old.write_at(60_000, Bytes::from_static(b"late")).await.unwrap_err().cause, Cause::Busy);
    assert_eq!(old.commit().await.unwrap_err().cause, Cause::Busy);
    new.write_at(60_000, Bytes::copy_from_slice(&data[60_000..])).await.unwrap();
    assert_eq!(new.commit().await.unwrap().sha256, Some(crate::sha256(&data)));
    assert_eq!(house.all().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")] // DESIGN 1.2, TRF-20
async fn of_sessions_that_send_one_file_at_once_each_is_told_the_truth() {
    let house = House::new().await;
    let a = partner("A");
    for round in 0..30 {
        let name = format!("/in/f{round}");
        let sessions = (0..4).map(async |n| {
            let mut file = house.begin(&a, &name, NEW).await?;
            file.write_at(0, Bytes::from(content(1000 + n))).await?;
            file.commit().await
        });
        let done = futures_util::future::join_all(sessions).await;
        assert!(done.iter().any(Result::is_ok));
        assert!(done.iter().flat_map(|done| done.as_ref().err()).all(|e| e.cause == Cause::Busy), "{done:?}");
        house.advance(3);
        house.engine.route_due().await.unwrap();
        for id in done.into_iter().flatten().map(|done| done.transfer.unwrap()) {
            assert_eq!(house.get(id).await.route_state, RouteState::Routed, "{:?}", house.get(id).await);
        }
    }
}

#[tokio::test]
async fn an_upload_that_is_whole_meanwhile_is_not_given_up_as_a_partial_one() {
    let house = House::new().await;
    let id = house.put(&partner("A"), "/in/x", b"whole").await.transfer.unwrap();
    house.engine.give_up_partial(id, "begun anew").await.unwrap();
    assert_eq!(house.get(id).await.route_state, RouteState::ToRoute);
    house.engine.give_up(id, "removed").await.unwrap();
    assert_eq!(house.get(id).await.route_state, RouteState::NotRouted);
}

#[tokio::test] // DESIGN 1.2
async fn settle_time_is_reset_by_rename_and_by_opening_again() {
    let house = House::new().await;
    let a = partner("A");
    let id = house.put(&a, "/in/x.filepart", b"half").await.transfer.unwrap();
    house.advance(100);
    assert_eq!(house.engine.route_due().await.unwrap(), 0, "a name of files being written");
    house.engine.rename(&a, (&at("/in/x.filepart"), &at("/in/x")), false).await.unwrap();
    house.advance(1);
    assert_eq!(house.engine.route_due().await.unwrap(), 0);
    house.engine.rename(&a, (&at("/in/x"), &at("/in/y")), false).await.unwrap();
    house.advance(1);
    assert_eq!(house.engine.route_due().await.unwrap(), 0, "the rename began it anew");
    house.advance(1);
    assert_eq!(house.engine.route_due().await.unwrap(), 1);
    let made = house.engine.db().transfers().routed_to(id).await.unwrap();
    assert_eq!(house.get(made[0]).await.file_name, "y");
    let e = house.engine.rename(&a, (&at("/in/y"), &at("/in/z")), false).await.unwrap_err();
    assert_eq!(e.cause, Cause::NotFound, "it went on");
}

#[tokio::test] // DESIGN 1.2: Ctrl-C commits a short file, reput makes it whole
async fn a_committed_short_file_is_completed_before_it_is_routed() {
    let house = House::new().await;
    let a = partner("A");
    let data = content(50_000);
    let short = house.put(&a, "/in/x", &data[..20_000]).await.transfer.unwrap();
    house.advance(1);
    let mut again = house.begin(&a, "/in/x", RESUME).await.unwrap();
    assert_eq!(again.size(), 20_000);
    house.advance(60);
    assert_eq!(house.engine.route_due().await.unwrap(), 0, "it is open");
    again.write_at(20_000, Bytes::copy_from_slice(&data[20_000..])).await.unwrap();
    let whole = again.commit().await.unwrap();
    assert_eq!(whole.sha256, Some(crate::sha256(&data)));
    house.advance(60);
    assert_eq!(house.engine.route_due().await.unwrap(), 1);
    assert!(house.engine.db().transfers().routed_to(short).await.unwrap().is_empty(), "the short one goes nowhere");
    assert_eq!(house.engine.db().transfers().routed_to(whole.transfer.unwrap()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_whole_file_opened_and_lost_without_a_change_is_routed_all_the_same() {
    let house = House::new().await;
    let a = partner("A");
    let id = house.put(&a, "/in/x", b"whole").await.transfer.unwrap();
    let again = house.begin(&a, "/in/x", RESUME).await.unwrap();
    again.interrupt().await;
    house.advance(3);
    assert_eq!(house.engine.route_due().await.unwrap(), 1);
    assert_eq!(house.get(id).await.route_state, RouteState::Routed);
}

#[tokio::test] // DESIGN 1.2: what was acknowledged goes its way, whatever becomes of what was made of it
async fn a_whole_file_opened_and_changed_is_routed_once_however_that_ends() {
    let house = House::new().await;
    let a = partner("A");
    // Opens the whole file again, adds to it, and loses the session: its number and that of the rest.
    let torn = async |name: &str| {
        let whole = house.put(&a, name, b"whole").await.transfer.unwrap();
        let mut again = house.begin(&a, name, RESUME).await.unwrap();
        let part = again.id().unwrap();
        again.write_at(5, Bytes::from_static(b" and")).await.unwrap();
        again.interrupt().await;
        house.advance(60);
        assert_eq!(house.engine.route_due().await.unwrap(), 0, "its partner may go on");
        (whole, part)
    };
    let routed = async |id| house.get(id).await.route_state == RouteState::Routed;

    let (whole, part) = torn("/in/gone_on").await;
    let mut rest = house.begin(&a, "/in/gone_on", RESUME).await.unwrap();
    assert_eq!((rest.id(), rest.size()), (Some(part), 9));
    rest.write_at(9, Bytes::from_static(b" more")).await.unwrap();
    rest.commit().await.unwrap();
    house.advance(7200);
    house.engine.route_due().await.unwrap();
    assert_eq!((routed(whole).await, routed(part).await), (false, true), "one file of two uploads");

    let (whole, part) = torn("/in/torn_twice").await;
    house.begin(&a, "/in/torn_twice", RESUME).await.unwrap().interrupt().await;
    assert_eq!((house.get(part).await.state, house.get(part).await.done_octets), (State::Interrupted, 9));
    house.advance(3601);
    house.engine.route_due().await.unwrap();
    assert!(routed(whole).await, "nobody came back");

    let (whole, _) = torn("/in/begun_anew").await;
    let new = house.put(&a, "/in/begun_anew", b"another").await.transfer.unwrap();
    house.advance(3);
    house.engine.route_due().await.unwrap();
    assert_eq!((routed(whole).await, routed(new).await), (true, true));

    let (whole, part) = torn("/in/cancelled").await;
    house.engine.control(part, Control::Cancel, &actor()).await.unwrap();
    house.engine.route_due().await.unwrap();
    assert!(routed(whole).await);

    let (whole, _) = torn("/in/removed").await;
    house.engine.remove(&a, &at("/in/removed")).await.unwrap();
    house.advance(7200);
    house.engine.route_due().await.unwrap();
    assert!(!routed(whole).await);
    assert!(house.engine.stat(&a, &at("/in/removed")).await.is_err());
}

#[tokio::test] // records share locks: one may not be waited for while another is held
async fn a_whole_file_and_what_was_made_of_it_share_a_lock() {
    let house = House::new().await;
    let a = partner("A");
    let whole = house.put(&a, "/in/x", b"whole").await.transfer.unwrap();
    for n in 1..64 {
        house.put(&a, &format!("/in/other{n}"), b"x").await;
    }
    let mut again = house.begin(&a, "/in/x", RESUME).await.unwrap();
    assert_eq!(again.id().unwrap().0 - whole.0, 64);
    again.write_at(5, Bytes::from_static(b" and")).await.unwrap();
    again.interrupt().await;
    let anew = async {
        house.put(&a, "/in/x", b"another").await;
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), anew).await.expect("nobody waits for himself");
    house.advance(3);
    house.engine.route_due().await.unwrap();
    assert_eq!(house.get(whole).await.route_state, RouteState::Routed);
}

#[tokio::test] // DESIGN 1.2
async fn a_file_with_a_name_on_its_way_is_not_routed_because_it_was_opened_again() {
    let house = House::new().await;
    let a = partner("A");
    house.put(&a, "/in/x.filepart", b"half").await;
    house.begin(&a, "/in/x.filepart", RESUME).await.unwrap().interrupt().await;
    house.advance(7200);
    assert_eq!(house.engine.route_due().await.unwrap(), 0);
}

#[tokio::test] // a gap of zeros would stand for content
async fn who_appends_leaves_no_gap() {
    let house = House::new().await;
    let mut file = house.begin(&partner("A"), "/in/x", RESUME).await.unwrap();
    assert_eq!(file.write_at(10, Bytes::from_static(b"rest")).await.unwrap_err().cause, Cause::Invalid);
}

#[tokio::test] // SFTP-13, quota
async fn an_upload_beyond_the_limit_is_refused_and_never_committed() {
    let house = House::new().await;
    let a = crate::Admitted { max_upload: Some(10), ..partner("A") };
    let mut file = house.begin(&a, "/in/q", NEW).await.unwrap();
    let id = file.id().unwrap();
    file.write_at(0, Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(file.write_at(10, Bytes::from_static(b"x")).await.unwrap_err().cause, Cause::Quota);
    assert_eq!(file.commit().await.unwrap_err().cause, Cause::Quota, "a short file would be taken for a whole one");
    assert_eq!(house.get(id).await.state, State::Interrupted);
}

#[tokio::test] // OBJ-23
async fn duplicate_policies() {
    let house = House::new().await;
    let a = partner("A");
    let first = house.put(&a, "/in/n", b"one").await.transfer.unwrap();
    let second = house.put(&a, "/in/n", b"two").await.transfer.unwrap();
    assert_eq!(house.fetch(&a, "/in/n").await.unwrap().0, b"two", "the newest wins");
    assert_eq!(house.names(&a, "/in").await, ["n"]);
    house.put(&a, "/once/n", b"one").await;
    assert_eq!(house.begin(&a, "/once/n", NEW).await.unwrap_err().cause, Cause::Exists);
    let old = house.put(&a, "/last/n", b"one").await.transfer.unwrap();
    house.put(&a, "/last/n", b"two").await;
    house.advance(3);
    house.engine.route_due().await.unwrap();
    assert_eq!(house.get(first).await.route_state, RouteState::Routed, "both came, both go");
    assert_eq!(house.get(second).await.route_state, RouteState::Routed);
    assert_eq!(house.get(old).await.route_state, RouteState::NotRouted, "replaced");
}

#[tokio::test]
async fn ways_of_opening() {
    let house = House::new().await;
    let a = partner("A");
    let exclusive = OpenWrite { exclusive: true, ..NEW };
    let existing = OpenWrite { truncate: false, create: false, ..NEW };
    assert_eq!(house.begin(&a, "/in/w", existing).await.unwrap_err().cause, Cause::NotFound);
    house.put(&a, "/in/w", b"x").await;
    assert_eq!(house.begin(&a, "/in/w", exclusive).await.unwrap_err().cause, Cause::Exists);
    assert_eq!(house.begin(&a, "/in", NEW).await.unwrap_err().cause, Cause::IsDirectory);
    assert_eq!(house.begin(&a, "/nowhere/w", NEW).await.unwrap_err().cause, Cause::NotFound);
    assert_eq!(house.begin(&a, "/out/w", NEW).await.unwrap_err().cause, Cause::Denied);
    // What began anew leaves no partial of the old one behind.
    let mut cut = house.begin(&a, "/in/v", NEW).await.unwrap();
    cut.write_at(0, Bytes::from_static(b"old old old")).await.unwrap();
    let id = cut.id().unwrap();
    cut.interrupt().await;
    house.put(&a, "/in/v", b"new").await;
    assert_eq!(house.get(id).await.state, State::Deleted);
    assert_eq!(house.fetch(&a, "/in/v").await.unwrap().0, b"new");
}

#[tokio::test]
async fn an_upload_removed_by_its_partner_goes_nowhere() {
    let house = House::new().await;
    let a = partner("A");
    let id = house.put(&a, "/in/x", b"oops").await.transfer.unwrap();
    house.engine.remove(&a, &at("/in/x")).await.unwrap();
    assert_eq!(house.engine.remove(&a, &at("/in/x")).await.unwrap_err().cause, Cause::NotFound);
    house.advance(3);
    assert_eq!(house.engine.route_due().await.unwrap(), 0);
    assert_eq!(house.get(id).await.route_state, RouteState::NotRouted);
    house.put(&a, "/once/x", b"kept").await;
    assert_eq!(house.engine.remove(&a, &at("/once/x")).await.unwrap_err().cause, Cause::Denied, "no right to delete");
}

#[tokio::test]
async fn times_given_by_the_client_are_kept() {
    let house = House::new().await;
    let a = partner("A");
    let then = base::UtcMicros(1_000_000);
    let mut file = house.begin(&a, "/in/x", NEW).await.unwrap();
    file.write_at(0, Bytes::from_static(b"x")).await.unwrap();
    file.set_times(then).await.unwrap();
    file.commit().await.unwrap();
    assert_eq!(house.engine.stat(&a, &at("/in/x")).await.unwrap().modified, then);
    let later = base::UtcMicros(2_000_000);
    house.engine.set_times(&a, &at("/in/x"), later).await.unwrap();
    until("stamped", async || house.engine.stat(&a, &at("/in/x")).await.unwrap().modified == later).await;
}

#[tokio::test] // DESIGN 2.8
async fn a_gate_disabled_under_a_session_ends_its_opens() {
    let house = House::new().await;
    let a = partner("A");
    let mut file = house.begin(&a, "/in/x", NEW).await.unwrap();
    house.set_state(model::Kind::RemoteSite, "A", model::ObjectState::Disabled).await;
    assert_eq!(house.begin(&a, "/in/y", NEW).await.unwrap_err().cause, Cause::Denied);
    assert_eq!(house.engine.list(&a, &at("/in")).await.unwrap_err().cause, Cause::Denied);
    file.write_at(0, Bytes::from_static(b"x")).await.unwrap();
    assert!(file.commit().await.is_ok(), "what was begun may end");
}

#[tokio::test]
async fn who_resumes_from_a_wrong_place_leaves_no_gap() {
    let house = House::new().await;
    let a = partner("A");
    let mut cut = house.begin(&a, "/in/x", NEW).await.unwrap();
    cut.write_at(0, Bytes::from_static(b"12345")).await.unwrap();
    cut.interrupt().await;
    let mut rest = house.begin(&a, "/in/x", RESUME).await.unwrap();
    assert_eq!(rest.write_at(7, Bytes::from_static(b"8")).await.unwrap_err().cause, Cause::Invalid);
    assert!(rest.commit().await.is_err());
    assert_eq!(house.engine.stat(&a, &at("/in/x")).await.unwrap().size, 5);
    // A new file may be sparse: its gaps are zeros.
    let mut sparse = house.begin(&a, "/in/y", NEW).await.unwrap();
    sparse.write_at(3, Bytes::from_static(b"x")).await.unwrap();
    sparse.commit().await.unwrap();
    assert_eq!(house.fetch(&a, "/in/y").await.unwrap().0, b"\0\0\0x");
}
