//! From what was said of a partner to the objects that stand for it.

use std::net::SocketAddr;

use model::{Kind, Snapshot, Value};

use super::answers::{Answers, Inbound, Outbound};
use super::draft::Draft;
use super::routes::route;
use super::way_in::{self, Door};
use crate::OpError;

/// The name of the folder for files that they send.
const IN: &str = "in";
/// The name of the folder for files that they fetch.
const OUT: &str = "out";

/// What a partner will be.
pub(crate) struct Built<'a> {
    pub(crate) draft: Draft<'a>,
    /// Where to call as the partner would: address, login, gate.
    pub(crate) way_in: Option<(SocketAddr, String)>,
    /// Routes and where they lead.
    pub(crate) routes: Vec<(String, String)>,
}

/// The objects of a new partner.
///
/// # Errors
/// [`OpError::Refused`]: the name is taken, or what is there does not go with it.
pub(crate) fn build<'a>(answers: &Answers<'_>, s: &'a Snapshot) -> Result<Built<'a>, OpError> {
    is_free(&answers.name, s)?;
    let mut built = Built { draft: Draft::new(s, &answers.name), way_in: None, routes: Vec::new() };
    for (field, value) in &answers.ours {
        let Some(local) = s.local_sites().next() else { break };
        built.draft.set(Kind::LocalSite, &local.name, field, value.clone());
    }
    site(&mut built.draft, answers)?;
    if let Some(inbound) = &answers.inbound {
        let door = way_in::door(&mut built.draft, inbound.listen)?;
        built.way_in = Some((door.local, inbound.login.clone()));
        gate(&mut built.draft, answers, (inbound, &door))?;
    }
    for (name, conditions, to) in routes(answers) {
        let known = |site: &str| s.site(site).is_some() || site == answers.name;
        let from = conditions.iter().find_map(|c| c.strip_prefix("site = "));
        if let Some(missing) = [Some(to.as_str()), from].into_iter().flatten().find(|site| !known(site)) {
            return Err(OpError::Refused(format!(
                "site {missing} does not exist: add it first with `gatehouse partner add {missing}`, or leave it out"
            )));
        }
        route(&mut built.draft, &name, conditions, &to)?;
        built.routes.push((name, to));
    }
    Ok(built)
}

fn is_free(name: &str, s: &Snapshot) -> Result<(), OpError> {
    let same = |object: &&std::sync::Arc<model::Object>| object.name.eq_ignore_ascii_case(name);
    for kind in [Kind::RemoteSite, Kind::Cgate] {
        if let Some(taken) = s.objects(kind).find(same) {
            return Err(OpError::Refused(format!(
                "{} {} exists already: see `gatehouse partner show {}`; change it with `gatehouse peladm update_site` and \
                 `update_cgate`, or take it away with `gatehouse partner remove {}` and add it anew",
                kind.descriptor().title,
                taken.name,
                taken.name,
                taken.name
            )));
        }
    }
    Ok(())
}

fn site(draft: &mut Draft<'_>, answers: &Answers<'_>) -> Result<(), OpError> {
    let name = &answers.name;
    let directions = answers.directions;
    let mut fields: Vec<(&str, Value)> = vec![
        ("init_sender", Value::Flag(directions.we_send)),
        ("init_receiver", Value::Flag(false)),
        ("resp_sender", Value::Flag(directions.they_fetch)),
        ("resp_receiver", Value::Flag(directions.they_send)),
        ("resp_mode", Value::Flag(directions.inbound())),
    ];
    let mut text = |field: &'static str, value: &Option<String>| {
        fields.extend(value.iter().map(|value| (field, Value::Text(value.clone()))));
    };
    text("comments", &answers.comments);
    text("check_login_ident", &answers.inbound.as_ref().map(|i| i.login.clone()));
    if let Some(Outbound { protocol, security, address, login, key, dir_name, .. }) = &answers.outbound {
        if let Some((option, profile)) = security {
            text("protocol", &Some(protocol.clone()));
            text("network_security_option", &Some(option.clone()));
            text("tls_sprof_out", profile);
        }
        text("dest_address", &Some(address.to_string()));
        text("login_ident", &Some(login.clone()));
        text("local_private_key_alias", key);
        text("dir_name", dir_name);
    }
    let mut bound = Vec::new();
    for key in answers.outbound.iter().flat_map(|o| &o.host_keys) {
        bound.push(draft.key(&format!("{name}_HOST"), key, &format!("host key of {name}"))?);
    }
    if !bound.is_empty() {
        // Not remote_public_key_alias: that would be asked of its logins, too (SSH-15).
        fields.push(("bound_keys", Value::List(bound)));
    }
    draft.create(Kind::RemoteSite, name, fields)?;
    if let Some(password) = answers.outbound.as_ref().and_then(|o| o.password) {
        draft.secret("login_password", password);
    }
    Ok(())
}

