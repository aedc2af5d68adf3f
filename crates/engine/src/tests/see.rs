//! What sessions see and fetch: rights, files at disposal, names.

use db::{Mode, State};

use super::house::*;
use crate::{Admitted, Cause, EntryKind, VPath};

#[tokio::test] // OBJ-21, SFTP-7, SFTP-8
async fn folders_and_rights() {
    let house = House::new().await;
    let a = partner("A");
    let mut root: Vec<String> = Vec::new();
    let whole = Admitted { rights: vec![model::VfdRight::parse("/:*::L:Y").unwrap()], ..a.clone() };
    for e in house.engine.list(&whole, &VPath::root()).await.unwrap() {
        assert_eq!(e.kind, EntryKind::Directory);
        root.push(String::from_utf8(e.name).unwrap());
    }
    root.sort();
    assert_eq!(root, ["in", "last", "once", "out", "secret", "xfb"]);
    assert_eq!(house.engine.list(&a, &VPath::root()).await.unwrap_err().cause, Cause::Denied, "no L there");
    assert_eq!(house.engine.stat(&a, &VPath::root()).await.unwrap().kind, EntryKind::Directory);
    assert_eq!(house.engine.stat(&a, &at("/secret")).await.unwrap_err().cause, Cause::NotFound, "no right in it");
    assert_eq!(house.engine.home(&a), at("/in"));
    let confined = Admitted { root_dir: "/in".to_owned(), home_dir: "/in".to_owned(), ..a };
    assert_eq!(house.engine.home(&confined), VPath::root());
    assert_eq!(house.engine.stat(&confined, &at("/../out")).await.unwrap_err().cause, Cause::NotFound);
    house.put(&confined, "/up", b"x").await;
    assert_eq!(house.names(&confined, "/").await, ["up"]);
}

#[tokio::test] // TRF-22, OBJ-25
async fn a_file_at_disposal_is_fetched_once_by_its_site() {
    let house = House::new().await;
    let (a, c) = (partner("A"), partner("C"));
    let data = content(5000);
    let id = house.offer("A", "report", &data).await;
    let t = house.get(id).await;
    assert_eq!((t.state, t.mode, t.payload.is_some()), (State::ToBegin, Mode::Responder, true));
    assert_eq!(house.names(&a, "/out").await, ["report"]);
    assert_eq!(house.names(&c, "/out").await, Vec::<String>::new(), "another site's");
    assert_eq!(house.fetch(&c, "/out/report").await.unwrap_err().cause, Cause::NotFound);
    assert_eq!(house.fetch(&a, "/out/report").await.unwrap(), (data, true));
    let t = house.get(id).await;
    assert_eq!((t.state, t.done_octets), (State::Ended, 5000));
    assert_eq!(house.names(&a, "/out").await, Vec::<String>::new());
}

#[tokio::test] // SFTP-9, SFTP-10
async fn a_partial_read_leaves_the_file_and_another_goes_on() {
    let house = House::new().await;
    let a = partner("A");
    let data = content(5000);
    let id = house.offer("A", "r", &data).await;
    let mut first = house.engine.open_read(&a, &at("/out/r")).await.unwrap();
    assert_eq!(first.read_at(0, 3000).await.unwrap(), data[..3000]);
    assert!(!first.finish(false).await.unwrap());
    let t = house.get(id).await;
    assert_eq!((t.state, t.done_octets), (State::ToBegin, 3000));
    let mut middle = house.engine.open_read(&a, &at("/out/r")).await.unwrap();
    middle.read_at(4000, 1000).await.unwrap();
    assert!(!middle.finish(true).await.unwrap(), "3000 to 4000 were never read");
    let mut rest = house.engine.open_read(&a, &at("/out/r")).await.unwrap();
    rest.read_at(3000, 2000).await.unwrap();
    assert!(rest.read_at(5000, 10).await.unwrap().is_empty());
    assert!(rest.finish(true).await.unwrap());
    assert_eq!(house.get(id).await.state, State::Ended);
}

#[tokio::test]
async fn a_file_read_to_its_end_but_not_closed_stays() {
    let house = House::new().await;
    let a = partner("A");
    let id = house.offer("A", "r", b"12345").await;
    let mut file = house.engine.open_read(&a, &at("/out/r")).await.unwrap();
    file.read_at(0, 100).await.unwrap();
    drop(file);
    until("at disposal again", async || house.get(id).await.done_octets == 5).await;
    // Opened and closed without reading: not fetched either, although everything was read before.
    let file = house.engine.open_read(&a, &at("/out/r")).await.unwrap();
    assert!(!file.finish(true).await.unwrap());
    assert_eq!(house.fetch(&a, "/out/r").await.unwrap(), (b"12345".to_vec(), true));
    // An empty file has to be read as well.
    let empty = house.offer("A", "e", b"").await;
    assert_eq!(house.fetch(&a, "/out/e").await.unwrap(), (Vec::new(), true));
    assert_eq!(house.get(empty).await.state, State::Ended);
}

