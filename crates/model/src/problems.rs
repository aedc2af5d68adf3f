//! Problems that only show when objects are seen together: what `gatehouse check` prints.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::SFTP_OUT;
use crate::check::references;
use crate::field::descriptor;
use crate::kinds::cgate::Cgate;
use crate::kinds::key::KeyObject;
use crate::kinds::network_profile::{NetworkProfile, SecurityOption};
use crate::kinds::remote_site::RemoteSite;
use crate::kinds::ssh_profile::{SshProfile, SshRole};
use crate::kinds::vfd_dir::{DirType, parent};
use crate::object::{KeyEntry, Kind, Object, ObjectState, Problem, Severity};
use crate::snapshot::Snapshot;
use crate::variables::has_variables;

/// Collects problems.
#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn error(&mut self, object: (Kind, &str), field: &str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Error, object, field, (text.into(), fix.into()));
    }

    fn warning(&mut self, object: (Kind, &str), field: &str, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Warning, object, field, (text.into(), fix.into()));
    }

    fn add(&mut self, severity: Severity, (kind, name): (Kind, &str), field: &str, (text, fix): (String, String)) {
        let object = if name.is_empty() { kind.to_string() } else { format!("{kind} {name}") };
        self.0.push(Problem { object, field: field.to_owned(), severity, text, fix });
    }
}

/// Every problem between objects.
pub(crate) fn across(s: &Snapshot) -> Vec<Problem> {
    let mut found = Found::default();
    for look in LOOKS {
        look(s, &mut found);
    }
    found.0
}

static LOOKS: &[fn(&Snapshot, &mut Found)] = &[
    names,
    missing,
    key_uses,
    server_profiles,
    network_profiles,
    network_ties,
    listeners,
    client_profiles,
    sites,
    site_logins,
    groups,
    gates,
    folders,
    routes,
    loops,
];

/// Fields that this version does not know, of an object stored by another.
pub(crate) fn unknown_fields(object: &Object) -> Vec<Problem> {
    let known = descriptor(object.kind);
    let unknown = object.body.keys().filter(|key| known.fields.iter().all(|field| field.name != key.as_str()));
    let mut found = Found::default();
    for key in unknown {
        found.warning(
            (object.kind, &object.name),
            key,
            "this version has no such field and leaves it alone",
            "take it out",
        );
    }
    found.0
}

/// A key object without its key.
pub(crate) fn key_material(key: &KeyObject, entry: Option<&KeyEntry>) -> Option<Problem> {
    let mut found = Found::default();
    let fix = "delete it and import the key again";
    match (entry, &key.algorithm) {
        (None, _) => found.error((Kind::Key, &key.name), "", "its key is not in the store", fix),
        (Some(entry), Some(noted)) if *noted != entry.algorithm => {
            found.error(
                (Kind::Key, &key.name),
                "algorithm",
                format!("the store has a key of {}", entry.algorithm),
                fix,
            );
        }
        (Some(entry), _) if key.private && !entry.private => {
            found.error((Kind::Key, &key.name), "type", "its private part is not in the store", fix);
        }
        _ => {}
    }
    found.0.pop()
}

/// Names that differ only by case (DESIGN 1.15).
fn names(s: &Snapshot, found: &mut Found) {
    let mut seen: HashMap<(Kind, String), &str> = HashMap::new();
    for object in s.all_objects() {
        if let Some(other) = seen.insert((object.kind, object.name.to_lowercase()), &object.name) {
            let text = format!("its name differs from {other} only by case");
            found.error((object.kind, &object.name), "", text, "rename one of them");
        }
    }
}

/// References to objects that are not there. A rule may name what comes later (objects.md section 5).
fn missing(s: &Snapshot, found: &mut Found) {
    for object in s.all_objects() {
        for (field, kind, name) in references(object.kind, &object.body) {
            let own = (object.kind, object.name.as_str());
            let later = matches!(object.kind, Kind::DecisionRule | Kind::RuleTable | Kind::TransferModel);
            match (s.object(kind, &name), s.broken(kind, &name)) {
                (None, _) if kind == Kind::Key && s.key(&name).is_some() => {}
                (None, _) if later => {
                    found.warning(own, field, format!("{kind} {name} does not exist"), "create it before a file comes")
                }
                (None, _) => {
                    found.error(own, field, format!("{kind} {name} does not exist"), "create it, or name another")
                }
                (Some(_), Some(_)) => {
                    found.warning(own, field, format!("{kind} {name} has an error"), "correct that object")
                }
                (Some(_), None) => {}
            }
        }
    }
}

