//! The life of a small received file, measured. `cargo test -p gatehouse-db --release cost -- --nocapture` shows figures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, SystemClock, TransferId};
use db::{
    CommitReceived, Db, DbOptions, DueQuery, EndedAfter, EntryQuery, NewPayload, NewTransfer, PayloadBody, RouteState,
    State, TransferFilter,
};

use crate::house::{House, NOW};

/// A lazy record and one commit for each of many files, one after the other, as a sequential client sends them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_file_is_one_commit() {
    let files = std::env::var("GATEHOUSE_TEST_FILES").ok().and_then(|n| n.parse().ok()).unwrap_or(200_u32);
    let house = House::sqlite();
    let db = house.open().await;
    let (start, cpu) = (Instant::now(), cpu_micros());
    for n in 0..files {
        let id = db.transfers().next_id().await.unwrap();
        let new = NewTransfer {
            site: "ACME".to_owned(),
            gate: "acme".to_owned(),
            login: "acme".to_owned(),
            dir_name: "/in".to_owned(),
            file_name: format!("order-{n}.xml"),
            node: Some("n1".to_owned()),
            ..NewTransfer::incoming(id, "SFTP", NOW)
        };
        drop(db.transfers().insert_lazy(new).await.unwrap());
        let payload = NewPayload {
            id: db.payloads().next_id().await.unwrap(),
            body: PayloadBody::Inline(vec![7; 4096 + 40]),
            size: 4096,
            sha256: Some([1; 32]),
        };
        let commit = CommitReceived {
            id,
            payload,
            to: State::Ended,
            route_state: RouteState::ToRoute,
            route_after: NOW,
            at: NOW,
            note: String::new(),
            owner: None,
        };
        db.transfers().commit_received(commit).await.unwrap();
    }
    let (spent, wall) = (cpu_micros() - cpu, start.elapsed());
    println!(
        "{files} files: {} us CPU, {} us wall for each",
        spent / u64::from(files),
        wall.as_micros() / u128::from(files)
    );
    assert_eq!(db.transfers().to_route((NOW, NOW), "n1", files).await.unwrap().len(), usize::try_from(files).unwrap());
}

/// What the operations of a busy gateway cost, on the database that `GATEHOUSE_TEST_RECORDS` names (`cargo xtask bench
/// records` fills one); on a small one of its own otherwise. Prints a line of JSON for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations() {
    let clock = Arc::new(SystemClock::default());
    let (url, times, _house) = match std::env::var("GATEHOUSE_TEST_RECORDS") {
        Ok(url) => (url, 300, None),
        Err(_) => {
            let house = House::sqlite();
            (house.url.clone(), 10, Some(house))
        }
    };
    let db = Db::open(DbOptions { url, clock: clock.clone() }).await.unwrap();
    let submitted = print("submit", times, async |n| submit(&db, format!("new{n}"), clock.now()).await).await;
    let now = clock.now().plus(Duration::from_secs(1));
    let taken = print("take due of one site", times, async |_| {
        let query = DueQuery { site: Some("bench".to_owned()), now, limit: 1, node: "bench".to_owned() };
        db.transfers().take_due(query).await.unwrap().into_iter().map(|t| t.id).collect::<Vec<_>>()
    })
    .await;
    assert_eq!(taken.concat().len(), submitted.len(), "each was taken once");
    print("sites with due work", times, async |_| db.transfers().due_sites().await.unwrap().len()).await;
    print("take due of every site", 3, async |_| {
        let node = "bench".to_owned();
        db.transfers().take_due(DueQuery { site: None, now, limit: 1, node }).await.unwrap().len()
    })
    .await;
    print("what waits for routing", times, async |_| {
        db.transfers().to_route((now, now), "bench", 256).await.unwrap().len()
    })
    .await;
    print("what is past its date", times, async |_| db.transfers().overdue(now, 500).await.unwrap().len()).await;
    print("counts for metrics", times, async |_| db.transfers().live_counts().await.unwrap().len()).await;
    print("what ended long ago", times, async |_| {
        db.retention().ended(now, EndedAfter::default(), 200).await.unwrap().len()
    })
    .await;
    print("a folder", times, async |n| {
        let (gate, dir_name) = (format!("g{}", n % 300), "/in".to_owned());
        let query = EntryQuery { gate, dir_name, file_name: None, after: None, limit: 1000 };
        db.transfers().entries(query).await.unwrap().len()
    })
    .await;
    let newest = db.transfers().list(TransferFilter::default(), 50).await.unwrap();
    assert_eq!(newest.first().map(|t| t.id), submitted.last().copied());
    print("list the newest", times, async |_| db.transfers().list(TransferFilter::default(), 50).await.unwrap().len())
        .await;
    print("list by direction and state", times, async |_| {
        let states = vec![State::Suspended, State::Interrupted];
        let filter = TransferFilter { states, direction: Some(db::Direction::Out), ..TransferFilter::default() };
        db.transfers().list(filter, 50).await.unwrap().len()
    })
    .await;
    print("sweep", 3, async |_| db.retention().sweep(now).await.unwrap()).await;
    db.close().await;
}

async fn submit(db: &Db, name: String, now: base::UtcMicros) -> TransferId {
    let (id, payload) = (db.transfers().next_id().await.unwrap(), db.payloads().next_id().await.unwrap());
    let body = PayloadBody::Inline(vec![7; 4096 + 40]);
    drop(db.payloads().add(NewPayload { id: payload, body, size: 4096, sha256: Some([1; 32]) }).await.unwrap());
    let new = NewTransfer {
        site: "bench".to_owned(),
        file_name: name,
        size: Some(4096),
        payload: Some(payload),
        ..NewTransfer::outgoing(id, "SFTP", now)
    };
    db.transfers().insert(new).await.unwrap();
    id
}

/// Does it so many times, prints how long it took, and gives what came of it.
async fn print<T>(operation: &str, times: usize, work: impl AsyncFn(usize) -> T) -> Vec<T> {
    let (mut results, mut spent) = (Vec::new(), Vec::new());
    for n in 0..times {
        let begun = Instant::now();
        results.push(work(n).await);
        spent.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    spent.sort_by(f64::total_cmp);
    let at = |percent: usize| spent[(spent.len() * percent / 100).min(spent.len() - 1)];
    println!(r#"{{"operation": "{operation}", "p50": {:.3}, "p99": {:.3}, "worst": {:.3}}}"#, at(50), at(99), at(100));
    results
}

/// CPU time of this process, user and system, from `/proc` in ticks of 10 ms.
fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat.rsplit(") ").next().unwrap_or("").split(' ').map(|f| f.parse().unwrap_or(0)).collect();
    fields.get(11..=12).map_or(0, |ticks| ticks.iter().sum::<u64>() * 10_000)
}