#[tokio::test] // OBJ-24
async fn a_permanent_file_gives_each_download_its_record() {
    let house = House::new().await;
    let a = partner("A");
    let request = crate::Request {
        mode: Mode::Responder,
        dir_name: "/out".to_owned(),
        permanent: true,
        ..house.request("A", "p", b"again and again")
    };
    let id = house.engine.submit(request).await.unwrap();
    for _ in 0..2 {
        assert!(house.fetch(&a, "/out/p").await.unwrap().1);
    }
    assert_eq!(house.get(id).await.state, State::ToBegin);
    let copies: Vec<State> = house.all().await.iter().filter(|t| t.dup_from == Some(id)).map(state_of).collect();
    assert_eq!(copies, [State::Ended, State::Ended]);
}

#[tokio::test]
async fn equal_names_the_newest_wins_and_an_upload_hides_no_offer_for_good() {
    let house = House::new().await;
    let mut a = partner("A");
    a.rights.push(model::VfdRight::parse("/out:*:RW:L:N").unwrap());
    let first = house.offer("A", "n", b"first").await;
    let second = house.offer("A", "n", b"second").await;
    assert_eq!(house.names(&a, "/out").await, ["n"]);
    assert_eq!(house.fetch(&a, "/out/n").await.unwrap().0, b"second");
    assert_eq!(house.get(second).await.state, State::Ended);
    house.put(&a, "/out/n", b"mine").await;
    assert_eq!(house.fetch(&a, "/out/n").await.unwrap(), (b"mine".to_vec(), false));
    house.advance(3);
    house.engine.route_due().await.unwrap();
    assert_eq!(house.fetch(&a, "/out/n").await.unwrap(), (b"first".to_vec(), true));
    assert_eq!(house.get(first).await.state, State::Ended);
}

#[tokio::test]
async fn names_are_octets_and_look_alikes_are_found() {
    let house = House::new().await;
    let a = partner("A");
    let raw = VPath::parse(b"/in/\xff\xfe \x07", &VPath::root()).unwrap();
    let mut file = house.engine.open_write(&a, &raw, NEW).await.unwrap();
    file.write_at(0, bytes::Bytes::from_static(b"x")).await.unwrap();
    file.commit().await.unwrap();
    let listed = house.engine.list(&a, &at("/in")).await.unwrap();
    assert_eq!(listed[0].name, b"\xff\xfe \x07");
    assert_eq!(house.engine.stat(&a, &raw).await.unwrap().size, 1);
    house.offer("A", "caf\u{e9}", b"x").await;
    assert!(house.fetch(&a, "/out/cafe\u{301}").await.unwrap().1, "decomposed, as some systems write it");
}

#[tokio::test]
async fn names_with_their_number() {
    let house = House::new().await;
    let a = partner("A");
    let id = house.put(&a, "/xfb/n", b"x").await.transfer.unwrap();
    let shown = format!("s{id}.n");
    assert_eq!(house.names(&a, "/xfb").await, std::slice::from_ref(&shown));
    assert_eq!(house.engine.stat(&a, &at(&format!("/xfb/{shown}"))).await.unwrap().transfer, Some(id));
    assert_eq!(house.engine.stat(&a, &at("/xfb/s999999.n")).await.unwrap_err().cause, Cause::NotFound);
}

#[tokio::test] // SFTP-7: what virtual folders refuse
async fn virtual_folders_are_made_by_operators() {
    let house = House::new().await;
    let a = partner("A");
    assert_eq!(house.engine.mkdir(&a, &at("/in/sub")).await.unwrap_err().cause, Cause::Unsupported);
    assert_eq!(house.engine.rmdir(&a, &at("/in")).await.unwrap_err().cause, Cause::Unsupported);
    assert_eq!(house.engine.remove(&a, &at("/in")).await.unwrap_err().cause, Cause::IsDirectory);
    assert!(house.engine.space(&a).await.unwrap().blocks > 0);
    let id = house.offer("A", "gone", b"x").await;
    house.engine.remove(&a, &at("/out/gone")).await.unwrap();
    assert_eq!(house.get(id).await.state, State::Cancelled);
}
