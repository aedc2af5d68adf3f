//! Drop folders after a crash at each step: what the claim and its record say together (OBJ-31, TRF-4).

use std::path::PathBuf;

use db::{RouteState, State, Transfer};
use model::Kind;

use super::house::*;
use crate::Extra;

/// A house with a drop folder OUT whose task runs.
struct Out {
    house: House,
    folder: tempfile::TempDir,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Out {
    async fn new(fields: &[(&str, &str)]) -> Self {
        Self::on(&db::Faults::default(), fields).await
    }

    async fn on(faults: &db::Faults, fields: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let mut all = vec![("real_path", path), ("ready", "RENAME"), ("period_s", "1"), ("dest_alias", "B")];
        all.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        all.extend(fields);
        let house = House::with_faults(faults, &[(Kind::DropFolder, "OUT", &all)]).await;
        let mut out = Self { house, folder, task: None };
        out.start();
        out
    }

    fn start(&mut self) {
        self.task = Some(tokio::spawn(crate::handoff::run_drop_folders(self.house.engine.clone())));
    }

    async fn dies(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        drop(task.await);
        self.house.crash().await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) {
        let hidden = self.path(".writing");
        std::fs::write(&hidden, content).unwrap();
        std::fs::rename(hidden, self.path(name)).unwrap();
    }

    /// Every file below the folder.
    fn files(&self) -> Vec<String> {
        fn below(at: &std::path::Path, all: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(at).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() { below(&entry.path(), all) } else { all.push(entry.path()) }
            }
        }
        let mut all = Vec::new();
        below(self.folder.path(), &mut all);
        let name = |path: PathBuf| path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned();
        let mut all: Vec<String> = all.into_iter().map(name).collect();
        all.sort();
        all
    }

    async fn received(&self) -> Vec<Transfer> {
        self.house.all().await.into_iter().filter(|t| t.state == State::Ended && t.protocol == "FOLDER").collect()
    }

    async fn until_files(&self, expected: &[&str]) {
        until("the files are as expected", async || self.files() == expected).await;
    }
}

#[tokio::test]
async fn a_file_is_received_and_gone() {
    let out = Out::new(&[]).await;
    let data = content(700_000);
    out.put("a.xml", &data);
    out.until_files(&[]).await;
    let all = out.received().await;
    assert_eq!(all.len(), 1);
    let t = &all[0];
    assert_eq!((t.site.as_str(), t.file_name.as_str(), t.route_state), ("OUT", "a.xml", RouteState::ToRoute));
    let row = out.house.engine.db().payloads().get(t.payload.unwrap()).await.unwrap().unwrap();
    assert_eq!(row.sha256, Some(crate::sha256(&data)));
    out.house.engine.route_due().await.unwrap();
    let made = out.house.engine.db().transfers().routed_to(t.id).await.unwrap();
    assert_eq!(out.house.get(made[0]).await.site, "B", "where no rule decides, dest_alias does");
}

#[tokio::test]
async fn a_database_that_fails_refuses_no_file() {
    let faults = db::Faults::default();
    let out = Out::on(&faults, &[]).await;
    out.put("first", b"x");
    out.until_files(&[]).await;
    for n in 0..20 {
        faults.away(true);
        out.put(&format!("f{n}"), b"x");
        until("it is claimed, or left", async || !out.files().is_empty()).await;
        tokio::task::yield_now().await;
        faults.away(false);
        out.until_files(&[]).await;
    }
    assert_eq!(out.received().await.len(), 21, "each once, none refused");
}

#[tokio::test]
async fn what_a_claim_says_after_a_crash() {
    let mut out = Out::new(&[("ready", "MARKER")]).await;
    out.put("a", b"first");
    out.put("a.done", b"");
    out.until_files(&[]).await;
    let t = out.received().await.remove(0);
    let token = Extra::of(&t).claim;
    out.dies().await;
    let area = out.path(".gatehouse");
    let claim = |name: &str, content: &[u8]| std::fs::write(area.join(name), content).unwrap();
    // Committed, but not yet removed; its mark was.
    claim(&format!("f{}.{token}.a", t.id), b"first");
    // Of another life of the database: the number says nothing.
    claim(&format!("f{}.0badcafe.b", t.id), b"second");
    claim(&format!("m{}.0badcafe.b.done", t.id), b"");
    // A mark whose file was not claimed any more.
    claim("m999.12345678.c.done", b"");
    // No record, and old by the clock of the house: it may have been taken in.
    claim("f999.deadbeef.d", b"fourth");
    out.start();
    out.until_files(&["c.done", "error/d", "error/d.reason.txt"]).await;
    let names: Vec<String> = out.received().await.into_iter().map(|t| t.file_name).collect();
    assert_eq!(names, ["a", "b"], "each once");
    assert!(std::fs::read_to_string(out.path("error/d.reason.txt")).unwrap().contains("its record is gone"));
}

#[tokio::test]
async fn an_interrupted_one_goes_on_and_a_cancelled_one_does_not() {
    let mut out = Out::new(&[("stable_s", "0"), ("ready", "STABLE")]).await;
    out.put("a", b"x");
    out.until_files(&[]).await;
    let t = out.received().await.remove(0);
    out.dies().await;
    // As if it had died in the middle: the record is interrupted, the claim is there.
    let engine = out.house.engine.clone();
    let id = engine.db().transfers().next_id().await.unwrap();
    for (name, state) in [("half", State::Interrupted), ("given_up", State::Cancelled)] {
        let id = if name == "half" { id } else { engine.db().transfers().next_id().await.unwrap() };
        let path = out.path(&format!(".gatehouse/f{id}.aaaaaaaa.{name}"));
        std::fs::write(&path, name).unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        let modified = base::UtcMicros(
            std::os::unix::fs::MetadataExt::mtime(&meta) * 1_000_000
                + std::os::unix::fs::MetadataExt::mtime_nsec(&meta) / 1000,
        );
        let extra = Extra { claim: "aaaaaaaa".to_owned(), modified: Some(modified), ..Extra::of(&t) };
        let new = db::NewTransfer {
            site: "OUT".to_owned(),
            file_name: name.to_owned(),
            listed: false,
            extra_json: extra.json(),
            ..db::NewTransfer::incoming(id, "FOLDER", BEGIN)
        };
        engine.db().transfers().insert(new).await.unwrap();
        engine.db().transfers().apply(db::TransferChange::to(id, state, BEGIN)).await.unwrap();
    }
    out.start();
    out.until_files(&["error/given_up", "error/given_up.reason.txt"]).await;
    let half = out.house.get(id).await;
    assert_eq!((half.state, half.size), (State::Ended, Some(4)), "under its own number");
}