/// Keys that are named but can't be used.
fn key_uses(s: &Snapshot, found: &mut Found) {
    for object in s.all_objects() {
        for (field, kind, name) in references(object.kind, &object.body) {
            let Some(key) = s.key(&name).filter(|_| kind == Kind::Key) else { continue };
            let own = (object.kind, object.name.as_str());
            if key.state != ObjectState::Enabled {
                let text = format!("key {name} is {}, so it opens nothing", key.state.shown());
                found.warning(own, field, text, "check it with the partner and enable it, or take it out");
            }
            let needs_private = matches!(field, "private_key_alias" | "local_private_key_alias");
            if needs_private && !key.private {
                found.error(own, field, format!("key {name} has no private part"), "name a private key");
            }
        }
    }
}

/// SERVER profiles: keys (SSH-9) and trust (DESIGN 1.5).
fn server_profiles(s: &Snapshot, found: &mut Found) {
    for profile in s.ssh_profiles().filter(|p| p.role == SshRole::Server) {
        let own = (Kind::SshProfile, profile.name.as_str());
        if profile.private_keys.is_empty() {
            found.warning(own, "private_key_alias", "a server needs a private key to prove itself", "name one");
        } else if s.host_keys(profile).is_empty() {
            let fix = "name an enabled private key, or add its algorithm to public_key_algos";
            found.warning(own, "private_key_alias", "none of its keys can be used, so it admits nobody", fix);
        }
        unused_keys(profile, s, found);
        if profile.trust_hosted {
            let text = "any enabled key of the store opens any login that has no key of its own";
            found.warning(own, "trust_hosted_public_keys", text, "set it to N and bind keys to sites or gates");
        }
        if !profile.password && !profile.public_key {
            found.error(own, "client_auth_methods", "no method is left to log in with", "allow PASSWORD or PUBLIC_KEY");
        }
    }
}

fn unused_keys(profile: &SshProfile, s: &Snapshot, found: &mut Found) {
    let used = s.host_keys(profile);
    for key in profile.private_keys.iter().filter_map(|alias| s.key(alias.as_str())) {
        if key.enabled() && key.private && !used.is_empty() && !used.contains(&key) {
            let text =
                format!("key {} is never used: its algorithm is not listed, or an earlier key has the same", key.alias);
            found.warning(
                (Kind::SshProfile, &profile.name),
                "private_key_alias",
                text,
                "take it out, or list its algorithm",
            );
        }
    }
}

