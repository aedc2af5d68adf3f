//! An instance for a test, and how operations are called.

use std::sync::Arc;

use admin::config::{Bundle, Document, Reference};
use admin::{Context, Input, OpError, Output, create_object, execute, find};
use base::{Clock, SystemClock};
use db::{Actor, Db, DbOptions};
use engine::store::{KeyWrap, StoreParts, open_store};
use engine::{Engine, EngineOptions, EngineParts};
use keys::MasterKey;

/// An instance that serves nobody.
pub(crate) struct House {
    pub(crate) context: Context,
    _folder: tempfile::TempDir,
}

impl House {
    /// A fresh installation.
    pub(crate) async fn new() -> Self {
        let house = Self::bare().await;
        house.run("secadm create_key", &[("name", model::GATEHOUSE_KEY)]).await.unwrap();
        for draft in model::default_objects() {
            create_object(&house.context, draft).await.unwrap();
        }
        house
    }

    /// An instance without a single object.
    pub(crate) async fn bare() -> Self {
        Self::set_up(EngineOptions::default()).await
    }

    /// The same with other settings.
    pub(crate) async fn set_up(options: EngineOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let url = folder.path().join("db").display().to_string();
        let db = Db::open(DbOptions { url, clock: Arc::clone(&clock) }).await.unwrap();
        let master = Arc::new(MasterKey::generate().unwrap());
        let wrap: Arc<dyn KeyWrap> = master.clone();
        let store =
            open_store("local", StoreParts::new(folder.path().to_path_buf(), wrap, Arc::clone(&clock))).unwrap();
        let parts = EngineParts { db, store, master, clock, options };
        let engine = Engine::start(parts).await.unwrap();
        let actor = Actor { name: "uid:1000".to_owned(), origin: "test".to_owned() };
        let (weaknesses, about, content) = (Arc::new([]), Arc::default(), admin::Content::default());
        Self { context: Context { engine, actor, weaknesses, about, caller: None, content }, _folder: folder }
    }

    pub(crate) async fn run(&self, name: &str, values: &[(&str, &str)]) -> Result<Output, OpError> {
        execute(&self.context, name, &input(name, values)).await
    }

    pub(crate) async fn import(&self, values: &[(&str, &str)], file: &[u8]) -> Result<Output, OpError> {
        let name = "secadm import_key";
        let mut given = input(name, values);
        let params = (find(name).unwrap().params)();
        given.give_file(params.iter().find(|p| p.name() == "file_name").unwrap(), file.to_vec());
        execute(&self.context, name, &given).await
    }
}

pub(crate) fn input(name: &str, values: &[(&str, &str)]) -> Input {
    let params = (find(name).unwrap().params)();
    let mut input = Input::default();
    for (wanted, text) in values {
        let param = params.iter().find(|p| p.name() == *wanted).unwrap_or_else(|| panic!("{name} -{wanted}"));
        input.give(param, text).unwrap();
    }
    input
}

pub(crate) fn text(result: Result<Output, OpError>) -> String {
    result.unwrap_err().to_string()
}

/// Documents, and what the files hold that they name.
pub(crate) fn bundle(texts: &[&str], secrets: &[(&str, &[u8])]) -> Bundle {
    let document = |(n, text): (usize, &&str)| Document { name: format!("{n}.toml"), text: (*text).to_owned() };
    let mut bundle = Bundle::new(texts.iter().enumerate().map(document).collect()).unwrap();
    for (path, octets) in secrets {
        for n in 0..texts.len() {
            bundle.add(n, Reference::File((*path).to_owned()), octets.to_vec()).unwrap();
        }
    }
    bundle
}

impl House {
    /// Hands files to an operation.
    pub(crate) async fn with(&self, name: &str, values: &[(&str, &str)], files: Bundle) -> Result<Output, OpError> {
        let mut given = input(name, values);
        let params = (find(name).unwrap().params)();
        given.give_bundle(params.iter().find(|p| p.name() == "file").unwrap(), files);
        execute(&self.context, name, &given).await
    }

    /// Applies documents without secrets.
    pub(crate) async fn apply(&self, texts: &[&str]) -> Result<Output, OpError> {
        self.with("apply", &[], bundle(texts, &[])).await
    }

    /// The whole configuration as text.
    pub(crate) async fn export(&self) -> String {
        let output = self.run("export", &[("all", "Y")]).await.unwrap();
        output.json()["text"].as_str().unwrap().to_owned()
    }

    /// The newest point.
    pub(crate) async fn point(&self) -> i64 {
        self.context.engine.db().objects().revision().await.unwrap()
    }
}

/// The lines that people see.
pub(crate) fn lines(output: &Output) -> Vec<String> {
    match output {
        Output::Story { lines, .. } => lines.clone(),
        other => panic!("{other:?}"),
    }
}
