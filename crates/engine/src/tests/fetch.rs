//! Requests to fetch: taken, looked for, known by what they bring (FTP-20, TRF-1, TRF-4).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base::{TransferId, UtcMicros};
use bytes::Bytes;
use db::{State, Transfer};
use model::{Kind, RemoteSite};

use super::house::*;
use crate::fetch::{After, FetchJob, FetchRequest, Fetched, Sighted, Taken};
use crate::queue::Job;
use crate::sync::lock;
use crate::{Cause, Control, Deliver, Incoming, JobOutcome, JobSource, SessionOutcome, TransferError};

/// A partner's folder, and a carrier that fetches from it.
#[derive(Default)]
struct Shelf {
    files: Mutex<BTreeMap<String, (Vec<u8>, UtcMicros)>>,
    /// Reading ends behind so many octets, once.
    breaks_at: Mutex<Option<usize>>,
    /// What was read: name, and from which octet on.
    reads: Mutex<Vec<(String, u64)>>,
    /// The next look ends so.
    fails: Mutex<Option<TransferError>>,
}

impl Shelf {
    fn put(&self, name: &str, content: &[u8], seconds: i64) {
        lock(&self.files).insert(name.to_owned(), (content.to_vec(), UtcMicros(seconds * 1_000_000)));
    }

    fn sighted(&self) -> Vec<Sighted> {
        let files = lock(&self.files);
        let sighted = |(name, (content, modified)): (&String, &(Vec<u8>, UtcMicros))| Sighted {
            name: name.clone().into_bytes(),
            size: Some(u64::try_from(content.len()).unwrap()),
            modified: Some(*modified),
        };
        files.iter().map(sighted).collect()
    }

    async fn look(&self, job: &FetchJob) -> Result<Fetched, TransferError> {
        if let Some(error) = lock(&self.fails).take() {
            return Err(error);
        }
        let mut fetched = Fetched::default();
        let wanted: Vec<Sighted> = self.sighted().into_iter().filter(|file| job.wants(file)).collect();
        job.intake.only(&wanted).await?;
        for file in wanted {
            let id = match job.intake.take(&file).await? {
                Taken::Held => continue,
                Taken::Received(id) => id,
                Taken::Begun(incoming, alone) => {
                    assert!(matches!(job.intake.take(&file).await?, Taken::Held), "nobody else takes it");
                    fetched.files += 1;
                    let received = self.read(&file, *incoming).await;
                    drop(alone);
                    received?
                }
            };
            if job.after == After::Delete {
                lock(&self.files).remove(std::str::from_utf8(&file.name).unwrap());
                job.intake.left(id).await?;
            }
        }
        Ok(fetched)
    }

    async fn read(&self, file: &Sighted, mut incoming: Incoming) -> Result<TransferId, TransferError> {
        let name = String::from_utf8(file.name.clone()).unwrap();
        let content = lock(&self.files)[&name].0.clone();
        let from = incoming.size();
        lock(&self.reads).push((name, from));
        let breaks_at = lock(&self.breaks_at).take();
        let from = usize::try_from(from).unwrap();
        let rest = Bytes::copy_from_slice(&content[from..breaks_at.unwrap_or(content.len())]);
        incoming.write_at(u64::try_from(from).unwrap(), rest).await?;
        if breaks_at.is_some() {
            incoming.interrupt().await;
            return Err(lost("the line broke"));
        }
        Ok(incoming.commit().await?.transfer.unwrap())
    }
}

#[async_trait]
impl Deliver for Shelf {
    async fn session(&self, _site: Arc<RemoteSite>, jobs: &mut dyn JobSource) -> SessionOutcome {
        while let Some(job) = jobs.next().await {
            let Job::Fetch(job) = job else { panic!("nothing is sent here") };
            let outcome = match self.look(&job).await {
                Ok(fetched) => JobOutcome::Fetched(fetched),
                Err(error) => error.into(),
            };
            jobs.finish(job.id, outcome).await.unwrap();
        }
        SessionOutcome::Ended
    }
}

