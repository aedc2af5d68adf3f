//! The host key of a partner's server, accepted because a person named its fingerprint.

use db::ObjectChange;
use engine::Stored;
use keys::{Fingerprint, KeyMaterial, PublicKey};
use model::{Kind, ObjectState, Value};

use super::call::{Called, HostKeyVerdict};
use crate::changes::{self, creation, failed, new_uid};
use crate::{Context, OpError, sealing};

/// Keys of a site that are kept; the field has this bound.
const BOUND_MAX: usize = 16;

/// Binds the key that `called` met to the site, if it is the one that was named; says what was done.
pub(crate) async fn trust(
    context: &Context,
    site: &str,
    named: &Fingerprint,
    called: &Called,
) -> Result<String, OpError> {
    let Some(shown) = called.host_key.as_ref().filter(|shown| shown.key.fingerprint() == *named) else {
        let shown = called.host_key.as_ref().map(|shown| shown.key.fingerprint().to_string());
        let why = match (shown, &called.failed) {
            (Some(shown), _) => format!("the server shows {shown}, and you named {named}: nothing is trusted"),
            (None, Some((_, why))) => format!("the server showed no host key: {why}"),
            (None, None) => "the server showed no host key".to_owned(),
        };
        return Err(OpError::Refused(why));
    };
    if let HostKeyVerdict::Known(alias) = &shown.verdict {
        return Ok(format!("host key {alias} was trusted already"));
    }
    let stored = context.engine.stored().await.map_err(failed)?;
    let (alias, mut all) = enabled(context, &stored, site, &shown.key)?;
    let object = stored.objects().find(|o| o.kind == Kind::RemoteSite && o.name == site).cloned();
    let mut object = object.ok_or_else(|| OpError::NotFound(format!("site {site} is gone")))?;
    let field =
        if object.body.contains_key("remote_public_key_alias") { "remote_public_key_alias" } else { "bound_keys" };
    let mut bound = match object.body.get(field) {
        Some(Value::List(keys)) => keys.clone(),
        _ => Vec::new(),
    };
    if !bound.contains(&alias) {
        bound.push(alias.clone());
    }
    if bound.len() > BOUND_MAX {
        return Err(OpError::Refused(format!("site {site} has {} keys: take old ones out first", bound.len())));
    }
    object.body.insert(field.to_owned(), Value::List(bound));
    all.push(ObjectChange::Update(changes::update(object, Vec::new())));
    changes::commit(context, ("partner trust", site), all).await?;
    Ok(format!("host key {named} is trusted for {site}, as key {alias}"))
}

/// The key in the store, enabled: its name, and what has to change for that.
fn enabled(
    context: &Context,
    stored: &Stored,
    site: &str,
    key: &PublicKey,
) -> Result<(String, Vec<ObjectChange>), OpError> {
    let print = key.fingerprint();
    let present = stored.credentials.iter().find(|c| c.fingerprint == print.0).map(|c| c.object_id);
    if let Some(mut object) = present.and_then(|id| stored.objects().find(|o| o.id == id)).cloned() {
        let alias = object.name.clone();
        if object.state == ObjectState::Enabled {
            return Ok((alias, Vec::new()));
        }
        object.state = ObjectState::Enabled;
        return Ok((alias, vec![ObjectChange::Update(changes::update(object, Vec::new()))]));
    }
    let keys = || stored.objects().filter(|o| o.kind == Kind::Key);
    let mut names = (1_u32..).map(|n| if n == 1 { format!("{site}_HOST") } else { format!("{site}_HOST_{n}") });
    let alias = names.find(|name| !keys().any(|o| o.name.eq_ignore_ascii_case(name))).unwrap_or_default();
    let material = KeyMaterial::Public(key.clone());
    let mut object = changes::blank(Kind::Key, alias.clone());
    object.body.insert("comments".to_owned(), Value::Text(format!("host key of {site}")));
    sealing::note_key(&mut object.body, &material);
    let uid = new_uid()?;
    let credential = sealing::credential(context, &material, &uid)?;
    Ok((alias, vec![creation(object, uid, Vec::new(), Some(credential))]))
}
