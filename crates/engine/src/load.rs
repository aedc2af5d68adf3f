//! From the database to the configuration in use: read whole, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Alias, ObjectId, UtcMicros};
use db::{CredentialRow, Db, DbError};
use model::{CertificateEntry, CrlEntry, KeyEntry, Kind, Object, Problem, Snapshot, Value};

use crate::engine::Engine;
use crate::events::Event;
use crate::limits::RELOAD_TRIES_MAX;

/// What a reload gave.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// Revision of the configuration now in use.
    pub revision: i64,
    /// What is wrong in it.
    pub problems: Arc<Vec<Problem>>,
    pub(crate) snapshot: Arc<Snapshot>,
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
        let loaded = load(&self.db).await?;
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

    /// Reads the configuration as it is stored; what is in use stays.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn stored(&self) -> Result<Stored, DbError> {
        stored(&self.db).await
    }
}

/// The configuration as it is stored, at one revision: what a change starts from.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Revision of the whole.
    pub revision: i64,
    /// Every object.
    pub objects: Vec<Object>,
    /// Every key.
    pub credentials: Vec<CredentialRow>,
}

impl Stored {
    /// What would be in use, and what is wrong with it.
    #[must_use]
    pub fn build(self) -> (Snapshot, Vec<Problem>) {
        let certificates = certificate_entries(&self.objects, &self.credentials);
        let crls = crl_entries(&self.objects, &self.credentials);
        let keys = key_entries(&self.objects, self.credentials);
        Snapshot::build_with(self.objects, (keys, certificates, crls), self.revision)
    }
}

/// Reads what is stored and makes it what is in use.
pub(crate) async fn load(db: &Db) -> Result<Reloaded, DbError> {
    let stored = stored(db).await?;
    let revision = stored.revision;
    let (snapshot, problems) = stored.build();
    Ok(Reloaded { revision, problems: Arc::new(problems), snapshot: Arc::new(snapshot) })
}

/// Reads objects and keys of one revision.
async fn stored(db: &Db) -> Result<Stored, DbError> {
    let mut tries = 0;
    loop {
        let (objects, revision) = db.objects().load_all().await?;
        let credentials = db.credentials().load_all().await?;
        tries += 1;
        // A change between the two reads makes a new revision: read again, a few times at most.
        if tries >= RELOAD_TRIES_MAX || db.objects().revision().await? == revision {
            return Ok(Stored { revision, objects, credentials });
        }
    }
}

/// Certificates with what their objects say of them.
fn certificate_entries(objects: &[Object], credentials: &[CredentialRow]) -> Vec<CertificateEntry> {
    let own = objects.iter().filter(|o| o.kind == Kind::Certificate).map(|o| (o.id, o));
    let own: HashMap<ObjectId, &Object> = own.collect();
    let entry = |row: &CredentialRow| {
        let object = own.get(&row.object_id)?;
        let noted = |field: &str| object.body.get(field).map(Value::to_string);
        Some(CertificateEntry {
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
            der: row.public_blob.as_slice().into(),
        })
    };
    credentials.iter().filter_map(entry).collect()
}

/// Revocation lists with what their objects say of them.
fn crl_entries(objects: &[Object], credentials: &[CredentialRow]) -> Vec<CrlEntry> {
    let own: HashMap<ObjectId, &Object> = objects.iter().filter(|o| o.kind == Kind::Crl).map(|o| (o.id, o)).collect();
    let entry = |row: &CredentialRow| {
        let object = own.get(&row.object_id)?;
        let der = row.public_blob.as_slice().into();
        Some(CrlEntry { id: object.id, name: object.name.clone(), state: object.state, der })
    };
    credentials.iter().filter_map(entry).collect()
}

/// Keys with what their objects say of them. A key without object, or the reverse, is left out: the snapshot reports it.
fn key_entries(objects: &[Object], credentials: Vec<CredentialRow>) -> Vec<KeyEntry> {
    let keys: HashMap<ObjectId, &Object> = objects.iter().filter(|o| o.kind == Kind::Key).map(|o| (o.id, o)).collect();
    credentials.into_iter().filter_map(|row| key_entry(keys.get(&row.object_id)?, row)).collect()
}

fn key_entry(object: &Object, row: CredentialRow) -> Option<KeyEntry> {
    let comments = match object.body.get("comments") {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    Some(KeyEntry {
        id: object.id,
        alias: Alias::try_from(object.name.as_str()).ok()?,
        group: object.group.clone(),
        state: object.state,
        algorithm: row.algorithm,
        bits: row.bits,
        private: row.private,
        fingerprint: row.fingerprint,
        ssh_blob: row.public_blob,
        comments,
    })
}
