//! Virtual folders and routing.

use std::collections::HashSet;

use super::Found;
use crate::kinds::vfd_dir::{DirType, parent};
use crate::object::Kind;
use crate::snapshot::Snapshot;
use crate::variables::has_variables;

/// Folders that gates name and that are not there; mounts are in clear.
pub(super) fn folders(s: &Snapshot, found: &mut Found) {
    for dir in s.vfd_dirs() {
        let own = (Kind::VfdDir, dir.path.as_str());
        if matches!(dir.dir_type, DirType::Mount(_)) {
            let text = "files below a mount lie on the disk in clear, and others may change them";
            found.warning(own, "target", text, "use a DIR where the partners' programs need no real folder");
        }
        if let Some(above) = dir.parent().filter(|above| !there(s, above)) {
            found.warning(own, "", format!("the folder {above} above it does not exist"), "create that one first");
        }
        if dir.parent().is_some_and(|above| in_mount(s, above)) {
            found.warning(own, "", "it lies below a mount, where everything is real", "move it out of the mount");
        }
    }
    let shared = s.cgates().map(|g| (Kind::Cgate, g.name.as_str(), &g.shared));
    let shared = shared.chain(s.cgate_groups().map(|g| (Kind::CgateGroup, g.name.as_str(), &g.shared)));
    for (kind, name, shared) in shared {
        let named = [("home_dir", &shared.home_dir), ("root_dir", &shared.root_dir)];
        let named = named.into_iter().filter_map(|(field, path)| Some((field, path.as_deref()?)));
        let rights = shared.rights.iter().map(|right| ("vfd_right", right.path.as_str()));
        for (field, path) in named.chain(rights).filter(|(_, path)| !has_variables(path) && !there(s, path)) {
            found.warning(
                (kind, name),
                field,
                format!("the folder {path} does not exist"),
                "create it: vfdadm create_dir",
            );
        }
    }
}

fn there(s: &Snapshot, path: &str) -> bool {
    path == "/" || s.vfd(path).is_some() || in_mount(s, path)
}

fn in_mount(s: &Snapshot, path: &str) -> bool {
    let mut at = Some(path);
    while let Some(path) = at {
        if s.vfd(path).is_some_and(|dir| matches!(dir.dir_type, DirType::Mount(_))) {
            return true;
        }
        at = parent(path);
    }
    false
}

/// Models and routing fields whose site can't be sent to.
pub(super) fn routes(s: &Snapshot, found: &mut Found) {
    let models = s.models().map(|m| (Kind::TransferModel, m.name.as_str(), "dest_alias", m.destination.as_str()));
    let agent = "route_remote_agent";
    let gates =
        s.cgates().filter_map(|g| Some((Kind::Cgate, g.name.as_str(), agent, g.route_remote_agent.as_deref()?)));
    let dirs =
        s.vfd_dirs().filter_map(|d| Some((Kind::VfdDir, d.path.as_str(), agent, d.route_remote_agent.as_deref()?)));
    let sites =
        s.sites().filter_map(|p| Some((Kind::RemoteSite, p.name.as_str(), agent, p.route_remote_agent.as_deref()?)));
    for (kind, name, field, to) in models.chain(gates).chain(dirs).chain(sites).filter(|(.., to)| !has_variables(to)) {
        let own = (kind, name);
        let Some(site) = s.site(to) else {
            // What a reference names is reported with the references.
            let named = s.referrers(Kind::RemoteSite, to).iter().any(|(k, n, _)| (*k, n.as_str()) == own);
            if s.object(Kind::RemoteSite, to).is_none() && !named {
                found.warning(
                    own,
                    field,
                    format!("site {to} does not exist, so routing fails"),
                    "create it, or name another",
                );
            }
            continue;
        };
        if site.template || !site.is_reachable() {
            let text = format!("site {to} has no address, so nothing can be delivered to it");
            found.warning(own, field, text, "name a site with an address");
        }
        if !site.roles.init_sender {
            found.warning(own, field, format!("site {to} lets us not send (init_sender is N)"), "set it to Y");
        }
        if kind == Kind::RemoteSite && to == name {
            found.warning(own, field, "files of the site would go back to it", "name another site");
        }
    }
}

/// Rules that see what they make (OBJ-29), and rules in no table.
pub(super) fn loops(s: &Snapshot, found: &mut Found) {
    let mut used: HashSet<&str> = HashSet::new();
    for table in s.rule_tables().filter(|table| table.active) {
        used.extend(table.rules.iter().map(String::as_str));
        let sees_outgoing = table.only.directions.is_empty() || table.only.directions.iter().any(|d| d == "O");
        for rule in table.rules.iter().filter(|_| sees_outgoing).filter_map(|name| s.decision_rule(name)) {
            if rule.conditions.iter().all(|c| c.argument != "direction") {
                let text = format!(
                    "in table {} it may act on the transfers it makes; loop_max {} bounds that",
                    table.name, rule.loop_max
                );
                found.warning((Kind::DecisionRule, &rule.name), "conditions", text, "add the condition direction = I");
            }
        }
    }
    for rule in s.decision_rules().filter(|rule| !used.contains(rule.name.as_str())) {
        found.warning(
            (Kind::DecisionRule, &rule.name),
            "",
            "no active rule table names it, so it never acts",
            "add it to one",
        );
    }
}