fn wanted() -> FetchRequest {
    FetchRequest {
        site: "B".to_owned(),
        dir_name: "/out".to_owned(),
        file_name: None,
        filter: String::new(),
        after: After::Keep,
        every_s: None,
        listing: None,
        appli: String::new(),
        priority: 1,
        not_before: None,
        not_after: None,
        frozen: false,
        retry_count_max: Some(3),
        commands: String::new(),
        parameters: [String::new(), String::new()],
        actor: actor(),
    }
}

async fn is_in(house: &House, id: TransferId, state: State) {
    until(state.word(), async || house.get(id).await.state == state).await;
}

/// Transfers that a request has brought, oldest first.
async fn brought(house: &House, request: TransferId) -> Vec<Transfer> {
    let mut all: Vec<_> = house.all().await.into_iter().filter(|t| t.master == Some(request)).collect();
    all.sort_by_key(|t| t.id);
    all
}

#[tokio::test]
async fn each_file_comes_once_and_is_known_again() {
    let house = House::new().await;
    let shelf = Arc::new(Shelf::default());
    shelf.put("a.csv", b"first", 7);
    shelf.put("b.part", b"half", 7);
    let running = Running::start(&house, &shelf);
    let first = house.engine.submit_fetch(wanted()).await.unwrap();
    is_in(&house, first, State::Ended).await;
    let children = brought(&house, first).await;
    assert_eq!(children.len(), 1, "unfinished names are passed over");
    let child = &children[0];
    assert_eq!((child.file_name.as_str(), child.dir_name.as_str(), child.size), ("a.csv", "/out", Some(5)));
    assert_eq!((child.site.as_str(), child.route_state), ("B", db::RouteState::ToRoute));
    let second = house.engine.submit_fetch(FetchRequest { after: After::Delete, ..wanted() }).await.unwrap();
    is_in(&house, second, State::Ended).await;
    assert_eq!((brought(&house, second).await.len(), shelf.sighted().len()), (0, 1), "known, and deleted there");
    shelf.put("a.csv", b"other", 7);
    let third = house.engine.submit_fetch(wanted()).await.unwrap();
    is_in(&house, third, State::Ended).await;
    assert_eq!(brought(&house, third).await.len(), 1, "it looks the same, and is another one");
    assert!(house.engine.why(third).await.unwrap().lines().iter().any(|line| line.starts_with("fetched as transfer ")));
    running.stop().await;
}

#[tokio::test] // TRF-4, TRF-9
async fn what_broke_off_is_gone_on_with() {
    let mut house = House::new().await;
    let (shelf, data) = (Arc::new(Shelf::default()), content(300_000));
    shelf.put("a.csv", &data, 7);
    *lock(&shelf.breaks_at) = Some(100_000);
    let running = Running::start(&house, &shelf);
    let request = house.engine.submit_fetch(wanted()).await.unwrap();
    is_in(&house, request, State::ToRestart).await;
    running.end().await;
    house.crash().await;
    house.advance(3600);
    let running = Running::start(&house, &shelf);
    is_in(&house, request, State::Ended).await;
    assert_eq!(*lock(&shelf.reads), [("a.csv".to_owned(), 0), ("a.csv".to_owned(), 100_000)]);
    let children = brought(&house, request).await;
    assert_eq!((children.len(), children[0].state), (1, State::Ended));
    let (_, mut source) = house.engine.content(children[0].id).await.unwrap();
    assert!(source.read_at(0, 400_000).await.unwrap() == data);
    // A part of what has changed meanwhile is of no use.
    *lock(&shelf.breaks_at) = Some(10);
    shelf.put("b.csv", b"a longer content", 8);
    let request = house.engine.submit_fetch(wanted()).await.unwrap();
    is_in(&house, request, State::ToRestart).await;
    shelf.put("b.csv", b"another content", 9);
    house.engine.control(request, Control::Restart, &actor()).await.unwrap();
    is_in(&house, request, State::Ended).await;
    let states: Vec<_> = brought(&house, request).await.iter().map(state_of).collect();
    assert_eq!(states, [State::Deleted, State::Ended]);
    running.stop().await;
}

