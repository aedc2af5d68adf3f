//! What was, as something that can be wanted again. A point is a revision of the whole configuration.

use std::collections::BTreeMap;

use db::HistoryRow;
use model::{Kind, Object};

use super::{Material, SecretWanted, Wanted};
use crate::changes::{blank, failed};
use crate::held::Held;
use crate::{Context, OpError};

/// An object as it was.
pub(crate) fn at_point(row: &HistoryRow) -> Object {
    let HistoryRow { kind, name, group, state, body, id, .. } = row.clone();
    Object { id, group, state, body, ..blank(kind, name) }
}

/// Every object as it was at a point. Secrets have no history: they stay as they are.
///
/// # Errors
/// [`OpError::NotFound`] if the point is still to come.
pub(crate) async fn wanted_at(context: &Context, point: i64) -> Result<Vec<Wanted>, OpError> {
    let objects = context.engine.db().objects();
    let newest = objects.revision().await.map_err(failed)?;
    if point > newest {
        return Err(OpError::NotFound(format!("point {point} is still to come: the newest is {newest}")));
    }
    let rows = objects.as_of(point).await.map_err(failed)?;
    rows.into_iter().filter(|row| row.kind != Kind::Crl).map(|row| wanted(row, point)).collect()
}

fn wanted(row: HistoryRow, point: i64) -> Result<Wanted, OpError> {
    let fields = row.kind.descriptor().fields.iter().filter(|f| f.is_secret());
    let secrets: BTreeMap<_, _> = fields.map(|f| (f.name, SecretWanted::Leave)).collect();
    let held = row.public_blob.as_deref().map(|blob| Held::stored(row.kind, blob)).transpose();
    let held = held.map_err(|e| OpError::Failed(format!("{} {}: {e}", row.kind, row.name)))?.flatten();
    let says = |field: &str, word: &str| row.body.get(field).is_some_and(|v| v.to_string() == word);
    let material = match (row.kind, held.map(Box::new)) {
        (Kind::Key, held) if says("type", "PRIVATE") => Material::Private(held),
        (Kind::Certificate, held) if says("private_part", "Y") => Material::Private(held),
        (_, Some(held)) => Material::Is(held),
        (_, None) => Material::None,
    };
    Ok(Wanted {
        kind: row.kind,
        name: row.name,
        place: format!("point {point}"),
        id: Some(row.id),
        group: row.group,
        state: row.state,
        body: row.body,
        secrets,
        material,
    })
}
