//! The life of a small received file, measured. `cargo test -p gatehouse-db --release cost -- --nocapture` shows figures.

use std::time::Instant;

use db::{CommitReceived, NewPayload, NewTransfer, PayloadBody, RouteState, State};

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

/// CPU time of this process, user and system, from `/proc` in ticks of 10 ms.
fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat.rsplit(") ").next().unwrap_or("").split(' ').map(|f| f.parse().unwrap_or(0)).collect();
    fields.get(11..=12).map_or(0, |ticks| ticks.iter().sum::<u64>() * 10_000)
}
