//! From the database to the configuration in use: read whole, swapped whole.

use std::collections::HashSet;
use std::sync::Arc;

use base::{Alias, ObjectId, UtcMicros};
use db::{CredentialRow, Db, DbError};
use model::{CertificateEntry, CrlEntry, KeyEntry, Kind, Material, Object, Problem, Reading, Snapshot, Value};

use crate::engine::Engine;
use crate::events::Event;
use crate::limits::RELOAD_TRIES_MAX;
use crate::sync::lock;

/// What a reload gave.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// Revision of the configuration now in use.
    pub revision: i64,
    /// What is wrong in it.
    pub problems: Arc<Vec<Problem>>,
    pub(crate) snapshot: Arc<Snapshot>,
}

impl Reloaded {
    pub(crate) fn of(stored: &Stored) -> Self {
        let (snapshot, problems) = stored.build();
        Self { revision: stored.revision, problems: Arc::new(problems), snapshot: Arc::new(snapshot) }
    }
}

impl Engine {
    /// Reads the configuration anew, if it has changed, and puts it in use as a whole. Running sessions keep theirs. Who
    /// asks while another reads waits, and seldom has to read it himself: a flood of changes costs few readings.
    ///
    /// # Errors
    /// If the database fails; the present configuration then stays in use.
    pub async fn reload(&self) -> Result<Reloaded, DbError> {
        let _alone = self.reading.lock().await;
        let (before, problems) = (self.snapshot(), self.problems());
        if self.db.objects().revision().await? == before.revision {
            return Ok(Reloaded { revision: before.revision, problems, snapshot: before });
        }
        let loaded = Reloaded::of(&self.stored().await?);
        // Before the change counts as done: what happens from now on is told.
        let told = |s: &Snapshot| s.hooks().any(|hook| hook.is_told());
        if told(&before) != told(&loaded.snapshot) {
            self.db.hooks().listen(told(&loaded.snapshot)).await?;
        }
        self.model.store(Arc::new((loaded.snapshot.clone(), loaded.problems.clone())));
        self.events.emit(Event::ConfigChanged { revision: loaded.revision, problems: loaded.problems.len() });
        self.queue.configuration_changed(&before, &loaded.snapshot);
        if let Err(error) = self.want_events(&loaded.snapshot).await {
            tracing::warn!(%error, "which events webhooks want could not be noted yet");
        }
        self.wake();
        Ok(loaded)
    }

    /// Reads the configuration as it is stored; what is in use stays. Only what has changed since the last reading is read.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn stored(&self) -> Result<Stored, DbError> {
        let known = Stored::clone(&lock(&self.known));
        let stored = match known.read_on(&self.db).await? {
            Some(stored) => stored,
            None => Stored::read(&self.db).await?,
        };
        let mut known = lock(&self.known);
        if known.revision < stored.revision {
            *known = stored.clone();
        }
        Ok(stored)
    }

    /// What is wrong in a configuration that is stored.
    #[must_use]
    pub fn problems_of(&self, stored: &Stored) -> Arc<Vec<Problem>> {
        let (snapshot, problems) = &**self.model.load();
        if snapshot.revision == stored.revision { Arc::clone(problems) } else { Arc::new(stored.build().1) }
    }
}

/// The configuration as it is stored, at one revision: what a change starts from. A clone shares what is in it.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Revision of the whole.
    pub revision: i64,
    /// Every object, in order of kind and name.
    pub objects: Vec<Arc<Reading>>,
    /// Every key and certificate, in order of their objects' numbers.
    pub credentials: Vec<Arc<CredentialRow>>,
}

impl Stored {
    /// What would be in use, and what is wrong with it.
    #[must_use]
    pub fn build(&self) -> (Snapshot, Vec<Problem>) {
        Snapshot::of(self.objects.clone(), self.revision)
    }

