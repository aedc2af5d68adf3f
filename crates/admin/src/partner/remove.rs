//! What goes with a partner: all that only it uses.

use std::collections::BTreeSet;

use base::ObjectId;
use engine::Stored;
use model::{Kind, Object, Value};

use super::parts::Parts;

/// What is to be done so that a partner is gone.
pub(crate) struct Removal {
    /// Objects that go.
    pub(crate) gone: Vec<Object>,
    /// Tables without its rules.
    pub(crate) tables: Vec<Object>,
    /// What stays though it was the partner's, and why.
    pub(crate) kept: Vec<String>,
}

/// What goes and what stays.
pub(crate) fn removal(parts: &Parts<'_>, stored: &Stored) -> Removal {
    let mut names: BTreeSet<(Kind, String)> = parts.objects().into_iter().collect();
    let mut kept = Vec::new();
    let object = |kind: Kind, name: &str| stored.objects().find(|o| o.kind == kind && o.name == name);
    for folder in shared_folders(parts) {
        kept.push(format!("folder {folder}: another gate uses it"));
        names.remove(&(Kind::VfdDir, folder));
    }
    // Tables name rules, and are changed themselves.
    let refers = |from: &Object, kind: Kind, name: &str| {
        from.kind != Kind::RuleTable
            && model::references(from.kind, &from.body).into_iter().any(|(_, k, n)| k == kind && n == name)
    };
    // A key that is kept may keep nothing else, so once is enough.
    let present: Vec<(Kind, String)> = names.iter().cloned().collect();
    for (kind, name) in present.into_iter().filter(|(kind, _)| matches!(kind, Kind::Key | Kind::TransferModel)) {
        let is_private = private_keys(stored).contains(&object(kind, &name).map_or(ObjectId(0), |o| o.id));
        let others = stored.objects().filter(|o| refers(o, kind, &name) && !names.contains(&(o.kind, o.name.clone())));
        let others: Vec<String> = others.map(Object::title).collect();
        if is_private {
            kept.push(format!("key {name}: it is a private key, which nothing could bring back"));
            names.remove(&(kind, name));
        } else if !others.is_empty() {
            kept.push(format!("{kind} {name}: {} uses it", others.join(", ")));
            names.remove(&(kind, name));
        }
    }
    let gone: Vec<Object> = names.iter().filter_map(|(kind, name)| object(*kind, name)).cloned().collect();
    let tables = stored.objects().filter(|o| o.kind == Kind::RuleTable).filter_map(|table| without(table, &names));
    let tables = tables.collect();
    Removal { gone, tables, kept }
}

fn private_keys(stored: &Stored) -> BTreeSet<ObjectId> {
    stored.credentials.iter().filter(|c| c.private).map(|c| c.object_id).collect()
}

/// The table without rules that go; none if it has none of them.
fn without(table: &Object, gone: &BTreeSet<(Kind, String)>) -> Option<Object> {
    let Some(Value::List(rules)) = table.body.get("rules") else { return None };
    let left: Vec<String> =
        rules.iter().filter(|rule| !gone.contains(&(Kind::DecisionRule, (*rule).clone()))).cloned().collect();
    if left.len() == rules.len() {
        return None;
    }
    let mut table = table.clone();
    table.body.insert("rules".to_owned(), Value::List(left));
    Some(table)
}

/// Folders of the partner in which another gate, or a group, has something.
fn shared_folders(parts: &Parts<'_>) -> Vec<String> {
    let own: BTreeSet<&str> = parts.own_gates().map(|gate| gate.name.as_str()).collect();
    let gates = parts.snapshot.cgates().filter(|gate| !own.contains(gate.name.as_str())).map(|gate| &gate.shared);
    let groups = parts.snapshot.cgate_groups().map(|group| &group.shared);
    let mut used: Vec<&str> = Vec::new();
    for shared in gates.chain(groups) {
        let dirs = shared.root_dir.iter().chain(&shared.home_dir).map(String::as_str);
        let rights = shared.rights.iter().map(|right| right.path.as_str());
        used.extend(dirs.chain(rights).filter(|path| *path != "/"));
    }
    let is_used = |path: &str| used.iter().any(|other| model::within(other, path) || model::within(path, other));
    parts.folders.iter().map(|dir| dir.path.clone()).filter(|path| is_used(path)).collect()
}
