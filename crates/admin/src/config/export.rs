//! Writing what is stored as a document that can be applied: the same configuration always gives the same text.

use std::collections::{BTreeSet, HashMap};

use model::{Kind, Object, Place, Value};

use super::plan::waiting;
use super::read::word;
use crate::changes::failed;
use crate::held::Held;
use crate::{Context, OpError};

/// Longest line of a list; longer ones have an item a line, so that a difference is a line.
const LINE_CHARS_MAX: usize = 100;

/// An object with what it is as a key.
pub(crate) struct Exported {
    pub(crate) object: Object,
    /// The name and the text of the public part, and whether the private one is there.
    pub(crate) key: Option<(&'static str, String, bool)>,
}

/// Objects in the order of documents: by kind, then by name. Captured keys that are not enabled are left out unless
/// something names them: they are the quarantine's.
pub(crate) async fn exported(context: &Context, wanted: impl Fn(&Object) -> bool) -> Result<Vec<Exported>, OpError> {
    let stored = context.engine.stored().await.map_err(failed)?;
    let waiting = waiting(context).await?;
    let named: BTreeSet<(Kind, String)> = stored
        .objects()
        .flat_map(|o| model::references(o.kind, &o.body).into_iter().map(|(_, kind, name)| (kind, name)))
        .collect();
    let blobs: HashMap<_, _> = stored.credentials.iter().map(|c| (c.object_id, (&c.public_blob, c.private))).collect();
    let mut all = Vec::new();
    // Revocation lists are what authorities publish, not what files declare.
    for object in stored.objects().filter(|o| o.kind != Kind::Crl && wanted(o)) {
        if waiting.contains(&object.id) && !named.contains(&(object.kind, object.name.clone())) {
            continue;
        }
        let key = blobs.get(&object.id).map(|(blob, private)| {
            let held =
                Held::stored(object.kind, blob).map_err(|e| OpError::Failed(format!("{}: {e}", object.title())))?;
            Ok::<_, OpError>(held.map(|held| {
                let (name, text) = held.written();
                (name, text, *private)
            }))
        });
        let key = key.transpose()?.flatten();
        all.push(Exported { object: object.clone(), key });
    }
    let place = |kind: Kind| Kind::ALL.iter().position(|k| *k == kind);
    all.sort_by(|a, b| (place(a.object.kind), &a.object.name).cmp(&(place(b.object.kind), &b.object.name)));
    Ok(all)
}

/// The document. A complete one has an empty table for each kind of which there is no object.
pub(crate) fn text(all: &[Exported], complete: bool) -> String {
    let mut text = String::from(HEAD);
    for one in all {
        text.push_str(&table(one));
    }
    if complete {
        let declared = |kind: &Kind| *kind != Kind::Crl;
        for kind in Kind::ALL.into_iter().filter(declared).filter(|kind| all.iter().all(|one| one.object.kind != *kind))
        {
            text.push_str(&format!("\n# none\n[{}]\n", word(kind)));
        }
    }
    text
}

const HEAD: &str = "# Configuration of Gatehouse: `gatehouse apply FILE -dry_run` tells what would change, `gatehouse apply FILE` does it.\n";

fn table(one: &Exported) -> String {
    let object = &one.object;
    let mut text = format!("\n[{}.{}]\n", word(object.kind), key(&object.name));
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name} = {value}\n"));
    for (place, field) in object.kind.descriptor().parameters().filter(|(_, field)| !field.read_only) {
        match place {
            Place::Group if object.group != model::DEFAULT_GROUP => line(field.name, &quoted(&object.group)),
            Place::State if object.state != model::ObjectState::Enabled => {
                line(field.name, &quoted(object.state.as_str()));
            }
            Place::Body if field.is_secret() && object.secrets.contains(field.name) => line(field.name, SET),
            Place::Body => {
                if let Some(value) = object.body.get(field.name) {
                    line(field.name, &written(value));
                }
            }
            _ => {}
        }
    }
    if let Some((name, public, private)) = &one.key {
        line(name, &quoted(public));
        if *private {
            line("private_key", SET);
        }
    }
    text
}

/// What stands for a secret.
const SET: &str = "{ set = true }";

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn written(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Text(text) => quoted(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            let line = format!("[{}]", items.join(", "));
            match line.chars().count() {
                len if len > LINE_CHARS_MAX => format!("[\n    {},\n]", items.join(",\n    ")),
                _ => line,
            }
        }
    }
}