    /// Every object, in order of kind and name.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().map(|reading| &***reading)
    }

    /// The key or certificate of an object.
    #[must_use]
    pub fn credential(&self, id: ObjectId) -> Option<&CredentialRow> {
        let at = self.credentials.binary_search_by_key(&id, |row| row.object_id).ok()?;
        self.credentials.get(at).map(Arc::as_ref)
    }

    /// Reads all of it, of one revision.
    pub(crate) async fn read(db: &Db) -> Result<Self, DbError> {
        let mut tries = 0;
        loop {
            let (objects, revision) = db.objects().load_all().await?;
            let credentials = db.credentials().load_all().await?;
            tries += 1;
            // A change between the two reads makes a new revision: read again, a few times at most.
            if tries >= RELOAD_TRIES_MAX || db.objects().revision().await? == revision {
                return Ok(Self::default().with(revision, objects, credentials));
            }
        }
    }

    /// Reads what has changed since this was read; `None` if more changes come meanwhile.
    async fn read_on(&self, db: &Db) -> Result<Option<Self>, DbError> {
        let revision = db.objects().revision().await?;
        if revision == self.revision {
            return Ok(Some(self.clone()));
        }
        let (touched, objects) = db.objects().load_since(self.revision).await?;
        let credentials = db.credentials().load_since(self.revision).await?;
        if db.objects().revision().await? != revision {
            return Ok(None);
        }
        let touched: HashSet<ObjectId> = touched.into_iter().collect();
        let rest = Self {
            revision,
            objects: self.objects.iter().filter(|o| !touched.contains(&o.id)).cloned().collect(),
            credentials: self.credentials.iter().filter(|c| !touched.contains(&c.object_id)).cloned().collect(),
        };
        Ok(Some(rest.with(revision, objects, credentials)))
    }

    fn with(mut self, revision: i64, objects: Vec<Object>, credentials: Vec<CredentialRow>) -> Self {
        self.revision = revision;
        self.credentials.extend(credentials.into_iter().map(Arc::new));
        self.credentials.sort_by_key(|c| c.object_id);
        let read = |object: Object| Arc::new(reading(self.credential(object.id), object));
        let new: Vec<Arc<Reading>> = objects.into_iter().map(read).collect();
        if self.objects.is_empty() {
            self.objects = new;
            self.objects.sort_by_cached_key(|o| place(o));
        } else {
            // A few come to many, which need no sorting anew.
            for object in new {
                let at = self.objects.partition_point(|o| place(o) < place(&object));
                self.objects.insert(at, object);
            }
        }
        self
    }
}

/// What objects are ordered by.
fn place(object: &Object) -> (&'static str, String) {
    (object.kind.as_str(), object.name.to_lowercase())
}

/// Reads an object and its key, certificate or revocation list. One without the other is left out: the snapshot reports it.
#[must_use]
pub fn reading(row: Option<&CredentialRow>, object: Object) -> Reading {
    let material = row.and_then(|row| match object.kind {
        Kind::Key => key_entry(&object, row).map(|key| Material::Key(Arc::new(key))),
        Kind::Certificate => Some(Material::Certificate(Arc::new(certificate_entry(&object, row)))),
        Kind::Crl => {
            let (id, name, der) = (object.id, object.name.clone(), Arc::clone(&row.public_blob));
            Some(Material::Crl(Arc::new(CrlEntry { id, name, state: object.state, der })))
        }
        _ => None,
    });
    Reading::of(object, material)
}

fn certificate_entry(object: &Object, row: &CredentialRow) -> CertificateEntry {
    let noted = |field: &str| object.body.get(field).map(Value::to_string);
    CertificateEntry {
        id: object.id,
        name: object.name.clone(),
        group: object.group.clone(),
        state: object.state,
        kind: noted("certificate_type").unwrap_or_else(|| "OTHER".to_owned()),
        private: row.private,
        subject: noted("subject_name").unwrap_or_default(),
        valid_until: noted("valid_until").and_then(|text| UtcMicros::parse(&text).ok()),
        fingerprint: row.fingerprint,
        spki_sha256: row.spki_sha256,
        der: Arc::clone(&row.public_blob),
    }
}

fn key_entry(object: &Object, row: &CredentialRow) -> Option<KeyEntry> {
    let comments = match object.body.get("comments") {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    Some(KeyEntry {
        id: object.id,
        alias: Alias::try_from(object.name.as_str()).ok()?,
        group: object.group.clone(),
        state: object.state,
        algorithm: row.algorithm.clone(),
        bits: row.bits,
        private: row.private,
        fingerprint: row.fingerprint,
        ssh_blob: row.public_blob.to_vec(),
        comments,
    })
}

#[cfg(test)]
mod tests {
    use model::ObjectState;

    use super::*;
    use crate::tests::house::House;

    // What is read in pieces is the whole, in the same order.
    #[tokio::test]
    async fn reading_on_gives_what_reading_anew_gives() {
        let house = House::new().await;
        let (engine, db) = (&house.engine, &house.engine.db);
        let is_whole = async |step: &str| {
            let (pieces, whole) = (engine.stored().await.unwrap(), Stored::read(db).await.unwrap());
            assert_eq!((pieces.revision, &pieces.credentials), (whole.revision, &whole.credentials), "{step}");
            assert!(pieces.objects().eq(whole.objects()), "{step}");
            pieces
        };
        let first = is_whole("nothing changed").await;
        crate::tests::house::create(db, (Kind::RemoteSite, "b2", &[("comments", "new")])).await;
        let second = is_whole("one is new").await;
        assert!(second.revision > first.revision);
        let kept = second.objects.iter().filter(|o| first.objects.iter().any(|old| Arc::ptr_eq(o, old))).count();
        assert_eq!(kept, first.objects.len(), "what did not change is not read again");
        house.set_state(Kind::RemoteSite, "B", ObjectState::Disabled).await;
        is_whole("one changed").await;
        db.objects().delete(Kind::RemoteSite, "b2", false, &crate::tests::house::actor()).await.unwrap();
        is_whole("one is gone").await;
    }
}