/// Network profiles whose security profile can't serve (SSH-2, SSH-3), and clear ones (NET-9).
fn network_profiles(s: &Snapshot, found: &mut Found) {
    for network in s.network_profiles() {
        let own = (Kind::NetworkProfile, network.name.as_str());
        match &network.security {
            SecurityOption::Clear if network.enabled => {
                found.warning(
                    own,
                    "security_option",
                    "connections that fit it are in clear",
                    "set it to SSH where you can",
                );
            }
            SecurityOption::Ssh(name) => match s.ssh_profile(name) {
                Some(profile) if profile.role == SshRole::Client => {
                    found.error(
                        own,
                        "sprof_name",
                        format!("{name} is of type CLIENT"),
                        "name a profile of type SERVER",
                    );
                }
                Some(profile) if !profile.enabled => {
                    found.warning(
                        own,
                        "sprof_name",
                        format!("{name} is disabled, so connections are refused"),
                        "enable it",
                    );
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// Most profiles of one specificity that are compared with each other.
const TIE_COMPARED_MAX: usize = 64;

/// Two enabled profiles alike in specificity that a connection may fit both (network-profiles.md section 2).
fn network_ties(s: &Snapshot, found: &mut Found) {
    let mut by_weight: BTreeMap<[u32; 4], Vec<&Arc<NetworkProfile>>> = BTreeMap::new();
    for network in s.network_profiles().filter(|n| n.enabled) {
        by_weight.entry(network.weight()).or_default().push(network);
    }
    for alike in by_weight.values() {
        for (i, later) in alike.iter().enumerate().take(TIE_COMPARED_MAX) {
            if let Some(first) = alike.iter().take(i).find(|first| first.overlaps(later)) {
                let text = format!("some connections fit it and {} alike; {} is used, by name", first.name, first.name);
                found.warning((Kind::NetworkProfile, &later.name), "", text, "make one of them more specific");
            }
        }
    }
}

/// Listeners that share a port or serve nobody (NET-13).
fn listeners(s: &Snapshot, found: &mut Found) {
    let mut seen = HashMap::new();
    for listener in s.listeners().filter(|l| l.enabled) {
        let own = (Kind::Listener, listener.name.as_str());
        let address = listener.socket_address();
        if let Some(other) = seen.insert(address, &listener.name).filter(|_| address.port() > 0) {
            found.error(own, "port", format!("{other} listens there too"), "give it another port, or disable one");
        }
        let fits = |n: &&Arc<NetworkProfile>| {
            let Some(port) = Some(address.port()).filter(|port| *port > 0) else { return true };
            let ip = address.ip().to_canonical();
            n.enabled && n.destination.port.matches(port) && (ip.is_unspecified() || n.destination.address.matches(ip))
        };
        let fitting: Vec<_> = s.network_profiles().filter(fits).collect();
        let clear = |n: &&Arc<NetworkProfile>| matches!(n.security, SecurityOption::Clear);
        if fitting.is_empty() {
            let fix = format!(
                "create a network profile with dest_address */{}, option SSH and a SERVER profile",
                address.port()
            );
            found.warning(own, "", "no network profile fits it, so every connection is refused", fix);
        } else if fitting.iter().all(clear) {
            let fix = "give the network profile the option SSH and a SERVER profile";
            found.warning(
                own,
                "protocol",
                "SFTP runs over SSH only, but its network profiles have the option NONE",
                fix,
            );
        }
    }
}

/// CLIENT profiles of sites, and SFTP_OUT (SSH-2, SSH-4, OBJ-11).
fn client_profiles(s: &Snapshot, found: &mut Found) {
    let calling = || s.sites().filter(|site| !site.addresses.is_empty());
    for site in calling().filter(|site| site.ssh_profile.is_some()) {
        client_profile(site.ssh_profile_name(), (Kind::RemoteSite, &site.name), s, found);
    }
    let default_used = calling().any(|site| site.ssh_profile.is_none());
    match s.object(Kind::SshProfile, SFTP_OUT) {
        None if default_used => {
            let text = "it does not exist, but sites without an SSH profile need it";
            found.error((Kind::SshProfile, SFTP_OUT), "", text, "create it with type CLIENT");
        }
        None => {
            let text = "it does not exist; sites without an SSH profile will need it";
            found.warning((Kind::SshProfile, SFTP_OUT), "", text, "create it with type CLIENT");
        }
        Some(_) if default_used => client_profile(SFTP_OUT, (Kind::SshProfile, SFTP_OUT), s, found),
        Some(_) => {}
    }
}

fn client_profile(name: &str, own: (Kind, &str), s: &Snapshot, found: &mut Found) {
    let field = if own.0 == Kind::RemoteSite { "ssh_profile" } else { "type" };
    match s.ssh_profile(name) {
        Some(profile) if profile.role == SshRole::Server => {
            found.error(own, field, format!("{name} is of type SERVER"), "use a profile of type CLIENT");
        }
        Some(profile) if !profile.enabled => {
            found.warning(own, field, format!("{name} is disabled, so calls fail"), "enable it");
        }
        _ => {}
    }
}

/// Sites that we call: user name, proof, the partner's host key.
fn sites(s: &Snapshot, found: &mut Found) {
    for site in s.sites().filter(|site| !site.addresses.is_empty() && site.enabled) {
        let own = (Kind::RemoteSite, site.name.as_str());
        if site.login.is_none() {
            found.warning(own, "login_ident", "no user name to log in with", "give the name that the partner gave you");
        }
        let profile = s.ssh_profile(site.ssh_profile_name());
        let profile_keys = profile.is_some_and(|profile| !profile.private_keys.is_empty());
        if !site.has_password && site.private_key.is_none() && !profile_keys {
            let fix = "set local_private_key_alias or login_password";
            found.warning(own, "login_password", "neither password nor key to log in with", fix);
        }
        let trusts = profile.is_some_and(|profile| profile.trust_hosted);
        if site.public_keys.is_empty() && !trusts {
            let text = "the partner's host key is not known, so calls are refused";
            found.warning(
                own,
                "remote_public_key_alias",
                text,
                "import its key, compare the fingerprint, and name it here",
            );
        }
    }
}

/// Two sites of one login.
fn site_logins(s: &Snapshot, found: &mut Found) {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for site in s.sites() {
        let Some(login) = &site.check_login else { continue };
        if let Some(other) = seen.insert(login, &site.name) {
            let text = format!("site {other} has the same one, so neither gets the login");
            found.error((Kind::RemoteSite, &site.name), "check_login_ident", text, "leave it to one of them");
        }
        if site.template {
            let text = "a template serves every login of its group, not this one";
            found.warning((Kind::RemoteSite, &site.name), "check_login_ident", text, "clear it");
        }
    }
}

/// Groups: nesting (OBJ-16), keys stated twice, templates.
fn groups(s: &Snapshot, found: &mut Found) {
    let parents: HashSet<&str> = s.cgate_groups().filter_map(|g| g.parent.as_deref()).collect();
    for group in s.cgate_groups() {
        let own = (Kind::CgateGroup, group.name.as_str());
        let has_gates = s.cgates_by_group.contains_key(&group.name);
        if has_gates && parents.contains(group.name.as_str()) {
            let text = "it has gates and groups; only one of them is possible"; // OBJ-16
            found.error(own, "", text, "move the gates into a group of their own");
        }
        if let Some(chain) = s.chains.get(&group.name) {
            if let Some(wrong) = chain.broken.as_ref().filter(|wrong| wrong.contains("circle")) {
                found.error(own, "parent_group", wrong.clone(), "take a parent_group out of the circle");
            }
            let above = || chain.groups.iter().filter(|other| other.name != group.name);
            let twice = [
                ("protocol", group.protocol.is_some() && above().any(|g| g.protocol.is_some())),
                ("sap", group.ports.is_some() && above().any(|g| g.ports.is_some())),
                ("called_addr", group.called.is_some() && above().any(|g| g.called.is_some())),
                ("template_site", group.template_site.is_some() && above().any(|g| g.template_site.is_some())),
            ];
            for (field, _) in twice.iter().filter(|(_, twice)| *twice) {
                found.warning(own, field, "a group above states it too, and that one counts", "state it once");
            }
        }
        let template = group.template_site.as_deref().filter(|name| !has_variables(name)).and_then(|name| s.site(name));
        if template.is_some_and(|site| !site.template) {
            found.error(
                own,
                "template_site",
                "that site is no template",
                "set its template flag to Y, or name another",
            );
        }
    }
}

/// Gates: a site for their logins (OBJ-17), a proof, keys that open several logins.
fn gates(s: &Snapshot, found: &mut Found) {
    for gate in s.cgates().filter(|gate| gate.enabled && gate.broken.is_none()) {
        let own = (Kind::Cgate, gate.name.as_str());
        let template = s.chains.get(&gate.group).and_then(|chain| chain.template_site.as_deref());
        let sites = sites_of(gate, s);
        if template.is_none() && sites.is_empty() {
            let fix = "set template_site on its group, or give a site the login as name or check_login_ident";
            found.warning(own, "login_user", "its logins find no site, so they are refused", fix); // OBJ-17
        }
        if gate.is_pattern() && !gate.public_keys.is_empty() {
            let text = "each of its keys opens every login that fits its pattern";
            found.warning(own, "remote_public_key_alias", text, "make a gate for each login that has keys");
        }
        let of_template = template.and_then(|name| s.site(name)).is_some_and(|site| !site.public_keys.is_empty());
        let keys = !gate.public_keys.is_empty() || of_template || sites.iter().any(|site| !site.public_keys.is_empty());
        let trusting =
            s.ssh_profiles().any(|profile| profile.role == SshRole::Server && profile.enabled && profile.trust_hosted);
        if !gate.has_password && !keys && !trusting {
            let fix = "set login_password or remote_public_key_alias; a captured key can be enabled too";
            found.warning(own, "login_password", "neither password nor key lets anybody in", fix);
        }
    }
}

/// Static sites that logins of a gate may find.
fn sites_of<'s>(gate: &Cgate, s: &'s Snapshot) -> Vec<&'s Arc<RemoteSite>> {
    let fits = |login: &str| gate.login.matches(login, base::QuestionMark::One);
    let login = |site: &RemoteSite| site.check_login.clone().unwrap_or_else(|| site.name.clone());
    s.sites().filter(|site| !site.template && fits(&login(site))).collect()
}

/// Folders that gates name and that are not there; mounts are in clear.
fn folders(s: &Snapshot, found: &mut Found) {
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
fn routes(s: &Snapshot, found: &mut Found) {
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
            if s.object(Kind::RemoteSite, to).is_none()
                && (kind != Kind::TransferModel || s.referrers(Kind::RemoteSite, to).is_empty())
            {
                found.warning(
                    own,
                    field,
                    format!("site {to} does not exist, so routing fails"),
                    "create it, or name another",
                );
            }
            continue;
        };
        if site.template || site.addresses.is_empty() {
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
fn loops(s: &Snapshot, found: &mut Found) {
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