fn gate(draft: &mut Draft<'_>, answers: &Answers<'_>, (inbound, door): (&Inbound<'_>, &Door)) -> Result<(), OpError> {
    let name = &answers.name;
    proof(draft, inbound, door)?;
    way_in::group(draft, &inbound.group)?;
    let (home, rights) = folders(draft, answers, inbound)?;
    let mut fields: Vec<(&str, Value)> = vec![
        ("cgategroup", inbound.group.as_str().into()),
        ("login_user", inbound.login.as_str().into()),
        ("root_dir", inbound.folder.as_str().into()),
        ("home_dir", Value::Text(home)),
        ("vfd_right", Value::List(rights)),
    ];
    let mut keys = Vec::new();
    for key in &inbound.keys {
        keys.push(draft.key(&format!("{name}_KEY"), key, &format!("login key of {name}"))?);
    }
    if !keys.is_empty() {
        fields.push(("remote_public_key_alias", Value::List(keys)));
    }
    draft.create(Kind::Cgate, name, fields)?;
    if let Some(password) = inbound.password {
        draft.secret("login_password", password);
    }
    Ok(())
}

/// Whether the profile takes what the partner is to prove itself with; and that it keeps unknown keys, if it shall.
fn proof(draft: &mut Draft<'_>, inbound: &Inbound<'_>, door: &Door) -> Result<(), OpError> {
    let profile = &door.profile;
    let (key, password) = (inbound.capture || !inbound.keys.is_empty(), inbound.password.is_some());
    let wrong = match () {
        () if password && !profile.password => Some("takes no passwords: give a key"),
        () if key && !profile.public_key => Some("takes no keys: give a password"),
        () if profile.all_methods && !(key && password) => Some("wants key and password both: give both"),
        () => None,
    };
    if let Some(wrong) = wrong {
        return Err(OpError::Refused(format!("SSH profile {} of that port {wrong}", profile.name)));
    }
    if inbound.capture && !profile.key_import {
        let text =
            format!("SSH profile {} now keeps unknown keys of known logins, disabled, for you to check", profile.name);
        draft.notes.push(text);
        draft.set(Kind::SshProfile, &profile.name, "remote_key_import", Value::Flag(true));
    }
    Ok(())
}

/// The folders; gives where a session begins, and the rights.
fn folders(
    draft: &mut Draft<'_>,
    answers: &Answers<'_>,
    inbound: &Inbound<'_>,
) -> Result<(String, Vec<String>), OpError> {
    let root = inbound.folder.trim_end_matches('/');
    if root.is_empty() {
        return Err(OpError::Refused("the folder of a partner can't be /: name one below it".to_owned()));
    }
    if draft.has(Kind::VfdDir, root) && !inbound.folder_named {
        return Err(OpError::Refused(format!(
            "folder {root} exists already and may be another partner's: name a folder with -folder ({root} itself, if you \
             mean it)"
        )));
    }
    let directions = answers.directions;
    let mut rights = Vec::new();
    let mut below = Vec::new();
    if directions.they_send {
        below.push(format!("{root}/{IN}"));
        rights.push(format!("{root}/{IN}:*:WD:L:Y"));
    }
    if directions.they_fetch {
        below.push(format!("{root}/{OUT}"));
        rights.push(format!("{root}/{OUT}:*:RD:L:Y"));
    }
    let home = match below.as_slice() {
        [one] => one.clone(),
        _ => {
            rights.insert(0, format!("{root}:*::L:N"));
            root.to_owned()
        }
    };
    let ancestors = root.match_indices('/').skip(1).filter_map(|(at, _)| root.get(..at)).map(str::to_owned);
    for folder in ancestors.chain([root.to_owned()]).chain(below) {
        if !draft.has(Kind::VfdDir, &folder) {
            draft.create(Kind::VfdDir, &folder, Vec::new())?;
        }
    }
    Ok((home, rights))
}

/// Name, conditions and destination of each route.
fn routes(answers: &Answers<'_>) -> Vec<(String, Vec<String>, String)> {
    let name = &answers.name;
    let mut all = Vec::new();
    if let Some(to) = answers.inbound.as_ref().and_then(|i| i.to_site.clone()) {
        all.push((format!("{name}_IN"), vec![format!("site = {name}")], to));
    }
    if let Some(Outbound { from_site, from_dir, pattern, .. }) = &answers.outbound {
        let given = [("site", from_site), ("dir_name", from_dir), ("file_name", pattern)];
        let conditions: Vec<String> =
            given.iter().filter_map(|(argument, value)| Some(format!("{argument} = {}", value.as_ref()?))).collect();
        if !conditions.is_empty() {
            all.push((format!("{name}_OUT"), conditions, name.clone()));
        }
    }
    all
}
