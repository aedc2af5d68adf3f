//! Objects as they shall be, beside those that are there.

use std::collections::BTreeMap;

use base::Secret;
use keys::{KeyMaterial, PublicKey};
use model::{Body, Kind, ObjectState, Snapshot, Value};

use crate::OpError;
use crate::config::{Material, SecretWanted, Wanted};
use crate::held::Held;

/// What a new partner needs.
pub(crate) struct Draft<'a> {
    /// What is there.
    pub(crate) snapshot: &'a Snapshot,
    /// What shall be.
    pub(crate) wanted: Vec<Wanted>,
    /// What the operator should know, a sentence each.
    pub(crate) notes: Vec<String>,
    partner: String,
}

impl<'a> Draft<'a> {
    /// Nothing shall change yet.
    pub(crate) fn new(snapshot: &'a Snapshot, partner: &str) -> Self {
        Self { snapshot, wanted: Vec::new(), notes: Vec::new(), partner: partner.to_owned() }
    }

    fn is_drafted(&self, kind: Kind, name: &str) -> bool {
        self.wanted.iter().any(|w| w.kind == kind && w.name == name)
    }

    /// Whether it is there, or shall be.
    pub(crate) fn has(&self, kind: Kind, name: &str) -> bool {
        self.is_drafted(kind, name) || self.snapshot.object(kind, name).is_some()
    }

    /// A name that no object of this kind has: `stem`, else `stem` with a number.
    pub(crate) fn free_name(&self, kind: Kind, stem: &str) -> String {
        let taken = |name: &str| {
            self.is_drafted(kind, name) || self.snapshot.objects(kind).any(|o| o.name.eq_ignore_ascii_case(name))
        };
        let numbered = (2_u32..).map(|n| format!("{stem}_{n}"));
        std::iter::once(stem.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    /// A new object.
    pub(crate) fn create(&mut self, kind: Kind, name: &str, fields: Vec<(&str, Value)>) -> Result<(), OpError> {
        if self.has(kind, name) {
            return Err(OpError::Refused(format!("{} {name} exists already", kind.descriptor().title)));
        }
        let body: Body = fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
        let body = model::check_body(kind, &body).map_err(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            OpError::Refused(texts.join("\n"))
        })?;
        self.wanted.push(Wanted {
            kind,
            name: name.to_owned(),
            place: format!("partner {}", self.partner),
            id: None,
            group: model::DEFAULT_GROUP.to_owned(),
            state: ObjectState::Enabled,
            body,
            secrets: BTreeMap::new(),
            material: Material::None,
        });
        Ok(())
    }

    /// A password of the object that was created last.
    pub(crate) fn secret(&mut self, field: &'static str, secret: &Secret<String>) {
        if let Some(last) = self.wanted.last_mut() {
            last.secrets.insert(field, SecretWanted::Is(Secret::new(secret.expose().clone())));
        }
    }

    /// Another value in an object that is there. Objects of kinds with secrets are not changed so.
    pub(crate) fn set(&mut self, kind: Kind, name: &str, field: &str, value: Value) {
        if let Some(wanted) = self.wanted.iter_mut().find(|w| w.kind == kind && w.name == name) {
            wanted.body.insert(field.to_owned(), value);
            return;
        }
        let Some(object) = self.snapshot.object(kind, name).cloned() else { return };
        if object.body.get(field) == Some(&value) {
            return;
        }
        let mut object = model::Object::clone(&object);
        object.body.insert(field.to_owned(), value);
        self.wanted.push(Wanted::plain(object, &format!("partner {}", self.partner)));
    }

    /// Puts a public key into the store, if it is not there; gives its name.
    pub(crate) fn key(&mut self, stem: &str, key: &PublicKey, comment: &str) -> Result<String, OpError> {
        let fingerprint = key.fingerprint();
        if let Some(twin) = self.snapshot.key_by_fingerprint(&fingerprint.0) {
            let (alias, shown) = (twin.alias.to_string(), twin.state.shown());
            if twin.private {
                let text = format!("{fingerprint} is our own key {alias}: give the partner's public key");
                return Err(OpError::Refused(text));
            }
            if !twin.enabled() {
                return Err(OpError::Refused(format!(
                    "the same key is in the store as {alias}, {shown}: look at it with `gatehouse quarantine show \
                     {alias}` or `gatehouse secdsp display_key {alias}`, enable it, then add the partner"
                )));
            }
            let others = self.snapshot.referrers(Kind::Key, &alias);
            let others: Vec<String> = others.into_iter().map(|(kind, name, _)| format!("{kind} {name}")).collect();
            self.notes.push(match others.is_empty() {
                true => format!("key {fingerprint} is in the store as {alias}, which is used"),
                false => format!("key {alias} is used, which is that of {} too", others.join(", ")),
            });
            return Ok(alias);
        }
        let name = self.free_name(Kind::Key, stem);
        self.create(Kind::Key, &name, vec![("comments", comment.into())])?;
        if let Some(last) = self.wanted.last_mut() {
            last.material = Material::Is(Box::new(Held::Key(KeyMaterial::Public(key.clone()))));
        }
        Ok(name)
    }
}