#[tokio::test]
async fn a_request_that_stays_looks_again_whatever_happens() {
    let house = House::new().await;
    let shelf = Arc::new(Shelf::default());
    let running = Running::start(&house, &shelf);
    let looks = FetchRequest { every_s: Some(60), after: After::Delete, ..wanted() };
    let request = house.engine.submit_fetch(looks).await.unwrap();
    for turn in 0..5 {
        is_in(&house, request, State::ToRestart).await;
        assert_eq!(
            house.get(request).await.next_try_at,
            house.engine.clock().now().plus(std::time::Duration::from_secs(60))
        );
        // A folder that is away asks for a person in other requests, and here for none.
        *lock(&shelf.fails) = (turn % 2 == 0).then(|| TransferError::park(Cause::NotFound, "no such folder"));
        shelf.put(&format!("t{turn}"), b"x", turn);
        let before = house.get(request).await.revision;
        house.advance(60);
        house.engine.wake();
        until("a look", async || {
            let now = house.get(request).await;
            now.revision > before + 1 && now.state == State::ToRestart
        })
        .await;
    }
    is_in(&house, request, State::ToRestart).await;
    assert_eq!(brought(&house, request).await.len(), 4, "the last look failed");
    house.engine.control(request, Control::Suspend, &actor()).await.unwrap();
    assert_eq!(house.get(request).await.state, State::Suspended);
    house.engine.control(request, Control::Restart, &actor()).await.unwrap();
    until("the last one", async || brought(&house, request).await.len() == 5).await;
    is_in(&house, request, State::ToRestart).await;
    house.engine.control(request, Control::Cancel, &actor()).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn what_a_person_has_cancelled_is_neither_fetched_nor_deleted() {
    let house = House::new().await;
    let shelf = Arc::new(Shelf::default());
    shelf.put("a.csv", b"a content", 7);
    *lock(&shelf.breaks_at) = Some(4);
    let running = Running::start(&house, &shelf);
    let first = house.engine.submit_fetch(wanted()).await.unwrap();
    is_in(&house, first, State::ToRestart).await;
    let child = brought(&house, first).await[0].id;
    house.engine.control(child, Control::Cancel, &actor()).await.unwrap();
    let second = house.engine.submit_fetch(FetchRequest { after: After::Delete, ..wanted() }).await.unwrap();
    is_in(&house, second, State::Ended).await;
    assert_eq!((brought(&house, second).await.len(), shelf.sighted().len()), (0, 1));
    running.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let house =
        House::with(&[(Kind::RemoteSite, "D", &[("dest_address", "d.example/22"), ("init_receiver", "N")])]).await;
    let now = house.engine.clock().now();
    let with = |change: fn(&mut FetchRequest)| {
        let mut request = wanted();
        change(&mut request);
        request
    };
    for (request, cause) in [
        (with(|r| r.site = "NOBODY".to_owned()), Cause::NotFound),
        (with(|r| r.site = "C".to_owned()), Cause::Invalid),
        (with(|r| r.site = "D".to_owned()), Cause::Invalid),
        (with(|r| r.appli = "NONE".to_owned()), Cause::NotFound),
        (with(|r| r.filter = "colour = red".to_owned()), Cause::Invalid),
        (with(|r| r.file_name = Some("a/b".to_owned())), Cause::Invalid),
        (with(|r| r.file_name = Some("..".to_owned())), Cause::Invalid),
        (with(|r| r.every_s = Some(1)), Cause::Invalid),
        (FetchRequest { not_after: Some(now), ..wanted() }, Cause::Invalid),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(house.engine.submit_fetch(request).await.unwrap_err().cause, cause, "{shown}");
    }
    assert_eq!(house.all().await.len(), 0, "refused ones leave nothing");
}

#[tokio::test] // TRF-5
async fn its_latest_date_ends_it() {
    let house = House::new().await;
    let end = house.engine.clock().now().plus(std::time::Duration::from_secs(100));
    let request = FetchRequest { every_s: Some(60), not_after: Some(end), ..wanted() };
    let shelf = Arc::new(Shelf::default());
    let running = Running::start(&house, &shelf);
    let request = house.engine.submit_fetch(request).await.unwrap();
    is_in(&house, request, State::ToRestart).await;
    house.advance(200);
    house.engine.wake();
    is_in(&house, request, State::Cancelled).await;
    running.stop().await;
}
